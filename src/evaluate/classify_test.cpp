#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluate/outputs.hpp"
#include "evaluate/scorer_fixture.hpp"
#include "stats/random_stream.hpp"

namespace joulery::evaluate {
namespace {

using data::DataType;
using data::Label;
using data::Shape;
using data::Tensor;
using testing::HasSubstr;

constexpr std::size_t kSamples = 30;
constexpr std::size_t kClasses = 4;

/// The logits and labels that scikit-learn was given for the known values below.
std::vector<double> known_logits() {
  std::vector<double> values;
  for (std::size_t i = 0; i < kSamples; ++i) {
    for (std::size_t c = 0; c < kClasses; ++c) {
      const double wave = std::sin(1.7 * static_cast<double>(i) + 2.3 * static_cast<double>(c)) * 2.5;
      values.push_back(wave + (c == (i * i + i / 3) % kClasses ? 1.6 : 0));
    }
  }
  return values;
}

std::vector<Label> known_labels() {
  std::vector<Label> labels;
  for (std::size_t i = 0; i < kSamples; ++i) {
    const std::size_t label = i % 5 != 0 ? (i * i + i / 3) % kClasses : (i + 1) % kClasses;
    labels.emplace_back(static_cast<std::int64_t>(label));
  }
  return labels;
}

std::vector<engine::Port> one_output(DataType type = DataType::f64) {
  return {{.name = "scores", .type = type, .shape = Shape{-1, 4}}};
}

Scored scored_known(const std::vector<double>& values, const TaskOptions& options = {}) {
  Scored scored(TaskKind::classify, options, one_output());
  const Tensor tensor = tensor_of({kSamples, kClasses}, values, DataType::f64);
  scored.add({&tensor}, known_labels());
  return scored;
}

TEST(ClassifyTest, MetricsAreThoseOfScikitLearn) {
  // scikit-learn 1.9.1: accuracy_score, top_k_accuracy_score(k=2), balanced_accuracy_score, f1_score(macro),
  // log_loss; Brier and calibration by their definitions in numpy; temperature by scipy's minimize_scalar.
  const Scored scored = scored_known(known_logits(), {.top_k = {2}});
  EXPECT_NEAR(scored.metric("accuracy"), 0.36666666666666664, 1e-12);
  EXPECT_NEAR(scored.metric("top_2_accuracy"), 0.7333333333333333, 1e-12);
  EXPECT_NEAR(scored.metric("balanced_accuracy"), 0.37976190476190474, 1e-12);
  EXPECT_NEAR(scored.metric("macro_f1"), 0.3848039215686274, 1e-12);
  EXPECT_NEAR(scored.metric("negative_log_likelihood"), 1.7126737653091273, 1e-6);
  EXPECT_NEAR(scored.metric("brier"), 0.9231039775601604, 1e-6);
  EXPECT_NEAR(scored.metric("ece"), 0.44015534424657676, 1e-6);
  EXPECT_NEAR(scored.metric("ece_equal_mass"), 0.42008623112638344, 1e-6);
  const auto report = scored.report();
  ASSERT_TRUE(report->calibration);
  EXPECT_NEAR(*report->calibration->classwise, 0.2691695197085092, 1e-9);
  EXPECT_NEAR(report->calibration->maximum_error, 0.7822618681605984, 1e-6);
  EXPECT_NEAR(*report->calibration->temperature, 3.4783452152164718, 1e-3);
  EXPECT_NEAR(*report->calibration->log_likelihood_gain, 0.45039085920726074, 1e-6);
  EXPECT_THAT(report->interpretation, HasSubstr("logits"));
  ASSERT_EQ(report->classes.size(), 4U);
  EXPECT_NEAR(report->classes[0].precision, 0.57142857, 1e-8);
  EXPECT_NEAR(report->classes[1].recall, 0.28571429, 1e-8);
  EXPECT_NEAR(report->classes[1].f1, 0.23529412, 1e-8);
  EXPECT_EQ(report->classes[2].labelled, 9U);
  EXPECT_EQ(report->primary.name, "accuracy");
  EXPECT_EQ(report->primary.method, "Clopper-Pearson");
  EXPECT_TRUE(report->primary.bounded_per_sample);
  EXPECT_EQ(report->per_sample_scores.size(), kSamples);
}

TEST(ClassifyTest, ProbabilitiesAreToldFromLogits) {
  std::vector<double> values = known_logits();
  for (std::size_t i = 0; i < kSamples; ++i) softmax(std::span(values).subspan(i * kClasses, kClasses));
  const Scored scored = scored_known(values);
  EXPECT_THAT(scored.report()->interpretation, HasSubstr("probabilities"));
  EXPECT_NEAR(scored.metric("negative_log_likelihood"), 1.7126737653091273, 1e-6);
  EXPECT_NEAR(scored.metric("ece"), 0.44015534424657676, 1e-6);
  EXPECT_FALSE(scored.report()->calibration->temperature);
}

TEST(ClassifyTest, ScoresThatAreNeitherHaveNoLikelihood) {
  std::vector<double> values = known_logits();
  for (double& value : values) value = 1 / (1 + std::exp(-value));
  const auto report = scored_known(values).report();
  ASSERT_TRUE(report);
  EXPECT_EQ(find_metric(*report, "brier"), nullptr);
  EXPECT_FALSE(report->calibration);
  EXPECT_TRUE(mentions(report->warnings, "do not add up to 1"));
  EXPECT_NEAR(report->primary.value, 0.36666666666666664, 1e-12);
  // Whoever says so is believed.
  const auto told = scored_known(values, {.output_meaning = OutputMeaning::logits}).report();
  EXPECT_NE(find_metric(*told, "brier"), nullptr);
}

TEST(ClassifyTest, BatchesGiveWhatOneGives) {
  const std::vector<double> values = known_logits();
  const std::vector<Label> labels = known_labels();
  Scored scored(TaskKind::classify, {}, one_output());
  for (std::size_t i = 0; i < kSamples; i += 10) {
    const auto at = static_cast<std::ptrdiff_t>(i);
    // Padded to 12: only as many samples count as there are labels.
    std::vector<double> part(values.begin() + at * 4, values.begin() + (at + 10) * 4);
    part.resize(12 * kClasses, 99);
    const Tensor tensor = tensor_of({12, kClasses}, part, DataType::f64);
    scored.add({&tensor}, {labels.begin() + at, labels.begin() + at + 10});
  }
  EXPECT_EQ(scored.report()->samples, kSamples);
  const Scored whole = scored_known(values);
  for (const char* name : {"accuracy", "macro_f1", "negative_log_likelihood", "ece"}) {
    EXPECT_EQ(scored.metric(name), whole.metric(name));
  }
  EXPECT_EQ(scored.report()->predictions, whole.report()->predictions);
}

std::vector<double> binary_scores() {
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(std::sin(0.9 * i) + (i % 3 == 0 ? 0.8 : -0.3));
  return values;
}

std::vector<Label> binary_labels() {
  std::vector<Label> labels;
  for (std::int64_t i = 0; i < 24; ++i) labels.emplace_back(i % 3 == 0 ? std::int64_t{1} : std::int64_t{0});
  return labels;
}

TEST(ClassifyTest, OneScoreIsAYesOrNo) {
  // scikit-learn 1.9.1: roc_auc_score, accuracy_score, brier_score_loss, log_loss, f1_score(macro).
  std::vector<double> values = binary_scores();
  for (int sigmoid = 0; sigmoid < 2; ++sigmoid) {
    Scored scored(TaskKind::classify, {}, {{.name = "y", .type = DataType::f64, .shape = Shape{-1, 1}}});
    const Tensor tensor = tensor_of({24, 1}, values, DataType::f64);
    scored.add({&tensor}, binary_labels());
    EXPECT_NEAR(scored.metric("roc_auc"), 0.828125, 1e-12);
    EXPECT_NEAR(scored.metric("accuracy"), 0.625, 1e-12);
    EXPECT_NEAR(scored.metric("brier"), 0.2013164591351162, 1e-6);
    EXPECT_NEAR(scored.metric("negative_log_likelihood"), 0.5824631157978434, 1e-6);
    EXPECT_NEAR(scored.metric("macro_f1"), 0.6243478260869566, 1e-12);
    EXPECT_THAT(scored.report()->interpretation, HasSubstr(sigmoid == 1 ? "probability" : "logits"));
    for (double& value : values) value = 1 / (1 + std::exp(-value));
  }
}

TEST(ClassifyTest, AnswersThatAreClassesAreTakenAsSuch) {
  Scored scored(TaskKind::classify, {}, {{.name = "label", .type = DataType::i64, .shape = Shape{-1}}});
  const Tensor tensor = tensor_of({4}, {0, 1, 2, 2}, DataType::i64);
  scored.add({&tensor}, {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, std::int64_t{0}});
  EXPECT_EQ(scored.metric("accuracy"), 0.75);
  EXPECT_EQ(find_metric(*scored.report(), "brier"), nullptr);
}

TEST(ClassifyTest, TheOutputIsChosenOrAskedFor) {
  const std::vector<engine::Port> both{{.name = "label", .type = DataType::i64, .shape = Shape{-1}},
                                       {.name = "probability", .type = DataType::f32, .shape = Shape{-1, 2}}};
  Scored scored(TaskKind::classify, {}, both);
  const Tensor label = tensor_of({2}, {0, 0}, DataType::i64);
  const Tensor probability = tensor_of({2, 2}, {0.1, 0.9, 0.8, 0.2});
  scored.add({&label, &probability}, {std::int64_t{1}, std::int64_t{0}});
  EXPECT_EQ(scored.metric("accuracy"), 1);
  Scored named(TaskKind::classify, {.output = "label"}, both);
  named.add({&label, &probability}, {std::int64_t{1}, std::int64_t{0}});
  EXPECT_EQ(named.metric("accuracy"), 0.5);
  EXPECT_THAT(Scored(TaskKind::classify, {.output = "lable"}, both).error(), HasSubstr("no output 'lable'"));
  const std::vector<engine::Port> twins{{.name = "a", .type = DataType::f32, .shape = Shape{-1, 5}},
                                        {.name = "b", .type = DataType::f32, .shape = Shape{-1, 5}}};
  EXPECT_THAT(Scored(TaskKind::classify, {}, twins).error(), HasSubstr("--task-output NAME"));
}

TEST(ClassifyTest, AnswersThatAreNoNumbersAreWrong) {
  std::vector<double> values = known_logits();
  values[3] = std::numeric_limits<double>::quiet_NaN();
  values[5] = std::numeric_limits<double>::infinity();
  const auto clean = scored_known(known_logits()).report();
  const auto report = scored_known(values).report();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->non_finite_samples, 2U);
  EXPECT_EQ(report->predictions[0], -1);
  EXPECT_EQ(report->per_sample_scores[0], 0);
  EXPECT_EQ(report->per_sample_scores[1], 0);
  EXPECT_LE(report->primary.value, clean->primary.value);
  EXPECT_TRUE(std::isfinite(find_metric(*report, "negative_log_likelihood")->value));
  EXPECT_TRUE(mentions(report->warnings, "NaN"));
  std::uint64_t in_bins = 0;
  for (const ReliabilityBin& bin : report->calibration->bins) in_bins += bin.count;
  EXPECT_EQ(in_bins, kSamples - 2);
}

std::string label_error(const Label& label, const TaskOptions& options = {}) {
  Scored scored(TaskKind::classify, options, one_output());
  const Tensor tensor = tensor_of({1, kClasses}, {1, 2, 3, 4}, DataType::f64);
  return scored.add({&tensor}, {label}).error();
}

TEST(ClassifyTest, LabelsThatDoNotFitAreExplained) {
  EXPECT_THAT(label_error(std::int64_t{4}), HasSubstr("count from 0"));
  EXPECT_THAT(label_error(std::int64_t{-1}), HasSubstr("0 to 3"));
  EXPECT_THAT(label_error(std::string("cat")), HasSubstr("--class-names"));
  EXPECT_THAT(label_error(std::monostate()), HasSubstr("no label"));
  EXPECT_THAT(label_error(std::vector<double>{1, 2}), HasSubstr("one-hot"));
  EXPECT_THAT(label_error(std::vector<double>{0.5, 0.5, 0, 0}), HasSubstr("one-hot"));
  const TaskOptions named{.class_names = {"cat", "dog", "owl", "cow"}};
  EXPECT_THAT(label_error(std::string("dgo"), named), HasSubstr("did you mean 'dog'"));
  EXPECT_EQ(label_error(std::string("dog"), named), "");
  EXPECT_EQ(label_error(std::vector<double>{0, 0, 1, 0}), "");
  EXPECT_EQ(label_error(std::vector<double>{3}), "");
  EXPECT_THAT(label_error(std::int64_t{0}, {.class_names = {"a", "b"}}), HasSubstr("2 class names"));
  EXPECT_THAT(label_error(std::int64_t{0}, {.class_names = {"a", "b", "a", "c"}}), HasSubstr("'a'"));
  EXPECT_THAT(label_error(std::int64_t{0}, {.metric = "accurracy"}), HasSubstr("choose from accuracy"));
}

TEST(ClassifyTest, BatchesThatDoNotFitAreExplained) {
  const Tensor tensor = tensor_of({2, kClasses}, std::vector<double>(8), DataType::f64);
  const Tensor wider = tensor_of({2, 5}, std::vector<double>(10), DataType::f64);
  const std::vector<Label> two{std::int64_t{0}, std::int64_t{1}};
  const std::vector<Label> three{std::int64_t{0}, std::int64_t{1}, std::int64_t{1}};
  const auto fresh = [] { return Scored(TaskKind::classify, {}, one_output()); };
  EXPECT_THAT(fresh().add({&tensor}, three).error(), HasSubstr("3 samples"));
  EXPECT_THAT(fresh().add({&tensor}, two).add({&wider}, two).error(), HasSubstr("4 scores"));
  EXPECT_THAT(fresh().add({&tensor}, two, {"a"}).error(), HasSubstr("1 groups"));
  EXPECT_THAT(fresh().add({&tensor}, two, {"a", "b"}).add({&tensor}, two).error(),
              HasSubstr("some have none"));
  EXPECT_THAT(fresh().add({&tensor, &tensor}, two).error(), HasSubstr("outputs"));
  EXPECT_THAT(fresh().error(), HasSubstr("no samples"));
  EXPECT_THAT(Scored(TaskKind::classify, {.level = 1}, one_output()).error(), HasSubstr("confidence level"));
  EXPECT_THAT(Scored(TaskKind::classify, {}, {}).error(), HasSubstr("no outputs"));
}

/// A classifier of two classes that is right with this chance.
Scored coin(double accuracy, std::size_t count, double share_of_ones, std::uint64_t seed = 3) {
  stats::RandomStream random(seed);
  std::vector<double> values;
  std::vector<Label> labels;
  for (std::size_t i = 0; i < count; ++i) {
    const bool one = random.unit() < share_of_ones;
    const bool answer = random.unit() < accuracy ? one : !one;
    values.push_back(answer ? 0.1 : 0.9);
    values.push_back(answer ? 0.9 : 0.1);
    labels.emplace_back(one ? std::int64_t{1} : std::int64_t{0});
  }
  Scored scored(TaskKind::classify, {}, one_output());
  const Tensor tensor = tensor_of({static_cast<std::int64_t>(count), 2}, values, DataType::f64);
  scored.add({&tensor}, labels);
  return scored;
}

TEST(ClassifyTest, AModelNoBetterThanTheMostFrequentClassIsCalledThat) {
  EXPECT_TRUE(mentions(coin(0.5, 2000, 0.5).report()->warnings, "not shown to be better"));
  EXPECT_TRUE(mentions(coin(0.8, 2000, 0.85).report()->warnings, "always answering '1'"));
  EXPECT_FALSE(mentions(coin(0.9, 2000, 0.5).report()->warnings, "not shown to be better"));
  EXPECT_TRUE(mentions(coin(0.9, 50, 1).report()->warnings, "one class"));
}

TEST(ClassifyTest, TooFewSamplesSayHowManyAreNeeded) {
  const auto few = coin(0.9, 30, 0.5).report();
  ASSERT_TRUE(mentions(few->warnings, "would settle it"));
  EXPECT_FALSE(mentions(coin(0.9, 2000, 0.5).report()->warnings, "would settle it"));
}

TEST(ClassifyTest, CalibrationIsJudgedAgainstWhatChanceGives) {
  // Confidence 0.9 throughout. Right 9 in 10: calibrated. Right 7 in 10: not.
  int flagged = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const auto report = coin(0.9, 300, 0.5, seed).report();
    if (report->calibration->equal_width.value > report->calibration->bound_if_calibrated) ++flagged;
  }
  EXPECT_LE(flagged, 6);  // 5 % of 40 is 2; more than 6 has a chance below 1 %
  const auto wrong = coin(0.7, 300, 0.5).report();
  EXPECT_GT(wrong->calibration->equal_width.value, wrong->calibration->bound_if_calibrated);
  EXPECT_GT(wrong->calibration->equal_width.low, 0.1);
}

}  // namespace
}  // namespace joulery::evaluate
