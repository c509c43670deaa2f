#pragma once

#include <string>
#include <vector>

#include "app/codecarbon_csv.hpp"
#include "record/store.hpp"

namespace joulery::app {

struct CodeCarbonImport {
  std::size_t added = 0;
  /// Runs of which the file has later figures than the record.
  std::size_t updated = 0;
  std::size_t unchanged = 0;
  /// Rows that are an earlier state of a run whose later state is in the file.
  std::size_t superseded = 0;
  std::size_t realigned = 0;
  std::vector<CodeCarbonFile::Problem> problems;
  std::vector<std::string> run_ids;
};

/// A run of the record from a row: id from CodeCarbon's run id (and the task's name), energy (without the PUE
/// that CodeCarbon multiplies it by), carbon and time as our metrics, and what runs are looked for by as
/// `codecarbon.…` tags. The row's time is local and names no zone: that of this machine is taken. How
/// CodeCarbon knew is not in its file, so the figures count as assumed. User error for values that can't be.
Result<record::Run> run_of_codecarbon_row(const CodeCarbonRow& row, const std::string& experiment);

/// Puts the rows into the store in one transaction: all or nothing. Each whole row is kept as evidence of
/// type `codecarbon/row`. Runs that are there change nothing, whether they were imported or metered here; of
/// several rows of one run (CodeCarbon writes one with each flush, each with all before) the last counts.
Result<CodeCarbonImport> import_codecarbon(record::Store& store, const CodeCarbonFile& file,
                                           const std::string& experiment);

}  // namespace joulery::app
