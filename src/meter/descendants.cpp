#include "meter/descendants.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace joulery::meter {

Result<Descendants> Descendants::follow(const SystemRoot& root) {
  JOULERY_ASSIGN(ProcessScanner scanner, ProcessScanner::open(root));
  JOULERY_ASSIGN(const std::string text, root.read_text("/proc/self/stat"));
  const auto self = parse_process_stat(text);
  if (!self) return environment_error("can't read our own /proc/self/stat");
  Descendants descendants(std::move(scanner), self->pid);
  descendants.scanner_.list_children(self->pid, descendants.earlier_children_);
  std::sort(descendants.earlier_children_.begin(), descendants.earlier_children_.end());
  int already = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &already, 0, 0, 0);
  if (already == 0) {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
      return environment_error(fmt::format("can't become the reaper of orphans: {}", errno_text(errno)));
    }
    descendants.owns_subreaper_ = true;
  }
  return descendants;
}

Descendants::Descendants(Descendants&& other) noexcept
    : scanner_(std::move(other.scanner_)),
      self_(other.self_),
      earlier_children_(std::move(other.earlier_children_)),
      owns_subreaper_(std::exchange(other.owns_subreaper_, false)) {}

Descendants::~Descendants() {
  if (owns_subreaper_) ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

bool Descendants::any_left() {
  siginfo_t info = {};
  // Every descendant has an ancestor among our children: without children there is none. That is exact, while
  // a scan of /proc may miss a process that changes its parent meanwhile.
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) return false;
  if (earlier_children_.empty()) return true;
  return scan(false).processes > 0;
}

bool Descendants::is_earlier_child(int pid) const {
  return std::binary_search(earlier_children_.begin(), earlier_children_.end(), pid);
}

}  // namespace joulery::meter
