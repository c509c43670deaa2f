#pragma once

#include <optional>

#include "app/application.hpp"
#include "app/codecarbon_output.hpp"
#include "cli/arguments.hpp"

namespace joulery::cli {

/// `--codecarbon-csv FILE` of run and run --versus.
class EmissionsFile {
 public:
  /// Without the flag, one that does nothing. User error if a row could not be appended to the file now.
  static Result<EmissionsFile> create(const Arguments& arguments);
  /// A row of `run`. What goes wrong is a warning on stderr: the run itself is in the record.
  void append(app::Application& application, const meter::MeteredRun& run) const;

 private:
  std::optional<app::CodeCarbonOutput> output_;
};

}  // namespace joulery::cli
