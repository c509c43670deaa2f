#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "data/label.hpp"
#include "data/tensor.hpp"
#include "engine/engine.hpp"
#include "evaluate/quality.hpp"
#include "evaluate/scored_samples.hpp"

namespace joulery::evaluate {

enum class TaskKind { classify, regress, embed, detect, ctc, agree };
const char* task_name(TaskKind kind);
std::optional<TaskKind> parse_task(std::string_view name);
/// How boxes are written: corners, corners with y first, corner and size, or centre and size.
enum class BoxFormat { xyxy, yxyx, xywh, cxcywh };
const char* box_format_name(BoxFormat format);
std::optional<BoxFormat> parse_box_format(std::string_view name);
/// What a classifier's outputs are. Detected: probabilities if every row is one.
enum class OutputMeaning { detect, probabilities, logits };
const char* output_meaning_name(OutputMeaning meaning);
std::optional<OutputMeaning> parse_output_meaning(std::string_view name);

/// What is known of each sample besides its label, to look at quality by: one value a sample, in the order
/// of the samples. Numbers of more than eight values are cut into quarters.
struct SliceColumn {
  std::string name;
  std::variant<std::vector<double>, std::vector<std::string>> values;
  /// Named before the data were seen.
  bool declared = false;
};

struct TaskOptions {
  double level = 0.9;
  int resamples = 999;
  std::uint64_t seed = 20'240'229;
  /// The output to judge, by name; empty: the only one that fits.
  std::string output = {};
  /// Of the task's metrics the one that counts; empty: its usual one.
  std::string metric = {};
  /// An interval wider than this to either side brings a warning with the number of samples that it takes;
  /// for metrics without bounds it is relative to the value.
  double useful_half_width = 0.05;
  /// Slices with fewer samples are put together.
  std::size_t smallest_slice = 30;
  /// "group" and "class", if these slices were declared beforehand.
  std::vector<std::string> declared_slices = {};

  OutputMeaning output_meaning = OutputMeaning::detect;
  std::vector<std::size_t> top_k = {5};
  /// What text labels are looked up in, and slices are called by.
  std::vector<std::string> class_names = {};

  /// Outputs of `detect`; empty: by shape and name.
  std::string boxes_output = {};
  std::string scores_output = {};
  std::string classes_output = {};
  BoxFormat box_format = BoxFormat::xyxy;
  BoxFormat label_box_format = BoxFormat::xyxy;
  /// Of one sample, the highest scores first.
  std::size_t most_detections = 100;
  /// Whether a class scores 0 stands for "nothing here".
  bool background_class = false;

  /// What each class of `ctc` is written as; without it labels are numbers.
  std::vector<std::string> alphabet = {};
  std::int64_t blank = 0;
  /// Written as a blank between words, if the alphabet has it.
  std::string word_separator = "|";
  /// The output that says how many steps of each sample count.
  std::string lengths_output = {};

  /// `agree` compares top classes; otherwise it does so only if the outputs are probabilities.
  bool agree_on_classes = false;
};

/// Judges outputs against labels, batch by batch, and reports with intervals. What it keeps grows with the
/// number of samples, not of classes. Not thread-safe.
class TaskScorer {
 public:
  virtual ~TaskScorer() = default;
  TaskScorer(const TaskScorer&) = delete;
  TaskScorer& operator=(const TaskScorer&) = delete;
  TaskScorer(TaskScorer&&) = delete;
  TaskScorer& operator=(TaskScorer&&) = delete;
  /// `outputs` as the model has them. User error if they do not fit the task or the options contradict each
  /// other.
  static Result<std::unique_ptr<TaskScorer>> create(TaskKind kind, const TaskOptions& options,
                                                    std::span<const engine::Port> outputs);

  /// All outputs of one batch in the model's order, of which the first `count` samples (of the first axis)
  /// count. One label each, but for `agree`, which takes the reference's outputs instead; groups: one each or
  /// none at all. After an error the scorer is of no further use.
  Status add(std::span<const data::TensorView> outputs, std::span<const data::TensorView> reference,
             std::size_t count, std::span<const data::Label> labels, std::span<const std::string> groups);
  /// Slices by this column. It must have one value for every sample when report() is called.
  void add_column(SliceColumn column) { columns_.push_back(std::move(column)); }
  std::uint64_t samples() const { return samples_; }
  /// User error if there are no samples, or the options ask for a metric that the task has not.
  Result<QualityReport> report() const;

 protected:
  struct Batch {
    std::span<const data::TensorView> outputs;
    std::span<const data::TensorView> reference;
    std::size_t count = 0;
    std::span<const data::Label> labels;
    std::span<const std::string> groups;
    /// Number of the first sample, for messages.
    std::uint64_t first = 0;
  };
  TaskScorer(TaskKind kind, const TaskOptions& options) : kind_(kind), options_(options) {}
  const TaskOptions& options() const { return options_; }

 private:
  virtual Status add_batch(const Batch& batch) = 0;
  virtual Result<ScoredSamples> scored() const = 0;

  TaskKind kind_;
  TaskOptions options_;
  std::uint64_t samples_ = 0;
  std::size_t outputs_ = 0;
  std::vector<std::string> groups_;
  bool has_groups_ = false;
  std::vector<SliceColumn> columns_;
};

}  // namespace joulery::evaluate
