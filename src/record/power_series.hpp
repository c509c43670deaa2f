#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "record/integer_column.hpp"

namespace joulery::record {

/// One window of one device: energy in the window that ends at `boottime_ns`.
struct PowerSample {
  std::int64_t boottime_ns = 0;
  double joules = 0;
  std::uint32_t flags = 0;  // power::SampleFlag
};

/// Header of an encoded block, readable without decoding the samples.
struct PowerBlockInfo {
  std::uint32_t count = 0;
  std::int64_t first_boottime_ns = 0;  // start of the first window
  std::int64_t last_boottime_ns = 0;   // end of the last window
  double joules = 0;                   // sum, exact to one energy quantum
  double min_watts = 0;
  double max_watts = 0;
};

/// Packs samples into a self-contained block: at most 2 bytes per sample for a steady signal. Times are kept
/// to 0.1 ms and energies to a quantum chosen per block (never coarser than 1/1000 of the block's mean
/// sample). What rounding leaves over is carried from sample to sample and from block to block, so sums stay
/// exact to one quantum however long the series.
///
/// What a counter can't mean is made harmless instead of refused, since losing the block would be worse: a
/// negative or NaN energy counts 0 J, one above kMaxJoules counts kMaxJoules, and a window that ends before
/// it starts is empty.
class PowerBlockEncoder {
 public:
  static constexpr std::size_t kMaxSamples = 512;
  static constexpr double kMaxJoules = 1e15;
  PowerBlockEncoder();
  /// Starts a block whose first window begins at `boottime_ns`. One encoder serves one series.
  void begin(std::int64_t boottime_ns);
  /// False when the block is full: take it, begin a new one at the last sample's end, and add again.
  /// Allocates nothing.
  bool add(const PowerSample& sample);
  std::size_t size() const { return samples_.size(); }
  /// The encoded block; empty if no sample was added. Valid until the next call. Allocates nothing.
  std::span<const std::uint8_t> encode();

 private:
  void encode_energy(ByteWriter& out, double quantum);
  void encode_flags(ByteWriter& out) const;
  std::int64_t start_ns_ = 0;
  double carried_joules_ = 0;  // given so far less written so far
  double left_over_joules_ = 0;
  std::vector<PowerSample> samples_;
  std::vector<std::int64_t> ticks_;
  std::vector<std::int64_t> quanta_;
  std::vector<std::int64_t> residuals_;
  std::vector<std::uint8_t> buffer_;
  IntegerColumn column_{kMaxSamples};
};

/// User error if the block is truncated, corrupt (it carries a checksum) or of an unknown version.
Result<PowerBlockInfo> read_power_block_info(std::span<const std::uint8_t> block);
/// Appends the block's samples to `out`.
Status decode_power_block(std::span<const std::uint8_t> block, std::vector<PowerSample>& out);

}  // namespace joulery::record
