#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace joulery::app {

/// A CSV file that several programs append to.
struct SharedCsv {
  std::string path;
  /// What the flag is called, for errors.
  std::string what;
  std::vector<std::string> columns;
  /// True for the header of an older file of this kind, which is moved aside. A file with any other first row
  /// is not ours to touch.
  std::function<bool(const std::vector<std::string>& header)> is_older;
};

/// User error if a row could not be appended now: no folder, no permission, a folder or a device in its
/// place, a file of another kind. Changes nothing.
Status check_csv(const SharedCsv& csv);

/// Appends one row, with a header if the file is new, in one write under a lock, so that rows of several
/// processes never mix and one that did not fit on the disk leaves nothing behind. A file with the same
/// columns in another order gets the row in its order. An older one is moved to "<path>.bak" ("<path>_0.bak"
/// ... if there is one) and a new file begun: returns where it was moved to, else "". A last line that was
/// cut off is ended first.
Result<std::string> append_csv_row(const SharedCsv& csv, const std::vector<std::string>& fields);

}  // namespace joulery::app
