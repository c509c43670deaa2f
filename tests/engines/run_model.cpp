// Runs a model in an engine, for the tests that compare engines: reads raw inputs, writes raw outputs, and
// prints one line for each thing that it found out.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/files.hpp"
#include "base/text.hpp"
#include "engine/contained.hpp"
#include "engine/options.hpp"
#include "engine/precision_report.hpp"
#include "engine/worker.hpp"
#include "onnx/read.hpp"

namespace joulery::engine {
namespace {

using Flags = std::multimap<std::string, std::string>;

std::string value(const Flags& flags, const std::string& name, const std::string& fallback = {}) {
  const auto found = flags.find(name);
  return found == flags.end() ? fallback : found->second;
}

int number(const Flags& flags, const std::string& name, int fallback) {
  const auto parsed = parse_int64(value(flags, name));
  return parsed ? static_cast<int>(*parsed) : fallback;
}

void say(const std::string& line) {
  static_cast<void>(write_all(STDOUT_FILENO, line + "\n"));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Result<SessionOptions> options_of(const Flags& flags) {
  SessionOptions options;
  options.threads = number(flags, "threads", 1);
  options.streams = number(flags, "streams", 1);
  options.batch = number(flags, "batch", 0);
  options.spin = number(flags, "spin", 0) != 0;
  options.pin_threads = number(flags, "pin", 0) != 0;
  options.flush_denormals = number(flags, "flush", 1) != 0;
  options.precision = parse_precision(value(flags, "precision", "f32")).value_or(Precision::f32);
  options.optimisation = parse_optimisation(value(flags, "optimisation", "all")).value_or(Optimisation::all);
  options.profile = flags.contains("profile");
  options.profile_folder = value(flags, "profile");
  for (auto [at, end] = flags.equal_range("shape"); at != end; ++at) {
    JOULERY_ASSIGN(ShapeOverride override, parse_shape_override(at->second));
    options.shapes.push_back(std::move(override));
  }
  return options;
}

Result<std::unique_ptr<Engine>> open(const Flags& flags) {
  const EngineLocation location{.name = value(flags, "engine"),
                                .library = value(flags, "library"),
                                .plugin_directory = value(flags, "plugins")};
  const std::string worker = value(flags, "worker");
  if (worker.empty()) return open_engine(location);
  // For OpenVINO in a program that was built with a sanitizer.
  return open_contained_engine(
      location, {.path = worker, .arguments = {"engine-worker"}, .environment = {"TBB_ENABLE_SANITIZERS=1"}},
      {});
}

/// Several threads, each with a session of its own on the same inputs: all must give what the first gave.
Status run_forks(Session& session, const std::vector<data::Tensor>& inputs, const Flags& flags) {
  JOULERY_ASSIGN(const data::TensorView first, session.output(0));
  const std::string expected(reinterpret_cast<const char*>(first.data), first.bytes);
  std::vector<std::unique_ptr<Session>> forks;
  for (int i = 0; i < number(flags, "forks", 0); ++i) {
    JOULERY_ASSIGN(std::unique_ptr<Session> fork, session.fork());
    for (std::size_t k = 0; k < session.inputs().size(); ++k) {
      JOULERY_CHECK_OK(fork->bind_input(k, inputs[k].view()));
    }
    forks.push_back(std::move(fork));
  }
  std::vector<int> same(forks.size(), 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < forks.size(); ++i) {
      threads.emplace_back([&, i] {
        for (int call = 0; call < 50; ++call) {
          const auto output = forks[i]->run() ? forks[i]->output(0) : internal_error("");
          same[i] +=
              output && std::string(reinterpret_cast<const char*>(output->data), output->bytes) == expected;
        }
      });
    }
  }
  for (const int count : same) say(fmt::format("fork_same {}", count));
  return {};
}

Status tell_times(Session& session, const std::string& path) {
  JOULERY_ASSIGN(const std::vector<OperatorTime> times, session.operator_times());
  JOULERY_ASSIGN(const onnx::Model model, onnx::read_model(path));
  const PrecisionReport report = precision_report(model, times);
  for (const RequestedOperator& item : report.requested) {
    const char* found = !item.is_low ? "not found" : *item.is_low ? "low" : "not low";
    say(fmt::format("requested|{}|{}|{}|{}", item.node, item.op_type, low_precision_form_name(item.form),
                    found));
  }
  say(fmt::format("precision_report {} requested, {} low, {} not low", report.requested.size(), report.low,
                  report.not_low));
  say(fmt::format("seconds {:.6f} low {:.6f} boundary {:.6f}", report.total_seconds, report.low_seconds,
                  report.boundary_seconds));
  for (const OperatorTime& time : times) {
    say(fmt::format("operator|{}|{}|{}|{}|{}|{:.9f}", time.node, time.op_type, time.kernel, time.precision,
                    time.calls, time.seconds));
  }
  return {};
}

/// Runs on the raw bytes of --input files, in the order of the model's inputs.
Status run(Session& session, const Flags& flags) {
  std::vector<data::Tensor> tensors;
  auto [file, end] = flags.equal_range("input");
  for (std::size_t i = 0; i < session.inputs().size() && file != end; ++i, ++file) {
    const Port& port = session.inputs()[i];
    data::Shape shape = port.shape;
    if (const auto given = data::Shape::parse(value(flags, "run-shape"))) {
      if (given->rank() == shape.rank() && given->rank() > 0) shape = *given;
    }
    JOULERY_ASSIGN(data::Tensor tensor, data::Tensor::create(port.type, shape));
    JOULERY_ASSIGN(const std::string bytes, read_file(file->second, 1 << 28));
    if (bytes.size() != tensor.view().bytes) {
      return user_error(
          fmt::format("{} has {} bytes, not {}", file->second, bytes.size(), tensor.view().bytes));
    }
    std::ranges::copy(bytes, reinterpret_cast<char*>(tensor.view().data));
    tensors.push_back(std::move(tensor));
    JOULERY_CHECK_OK(session.bind_input(i, tensors.back().view()));
  }
  if (const auto shape = data::Shape::parse(value(flags, "bind-output")); shape && shape->rank() > 0) {
    JOULERY_ASSIGN(data::Tensor tensor, data::Tensor::create(session.outputs()[0].type, *shape));
    tensors.push_back(std::move(tensor));
    JOULERY_CHECK_OK(session.bind_output(0, tensors.back().view()));
  }
  JOULERY_CHECK_OK(session.run());
  for (std::size_t i = 0; i < session.outputs().size(); ++i) {
    JOULERY_ASSIGN(const data::TensorView view, session.output(i));
    say(fmt::format("output {} {} {}", session.outputs()[i].name, data::data_type_name(view.type),
                    view.shape.text()));
    const std::string content(reinterpret_cast<const char*>(view.data), view.bytes);
    JOULERY_CHECK_OK(write_file_atomically(fmt::format("{}.{}", value(flags, "output"), i), content));
  }
  // Calls with pauses between: what the engine's threads do meanwhile is CPU time that no call is worth.
  const int calls = number(flags, "calls", 0);
  const double before = cpu_seconds();
  for (int i = 0; i < calls; ++i) {
    JOULERY_CHECK_OK(session.run());
    ::usleep(static_cast<useconds_t>(number(flags, "pause-ms", 0)) * 1000);
  }
  if (calls > 0) say(fmt::format("cpu_seconds {:.6f}", cpu_seconds() - before));
  if (flags.contains("forks")) JOULERY_CHECK_OK(run_forks(session, tensors, flags));
  return flags.contains("profile") ? tell_times(session, value(flags, "model")) : Status();
}

Status load_and_run(Engine& engine, const Flags& flags) {
  say(fmt::format("version {}", engine.info().version));
  for (const std::string& precision : engine.info().precisions) say("precision " + precision);
  JOULERY_ASSIGN(const SessionOptions options, options_of(flags));
  ModelSource source{.path = value(flags, "model")};
  std::string bytes;
  if (number(flags, "bytes", 0) != 0) {
    JOULERY_ASSIGN(bytes, read_file(source.path, 1 << 28));
    source = {.path = {}, .bytes = std::as_bytes(std::span(bytes))};
  }
  if (flags.contains("input-name")) source.input_names = {value(flags, "input-name")};
  if (flags.contains("output-name")) source.output_names = {value(flags, "output-name")};
  JOULERY_ASSIGN(const std::unique_ptr<Session> session, engine.load(source, options));
  for (const EffectiveOption& option : session->effective_options()) {
    say(fmt::format("effective {}={} ({})", option.name, option.value, known_name(option.known)));
  }
  for (const Port& port : session->inputs()) say(fmt::format("input {} {}", port.name, port.shape.text()));
  say(fmt::format("threads_alive {}",
                  std::distance(std::filesystem::directory_iterator("/proc/self/task"), {})));
  return run(*session, flags);
}

Status main_of(const Flags& flags) {
  JOULERY_ASSIGN(const std::unique_ptr<Engine> engine, open(flags));
  JOULERY_CHECK_OK(load_and_run(*engine, flags));
  if (value(flags, "second-engine").empty()) return {};
  // Another engine in the same process, while the first is still there.
  Flags second = flags;
  second.erase("engine");
  second.erase("library");
  second.erase("output");
  second.emplace("engine", value(flags, "second-engine"));
  second.emplace("library", value(flags, "second-library"));
  second.emplace("output", value(flags, "output") + ".second");
  JOULERY_ASSIGN(const std::unique_ptr<Engine> other, open(second));
  JOULERY_CHECK_OK(load_and_run(*other, second));
  return load_and_run(*engine, flags);
}

}  // namespace
}  // namespace joulery::engine

int main(int count, char** arguments) {
  if (count == 2 && arguments[1] == std::string("engine-worker")) return joulery::engine::serve_engine();
  joulery::engine::Flags flags;
  for (int i = 1; i + 1 < count; i += 2) flags.emplace(std::string(arguments[i]).substr(2), arguments[i + 1]);
  const joulery::Status status = joulery::engine::main_of(flags);
  if (status) return 0;
  const auto text = fmt::format("error: {}\nhint: {}\n", status.error().message, status.error().hint);
  static_cast<void>(joulery::write_all(STDERR_FILENO, text));
  return status.error().kind == joulery::Error::Kind::user ? 2 : 3;
}
