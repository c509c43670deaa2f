#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/result.hpp"
#include "meter/attribution.hpp"

namespace joulery::meter {

/// What is followed although somebody else started it: a process with all that descends from it, or a cgroup
/// with all in it.
struct Followed {
  /// 0: the cgroup.
  int pid = 0;
  /// As `/proc/PID/cgroup` names it ("/system.slice/ollama.service"), or its folder.
  std::string cgroup = {};
};

/// CPU time counts from this call on; memory is what there is. User error if there is no such process or
/// cgroup. A process that ends keeps what it used. `adopt` and `reaped` do nothing.
Result<std::unique_ptr<Attribution>> follow(const SystemRoot& root, const Clock& clock,
                                            const Followed& followed);

}  // namespace joulery::meter
