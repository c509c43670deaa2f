#pragma once

#include <string>

#include "base/files.hpp"

namespace joulery::engine {

/// While it lives, what this process writes to stdout and stderr goes into memory: for calls into libraries
/// that print. Changes the process's descriptors 1 and 2, so that nothing else may print meanwhile.
class OutputCapture {
 public:
  /// Captures nothing if the system has no descriptors left: noise is better than no answer.
  OutputCapture();
  OutputCapture(const OutputCapture&) = delete;
  OutputCapture& operator=(const OutputCapture&) = delete;
  ~OutputCapture();
  /// The last 4 KiB of what was written so far.
  std::string text() const;

 private:
  FileDescriptor memory_;
  FileDescriptor saved_out_;
  FileDescriptor saved_err_;
};

/// The last lines of what a library printed, in one line and safe for a terminal; empty if there is nothing.
std::string last_lines(std::string_view text);

}  // namespace joulery::engine
