#include "evaluate/disturbance.hpp"

#include <algorithm>
#include <cmath>

namespace joulery::evaluate {
namespace {

/// Of a bench: so many of its moments, three at least, were as quiet to this part. No CPU is faster than it
/// is, so that few are enough; what is lower still and by itself is an error of the clock.
constexpr double kQuiet = 0.05;
constexpr std::size_t kLeastQuiet = 3;
constexpr double kAsQuiet = 0.02;
/// Of benches: a quarter of them. One on a machine that was busy throughout does not change it, and after a
/// change of the machine the new ones carry it in time.
constexpr double kQuietBenches = 0.25;

double quantile(std::vector<double> values, double probability) {
  const auto rank = static_cast<std::ptrdiff_t>(probability * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + rank);
  return values[static_cast<std::size_t>(rank)];
}

double usual_clock(double own, std::span<const double> earlier) {
  std::vector<double> near{own};
  for (const double hertz : earlier) {
    if (std::abs(hertz - own) <= kSameClock * own) near.push_back(hertz);
  }
  return quantile(std::move(near), 0.5);
}

/// The lowest level at which enough moments lie together.
double quiet_level(std::vector<double> moments) {
  std::ranges::sort(moments);
  const auto share = static_cast<std::size_t>(std::ceil(kQuiet * static_cast<double>(moments.size())));
  const std::size_t together = std::min(std::max(share, kLeastQuiet), moments.size());
  for (std::size_t i = 0; i + together <= moments.size(); ++i) {
    if (moments[i + together - 1] <= (1 + kAsQuiet) * moments[i]) return moments[i + together / 2];
  }
  return quantile(std::move(moments), kQuiet);
}

double quiet_work(std::span<const std::span<const SlicedBlock>> sides) {
  std::vector<double> moments;
  for (const std::span<const SlicedBlock> side : sides) {
    for (const SlicedBlock& block : side) {
      for (const engine::CoreSpeed& speed : block.speeds) moments.push_back(speed.work_cycles);
    }
  }
  return quiet_level(std::move(moments));
}

bool slice_counts(const SlicedBlock& block, std::size_t slice, const SpeedReport& report) {
  const double most = kDisturbed * report.quiet_work_cycles;
  if (report.always_disturbed) return true;
  // What disturbs comes and goes within milliseconds, so that two quiet moments alone may be chance.
  const std::size_t first = slice > 0 ? slice - 1 : 0;
  const std::size_t last = std::min(slice + 2, block.speeds.size() - 1);
  for (std::size_t i = first; i <= last; ++i) {
    if (block.speeds[i].work_cycles > most) return false;
  }
  return true;
}

double hertz_of(const SlicedBlock& block, std::size_t slice) {
  return (block.speeds[slice].hertz + block.speeds[slice + 1].hertz) / 2;
}

bool enough_is_left(const SlicedBlock& block, const SpeedReport& report) {
  double left = 0;
  double all = 0;
  for (std::size_t i = 0; i < block.slices.size(); ++i) {
    all += block.slices[i].wall_seconds;
    if (slice_counts(block, i, report)) left += block.slices[i].wall_seconds;
  }
  return left > 0 && left >= std::min(kLeastSeconds, all / 2);
}

/// Share, slowdown and clock of what counts.
void describe(std::span<const std::span<const SlicedBlock>> sides, SpeedReport& report) {
  double all = 0;
  double counted = 0;
  double hertz = 0;
  double work = 0;
  for (const std::span<const SlicedBlock> side : sides) {
    for (std::size_t i = 0; i < side.size(); ++i) {
      const SlicedBlock& block = side[i];
      for (std::size_t j = 0; j < block.slices.size(); ++j) {
        const double seconds = block.slices[j].wall_seconds;
        all += seconds;
        if (!report.counts[i] || !slice_counts(block, j, report)) continue;
        counted += seconds;
        hertz += seconds * hertz_of(block, j);
        work += seconds * (block.speeds[j].work_cycles + block.speeds[j + 1].work_cycles) / 2;
      }
    }
  }
  if (!(counted > 0)) return;
  report.share = counted / all;
  report.hertz = hertz / counted;
  if (report.always_disturbed) report.slowdown = std::max(1.0, work / counted / report.quiet_work_cycles);
}

}  // namespace

SpeedReport judge_speed(std::span<const std::span<const SlicedBlock>> sides, const SpeedHistory& history,
                        std::size_t least_undisturbed) {
  SpeedReport report;
  const std::size_t blocks = sides.empty() ? 0 : sides[0].size();
  report.counts.assign(blocks, true);
  if (blocks == 0) return report;
  report.own_work_cycles = quiet_work(sides);
  report.quiet_work_cycles = report.own_work_cycles;
  if (!history.work_cycles.empty()) {
    report.quiet_work_cycles = std::min(report.own_work_cycles, quantile(history.work_cycles, kQuietBenches));
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    report.counts[i] = std::ranges::all_of(
        sides, [&](std::span<const SlicedBlock> side) { return enough_is_left(side[i], report); });
    if (!report.counts[i]) ++report.disturbed;
  }
  if (report.disturbed > 0 && report.undisturbed() < least_undisturbed) {
    report.always_disturbed = true;
    report.counts.assign(blocks, true);
  }
  describe(sides, report);
  report.usual_hertz = usual_clock(report.hertz, history.hertz);
  return report;
}

CountedTimes counted_times(std::span<const SlicedBlock> blocks, std::span<const std::size_t> group_starts,
                           double batch, const SpeedReport& report) {
  CountedTimes times;
  std::size_t group = 0;
  bool begun = false;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (group < group_starts.size() && group_starts[group] == i) {
      ++group;
      begun = false;
    }
    if (!report.counts[i]) continue;
    double inferences = 0;
    double cpu = 0;
    double wall = 0;
    for (std::size_t j = 0; j < blocks[i].slices.size(); ++j) {
      if (!slice_counts(blocks[i], j, report)) continue;
      const engine::Slice& slice = blocks[i].slices[j];
      const double factor = hertz_of(blocks[i], j) / report.usual_hertz;
      inferences += batch * static_cast<double>(slice.calls);
      cpu += factor * slice.cpu_seconds;
      wall += factor * slice.wall_seconds;
    }
    for (GroupedValues* values : {&times.cpu, &times.wall}) {
      if (!begun) values->begin_group();
    }
    begun = true;
    times.cpu.values.push_back(cpu / inferences);
    times.wall.values.push_back(wall / inferences);
  }
  return times;
}

Figure with_speed_doubt(Figure figure, const SpeedReport& report) {
  if (!figure.has_interval || !(figure.value > 0 && figure.low > 0)) return figure;
  const auto widened = [&](double bound) {
    return std::hypot(std::log(bound / figure.value), kBetweenBenches);
  };
  const double below = widened(figure.low);
  const double above = widened(figure.high);
  figure.low = figure.value * std::exp(-below) / report.slowdown;
  figure.high = figure.value * std::exp(above);
  return figure;
}

}  // namespace joulery::evaluate
