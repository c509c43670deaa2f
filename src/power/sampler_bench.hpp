#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "power/fake_tree.hpp"
#include "power/sampler.hpp"

namespace joulery::power {

constexpr double kWrap = 262143.32885;

inline SourceInfo package_info(const std::string& id = "rapl:package-0", const std::string& parent = "") {
  SourceInfo info;
  info.device_id = id;
  info.parent_id = parent;
  info.via = "powercap";
  info.resolution_joules = 61e-6;
  info.update_seconds = 0.001;
  info.wrap_joules = kWrap;
  info.max_plausible_watts = 500;
  return info;
}

/// A sampler on counters that a test moves.
struct Bench {
  std::shared_ptr<FakeCounter> add(SourceInfo info, double value) {
    auto counter = std::make_shared<FakeCounter>();
    counter->info = std::move(info);
    counter->value = value;
    counters.push_back(counter);
    return counter;
  }
  void start() {
    std::vector<std::unique_ptr<Source>> sources;
    sources.reserve(counters.size());
    for (const auto& counter : counters) sources.push_back(std::make_unique<FakeSource>(counter));
    sampler = std::make_unique<Sampler>(std::move(sources), clock);
    sampler->start();
  }
  /// Starts with one package, of which one window of `joules` is known.
  std::shared_ptr<FakeCounter> start_package(double joules = 40) {
    auto counter = add(package_info(), 5000);
    start();
    step({joules});
    return counter;
  }
  /// Starts with packages 0, 1 … whose counters stand at these values.
  void start_packages(std::initializer_list<double> values) {
    for (const double value : values)
      add(package_info("rapl:package-" + std::to_string(counters.size())), value);
    start();
  }
  const Tick& tick(double seconds = 1) {
    clock.advance_seconds(seconds);
    return sampler->tick();
  }
  bool flagged(SampleFlag flag, std::size_t index = 0) const { return has_flag(last_flags(index), flag); }
  std::uint32_t last_flags(std::size_t index) const { return last->devices[index].flags; }
  const Tick& step(std::initializer_list<double> joules, double seconds = 1) {
    std::size_t i = 0;
    for (const double energy : joules) {
      auto& counter = *counters[i++];
      counter.value += energy;
      if (counter.info.wrap_joules > 0 && counter.value >= counter.info.wrap_joules) {
        counter.value -= counter.info.wrap_joules;
      }
    }
    last = &tick(seconds);
    return *last;
  }
  /// The machine's energy over so many equal windows.
  double steps(int count, std::initializer_list<double> joules) {
    double machine = 0;
    for (int i = 0; i < count; ++i) machine += step(joules).machine_joules;
    return machine;
  }
  ManualClock clock;
  std::vector<std::shared_ptr<FakeCounter>> counters;
  std::unique_ptr<Sampler> sampler;
  const Tick* last = nullptr;
};

}  // namespace joulery::power
