#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "evaluate/task.hpp"

namespace {

using joulery::data::DataType;
using joulery::data::Label;
using joulery::data::Shape;
using joulery::data::Tensor;
using namespace joulery::evaluate;

/// Bytes handed out as whatever is asked for; zeros when they are used up.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  /// Mostly small; sometimes anything that 8 bytes can be.
  double number() {
    const std::uint8_t kind = byte();
    if (kind < 200) return (static_cast<double>(byte()) - 100) / 20;
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | byte();
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  Label label() {
    switch (byte() % 4) {
      case 0:
        return static_cast<std::int64_t>(static_cast<std::int8_t>(byte()));
      case 1: {
        std::vector<double> numbers(byte() % 12);
        for (double& each : numbers) each = number();
        return numbers;
      }
      case 2: {
        std::string text(byte() % 6, ' ');
        for (char& letter : text) letter = static_cast<char>(byte());
        return text;
      }
      default:
        return {};
    }
  }
  Tensor tensor(std::int64_t samples) {
    std::vector<std::int64_t> dimensions{samples};
    const std::size_t more = byte() % 3;
    for (std::size_t i = 0; i < more; ++i) dimensions.push_back(byte() % 7);
    const auto type = static_cast<DataType>(1 + byte() % (joulery::data::kDataTypes - 1));
    auto result = Tensor::create(type, *Shape::create(dimensions));
    if (type == DataType::f32 || type == DataType::f64) {
      for (float& each : result->elements<float>()) each = static_cast<float>(number());
    } else {
      for (std::uint8_t& each : result->elements<std::uint8_t>()) each = byte();
    }
    return std::move(*result);
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

void check(bool holds) {
  if (!holds) __builtin_trap();
}

void check_metric(const Metric& metric) {
  check(!std::isnan(metric.value));
  check(metric.low <= metric.value && metric.value <= metric.high);
}

void check_report(const QualityReport& report) {
  check_metric(report.primary);
  for (const Metric& metric : report.metrics) check_metric(metric);
  check(report.per_sample_scores.size() == report.samples);
  check(report.predictions.empty() || report.predictions.size() == report.samples);
  check(report.non_finite_samples <= report.samples);
  for (const double score : report.per_sample_scores) {
    check(!report.primary.bounded_per_sample || (score >= 0 && score <= 1));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes({data, size});
  const auto kind = static_cast<TaskKind>(bytes.byte() % 6);
  TaskOptions options;
  options.resamples = 3;
  options.smallest_slice = 2;
  const std::uint8_t flags = bytes.byte();
  options.output_meaning = static_cast<OutputMeaning>(flags % 3);
  options.box_format = static_cast<BoxFormat>(flags / 4 % 4);
  options.blank = flags / 16 % 4;
  if ((flags & 64) != 0) options.class_names = {"a", "b", "c"};
  if ((flags & 128) != 0) options.alphabet = {"a", "b", "|"};
  const auto samples = static_cast<std::int64_t>(1 + bytes.byte() % 5);
  std::vector<Tensor> tensors;
  std::vector<joulery::data::TensorView> views;
  std::vector<joulery::engine::Port> ports;
  const std::size_t outputs = 1 + bytes.byte() % 3;
  constexpr const char* kNames[] = {"boxes", "scores", "classes"};
  for (std::size_t i = 0; i < outputs; ++i) {
    tensors.push_back(bytes.tensor(samples));
    views.push_back(tensors.back().view());
    ports.push_back({.name = kNames[i], .type = views.back().type, .shape = views.back().shape});
  }
  auto scorer = TaskScorer::create(kind, options, ports);
  if (!scorer) return 0;
  std::vector<Label> labels;
  std::vector<std::string> groups;
  for (std::int64_t i = 0; i < samples; ++i) labels.push_back(bytes.label());
  if (bytes.byte() % 2 == 1) {
    for (std::int64_t i = 0; i < samples; ++i)
      groups.emplace_back(1, static_cast<char>('a' + bytes.byte() % 3));
  }
  if (!(*scorer)->add(views, views, static_cast<std::size_t>(samples), labels, groups)) return 0;
  if (const auto report = (*scorer)->report()) check_report(*report);
  return 0;
}
