#include "engine/contained.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "engine/options.hpp"

namespace joulery::engine {
namespace {

constexpr std::uint64_t kAlignment = 64;

/// Memory that we and a worker see. Its size is sealed: a worker that shrank it would crash us.
class SharedMemory {
 public:
  static Result<SharedMemory> create(std::uint64_t size) {
    SharedMemory memory;
    memory.descriptor_ = FileDescriptor(::memfd_create("joulery-tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory.descriptor_.valid() || ::ftruncate(memory.descriptor_.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(memory.descriptor_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      return environment_error(
          fmt::format("can't make memory for an engine's tensors: {}", errno_text(errno)));
    }
    void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.descriptor_.get(), 0);
    if (mapped == MAP_FAILED) {
      return environment_error(
          fmt::format("can't map memory for an engine's tensors: {}", errno_text(errno)));
    }
    memory.bytes_ = {static_cast<std::byte*>(mapped), size};
    return memory;
  }
  SharedMemory(SharedMemory&& other) noexcept
      : descriptor_(std::move(other.descriptor_)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
  }
  int descriptor() const { return descriptor_.get(); }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  SharedMemory() = default;
  FileDescriptor descriptor_;
  std::span<std::byte> bytes_;
};

Result<FileDescriptor> memory_with(std::span<const std::byte> bytes) {
  FileDescriptor memory(::memfd_create("joulery-model", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return environment_error(fmt::format("can't copy the model: {}", errno_text(errno)));
  JOULERY_CHECK_OK(write_all(memory.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return memory;
}

/// Starts a worker and opens the engine in it.
Result<WorkerProcess> start_engine(const EngineLocation& location, const WorkerProgram& program,
                                   const WorkerLimits& limits, int memory, int model, EngineInfo& info) {
  constexpr const char* kDoing = "opening its library";
  JOULERY_ASSIGN(WorkerProcess worker, WorkerProcess::start(program, limits, memory, model));
  JOULERY_ASSIGN(const std::string answer,
                 worker.request(MessageKind::open, encode(location), limits.load_timeout_seconds, kDoing));
  if (!decode(answer, info)) return std::unexpected(worker.distrust(kDoing));
  return worker;
}

/// Can a block have taken so long, if so much time went by here? Nothing tells of less than the truth. It has
/// slices exactly if the plan asks for them.
bool is_possible(const BlockPlan& plan, const BlockResult& block, std::int64_t passed_ns) {
  if ((plan.slice_seconds > 0) == block.slices.empty()) return false;
  const double passed = static_cast<double>(passed_ns) * 1e-9;
  // Threads that the kernel booked late may bring some of what they did before.
  constexpr double kBookedLate = 0.1;
  const auto cpus = static_cast<double>(std::max(1L, ::sysconf(_SC_NPROCESSORS_CONF)));
  return block.wall_seconds <= passed && block.cpu_seconds <= (passed + kBookedLate) * cpus &&
         std::ranges::all_of(block.latencies_ns, [&](std::int64_t latency) { return latency <= passed_ns; });
}

class ContainedSession final : public Session {
 public:
  ContainedSession(WorkerProcess worker, SharedMemory memory, LoadedFacts facts, double timeout_seconds)
      : worker_(std::move(worker)),
        memory_(std::move(memory)),
        facts_(std::move(facts)),
        timeout_seconds_(timeout_seconds),
        bound_inputs_(facts_.inputs.size()),
        bound_outputs_(facts_.outputs.size()),
        results_(facts_.outputs.size()) {}

  std::span<const Port> inputs() const override { return facts_.inputs; }
  std::span<const Port> outputs() const override { return facts_.outputs; }
  std::span<const EffectiveOption> effective_options() const override { return facts_.effective; }

  Status bind_input(std::size_t index, const data::TensorView& tensor) override {
    return bind(facts_.inputs, bound_inputs_, index, tensor, "input");
  }
  Status bind_output(std::size_t index, const data::TensorView& tensor) override {
    return bind(facts_.outputs, bound_outputs_, index, tensor, "output");
  }

  Status run() override {
    JOULERY_CHECK_OK(hand_over_inputs());
    constexpr const char* kDoing = "running the model";
    JOULERY_ASSIGN(const std::string answer, worker_.request(MessageKind::run, {}, timeout_seconds_, kDoing));
    unbound_.clear();
    if (!decode(answer, memory_.bytes().size(), unbound_) || !accept(unbound_)) {
      return std::unexpected(worker_.distrust(kDoing));
    }
    for (const SharedTensor& slot : slots_) {
      if (!slot.is_output) continue;
      const data::TensorView& view = *bound_outputs_[slot.index];
      if (slot.bytes > 0) std::memcpy(view.data, memory_.bytes().data() + slot.offset, slot.bytes);
      results_[slot.index] = view;
    }
    return {};
  }

  Result<BlockResult> run_block(const BlockPlan& plan) override {
    JOULERY_CHECK_OK(hand_over_inputs());
    constexpr const char* kDoing = "running the model";
    const SystemClock clock;
    const std::int64_t begin = clock.monotonic_ns();
    JOULERY_ASSIGN(const std::string answer, worker_.request(MessageKind::block, encode(plan),
                                                             plan.seconds + timeout_seconds_, kDoing));
    const std::int64_t passed = clock.monotonic_ns() - begin;
    BlockResult result;
    if (!decode(answer, plan.calls, result) || !is_possible(plan, result, passed))
      return std::unexpected(worker_.distrust(kDoing));
    return result;
  }

  Result<ProcessUsage> usage() override {
    constexpr const char* kDoing = "telling what it used";
    JOULERY_ASSIGN(const std::string answer,
                   worker_.request(MessageKind::usage, {}, timeout_seconds_, kDoing));
    ProcessUsage usage;
    if (!decode(answer, usage)) return std::unexpected(worker_.distrust(kDoing));
    // What it says of its own number is not to be relied on.
    usage.pid = worker_.pid();
    return usage;
  }

  Result<std::vector<OperatorTime>> operator_times() override {
    constexpr const char* kDoing = "telling of its operators";
    JOULERY_ASSIGN(const std::string answer,
                   worker_.request(MessageKind::times, {}, timeout_seconds_, kDoing));
    std::vector<OperatorTime> times;
    if (!decode(answer, times)) return std::unexpected(worker_.distrust(kDoing));
    return times;
  }

  Result<data::TensorView> output(std::size_t index) override {
    if (index >= results_.size() || !results_[index]) return internal_error("there is no such output yet");
    return *results_[index];
  }

 private:
  /// After this there is no result.
  Status hand_over_inputs() {
    std::ranges::fill(results_, std::nullopt);
    if (!bound_) JOULERY_CHECK_OK(bind_in_worker());
    for (const SharedTensor& slot : slots_) {
      if (slot.is_output || slot.bytes == 0) continue;
      std::memcpy(memory_.bytes().data() + slot.offset, bound_inputs_[slot.index]->data, slot.bytes);
    }
    return {};
  }

  Status bind(const std::vector<Port>& ports, std::vector<std::optional<data::TensorView>>& bound,
              std::size_t index, const data::TensorView& tensor, const char* what) {
    if (index >= ports.size()) return internal_error(fmt::format("the model has no {} {}", what, index));
    JOULERY_CHECK_OK(check_binding(ports[index], tensor, what));
    bound[index] = tensor;
    bound_ = false;
    return {};
  }

  /// Gives every bound tensor its place in the shared memory. What is left takes the other outputs.
  Status bind_in_worker() {
    slots_.clear();
    std::uint64_t offset = 0;
    const auto place = [&](bool is_output, std::size_t index, const data::TensorView& view) {
      const auto bytes = data::tensor_bytes(view.type, view.shape);
      slots_.push_back({.is_output = is_output,
                        .index = static_cast<std::uint32_t>(index),
                        .type = view.type,
                        .shape = view.shape,
                        .offset = offset,
                        .bytes = bytes ? *bytes : 0});
      offset = (offset + slots_.back().bytes + kAlignment - 1) / kAlignment * kAlignment;
    };
    for (std::size_t i = 0; i < bound_inputs_.size(); ++i) {
      if (!bound_inputs_[i]) {
        return internal_error(fmt::format("input '{}' has no values yet", printable(facts_.inputs[i].name)));
      }
      place(false, i, *bound_inputs_[i]);
    }
    for (std::size_t i = 0; i < bound_outputs_.size(); ++i) {
      if (bound_outputs_[i]) place(true, i, *bound_outputs_[i]);
    }
    if (offset > memory_.bytes().size()) {
      return environment_error(
          fmt::format("the tensors take {}, more than the {} that a contained engine may exchange",
                      format_bytes(static_cast<double>(offset)),
                      format_bytes(static_cast<double>(memory_.bytes().size()))),
          "use a smaller batch");
    }
    JOULERY_ASSIGN(const std::string answer, worker_.request(MessageKind::bind, encode(slots_),
                                                             timeout_seconds_, "taking its tensors"));
    bound_ = answer.empty();
    return bound_ ? Status() : Status(std::unexpected(worker_.distrust("taking its tensors")));
  }

  /// Takes the outputs that the engine kept, if they are what the model promised.
  bool accept(const std::vector<SharedTensor>& tensors) {
    for (const SharedTensor& tensor : tensors) {
      if (!tensor.is_output || tensor.index >= results_.size()) return false;
      const Port& port = facts_.outputs[tensor.index];
      if (bound_outputs_[tensor.index] || results_[tensor.index] || port.type != tensor.type) return false;
      results_[tensor.index] = data::TensorView{.type = tensor.type,
                                                .shape = tensor.shape,
                                                .data = memory_.bytes().data() + tensor.offset,
                                                .bytes = tensor.bytes};
    }
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (!results_[i] && !bound_outputs_[i]) return false;
    }
    return true;
  }

  WorkerProcess worker_;
  SharedMemory memory_;
  LoadedFacts facts_;
  double timeout_seconds_;
  bool bound_ = false;
  std::vector<std::optional<data::TensorView>> bound_inputs_;
  std::vector<std::optional<data::TensorView>> bound_outputs_;
  std::vector<std::optional<data::TensorView>> results_;
  std::vector<SharedTensor> slots_;
  std::vector<SharedTensor> unbound_;
};

class ContainedEngine final : public Engine {
 public:
  ContainedEngine(EngineLocation location, WorkerProgram program, const WorkerLimits& limits, EngineInfo info)
      : location_(std::move(location)),
        program_(std::move(program)),
        limits_(limits),
        info_(std::move(info)) {}

  const EngineInfo& info() const override { return info_; }

  Result<std::unique_ptr<Session>> load(const ModelSource& model, const SessionOptions& options) override {
    if (model.path.empty() == model.bytes.empty()) {
      return internal_error("a model is a file or bytes, not both");
    }
    JOULERY_CHECK_OK(check_options(options));
    JOULERY_ASSIGN(SharedMemory memory, SharedMemory::create(limits_.tensor_bytes));
    FileDescriptor bytes;
    if (!model.bytes.empty()) {
      JOULERY_ASSIGN(bytes, memory_with(model.bytes));
    }
    constexpr const char* kDoing = "loading the model";
    EngineInfo info;
    JOULERY_ASSIGN(WorkerProcess worker,
                   start_engine(location_, program_, limits_, memory.descriptor(), bytes.get(), info));
    JOULERY_ASSIGN(const std::string answer, worker.request(MessageKind::load, encode(options, model),
                                                            limits_.load_timeout_seconds, kDoing));
    LoadedFacts facts;
    if (!decode(answer, facts)) return std::unexpected(worker.distrust(kDoing));
    return std::make_unique<ContainedSession>(std::move(worker), std::move(memory), std::move(facts),
                                              limits_.run_timeout_seconds);
  }

 private:
  EngineLocation location_;
  WorkerProgram program_;
  WorkerLimits limits_;
  EngineInfo info_;
};

}  // namespace

Result<std::unique_ptr<Engine>> open_contained_engine(const EngineLocation& location,
                                                      const WorkerProgram& program,
                                                      const WorkerLimits& limits) {
  EngineInfo info{
      .name = location.name, .version = {}, .library = location.library, .devices = {}, .precisions = {}};
  JOULERY_ASSIGN(const WorkerProcess worker, start_engine(location, program, limits, -1, -1, info));
  return std::make_unique<ContainedEngine>(location, program, limits, std::move(info));
}

}  // namespace joulery::engine
