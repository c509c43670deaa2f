#include "app/bench_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "engine/measure.hpp"
#include "evaluate/robustness.hpp"

namespace joulery::app {
namespace {

/// Of each perturbation's cost: enough to see one that makes a model many times slower.
constexpr std::uint64_t kCostCalls = 200;
constexpr double kCostSeconds = 0.03;
constexpr std::size_t kCostBatches = 3;
constexpr double kWhitestByte = 255;

Result<std::vector<data::TensorView>> run_on(engine::Session& session, const evaluate::BatchBuffer& buffer) {
  JOULERY_CHECK_OK(buffer.bind(session));
  JOULERY_CHECK_OK(session.run());
  std::vector<data::TensorView> outputs;
  for (std::size_t i = 0; i < session.outputs().size(); ++i) {
    JOULERY_ASSIGN(const data::TensorView view, session.output(i));
    outputs.push_back(view);
  }
  return outputs;
}

bool is_whole(data::DataType type) {
  using enum data::DataType;
  return type == i8 || type == i16 || type == i32 || type == i64 || type == u8 || type == u16 ||
         type == u32 || type == u64;
}

bool is_float(data::DataType type) {
  using enum data::DataType;
  return type == f32 || type == f16 || type == f64 || type == bf16;
}

bool has_colours(std::int64_t channels) {
  return channels == 1 || channels == 3;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

template <class Element>
void widen(const data::TensorView& view, Range& range) {
  for (const Element value : view.elements<Element>()) {
    range.low = std::min(range.low, static_cast<double>(value));
    range.high = std::max(range.high, static_cast<double>(value));
  }
}

/// What the numbers of an input lie between, in the batches at hand.
Range range_of(const BenchSide& side, std::size_t input) {
  Range range;
  for (const evaluate::BatchBuffer& buffer : side.feed) {
    const data::TensorView view = buffer.views()[input];
    using enum data::DataType;
    if (view.type == f32) widen<float>(view, range);
    if (view.type == f64) widen<double>(view, range);
    if (view.type == u8) widen<std::uint8_t>(view, range);
    if (view.type == i8) widen<std::int8_t>(view, range);
    if (view.type == i32) widen<std::int32_t>(view, range);
    if (view.type == i64) widen<std::int64_t>(view, range);
  }
  return range;
}

}  // namespace

Result<evaluate::QualityReport> BenchJudge::judge(const BenchSide& side, engine::Session& session,
                                                  engine::Session* reference,
                                                  const evaluate::Perturbation* perturbation,
                                                  std::uint64_t most) {
  JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_bench_data(request_, side));
  evaluate::TaskOptions options = request_.task_options;
  if (options.class_names.empty()) options.class_names = dataset->info().class_names;
  JOULERY_ASSIGN(const std::unique_ptr<evaluate::TaskScorer> scorer,
                 evaluate::TaskScorer::create(*request_.task, options, session.outputs()));
  evaluate::BatchBuffer buffer(side.inputs, side.batch);
  while (!observer_.interrupted() && (most == 0 || scorer->samples() < most)) {
    JOULERY_ASSIGN(std::size_t count, buffer.fill(*dataset));
    if (count == 0) break;
    if (most > 0) count = std::min<std::uint64_t>(count, most - scorer->samples());
    if (perturbation != nullptr) JOULERY_CHECK_OK(spoil(buffer, *perturbation));
    JOULERY_ASSIGN(const std::vector<data::TensorView> outputs, run_on(session, buffer));
    std::vector<data::TensorView> expected;
    std::span<const data::Label> labels = buffer.labels().first(std::min(count, buffer.labels().size()));
    if (reference != nullptr) {
      JOULERY_ASSIGN(expected, run_on(*reference, buffer));
      labels = {};
    }
    JOULERY_CHECK_OK(scorer->add(outputs, expected, count, labels,
                                 buffer.groups().first(std::min(count, buffer.groups().size()))));
  }
  return scorer->report();
}

Status BenchJudge::check_first_batch(const BenchSide& side, engine::Session& session) {
  JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_bench_data(request_, side));
  evaluate::TaskOptions options = request_.task_options;
  if (options.class_names.empty()) options.class_names = dataset->info().class_names;
  JOULERY_ASSIGN(const std::unique_ptr<evaluate::TaskScorer> scorer,
                 evaluate::TaskScorer::create(*request_.task, options, session.outputs()));
  evaluate::BatchBuffer buffer(side.inputs, side.batch);
  JOULERY_ASSIGN(const std::size_t count, buffer.fill(*dataset));
  JOULERY_ASSIGN(const std::vector<data::TensorView> outputs, run_on(session, buffer));
  // Whom they are to agree with is of no matter here.
  const bool agree = *request_.task == evaluate::TaskKind::agree;
  return scorer->add(outputs, agree ? outputs : std::vector<data::TensorView>(), count,
                     agree ? std::span<const data::Label>() : buffer.labels(), buffer.groups());
}

Status BenchJudge::spoil(const evaluate::BatchBuffer& buffer,
                         const evaluate::Perturbation& perturbation) const {
  return perturbation.apply(buffer.views()[spoiled_input_], request_.protocol.seed, buffer.first_index());
}

/// Per inference, over a few batches.
Result<double> BenchJudge::spoiled_cpu_seconds(const BenchSide& side, engine::Session& session,
                                               const evaluate::Perturbation* perturbation) {
  JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_bench_data(request_, side));
  evaluate::BatchBuffer buffer(side.inputs, side.batch);
  double cpu_seconds = 0;
  double inferences = 0;
  for (std::size_t batch = 0; batch < kCostBatches; ++batch) {
    JOULERY_ASSIGN(const std::size_t count, buffer.fill(*dataset));
    if (count == 0) break;
    if (perturbation != nullptr) JOULERY_CHECK_OK(spoil(buffer, *perturbation));
    JOULERY_CHECK_OK(buffer.bind(session));
    JOULERY_ASSIGN(const engine::BlockResult block,
                   session.run_block({.calls = kCostCalls, .seconds = kCostSeconds}));
    cpu_seconds += block.cpu_seconds;
    inferences += static_cast<double>(block.calls) * static_cast<double>(side.batch);
  }
  return inferences > 0 ? cpu_seconds / inferences : 0;
}

/// Where black and white are: by how images were made into inputs, else by the numbers that there are.
Result<evaluate::Perturbations> BenchJudge::for_images(const BenchSide& side, RobustnessOutcome& outcome) {
  const data::Shape shape = side.feed[0].views()[spoiled_input_].shape;
  evaluate::ImageFormat format;
  format.layout =
      has_colours(shape[1]) && !has_colours(shape[3]) ? evaluate::Layout::nchw : evaluate::Layout::nhwc;
  const data::ImageOptions& images = request_.data.images;
  if (request_.data.format == data::Format::images || images.scale != 1 || !images.mean.empty()) {
    const std::size_t channels = std::max({std::size_t{1}, images.mean.size(), images.deviation.size()});
    const auto at = [](const std::vector<double>& values, std::size_t i, double none) {
      return values.empty() ? none : values[std::min(i, values.size() - 1)];
    };
    format.black.clear();
    format.white.clear();
    for (std::size_t i = 0; i < channels; ++i) {
      const double mean = at(images.mean, i, 0);
      const double deviation = at(images.deviation, i, 1);
      format.black.push_back(-mean / deviation);
      format.white.push_back((kWhitestByte * images.scale - mean) / deviation);
    }
    outcome.note = "black and white by --image";
  } else {
    const Range range = range_of(side, spoiled_input_);
    format.black = {range.low >= 0 ? 0 : range.low};
    format.white = {range.low >= 0 && range.high <= 1  ? 1
                    : range.low >= 0 && range.high > 1 ? kWhitestByte
                                                       : range.high};
    outcome.note = fmt::format("black taken to be {:.4g}, white {:.4g}", format.black[0], format.white[0]);
  }
  outcome.kind = "images";
  return evaluate::image_corruptions(format);
}

Result<evaluate::Perturbations> BenchJudge::choose_perturbations(const BenchSide& side,
                                                                 RobustnessOutcome& outcome) {
  const std::vector<data::TensorView> views = side.feed[0].views();
  for (std::size_t i = 0; i < views.size(); ++i) {
    const data::Shape& shape = views[i].shape;
    // An input without a batch dimension, or with one number, says how to work, not on what.
    if (shape.rank() == 0 || shape.element_count().value_or(0) <= static_cast<std::uint64_t>(side.batch))
      continue;
    spoiled_input_ = i;
    outcome.input = side.inputs[i].name;
    constexpr std::int64_t kSmallestSide = 8;
    const bool image = shape.rank() == 4 && ((has_colours(shape[1]) && shape[2] >= kSmallestSide) ||
                                             (has_colours(shape[3]) && shape[1] >= kSmallestSide));
    if (image && (is_float(views[i].type) || views[i].type == data::DataType::u8))
      return for_images(side, outcome);
    if (is_whole(views[i].type)) {
      const Range range = range_of(side, i);
      evaluate::TokenFormat format;
      format.low = static_cast<std::int64_t>(std::max(0.0, range.low));
      const bool bytes = range.high <= kWhitestByte + 1;
      format.high = bytes ? static_cast<std::int64_t>(kWhitestByte) : static_cast<std::int64_t>(range.high);
      format.padding = bytes ? static_cast<std::int64_t>(kWhitestByte) + 1 : 0;
      outcome.kind = "tokens";
      outcome.note =
          fmt::format("numbers from {} to {}, padding {}", format.low, format.high, format.padding);
      return evaluate::token_perturbations(format);
    }
    if (!is_float(views[i].type)) continue;
    evaluate::FeatureSpread spread;
    for (const evaluate::BatchBuffer& buffer : side.feed)
      JOULERY_CHECK_OK(spread.add(buffer.views()[i], buffer.count()));
    outcome.kind = "features";
    outcome.note =
        fmt::format("spread of the numbers from {}", format_count(double(spread.samples()), "samples"));
    return evaluate::feature_perturbations(std::move(spread));
  }
  return user_error("no input of the model can be spoiled", "leave --robustness out");
}

Result<RobustnessOutcome> BenchJudge::robustness(
    const BenchSide& side, engine::Session& session, engine::Session* reference,
    const std::function<Result<std::unique_ptr<meter::WindowMeter>>(int pid)>& meter) {
  RobustnessOutcome outcome;
  JOULERY_ASSIGN(const evaluate::Perturbations perturbations, choose_perturbations(side, outcome));
  const std::uint64_t most = request_.robustness_samples;
  JOULERY_ASSIGN(evaluate::QualityReport clean, judge(side, session, reference, nullptr, most));
  outcome.samples = clean.samples;
  JOULERY_ASSIGN(outcome.clean_cpu_seconds, spoiled_cpu_seconds(side, session, nullptr));
  JOULERY_ASSIGN(evaluate::RobustnessFigures figures,
                 evaluate::RobustnessFigures::create(std::move(clean), {}, request_.task_options));
  std::unique_ptr<meter::WindowMeter> window;
  if (meter) {
    JOULERY_ASSIGN(const engine::ProcessUsage usage, session.usage());
    JOULERY_ASSIGN(window, meter(usage.pid));
  }
  for (std::size_t i = 0; i < perturbations.size() && !observer_.interrupted(); ++i) {
    const evaluate::Perturbation& perturbation = *perturbations[i];
    observer_.on_step(
        fmt::format("robustness: {} of {}, {}", i + 1, perturbations.size(), perturbation.info().name));
    JOULERY_ASSIGN(const evaluate::QualityReport report,
                   judge(side, session, reference, &perturbation, most));
    if (observer_.interrupted()) break;
    JOULERY_ASSIGN(const evaluate::RobustnessRow row, figures.add(perturbation.info(), report));
    static_cast<void>(row);
    JOULERY_ASSIGN(const double cpu_seconds, spoiled_cpu_seconds(side, session, &perturbation));
    outcome.cpu_seconds.push_back(cpu_seconds);
  }
  if (window) {
    const meter::MeteredWindow metered = window->stop();
    outcome.energy_known = metered.energy_known();
    outcome.energy = metered.energy;
    outcome.seconds = metered.duration_seconds;
  }
  JOULERY_ASSIGN(outcome.figures, figures.figures());
  return outcome;
}

}  // namespace joulery::app
