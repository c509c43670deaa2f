#include "app/power_profile.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace joulery::app {
namespace {

/// Times are stored to 0.1 ms: in a shorter window than this, power would be made of rounding.
constexpr std::int64_t kShortestWindowNs = 1'000'000;

std::int64_t first_edge(std::span<const record::PowerSample> samples, std::int64_t start_ns) {
  const std::int64_t end = samples.front().boottime_ns;
  if (start_ns > 0 && start_ns <= end) return start_ns;
  // The first window is then taken to be as long as the second.
  return samples.size() > 1 ? end - std::max<std::int64_t>(0, samples[1].boottime_ns - end) : end;
}

double seconds_between(std::int64_t from, std::int64_t to) {
  return static_cast<double>(to - from) / 1e9;
}

/// Gathers windows into points of equal length; one window may span many points, and a point many windows.
class Gatherer {
 public:
  Gatherer(double length, std::size_t count) : length_(length), cells_(count) {}
  void add(double start, double end, double watts) {
    const std::size_t first = cell_of(start);
    const std::size_t last = cell_of(std::nextafter(end, start));
    for (std::size_t i = first; i <= last; ++i) {
      const double from = std::max(start, static_cast<double>(i) * length_);
      const double to = std::min(end, static_cast<double>(i + 1) * length_);
      if (to <= from) continue;
      Cell& cell = cells_[i];
      cell.seconds += to - from;
      cell.joules += watts * (to - from);
      cell.low = std::min(cell.low, watts);
      cell.high = std::max(cell.high, watts);
    }
  }
  std::vector<PowerPoint> points() const {
    std::vector<PowerPoint> points;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      const Cell& cell = cells_[i];
      if (cell.seconds <= 0) continue;
      points.push_back({.start_seconds = static_cast<double>(i) * length_,
                        .end_seconds = static_cast<double>(i + 1) * length_,
                        .low_watts = cell.low,
                        .high_watts = cell.high,
                        .mean_watts = std::clamp(cell.joules / cell.seconds, cell.low, cell.high)});
    }
    return points;
  }

 private:
  struct Cell {
    double seconds = 0;
    double joules = 0;
    double low = std::numeric_limits<double>::infinity();
    double high = 0;
  };
  std::size_t cell_of(double seconds) const {
    return std::min(static_cast<std::size_t>(std::max(0.0, seconds / length_)), cells_.size() - 1);
  }
  double length_;
  std::vector<Cell> cells_;
};

}  // namespace

PowerProfile profile_power(std::span<const record::PowerSample> samples, std::int64_t start_ns,
                           std::size_t most_points) {
  PowerProfile profile;
  profile.samples = samples.size();
  if (samples.empty()) return profile;
  const std::int64_t origin = first_edge(samples, start_ns);
  std::int64_t last = origin;
  for (const record::PowerSample& sample : samples) last = std::max(last, sample.boottime_ns);
  profile.seconds = seconds_between(origin, last);
  const bool each_its_own = samples.size() <= most_points;
  Gatherer gatherer(std::max(profile.seconds, 1e-9) / static_cast<double>(most_points), most_points);
  std::int64_t edge = origin;
  for (const record::PowerSample& sample : samples) {
    profile.joules += sample.joules;
    const std::int64_t start = edge;
    edge = std::max(edge, sample.boottime_ns);
    if (edge - start < kShortestWindowNs) continue;
    const double from = seconds_between(origin, start);
    const double to = seconds_between(origin, edge);
    const double watts = sample.joules / (to - from);
    if (watts > profile.peak_watts) {
      profile.peak_watts = watts;
      profile.peak_at_seconds = (from + to) / 2;
    }
    if (each_its_own) {
      profile.points.push_back({.start_seconds = from,
                                .end_seconds = to,
                                .low_watts = watts,
                                .high_watts = watts,
                                .mean_watts = watts});
    } else {
      gatherer.add(from, to, watts);
    }
  }
  if (!each_its_own) profile.points = gatherer.points();
  if (profile.seconds > 0) profile.mean_watts = profile.joules / profile.seconds;
  return profile;
}

std::vector<record::PowerSample> add_power(std::span<const std::span<const record::PowerSample>> devices,
                                           std::int64_t start_ns) {
  struct Place {
    std::span<const record::PowerSample> samples;
    std::size_t next = 0;
    std::int64_t edge = 0;  // start of the window `next`
    double given = 0;       // of that window's energy
    std::int64_t from = 0;  // and up to when
  };
  std::vector<Place> places;
  for (const auto& samples : devices) {
    if (samples.empty()) continue;
    const std::int64_t edge = first_edge(samples, start_ns);
    places.push_back({.samples = samples, .next = 0, .edge = edge, .given = 0, .from = edge});
  }
  std::vector<record::PowerSample> sum;
  while (true) {
    std::int64_t until = std::numeric_limits<std::int64_t>::max();
    for (const Place& place : places) {
      if (place.next < place.samples.size()) until = std::min(until, place.samples[place.next].boottime_ns);
    }
    if (until == std::numeric_limits<std::int64_t>::max()) return sum;
    record::PowerSample window{.boottime_ns = until, .joules = 0, .flags = 0};
    for (Place& place : places) {
      if (place.next >= place.samples.size() || until < place.edge) continue;
      const record::PowerSample& sample = place.samples[place.next];
      if (sample.boottime_ns <= until) {
        window.joules += sample.joules - place.given;
        place.given = 0;
        place.edge = std::max(place.edge, sample.boottime_ns);
        place.from = place.edge;
        ++place.next;
      } else {
        const double part = sample.joules * static_cast<double>(until - place.from) /
                            static_cast<double>(sample.boottime_ns - place.edge);
        window.joules += part;
        place.given += part;
        place.from = until;
      }
      window.flags |= sample.flags;
    }
    sum.push_back(window);
  }
}

}  // namespace joulery::app
