#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>

#include "evaluate/outputs.hpp"
#include "evaluate/perturbation.hpp"
#include "stats/distributions.hpp"

namespace joulery::evaluate {
namespace {

using stats::RandomStream;

constexpr std::size_t kMostFeatures = 64'000'000;
/// Below the smallest normal f32, 1.2e-38.
constexpr double kDenormal = 1e-40;

/// Changes one sample's numbers; `strength` is of the perturbation's severity.
using Change = void (*)(std::span<double>, const FeatureSpread&, double strength, RandomStream&);

void add_noise(std::span<double> values, const FeatureSpread& spread, double strength, RandomStream& random) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] += strength * spread.deviation(i) * stats::normal_variate(random);
  }
}

void scale(std::span<double> values, const FeatureSpread&, double strength, RandomStream&) {
  for (double& value : values) value *= strength;
}

void clip(std::span<double> values, const FeatureSpread& spread, double strength, RandomStream&) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double reach = strength * spread.deviation(i);
    values[i] = std::clamp(values[i], spread.mean(i) - reach, spread.mean(i) + reach);
  }
}

void lose(std::span<double> values, const FeatureSpread& spread, double strength, RandomStream& random) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (random.unit() < strength) values[i] = spread.mean(i);
  }
}

void zero(std::span<double> values, const FeatureSpread&, double, RandomStream&) {
  std::ranges::fill(values, 0.0);
}

void denormal(std::span<double> values, const FeatureSpread&, double, RandomStream&) {
  for (double& value : values) value = std::signbit(value) ? -kDenormal : kDenormal;
}

class FeaturePerturbation final : public Perturbation {
 public:
  FeaturePerturbation(PerturbationInfo info, Change change, double strength,
                      std::shared_ptr<const FeatureSpread> spread)
      : Perturbation(std::move(info)), change_(change), strength_(strength), spread_(std::move(spread)) {}

  Status apply(const data::TensorView& batch, std::uint64_t seed, std::uint64_t first_sample) const override {
    const auto count = static_cast<std::size_t>(batch.shape.rank() > 0 ? batch.shape[0] : 1);
    JOULERY_ASSIGN(const Rows rows, Rows::create(batch, count, "features"));
    if (!is_floating(batch.type)) {
      return user_error(fmt::format("'{}' is for floating-point inputs, not {}", info().name,
                                    data::data_type_name(batch.type)));
    }
    if (rows.width() != spread_->size()) {
      return user_error(
          fmt::format("samples have {} numbers, but the clean ones had {}", rows.width(), spread_->size()));
    }
    std::vector<double> values(rows.width());
    for (std::size_t row = 0; row < count; ++row) {
      rows.read(row, values);
      RandomStream random(sample_seed(seed, first_sample + row, info().name, info().severity));
      change_(values, *spread_, strength_, random);
      rows.write(row, values);
    }
    return {};
  }

 private:
  Change change_;
  double strength_;
  std::shared_ptr<const FeatureSpread> spread_;
};

struct Kind {
  const char* name;
  const char* category;
  Change change;
  std::array<double, kSeverities> strengths;
  const char* description;
};

}  // namespace

Status FeatureSpread::add(const data::TensorView& batch, std::size_t count) {
  JOULERY_ASSIGN(const Rows rows, Rows::create(batch, count, "features"));
  if (rows.width() > kMostFeatures) {
    return user_error(
        fmt::format("{} numbers a sample are too many to keep the spread of each", rows.width()));
  }
  if (samples_ == 0) {
    mean_.assign(rows.width(), 0);
    squares_.assign(rows.width(), 0);
  }
  if (rows.width() != size()) {
    return user_error(fmt::format("samples had {} numbers and now have {}", size(), rows.width()));
  }
  std::vector<double> values(rows.width());
  for (std::size_t row = 0; row < count; ++row) {
    rows.read(row, values);
    ++samples_;
    for (std::size_t i = 0; i < values.size(); ++i) {
      // A missing value says nothing of the spread: it counts as the mean so far.
      const double value = std::isfinite(values[i]) ? values[i] : mean_[i];
      const double off = value - mean_[i];
      mean_[i] += off / static_cast<double>(samples_);  // Welford 1962
      squares_[i] += off * (value - mean_[i]);
    }
  }
  return {};
}

double FeatureSpread::deviation(std::size_t feature) const {
  return samples_ > 1 ? std::sqrt(squares_[feature] / static_cast<double>(samples_ - 1)) : 0;
}

Result<Perturbations> feature_perturbations(FeatureSpread spread) {
  if (spread.samples() == 0 || spread.size() == 0) {
    return user_error("without clean samples there is no spread to measure noise by");
  }
  const Kind kinds[] = {{"feature_noise",
                         "noise",
                         add_noise,
                         {.05, .1, .2, .4, .8},
                         "noise of {:g} of each feature's deviation"},
                        {"feature_scale", "range", scale, {1.1, 1.25, 1.5, 2, 4}, "all features times {:g}"},
                        {"feature_clip",
                         "range",
                         clip,
                         {2.5, 2, 1.5, 1, .5},
                         "features cut at {:g} deviations from their mean"},
                        {"feature_missing",
                         "missing",
                         lose,
                         {.05, .1, .2, .4, .8},
                         "a share of {:g} of the features replaced by their mean"}};
  const auto shared = std::make_shared<const FeatureSpread>(std::move(spread));
  Perturbations all;
  for (const Kind& kind : kinds) {
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const double strength = kind.strengths[static_cast<std::size_t>(severity - 1)];
      all.push_back(std::make_unique<FeaturePerturbation>(
          PerturbationInfo{.name = kind.name,
                           .category = kind.category,
                           .severity = severity,
                           .description = fmt::format(fmt::runtime(kind.description), strength)},
          kind.change, strength, shared));
    }
  }
  all.push_back(std::make_unique<FeaturePerturbation>(
      PerturbationInfo{
          .name = "zeros", .category = "range", .severity = 0, .description = "nothing but zeros"},
      zero, 0, shared));
  all.push_back(std::make_unique<FeaturePerturbation>(
      PerturbationInfo{.name = "denormals",
                       .category = "range",
                       .severity = 0,
                       .description = "numbers of 1e-40, which slow some engines down"},
      denormal, 0, shared));
  return all;
}

}  // namespace joulery::evaluate
