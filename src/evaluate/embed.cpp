#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "evaluate/labels.hpp"
#include "evaluate/metric_list.hpp"
#include "evaluate/neighbours.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/rank_correlation.hpp"
#include "evaluate/tasks.hpp"

namespace joulery::evaluate {
namespace {

/// All are compared with all.
constexpr std::size_t kMostForNeighbours = 20'000;
constexpr std::array<std::size_t, 3> kRecalls{1, 5, 10};

/// What the labels are, which decides what is judged.
enum class Against { vectors, classes, pairs };

/// For both samples of each pair: 1 if its rank is the same on both sides, 0 if it is first here and last
/// there.
std::vector<double> rank_agreement(std::span<const double> found, std::span<const double> truth) {
  const std::vector<double> own = ranks(found);
  const std::vector<double> other = ranks(truth);
  const double most = std::max(1.0, static_cast<double>(found.size()) - 1);
  std::vector<double> result;
  for (std::size_t pair = 0; pair < own.size(); ++pair) {
    result.insert(result.end(), 2, 1 - std::fabs(own[pair] - other[pair]) / most);
  }
  return result;
}

class Embed final : public TaskScorer {
 public:
  Embed(const TaskOptions& options, std::size_t output, std::string name)
      : TaskScorer(TaskKind::embed, options), output_(output), output_name_(std::move(name)) {}

 private:
  Status add_batch(const Batch& batch) override;
  Result<ScoredSamples> scored() const override;
  Result<Against> against(const data::Label& label, std::uint64_t sample) const;
  Status add_label(const data::Label& label, std::span<const double> values, bool finite,
                   std::uint64_t sample);
  Result<ScoredSamples> scored_classes() const;
  Result<ScoredSamples> scored_pairs() const;

  std::size_t output_;
  std::string output_name_;
  std::size_t width_ = 0;
  std::optional<Against> against_;
  /// Unit vectors in rows of width_; of samples without an answer, zeros. Not kept if labels are vectors.
  std::vector<float> rows_;
  std::vector<double> cosines_;
  std::vector<double> similarities_;
  std::vector<std::uint32_t> label_;
  std::vector<std::string> label_names_;
  std::unordered_map<std::string, std::uint32_t> label_numbers_;
  std::vector<std::uint32_t> group_;
  std::unordered_map<std::string, std::uint32_t> group_numbers_;
  std::uint64_t non_finite_ = 0;
};

Result<Against> Embed::against(const data::Label& label, std::uint64_t sample) const {
  if (const auto* numbers = std::get_if<std::vector<double>>(&label)) {
    if (numbers->size() == 1 && width_ != 1) return Against::pairs;
    if (numbers->size() == width_) return Against::vectors;
    return user_error(
        fmt::format("the label of sample {} has {} numbers, but an embedding has {}", sample, numbers->size(),
                    width_),
        "labels of embed are embeddings to match, classes, or the similarity of each pair of samples");
  }
  if (std::holds_alternative<std::monostate>(label)) {
    return user_error(fmt::format("sample {} has no label", sample),
                      "without labels, compare with another model: --task agree");
  }
  return Against::classes;
}

Status Embed::add_label(const data::Label& label, std::span<const double> values, bool finite,
                        std::uint64_t sample) {
  if (*against_ == Against::vectors) {
    JOULERY_ASSIGN(const std::vector<double> truth, label_numbers(label, width_, sample));
    cosines_.push_back(finite ? cosine(values, truth) : -1);
    return {};
  }
  if (*against_ == Against::pairs) {
    JOULERY_ASSIGN(const std::vector<double> similarity, label_numbers(label, 1, sample));
    similarities_.push_back(similarity[0]);
  } else {
    const auto* number = std::get_if<std::int64_t>(&label);
    std::string name = number != nullptr ? fmt::format("{}", *number) : std::get<std::string>(label);
    const auto [place, is_new] =
        label_numbers_.emplace(name, static_cast<std::uint32_t>(label_names_.size()));
    if (is_new) label_names_.push_back(std::move(name));
    label_.push_back(place->second);
  }
  double square = 0;
  for (const double value : values) square += value * value;
  const double scale = finite && square > 0 ? 1 / std::sqrt(square) : 0;
  for (const double value : values) rows_.push_back(scale > 0 ? static_cast<float>(value * scale) : 0);
  return {};
}

Status Embed::add_batch(const Batch& batch) {
  JOULERY_ASSIGN(const Rows rows, Rows::create(batch.outputs[output_], batch.count, output_name_));
  if (rows.shape().rank() > 2 &&
      rows.width() != static_cast<std::size_t>(rows.shape()[rows.shape().rank() - 1])) {
    return user_error(fmt::format("output '{}' of shape {} has several vectors a sample",
                                  printable(output_name_), rows.shape().text()),
                      "judge the pooled output: --task-output NAME");
  }
  if (!against_) width_ = rows.width();
  if (rows.width() != width_ || width_ == 0) {
    return user_error(fmt::format("output '{}' of shape {} is no embedding of {} numbers",
                                  printable(output_name_), rows.shape().text(), width_));
  }
  std::vector<double> values(width_);
  for (std::size_t i = 0; i < batch.count; ++i) {
    JOULERY_ASSIGN(const Against kind, against(batch.labels[i], batch.first + i));
    if (against_ && *against_ != kind) {
      return user_error(fmt::format("the label of sample {}, {}, is of another kind than those before it",
                                    batch.first + i, label_kind(batch.labels[i])));
    }
    against_ = kind;
    rows.read(i, values);
    const bool finite = all_finite(values);
    if (!finite) ++non_finite_;
    JOULERY_CHECK_OK(add_label(batch.labels[i], values, finite, batch.first + i));
  }
  for (const std::string& group : batch.groups) {
    group_.push_back(
        group_numbers_.emplace(group, static_cast<std::uint32_t>(group_numbers_.size())).first->second);
  }
  return {};
}

Result<ScoredSamples> Embed::scored_classes() const {
  const std::size_t count = label_.size();
  if (count > kMostForNeighbours) {
    return user_error(fmt::format("{} embeddings are too many to compare all with all", count),
                      fmt::format("judge a part of at most {} samples", kMostForNeighbours));
  }
  ScoredSamples scored{.interpretation =
                           "embeddings; a sample's nearest others (cosine) should be of its class"};
  const Neighbours neighbours(rows_, width_, group_, kRecalls.back());
  std::array<std::vector<double>, kRecalls.size()> within;
  std::vector<double> voted;
  std::size_t alone = 0;
  double chance = 0;
  for (std::uint32_t sample = 0; sample < count; ++sample) {
    const std::size_t first = neighbours.first_alike(sample, label_);
    for (std::size_t i = 0; i < kRecalls.size(); ++i) within[i].push_back(first < kRecalls[i] ? 1 : 0);
    voted.push_back(neighbours.vote(sample, label_, 5) == label_[sample] ? 1 : 0);
    const auto [alike, others] = neighbours.candidates(sample, label_);
    if (alike == 0) ++alone;
    if (others > 0) {
      chance += static_cast<double>(alike) / static_cast<double>(others) / static_cast<double>(count);
    }
  }
  MetricList metrics;
  for (std::size_t i = 0; i < kRecalls.size(); ++i) {
    metrics.add_mean(
        {.name = fmt::format("recall_at_{}", kRecalls[i]), .bounded_per_sample = true, .is_share = true},
        within[i]);
  }
  metrics.add_mean({.name = "knn_5_accuracy", .bounded_per_sample = true, .is_share = true}, voted);
  metrics.move_into(scored);
  scored.label_classes = label_;
  scored.class_names = label_names_;
  scored.trivial.push_back({.metric = "recall_at_1", .value = chance, .how = "chance"});
  if (alone > 0) {
    scored.warnings.push_back(
        fmt::format("{} of {} samples have no other of their class{}: they count as not found, so recall is "
                    "at most {:.3g}",
                    alone, count, group_.empty() ? "" : " outside their group",
                    1 - static_cast<double>(alone) / static_cast<double>(count)));
  }
  return scored;
}

Result<ScoredSamples> Embed::scored_pairs() const {
  const std::size_t pairs = similarities_.size() / 2;
  if (similarities_.size() % 2 != 0) {
    return user_error(
        fmt::format("{} samples are no pairs", similarities_.size()),
        "samples 0 and 1 are the first pair, 2 and 3 the second; both have its similarity as label");
  }
  auto found = std::make_shared<std::vector<double>>();
  auto truth = std::make_shared<std::vector<double>>();
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    if (similarities_[2 * pair] != similarities_[2 * pair + 1]) {
      return user_error(
          fmt::format("samples {} and {} are a pair, but their labels differ", 2 * pair, 2 * pair + 1),
          "both samples of a pair have its similarity as label");
    }
    const float* left = rows_.data() + 2 * pair * width_;
    found->push_back(std::inner_product(left, left + width_, left + width_, 0.0));
    truth->push_back(similarities_[2 * pair]);
  }
  ScoredSamples scored{.interpretation = "embeddings of pairs; their cosine should rank as their labels do"};
  MetricList metrics;
  const auto of_pairs = [found, truth](std::span<const std::uint32_t> samples, auto correlation) {
    // Both samples of a pair are in or out together: see the clusters.
    std::vector<double> x;
    std::vector<double> y;
    for (const std::uint32_t sample : samples) {
      if (sample % 2 != 0) continue;
      x.push_back((*found)[sample / 2]);
      y.push_back((*truth)[sample / 2]);
    }
    return correlation(x, y);
  };
  metrics.add(
      {.name = "spearman"}, [of_pairs](auto samples) { return of_pairs(samples, spearman); },
      rank_agreement(*found, *truth));
  metrics.add({.name = "pearson"}, [of_pairs](auto samples) { return of_pairs(samples, pearson); });
  metrics.move_into(scored);
  scored.unit_size = 2;
  scored.trivial.push_back({.metric = "spearman", .value = 0, .how = "chance"});
  return scored;
}

Result<ScoredSamples> Embed::scored() const {
  Result<ScoredSamples> scored;
  if (*against_ == Against::classes) {
    scored = scored_classes();
  } else if (*against_ == Against::pairs) {
    scored = scored_pairs();
  } else {
    scored->interpretation = "embeddings; each should point where its label points";
    MetricList metrics;
    metrics.add_mean({.name = "cosine"}, cosines_);
    metrics.move_into(*scored);
  }
  if (scored) scored->non_finite = non_finite_;
  return scored;
}

}  // namespace

NewScorer create_embed(const TaskOptions& options, std::span<const engine::Port> outputs) {
  JOULERY_ASSIGN(const std::size_t output,
                 choose_output(outputs, options.output, "embeddings", [](const engine::Port& port) {
                   return is_floating(port.type) && port.shape.rank() <= 2;
                 }));
  return std::make_unique<Embed>(options, output, outputs[output].name);
}

}  // namespace joulery::evaluate
