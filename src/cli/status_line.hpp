#pragma once

#include <string>

namespace joulery::cli {

/// One line of standard error that is rewritten while something goes on, and wiped out at the end.
class StatusLine {
 public:
  /// Without `shown` it does nothing.
  explicit StatusLine(bool shown) : shown_(shown) {}
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// Cut to the terminal's width. Nothing while this process is in the background.
  void draw(const std::string& line);
  void clear();

 private:
  bool shown_;
  bool drawn_ = false;
};

}  // namespace joulery::cli
