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
VerbResult export_verb(app::Application& application, const Arguments& arguments);
VerbResult remove_verb(app::Application& application, const Arguments& arguments);
VerbResult gc_verb(app::Application& application, const Arguments& arguments);
VerbResult data_verb(app::Application& application, const Arguments& arguments);
VerbResult config_verb(app::Application& application, const Arguments& arguments);

/// Opens the store and tells of runs that were recovered or kept on the way.
Result<std::unique_ptr<record::Store>> open_store_and_tell(app::Application& application,
                                                           app::Application::StoreAccess access);

/// The program. `environment` is as main got it.
int main(int argc, char** argv, char** environment);

}  // namespace joulery::cli
