#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "evaluate/average_precision.hpp"
#include "evaluate/labels.hpp"
#include "evaluate/metric_list.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/tasks.hpp"

namespace joulery::evaluate {
namespace {

constexpr std::size_t kMostCategories = 1'000'000;

/// Which outputs say what. Without `scores`, `boxes` has rows of x1, y1, x2, y2, score, class.
struct DetectOutputs {
  std::size_t boxes = 0;
  std::optional<std::size_t> scores = std::nullopt;
  std::optional<std::size_t> classes = std::nullopt;
};

Box box_of(std::span<const double> numbers, BoxFormat format) {
  Box box{.x1 = numbers[0], .y1 = numbers[1], .x2 = numbers[2], .y2 = numbers[3]};
  switch (format) {
    case BoxFormat::xyxy:
      break;
    case BoxFormat::yxyx:
      box = {.x1 = numbers[1], .y1 = numbers[0], .x2 = numbers[3], .y2 = numbers[2]};
      break;
    case BoxFormat::xywh:
      box.x2 += box.x1;
      box.y2 += box.y1;
      break;
    case BoxFormat::cxcywh:
      box = {.x1 = numbers[0] - numbers[2] / 2,
             .y1 = numbers[1] - numbers[3] / 2,
             .x2 = numbers[0] + numbers[2] / 2,
             .y2 = numbers[1] + numbers[3] / 2};
      break;
  }
  return box;
}

bool is_category(double number) {
  return number >= 0 && number < static_cast<double>(kMostCategories);
}

class Detect final : public TaskScorer {
 public:
  Detect(const TaskOptions& options, DetectOutputs outputs, std::span<const engine::Port> ports)
      : TaskScorer(TaskKind::detect, options), outputs_(outputs) {
    for (const engine::Port& port : ports) names_.push_back(port.name);
  }

 private:
  Status add_batch(const Batch& batch) override;
  Result<ScoredSamples> scored() const override;
  Result<std::vector<LabelledBox>> labelled(const data::Label& label, std::uint64_t sample);
  Result<Rows> rows_of(const Batch& batch, std::size_t output) const {
    return Rows::create(batch.outputs[output], batch.count, names_[output]);
  }
  Result<std::vector<Detection>> detections(const Batch& batch, std::size_t row);
  Result<std::vector<Detection>> joint_rows(const Batch& batch, std::size_t row);
  Result<std::vector<Detection>> separate_rows(const Batch& batch, std::size_t row);
  void keep(std::vector<Detection>& found, std::span<const double> box, double score, double category);

  DetectOutputs outputs_;
  std::vector<std::string> names_;
  AveragePrecision precision_;
  std::vector<double> of_image_;
  std::uint64_t non_finite_ = 0;
  bool row_is_finite_ = true;
  double detected_ = 0;
  double largest_label_ = 0;
  double largest_output_ = 0;
  std::uint64_t labelled_boxes_ = 0;
};

void Detect::keep(std::vector<Detection>& found, std::span<const double> box, double score, double category) {
  // Most models fill up the places they do not need with a score of 0 or a class of -1.
  if (score <= 0 || category < 0) return;
  if (!all_finite(box) || !std::isfinite(score) || !is_category(category)) {
    row_is_finite_ = false;
    return;
  }
  const Box corners = box_of(box, options().box_format);
  largest_output_ = std::max({largest_output_, std::fabs(corners.x2), std::fabs(corners.y2)});
  if (corners.x2 < corners.x1 || corners.y2 < corners.y1) return;
  found.push_back({.category = static_cast<std::uint32_t>(category), .box = corners, .score = score});
}

Result<std::vector<Detection>> Detect::joint_rows(const Batch& batch, std::size_t row) {
  JOULERY_ASSIGN(const Rows rows, rows_of(batch, outputs_.boxes));
  constexpr std::size_t kColumns = 6;
  const data::Shape& shape = rows.shape();
  if (shape.rank() < 3 || shape[shape.rank() - 1] != static_cast<std::int64_t>(kColumns)) {
    return user_error(fmt::format("output '{}' of shape {} is not [sample, box, 6]",
                                  printable(names_[outputs_.boxes]), shape.text()),
                      "one output must have rows of 4 box numbers, score and class; else name --box-output "
                      "and --score-output");
  }
  std::vector<double> values(rows.width());
  rows.read(row, values);
  std::vector<Detection> found;
  for (std::size_t at = 0; at < values.size(); at += kColumns) {
    if (std::isnan(values[at + 4]) || std::isnan(values[at + 5])) row_is_finite_ = false;
    keep(found, std::span<const double>(values).subspan(at, 4), values[at + 4], values[at + 5]);
  }
  return found;
}

Result<std::vector<Detection>> Detect::separate_rows(const Batch& batch, std::size_t row) {
  JOULERY_ASSIGN(const Rows boxes, rows_of(batch, outputs_.boxes));
  JOULERY_ASSIGN(const Rows scores, rows_of(batch, *outputs_.scores));
  const std::size_t count = boxes.width() / 4;
  const std::size_t classes = count > 0 ? scores.width() / count : 1;
  if (boxes.width() % 4 != 0 || scores.width() != count * classes || (outputs_.classes && classes != 1)) {
    return user_error(fmt::format("outputs '{}' of shape {} and '{}' of shape {} do not fit each other",
                                  printable(names_[outputs_.boxes]), boxes.shape().text(),
                                  printable(names_[*outputs_.scores]), scores.shape().text()),
                      "boxes must be [sample, box, 4] and scores [sample, box] or [sample, box, class]");
  }
  std::vector<double> box(boxes.width());
  std::vector<double> score(scores.width());
  std::vector<double> category(outputs_.classes ? count : 0);
  boxes.read(row, box);
  scores.read(row, score);
  if (outputs_.classes) {
    JOULERY_ASSIGN(const Rows numbers, rows_of(batch, *outputs_.classes));
    if (numbers.width() != count) {
      return user_error(fmt::format("output '{}' has {} classes for {} boxes",
                                    printable(names_[*outputs_.classes]), numbers.width(), count));
    }
    numbers.read(row, category);
  }
  std::vector<Detection> found;
  for (std::size_t i = 0; i < count; ++i) {
    const auto of_box = std::span<const double>(score).subspan(i * classes, classes);
    if (std::ranges::any_of(of_box, [](double value) { return std::isnan(value); })) row_is_finite_ = false;
    std::size_t best = largest(of_box);
    if (options().background_class && classes > 1) best = 1 + largest(of_box.subspan(1));
    keep(found, std::span<const double>(box).subspan(4 * i, 4), of_box[best],
         outputs_.classes ? category[i] : static_cast<double>(best));
  }
  return found;
}

Result<std::vector<Detection>> Detect::detections(const Batch& batch, std::size_t row) {
  row_is_finite_ = true;
  JOULERY_ASSIGN(std::vector<Detection> found,
                 outputs_.scores ? separate_rows(batch, row) : joint_rows(batch, row));
  if (!row_is_finite_) return std::vector<Detection>();
  std::vector<std::size_t> order(found.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(-found[i].score, i); });
  order.resize(std::min(order.size(), options().most_detections));
  std::vector<Detection> best;
  for (const std::size_t i : order) best.push_back(found[i]);
  return best;
}

Result<std::vector<LabelledBox>> Detect::labelled(const data::Label& label, std::uint64_t sample) {
  constexpr std::size_t kColumns = 5;
  const auto* numbers = std::get_if<std::vector<double>>(&label);
  if (numbers == nullptr || numbers->size() % kColumns != 0) {
    return user_error(
        fmt::format("the label of sample {} is {}, not 5 numbers a box", sample, label_kind(label)),
        "labels of detect are lists: class and 4 box numbers of the first box, of the second, …; empty "
        "for an image with nothing on it");
  }
  std::vector<LabelledBox> boxes;
  for (std::size_t at = 0; at < numbers->size(); at += kColumns) {
    const auto row = std::span<const double>(*numbers).subspan(at, kColumns);
    const Box box = box_of(row.subspan(1), options().label_box_format);
    if (!all_finite(row) || !is_category(row[0]) || std::nearbyint(row[0]) != row[0] || box.x2 < box.x1 ||
        box.y2 < box.y1) {
      return user_error(fmt::format("box {} of sample {} is class {} at {} {} {} {}, which is no {} box",
                                    at / kColumns, sample, row[0], row[1], row[2], row[3], row[4],
                                    box_format_name(options().label_box_format)));
    }
    largest_label_ = std::max({largest_label_, std::fabs(box.x2), std::fabs(box.y2)});
    boxes.push_back({.category = static_cast<std::uint32_t>(row[0]), .box = box});
  }
  labelled_boxes_ += boxes.size();
  return boxes;
}

Status Detect::add_batch(const Batch& batch) {
  for (std::size_t i = 0; i < batch.count; ++i) {
    JOULERY_ASSIGN(const std::vector<LabelledBox> truth, labelled(batch.labels[i], batch.first + i));
    JOULERY_ASSIGN(const std::vector<Detection> found, detections(batch, i));
    if (!row_is_finite_) ++non_finite_;
    detected_ += static_cast<double>(found.size());
    const double own = precision_.add(truth, found);
    of_image_.push_back(row_is_finite_ ? own : 0);
  }
  return {};
}

Result<ScoredSamples> Detect::scored() const {
  if (labelled_boxes_ == 0) {
    return user_error("no sample has a labelled box: there is nothing to find",
                      "look at --labels, and at what the label file calls boxes");
  }
  ScoredSamples scored{
      .interpretation = fmt::format("boxes as {}{}", box_format_name(options().box_format),
                                    outputs_.scores ? " with scores of their own output" : ", score, class")};
  scored.non_finite = non_finite_;
  auto precision = std::make_shared<AveragePrecision>(precision_);
  precision->finish();
  MetricList metrics;
  metrics.add({.name = "map_50_95"}, [precision](auto images) { return precision->mean(images); }, of_image_);
  metrics.add({.name = "map_50"}, [precision](auto images) { return precision->at(images, 0); });
  metrics.add({.name = "map_75"}, [precision](auto images) { return precision->at(images, 5); });
  metrics.move_into(scored);
  scored.cost = 12 * (1 + detected_ / static_cast<double>(of_image_.size()));
  constexpr double kMostRelative = 1.5;
  if ((largest_label_ <= kMostRelative) != (largest_output_ <= kMostRelative) && detected_ > 0) {
    scored.warnings.push_back(fmt::format(
        "labels reach to {:.4g} and detected boxes to {:.4g}: one of them is relative to the image's size, "
        "the other in pixels",
        largest_label_, largest_output_));
  }
  if (detected_ == 0) scored.warnings.emplace_back("the model detected nothing");
  return scored;
}

/// The only output whose name holds one of these words.
std::optional<std::size_t> named_like(std::span<const engine::Port> outputs,
                                      std::initializer_list<std::string_view> words) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string name = to_lower(outputs[i].name);
    if (std::ranges::none_of(words, [&](std::string_view word) { return name.contains(word); })) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

}  // namespace

NewScorer create_detect(const TaskOptions& options, std::span<const engine::Port> outputs) {
  DetectOutputs chosen;
  const auto choose =
      [&](const std::string& name,
          std::initializer_list<std::string_view> words) -> Result<std::optional<std::size_t>> {
    if (name.empty()) return named_like(outputs, words);
    JOULERY_ASSIGN(const std::size_t index, find_output(outputs, name));
    return index;
  };
  if (outputs.size() == 1 || !options.output.empty()) {
    JOULERY_ASSIGN(chosen.boxes,
                   choose_output(outputs, options.output, "boxes", [](const auto&) { return true; }));
    return std::make_unique<Detect>(options, chosen, outputs);
  }
  JOULERY_ASSIGN(const auto boxes, choose(options.boxes_output, {"box"}));
  JOULERY_ASSIGN(chosen.scores, choose(options.scores_output, {"score", "conf"}));
  JOULERY_ASSIGN(chosen.classes, choose(options.classes_output, {"class", "label"}));
  if (!boxes || !chosen.scores || boxes == chosen.scores || chosen.classes == boxes) {
    return user_error("which of the model's outputs are boxes and scores can't be told from their names",
                      "name them: --box-output NAME --score-output NAME [--class-output NAME], or "
                      "--task-output NAME for one "
                      "with all");
  }
  if (chosen.classes == chosen.scores) chosen.classes.reset();
  chosen.boxes = *boxes;
  return std::make_unique<Detect>(options, chosen, outputs);
}

}  // namespace joulery::evaluate
