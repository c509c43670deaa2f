#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluate/rank_correlation.hpp"
#include "evaluate/scorer_fixture.hpp"
#include "evaluate/transcript.hpp"
#include "stats/distributions.hpp"

namespace joulery::evaluate {
namespace {

using data::DataType;
using data::Label;
using data::Shape;
using data::Tensor;
using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<engine::Port> one_output(const Shape& shape) {
  return {{.name = "y", .type = DataType::f64, .shape = shape}};
}

Label numbers(std::vector<double> values) {
  return values;
}

struct Regression {
  std::vector<double> answers;
  std::vector<Label> labels;
};

Regression known_regression() {
  Regression known;
  for (int i = 0; i < 20; ++i) {
    const double first = std::cos(i * 0.7) * 3 + i * 0.1;
    const double second = i % 4;
    known.labels.push_back(numbers({first, second}));
    known.answers.push_back(first + 0.2 * std::sin(i * 2.1));
    known.answers.push_back(second + 0.3 * std::cos(i * 1.3));
  }
  return known;
}

TEST(RegressTest, MetricsAreThoseOfScikitLearn) {
  // scikit-learn 1.9.1: mean_absolute_error, mean_squared_error, r2_score (uniform average).
  const Regression known = known_regression();
  Scored scored(TaskKind::regress, {}, one_output({-1, 2}));
  const Tensor tensor = tensor_of({20, 2}, known.answers, DataType::f64);
  scored.add({&tensor}, known.labels);
  EXPECT_NEAR(scored.metric("mae"), 0.15499958964838817, 1e-12);
  EXPECT_NEAR(scored.metric("rmse"), 0.18164649242384875, 1e-12);
  EXPECT_NEAR(scored.metric("r2"), 0.9794996809422928, 1e-12);
  EXPECT_NEAR(scored.metric("max_error"), 0.3, 1e-12);
  EXPECT_FALSE(scored.report()->primary.higher_is_better);
}

TEST(RegressTest, AnswersThatAreNoNumbersCountAsTheWorst) {
  Regression known = known_regression();
  known.answers[6] = kNaN;
  Scored scored(TaskKind::regress, {}, one_output({-1, 2}));
  const Tensor tensor = tensor_of({20, 2}, known.answers, DataType::f64);
  scored.add({&tensor}, known.labels);
  EXPECT_EQ(scored.report()->non_finite_samples, 1U);
  EXPECT_GT(scored.metric("mae"), 0.155);
  EXPECT_LT(scored.metric("r2"), 0.9795);
  const std::vector<double> scores = scored.report()->per_sample_scores;
  EXPECT_EQ(scores[3], *std::ranges::max_element(scores));
  Scored nothing(TaskKind::regress, {}, one_output({-1, 1}));
  const Tensor empty = tensor_of({2, 1}, {kNaN, kNaN}, DataType::f64);
  EXPECT_THAT(nothing.add({&empty}, {numbers({1}), numbers({2})}).error(), HasSubstr("every sample"));
}

TEST(RegressTest, TheMeanIsTheModelToBeat) {
  stats::RandomStream random(4);
  std::vector<double> answers;
  std::vector<Label> labels;
  for (int i = 0; i < 400; ++i) {
    answers.push_back(0.1 * stats::normal_variate(random));
    labels.push_back(numbers({stats::normal_variate(random)}));
  }
  for (const char* metric : {"", "r2", "rmse"}) {
    Scored scored(TaskKind::regress, {.metric = metric}, one_output({-1, 1}));
    const Tensor tensor = tensor_of({400, 1}, answers, DataType::f64);
    scored.add({&tensor}, labels);
    EXPECT_TRUE(mentions(scored.report()->warnings, "always answering the mean")) << metric;
  }
}

TEST(RegressTest, LabelsThatDoNotFitAreExplained) {
  const Tensor tensor = tensor_of({1, 2}, {1, 2}, DataType::f64);
  const auto error = [&](Label label) {
    return Scored(TaskKind::regress, {}, one_output({-1, 2})).add({&tensor}, {std::move(label)}).error();
  };
  EXPECT_THAT(error(numbers({1, 2, 3})), HasSubstr("3 numbers"));
  EXPECT_THAT(error(std::int64_t{1}), HasSubstr("1 number"));
  EXPECT_THAT(error(std::string("x")), HasSubstr("numbers are needed"));
  EXPECT_THAT(error(numbers({1, kNaN})), HasSubstr("not finite"));
  EXPECT_THAT(error(std::monostate()), HasSubstr("no label"));
  // Labels that never vary: nothing to explain.
  Scored flat(TaskKind::regress, {}, one_output({-1, 1}));
  const Tensor answers = tensor_of({2, 1}, {1, 2}, DataType::f64);
  flat.add({&answers}, {numbers({5}), numbers({5})});
  EXPECT_EQ(find_metric(*flat.report(), "r2"), nullptr);
  EXPECT_EQ(flat.metric("mae"), 3.5);
}

TEST(EmbedTest, NearestOthersOfTheSameClassAreFound) {
  // Three directions, each with three samples near it; the last of class b points where a does.
  const std::vector<double> vectors{1, 0, 0.9, 0.1, 1, 0.05, 0, 1, 0.1, 0.9, 1, 0, -1, 0, -1, 0.1, -1, -0.1};
  const std::vector<Label> labels{std::string("a"), std::string("a"), std::string("a"),
                                  std::string("b"), std::string("b"), std::string("b"),
                                  std::string("c"), std::string("c"), std::string("c")};
  const Tensor tensor = tensor_of({9, 2}, vectors, DataType::f64);
  Scored scored(TaskKind::embed, {}, one_output({-1, 2}));
  scored.add({&tensor}, labels);
  // Samples 0 and 5 point the same way and are each other's nearest: both are wrong.
  EXPECT_NEAR(scored.metric("recall_at_1"), 7.0 / 9, 1e-12);
  EXPECT_EQ(scored.metric("recall_at_10"), 1);
  // With groups, a near-duplicate does not find itself: 0 and 2 are one thing, so 0's nearest are 5 and 1.
  Scored grouped(TaskKind::embed, {}, one_output({-1, 2}));
  grouped.add({&tensor}, labels, {"g", "h", "g", "i", "j", "k", "l", "m", "n"});
  EXPECT_LT(grouped.metric("recall_at_1"), 7.0 / 9);
}

TEST(EmbedTest, ReferenceVectorsAndPairsAreToldByTheirLabels) {
  Scored vectors(TaskKind::embed, {}, one_output({-1, 2}));
  const Tensor tensor = tensor_of({2, 2}, {1, 0, 1, 1}, DataType::f64);
  vectors.add({&tensor}, {numbers({2, 0}), numbers({1, 0})});
  EXPECT_NEAR(vectors.metric("cosine"), (1 + std::sqrt(0.5)) / 2, 1e-12);

  // scipy 1.17.1: spearmanr, pearsonr
  const std::vector<double> cosines{0.1, 0.5, 0.5, 0.9, 0.3, 0.2, 0.75, 0.6};
  const std::vector<double> similar{1, 3, 2, 5, 2, 1, 4, 5};
  EXPECT_NEAR(spearman(cosines, similar), 0.9329962099123681, 1e-12);
  EXPECT_NEAR(pearson(cosines, similar), 0.9039899530622687, 1e-12);
  std::vector<double> pairs;
  std::vector<Label> labels;
  for (std::size_t i = 0; i < cosines.size(); ++i) {
    pairs.insert(pairs.end(), {1, 0, cosines[i], std::sqrt(1 - cosines[i] * cosines[i])});
    labels.insert(labels.end(), 2, numbers({similar[i]}));
  }
  const Tensor of_pairs = tensor_of({16, 2}, pairs, DataType::f64);
  Scored ranked(TaskKind::embed, {}, one_output({-1, 2}));
  ranked.add({&of_pairs}, labels);
  EXPECT_NEAR(ranked.metric("spearman"), 0.9329962099123681, 1e-6);
  EXPECT_THAT(ranked.report()->primary.method, HasSubstr("bootstrap"));
  labels[3] = numbers({9});
  EXPECT_THAT(Scored(TaskKind::embed, {}, one_output({-1, 2})).add({&of_pairs}, labels).error(),
              HasSubstr("labels differ"));
}

TEST(EmbedTest, WhatDoesNotFitIsExplained) {
  const Tensor tensor = tensor_of({2, 2}, {1, 0, 1, 1}, DataType::f64);
  const Tensor tokens = tensor_of({2, 3, 2}, std::vector<double>(12, 1), DataType::f64);
  const auto fresh = [] { return Scored(TaskKind::embed, {}, one_output({-1, 2})); };
  EXPECT_THAT(fresh().add({&tensor}, {numbers({1, 2, 3}), numbers({1})}).error(), HasSubstr("3 numbers"));
  EXPECT_THAT(fresh().add({&tensor}, {std::int64_t{1}, numbers({1, 2})}).error(), HasSubstr("another kind"));
  EXPECT_THAT(fresh().add({&tokens}, {std::int64_t{1}, std::int64_t{1}}).error(), HasSubstr("pooled"));
  const auto alone = fresh().add({&tensor}, {std::int64_t{1}, std::int64_t{2}}).report();
  EXPECT_TRUE(mentions(alone->warnings, "no other of their class"));
}

/// Boxes and scores in one tensor of rows x1 y1 x2 y2 score class.
Scored detected(const std::vector<std::vector<double>>& images, const std::vector<Label>& labels,
                const TaskOptions& options = {}) {
  std::size_t most = 1;
  for (const auto& image : images) most = std::max(most, image.size() / 6);
  std::vector<double> values;
  for (const auto& image : images) {
    std::vector<double> padded = image;
    while (padded.size() < most * 6) padded.insert(padded.end(), {0, 0, 0, 0, 0, -1});
    values.insert(values.end(), padded.begin(), padded.end());
  }
  Scored scored(TaskKind::detect, options, one_output({-1, -1, 6}));
  const Tensor tensor =
      tensor_of({std::ssize(images), static_cast<std::int64_t>(most), 6}, values, DataType::f64);
  scored.add({&tensor}, labels);
  return scored;
}

TEST(DetectTest, WhatIsFoundExactlyIsWorthOne) {
  const Scored scored = detected({{10, 10, 20, 20, 0.9, 0, 30, 30, 50, 50, 0.8, 1}, {}},
                                 {numbers({0, 10, 10, 20, 20, 1, 30, 30, 50, 50}), numbers({})});
  EXPECT_EQ(scored.metric("map_50"), 1);
  EXPECT_EQ(scored.metric("map_50_95"), 1);
  EXPECT_EQ(scored.report()->per_sample_scores, (std::vector<double>{1, 1}));
}

TEST(DetectTest, AveragePrecisionIsTheAreaUnderTheMonotoneCurve) {
  // One class, three boxes; by falling score: right, wrong, right, and one box never found.
  // Precision 1 up to recall 1/3 (34 of the 101 recalls: 0 … 0.33), 2/3 up to 2/3 (33: 0.34 … 0.66).
  const Scored scored = detected({{0, 0, 10, 10, 0.9, 0, 50, 50, 60, 60, 0.8, 0, 20, 20, 30, 30, 0.7, 0}},
                                 {numbers({0, 0, 0, 10, 10, 0, 20, 20, 30, 30, 0, 80, 80, 90, 90})});
  EXPECT_NEAR(scored.metric("map_50"), (34 + 33 * 2.0 / 3) / 101, 1e-12);
}

TEST(DetectTest, ABoxIsFoundOnceAndAtTheOverlapItHas) {
  // IoU of the first is 80/100: right at 0.5 … 0.8 (7 of 10). The second finds the same box again: wrong.
  const Scored scored = detected({{0, 0, 10, 8, 0.9, 3, 0, 0, 10, 7, 0.8, 3}}, {numbers({3, 0, 0, 10, 10})});
  EXPECT_NEAR(scored.metric("map_50"), 1, 1e-12);
  EXPECT_NEAR(scored.metric("map_75"), 1, 1e-12);
  EXPECT_NEAR(scored.metric("map_50_95"), 0.7, 1e-12);
  // Of another class it is not found at all.
  EXPECT_EQ(detected({{0, 0, 10, 8, 0.9, 2}}, {numbers({3, 0, 0, 10, 10})}).metric("map_50"), 0);
}

TEST(DetectTest, BoxesMayBeWrittenInAnyOfFourWays) {
  const Label label = numbers({0, 10, 20, 30, 60});
  const std::vector<std::pair<BoxFormat, std::vector<double>>> ways{
      {BoxFormat::xyxy, {10, 20, 30, 60, 0.9, 0}},
      {BoxFormat::yxyx, {20, 10, 60, 30, 0.9, 0}},
      {BoxFormat::xywh, {10, 20, 20, 40, 0.9, 0}},
      {BoxFormat::cxcywh, {20, 40, 20, 40, 0.9, 0}}};
  for (const auto& [format, box] : ways) {
    EXPECT_EQ(detected({box}, {label}, {.box_format = format}).metric("map_50_95"), 1)
        << box_format_name(format);
    EXPECT_EQ(parse_box_format(box_format_name(format)), format);
  }
}

TEST(DetectTest, OutputsAreToldByTheirNames) {
  const std::vector<engine::Port> ports{
      {.name = "pred_boxes", .type = DataType::f32, .shape = Shape{-1, -1, 4}},
      {.name = "scores", .type = DataType::f32, .shape = Shape{-1, -1, 2}}};
  const Tensor boxes = tensor_of({1, 2, 4}, {0, 0, 10, 10, 20, 20, 30, 30});
  const Tensor scores = tensor_of({1, 2, 2}, {0.1, 0.9, 0.8, 0.2});
  Scored scored(TaskKind::detect, {}, ports);
  scored.add({&boxes, &scores}, {numbers({1, 0, 0, 10, 10, 0, 20, 20, 30, 30})});
  EXPECT_EQ(scored.metric("map_50"), 1);
  const std::vector<engine::Port> nameless{{.name = "a", .type = DataType::f32, .shape = Shape{-1, -1, 4}},
                                           {.name = "b", .type = DataType::f32, .shape = Shape{-1, -1, 2}}};
  EXPECT_THAT(Scored(TaskKind::detect, {}, nameless).error(), HasSubstr("--box-output NAME"));
  Scored named(TaskKind::detect, {.boxes_output = "a", .scores_output = "b"}, nameless);
  named.add({&boxes, &scores}, {numbers({1, 0, 0, 10, 10, 0, 20, 20, 30, 30})});
  EXPECT_EQ(named.metric("map_50"), 1);
}

TEST(DetectTest, WhatDoesNotFitIsExplained) {
  EXPECT_THAT(detected({{}}, {numbers({0, 1, 2, 3})}).error(), HasSubstr("5 numbers a box"));
  EXPECT_THAT(detected({{}}, {numbers({0, 10, 10, 5, 20})}).error(), HasSubstr("no xyxy box"));
  EXPECT_THAT(detected({{}}, {numbers({0.5, 1, 1, 5, 20})}).error(), HasSubstr("class 0.5"));
  EXPECT_THAT(detected({{}}, {numbers({1e12, 1, 1, 5, 20})}).error(), HasSubstr("class"));
  EXPECT_THAT(detected({{}}, {numbers({})}).error(), HasSubstr("nothing to find"));
  const auto relative = detected({{0, 0, 0.5, 0.5, 0.9, 0}}, {numbers({0, 0, 0, 320, 320})}).report();
  EXPECT_TRUE(mentions(relative->warnings, "in pixels"));
  const auto broken = detected({{0, 0, kNaN, 10, 0.9, 0}}, {numbers({0, 0, 0, 10, 10})}).report();
  EXPECT_EQ(broken->non_finite_samples, 1U);
  EXPECT_EQ(broken->primary.value, 0);
}

/// Scores of which each step's best class is given.
Tensor steps(const std::vector<std::vector<int>>& samples, std::int64_t classes) {
  std::vector<double> values;
  for (const auto& sample : samples) {
    for (const int best : sample) {
      for (int c = 0; c < classes; ++c) values.push_back(c == best ? 3 : 0.1 * c);
    }
  }
  return tensor_of({std::ssize(samples), std::ssize(samples[0]), classes}, values, DataType::f64);
}

TEST(CtcTest, RepeatsAreJoinedAndBlanksDropped) {
  const std::vector<std::string> alphabet{"a", "b", "|"};
  const Tensor tensor = steps({{1, 1, 0, 1, 2, 3, 1}, {2, 0, 0, 0, 0, 0, 0}}, 4);  // "aab a", "b"
  Scored scored(TaskKind::ctc, {.alphabet = alphabet}, one_output({-1, -1, 4}));
  scored.add({&tensor}, {std::string("aab a"), std::string("ba")});
  EXPECT_NEAR(scored.metric("cer"), 1.0 / 7, 1e-12);  // of 5 + 2 characters one is missing
  EXPECT_NEAR(scored.metric("wer"), 1.0 / 3, 1e-12);  // "b" for "ba"
  EXPECT_NEAR(scored.metric("exact"), 0.5, 1e-12);
  EXPECT_EQ(scored.report()->per_sample_scores, (std::vector<double>{0, 0.5}));
  EXPECT_NE(scored.report()->predictions[0], scored.report()->predictions[1]);
}

TEST(CtcTest, WithoutAnAlphabetLabelsAreClasses) {
  const Tensor tensor = steps({{1, 2, 0, 2}}, 3);
  Scored scored(TaskKind::ctc, {}, one_output({-1, -1, 3}));
  scored.add({&tensor}, {numbers({1, 2, 1})});
  EXPECT_NEAR(scored.metric("symbol_error_rate"), 1.0 / 3, 1e-12);
}

TEST(CtcTest, OnlyTheStepsThatCountAreRead) {
  const Tensor tensor = steps({{1, 2, 1}}, 3);
  const Tensor lengths = tensor_of({1}, {2}, DataType::i64);
  const std::vector<engine::Port> ports{{.name = "logits", .type = DataType::f64, .shape = Shape{-1, -1, 3}},
                                        {.name = "lengths", .type = DataType::i64, .shape = Shape{-1}}};
  Scored scored(TaskKind::ctc, {.alphabet = {"a", "b"}, .lengths_output = "lengths"}, ports);
  scored.add({&tensor, &lengths}, {std::string("ab")});
  EXPECT_EQ(scored.metric("cer"), 0);
}

TEST(CtcTest, WhatDoesNotFitIsExplained) {
  const Tensor tensor = steps({{1, 2, 1}}, 3);
  const auto error = [&](const TaskOptions& options, Label label) {
    return Scored(TaskKind::ctc, options, one_output({-1, -1, 3})).add({&tensor}, {std::move(label)}).error();
  };
  EXPECT_THAT(error({.alphabet = {"a"}}, std::string("a")), HasSubstr("alphabet has 1 symbols"));
  EXPECT_THAT(error({.alphabet = {"a", "b"}, .blank = 3}, std::string("a")), HasSubstr("blank is class 3"));
  EXPECT_THAT(error({.alphabet = {"a", "b"}}, std::int64_t{1}), HasSubstr("a text is needed"));
  EXPECT_THAT(error({}, std::string("a")), HasSubstr("alphabet"));
  EXPECT_THAT(error({}, numbers({7})), HasSubstr("none of the 3 classes"));
  Scored capital(TaskKind::ctc, {.alphabet = {"A", "B"}}, one_output({-1, -1, 3}));
  const auto report = capital.add({&tensor}, {std::string("aba")}).report();
  EXPECT_TRUE(mentions(report->warnings, "upper or lower case"));
  EXPECT_EQ(report->primary.value, 1);
}

TEST(TranscriptTest, EditsAreCountedInCharacters) {
  const auto distance = [](std::string_view a, std::string_view b) {
    const std::u32string from = code_points(a);
    const std::u32string to = code_points(b);
    return edits(std::span<const char32_t>(from), std::span<const char32_t>(to));
  };
  EXPECT_EQ(distance("kitten", "sitting"), 3U);
  EXPECT_EQ(distance("", "abc"), 3U);
  EXPECT_EQ(distance("grün", "grun"), 1U);
  EXPECT_EQ(distance("日本語", "日本"), 1U);
  EXPECT_EQ(code_points("\xff\xc3(").size(), 3U);
  EXPECT_EQ(code_points("\xf0\x9f\x98\x80").size(), 1U);
}

TEST(AgreeTest, OutputsAreComparedWithTheReference) {
  const Tensor own = tensor_of({2, 3}, {0.5, 0.3, 0.2, 0.2, 0.7, 0.1}, DataType::f64);
  const Tensor other = tensor_of({2, 3}, {0.7, 0.2, 0.1, 0.7, 0.2, 0.1}, DataType::f64);
  Scored scored(TaskKind::agree, {}, one_output({-1, 3}));
  scored.add({&own}, {}, {}, {&other});
  const auto report = scored.report();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->primary.name, "same_top_1");
  EXPECT_EQ(report->primary.value, 0.5);
  // scipy 1.17.1: stats.entropy([.7, .2, .1], [.5, .3, .2]); the other by hand.
  EXPECT_NEAR(scored.metric("mean_kl"),
              (0.08512282595722175 + 0.7 * std::log(0.7 / 0.2) + 0.2 * std::log(0.2 / 0.7)) / 2, 1e-9);
  EXPECT_NEAR(scored.metric("max_relative_error"), 0.5 / 0.7, 1e-12);
}

TEST(AgreeTest, EqualOutputsAgreeAndNumbersAreComparedBySize) {
  const Tensor values = tensor_of({2, 2}, {3, 4, -1, 8}, DataType::f64);
  Scored same(TaskKind::agree, {}, one_output({-1, 2}));
  same.add({&values}, {}, {}, {&values});
  EXPECT_EQ(same.metric("relative_error"), 0);
  EXPECT_EQ(same.metric("cosine"), 1);
  EXPECT_EQ(same.metric("same_top_1"), 1);
  EXPECT_EQ(same.report()->primary.name, "relative_error");
  const Tensor off = tensor_of({2, 2}, {3, 4.5, -1, 8}, DataType::f64);
  Scored near(TaskKind::agree, {}, one_output({-1, 2}));
  near.add({&off}, {}, {}, {&values});
  EXPECT_NEAR(near.metric("relative_error"), 0.05, 1e-12);  // 0.5 / 5, and nothing
}

TEST(AgreeTest, ScoresAreFoundAmongSeveralOutputs) {
  const std::vector<engine::Port> ports{
      {.name = "label", .type = DataType::i64, .shape = Shape{-1}},
      {.name = "probability", .type = DataType::f64, .shape = Shape{-1, 2}}};
  const Tensor labels = tensor_of({2}, {1, 0}, DataType::i64);
  const Tensor own = tensor_of({2, 2}, {0.1, 0.9, 0.8, 0.2}, DataType::f64);
  const Tensor other = tensor_of({2, 2}, {0.7, 0.3, 0.6, 0.4}, DataType::f64);
  Scored scored(TaskKind::agree, {}, ports);
  scored.add({&labels, &own}, {}, {}, {&labels, &other});
  EXPECT_EQ(scored.report()->primary.name, "same_top_1");
  EXPECT_EQ(scored.metric("same_top_1"), 0.5);
}

TEST(AgreeTest, NoAnswerAgreesWithNothing) {
  const Tensor broken = tensor_of({2, 2}, {kNaN, 4, -1, 8}, DataType::f64);
  Scored scored(TaskKind::agree, {.agree_on_classes = true}, one_output({-1, 2}));
  scored.add({&broken}, {}, {}, {&broken});
  EXPECT_EQ(scored.report()->non_finite_samples, 1U);
  EXPECT_EQ(scored.metric("same_top_1"), 0.5);
  const Tensor wide = tensor_of({2, 3}, std::vector<double>(6), DataType::f64);
  Scored misfit(TaskKind::agree, {}, one_output({-1, -1}));
  EXPECT_THAT(misfit.add({&broken}, {}, {}, {&wide}).error(), HasSubstr("the reference's is"));
}

}  // namespace
}  // namespace joulery::evaluate
