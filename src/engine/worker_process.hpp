#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"
#include "engine/message.hpp"

namespace joulery::engine {

/// The program that becomes a worker: it must call serve_engine().
struct WorkerProgram {
  std::string path = {};
  std::vector<std::string> arguments = {};
  /// Every variable as NAME=VALUE; nothing is added.
  std::vector<std::string> environment = {};
};

/// What a worker may use at most.
struct WorkerLimits {
  /// Beside the shared memory. Engines reserve more than they use: some 100 MB for each thread.
  std::uint64_t address_space_bytes = std::uint64_t{16} << 30;
  /// Over its whole life.
  double cpu_seconds = 600;
  /// Wall time of an answer.
  double load_timeout_seconds = 120;
  double run_timeout_seconds = 60;
  /// Memory for tensors that go in and out. Only what is used is taken.
  std::uint64_t tensor_bytes = std::uint64_t{1} << 30;
  /// An absolute path, where it may make and remove files of at most 512 MiB: for SessionOptions::profile
  /// with an engine that tells of its operators only in a file. Make it for this worker alone. Works only
  /// where the kernel can forbid all other folders (Linux 5.13). Empty: none.
  std::string profile_folder = {};
};

/// Descriptors that a worker finds.
constexpr int kWorkerChannel = 3;
constexpr int kWorkerMemory = 4;
constexpr int kWorkerModel = 5;

/// A child in a session of its own with limits, no terminal, no core dump, no file that it may write, no
/// privileges but the user's, and only the descriptors above. It dies with us. Not thread-safe.
class WorkerProcess {
 public:
  /// `memory` and `model` are descriptors to be given to it, or -1.
  static Result<WorkerProcess> start(const WorkerProgram& program, const WorkerLimits& limits, int memory,
                                     int model);
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&&) = delete;
  /// Kills it.
  ~WorkerProcess();

  /// Sends a request and waits for its answer. An answer of kind `error` becomes that error; a worker that
  /// crashes, hangs or sends what is none of ours is ended, and the error says which and what it printed
  /// last. `doing` completes "the engine crashed while …".
  Result<std::string> request(MessageKind kind, const std::string& payload, double timeout_seconds,
                              const char* doing);
  int pid() const { return pid_; }
  /// Ends it after an answer that can't be; returns the error.
  Error distrust(const char* doing);

 private:
  WorkerProcess() = default;
  bool receive(std::int64_t deadline_ns, MessageHead& head, std::string& payload, bool& timed_out);
  bool wait_for_channel(short event, std::int64_t deadline_ns, bool& timed_out);
  bool send_all(std::string_view bytes, std::int64_t deadline_ns, bool& timed_out);
  bool read_exactly(char* to, std::size_t size, std::int64_t deadline_ns, bool& timed_out);
  void drain_output();
  Error ended(const char* doing);
  /// Kills what is left of it and returns its wait status.
  int reap(bool grace);
  Error with_last_words(std::string message, std::string hint);

  int pid_ = -1;
  WorkerLimits limits_;
  FileDescriptor channel_;
  FileDescriptor output_;
  std::string printed_;
};

}  // namespace joulery::engine
