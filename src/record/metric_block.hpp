#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "record/store.hpp"

namespace joulery::record {

/// Order of a history and of what is latest: by step, then time, then value, NaN before all numbers.
bool point_before(const MetricPoint& a, const MetricPoint& b);
bool same_point(const MetricPoint& a, const MetricPoint& b);
/// Puts points in order, one of each.
void sort_and_deduplicate(std::vector<MetricPoint>& points);

/// Appends ordered points to `out`, packed: steps and times by their differences, values as what is shortest
/// and exact to the bit.
void encode_metric_block(std::span<const MetricPoint> points, std::vector<std::uint8_t>& out);
/// Appends the points to `points`. User error if the bytes are no such block.
Status decode_metric_block(std::span<const std::uint8_t> block, std::vector<MetricPoint>& points);

/// Points as they come, 24 bytes each, for the short tail of a history that is rewritten with every batch.
void append_raw_points(std::span<const MetricPoint> points, std::vector<std::uint8_t>& out);
/// User error if the size is no multiple of a point's.
Status read_raw_points(std::span<const std::uint8_t> bytes, std::vector<MetricPoint>& points);

/// First, last, lowest and highest of points in order; NaN is lowest or highest only where all are.
HistoryBucket summarise(std::span<const MetricPoint> points);
/// One bucket for both, `next` being the later one.
void merge_bucket(HistoryBucket& bucket, const HistoryBucket& next);

/// Points that one entry of a rollup stands for (the last one of a block may have fewer).
constexpr std::size_t kRollupPoints = 256;
void encode_rollup(std::span<const MetricPoint> points, std::vector<std::uint8_t>& out);
Status decode_rollup(std::span<const std::uint8_t> bytes, std::vector<HistoryBucket>& out);

}  // namespace joulery::record
