#include "record/power_series.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <limits>

namespace joulery::record {
namespace {

constexpr std::uint8_t kMagic = 0xB1;
constexpr std::uint8_t kVersion = 1;
constexpr std::int64_t kTickNs = 100'000;
constexpr double kQuantaPerMeanSample = 1000;
constexpr std::size_t kChecksumBytes = 4;
constexpr unsigned kSlopeBits = 20;
// The most a block can take: header, three columns at full width with every value an exception, flags.
constexpr std::size_t kWorstBlockBytes = 128 + PowerBlockEncoder::kMaxSamples * 60;

/// How the energies are predicted before they are packed.
enum class Prediction : std::uint8_t { constant = 0, proportional_to_time = 1 };

double usable_joules(double joules) {
  if (!(joules > 0)) return 0;  // also NaN
  return std::min(joules, PowerBlockEncoder::kMaxJoules);
}

// Wraps on hostile input instead of overflowing.
std::int64_t predicted_quanta(std::uint64_t slope, std::int64_t ticks) {
  return static_cast<std::int64_t>((slope * static_cast<std::uint64_t>(ticks)) >> kSlopeBits);
}

std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

std::uint32_t checksum_of(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

struct Header {
  PowerBlockInfo info;
  double quantum = 0;
};

Result<Header> read_header(std::span<const std::uint8_t> block, ByteReader& in) {
  const auto damaged = [](const char* why) {
    return user_error(fmt::format("damaged power block: {}", why));
  };
  if (block.size() < 2 + kChecksumBytes || block[0] != kMagic) return damaged("it does not start like one");
  if (block[1] != kVersion) {
    return user_error(
        fmt::format("power block of version {}, this joulery reads version {}", block[1], kVersion),
        "install the newer joulery that wrote it");
  }
  const auto content = block.first(block.size() - kChecksumBytes);
  std::uint32_t stored = 0;
  std::memcpy(&stored, block.data() + content.size(), sizeof stored);
  if (stored != checksum_of(content)) return damaged("its checksum is wrong");
  in = ByteReader(content.subspan(2));
  Header header;
  const std::uint64_t count = in.varint();
  header.info.first_boottime_ns = in.zigzag();
  header.info.last_boottime_ns = wrapping_add(header.info.first_boottime_ns, in.zigzag());
  header.quantum = in.fixed<double>();
  header.info.joules = in.fixed<double>();
  header.info.min_watts = in.fixed<float>();
  header.info.max_watts = in.fixed<float>();
  if (!in.ok()) return damaged("its header is cut off");
  if (count == 0 || count > PowerBlockEncoder::kMaxSamples)
    return damaged("its number of samples is impossible");
  if (!std::isfinite(header.quantum) || header.quantum < 0 || !std::isfinite(header.info.joules)) {
    return damaged("its energies are not finite");
  }
  header.info.count = static_cast<std::uint32_t>(count);
  return header;
}

bool decode_flags(ByteReader& in, std::span<PowerSample> samples) {
  const std::uint64_t runs = in.varint();
  if (runs > samples.size()) return false;
  std::size_t next = 0;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::uint64_t length = in.varint();
    const std::uint64_t flags = in.varint();
    if (!in.ok() || length > samples.size() - next || flags > 0xFFFFFFFFU) return false;
    for (std::uint64_t j = 0; j < length; ++j) samples[next++].flags = static_cast<std::uint32_t>(flags);
  }
  return runs == 0 || next == samples.size();
}

}  // namespace

PowerBlockEncoder::PowerBlockEncoder() {
  samples_.reserve(kMaxSamples);
  ticks_.reserve(kMaxSamples);
  quanta_.reserve(kMaxSamples);
  residuals_.reserve(kMaxSamples);
  buffer_.reserve(kWorstBlockBytes);
}

void PowerBlockEncoder::begin(std::int64_t boottime_ns) {
  start_ns_ = std::max<std::int64_t>(boottime_ns, 0);
  carried_joules_ = left_over_joules_;
  samples_.clear();
}

bool PowerBlockEncoder::add(const PowerSample& sample) {
  if (samples_.size() == kMaxSamples) return false;
  const std::int64_t earliest = samples_.empty() ? start_ns_ : samples_.back().boottime_ns;
  samples_.push_back({std::max(sample.boottime_ns, earliest), usable_joules(sample.joules), sample.flags});
  return true;
}

std::span<const std::uint8_t> PowerBlockEncoder::encode() {
  buffer_.clear();
  if (samples_.empty()) return {};
  ticks_.clear();
  double sum = 0;
  double min_watts = std::numeric_limits<double>::infinity();
  double max_watts = 0;
  std::int64_t previous_ns = start_ns_;
  std::int64_t previous_tick = 0;
  for (const PowerSample& sample : samples_) {
    const std::int64_t since_start = sample.boottime_ns - start_ns_;
    const std::int64_t tick = since_start / kTickNs + (since_start % kTickNs >= kTickNs / 2 ? 1 : 0);
    ticks_.push_back(tick - previous_tick);
    previous_tick = tick;
    sum += sample.joules;
    const double seconds = static_cast<double>(sample.boottime_ns - previous_ns) * 1e-9;
    previous_ns = sample.boottime_ns;
    if (!(seconds > 0)) continue;
    min_watts = std::min(min_watts, sample.joules / seconds);
    max_watts = std::max(max_watts, sample.joules / seconds);
  }
  double quantum = sum / static_cast<double>(samples_.size()) / kQuantaPerMeanSample;
  if (sum > 0) quantum = std::max(quantum, DBL_MIN);

  ByteWriter out(buffer_);
  out.byte(kMagic);
  out.byte(kVersion);
  out.varint(samples_.size());
  out.zigzag(start_ns_);
  out.zigzag(samples_.back().boottime_ns - start_ns_);
  out.fixed(quantum);
  out.fixed(sum);
  out.fixed(static_cast<float>(std::isfinite(min_watts) ? min_watts : 0));
  out.fixed(static_cast<float>(max_watts));
  column_.encode(ticks_, out);
  encode_energy(out, quantum);
  encode_flags(out);
  const std::uint32_t checksum = checksum_of(buffer_);
  out.fixed(checksum);
  return buffer_;
}

void PowerBlockEncoder::encode_energy(ByteWriter& out, double quantum) {
  quanta_.clear();
  // After a steep fall of power, what was left over could dwarf this block's samples: the rest of it waits.
  const double bound = quantum * kQuantaPerMeanSample;
  const double carried = std::clamp(carried_joules_, -bound, bound);
  double exact = carried;
  std::int64_t written = 0;
  for (const PowerSample& sample : samples_) {
    exact += sample.joules;
    const std::int64_t total =
        quantum > 0 ? std::max<std::int64_t>(written, std::llround(exact / quantum)) : 0;
    quanta_.push_back(total - written);
    written = total;
  }
  left_over_joules_ = (carried_joules_ - carried) + (exact - static_cast<double>(written) * quantum);

  std::int64_t total_ticks = 0;
  for (const std::int64_t ticks : ticks_) total_ticks += ticks;
  std::uint64_t slope = 0;
  if (total_ticks > 0) {
    slope = static_cast<std::uint64_t>(static_cast<double>(written) / static_cast<double>(total_ticks) *
                                       double{1U << kSlopeBits});
  }
  residuals_.clear();
  for (std::size_t i = 0; i < quanta_.size(); ++i) {
    residuals_.push_back(wrapping_add(quanta_[i], -predicted_quanta(slope, ticks_[i])));
  }
  if (slope > 0 && column_.estimated_bytes(residuals_) + 8 < column_.estimated_bytes(quanta_)) {
    out.byte(static_cast<std::uint8_t>(Prediction::proportional_to_time));
    out.varint(slope);
    column_.encode(residuals_, out);
  } else {
    out.byte(static_cast<std::uint8_t>(Prediction::constant));
    column_.encode(quanta_, out);
  }
}

void PowerBlockEncoder::encode_flags(ByteWriter& out) const {
  const auto flagged = [](const PowerSample& sample) { return sample.flags != 0; };
  if (std::none_of(samples_.begin(), samples_.end(), flagged)) {
    out.varint(0);
    return;
  }
  std::uint64_t runs = 1;
  for (std::size_t i = 1; i < samples_.size(); ++i)
    runs += samples_[i].flags != samples_[i - 1].flags ? 1 : 0;
  out.varint(runs);
  for (std::size_t first = 0; first < samples_.size();) {
    std::size_t end = first + 1;
    while (end < samples_.size() && samples_[end].flags == samples_[first].flags) ++end;
    out.varint(end - first);
    out.varint(samples_[first].flags);
    first = end;
  }
}

Result<PowerBlockInfo> read_power_block_info(std::span<const std::uint8_t> block) {
  ByteReader in({});
  JOULERY_ASSIGN(const Header header, read_header(block, in));
  return header.info;
}

Status decode_power_block(std::span<const std::uint8_t> block, std::vector<PowerSample>& out) {
  ByteReader in({});
  JOULERY_ASSIGN(const Header header, read_header(block, in));
  const auto damaged = [] { return user_error("damaged power block: its samples do not fit its header"); };
  const std::size_t count = header.info.count;
  std::array<std::int64_t, PowerBlockEncoder::kMaxSamples> ticks_room{};
  std::array<std::int64_t, PowerBlockEncoder::kMaxSamples> quanta_room{};
  const std::span ticks(ticks_room.data(), count);
  const std::span quanta(quanta_room.data(), count);
  if (!decode_integer_column(in, ticks)) return damaged();
  const std::uint8_t prediction = in.byte();
  if (prediction > static_cast<std::uint8_t>(Prediction::proportional_to_time)) return damaged();
  const bool proportional = prediction == static_cast<std::uint8_t>(Prediction::proportional_to_time);
  const std::uint64_t slope = proportional ? in.varint() : 0;
  if (!in.ok() || !decode_integer_column(in, quanta)) return damaged();
  const std::size_t before = out.size();
  out.resize(before + count);
  const std::span samples(out.data() + before, count);
  std::int64_t tick = 0;
  for (std::size_t i = 0; i < count; ++i) {
    tick = wrapping_add(tick, ticks[i]);
    const auto offset = static_cast<std::int64_t>(static_cast<std::uint64_t>(tick) * std::uint64_t{kTickNs});
    samples[i].boottime_ns = wrapping_add(header.info.first_boottime_ns, offset);
    const std::int64_t amount =
        proportional ? wrapping_add(quanta[i], predicted_quanta(slope, ticks[i])) : quanta[i];
    samples[i].joules = static_cast<double>(amount) * header.quantum;
  }
  // The last window's end is stored exactly, so that the next block starts where this one ends.
  samples[count - 1].boottime_ns = header.info.last_boottime_ns;
  if (!decode_flags(in, samples) || !in.at_end()) {
    out.resize(before);
    return damaged();
  }
  return {};
}

}  // namespace joulery::record
