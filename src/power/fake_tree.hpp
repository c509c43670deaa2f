#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/test_folder.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// A made-up /proc and /sys in a folder that goes away with it. For tests.
class FakeTree {
 public:
  void write(const std::string& path, const std::string& text) { folder_.write(path, text); }
  void remove(const std::string& path) { std::filesystem::remove_all(folder_.path(path)); }
  void deny(const std::string& path) {
    std::filesystem::permissions(folder_.path(path), std::filesystem::perms(0));
  }
  SystemRoot root() const { return SystemRoot(path()); }
  const std::string& path() const { return folder_.path(); }

  /// A RAPL zone such as zone("intel-rapl:0", "package-0", 1'000'000).
  void zone(const std::string& id, const std::string& name, long energy_uj, long range_uj = 262143328850) {
    const std::string folder = "/sys/class/powercap/" + id;
    write(folder + "/name", name + "\n");
    write(folder + "/energy_uj", std::to_string(energy_uj) + "\n");
    if (range_uj > 0) write(folder + "/max_energy_range_uj", std::to_string(range_uj) + "\n");
    write(folder + "/enabled", "1\n");
  }
  void energy(const std::string& id, long energy_uj) {
    // In place: the reader holds the file open.
    write("/sys/class/powercap/" + id + "/energy_uj", std::to_string(energy_uj) + "\n");
  }
  /// A model-specific register of a CPU, in a file with a hole before it.
  void msr(int cpu, std::uint32_t address, std::uint64_t value) {
    const std::string path = folder_.path("/dev/cpu/" + std::to_string(cpu) + "/msr");
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (::pwrite(file.get(), &value, sizeof value, static_cast<off_t>(address)) !=
        static_cast<ssize_t>(sizeof value)) {
      ADD_FAILURE() << "can't write " << path;
    }
  }
  /// "GenuineIntel", 6, 0x55: enough of /proc/cpuinfo to tell the registers.
  void cpu(const std::string& vendor, int family, int model, int threads = 1) {
    std::string text;
    for (int i = 0; i < threads; ++i) {
      text += "processor\t: " + std::to_string(i) + "\nvendor_id\t: " + vendor +
              "\ncpu family\t: " + std::to_string(family) + "\nmodel\t\t: " + std::to_string(model) + "\n\n";
    }
    write("/proc/cpuinfo", text);
  }
  /// A hwmon chip on `device` such as "0000:03:00.0"; returns its folder.
  std::string hwmon(int number, const std::string& name, const std::string& device) {
    const std::string folder = "/sys/class/hwmon/hwmon" + std::to_string(number);
    write(folder + "/name", name + "\n");
    std::filesystem::create_directories(folder_.path("/sys/devices/" + device));
    std::filesystem::create_symlink("../../../devices/" + device, folder_.path(folder + "/device"));
    return folder;
  }
  void place(int cpu, int package, int die = 0) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology";
    write(folder + "/physical_package_id", std::to_string(package) + "\n");
    write(folder + "/die_id", std::to_string(die) + "\n");
  }

 private:
  TestFolder folder_;
};

/// Runs the rest of a scope without root's right to read everything, if the test runs as root.
class WithoutRoot {
 public:
  WithoutRoot() { was_root_ = ::geteuid() == 0 && ::seteuid(65534) == 0; }
  ~WithoutRoot() {
    if (was_root_ && ::seteuid(0) != 0) ADD_FAILURE() << "root's rights did not come back";
  }
  WithoutRoot(const WithoutRoot&) = delete;
  WithoutRoot& operator=(const WithoutRoot&) = delete;

 private:
  bool was_root_ = false;
};

/// A source whose counter a test sets.
struct FakeCounter {
  SourceInfo info;
  double value = 0;
  bool valid = true;
  int error_number = 0;
};

class FakeSource final : public Source {
 public:
  explicit FakeSource(std::shared_ptr<FakeCounter> counter) : counter_(std::move(counter)) {}
  const SourceInfo& info() const override { return counter_->info; }
  SourceInfo* edit_info() override { return &counter_->info; }
  Reading read(const Clock& clock) override {
    return {counter_->value, clock.boottime_ns(), counter_->valid, counter_->error_number};
  }

 private:
  std::shared_ptr<FakeCounter> counter_;
};

}  // namespace joulery::power
