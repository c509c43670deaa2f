#include "power/fallback_source.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

namespace joulery::power {
namespace {

/// A counter is given this long, and this many of its updates, to move.
constexpr double kLeastStillSeconds = 0.3;
constexpr double kStillUpdates = 10;
/// What it should have shown meanwhile: this many of its steps, and at least this much.
constexpr double kMissedSteps = 4;
constexpr double kLeastMissedJoules = 0.05;
/// Power is taken to have gone evenly from one reading to the next over this long, and over this many of its
/// updates; over less if readings in between have failed.
constexpr double kEvenSeconds = 1;
constexpr double kEvenUpdates = 10;
constexpr double kEvenPartOverFailures = 0.5;
constexpr const char* kStoodStill = "stood still";
constexpr const char* kDisbelieved = "seems to count in a wrong unit: it is many times off from its power";

class FallbackSource final : public Source {
 public:
  FallbackSource(std::unique_ptr<Source> counter, std::unique_ptr<Source> power)
      : counter_(std::move(counter)), power_(std::move(power)), info_(counter_->info()) {
    const SourceInfo& power_info = power_->info();
    // Made now, because reads allocate nothing.
    info_.integrated_because.reserve(std::max(std::strlen(kStoodStill), std::strlen(kDisbelieved)));
    integrated_via_ = power_info.via + ", power summed over time";
    integrated_basis_ = power_info.accuracy_basis;
    if (!integrated_basis_.empty()) integrated_basis_ += "; ";
    integrated_basis_ += "its energy counter ";
    disbelieved_basis_ = integrated_basis_ + kDisbelieved;
    integrated_basis_ += kStoodStill;
  }

  const SourceInfo& info() const override { return info_; }
  SourceInfo* edit_info() override { return &info_; }

  Reading read(const Clock& clock) override {
    if (switched_) return read_integrated(clock);
    const Reading counter = counter_->read(clock);
    const bool moved = counter.valid && (counter.after_gap || !has_value_ || counter.value != last_value_);
    if (moved) {
      last_value_ = counter.value;
      has_value_ = true;
      missed_ = {};
      // Power is not known before the counter stands still: the time since is the first reading's.
      missed_.monotonic_ns = clock.monotonic_ns();
      return counter;
    }
    const double before = missed_.joules;
    const Reading power = integrate(clock, counter.valid);
    const bool disbelieved = !counter.valid && counter.error_number == ERANGE;
    const bool died = disbelieved || has_died();
    if (died) switch_over(disbelieved);
    if (!died && !power.after_gap) return counter;
    Reading reading = counter;
    reading.value = last_value_;
    reading.valid = true;
    reading.error_number = 0;
    reading.after_gap = power.after_gap;
    if (!died) return reading;
    reading.late_joules = std::min(before, missed_.joules);
    reading.value += missed_.joules;
    return reading;
  }

  void reset() override {
    counter_->reset();
    power_->reset();
    // After a pause, the time between says nothing of power.
    missed_.monotonic_ns = 0;
    missed_.has_watts = false;
    missed_.has_failed = false;
  }

 private:
  /// Power summed up since the counter last moved.
  struct Missed {
    double joules = 0;
    double seconds = 0;
    double watts = 0;
    bool has_watts = false;
    /// Has power given nothing since `watts`?
    bool has_failed = false;
    /// Of a time in which the counter gave no reading at all, not even the same again.
    bool unread = false;
    /// When `joules` was last brought up to date; 0 if never.
    std::int64_t monotonic_ns = 0;
  };

  /// The power reading, with `valid` false if it can't be believed. Adds what was drawn since the last,
  /// unless that is too long ago: `after_gap` then.
  Reading integrate(const Clock& clock, bool counter_read) {
    Reading power = power_->read(clock);
    const double most = power_->info().max_plausible_watts;
    const bool plausible =
        std::isfinite(power.value) && power.value >= 0 && (most <= 0 || power.value <= most);
    if (power.valid && !plausible) {
      power.valid = false;
      power.error_number = ERANGE;
    }
    missed_.has_failed = missed_.has_failed || !power.valid;
    if (!power.valid) return power;
    // Suspended time draws next to nothing and is not in the monotonic clock.
    const std::int64_t now_ns = clock.monotonic_ns();
    if (missed_.monotonic_ns > 0) {
      const double seconds =
          static_cast<double>(std::max<std::int64_t>(now_ns - missed_.monotonic_ns, 0)) * 1e-9;
      const double before = missed_.has_watts ? missed_.watts : power.value;
      power.after_gap = seconds > even_seconds();
      if (!power.after_gap) {
        missed_.joules += (before + power.value) / 2 * seconds;
        missed_.seconds += seconds;
        missed_.unread = missed_.unread || !counter_read;
      } else if (missed_.unread && !switched_) {
        // Nobody was told of it, so it is filled in together with the gap.
        missed_ = {};
      }
    }
    missed_.monotonic_ns = now_ns;
    missed_.watts = power.value;
    missed_.has_watts = true;
    missed_.has_failed = false;
    return power;
  }

  double even_seconds() const {
    const double seconds = std::max(kEvenSeconds, kEvenUpdates * power_->info().update_seconds);
    // A nanosecond's grace for what comes out of the clock's arithmetic.
    return (missed_.has_failed ? kEvenPartOverFailures * seconds : seconds) + 1e-9;
  }

  bool has_died() const {
    const double still_seconds = std::max(kLeastStillSeconds, kStillUpdates * info_.update_seconds);
    const double joules = std::max(kLeastMissedJoules, kMissedSteps * info_.resolution_joules);
    return missed_.seconds >= still_seconds && missed_.joules >= joules;
  }

  void switch_over(bool disbelieved) {
    switched_ = true;
    if (disbelieved) integrated_basis_.swap(disbelieved_basis_);
    info_.integrated_because = disbelieved ? kDisbelieved : kStoodStill;
    const SourceInfo& power = power_->info();
    info_.via.swap(integrated_via_);
    info_.accuracy_basis.swap(integrated_basis_);
    info_.accuracy_low = power.accuracy_low;
    info_.accuracy_high = power.accuracy_high;
    info_.provenance = std::max(Provenance::derived, power.provenance);
    info_.update_seconds = power.update_seconds;
    info_.resolution_joules = 0;
    info_.wrap_joules = 0;
    info_.integrated = true;
  }

  Reading read_integrated(const Clock& clock) {
    Reading reading = integrate(clock, false);
    if (reading.valid) reading.value = last_value_ + missed_.joules;
    return reading;
  }

  std::unique_ptr<Source> counter_;
  std::unique_ptr<Source> power_;
  SourceInfo info_;
  std::string integrated_via_;
  std::string integrated_basis_;
  std::string disbelieved_basis_;
  bool switched_ = false;
  bool has_value_ = false;
  /// Of the counter, when it last moved.
  double last_value_ = 0;
  Missed missed_;
};

}  // namespace

std::unique_ptr<Source> make_fallback_source(std::unique_ptr<Source> counter, std::unique_ptr<Source> power) {
  if (!counter || !power) return counter ? std::move(counter) : std::move(power);
  return std::make_unique<FallbackSource>(std::move(counter), std::move(power));
}

}  // namespace joulery::power
