// What Session::run costs over a bare loop on the engine's own C interface: the two in turn, in blocks, on a
// model so small that nothing else is seen. Prints the overhead of a call with its one-sided 95 % bound.
//
//   engine_bench [--library LIBONNXRUNTIME] [--plugins DIR] [--worker JOULERY]
#include <dlfcn.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/dynamic_library.hpp"
#include "base/files.hpp"
#include "engine/contained.hpp"
#include "engine/measure.hpp"
#include "engine/search.hpp"

#if __has_include(<onnxruntime_c_api.h>)
#include <onnxruntime_c_api.h>
#define JOULERY_HAS_ONNXRUNTIME 1
#endif

namespace {

using namespace joulery;

constexpr int kBlocks = 2000;
constexpr int kWarmUpBlocks = 100;
constexpr int kCallsPerBlock = 100;

double now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

void say(const std::string& text) {
  static_cast<void>(write_all(STDOUT_FILENO, text + "\n"));
}

/// y = Identity(x), x: f32[1]: an ONNX model by hand (protobuf fields and wire types as in onnx.proto).
std::string identity_model() {
  const auto field = [](int number, const std::string& content) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(content.size())} + content;
  };
  const auto varint = [](int number, int value) {
    return std::string{static_cast<char>(number << 3), static_cast<char>(value)};
  };
  const auto port = [&](const std::string& name) {
    const std::string shape = field(2, field(1, varint(1, 1)));
    return field(1, name) + field(2, field(1, varint(1, 1) + shape));
  };
  const std::string node = field(1, "x") + field(2, "y") + field(4, "Identity");
  const std::string graph = field(1, node) + field(2, "g") + field(11, port("x")) + field(12, port("y"));
  return varint(1, 8) + field(7, graph) + field(8, varint(2, 17));
}

template <class Call>
double block_ns(const Call& call) {
  const double start = now_ns();
  for (int i = 0; i < kCallsPerBlock; ++i) call();
  return (now_ns() - start) / kCallsPerBlock;
}

struct Estimate {
  double median = 0;
  double bound = 0;
};

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Median of the pairs' differences, and the upper end of its one-sided 95 % interval by order statistics: it
/// assumes no shape, and other programs' bursts do not move it. Neighbouring pairs are pooled in tens first,
/// because their noise is related.
Estimate estimate(const std::vector<double>& differences) {
  constexpr std::size_t kPool = 10;
  std::vector<double> pooled;
  for (std::size_t i = 0; i + kPool <= differences.size(); i += kPool) {
    const auto start = differences.begin() + static_cast<std::ptrdiff_t>(i);
    pooled.push_back(median_of({start, start + kPool}));
  }
  std::ranges::sort(pooled);
  const auto count = static_cast<double>(pooled.size());
  const auto rank = static_cast<std::size_t>(std::ceil(count / 2 + 1.645 * std::sqrt(count) / 2));
  return {.median = pooled[pooled.size() / 2], .bound = pooled[std::min(rank, pooled.size() - 1)]};
}

#ifdef JOULERY_HAS_ONNXRUNTIME
/// The bare loop's side: a session on the C interface, with nothing around it.
struct BareSession {
  const OrtApi* api = nullptr;
  OrtSession* session = nullptr;
  OrtValue* input = nullptr;
  OrtValue* output = nullptr;

  static BareSession create(const std::string& path, const std::string& model, float* x, float* y) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    auto* base = reinterpret_cast<const OrtApiBase* (*)()>(::dlsym(handle, "OrtGetApiBase"));
    BareSession bare;
    bare.api = base()->GetApi(ORT_API_VERSION);
    OrtEnv* environment = nullptr;
    OrtSessionOptions* options = nullptr;
    OrtMemoryInfo* memory = nullptr;
    const std::int64_t shape = 1;
    const bool failed =
        bare.api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "bench", &environment) != nullptr ||
        bare.api->CreateSessionOptions(&options) != nullptr ||
        bare.api->SetIntraOpNumThreads(options, 1) != nullptr ||
        bare.api->AddSessionConfigEntry(options, "session.set_denormal_as_zero", "1") != nullptr ||
        bare.api->CreateSessionFromArray(environment, model.data(), model.size(), options, &bare.session) !=
            nullptr ||
        bare.api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory) != nullptr ||
        bare.api->CreateTensorWithDataAsOrtValue(memory, x, sizeof(float), &shape, 1,
                                                 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                                 &bare.input) != nullptr ||
        bare.api->CreateTensorWithDataAsOrtValue(memory, y, sizeof(float), &shape, 1,
                                                 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                                 &bare.output) != nullptr;
    if (failed) bare.session = nullptr;
    return bare;
  }

  void run() {
    constexpr std::array<const char*, 1> kInputs{"x"};
    constexpr std::array<const char*, 1> kOutputs{"y"};
    const OrtValue* in = input;
    OrtStatus* status = api->Run(session, nullptr, kInputs.data(), &in, 1, kOutputs.data(), 1, &output);
    if (status != nullptr) api->ReleaseStatus(status);
  }
};
#endif

std::unique_ptr<engine::Session> load(engine::Engine& opened, const std::string& model, const data::Tensor& x,
                                      const data::Tensor& y) {
  auto session = opened.load({.path = {}, .bytes = std::as_bytes(std::span(model))}, {.threads = 1});
  if (!session) {
    say(session.error().message);
    return nullptr;
  }
  if (!(*session)->bind_input(0, x.view()) || !(*session)->bind_output(0, y.view())) return nullptr;
  return std::move(*session);
}

#ifdef JOULERY_HAS_ONNXRUNTIME
/// One way of calling against the bare loop, in turn.
template <class Ours>
void compare_with_bare_loop(const char* name, BareSession& bare, const Ours& our_block_ns) {
  std::vector<double> differences;
  std::vector<double> bare_times;
  const auto theirs = [&] { bare.run(); };
  for (int i = 0; i < kBlocks + kWarmUpBlocks; ++i) {
    // ABBA, so that a drift hits both alike.
    const double a1 = our_block_ns();
    const double b1 = block_ns(theirs);
    const double b2 = block_ns(theirs);
    const double a2 = our_block_ns();
    if (i < kWarmUpBlocks) continue;
    differences.push_back((a1 + a2 - b1 - b2) / 2);
    bare_times.push_back((b1 + b2) / 2);
  }
  const Estimate result = estimate(differences);
  say(fmt::format("bare C loop: median {:.0f} ns a call", median_of(bare_times)));
  say(fmt::format("{} over it: {:+.1f} ns a call, upper 95 % bound {:.1f} ns ({} ABBA blocks of {} calls)",
                  name, result.median, result.bound, kBlocks, 2 * kCallsPerBlock));
}

void compare_with_bare_loop(engine::Session& session, BareSession& bare) {
  compare_with_bare_loop("Session::run", bare,
                         [&] { return block_ns([&] { static_cast<void>(session.run()); }); });
  // What `joulery bench` does: every call is timed, and its latency kept.
  compare_with_bare_loop("a timed block", bare, [&] {
    const auto block = engine::run_block(session, {.calls = kCallsPerBlock, .seconds = 60});
    return block ? block->wall_seconds * 1e9 / kCallsPerBlock : 0;
  });
}
#endif

int measure_contained(const engine::EngineLocation& location, const std::string& worker,
                      const std::string& model, const data::Tensor& x, const data::Tensor& y) {
  auto contained =
      engine::open_contained_engine(location, {.path = worker, .arguments = {"engine-worker"}}, {});
  if (!contained) {
    say(contained.error().message);
    return 3;
  }
  const double load_start = now_ns();
  const auto session = load(**contained, model, x, y);
  const double load_ms = (now_ns() - load_start) / 1e6;
  if (session == nullptr) return 3;
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) times.push_back(block_ns([&] { static_cast<void>(session->run()); }));
  say(fmt::format("contained: median {:.1f} us a call; process, library and model in {:.0f} ms",
                  median_of(times) / 1e3, load_ms));
  return 0;
}

int bench(const std::map<std::string, std::string>& flags) {
  const std::string plugins = flags.contains("plugins") ? flags.at("plugins") : own_library_directory();
  const engine::EngineLocation location{
      .name = "onnxruntime", .library = flags.at("library"), .plugin_directory = plugins};
  const std::string model = identity_model();
  const auto x = data::Tensor::create(data::DataType::f32, {1});
  const auto y = data::Tensor::create(data::DataType::f32, {1});
  auto opened = engine::open_engine(location);
  if (!opened || !x || !y) {
    say(opened ? "no memory" : opened.error().message + "\nhint: " + opened.error().hint);
    return 3;
  }
  const auto session = load(**opened, model, *x, *y);
  if (session == nullptr) return 3;
  x->elements<float>()[0] = 42;
  if (!session->run() || y->elements<float>()[0] != 42) {
    say("the model does not do what it should");
    return 70;
  }
#ifdef JOULERY_HAS_ONNXRUNTIME
  BareSession bare =
      BareSession::create(location.library, model, x->elements<float>().data(), y->elements<float>().data());
  if (bare.session == nullptr) {
    say("the bare session can't be made");
    return 3;
  }
  compare_with_bare_loop(*session, bare);
#else
  say("built without the header of ONNX Runtime: no bare loop to compare with");
#endif
  if (::access(flags.at("worker").c_str(), X_OK) != 0) return 0;
  return measure_contained(location, flags.at("worker"), model, *x, *y);
}

}  // namespace

int main(int count, char** arguments) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::string_view(arguments[i]).starts_with("--benchmark")) continue;
    flags.emplace(std::string(arguments[i]).substr(2), arguments[i + 1]);
  }
  const SystemRoot root;
  const std::string own = own_library_directory();
  const auto places = engine::search_places(root, {.library_directory = own});
  if (places) {
    for (const engine::FoundEngine& found : engine::find_engines(root, *places)) {
      if (std::string_view(found.kind->name) == "onnxruntime" && !found.problem) {
        flags.emplace("library", found.library);
      }
    }
  }
  flags.emplace("worker", own + "/../bin/joulery");
  if (!flags.contains("library")) {
    say("no ONNX Runtime to measure with: pip install onnxruntime, or --library FILE");
    return 0;
  }
  return bench(flags);
}
