#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "power/fake_tree.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

constexpr double kResolution = 61e-6;
constexpr double kMostWatts = 400;

/// One window: how long, how much is drawn, and which devices can be read at its end.
struct Step {
  double seconds;
  double watts;
  bool readable;
};

rc::Gen<Step> any_step() {
  return rc::gen::apply(
      [](int milliseconds, int watts, int luck) {
        return Step{milliseconds / 1000.0, static_cast<double>(watts), luck != 0};
      },
      rc::gen::inRange(1, 2000), rc::gen::inRange(1, static_cast<int>(kMostWatts)), rc::gen::inRange(0, 4));
}

/// A register with 32 bits: steps of the resolution, starts again at the wrap.
double as_counter(double joules, double wrap) {
  return std::fmod(std::floor(joules / kResolution) * kResolution, wrap);
}

std::shared_ptr<FakeCounter> counter(const std::string& id, const std::string& parent, double wrap) {
  auto result = std::make_shared<FakeCounter>();
  result->info.device_id = id;
  result->info.parent_id = parent;
  result->info.via = "powercap";
  result->info.resolution_joules = kResolution;
  result->info.update_seconds = 0.001;
  result->info.wrap_joules = wrap;
  result->info.max_plausible_watts = 2 * kMostWatts;
  return result;
}

TEST(SamplerProperty, TotalIsTheTruthWhateverWrapsAndGapsThereAre) {
  const bool ok = rc::check("total equals truth", [] {
    // A wrap takes at least 20 s at full power, and gaps are shorter.
    const double wrap = std::floor(*rc::gen::inRange(20'000, 80'000) / kResolution) * kResolution;
    const double start = *rc::gen::inRange(0, 1'000'000) * wrap / 1e6;
    auto steps = *rc::gen::container<std::vector<Step>>(any_step());
    ManualClock clock;
    auto device = counter("rapl:package-0", "", wrap);
    double truth = start;
    device->value = as_counter(truth, wrap);
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(std::make_unique<FakeSource>(device));
    Sampler sampler(std::move(sources), clock);
    sampler.start();
    double gap_seconds = 0;
    double machine = 0;
    const auto run = [&](const Step& step) {
      truth += step.watts * step.seconds;
      device->value = as_counter(truth, wrap);
      gap_seconds = step.readable ? 0 : gap_seconds + step.seconds;
      device->valid = step.readable || gap_seconds > 20;
      if (device->valid) gap_seconds = 0;
      clock.advance_seconds(step.seconds);
      const Tick& tick = sampler.tick();
      RC_ASSERT(tick.machine_joules >= 0);
      RC_ASSERT(tick.devices[0].joules >= 0);
      machine += tick.machine_joules;
    };
    for (const Step& step : steps) run(step);
    // What was bridged too high is paid back as the device goes on.
    while (true) {
      run({1, kMostWatts - 1, true});
      if (sampler.total(0).bridged_joules == 0) break;
      RC_ASSERT(machine - (truth - start) <= sampler.total(0).bridged_joules + 2 * kResolution);
    }
    RC_ASSERT(std::abs(machine - (truth - start)) <= 2 * kResolution + 1e-6);
    RC_ASSERT(std::abs(sampler.total(0).joules - machine) < 1e-6);
    RC_ASSERT(sampler.total(0).flag_counts[1] == 0U);
    RC_ASSERT(sampler.total(0).flag_counts[2] == 0U);
  });
  EXPECT_TRUE(ok);
}

TEST(SamplerProperty, RootsNeverCountTwice) {
  const bool ok = rc::check("machine equals the packages and their memory", [] {
    const std::size_t packages = *rc::gen::inRange(1, 5);
    const bool with_psys = *rc::gen::arbitrary<bool>();
    const bool mirrored = *rc::gen::arbitrary<bool>();
    const auto steps = *rc::gen::container<std::vector<Step>>(any_step());
    ManualClock clock;
    std::vector<std::shared_ptr<FakeCounter>> devices;
    std::vector<double> truth;
    truth.reserve(packages);
    // One truth a package; a mirrored one shows the same register everywhere.
    for (std::size_t i = 0; i < packages; ++i)
      truth.push_back(1000 + (mirrored ? 0 : 700.0 * static_cast<double>(i)));
    for (std::size_t i = 0; i < packages; ++i) {
      const std::string id = "rapl:package-" + std::to_string(i);
      devices.push_back(counter(id, with_psys ? "rapl:psys" : "", 262143));
      auto core = counter(id + ":core", id, 262143);
      core->info.scope = Scope::core;
      devices.push_back(core);
    }
    if (with_psys) {
      auto psys = counter("rapl:psys", "", 262143);
      psys->info.scope = Scope::psys;
      psys->info.max_plausible_watts *= 10;
      devices.push_back(psys);
    }
    double platform = 5000;
    const auto show = [&] {
      for (std::size_t i = 0; i < packages; ++i) {
        devices[2 * i]->value = as_counter(truth[i], 262143);
        devices[2 * i + 1]->value = as_counter(truth[i] * 0.6, 262143);
      }
      if (with_psys) devices.back()->value = as_counter(platform, 262143);
    };
    show();
    std::vector<std::unique_ptr<Source>> sources;
    sources.reserve(devices.size());
    for (const auto& device : devices) sources.push_back(std::make_unique<FakeSource>(device));
    Sampler sampler(std::move(sources), clock);
    sampler.start();
    double machine = 0;
    double expected = 0;
    for (const Step& step : steps) {
      double packages_joules = 0;
      for (std::size_t i = 0; i < packages; ++i) {
        // Packages are never within a thousandth of each other, unless they are one.
        const double joules = step.watts * step.seconds * (mirrored ? 1.0 : 1 - 0.1 * static_cast<double>(i));
        truth[i] += joules;
        if (!mirrored || i == 0) packages_joules += joules;
      }
      platform += packages_joules * 1.5;
      expected += with_psys ? packages_joules * 1.5 : packages_joules;
      show();
      clock.advance_seconds(step.seconds);
      machine += sampler.tick().machine_joules;
    }
    double roots = 0;
    for (std::size_t i = 0; i < sampler.device_count(); ++i) {
      if (sampler.is_root(i)) roots += sampler.total(i).joules;
    }
    RC_ASSERT(std::abs(machine - expected) <= 10 * kResolution + 1e-6);
    RC_ASSERT(std::abs(roots - machine) < 1e-6);
  });
  EXPECT_TRUE(ok);
}

/// Devices inside each other in any way, read in any order, some of them dead from the start: what is alive
/// and inside nothing alive counts, and nothing else does.
TEST(SamplerProperty, AnyTreeCountsWhatIsDrawnOnce) {
  struct Node {
    std::size_t parent = 0;  // itself: a root
    bool dead = false;
    double own_watts = 0;
    double watts = 0;
    double counted_watts = 0;
  };
  const bool ok = rc::check("each once", [] {
    const auto count = *rc::gen::inRange<std::size_t>(1, 9);
    std::vector<Node> nodes(count);
    for (std::size_t i = 0; i < count; ++i) {
      nodes[i].parent = *rc::gen::inRange<std::size_t>(0, i + 1);
      nodes[i].dead = *rc::gen::inRange(0, 4) == 0;
      nodes[i].own_watts = *rc::gen::inRange(1, 40);
    }
    double expected_watts = 0;
    // Parents come before their parts.
    for (std::size_t i = count; i-- > 0;) {
      nodes[i].watts += nodes[i].own_watts;
      if (!nodes[i].dead) nodes[i].counted_watts = nodes[i].watts;
      if (nodes[i].parent == i) {
        expected_watts += nodes[i].counted_watts;
      } else {
        nodes[nodes[i].parent].watts += nodes[i].watts;
        nodes[nodes[i].parent].counted_watts += nodes[i].counted_watts;
      }
    }
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = count; i > 1; --i)
      std::swap(order[i - 1], order[*rc::gen::inRange<std::size_t>(0, i)]);
    std::vector<std::shared_ptr<FakeCounter>> devices(count);
    std::vector<std::unique_ptr<Source>> sources;
    for (const std::size_t i : order) {
      const std::string parent = nodes[i].parent == i ? "" : "device-" + std::to_string(nodes[i].parent);
      devices[i] = counter("device-" + std::to_string(i), parent, 0);
      devices[i]->value = 1000.0 * static_cast<double>(i + 1);
      sources.push_back(std::make_unique<FakeSource>(devices[i]));
    }
    ManualClock clock;
    Sampler sampler(std::move(sources), clock);
    sampler.start();
    constexpr int kTicks = 20;
    double machine = 0;
    for (int tick = 0; tick < kTicks; ++tick) {
      clock.advance_seconds(1);
      for (std::size_t i = 0; i < count; ++i) {
        if (!nodes[i].dead) devices[i]->value += nodes[i].watts;
      }
      const double joules = sampler.tick().machine_joules;
      RC_ASSERT(joules >= -1e-9);
      machine += joules;
    }
    machine += sampler.settle();
    RC_ASSERT(std::abs(machine - kTicks * expected_watts) < 1e-6);
  });
  EXPECT_TRUE(ok);
}

TEST(SamplerProperty, HostileCountersNeverGiveNegativeOrEndlessEnergy) {
  const bool ok = rc::check("bounded", [] {
    ManualClock clock;
    auto device = counter("rapl:package-0", "", 1000);
    device->value = *rc::gen::inRange(0, 5000);
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(std::make_unique<FakeSource>(device));
    Sampler sampler(std::move(sources), clock);
    sampler.start();
    double seconds = 0;
    for (int i = 0; i < 100; ++i) {
      device->value =
          *rc::gen::element(0.0, -5.0, 1e300, 999.0, 1000.0, 1001.0, std::nan(""), HUGE_VAL, 1.0) +
          *rc::gen::inRange(0, 1000);
      device->valid = *rc::gen::inRange(0, 5) != 0;
      const double step = *rc::gen::inRange(0, 1000) / 1000.0;
      clock.advance_seconds(step);
      seconds += step;
      const Tick& tick = sampler.tick();
      RC_ASSERT(tick.machine_joules >= 0);
      RC_ASSERT(std::isfinite(tick.machine_joules));
    }
    // What is not believed is bridged with what was, so that the bound on power holds for the whole (a stale
    // counter may catch up, hence the second time).
    RC_ASSERT(sampler.total(0).joules <= 2 * 2 * kMostWatts * (seconds + 100 * 0.001) + 100 * kResolution);
  });
  EXPECT_TRUE(ok);
}

TEST(SamplerProperty, NoPowerSupplyCountsBesideWhatItFeeds) {
  const bool ok = rc::check("supplies or packages", [] {
    ManualClock clock;
    std::vector<std::shared_ptr<FakeCounter>> devices;
    const bool metered = *rc::gen::arbitrary<bool>();
    const int supplies = *rc::gen::inRange(1, 4);
    const int packages = *rc::gen::inRange(1, 3);
    std::vector<double> watts;
    const auto add = [&](const std::string& id, const std::string& parent, bool is_supply) {
      auto device = counter(id, parent, 0);
      device->info.is_supply = is_supply;
      device->info.max_plausible_watts = 20'000;
      devices.push_back(device);
      // Dead ones too.
      watts.push_back(*rc::gen::element(0, 1, 40, 150, 400));
    };
    if (metered) add("meter", "", false);
    for (int i = 0; i < supplies; ++i) add("supply-" + std::to_string(i), metered ? "meter" : "", true);
    for (int i = 0; i < packages; ++i) add("package-" + std::to_string(i), "supply-0", false);
    std::vector<std::unique_ptr<Source>> sources;
    for (const auto& device : devices) sources.push_back(std::make_unique<FakeSource>(device));
    Sampler sampler(std::move(sources), clock);
    sampler.start();
    double machine = 0;
    const auto check = [&] {
      double counted = 0;
      bool by_meter = false;
      bool by_supply = false;
      bool by_package = false;
      for (std::size_t i = 0; i < devices.size(); ++i) {
        if (!sampler.is_root(i)) continue;
        counted += sampler.total(i).joules;
        (devices[i]->info.device_id == "meter" ? by_meter
         : devices[i]->info.is_supply          ? by_supply
                                               : by_package) = true;
      }
      RC_ASSERT(int{by_meter} + int{by_supply} + int{by_package} <= 1);
      RC_ASSERT(std::abs(machine - counted) < 1e-6 * std::max(1.0, counted));
    };
    const int seconds = *rc::gen::inRange(1, 30);
    for (int second = 0; second < seconds; ++second) {
      for (std::size_t i = 0; i < devices.size(); ++i) devices[i]->value += watts[i];
      clock.advance_seconds(1);
      machine += sampler.tick().machine_joules;
      check();
    }
    machine += sampler.settle();
    check();
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace joulery::power
