#include "app/bench_limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "engine/worker_process.hpp"

namespace joulery::app {
namespace {

/// Where a tensor begins in the memory that is shared with the engine.
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kMostNumber = std::numeric_limits<std::uint64_t>::max();

/// The largest number for a product that does not fit.
std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMostNumber : product;
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  std::uint64_t total = 0;
  return __builtin_add_overflow(a, b, &total) ? kMostNumber : total;
}

/// Bytes of the tensors of one call: those of each sample, and those that are there once.
struct CallSize {
  std::uint64_t of_sample = 0;
  std::uint64_t once = 0;

  void add(const engine::Port& port, std::int64_t batch) {
    std::uint64_t bytes = data::byte_width(port.type);
    const bool grows = port.shape.rank() > 0 && port.shape[0] == batch;
    for (std::size_t i = grows ? 1 : 0; i < port.shape.rank(); ++i)
      bytes = times(bytes, static_cast<std::uint64_t>(port.shape[i] < 0 ? 1 : port.shape[i]));
    std::uint64_t& sum = grows ? of_sample : once;
    sum = plus(sum, bytes);
    once = plus(once, kAlignment);
  }
  std::uint64_t with(std::uint64_t batch) const { return plus(times(of_sample, batch), once); }
};

std::string size_text(std::uint64_t bytes) {
  return bytes == kMostNumber ? "more bytes than 64 bits can count"
                              : format_bytes(static_cast<double>(bytes));
}

}  // namespace

std::uint64_t most_call_bytes() {
  return engine::WorkerLimits().tensor_bytes;
}

Status check_call_size(std::span<const engine::Port> inputs, std::span<const engine::Port> outputs,
                       std::int64_t batch) {
  CallSize size;
  for (const engine::Port& port : inputs) size.add(port, batch);
  for (const engine::Port& port : outputs) size.add(port, batch);
  const std::uint64_t most = most_call_bytes();
  const std::uint64_t needed = size.with(static_cast<std::uint64_t>(std::max<std::int64_t>(batch, 1)));
  if (needed <= most) return {};
  const std::uint64_t fits =
      size.of_sample == 0 || size.once > most ? 0 : (most - size.once) / size.of_sample;
  return user_error(
      fmt::format("one call with a batch of {} takes {} of inputs and outputs, more than the {} "
                  "that an engine may be given",
                  batch, size_text(needed), size_text(most)),
      fits > 0 ? fmt::format("the largest that fits is --batch {}", fits)
               : "a single sample is too much already: give smaller ones, or a smaller --shape");
}

Status check_thread_count(const engine::SessionOptions& options, std::uint64_t cpus) {
  constexpr std::uint64_t kThreadsOfCpu = 8;
  constexpr std::uint64_t kAlwaysAllowed = 64;
  const std::uint64_t most = std::max(kAlwaysAllowed, kThreadsOfCpu * cpus);
  const auto check = [&](const char* what, int count) -> Status {
    if (count <= 0 || static_cast<std::uint64_t>(count) <= most) return {};
    return user_error(
        fmt::format("{} {} are more than a machine with {} CPUs has a use for", count, what, cpus),
        fmt::format("up to {} are possible here, and {} or fewer are best", most, cpus));
  };
  JOULERY_CHECK_OK(check("threads", options.threads));
  return check("streams", options.streams);
}

}  // namespace joulery::app
