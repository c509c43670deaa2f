#pragma once

#include <memory>
#include <string>

/// For tests: a private message bus and, on it, a stand-in for systemd's manager that makes real cgroups.
namespace joulery::meter {

enum class FakeBehaviour {
  /// Makes the cgroup, moves the process, and removes the cgroup as soon as it is empty.
  works,
  denies,
  never_answers,
  job_fails,
  /// Starts the unit but never says that the job is done.
  job_hangs,
  gives_no_cgroup,
  /// The bus runs, but nobody on it is systemd.
  absent,
};

class FakeSystemd {
 public:
  /// Null if the bus can't be started. Removes scopes that a test left when it was killed. `cgroup_folder` is
  /// where scopes are made, `cgroup_path` its path in the hierarchy.
  static std::unique_ptr<FakeSystemd> start(FakeBehaviour behaviour, const std::string& cgroup_folder,
                                            const std::string& cgroup_path);
  ~FakeSystemd();
  FakeSystemd(const FakeSystemd&) = delete;
  FakeSystemd& operator=(const FakeSystemd&) = delete;
  const std::string& address() const { return address_; }

 private:
  FakeSystemd() = default;
  std::string folder_;
  std::string cgroup_folder_;
  std::string address_;
  int daemon_ = -1;
  int service_ = -1;
};

}  // namespace joulery::meter
