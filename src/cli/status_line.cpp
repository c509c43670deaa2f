#include "cli/status_line.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/terminal.hpp"
#include "cli/text_table.hpp"

namespace joulery::cli {

void StatusLine::draw(const std::string& line) {
  if (!shown_) return;
  // Writing from the background would stop the whole job where the terminal is set to `tostop`.
  if (is_terminal(Stream::err) && ::tcgetpgrp(STDERR_FILENO) != ::getpgrp()) return;
  const auto width = static_cast<std::size_t>(std::max(1, terminal_width() - 1));
  static_cast<void>(print(Stream::err, fmt::format("\r\x1b[K{}", cut_to(line, width))));
  drawn_ = true;
}

void StatusLine::clear() {
  if (drawn_) static_cast<void>(print(Stream::err, "\r\x1b[K"));
  drawn_ = false;
}

}  // namespace joulery::cli
