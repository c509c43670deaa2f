#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "record/metric_block.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool identical(const MetricPoint& a, const MetricPoint& b) {
  const bool same_value = a.value == b.value || (std::isnan(a.value) && std::isnan(b.value));
  return a.step == b.step && a.timestamp_ms == b.timestamp_ms && same_value;
}

bool identical(const std::vector<MetricPoint>& a, const std::vector<MetricPoint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const MetricPoint& x, const MetricPoint& y) { return identical(x, y); });
}

class MetricTest : public StoreTest {
 protected:
  MetricTest() { id_ = add_run("metrics"); }
  void log(const std::vector<MetricPoint>& points, const std::string& writer = "",
           std::uint64_t sequence = 0) {
    const MetricBatch batch{id_, writer, sequence, {{"loss", points}}};
    must(store_->log_metrics({&batch, 1}));
  }
  std::vector<MetricPoint> history(std::size_t offset = 0, std::size_t limit = 10'000'000) {
    return must(store_->metric_history(id_, "loss", offset, limit));
  }
  MetricPoint latest() { return must(store_->run(id_)).metrics.at(0).point; }
  std::string id_;
};

TEST_F(MetricTest, LatestIsTheMaximumByStepTimeValue) {
  log({{1, 10, 5}});
  log({{9, 99, 4}});
  EXPECT_EQ(latest().value, 1) << "a later time does not beat a later step";
  log({{2, 9, 5}});
  EXPECT_EQ(latest().value, 1);
  log({{3, 10, 5}, {0.5, 10, 5}});
  EXPECT_EQ(latest().value, 3);
  log({{std::nan(""), 10, 5}});
  EXPECT_EQ(latest().value, 3);
  log({{-kInfinity, 11, 5}});
  EXPECT_EQ(latest().value, -kInfinity);
  EXPECT_EQ(history().size(), 7U);
}

TEST_F(MetricTest, OddValuesSurvive) {
  const std::vector<MetricPoint> odd{
      {std::nan(""), 0, 0},
      {kInfinity, 1, 1},
      {-kInfinity, 2, 2},
      {-0.0, 3, 3},
      {5e-324, 4, 4},
      {1.7976931348623157e308, 5, 5},
      {0.1, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()}};
  log(odd);
  EXPECT_TRUE(identical(history(), odd));
  std::vector<MetricPoint> many = odd;
  many.pop_back();
  for (int i = 10; i < 1000; ++i) many.push_back({std::sin(i), i, i});
  many.push_back(odd.back());
  log(many);
  EXPECT_TRUE(identical(history(), many)) << "packed, and the points logged twice are there once";
  EXPECT_TRUE(std::signbit(history()[3].value));
}

TEST_F(MetricTest, NumberedBatchesAreStoredOnce) {
  log({{1, 1, 1}}, "w", 1);
  log({{100, 2, 2}}, "w", 1);
  EXPECT_EQ(history().size(), 1U) << "the number was there before, so the batch was";
  log({{3, 3, 3}}, "w", 3);
  log({{2, 2, 2}}, "w", 2);
  log({{200, 2, 2}}, "w", 2);
  log({{300, 3, 3}}, "w", 3);
  EXPECT_EQ(history().size(), 3U) << "batches may overtake one another";
  log({{4, 4, 4}}, "other", 1);
  log({{5, 5, 5}}, "w", 4);
  EXPECT_EQ(history().size(), 5U);
}

TEST_F(MetricTest, UnknownRunAndUnknownKey) {
  const MetricPoint point{1, 1, 1};
  const MetricBatch batch{"nosuchrun", "", 0, {{"loss", {&point, 1}}}};
  EXPECT_FALSE(store_->log_metrics({&batch, 1}).has_value());
  EXPECT_FALSE(store_->metric_history("nosuchrun", "loss", 0, 1).has_value());
  EXPECT_TRUE(must(store_->metric_history(id_, "nosuchkey", 0, 1)).empty());
  EXPECT_TRUE(must(store_->downsample_metric(id_, "nosuchkey", 10)).empty());
}

TEST_F(MetricTest, OneFailingBatchUndoesTheCall) {
  const MetricPoint point{1, 1, 1};
  const std::vector<MetricBatch> batches{{id_, "", 0, {{"loss", {&point, 1}}}},
                                         {"nosuchrun", "", 0, {{"a", {&point, 1}}}}};
  EXPECT_FALSE(store_->log_metrics(batches).has_value());
  EXPECT_TRUE(history().empty());
}

TEST_F(MetricTest, LongHistoryIsPagedAndDownsampled) {
  constexpr int kPoints = 30'000;
  std::vector<MetricPoint> all;
  for (int i = 0; i < kPoints; ++i) all.push_back({std::sin(i * 0.01), 1000 + i, i});
  for (int at = 0; at < kPoints; at += 130) {
    log({all.begin() + at, all.begin() + std::min(at + 130, kPoints)});
  }
  reopen();
  EXPECT_TRUE(identical(history(), all));
  EXPECT_TRUE(identical(history(29'990, 100), {all.end() - 10, all.end()}));
  EXPECT_TRUE(history(40'000, 5).empty());
  for (const std::size_t buckets : {1U, 7U, 10U, 2000U, 30'000U, 50'000U}) {
    const auto sampled = must(store_->downsample_metric(id_, "loss", buckets));
    ASSERT_LE(sampled.size(), buckets);
    ASSERT_GE(sampled.size(), std::min<std::size_t>(buckets, kPoints) / 2);
    EXPECT_TRUE(identical(sampled.front().first, all.front()));
    EXPECT_TRUE(identical(sampled.back().last, all.back()));
    std::size_t at = 0;
    for (const HistoryBucket& bucket : sampled) {
      ASSERT_GT(bucket.count, 0U);
      const auto truth = summarise(std::span(all).subspan(at, bucket.count));
      ASSERT_TRUE(identical(bucket.first, truth.first) && identical(bucket.last, truth.last));
      ASSERT_TRUE(identical(bucket.lowest, truth.lowest) && identical(bucket.highest, truth.highest));
      at += bucket.count;
    }
    EXPECT_EQ(at, all.size());
  }
}

TEST_F(MetricTest, HistoryOutOfOrderIsSortedAlsoWhenDownsampled) {
  // A training that went back to a checkpoint logs the same steps again.
  std::vector<MetricPoint> all;
  for (int i = 0; i < 9000; ++i) all.push_back({double(i % 77), i, (i * 7919) % 5003});
  for (int at = 0; at < 9000; at += 100) log({all.begin() + at, all.begin() + at + 100});
  std::sort(all.begin(), all.end(), point_before);
  EXPECT_TRUE(identical(history(), all));
  const auto sampled = must(store_->downsample_metric(id_, "loss", 2));
  ASSERT_EQ(sampled.size(), 2U);
  EXPECT_EQ(sampled[0].count + sampled[1].count, 9000U);
  EXPECT_TRUE(identical(sampled[1].first, all[sampled[0].count]));
}

TEST_F(MetricTest, AnyWayOfLoggingGivesTheSortedSet) {
  int runs = 0;
  const bool held = rc::check("any way of logging gives the sorted set", [&] {
    ++runs;
    id_ = add_run("run " + std::to_string(runs), runs);
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    const int batches = *rc::gen::inRange(1, 40);
    std::mt19937 random(seed);
    std::vector<MetricPoint> expected;
    for (int i = 0; i < batches; ++i) {
      std::vector<MetricPoint> batch(random() % 400 + 1);
      for (MetricPoint& point : batch) {
        point.step = static_cast<std::int64_t>(random() % 2000) - 5;
        point.timestamp_ms = static_cast<std::int64_t>(random() % 3);
        const auto kind = random() % 20;
        point.value = kind == 0   ? std::nan("")
                      : kind == 1 ? kInfinity
                                  : static_cast<double>(random() % 5) / 4;
      }
      log(batch);
      expected.insert(expected.end(), batch.begin(), batch.end());
    }
    std::sort(expected.begin(), expected.end(), point_before);
    expected.erase(std::unique(expected.begin(), expected.end(), same_point), expected.end());
    RC_ASSERT(identical(history(), expected));
    RC_ASSERT(identical(latest(), expected.back()));
  });
  EXPECT_TRUE(held);
}

TEST(MetricBlock, TruncatedAndFlippedBlocksAreRefused) {
  std::vector<MetricPoint> points;
  for (int i = 0; i < 50; ++i) points.push_back({0.1 * i, i * 3, i});
  std::vector<std::uint8_t> block;
  encode_metric_block(points, block);
  for (std::size_t size = 0; size < block.size(); ++size) {
    std::vector<MetricPoint> out;
    EXPECT_FALSE(decode_metric_block(std::span(block).first(size), out).has_value()) << size;
  }
  for (std::size_t at = 0; at < block.size(); ++at) {
    auto flipped = block;
    flipped[at] ^= 0x04;
    std::vector<MetricPoint> out;
    EXPECT_FALSE(decode_metric_block(flipped, out).has_value()) << at;
    EXPECT_TRUE(out.empty());
  }
}

TEST(MetricBlock, EveryValueCodingIsExact) {
  const auto round_trip = [](std::vector<double> values) {
    std::vector<MetricPoint> points;
    for (std::size_t i = 0; i < values.size(); ++i)
      points.push_back({values[i], 5, static_cast<std::int64_t>(i)});
    std::vector<std::uint8_t> block;
    encode_metric_block(points, block);
    std::vector<MetricPoint> out;
    must(decode_metric_block(block, out));
    EXPECT_TRUE(identical(points, out));
    return block.size();
  };
  EXPECT_LT(round_trip(std::vector<double>(1000, 0.1)), 40U);
  std::vector<double> integers(1000);
  for (std::size_t i = 0; i < integers.size(); ++i) integers[i] = static_cast<double>(i * 3);
  EXPECT_LT(round_trip(integers), 60U);
  std::vector<double> floats(1000);
  for (std::size_t i = 0; i < floats.size(); ++i)
    floats[i] = static_cast<double>(0.1F * static_cast<float>(i));
  EXPECT_LT(round_trip(floats), 4100U);
  std::vector<double> doubles(1000);
  for (std::size_t i = 0; i < doubles.size(); ++i) doubles[i] = 0.1 * static_cast<double>(i);
  EXPECT_LT(round_trip(doubles), 8100U);
  round_trip({9007199254740993.0, 9007199254740992.0, -9007199254740992.0, 1e300});
  round_trip({kInfinity, -kInfinity, 0.0, -0.0, std::nan("")});
}

}  // namespace
}  // namespace joulery::record
