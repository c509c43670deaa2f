#include <algorithm>
#include <cerrno>

#include "power/power_model.hpp"

namespace joulery::power {
namespace {

/// Load is averaged over this long before it is turned into watts. The counters of CPU time move in steps of
/// 1 to 10 ms; the curve is bent, so that watts from single steps would come out too low.
constexpr std::int64_t kAverageNs = 200'000'000;

class ModelSource final : public Source {
 public:
  enum class Part { cpu, memory };

  ModelSource(PowerModel model, std::unique_ptr<MachineLoadReader> load, Part part)
      : model_(std::move(model)), load_(std::move(load)), part_(part) {
    info_.device_id = part == Part::cpu ? "model:cpu" : "model:memory";
    info_.name = part == Part::cpu ? (model_.has_separate_memory() ? "CPU" : "CPU and memory") : "memory";
    info_.via = "power model";
    info_.scope = part == Part::cpu ? Scope::machine_model : Scope::dram;
    info_.provenance = Provenance::modelled;
    info_.accuracy_low = model_.low_factor;
    info_.accuracy_high = model_.high_factor;
    info_.accuracy_basis = model_.basis;
  }

  const SourceInfo& info() const override { return info_; }

  Reading read(const Clock& clock) override {
    Reading reading;
    const std::int64_t before = clock.boottime_ns();
    last_load_ = load_->read();
    const MachineLoad& load = last_load_;
    reading.boottime_ns = before + (clock.boottime_ns() - before) / 2;
    const std::int64_t awake_ns = clock.monotonic_ns();
    if (!load.valid) {
      reading.error_number = EIO;
      return reading;
    }
    if (!has_anchor_) set_anchor(awake_ns, load.busy_seconds);
    // Suspended time draws next to nothing and is not in the monotonic clock.
    const double seconds = static_cast<double>(awake_ns - anchor_ns_) * 1e-9;
    const double open_joules =
        seconds > 0 ? seconds * watts(load.busy_seconds - anchor_busy_seconds_, seconds) : 0;
    const double total = joules_ + open_joules;
    if (awake_ns - anchor_ns_ >= kAverageNs) {
      joules_ = total;
      set_anchor(awake_ns, load.busy_seconds);
    }
    last_joules_ = std::max(last_joules_, total);
    reading.value = last_joules_;
    reading.valid = true;
    return reading;
  }

  const MachineLoad& last_load() const { return last_load_; }

  void reset() override {
    joules_ = last_joules_;
    has_anchor_ = false;
  }

 private:
  void set_anchor(std::int64_t awake_ns, double busy_seconds) {
    anchor_ns_ = awake_ns;
    anchor_busy_seconds_ = busy_seconds;
    has_anchor_ = true;
  }
  double watts(double busy_seconds, double seconds) const {
    const double share = model_.slice_cpus > 0 ? busy_seconds / (seconds * model_.slice_cpus) : 0;
    return part_ == Part::cpu ? model_.cpu_watts(share) : model_.memory_watts(share);
  }

  PowerModel model_;
  std::unique_ptr<MachineLoadReader> load_;
  Part part_;
  MachineLoad last_load_;
  SourceInfo info_;
  bool has_anchor_ = false;
  std::int64_t anchor_ns_ = 0;
  double anchor_busy_seconds_ = 0;
  /// Up to the anchor.
  double joules_ = 0;
  double last_joules_ = 0;
};

}  // namespace

std::unique_ptr<Source> make_model_source(PowerModel model, std::unique_ptr<MachineLoadReader> load) {
  return std::make_unique<ModelSource>(std::move(model), std::move(load), ModelSource::Part::cpu);
}

const MachineLoad* last_load_of(const Source& source) {
  const auto* model = dynamic_cast<const ModelSource*>(&source);
  return model != nullptr ? &model->last_load() : nullptr;
}

std::unique_ptr<Source> make_memory_model_source(PowerModel model, std::unique_ptr<MachineLoadReader> load) {
  return std::make_unique<ModelSource>(std::move(model), std::move(load), ModelSource::Part::memory);
}

}  // namespace joulery::power
