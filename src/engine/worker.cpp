#include "engine/worker.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <thread>

#include "engine/message.hpp"
#include "engine/plugin_engine.hpp"
#include "engine/worker_process.hpp"

namespace joulery::engine {
namespace {

constexpr std::size_t kAlignment = 64;

bool read_exactly(char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::read(kWorkerChannel, to, size);
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
    if (got < 0) continue;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool answer(MessageKind kind, const std::string& payload) {
  const MessageHead head{.length = static_cast<std::uint32_t>(payload.size()),
                         .kind = static_cast<std::uint32_t>(kind)};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  bytes += payload;
  return write_all(kWorkerChannel, bytes).has_value();
}

/// A whole file or memory, mapped for the life of the process.
std::span<std::byte> map_all(int descriptor, int protection, int flags) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0 || status.st_size <= 0) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  void* memory = ::mmap(nullptr, size, protection, flags, descriptor, 0);
  if (memory == MAP_FAILED) return {};
  return {static_cast<std::byte*>(memory), size};
}

class EngineServer {
 public:
  EngineServer() : shared_(map_all(kWorkerMemory, PROT_READ | PROT_WRITE, MAP_SHARED)) {}

  Result<std::string> serve(MessageKind kind, const std::string& payload) {
    switch (kind) {
      case MessageKind::open:
        return open(payload);
      case MessageKind::load:
        return load(payload);
      case MessageKind::bind:
        return bind(payload);
      case MessageKind::run:
        return run();
      case MessageKind::block:
        return block(payload);
      case MessageKind::usage:
        return encode(own_usage());
      case MessageKind::times:
        return times();
      default:
        return internal_error("the engine's process was asked for what it does not know");
    }
  }

 private:
  static std::unexpected<Error> misread() { return internal_error("a request can't be read"); }

  Result<std::string> open(const std::string& payload) {
    EngineLocation location;
    if (!decode(payload, location)) return misread();
    // What it prints goes to our parent, who shows it if this process dies of it.
    JOULERY_ASSIGN(engine_, open_engine_uncaptured(location));
    return encode(engine_->info());
  }

  Result<std::string> load(const std::string& payload) {
    SessionOptions options;
    ModelSource model;
    if (!decode(payload, options, model)) return misread();
    if (!engine_) return internal_error("no engine is open");
    if (model.path.empty()) model.bytes = map_all(kWorkerModel, PROT_READ, MAP_PRIVATE);
    JOULERY_ASSIGN(session_, engine_->load(model, options));
    for (int i = 1; i < options.streams; ++i) {
      JOULERY_ASSIGN(std::unique_ptr<Session> forked, session_->fork());
      forked_.push_back(std::move(forked));
    }
    LoadedFacts facts;
    facts.inputs.assign(session_->inputs().begin(), session_->inputs().end());
    facts.outputs.assign(session_->outputs().begin(), session_->outputs().end());
    facts.effective.assign(session_->effective_options().begin(), session_->effective_options().end());
    bound_.assign(facts.outputs.size(), false);
    return encode(facts);
  }

  Result<std::string> bind(const std::string& payload) {
    std::vector<SharedTensor> tensors;
    if (!decode(payload, shared_.size(), tensors)) return misread();
    if (!session_) return internal_error("no model is loaded");
    free_offset_ = 0;
    for (const SharedTensor& tensor : tensors) {
      const data::TensorView view{.type = tensor.type,
                                  .shape = tensor.shape,
                                  .data = shared_.data() + tensor.offset,
                                  .bytes = tensor.bytes};
      JOULERY_CHECK_OK(tensor.is_output ? session_->bind_output(tensor.index, view)
                                        : session_->bind_input(tensor.index, view));
      // An output that all wrote to would be nobody's: the others keep their own.
      for (const auto& forked : forked_) {
        if (!tensor.is_output) JOULERY_CHECK_OK(forked->bind_input(tensor.index, view));
      }
      if (tensor.is_output) bound_[tensor.index] = true;
      free_offset_ = std::max(free_offset_, tensor.offset + tensor.bytes);
    }
    return std::string();
  }

  Result<std::string> run() {
    if (!session_) return internal_error("no model is loaded");
    JOULERY_CHECK_OK(session_->run());
    results_.clear();
    std::uint64_t offset = free_offset_;
    for (std::size_t i = 0; i < bound_.size(); ++i) {
      if (bound_[i]) continue;
      JOULERY_ASSIGN(const data::TensorView view, session_->output(i));
      offset = (offset + kAlignment - 1) / kAlignment * kAlignment;
      if (offset > shared_.size() || view.bytes > shared_.size() - offset) {
        return environment_error("an output is larger than the memory shared with the engine's process",
                                 "use a smaller batch");
      }
      if (view.bytes > 0) std::memcpy(shared_.data() + offset, view.data, view.bytes);
      results_.push_back({.is_output = true,
                          .index = static_cast<std::uint32_t>(i),
                          .type = view.type,
                          .shape = view.shape,
                          .offset = offset,
                          .bytes = view.bytes});
      offset += view.bytes;
    }
    return encode(results_);
  }

  Result<std::string> block(const std::string& payload) {
    BlockPlan plan;
    if (!decode(payload, plan)) return misread();
    if (!session_) return internal_error("no model is loaded");
    std::vector<Session*> sessions{session_.get()};
    for (const auto& forked : forked_) sessions.push_back(forked.get());
    JOULERY_ASSIGN(const BlockResult result, run_block(sessions, plan));
    return encode(result);
  }

  Result<std::string> times() {
    if (!session_) return internal_error("no model is loaded");
    JOULERY_ASSIGN(std::vector<OperatorTime> times, session_->operator_times());
    return encode(std::move(times));
  }

  std::span<std::byte> shared_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  /// For calls at the same time.
  std::vector<std::unique_ptr<Session>> forked_;
  std::vector<bool> bound_;
  std::vector<SharedTensor> results_;
  std::uint64_t free_offset_ = 0;
};

Result<std::string> serve_safely(EngineServer& server, const Message& request) {
  try {
    return server.serve(request.kind, request.payload);
  } catch (const std::bad_alloc&) {
    return environment_error("the engine ran into the memory limit of its process",
                             "the model may be made to cost much: look at it with care");
  } catch (const std::exception& error) {
    return internal_error(fmt::format("the engine's process failed: {}", error.what()));
  }
}

/// Ends this process when its parent is gone, whatever the engine is at. The kernel's own way
/// (PR_SET_PDEATHSIG) would end it already when the thread that started it does.
void end_with_parent() {
  std::thread([] {
    pollfd channel{.fd = kWorkerChannel, .events = POLLRDHUP, .revents = 0};
    while (::poll(&channel, 1, -1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }).detach();
}

}  // namespace

int serve_engine() {
  int type = 0;
  socklen_t size = sizeof(type);
  if (::getsockopt(kWorkerChannel, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return 2;
  end_with_parent();
  EngineServer server;
  Message request;
  MessageHead head;
  while (read_exactly(reinterpret_cast<char*>(&head), sizeof(head))) {
    if (head.length > kLongestMessage) return 2;
    request.kind = static_cast<MessageKind>(head.kind);
    request.payload.resize(head.length);
    if (!read_exactly(request.payload.data(), head.length)) break;
    const Result<std::string> result = serve_safely(server, request);
    const bool sent =
        result ? answer(MessageKind::ok, *result) : answer(MessageKind::error, encode(result.error()));
    if (!sent) break;
  }
  // Libraries that are being torn down may crash; nobody waits for that any more.
  ::_exit(0);
}

}  // namespace joulery::engine
