// An "engine" whose model is a text of words: each makes one of its calls misbehave. Its one operator doubles
// what comes in.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "engine/plugin_error.hpp"

namespace {

using joulery::engine::Blame;
using joulery::engine::fail;

constexpr int kFloat = 1;
constexpr std::int64_t kColumns = 3;

void say(const std::string& text) {
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

struct FakeSession {
  std::string words;
  JoulerySessionOptions options{};
  JouleryTensor input{};
  JouleryTensor output{};
  std::vector<float> kept;
  std::int64_t rows = -1;
  int runs = 0;
  int refused_run = 0;

  bool has(const std::string& word) const { return words.find(word) != std::string::npos; }
};

/// Does at `stage` what a word of the model says.
void misbehave(const std::string& words, const std::string& stage) {
  const auto has = [&](const char* what) { return words.find(what + ("_" + stage)) != std::string::npos; };
  if (has("print")) {
    static_cast<void>(!::write(STDOUT_FILENO, "noise on stdout\n", 16));
    say("noise on stderr\n");
  }
  if (has("flood")) {
    for (int i = 0; i < 5000; ++i) say("a line that nobody asked for, again and again and again\n");
    say("the end of the flood\n");
  }
  // "into=FOLDER" as the last words
  if (const auto at = words.find("into="); has("leave") && at != std::string::npos) {
    std::ofstream file(words.substr(at + 5) + "/left");
    file << "content" << std::flush;
    say(file ? "a file was left\n" : "no file could be left\n");
  }
  if (has("tell_privileges")) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("CapPrm")) say(line + "\n");
    }
  }
  // A process that outlives this one, unless somebody ends it.
  if (has("fork")) {
    if (const pid_t child = ::fork(); child > 0) {
      say("started " + std::to_string(child) + "\n");
    } else {
      for (;;) ::pause();
    }
  }
  if (has("crash")) {
    say("about to crash\n");
    ::raise(SIGSEGV);
  }
  if (has("abort")) std::abort();
  if (has("exit")) ::_exit(0);
  if (has("hang")) {
    for (;;) ::pause();
  }
  if (has("burn")) {
    for (volatile bool forever = true; forever;) {
    }
  }
  if (has("throw_memory")) throw std::bad_alloc();
  if (has("allocate")) {
    std::vector<std::vector<char>> blocks;
    for (;;) blocks.emplace_back(64 << 20, 'x');
  }
  // An answer of the right form, of a block of one call and no slices.
  const auto tell_block = [](double wall_seconds, double cpu_seconds, std::int64_t latency_ns) {
    constexpr std::uint32_t kOk = 100;
    const struct {
      std::uint32_t length, kind;
      double wall_seconds, cpu_seconds;
      std::int64_t bytes, latency_ns, slices;
    } message{40, kOk, wall_seconds, cpu_seconds, sizeof(latency_ns), latency_ns, 0};
    static_cast<void>(!::write(3, &message, sizeof(message)));
  };
  constexpr double kAges = 1e300;
  if (has("short_block")) tell_block(1e-9, 0, 1);
  if (has("long_wall")) tell_block(kAges, 0, 1);
  if (has("long_cpu")) tell_block(1e-9, kAges, 1);
  if (has("long_latency")) tell_block(1e-9, 0, std::numeric_limits<std::int64_t>::max());
  // Descriptor 3 is a worker's channel.
  if (has("garbage")) static_cast<void>(!::write(3, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 43));
}

int open(const char* library, void** engine, JouleryEngineError* error) {
  misbehave(library, "open");
  if (std::strstr(library, "refuse") != nullptr) {
    return fail(error, Blame::environment, "this library is refused", "take another");
  }
  *engine = new int(0);
  return 0;
}

void close(void* engine) {
  delete static_cast<int*>(engine);
}

void describe(void*, JouleryFactSink* sink, void* context) {
  sink(context, "version", "9.8.7\x1b[31m", 0);
  sink(context, "device", "CPU", 0);
  sink(context, "device.CPU", "a made-up processor", 0);
  sink(context, "precision", "f32", 0);
}

int load(void*, const JouleryModel* model, const JoulerySessionOptions* options, void** session,
         JouleryEngineError* error) {
  std::string words;
  if (options->profile_folder != nullptr && *options->profile_folder != '\0') {
    std::ofstream(std::string(options->profile_folder) + "/profile") << "content";
  }
  if (model->path != nullptr) {
    std::ifstream file(model->path);
    std::stringstream content;
    content << file.rdbuf();
    words = content.str();
  } else {
    words.assign(static_cast<const char*>(model->bytes), model->size);
  }
  misbehave(words, "load");
  if (words.find("refuse_load") != std::string::npos) {
    return fail(error, Blame::user, "this model is refused\x1b[2J", "take another");
  }
  auto* fake = new FakeSession{.words = words, .options = *options, .kept = {}};
  if (fake->has("refuse_third_run")) fake->refused_run = 3;
  fake->options.profile_folder = nullptr;
  *session = fake;
  return 0;
}

int prepare(void* session, const JouleryPort* inputs, std::uint32_t count, JouleryEngineError*) {
  auto& fake = *static_cast<FakeSession*>(session);
  fake.rows = count > 0 ? inputs[0].dimensions[0] : 0;
  return 0;
}

int port(void* session, std::int32_t is_output, std::uint32_t index, JouleryPort* port) {
  const auto& fake = *static_cast<FakeSession*>(session);
  if (index > 0) return 0;
  if (fake.has(is_output != 0 ? "no_output" : "no_input")) return 0;
  port->type = is_output != 0 && fake.has("odd_type") ? 77 : kFloat;
  port->rank = fake.has("deep_output") && is_output != 0 ? 40 : 2;
  port->dimensions[0] = fake.rows;
  port->dimensions[1] = kColumns;
  port->name = is_output != 0 ? "y" : "x";
  return 1;
}

void effective(void* session, JouleryFactSink* sink, void* context) {
  const auto& fake = *static_cast<FakeSession*>(session);
  sink(context, "threads", std::to_string(fake.options.threads).c_str(), 0);
  sink(context, "spin", fake.options.spin != 0 ? "true" : "false", 1);
  sink(context, "flush_denormals", fake.options.flush_denormals != 0 ? "true" : "false", 2);
}

int bind(void* session, std::int32_t is_output, std::uint32_t, const JouleryTensor* tensor,
         JouleryEngineError*) {
  auto& fake = *static_cast<FakeSession*>(session);
  misbehave(fake.words, "bind");
  (is_output != 0 ? fake.output : fake.input) = *tensor;
  return 0;
}

int run(void* session, JouleryEngineError* error) {
  auto& fake = *static_cast<FakeSession*>(session);
  if (fake.words != "good") misbehave(fake.words, "run");
  ++fake.runs;
  if (fake.has("refuse_run") || fake.runs == fake.refused_run)
    return fail(error, Blame::environment, "the model can't be run");
  const auto count = static_cast<std::size_t>(fake.input.dimensions[0] * kColumns);
  const auto* in = static_cast<const float*>(fake.input.data);
  if (fake.output.data == nullptr) fake.kept.resize(count);
  auto* out = fake.output.data == nullptr ? fake.kept.data() : static_cast<float*>(fake.output.data);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = fake.has("nan_run") ? std::numeric_limits<float>::quiet_NaN() : 2 * in[i];
  }
  return 0;
}

int result(void* session, std::uint32_t, JouleryTensor* tensor, JouleryEngineError*) {
  auto& fake = *static_cast<FakeSession*>(session);
  *tensor = fake.output.data == nullptr ? fake.input : fake.output;
  if (fake.output.data == nullptr) tensor->data = fake.kept.data();
  // Claims that contradict each other, as a program that was taken over could send.
  if (fake.has("lie_about_shape")) tensor->dimensions[0] = std::int64_t{1} << 40;
  if (fake.has("lie_about_type")) tensor->type = 8;
  return 0;
}

void unload(void* session) {
  delete static_cast<FakeSession*>(session);
}

int fork_session(void* session, void** sibling, JouleryEngineError* error) {
  const auto& fake = *static_cast<FakeSession*>(session);
  if (fake.has("refuse_fork")) return fail(error, Blame::environment, "no second one");
  auto* other = new FakeSession{.words = fake.words, .options = fake.options, .kept = {}};
  other->rows = fake.rows;
  *sibling = other;
  return 0;
}

int operator_times(void* session, JouleryOperatorSink* sink, void* context, JouleryEngineError* error) {
  const auto& fake = *static_cast<FakeSession*>(session);
  if (fake.has("refuse_profile")) return fail(error, Blame::environment, "no profile");
  const JouleryOperatorTime time{.struct_size = sizeof(JouleryOperatorTime),
                                 .node = "double\x1b[2J",
                                 .op_type = "Double",
                                 .kernel = "made_up_I8",
                                 .precision = "i8",
                                 .calls = static_cast<std::uint64_t>(fake.runs),
                                 .seconds = 0.5 * fake.runs};
  sink(context, &time);
  return 0;
}

constexpr JouleryEngineApi kApi{.struct_size = sizeof(JouleryEngineApi),
                                .abi_version = JOULERY_ENGINE_ABI_VERSION,
                                .name = "fake",
                                .open = &open,
                                .close = &close,
                                .describe = &describe,
                                .load = &load,
                                .prepare = &prepare,
                                .port = &port,
                                .effective = &effective,
                                .bind = &bind,
                                .run = &run,
                                .result = &result,
                                .unload = &unload,
                                .fork_session = &fork_session,
                                .operator_times = &operator_times};

}  // namespace

extern "C" __attribute__((visibility("default"))) const JouleryEngineApi* joulery_engine_v1(
    uint32_t host_abi_version) {
  return host_abi_version == JOULERY_ENGINE_ABI_VERSION ? &kApi : nullptr;
}
