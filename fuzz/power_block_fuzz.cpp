// Power blocks and metric blocks as they may lie in a damaged store, and the encoder with samples as they
// come.

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "record/metric_block.hpp"
#include "record/power_series.hpp"

using namespace joulery::record;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// The checksum keeps random bytes out, so the columns behind it are reached with bytes of their own.
void decode_columns(std::span<const std::uint8_t> bytes) {
  std::vector<std::int64_t> values(bytes.empty() ? 0 : bytes[0]);
  ByteReader in(bytes);
  in.byte();
  if (!decode_integer_column(in, values)) return;
  std::vector<std::uint8_t> again;
  ByteWriter out(again);
  IntegerColumn().encode(values, out);
  std::vector<std::int64_t> decoded(values.size());
  ByteReader reread(again);
  require(decode_integer_column(reread, decoded) && decoded == values);
}

void round_trip(std::span<const std::uint8_t> bytes) {
  PowerBlockEncoder encoder;
  encoder.begin(0);
  std::size_t added = 0;
  for (; bytes.size() >= 20; bytes = bytes.subspan(20)) {
    PowerSample sample;
    std::memcpy(&sample.boottime_ns, bytes.data(), 8);
    std::memcpy(&sample.joules, bytes.data() + 8, 8);
    std::memcpy(&sample.flags, bytes.data() + 16, 4);
    if (encoder.add(sample)) ++added;
  }
  const auto block = encoder.encode();
  if (added == 0) return;
  std::vector<PowerSample> samples;
  require(decode_power_block(block, samples).has_value());
  require(samples.size() == added && read_power_block_info(block)->count == added);
  for (const PowerSample& sample : samples) require(sample.joules >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  std::vector<PowerSample> samples;
  if (decode_power_block(bytes, samples)) require(read_power_block_info(bytes).has_value());
  std::vector<MetricPoint> points;
  (void)decode_metric_block(bytes, points);
  (void)read_raw_points(bytes, points);
  std::vector<HistoryBucket> buckets;
  (void)decode_rollup(bytes, buckets);
  decode_columns(bytes);
  round_trip(bytes);
  return 0;
}
