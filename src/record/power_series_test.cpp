#include "record/power_series.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <random>

namespace joulery::record {
namespace {

constexpr std::int64_t kStart = 5'000'000'000;

/// All blocks of a series, cut where the encoder is full.
std::vector<std::vector<std::uint8_t>> encode_all(const std::vector<PowerSample>& samples,
                                                  std::int64_t start) {
  std::vector<std::vector<std::uint8_t>> blocks;
  PowerBlockEncoder encoder;
  encoder.begin(start);
  std::int64_t last_end = start;
  const auto take = [&] {
    const auto bytes = encoder.encode();
    if (!bytes.empty()) blocks.emplace_back(bytes.begin(), bytes.end());
  };
  for (const PowerSample& sample : samples) {
    if (!encoder.add(sample)) {
      take();
      encoder.begin(last_end);
      encoder.add(sample);
    }
    last_end = std::max(last_end, sample.boottime_ns);
  }
  take();
  return blocks;
}

std::vector<PowerSample> decode_all(const std::vector<std::vector<std::uint8_t>>& blocks) {
  std::vector<PowerSample> samples;
  for (const auto& block : blocks) {
    const auto status = decode_power_block(block, samples);
    EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().message);
  }
  return samples;
}

std::vector<PowerSample> steady_signal(double hertz, std::size_t count) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> jitter(-0.0003, 0.0003);
  std::normal_distribution<double> noise(0, 0.02);
  std::vector<PowerSample> samples;
  double previous = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double at = static_cast<double>(i + 1) / hertz + jitter(random);
    const double joules = 85.0 * (1 + noise(random)) * (at - previous);
    previous = at;
    samples.push_back({kStart + std::llround(at * 1e9), joules, 0});
  }
  return samples;
}

double bytes_per_sample(const std::vector<PowerSample>& samples) {
  std::size_t bytes = 0;
  for (const auto& block : encode_all(samples, kStart)) bytes += block.size();
  return static_cast<double>(bytes) / static_cast<double>(samples.size());
}

TEST(PowerSeries, SteadySignalTakesAtMostTwoBytesPerSample) {
  EXPECT_LE(bytes_per_sample(steady_signal(10, 20'000)), 2.0);
  EXPECT_LE(bytes_per_sample(steady_signal(1000, 20'000)), 2.0);
}

TEST(PowerSeries, RoundTripKeepsTimesAndEnergies) {
  const auto samples = steady_signal(10, 1300);
  const auto blocks = encode_all(samples, kStart);
  ASSERT_EQ(blocks.size(), 3U);
  const auto decoded = decode_all(blocks);
  ASSERT_EQ(decoded.size(), samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_NEAR(double(decoded[i].boottime_ns), double(samples[i].boottime_ns), 50'001) << i;
    EXPECT_NEAR(decoded[i].joules, samples[i].joules, 8.5 / 1000 * 1.1) << i;
  }
  const auto info = read_power_block_info(blocks[1]);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->count, 512U);
  EXPECT_EQ(info->first_boottime_ns, samples[511].boottime_ns);
  EXPECT_EQ(info->last_boottime_ns, samples[1023].boottime_ns);
  double sum = 0;
  for (std::size_t i = 512; i < 1024; ++i) sum += samples[i].joules;
  EXPECT_NEAR(info->joules, sum, 1e-6);
  EXPECT_GT(info->min_watts, 70);
  EXPECT_LT(info->max_watts, 100);
  EXPECT_LT(info->min_watts, info->max_watts);
}

TEST(PowerSeries, SumOfALongSeriesIsExactToOneQuantum) {
  const auto samples = steady_signal(1000, 200'000);
  double exact = 0;
  for (const auto& sample : samples) exact += sample.joules;
  double decoded = 0;
  for (const auto& sample : decode_all(encode_all(samples, kStart))) decoded += sample.joules;
  const double quantum = 0.085 / 1000 * 1.2;
  EXPECT_NEAR(decoded, exact, quantum);
}

TEST(PowerSeries, SuspendOfHoursInTheMiddle) {
  auto samples = steady_signal(10, 500);
  for (std::size_t i = 250; i < samples.size(); ++i) samples[i].boottime_ns += 9LL * 3600 * 1'000'000'000;
  samples[250].flags = 4;
  const auto blocks = encode_all(samples, kStart);
  const auto decoded = decode_all(blocks);
  ASSERT_EQ(decoded.size(), samples.size());
  EXPECT_EQ(decoded.back().boottime_ns, samples.back().boottime_ns);
  EXPECT_NEAR(double(decoded[250].boottime_ns), double(samples[250].boottime_ns), 50'001);
  EXPECT_EQ(decoded[249].flags, 0U);
  EXPECT_EQ(decoded[250].flags, 4U);
  EXPECT_EQ(decoded[251].flags, 0U);
  EXPECT_LE(blocks[0].size(), samples.size() * 2);
}

TEST(PowerSeries, ImpossibleInputBecomesHarmless) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<PowerSample> samples{{kStart + 100'000'000, -3, 0},
                                         {kStart + 200'000'000, std::nan(""), 1},
                                         {kStart + 100'000'000, 2, 0},
                                         {kStart + 300'000'000, infinity, 0xFFFFFFFF},
                                         {std::numeric_limits<std::int64_t>::max(), 0, 0}};
  const auto decoded = decode_all(encode_all(samples, kStart));
  ASSERT_EQ(decoded.size(), samples.size());
  EXPECT_EQ(decoded[0].joules, 0);
  EXPECT_EQ(decoded[1].joules, 0);
  EXPECT_EQ(decoded[2].boottime_ns, kStart + 200'000'000) << "time does not step back";
  EXPECT_NEAR(decoded[3].joules, PowerBlockEncoder::kMaxJoules, 1e12);
  EXPECT_EQ(decoded[3].flags, 0xFFFFFFFF);
  EXPECT_EQ(decoded[4].boottime_ns, std::numeric_limits<std::int64_t>::max());
}

TEST(PowerSeries, ZeroEnergyAndEmptyBlock) {
  PowerBlockEncoder encoder;
  encoder.begin(kStart);
  EXPECT_TRUE(encoder.encode().empty());
  encoder.add({kStart + 1, 0, 0});
  const auto block = encoder.encode();
  std::vector<PowerSample> out;
  ASSERT_TRUE(decode_power_block(block, out).has_value());
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].joules, 0);
  EXPECT_EQ(out[0].boottime_ns, kStart + 1);
}

TEST(PowerSeries, FullBlockRefusesTheNextSample) {
  PowerBlockEncoder encoder;
  encoder.begin(kStart);
  for (std::size_t i = 0; i < PowerBlockEncoder::kMaxSamples; ++i) {
    ASSERT_TRUE(encoder.add({kStart + std::int64_t(i) * 1000, 1, 0}));
  }
  EXPECT_FALSE(encoder.add({kStart + 1'000'000, 1, 0}));
  EXPECT_EQ(encoder.size(), PowerBlockEncoder::kMaxSamples);
}

TEST(PowerSeries, EveryTruncationAndEveryFlippedByteIsRefused) {
  const auto blocks = encode_all(steady_signal(10, 40), kStart);
  const auto& block = blocks[0];
  for (std::size_t size = 0; size < block.size(); ++size) {
    std::vector<PowerSample> out;
    EXPECT_FALSE(decode_power_block(std::span(block).first(size), out).has_value()) << size;
    EXPECT_TRUE(out.empty());
  }
  for (std::size_t at = 0; at < block.size(); ++at) {
    auto flipped = block;
    flipped[at] ^= 0x10;
    EXPECT_FALSE(read_power_block_info(flipped).has_value()) << at;
  }
  auto newer = block;
  newer[1] = 9;
  const auto refused = read_power_block_info(newer);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("version 9"), std::string::npos);
  EXPECT_FALSE(refused.error().hint.empty());
}

TEST(PowerSeriesProperty, AnySeriesRoundTrips) {
  const bool held = rc::check("any series round-trips", [] {
    const auto steps =
        *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 2'000'000'000));
    std::vector<PowerSample> samples;
    std::int64_t now = kStart;
    double largest_mean = 0;
    double exact = 0;
    for (const std::uint32_t step : steps) {
      now += step;
      const auto millijoules = *rc::gen::inRange<std::int64_t>(0, 1'000'000'000);
      const double joules = static_cast<double>(millijoules) * 1e-3;
      const auto flags = *rc::gen::weightedElement<std::uint32_t>({{9, 0U}, {1, 5U}});
      samples.push_back({now, joules, flags});
      exact += joules;
    }
    largest_mean = 1'000'000;
    double sum = 0;
    const auto decoded = decode_all(encode_all(samples, kStart));
    RC_ASSERT(decoded.size() == samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      RC_ASSERT(std::abs(decoded[i].boottime_ns - samples[i].boottime_ns) <= 50'001);
      RC_ASSERT(decoded[i].flags == samples[i].flags);
      RC_ASSERT(decoded[i].joules >= 0);
      sum += decoded[i].joules;
    }
    const double quantum = samples.empty() ? 0 : exact / double(samples.size()) / 1000;
    if (samples.size() <= PowerBlockEncoder::kMaxSamples) {
      RC_ASSERT(std::abs(sum - exact) <= quantum + exact * 1e-12);
    } else {
      RC_ASSERT(std::abs(sum - exact) <= largest_mean / 1000);
    }
  });
  EXPECT_TRUE(held);
}

TEST(IntegerColumnProperty, AnyColumnRoundTrips) {
  const bool held = rc::check("any column round-trips", [](const std::vector<std::int64_t>& wide) {
    std::vector<std::int64_t> values = wide;
    if (!values.empty() && *rc::gen::arbitrary<bool>()) {
      values[values.size() / 2] = std::numeric_limits<std::int64_t>::min();
      values.back() = std::numeric_limits<std::int64_t>::max();
    }
    std::vector<std::uint8_t> bytes;
    ByteWriter out(bytes);
    IntegerColumn().encode(values, out);
    std::vector<std::int64_t> decoded(values.size());
    ByteReader in(bytes);
    RC_ASSERT(decode_integer_column(in, decoded));
    RC_ASSERT(in.at_end());
    RC_ASSERT(decoded == values);
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace joulery::record
