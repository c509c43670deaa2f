#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"

namespace joulery::engine {

/// What goes between this program and a worker: an 8-byte head (length of the payload, kind), then the
/// payload. Both run on one machine from one build, so that numbers go in the machine's own order. Whatever
/// a worker sends may be made up by a model that took it over: reading checks everything.
enum class MessageKind : std::uint32_t { open = 1, load, bind, run, block, usage, times, ok = 100, error };

struct Message {
  MessageKind kind = MessageKind::error;
  std::string payload;
};

struct MessageHead {
  std::uint32_t length = 0;
  std::uint32_t kind = 0;
};

/// More would not fit a message, and nobody reads them.
constexpr std::size_t kMostOperatorTimes = 4096;

/// Names of thousands of inputs fit well.
constexpr std::uint32_t kLongestMessage = 4 << 20;

class MessageWriter {
 public:
  void number(std::int64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value)); }
  void text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_.append(value);
  }
  void shape(const data::Shape& value);
  void real(double value) { number(std::bit_cast<std::int64_t>(value)); }
  void numbers(std::span<const std::int64_t> values) {
    text({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what MessageWriter wrote. After a first wrong byte everything is zero and empty, and ok() is false.
class MessageReader {
 public:
  explicit MessageReader(std::string_view bytes) : rest_(bytes) {}
  std::int64_t number();
  /// A number from 0 to `most`.
  std::uint64_t count(std::uint64_t most);
  std::string text();
  /// Finite.
  double real();
  std::vector<std::int64_t> numbers();
  data::Shape shape();
  bool ok() const { return ok_; }
  /// Is all read, and nothing wrong?
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  void fail();
  std::string_view rest_;
  bool ok_ = true;
};

/// A tensor that lies in the memory shared with the worker.
struct SharedTensor {
  bool is_output = false;
  std::uint32_t index = 0;
  data::DataType type = data::DataType::unknown;
  data::Shape shape;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// What a loaded model tells.
struct LoadedFacts {
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<EffectiveOption> effective;
};

std::string encode(const EngineLocation& location);
std::string encode(const EngineInfo& info);
/// The model without its bytes.
std::string encode(const SessionOptions& options, const ModelSource& model);
std::string encode(const LoadedFacts& facts);
std::string encode(const std::vector<SharedTensor>& tensors);
std::string encode(const BlockPlan& plan);
std::string encode(const BlockResult& result);
std::string encode(const ProcessUsage& usage);
/// The longest kMostOperatorTimes of them.
std::string encode(std::vector<OperatorTime> times);
std::string encode(const Error& error);

// False if the bytes are none of ours.
bool decode(std::string_view bytes, EngineLocation& location);
bool decode(std::string_view bytes, EngineInfo& info);
bool decode(std::string_view bytes, SessionOptions& options, ModelSource& model);
bool decode(std::string_view bytes, LoadedFacts& facts);
/// Also checks each against the size of the shared memory.
bool decode(std::string_view bytes, std::uint64_t shared_size, std::vector<SharedTensor>& tensors);
bool decode(std::string_view bytes, BlockPlan& plan);
/// Also checks that there are no more calls than were asked for, that no time is negative or without end, and
/// that slices make up the block.
bool decode(std::string_view bytes, std::uint64_t most_calls, BlockResult& result);
bool decode(std::string_view bytes, ProcessUsage& usage);
bool decode(std::string_view bytes, std::vector<OperatorTime>& times);
bool decode(std::string_view bytes, Error& error);

}  // namespace joulery::engine
