#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "meter/accounting.hpp"

// Synthetic schedules whose truth is known: at each moment the workload, a second metered run and everything
// else keep some part of the CPUs busy, and the machine draws idle + active(busy).
namespace joulery::meter {
namespace {

struct Phase {
  double seconds;
  double workload;  // CPUs kept busy
  double second;
  double other;
  double busy() const { return workload + second + other; }
};

struct Machine {
  double idle_watts;
  double watts_per_cpu;
  /// Watts above idle per CPU fall (< 0) or rise (> 0) by this part up to full load.
  double bend;
  static constexpr double kCpus = 6;
  double active_watts(double busy) const { return watts_per_cpu * busy * (1 + bend * busy / kCpus); }
};

double fraction() {
  return *rc::gen::inRange(0, 1001) / 1000.0;
}

std::vector<Phase> random_schedule() {
  const int count = *rc::gen::inRange(1, 40);
  std::vector<Phase> phases;
  for (int i = 0; i < count; ++i) {
    // Whole phases in which somebody does nothing are the ones that break divisions.
    const auto part = [] { return *rc::gen::inRange(0, 3) == 0 ? 0.0 : 2 * fraction(); };
    phases.push_back({.seconds = 5 * fraction(), .workload = part(), .second = part(), .other = part()});
  }
  return phases;
}

Machine random_machine(double bend) {
  return {1 + 200 * fraction(), 0.1 + 40 * fraction(), bend};
}

enum class Whose { workload, second };

EnergySplit meter(const std::vector<Phase>& phases, const Machine& machine, IdlePolicy policy, Whose whose) {
  EnergyAccount account;
  double end_seconds = 0;
  for (const auto& phase : phases) {
    const double own = whose == Whose::workload ? phase.workload : phase.second;
    // Each phase in seconds of its own.
    end_seconds = std::floor(end_seconds) + 1;
    account.add({.seconds = phase.seconds,
                 .end_seconds = end_seconds,
                 .machine_joules = phase.seconds * (machine.idle_watts + machine.active_watts(phase.busy())),
                 .busy_seconds = phase.seconds * phase.busy(),
                 .workload_seconds = phase.seconds * own});
  }
  return account.split(machine.idle_watts, policy);
}

bool near(double a, double b, double scale) {
  return std::abs(a - b) <= 1e-9 * std::max(1.0, scale);
}

TEST(EnergyAccountProperty, LinearMachineIsSplitExactly) {
  EXPECT_TRUE(rc::check("active, other and idle are the truth", [] {
    const auto phases = random_schedule();
    const Machine machine = random_machine(0);
    const auto split = meter(phases, machine, IdlePolicy::proportional, Whose::workload);
    double active = 0;
    double other = 0;
    double idle = 0;
    for (const auto& phase : phases) {
      active += phase.seconds * machine.watts_per_cpu * phase.workload;
      other += phase.seconds * machine.watts_per_cpu * (phase.second + phase.other);
      idle += phase.seconds * machine.idle_watts;
    }
    RC_ASSERT(near(split.active_joules, active, split.machine_joules));
    RC_ASSERT(near(split.other_active_joules, other, split.machine_joules));
    RC_ASSERT(near(split.idle_joules, idle, split.machine_joules));
  }));
}

TEST(EnergyAccountProperty, BentMachineIsSplitBetweenAloneAndOnTop) {
  // What a run costs on a machine whose power bends has two answers: as if alone, and on top of the rest.
  // Ours lies between them, in the middle for this curve, and no further from either than the bend.
  EXPECT_TRUE(rc::check("active lies between the two truths", [] {
    const auto phases = random_schedule();
    const double bend = 0.4 * fraction() - 0.2;
    const Machine machine = random_machine(bend);
    const auto split = meter(phases, machine, IdlePolicy::none, Whose::workload);
    double alone = 0;
    double on_top = 0;
    double linear = 0;
    for (const auto& phase : phases) {
      const double rest = phase.second + phase.other;
      alone += phase.seconds * machine.active_watts(phase.workload);
      on_top += phase.seconds * (machine.active_watts(phase.busy()) - machine.active_watts(rest));
      linear += phase.seconds * machine.watts_per_cpu * phase.workload;
    }
    RC_ASSERT(near(split.active_joules, (alone + on_top) / 2, split.machine_joules));
    RC_ASSERT(std::abs(split.active_joules - alone) <=
              std::abs(bend) * linear + 1e-9 * split.machine_joules + 1e-9);
  }));
}

/// Counters as the world gives them: read at different moments, with an idle power that is only believed.
Window noisy_window() {
  const double seconds = *rc::gen::inRange(0, 4) == 0 ? 0.0 : 2 * fraction();
  return {.seconds = seconds,
          .end_seconds = 1000 * fraction(),
          .machine_joules = 100 * fraction() * seconds,
          .busy_seconds = 4 * fraction() * seconds,
          .workload_seconds = 5 * fraction() * seconds};
}

TEST(EnergyAccountProperty, AnyWindowsConserveAndStayPositive) {
  EXPECT_TRUE(rc::check("sums conserve, nothing is negative, policies are ordered", [] {
    const int count = *rc::gen::inRange(1, 60);
    EnergyAccount account;
    double machine = 0;
    for (int i = 0; i < count; ++i) {
      const Window one = noisy_window();
      machine += one.machine_joules;
      account.add(one);
    }
    const double idle_watts = 150 * fraction();
    const EnergySplit none = account.split(idle_watts, IdlePolicy::none);
    const EnergySplit proportional = account.split(idle_watts, IdlePolicy::proportional);
    const EnergySplit all = account.split(idle_watts, IdlePolicy::all);
    for (const EnergySplit& split : {none, proportional, all}) {
      RC_ASSERT(near(split.machine_joules, machine, machine));
      RC_ASSERT(split.active_joules >= 0);
      RC_ASSERT(split.other_active_joules >= 0);
      RC_ASSERT(split.idle_joules >= 0);
      RC_ASSERT(split.idle_share_joules >= 0);
      RC_ASSERT(split.idle_share_joules <= split.idle_joules * (1 + 1e-12));
      RC_ASSERT(near(split.workload_joules, split.active_joules + split.idle_share_joules, machine));
      RC_ASSERT(near(split.active_joules + split.other_active_joules + split.idle_joules, machine, machine));
      RC_ASSERT(split.residual_joules <= 1e-9 * std::max(1.0, machine));
      RC_ASSERT(near(split.active_joules, none.active_joules, machine));
    }
    RC_ASSERT(none.idle_share_joules == 0.0);
    RC_ASSERT(near(all.idle_share_joules, all.idle_joules, machine));
    RC_ASSERT(none.workload_joules <= proportional.workload_joules + 1e-9);
    RC_ASSERT(proportional.workload_joules <= all.workload_joules + 1e-9 * std::max(1.0, machine));
  }));
}

TEST(EnergyAccountProperty, TwoRunsAtOnceNeverClaimMoreThanTheMachine) {
  EXPECT_TRUE(rc::check("shares of idle add up to at most 1, and with the others' to the machine", [] {
    const auto phases = random_schedule();
    const Machine machine = random_machine(0.4 * fraction() - 0.2);
    const auto a = meter(phases, machine, IdlePolicy::proportional, Whose::workload);
    const auto b = meter(phases, machine, IdlePolicy::proportional, Whose::second);
    RC_ASSERT(a.idle_share_joules + b.idle_share_joules <= a.idle_joules * (1 + 1e-9) + 1e-9);
    RC_ASSERT(a.workload_joules + b.workload_joules <= a.machine_joules * (1 + 1e-9) + 1e-9);
    // What is other to one is the second run and the rest: never less than the second run's active part.
    RC_ASSERT(a.other_active_joules >= b.active_joules * (1 - 1e-9) - 1e-9);
  }));
}

TEST(EnergyAccountProperty, TheRateOfSamplingChangesNothing) {
  EXPECT_TRUE(rc::check("one schedule at many rates gives the same split", [] {
    // Whole milliseconds of work and rest, so that every rate below cuts at whole seconds.
    const int seconds = *rc::gen::inRange(1, 6);
    std::vector<Window> milliseconds;
    for (int i = 0; i < seconds * 1000; ++i) {
      const bool busy = *rc::gen::inRange(0, 100) < 3;
      const double workload = busy ? 0.001 * fraction() : 0;
      const double others = *rc::gen::inRange(0, 100) < 2 ? 0.001 * fraction() : 0;
      milliseconds.push_back({.seconds = 0.001,
                              .end_seconds = 0,
                              .machine_joules = 0.01 + 5 * (workload + others),
                              .busy_seconds = workload + others,
                              .workload_seconds = workload});
    }
    std::vector<EnergySplit> splits;
    for (const int at_once : {1, 2, 10, 100, 200, 1000}) {
      EnergyAccount account;
      Window window;
      for (int i = 0; i < seconds * 1000; ++i) {
        const Window& one = milliseconds[static_cast<std::size_t>(i)];
        window.seconds += one.seconds;
        window.machine_joules += one.machine_joules;
        window.busy_seconds += one.busy_seconds;
        window.workload_seconds += one.workload_seconds;
        if ((i + 1) % at_once != 0) continue;
        window.end_seconds = 7 + (i + 1) / 1000.0;
        account.add(window);
        window = {};
      }
      splits.push_back(account.split(5, IdlePolicy::proportional));
    }
    for (const EnergySplit& split : splits) {
      RC_ASSERT(near(split.workload_joules, splits[0].workload_joules, 100));
      RC_ASSERT(near(split.other_active_joules, splits[0].other_active_joules, 100));
      RC_ASSERT(near(split.idle_joules, splits[0].idle_joules, 100));
    }
  }));
}

TEST(EnergyAccountProperty, FinerWindowsOfASteadyLoadChangeNothing) {
  EXPECT_TRUE(rc::check("splitting a window into equal parts gives the same sums", [] {
    const Window whole = noisy_window();
    const int parts = *rc::gen::inRange(1, 50);
    EnergyAccount coarse;
    EnergyAccount fine;
    const double idle_watts = 150 * fraction();
    coarse.add(whole);
    for (int i = 0; i < parts; ++i) {
      fine.add({.seconds = whole.seconds / parts,
                .end_seconds = 0,
                .machine_joules = whole.machine_joules / parts,
                .busy_seconds = whole.busy_seconds / parts,
                .workload_seconds = whole.workload_seconds / parts});
    }
    RC_ASSERT(near(coarse.split(idle_watts, IdlePolicy::proportional).workload_joules,
                   fine.split(idle_watts, IdlePolicy::proportional).workload_joules, whole.machine_joules));
    RC_ASSERT(near(coarse.split(idle_watts, IdlePolicy::proportional).other_active_joules,
                   fine.split(idle_watts, IdlePolicy::proportional).other_active_joules,
                   whole.machine_joules));
  }));
}

}  // namespace
}  // namespace joulery::meter
