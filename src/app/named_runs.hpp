#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "record/store.hpp"

namespace joulery::app {

/// What a name that several runs have stands for.
enum class SharedName {
  refused,
  /// Its runs, if all of them are one series of `run --repeat`.
  its_series
};

/// The runs that names stand for, each once, in the order of the names: a run as `show` takes it, or the id
/// of a series or of a session of `run --versus`, which stands for its runs by start. All are found before
/// any is returned, so that "last last" is one run whatever the caller does with it.
Result<std::vector<record::Run>> find_named_runs(record::Store& store, const std::vector<std::string>& names,
                                                 SharedName shared);

/// The one run that a name stands for. Of the id of a series or session the error says what it is.
Result<record::Run> find_one_run(record::Store& store, const std::string& name);

}  // namespace joulery::app
