#include "engine/output_capture.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/text.hpp"

namespace joulery::engine {
namespace {

constexpr std::size_t kKeptBytes = 4096;
constexpr std::size_t kKeptLines = 3;
constexpr std::size_t kLongestLine = 300;

}  // namespace

OutputCapture::OutputCapture() : memory_(::memfd_create("joulery-output", MFD_CLOEXEC)) {
  if (!memory_.valid()) return;
  saved_out_ = FileDescriptor(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  saved_err_ = FileDescriptor(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!saved_out_.valid() || !saved_err_.valid()) {
    memory_.reset();
    return;
  }
  std::fflush(stdout);
  ::dup2(memory_.get(), STDOUT_FILENO);
  ::dup2(memory_.get(), STDERR_FILENO);
}

OutputCapture::~OutputCapture() {
  if (!memory_.valid()) return;
  // What printf() still holds back would come out later, on the real stdout.
  std::fflush(stdout);
  ::dup2(saved_out_.get(), STDOUT_FILENO);
  ::dup2(saved_err_.get(), STDERR_FILENO);
}

std::string OutputCapture::text() const {
  struct stat status{};
  std::fflush(stdout);
  if (!memory_.valid() || ::fstat(memory_.get(), &status) != 0) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  std::string text(std::min(size, kKeptBytes), '\0');
  const ssize_t got =
      ::pread(memory_.get(), text.data(), text.size(), static_cast<off_t>(size - text.size()));
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

std::string last_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (const std::string_view line : split(text, '\n')) {
    if (!trim(line).empty()) lines.push_back(trim(line).substr(0, kLongestLine));
  }
  std::string result;
  for (std::size_t i = lines.size() - std::min(lines.size(), kKeptLines); i < lines.size(); ++i) {
    if (!result.empty()) result += " | ";
    result += printable(lines[i]);
  }
  return result;
}

}  // namespace joulery::engine
