#pragma once

#include "app/application.hpp"
#include "base/result.hpp"
#include "cli/arguments.hpp"

namespace joulery::cli {

/// What a verb ends with: an exit code, or an error that the caller prints.
using VerbResult = Result<int>;

VerbResult run_verb(app::Application& application, const Arguments& arguments);
VerbResult doctor_verb(app::Application& application, const Arguments& arguments);
VerbResult runs_verb(app::Application& application, const Arguments& arguments);
VerbResult show_verb(app::Application& application, const Arguments& arguments);
VerbResult compare_verb(app::Application& application, const Arguments& arguments);
/// `run --versus`.
VerbResult versus_verb(app::Application& application, const Arguments& arguments);
VerbResult report_verb(app::Application& application, const Arguments& arguments);
VerbResult export_verb(app::Application& application, const Arguments& arguments);
VerbResult import_verb(app::Application& application, const Arguments& arguments);
VerbResult remove_verb(app::Application& application, const Arguments& arguments);
VerbResult gc_verb(app::Application& application, const Arguments& arguments);
VerbResult data_verb(app::Application& application, const Arguments& arguments);
VerbResult bench_verb(app::Application& application, const Arguments& arguments);
VerbResult engines_verb(app::Application& application, const Arguments& arguments);
VerbResult config_verb(app::Application& application, const Arguments& arguments);
/// Shows the manual page on a terminal, else writes its source. Needs no settings.
/// `environment` is for man, which chooses its pager by it.
VerbResult man_verb(char** environment);
/// Lists what the completions ask for, a tab and a description after each: "runs", "deleted" or "experiments"
/// that start with the second operand. It is called while somebody types: it changes nothing, waits for
/// nobody, and what goes wrong is an empty list.
void complete_verb(app::Application& application, const Arguments& arguments);

/// Opens the store and tells of runs that were recovered or kept on the way.
Result<std::unique_ptr<record::Store>> open_store_and_tell(app::Application& application,
                                                           app::Application::StoreAccess access);

/// Searches, and tells on stderr which metrics that were asked for no run has.
Result<std::vector<record::Run>> search_and_tell(record::Store& store, const record::RunQuery& query);

/// The program. `environment` is as main got it.
int main(int argc, char** argv, char** environment);

}  // namespace joulery::cli
