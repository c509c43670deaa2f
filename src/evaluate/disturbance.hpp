#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/measure.hpp"
#include "evaluate/grouped_mean.hpp"

namespace joulery::evaluate {

/// What is known of a machine's speed from earlier benches on it; empty for a first one.
struct SpeedHistory {
  /// Cycles that the probe's work took while nobody disturbed, and the clock: one of each for every bench.
  std::vector<double> work_cycles = {};
  std::vector<double> hertz = {};
};

/// A block in slices, with the core's speed before the first and after each.
struct SlicedBlock {
  std::vector<engine::Slice> slices;
  std::vector<engine::CoreSpeed> speeds;
};

/// Which part of the blocks counts, and at what clock.
struct SpeedReport {
  /// For each block: enough of it was undisturbed. All of them if `always_disturbed`.
  std::vector<bool> counts;
  std::size_t disturbed = 0;
  /// Too few blocks were undisturbed to rest a figure on them: all of every block counts.
  bool always_disturbed = false;
  /// Part of the blocks' time that counts.
  double share = 1;
  /// Cycles that the work takes when nobody disturbs: of this bench alone, and of earlier ones too.
  double own_work_cycles = 0;
  double quiet_work_cycles = 0;
  /// How much more they were on average in what counts; 1 if undisturbed.
  double slowdown = 1;
  /// Mean over what counts.
  double hertz = 0;
  /// The median clock of benches on this machine, this one included, whose clock was near. CPU-seconds are
  /// given at this one.
  double usual_hertz = 0;
  bool at_other_clock() const { return usual_hertz != hertz; }
  std::size_t undisturbed() const { return counts.size() - disturbed; }
};

/// A slice does not count if the work took so much longer than when nobody disturbs, before or after it or
/// one of its neighbours: by itself it differs by some 1 % from one moment to the next, and another thread on
/// the same core makes it 30 to 60 % more.
constexpr double kDisturbed = 1.06;
/// Of a block at least so much must be left, or half of it if that is less.
constexpr double kLeastSeconds = 0.004;
/// Clocks within this part of each other are those of one state of the machine, and CPU time goes with 1 over
/// the clock between them. Beyond it (on battery, say) the machine is another one.
constexpr double kSameClock = 0.1;
/// What repetition within one bench does not show: where two benches on an idle machine still differ. Benches
/// had a standard deviation of 0.6 to 0.9 % in all (bench/agreement.py), of which repetition shows a part.
constexpr double kBetweenBenches = 0.01;

/// `sides`: as many blocks of each side, those of one number side by side; if too little is left of one, none
/// of them counts. With fewer undisturbed ones than `least_undisturbed` all of every block counts.
SpeedReport judge_speed(std::span<const std::span<const SlicedBlock>> sides, const SpeedHistory& history,
                        std::size_t least_undisturbed);

/// Times per inference of the blocks that count, from their slices that count, as they would be at the usual
/// clock.
struct CountedTimes {
  GroupedValues cpu;
  GroupedValues wall;
};
/// `group_starts`: the first block of each group; groups that have none that counts are left out. `batch`:
/// inferences of a call.
CountedTimes counted_times(std::span<const SlicedBlock> blocks, std::span<const std::size_t> group_starts,
                           double batch, const SpeedReport& report);

/// Widened by what two benches differ by, and, of a bench that was disturbed all the time, to below by as
/// much as the work was slowed: small models were slowed by its 0.4th to first power.
Figure with_speed_doubt(Figure figure, const SpeedReport& report);

}  // namespace joulery::evaluate
