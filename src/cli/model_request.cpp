#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/footprint.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/bench_model.hpp"
#include "cli/run_request.hpp"
#include "engine/options.hpp"
#include "evaluate/endpoint/arrivals.hpp"
#include "evaluate/endpoint/figures.hpp"

namespace joulery::cli {
namespace {

constexpr int kMostThreads = 4096;
constexpr int kMostStreams = 256;
constexpr int kMostBatch = 1 << 20;
constexpr double kMostRate = 1e6;
constexpr std::size_t kLargestTrace = 64 << 20;
constexpr std::size_t kLargestNames = 16 << 20;
constexpr const char* kTrace = "trace:";

std::vector<std::string> all_of(const Arguments& arguments, const std::string& flag) {
  const auto found = arguments.flags.find(flag);
  return found == arguments.flags.end() ? std::vector<std::string>() : found->second;
}

Result<double> seconds_of(const Arguments& arguments, const std::string& flag, double fallback) {
  const auto text = arguments.value(flag);
  if (!text) return fallback;
  const auto seconds = evaluate::endpoint::parse_seconds(*text);
  if (!seconds)
    return user_error(fmt::format("--{}: {}", flag, seconds.error().message), seconds.error().hint);
  return *seconds;
}

template <class Value>
Result<Value> choice_of(const Arguments& arguments, const std::string& flag, Value fallback,
                        std::optional<Value> (*parse)(std::string_view)) {
  const auto text = arguments.value(flag);
  if (!text) return fallback;
  const auto value = parse(*text);
  if (!value) {
    return user_error(fmt::format("--{} can't be '{}'", flag, printable(*text)),
                      "`joulery bench --help` lists what it can be");
  }
  return *value;
}

Result<engine::SessionOptions> read_options(const Arguments& arguments, const std::string& prefix,
                                            engine::SessionOptions options) {
  JOULERY_ASSIGN(options.precision,
                 choice_of(arguments, prefix + "precision", options.precision, &engine::parse_precision));
  JOULERY_ASSIGN(options.threads, arguments.integer(prefix + "threads", options.threads, 1, kMostThreads));
  return options;
}

/// One side: what its bundle says, if it is one, then the flags for both, then those for this side.
Result<app::SubjectRequest> read_subject(const Arguments& arguments, const std::string& model,
                                         const std::string& prefix) {
  app::SubjectRequest subject{.model = model, .engine = {}, .options = {.threads = 1}};
  JOULERY_CHECK_OK(app::apply_deployment(subject));
  engine::SessionOptions& options = subject.options;
  for (const std::string& flag : {std::string("engine"), prefix + "engine"})
    subject.engine = arguments.value(flag).value_or(subject.engine);
  JOULERY_ASSIGN(options, read_options(arguments, "", options));
  if (!prefix.empty()) {
    JOULERY_ASSIGN(options, read_options(arguments, prefix, options));
  }
  JOULERY_ASSIGN(options.optimisation,
                 choice_of(arguments, "optimisation", options.optimisation, &engine::parse_optimisation));
  JOULERY_ASSIGN(const int batch, arguments.integer("batch", static_cast<int>(options.batch), 1, kMostBatch));
  options.batch = batch;
  JOULERY_ASSIGN(options.streams, arguments.integer("streams", options.streams, 1, kMostStreams));
  options.pin_threads = options.pin_threads || arguments.has("pin");
  options.spin = options.spin || arguments.has("spin");
  options.flush_denormals = options.flush_denormals && !arguments.has("keep-denormals");
  for (const std::string& text : all_of(arguments, "shape")) {
    JOULERY_ASSIGN(engine::ShapeOverride shape, engine::parse_shape_override(text));
    options.shapes.push_back(std::move(shape));
  }
  JOULERY_CHECK_OK(engine::check_options(options));
  return subject;
}

Result<std::optional<app::SubjectRequest>> read_versus(const Arguments& arguments) {
  const auto model = arguments.value("versus");
  const bool other_settings =
      arguments.has("versus-engine") || arguments.has("versus-precision") || arguments.has("versus-threads");
  if (!model && !other_settings) return std::optional<app::SubjectRequest>();
  // The same model with other settings needs no second name.
  JOULERY_ASSIGN(app::SubjectRequest versus,
                 read_subject(arguments, model.value_or(arguments.operands.front()), "versus-"));
  return std::optional(std::move(versus));
}

Status read_arrivals(const Arguments& arguments, evaluate::Protocol& protocol) {
  const std::string how = arguments.value("arrivals").value_or("");
  const auto rate = arguments.value("rate");
  if (how.starts_with(kTrace)) {
    if (rate) return user_error("--rate and a trace exclude each other", "the trace says when calls come");
    const std::string file = how.substr(std::string_view(kTrace).size());
    JOULERY_ASSIGN(const std::string text, read_file(file, kLargestTrace));
    JOULERY_ASSIGN(protocol.trace_ns, evaluate::endpoint::parse_arrivals(text, file));
    protocol.arrivals = evaluate::Arrivals::trace;
    return {};
  }
  if (!how.empty() && how != "poisson") {
    return user_error(
        fmt::format("--arrivals of a model can't be '{}'", printable(how)),
        "it is poisson (with --rate) or trace:FILE; without it each call follows the one before");
  }
  if (!rate) {
    return how.empty() ? Status() : user_error("--arrivals poisson needs --rate", "for example --rate 50");
  }
  const auto number = parse_double(trim(*rate));
  if (!number || !(*number > 0 && *number <= kMostRate)) {
    return user_error(fmt::format("--rate '{}' is no number of calls a second", printable(*rate)),
                      "for example --rate 50");
  }
  protocol.arrivals = evaluate::Arrivals::poisson;
  protocol.rate_hz = *number;
  return {};
}

Result<evaluate::Protocol> read_protocol(const Arguments& arguments) {
  evaluate::Protocol protocol;
  JOULERY_ASSIGN(protocol.budget_seconds, seconds_of(arguments, "budget", protocol.budget_seconds));
  if (const auto target = arguments.value("target")) {
    std::string_view text = trim(*target);
    if (text.ends_with('%')) text = trim(text.substr(0, text.size() - 1));
    const auto percent = parse_double(text);
    if (!percent || !(*percent > 0 && *percent < 100)) {
      return user_error(fmt::format("--target '{}' is no percentage", printable(*target)),
                        "for example --target 2 (within 2 %)");
    }
    protocol.target_half_width = *percent / 100;
  }
  JOULERY_ASSIGN(const int seed, arguments.integer("seed", 1, 0, 2'147'483'647));
  protocol.seed = static_cast<std::uint64_t>(seed);
  JOULERY_CHECK_OK(read_arrivals(arguments, protocol));
  return protocol;
}

Status read_synthetic(const Arguments& arguments, data::SyntheticOptions& synthetic, std::uint64_t seed) {
  synthetic.seed = seed;
  const auto range = arguments.value("synthetic-range");
  if (!range) return {};
  const auto colon = range->find(':');
  const auto low = parse_double(trim(std::string_view(*range).substr(0, colon)));
  const auto high = colon == std::string::npos
                        ? std::nullopt
                        : parse_double(trim(std::string_view(*range).substr(colon + 1)));
  if (!low || !high || !(*low <= *high)) {
    return user_error(fmt::format("--synthetic-range '{}' is no range", printable(*range)),
                      "for example --synthetic-range 0:255");
  }
  synthetic.low = *low;
  synthetic.high = *high;
  return {};
}

Result<data::DatasetRequest> read_data(const Arguments& arguments, std::uint64_t seed) {
  data::DatasetRequest request;
  request.path = arguments.value("data").value_or("");
  if (request.path.empty() && arguments.has("data"))
    return user_error("--data is empty: name a file or folder");
  if (!request.path.empty() && arguments.has("synthetic-range")) {
    return user_error("--data and --synthetic-range exclude each other",
                      "the range is for made-up data, which there are none of beside --data");
  }
  if (const auto format = arguments.value("data-format")) {
    request.format = data::parse_format(*format);
    if (!request.format) {
      return user_error(fmt::format("--data-format can't be '{}'", printable(*format)),
                        "it is npy, npz, csv, jsonl, parquet, idx, images or raw");
    }
  }
  if (const auto labels = arguments.value("labels")) request.labels = *labels;
  if (const auto group = arguments.value("group")) request.group = *group;
  for (const std::string& text : all_of(arguments, "image")) {
    const auto equals = text.find('=');
    const std::string_view value =
        equals == std::string::npos ? std::string_view() : std::string_view(text).substr(equals + 1);
    JOULERY_CHECK_OK(data::set_image_option(request.images, std::string_view(text).substr(0, equals), value));
  }
  for (const std::string& text : all_of(arguments, "constant")) {
    JOULERY_ASSIGN(data::Constant constant, data::parse_constant(text));
    request.constants.push_back(std::move(constant));
  }
  if (const auto type = arguments.value("raw-type")) {
    const auto parsed = data::parse_data_type(*type);
    if (!parsed)
      return user_error(fmt::format("--raw-type can't be '{}'", printable(*type)), "for example f32");
    request.raw.type = *parsed;
    if (!request.format) request.format = data::Format::raw;
  }
  if (const auto shape = arguments.value("raw-shape")) {
    JOULERY_ASSIGN(request.raw.sample, data::Shape::parse(*shape));
  }
  JOULERY_CHECK_OK(read_synthetic(arguments, request.synthetic, seed));
  return request;
}

/// One name a line.
Result<std::vector<std::string>> read_names(const std::string& file) {
  JOULERY_ASSIGN(const std::string text, read_file(file, kLargestNames));
  std::vector<std::string> names;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    names.emplace_back(line);
  }
  if (!names.empty() && names.back().empty()) names.pop_back();
  if (names.empty())
    return user_error(fmt::format("'{}' holds no names", printable(file)), "one name a line");
  return names;
}

Result<evaluate::TaskOptions> read_task_options(const Arguments& arguments, std::uint64_t seed) {
  evaluate::TaskOptions options;
  options.seed += seed;
  options.output = arguments.value("task-output").value_or("");
  options.metric = arguments.value("metric").value_or("");
  options.boxes_output = arguments.value("box-output").value_or("");
  options.scores_output = arguments.value("score-output").value_or("");
  options.classes_output = arguments.value("class-output").value_or("");
  options.lengths_output = arguments.value("length-output").value_or("");
  options.declared_slices = all_of(arguments, "slice");
  JOULERY_ASSIGN(options.output_meaning, choice_of(arguments, "outputs-are", options.output_meaning,
                                                   &evaluate::parse_output_meaning));
  if (const auto file = arguments.value("class-names")) {
    JOULERY_ASSIGN(options.class_names, read_names(*file));
  }
  if (const auto file = arguments.value("alphabet")) {
    JOULERY_ASSIGN(options.alphabet, read_names(*file));
  }
  JOULERY_ASSIGN(const int blank, arguments.integer("blank", 0, -1, 1'000'000));
  options.blank = blank;
  JOULERY_ASSIGN(options.box_format,
                 choice_of(arguments, "boxes", options.box_format, &evaluate::parse_box_format));
  JOULERY_ASSIGN(options.label_box_format,
                 choice_of(arguments, "label-boxes", options.label_box_format, &evaluate::parse_box_format));
  options.background_class = arguments.has("background-class");
  return options;
}

}  // namespace

std::vector<Flag> model_flags() {
  return {
      {.name = "engine",
       .value = "ENGINE",
       .help = "onnxruntime or openvino (default: the first that there is)",
       .choices = {"onnxruntime", "openvino"}},
      {.name = "engine-path", .value = "DIR", .help = "look for engines in DIR first", .takes_file = true},
      {.name = "precision",
       .value = "P",
       .help = "f32 (default), bf16, f16 or i8 (as the model has it)",
       .choices = {"f32", "bf16", "f16", "i8"}},
      {.name = "threads", .value = "N", .help = "threads of one call (default: 1)"},
      {.name = "streams", .value = "N", .help = "calls at the same time, a thread for each (default: 1)"},
      {.name = "batch",
       .value = "N",
       .help = "samples of one call, where the model leaves that open (default: 1)"},
      {.name = "optimisation",
       .value = "LEVEL",
       .help = "how far the engine rewrites the graph: none, basic, extended, all (default)",
       .choices = {"none", "basic", "extended", "all"}},
      {.name = "pin", .help = "bind threads to CPUs"},
      {.name = "spin", .help = "let threads burn CPU time while they wait"},
      {.name = "keep-denormals",
       .help = "compute with numbers below 1.2e-38 instead of taking them for zero"},
      {.name = "shape",
       .value = "NAME:DIMS",
       .help = "shape of an input, such as x:1,3,224,224 (repeatable)",
       .repeatable = true},
      {.name = "data",
       .value = "DATA",
       .help = "samples: npz, npy, CSV, JSONL, Parquet, IDX, a folder of images, raw numbers",
       .takes_file = true},
      {.name = "data-format",
       .value = "FORMAT",
       .help = "of --data, if neither name nor content tell it",
       .choices = {"npy", "npz", "csv", "jsonl", "parquet", "idx", "images", "raw"}},
      {.name = "labels", .value = "NAME", .help = "column of the labels (default: y)"},
      {.name = "group", .value = "NAME", .help = "column of groups: samples that belong together"},
      {.name = "image",
       .value = "KEY=VALUE",
       .help = "how images become inputs: resize=96x96, crop=224x224, scale=1/255, mean=0.5, std=0.25, "
               "layout=nhwc, channels=bgr (repeatable)",
       .repeatable = true},
      {.name = "constant",
       .value = "INPUT=X",
       .help = "an input that is the same for all samples, such as sr=16000 (repeatable)",
       .repeatable = true},
      {.name = "raw-type", .value = "TYPE", .help = "elements of raw data: f32, u8, i64 and the like"},
      {.name = "raw-shape",
       .value = "DIMS",
       .help = "one sample of raw data (default: as the model's input)"},
      {.name = "synthetic-range", .value = "LOW:HIGH", .help = "values of made-up data (default: 0:1)"},
      {.name = "samples", .value = "N", .help = "judge on the first N samples only (default: all)"},
      {.name = "task",
       .value = "TASK",
       .help =
           "judge the answers: classify, regress, embed, detect, ctc or agree (with f32, or the other model)",
       .choices = {"classify", "regress", "embed", "detect", "ctc", "agree"}},
      {.name = "task-output", .value = "NAME", .help = "the output to judge (default: the one that fits)"},
      {.name = "box-output", .value = "NAME", .help = "of detect: the output with the boxes"},
      {.name = "score-output", .value = "NAME", .help = "of detect: the output with their scores"},
      {.name = "class-output", .value = "NAME", .help = "of detect: the output with their classes"},
      {.name = "length-output", .value = "NAME", .help = "of ctc: the output with the steps that count"},
      {.name = "metric", .value = "NAME", .help = "the metric that counts (default: the task's usual one)"},
      {.name = "outputs-are",
       .value = "WHAT",
       .help = "probabilities or logits (default: told by the values)",
       .choices = {"probabilities", "logits"}},
      {.name = "class-names",
       .value = "FILE",
       .help = "names of the classes, one a line",
       .takes_file = true},
      {.name = "slice",
       .value = "NAME",
       .help = "declare slices beforehand: group or class (repeatable)",
       .repeatable = true,
       .choices = {"group", "class"}},
      {.name = "alphabet",
       .value = "FILE",
       .help = "of ctc: what each class is written as, one a line",
       .takes_file = true},
      {.name = "blank", .value = "N", .help = "of ctc: the class that stands for nothing (default: 0)"},
      {.name = "boxes",
       .value = "FORMAT",
       .help = "of detect: how the model writes boxes (default: xyxy)",
       .choices = {"xyxy", "yxyx", "xywh", "cxcywh"}},
      {.name = "label-boxes",
       .value = "FORMAT",
       .help = "of detect: how labels write boxes (default: xyxy)",
       .choices = {"xyxy", "yxyx", "xywh", "cxcywh"}},
      {.name = "background-class", .help = "of detect: class 0 of the scores is the background"},
      {.name = "robustness",
       .help = "judge on spoiled inputs too: corrupted images, noise, lost features, typos"},
      {.name = "robustness-samples", .value = "N", .help = "samples for each way of spoiling (default: 256)"},
      {.name = "explain", .help = "say where the time goes, operator by operator, and what keeps it slow"},
      {.name = "versus",
       .value = "MODEL2",
       .help = "measure a second model in turn with the first (ABBA)",
       .takes_file = true},
      {.name = "versus-engine",
       .value = "ENGINE",
       .help = "engine of the second",
       .choices = {"onnxruntime", "openvino"}},
      {.name = "versus-precision",
       .value = "P",
       .help = "precision of the second",
       .choices = {"f32", "bf16", "f16", "i8"}},
      {.name = "versus-threads", .value = "N", .help = "threads of the second"},
      {.name = "arrivals",
       .value = "HOW",
       .help = "poisson (with --rate) or trace:FILE (default: a call follows the one before)"},
      {.name = "rate", .value = "R", .help = "calls a second that come whatever the model does"},
      {.name = "budget", .value = "TIME", .help = "longest time of measuring (default: 60s)"},
      {.name = "target",
       .value = "PERCENT",
       .help = "end when CPU-seconds are known to within so much (default: 2)"},
      {.name = "seed", .value = "N", .help = "of made-up data, arrivals and intervals (default: 1)"},
  };
}

namespace {

/// A flag that nothing would come of is a slip of the pen, or a misunderstanding.
Status check_company(const Arguments& arguments) {
  struct Company {
    const char* of;
    std::initializer_list<const char*> flags;
    const char* hint;
  };
  static constexpr std::initializer_list<const char*> kOfTask{
      "samples",    "task-output",  "metric",       "outputs-are",   "class-names",
      "slice",      "alphabet",     "blank",        "boxes",         "label-boxes",
      "box-output", "score-output", "class-output", "length-output", "background-class"};
  static constexpr std::initializer_list<const char*> kOfData{"data-format", "labels",   "group",
                                                              "image",       "raw-type", "raw-shape"};
  static constexpr std::initializer_list<const char*> kOfRobustness{"robustness-samples"};
  for (const Company& company :
       {Company{"task", kOfTask, "answers are judged with --task, such as --task classify"},
        Company{"data", kOfData, "without --data inputs are made up"},
        Company{"robustness", kOfRobustness, "spoiled inputs are judged with --robustness"}}) {
    if (arguments.has(company.of)) continue;
    for (const char* flag : company.flags) {
      if (arguments.has(flag))
        return user_error(fmt::format("--{} needs --{}", flag, company.of), company.hint);
    }
  }
  return {};
}

}  // namespace

Result<app::ModelBenchRequest> read_model_request(app::Application& application, const Arguments& arguments) {
  JOULERY_CHECK_OK(check_company(arguments));
  app::ModelBenchRequest request;
  JOULERY_ASSIGN(request.subject, read_subject(arguments, arguments.operands.front(), ""));
  JOULERY_ASSIGN(request.versus, read_versus(arguments));
  request.engine_path = arguments.value("engine-path").value_or("");
  JOULERY_ASSIGN(request.protocol, read_protocol(arguments));
  JOULERY_ASSIGN(request.data, read_data(arguments, request.protocol.seed));
  if (const auto task = arguments.value("task")) {
    request.task = evaluate::parse_task(*task);
    if (!request.task) {
      return user_error(fmt::format("--task can't be '{}'", printable(*task)),
                        "it is classify, regress, embed, detect, ctc or agree");
    }
  }
  JOULERY_ASSIGN(request.task_options, read_task_options(arguments, request.protocol.seed));
  JOULERY_ASSIGN(const int samples, arguments.integer("samples", 0, 1, 2'147'483'647));
  request.most_samples = static_cast<std::uint64_t>(samples);
  request.explain = arguments.has("explain");
  request.robustness = arguments.has("robustness");
  JOULERY_ASSIGN(const int spoiled, arguments.integer("robustness-samples", 256, 2, 10'000'000));
  request.robustness_samples = static_cast<std::uint64_t>(spoiled);
  if (request.robustness && !request.task) {
    return user_error("--robustness needs --task: it is quality on spoiled inputs",
                      "for example --task classify with labels, or --task agree without");
  }
  request.name = arguments.value("name").value_or("");
  JOULERY_ASSIGN(request.footprint, app::footprint_options(application, std::nullopt, {}));
  return request;
}

}  // namespace joulery::cli
