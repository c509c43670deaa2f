#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"

namespace joulery::power {

/// What is known of a GPU beyond its energy, for a person.
struct GpuFacts {
  /// Told from others of its model: "NVIDIA H100 PCIe (GPU 1)".
  std::string name;
  std::string model;
  /// Power that the driver holds it to, in watts; 0 if unknown.
  double enforced_limit_watts = 0;
  bool mig = false;
  std::string driver;
  /// How its energy is known and, if not by the best way, why; then what helps.
  std::string energy;
  std::string remedy;
  /// How well the use of one process can be told from another's, in one sentence.
  std::string sharing;
};

/// One process on a GPU.
struct GpuProcess {
  int pid = 0;
  /// The part of the GPU that it runs in: 0, or a MIG instance.
  int instance = 0;
  /// Of what the GPU can do: its mean use since the last look, or the size of its instance. 0 to 1.
  double weight = 0;
};

/// What a look at the processes of a GPU told.
enum class GpuLook {
  /// `weight` is what each process used. Processes that used nothing are not there.
  use,
  /// Which processes hold the device, not how much each uses; `weight` is the size of their instance.
  presence,
  /// Nothing, now and later: the driver does not tell.
  unknown,
  /// Nothing this time: the device does not answer.
  failed,
};

/// Who uses a GPU, beside the source that tells its energy. Looks allocate nothing, but for a vector that
/// grows with the number of processes. Not thread-safe.
class GpuDevice {
 public:
  /// Energy by the counter and by power over the same time, to see whether they agree.
  struct CrossCheck {
    double counter_joules = 0;
    double power_joules = 0;
    double seconds = 0;
    /// They were so far apart that the counter can't be in the unit that it claims; power is used instead.
    bool counter_given_up = false;
    /// They are as far apart as that, but not yet for long enough to tell: power is used so far.
    bool power_stands_in = false;
    /// By the counter the board would draw more than it can, or less than any that is on: the counter is
    /// wrong, and not the power.
    bool counter_impossible = false;
    /// What the power itself may be off by, as factors.
    double power_accuracy_low = 1;
    double power_accuracy_high = 1;
  };

  virtual ~GpuDevice() = default;
  /// Of the source that bears this GPU's energy.
  virtual const std::string& device_id() const = 0;
  virtual const GpuFacts& facts() const = 0;
  /// Mean use by process since the call before, in `processes`; the first call only sets the mark.
  virtual GpuLook look_at_use(std::vector<GpuProcess>& processes) = 0;
  /// Processes that hold the device now.
  virtual GpuLook look_at_presence(std::vector<GpuProcess>& processes) = 0;
  virtual CrossCheck cross_check() const = 0;
};

}  // namespace joulery::power
