#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "evaluate/labels.hpp"
#include "evaluate/metric_list.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/tasks.hpp"
#include "evaluate/transcript.hpp"

namespace joulery::evaluate {
namespace {

/// Comparing two texts takes time with the product of their lengths.
constexpr std::size_t kMostComparisons = 400'000'000;

/// Edits that a transcript needs, and the length of the truth.
struct Edits {
  double edits = 0;
  double length = 0;
};

/// Sum of edits over sum of lengths; NaN if there is no length.
double error_rate(const std::vector<Edits>& edits, std::span<const std::uint32_t> samples) {
  Edits sum;
  for (const std::uint32_t sample : samples) {
    sum.edits += edits[sample].edits;
    sum.length += edits[sample].length;
  }
  return sum.length > 0 ? sum.edits / sum.length : std::numeric_limits<double>::quiet_NaN();
}

/// The same for the same answer; never -1.
std::int64_t fingerprint(std::span<const std::uint32_t> path) {
  const std::string_view bytes(reinterpret_cast<const char*>(path.data()), path.size_bytes());
  return static_cast<std::int64_t>(std::hash<std::string_view>()(bytes) >> 1);
}

class Ctc final : public TaskScorer {
 public:
  Ctc(const TaskOptions& options, std::size_t output, std::string name, std::optional<std::size_t> lengths)
      : TaskScorer(TaskKind::ctc, options),
        output_(output),
        output_name_(std::move(name)),
        lengths_(lengths) {}

 private:
  Status add_batch(const Batch& batch) override;
  Result<ScoredSamples> scored() const override;
  Status start(const Rows& rows);
  Result<std::size_t> steps_of(const Batch& batch, std::size_t row, std::size_t steps) const;
  std::string written(std::span<const std::uint32_t> path) const;
  Status compare_text(std::span<const std::uint32_t> path, const data::Label& label, bool finite,
                      std::uint64_t sample);
  Status compare_numbers(std::span<const std::uint32_t> path, const data::Label& label, bool finite,
                         std::uint64_t sample);
  void note_unknown(const std::u32string& truth);

  std::size_t output_;
  std::string output_name_;
  std::optional<std::size_t> lengths_;
  std::size_t classes_ = 0;
  /// By class; empty for the blank.
  std::vector<std::string> symbols_;
  std::set<char32_t> known_;
  std::set<char32_t> unknown_;
  std::vector<Edits> characters_;
  std::vector<Edits> words_;
  std::vector<std::int64_t> predictions_;
  std::uint64_t non_finite_ = 0;
};

Status Ctc::start(const Rows& rows) {
  const data::Shape& shape = rows.shape();
  if (shape.rank() < 3) {
    return user_error(fmt::format("output '{}' of shape {} is not [sample, step, class]",
                                  printable(output_name_), shape.text()));
  }
  classes_ = static_cast<std::size_t>(shape[shape.rank() - 1]);
  if (options().blank < 0 || static_cast<std::uint64_t>(options().blank) >= classes_) {
    return user_error(
        fmt::format("the blank is class {}, but the model has {} classes", options().blank, classes_));
  }
  const auto& alphabet = options().alphabet;
  if (alphabet.empty()) return {};
  if (alphabet.size() != classes_ && alphabet.size() + 1 != classes_) {
    return user_error(
        fmt::format("the alphabet has {} symbols, but the model has {} classes", alphabet.size(), classes_),
        "give one symbol a class in the order of the output, with the blank or without it");
  }
  symbols_ = alphabet;
  const auto blank = static_cast<std::size_t>(options().blank);
  if (alphabet.size() + 1 == classes_) symbols_.insert(symbols_.begin() + options().blank, std::string());
  symbols_[blank].clear();
  for (std::string& symbol : symbols_) {
    if (symbol == options().word_separator) symbol = " ";
    for (const char32_t point : code_points(symbol)) known_.insert(point);
  }
  return {};
}

Result<std::size_t> Ctc::steps_of(const Batch& batch, std::size_t row, std::size_t steps) const {
  if (!lengths_) return steps;
  JOULERY_ASSIGN(const Rows rows,
                 Rows::create(batch.outputs[*lengths_], batch.count, options().lengths_output));
  if (rows.width() != 1) {
    return user_error(fmt::format("output '{}' has {} lengths a sample", printable(options().lengths_output),
                                  rows.width()));
  }
  double length = 0;
  rows.read(row, {&length, 1});
  if (!(length >= 0 && length <= static_cast<double>(steps))) {
    return user_error(fmt::format("sample {} has {} steps of {}, says output '{}'", batch.first + row, length,
                                  steps, printable(options().lengths_output)));
  }
  return static_cast<std::size_t>(length);
}

std::string Ctc::written(std::span<const std::uint32_t> path) const {
  std::string text;
  for (const std::uint32_t symbol : path) text += symbols_[symbol];
  return std::string(trim(text));
}

void Ctc::note_unknown(const std::u32string& truth) {
  for (const char32_t point : truth) {
    if (point != U' ' && !known_.contains(point)) unknown_.insert(point);
  }
}

Status Ctc::compare_text(std::span<const std::uint32_t> path, const data::Label& label, bool finite,
                         std::uint64_t sample) {
  const auto* truth = std::get_if<std::string>(&label);
  if (truth == nullptr) {
    return user_error(
        fmt::format("the label of sample {} is {}, where a text is needed", sample, label_kind(label)));
  }
  const std::string text = written(path);
  const std::u32string own = code_points(text);
  const std::u32string other = code_points(trim(*truth));
  if ((own.size() + 1) > kMostComparisons / (other.size() + 1)) {
    return user_error(fmt::format("sample {}: {} characters are too many to compare with {}", sample,
                                  own.size(), other.size()),
                      "cut the recordings into utterances");
  }
  note_unknown(other);
  std::vector<std::string_view> own_words = split_blanks(text);
  std::vector<std::string_view> other_words = split_blanks(*truth);
  const auto distance = [finite](auto from, auto to) {
    // A model without an answer gets no character right.
    return Edits{.edits = static_cast<double>(finite ? edits(from, to) : std::max<std::size_t>(1, to.size())),
                 .length = static_cast<double>(to.size())};
  };
  characters_.push_back(distance(std::span<const char32_t>(own), std::span<const char32_t>(other)));
  words_.push_back(
      distance(std::span<const std::string_view>(own_words), std::span<const std::string_view>(other_words)));
  return {};
}

Status Ctc::compare_numbers(std::span<const std::uint32_t> path, const data::Label& label, bool finite,
                            std::uint64_t sample) {
  const auto* numbers = std::get_if<std::vector<double>>(&label);
  std::vector<std::uint32_t> truth;
  if (numbers == nullptr) {
    return user_error(fmt::format("the label of sample {} is {}, where numbers of classes are needed", sample,
                                  label_kind(label)),
                      "text labels need the model's alphabet");
  }
  for (const double number : *numbers) {
    if (!(number >= 0 && number < static_cast<double>(classes_)) || std::nearbyint(number) != number) {
      return user_error(fmt::format("the label of sample {} has {}, which is none of the {} classes", sample,
                                    number, classes_));
    }
    truth.push_back(static_cast<std::uint32_t>(number));
  }
  if ((path.size() + 1) > kMostComparisons / (truth.size() + 1)) {
    return user_error(fmt::format("sample {} is too long to compare", sample));
  }
  const std::size_t wrong =
      finite ? edits(path, std::span<const std::uint32_t>(truth)) : std::max<std::size_t>(1, truth.size());
  characters_.push_back({.edits = static_cast<double>(wrong), .length = static_cast<double>(truth.size())});
  return {};
}

Status Ctc::add_batch(const Batch& batch) {
  JOULERY_ASSIGN(const Rows rows, Rows::create(batch.outputs[output_], batch.count, output_name_));
  if (classes_ == 0) JOULERY_CHECK_OK(start(rows));
  const data::Shape& shape = rows.shape();
  if (shape.rank() < 3 || static_cast<std::size_t>(shape[shape.rank() - 1]) != classes_ || classes_ == 0) {
    return user_error(fmt::format("output '{}' of shape {} does not have {} classes at its end",
                                  printable(output_name_), shape.text(), classes_));
  }
  std::vector<double> scores(rows.width());
  for (std::size_t i = 0; i < batch.count; ++i) {
    rows.read(i, scores);
    JOULERY_ASSIGN(const std::size_t steps, steps_of(batch, i, rows.width() / classes_));
    const auto used = std::span<const double>(scores).first(steps * classes_);
    // Minus infinity is the logarithm of a probability of 0.
    const bool finite =
        std::ranges::none_of(used, [](double value) { return std::isnan(value) || value == INFINITY; });
    const auto path = best_path(used, classes_, static_cast<std::size_t>(options().blank));
    if (!finite) ++non_finite_;
    predictions_.push_back(finite ? fingerprint(path) : -1);
    if (symbols_.empty()) {
      JOULERY_CHECK_OK(compare_numbers(path, batch.labels[i], finite, batch.first + i));
    } else {
      JOULERY_CHECK_OK(compare_text(path, batch.labels[i], finite, batch.first + i));
    }
  }
  return {};
}

Result<ScoredSamples> Ctc::scored() const {
  ScoredSamples scored{.interpretation = fmt::format("scores of {} classes a step, best path", classes_)};
  scored.non_finite = non_finite_;
  scored.predictions = predictions_;
  MetricList metrics;
  const auto add_rate = [&](const char* name, const std::vector<Edits>& edits) {
    std::vector<double> each;
    for (const Edits& sample : edits) each.push_back(sample.edits / std::max(1.0, sample.length));
    metrics.add(
        {.name = name, .higher_is_better = false},
        [&edits](auto samples) { return error_rate(edits, samples); }, std::move(each));
  };
  add_rate(symbols_.empty() ? "symbol_error_rate" : "cer", characters_);
  if (!symbols_.empty()) add_rate("wer", words_);
  std::vector<double> right;
  for (const Edits& sample : characters_) right.push_back(sample.edits == 0 ? 1 : 0);
  metrics.add_mean({.name = "exact", .bounded_per_sample = true, .is_share = true}, std::move(right));
  metrics.move_into(scored);
  scored.trivial.push_back({.metric = scored.metrics[0].name, .value = 1, .how = "answering nothing"});
  if (!unknown_.empty()) {
    constexpr std::size_t kMostShown = 8;
    std::string shown;
    for (auto point = unknown_.begin(); point != unknown_.end(); ++point) {
      if (static_cast<std::size_t>(std::distance(unknown_.begin(), point)) == kMostShown) break;
      shown += *point >= 0x21 && *point < 0x7f ? fmt::format(" {}", static_cast<char>(*point))
                                               : fmt::format(" U+{:04X}", static_cast<std::uint32_t>(*point));
    }
    scored.warnings.push_back(
        fmt::format("labels have {} characters that the alphabet lacks, which count as errors:{}{} (upper or "
                    "lower case?)",
                    unknown_.size(), shown, unknown_.size() > kMostShown ? " …" : ""));
  }
  return scored;
}

}  // namespace

NewScorer create_ctc(const TaskOptions& options, std::span<const engine::Port> outputs) {
  JOULERY_ASSIGN(
      const std::size_t output,
      choose_output(outputs, options.output, "scores of [sample, step, class]", [](const engine::Port& port) {
        return is_floating(port.type) && port.shape.rank() == 3;
      }));
  std::optional<std::size_t> lengths;
  if (!options.lengths_output.empty()) {
    JOULERY_ASSIGN(lengths, find_output(outputs, options.lengths_output));
  }
  return std::make_unique<Ctc>(options, output, outputs[output].name, lengths);
}

}  // namespace joulery::evaluate
