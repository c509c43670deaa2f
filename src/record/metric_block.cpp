#include "record/metric_block.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "record/integer_column.hpp"

namespace joulery::record {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxPoints = 1 << 16;
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kRawPointBytes = 24;
constexpr double kLargestExactInteger = 9007199254740992.0;

enum class ValueCoding : std::uint8_t { constant = 0, integers = 1, floats = 2, doubles = 3 };

std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

bool is_float(double value) {
  return bits_of(static_cast<double>(static_cast<float>(value))) == bits_of(value);
}

bool is_integer(double value) {
  return std::abs(value) <= kLargestExactInteger && std::trunc(value) == value &&
         bits_of(static_cast<double>(static_cast<std::int64_t>(value))) == bits_of(value);
}

template <class Get>
void encode_differences(std::span<const MetricPoint> points, Get get, ByteWriter& out) {
  std::vector<std::int64_t> differences;
  differences.reserve(points.size());
  for (std::size_t i = 1; i < points.size(); ++i) {
    differences.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(get(points[i])) -
                                                    static_cast<std::uint64_t>(get(points[i - 1]))));
  }
  out.zigzag(get(points[0]));
  IntegerColumn().encode(differences, out);
}

bool decode_differences(ByteReader& in, std::span<std::int64_t> values) {
  values[0] = in.zigzag();
  if (!decode_integer_column(in, values.subspan(1))) return false;
  for (std::size_t i = 1; i < values.size(); ++i) {
    values[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(values[i - 1]) +
                                          static_cast<std::uint64_t>(values[i]));
  }
  return true;
}

void encode_values(std::span<const MetricPoint> points, ByteWriter& out) {
  const auto all = [&](auto test) {
    return std::all_of(points.begin(), points.end(),
                       [&](const MetricPoint& point) { return test(point.value); });
  };
  if (all([&](double value) { return bits_of(value) == bits_of(points[0].value); })) {
    out.byte(static_cast<std::uint8_t>(ValueCoding::constant));
    out.fixed(points[0].value);
  } else if (all(is_integer)) {
    out.byte(static_cast<std::uint8_t>(ValueCoding::integers));
    encode_differences(
        points, [](const MetricPoint& point) { return static_cast<std::int64_t>(point.value); }, out);
  } else if (all(is_float)) {
    out.byte(static_cast<std::uint8_t>(ValueCoding::floats));
    for (const MetricPoint& point : points) out.fixed(static_cast<float>(point.value));
  } else {
    out.byte(static_cast<std::uint8_t>(ValueCoding::doubles));
    for (const MetricPoint& point : points) out.fixed(point.value);
  }
}

bool decode_values(ByteReader& in, std::span<MetricPoint> points, std::span<std::int64_t> scratch) {
  switch (static_cast<ValueCoding>(in.byte())) {
    case ValueCoding::constant: {
      const double value = in.fixed<double>();
      for (MetricPoint& point : points) point.value = value;
      return in.ok();
    }
    case ValueCoding::integers:
      if (!decode_differences(in, scratch)) return false;
      for (std::size_t i = 0; i < points.size(); ++i) points[i].value = static_cast<double>(scratch[i]);
      return in.ok();
    case ValueCoding::floats: {
      const auto bytes = in.take(points.size() * sizeof(float));
      if (!in.ok()) return false;
      for (std::size_t i = 0; i < points.size(); ++i) {
        float value = 0;
        std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
        points[i].value = static_cast<double>(value);
      }
      return true;
    }
    case ValueCoding::doubles: {
      const auto bytes = in.take(points.size() * sizeof(double));
      if (!in.ok()) return false;
      for (std::size_t i = 0; i < points.size(); ++i) {
        std::memcpy(&points[i].value, bytes.data() + i * sizeof(double), sizeof(double));
      }
      return true;
    }
  }
  return false;
}

void write_point(const MetricPoint& point, ByteWriter& out) {
  out.fixed(point.step);
  out.fixed(point.timestamp_ms);
  out.fixed(point.value);
}

MetricPoint read_point(ByteReader& in) {
  MetricPoint point;
  point.step = in.fixed<std::int64_t>();
  point.timestamp_ms = in.fixed<std::int64_t>();
  point.value = in.fixed<double>();
  return point;
}

}  // namespace

bool point_before(const MetricPoint& a, const MetricPoint& b) {
  if (a.step != b.step) return a.step < b.step;
  if (a.timestamp_ms != b.timestamp_ms) return a.timestamp_ms < b.timestamp_ms;
  if (std::isnan(b.value)) return false;
  return std::isnan(a.value) || a.value < b.value;
}

bool same_point(const MetricPoint& a, const MetricPoint& b) {
  return !point_before(a, b) && !point_before(b, a);
}

void sort_and_deduplicate(std::vector<MetricPoint>& points) {
  bool strictly_ordered = true;
  for (std::size_t i = 1; i < points.size() && strictly_ordered; ++i) {
    strictly_ordered = point_before(points[i - 1], points[i]);
  }
  if (strictly_ordered) return;
  std::sort(points.begin(), points.end(), point_before);
  points.erase(std::unique(points.begin(), points.end(), same_point), points.end());
}

void encode_metric_block(std::span<const MetricPoint> points, std::vector<std::uint8_t>& out) {
  const std::size_t start = out.size();
  ByteWriter writer(out);
  writer.byte(kVersion);
  writer.varint(points.size());
  if (!points.empty()) {
    encode_differences(points, [](const MetricPoint& point) { return point.step; }, writer);
    encode_differences(points, [](const MetricPoint& point) { return point.timestamp_ms; }, writer);
    encode_values(points, writer);
  }
  writer.fixed(static_cast<std::uint32_t>(XXH3_64bits(out.data() + start, out.size() - start)));
}

Status decode_metric_block(std::span<const std::uint8_t> block, std::vector<MetricPoint>& points) {
  const auto damaged = [](const char* why) {
    return user_error(fmt::format("damaged metric block: {}", why));
  };
  if (block.size() < 2 + kChecksumBytes) return damaged("it is cut off");
  const auto content = block.first(block.size() - kChecksumBytes);
  std::uint32_t stored = 0;
  std::memcpy(&stored, block.data() + content.size(), sizeof stored);
  if (stored != static_cast<std::uint32_t>(XXH3_64bits(content.data(), content.size()))) {
    return damaged("its checksum is wrong");
  }
  ByteReader in(content);
  if (in.byte() != kVersion) return damaged("its version is unknown");
  const std::uint64_t count = in.varint();
  if (!in.ok() || count > kMaxPoints) return damaged("its number of points is impossible");
  if (count == 0) return {};
  const std::size_t before = points.size();
  points.resize(before + count);
  const std::span added(points.data() + before, count);
  std::vector<std::int64_t> column(count);
  bool ok = decode_differences(in, column);
  for (std::size_t i = 0; i < count; ++i) added[i].step = column[i];
  ok = ok && decode_differences(in, column);
  for (std::size_t i = 0; i < count; ++i) added[i].timestamp_ms = column[i];
  ok = ok && decode_values(in, added, column) && in.at_end();
  if (ok) return {};
  points.resize(before);
  return damaged("its points do not fit its header");
}

void append_raw_points(std::span<const MetricPoint> points, std::vector<std::uint8_t>& out) {
  ByteWriter writer(out);
  for (const MetricPoint& point : points) write_point(point, writer);
}

Status read_raw_points(std::span<const std::uint8_t> bytes, std::vector<MetricPoint>& points) {
  if (bytes.size() % kRawPointBytes != 0) return user_error("damaged tail of a metric: it is cut off");
  ByteReader in(bytes);
  points.reserve(points.size() + bytes.size() / kRawPointBytes);
  while (!in.at_end()) points.push_back(read_point(in));
  return {};
}

HistoryBucket summarise(std::span<const MetricPoint> points) {
  HistoryBucket bucket;
  if (points.empty()) return bucket;
  bucket = {points.front(), points.back(), points.front(), points.front(), points.size()};
  for (const MetricPoint& point : points) {
    if (point.value < bucket.lowest.value || std::isnan(bucket.lowest.value)) bucket.lowest = point;
    if (point.value > bucket.highest.value || std::isnan(bucket.highest.value)) bucket.highest = point;
  }
  return bucket;
}

void merge_bucket(HistoryBucket& bucket, const HistoryBucket& next) {
  if (next.count == 0) return;
  if (bucket.count == 0) {
    bucket = next;
    return;
  }
  bucket.last = next.last;
  bucket.count += next.count;
  if (next.lowest.value < bucket.lowest.value || std::isnan(bucket.lowest.value)) bucket.lowest = next.lowest;
  if (next.highest.value > bucket.highest.value || std::isnan(bucket.highest.value))
    bucket.highest = next.highest;
}

void encode_rollup(std::span<const MetricPoint> points, std::vector<std::uint8_t>& out) {
  ByteWriter writer(out);
  for (std::size_t at = 0; at < points.size(); at += kRollupPoints) {
    const HistoryBucket bucket = summarise(points.subspan(at, std::min(kRollupPoints, points.size() - at)));
    for (const MetricPoint& point : {bucket.first, bucket.last, bucket.lowest, bucket.highest}) {
      write_point(point, writer);
    }
    writer.fixed(bucket.count);
  }
}

Status decode_rollup(std::span<const std::uint8_t> bytes, std::vector<HistoryBucket>& out) {
  constexpr std::size_t kEntryBytes = 4 * kRawPointBytes + sizeof(std::uint64_t);
  if (bytes.size() % kEntryBytes != 0) return user_error("damaged rollup of a metric: it is cut off");
  ByteReader in(bytes);
  while (!in.at_end()) {
    HistoryBucket bucket;
    bucket.first = read_point(in);
    bucket.last = read_point(in);
    bucket.lowest = read_point(in);
    bucket.highest = read_point(in);
    bucket.count = in.fixed<std::uint64_t>();
    out.push_back(bucket);
  }
  return {};
}

}  // namespace joulery::record
