#pragma once

#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "meter/process_scan.hpp"

namespace joulery::meter {

/// Everything that descends from us from now on. While it lives, orphans below us become our children instead
/// of init's (PR_SET_CHILD_SUBREAPER), so that none is lost. Children that we have already are not part of
/// it.
class Descendants {
 public:
  static Result<Descendants> follow(const SystemRoot& root);
  Descendants(Descendants&& other) noexcept;
  Descendants& operator=(Descendants&&) = delete;
  ~Descendants();

  TreeScan scan(bool with_memory) { return scanner_.scan_descendants(self_, earlier_children_, with_memory); }
  /// Those of the last scan.
  const std::vector<int>& last() const { return scanner_.last_descendants(); }
  bool any_left();
  bool is_earlier_child(int pid) const;

 private:
  Descendants(ProcessScanner scanner, int self) : scanner_(std::move(scanner)), self_(self) {}
  ProcessScanner scanner_;
  int self_;
  std::vector<int> earlier_children_;  // sorted
  /// Whether we are to stop being the subreaper.
  bool owns_subreaper_ = false;
};

}  // namespace joulery::meter
