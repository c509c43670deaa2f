#include "engine/message.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "base/text.hpp"

namespace joulery::engine {
namespace {

constexpr std::uint64_t kMostItems = 4096;

void write_ports(MessageWriter& writer, const std::vector<Port>& ports) {
  writer.number(static_cast<std::int64_t>(ports.size()));
  for (const Port& port : ports) {
    writer.text(port.name);
    writer.number(static_cast<std::int64_t>(port.type));
    writer.shape(port.shape);
  }
}

void write_names(MessageWriter& writer, const std::vector<std::string>& names) {
  writer.number(static_cast<std::int64_t>(names.size()));
  for (const std::string& name : names) writer.text(name);
}

void read_names(MessageReader& reader, std::vector<std::string>& names) {
  const std::uint64_t count = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) names.push_back(reader.text());
}

data::DataType read_type(MessageReader& reader) {
  return static_cast<data::DataType>(reader.count(data::kDataTypes - 1));
}

void read_ports(MessageReader& reader, std::vector<Port>& ports) {
  const std::uint64_t count = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    Port port;
    port.name = reader.text();
    port.type = read_type(reader);
    port.shape = reader.shape();
    ports.push_back(std::move(port));
  }
}

}  // namespace

void MessageWriter::shape(const data::Shape& value) {
  number(static_cast<std::int64_t>(value.rank()));
  for (const std::int64_t dimension : value.dimensions()) number(dimension);
}

void MessageReader::fail() {
  ok_ = false;
  rest_ = {};
}

std::int64_t MessageReader::number() {
  std::int64_t value = 0;
  if (rest_.size() < sizeof(value)) {
    fail();
    return 0;
  }
  std::memcpy(&value, rest_.data(), sizeof(value));
  rest_.remove_prefix(sizeof(value));
  return value;
}

std::uint64_t MessageReader::count(std::uint64_t most) {
  const std::int64_t value = number();
  if (value >= 0 && static_cast<std::uint64_t>(value) <= most) return static_cast<std::uint64_t>(value);
  fail();
  return 0;
}

double MessageReader::real() {
  const auto value = std::bit_cast<double>(number());
  if (std::isfinite(value)) return value;
  fail();
  return 0;
}

std::vector<std::int64_t> MessageReader::numbers() {
  const std::string bytes = text();
  if (bytes.size() % sizeof(std::int64_t) != 0) {
    fail();
    return {};
  }
  std::vector<std::int64_t> values(bytes.size() / sizeof(std::int64_t));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::string MessageReader::text() {
  const std::uint64_t size = count(rest_.size());
  if (size > rest_.size()) {
    fail();
    return {};
  }
  std::string value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

data::Shape MessageReader::shape() {
  std::array<std::int64_t, data::kMostDimensions> dimensions{};
  const std::uint64_t rank = count(data::kMostDimensions);
  for (std::uint64_t i = 0; i < rank; ++i) dimensions[i] = number();
  const auto shape = data::Shape::create({dimensions.data(), rank});
  if (shape) return *shape;
  fail();
  return {};
}

std::string encode(const EngineLocation& location) {
  MessageWriter writer;
  writer.text(location.name);
  writer.text(location.library);
  writer.text(location.plugin_directory);
  return writer.take();
}

bool decode(std::string_view bytes, EngineLocation& location) {
  MessageReader reader(bytes);
  location.name = reader.text();
  location.library = reader.text();
  location.plugin_directory = reader.text();
  return reader.finished();
}

std::string encode(const EngineInfo& info) {
  MessageWriter writer;
  writer.text(info.version);
  writer.number(static_cast<std::int64_t>(info.devices.size()));
  for (const Device& device : info.devices) {
    writer.text(device.name);
    writer.text(device.description);
  }
  writer.number(static_cast<std::int64_t>(info.precisions.size()));
  for (const std::string& precision : info.precisions) writer.text(precision);
  return writer.take();
}

bool decode(std::string_view bytes, EngineInfo& info) {
  MessageReader reader(bytes);
  info.version = printable(reader.text());
  const std::uint64_t devices = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < devices && reader.ok(); ++i) {
    std::string name = printable(reader.text());
    info.devices.push_back({.name = std::move(name), .description = printable(reader.text())});
  }
  const std::uint64_t precisions = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < precisions && reader.ok(); ++i) {
    info.precisions.push_back(printable(reader.text()));
  }
  return reader.finished();
}

std::string encode(const SessionOptions& options, const ModelSource& model) {
  MessageWriter writer;
  writer.text(model.path);
  write_names(writer, model.input_names);
  write_names(writer, model.output_names);
  for (const std::int64_t value :
       {static_cast<std::int64_t>(options.precision), static_cast<std::int64_t>(options.threads),
        static_cast<std::int64_t>(options.streams), options.batch, std::int64_t{options.pin_threads},
        std::int64_t{options.spin}, std::int64_t{options.flush_denormals},
        static_cast<std::int64_t>(options.optimisation), static_cast<std::int64_t>(options.shapes.size())}) {
    writer.number(value);
  }
  for (const ShapeOverride& override : options.shapes) {
    writer.text(override.input);
    writer.shape(override.shape);
  }
  writer.number(std::int64_t{options.profile});
  writer.text(options.profile_folder);
  return writer.take();
}

bool decode(std::string_view bytes, SessionOptions& options, ModelSource& model) {
  MessageReader reader(bytes);
  model.path = reader.text();
  read_names(reader, model.input_names);
  read_names(reader, model.output_names);
  options.precision = static_cast<Precision>(reader.count(3));
  options.threads = static_cast<int>(reader.count(1 << 20));
  options.streams = static_cast<int>(reader.count(1 << 20));
  options.batch = reader.number();
  options.pin_threads = reader.count(1) != 0;
  options.spin = reader.count(1) != 0;
  options.flush_denormals = reader.count(1) != 0;
  options.optimisation = static_cast<Optimisation>(reader.count(3));
  const std::uint64_t shapes = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < shapes && reader.ok(); ++i) {
    std::string input = reader.text();
    options.shapes.push_back({.input = std::move(input), .shape = reader.shape()});
  }
  options.profile = reader.count(1) != 0;
  options.profile_folder = reader.text();
  return reader.finished();
}

std::string encode(const LoadedFacts& facts) {
  MessageWriter writer;
  write_ports(writer, facts.inputs);
  write_ports(writer, facts.outputs);
  writer.number(static_cast<std::int64_t>(facts.effective.size()));
  for (const EffectiveOption& option : facts.effective) {
    writer.text(option.name);
    writer.text(option.value);
    writer.number(static_cast<std::int64_t>(option.known));
  }
  return writer.take();
}

bool decode(std::string_view bytes, LoadedFacts& facts) {
  MessageReader reader(bytes);
  read_ports(reader, facts.inputs);
  read_ports(reader, facts.outputs);
  const std::uint64_t count = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    EffectiveOption option;
    option.name = printable(reader.text());
    option.value = printable(reader.text());
    option.known = static_cast<Known>(reader.count(2));
    facts.effective.push_back(std::move(option));
  }
  return reader.finished();
}

std::string encode(const std::vector<SharedTensor>& tensors) {
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(tensors.size()));
  for (const SharedTensor& tensor : tensors) {
    writer.number(tensor.is_output ? 1 : 0);
    writer.number(tensor.index);
    writer.number(static_cast<std::int64_t>(tensor.type));
    writer.shape(tensor.shape);
    writer.number(static_cast<std::int64_t>(tensor.offset));
    writer.number(static_cast<std::int64_t>(tensor.bytes));
  }
  return writer.take();
}

bool decode(std::string_view bytes, std::uint64_t shared_size, std::vector<SharedTensor>& tensors) {
  MessageReader reader(bytes);
  const std::uint64_t count = reader.count(kMostItems);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    SharedTensor tensor;
    tensor.is_output = reader.count(1) != 0;
    tensor.index = static_cast<std::uint32_t>(reader.count(kMostItems));
    tensor.type = read_type(reader);
    tensor.shape = reader.shape();
    tensor.offset = reader.count(shared_size);
    tensor.bytes = reader.count(shared_size - tensor.offset);
    const auto needed = data::tensor_bytes(tensor.type, tensor.shape);
    if (!needed || *needed != tensor.bytes) return false;
    tensors.push_back(tensor);
  }
  return reader.finished();
}

std::string encode(const BlockPlan& plan) {
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(plan.calls));
  writer.real(plan.seconds);
  writer.real(plan.slice_seconds);
  writer.numbers(plan.arrivals_ns);
  return writer.take();
}

bool decode(std::string_view bytes, BlockPlan& plan) {
  MessageReader reader(bytes);
  plan.calls = reader.count(kMostBlockCalls);
  plan.seconds = reader.real();
  plan.slice_seconds = reader.real();
  plan.arrivals_ns = reader.numbers();
  return reader.finished();
}

std::string encode(const BlockResult& result) {
  MessageWriter writer;
  writer.real(result.wall_seconds);
  writer.real(result.cpu_seconds);
  writer.numbers(result.latencies_ns);
  writer.number(static_cast<std::int64_t>(result.slices.size()));
  for (const Slice& slice : result.slices) {
    writer.number(static_cast<std::int64_t>(slice.calls));
    writer.real(slice.cpu_seconds);
    writer.real(slice.wall_seconds);
  }
  for (const CoreSpeed& speed : result.speeds) {
    writer.real(speed.hertz);
    writer.real(speed.work_cycles);
  }
  return writer.take();
}

namespace {

/// Every call is in one of the slices, and before and after each the core's speed was looked at.
bool read_slices(MessageReader& reader, BlockResult& result) {
  result.slices.resize(reader.count(result.calls));
  std::uint64_t calls = 0;
  for (Slice& slice : result.slices) {
    slice.calls = reader.count(result.calls);
    slice.cpu_seconds = reader.real();
    slice.wall_seconds = reader.real();
    if (slice.calls == 0 || slice.cpu_seconds < 0 || slice.wall_seconds < 0) return false;
    // Sums of the same numbers may differ in the last digits.
    constexpr double kRounding = 1 + 1e-9;
    if (slice.cpu_seconds > kRounding * result.cpu_seconds) return false;
    if (slice.wall_seconds > kRounding * result.wall_seconds) return false;
    calls += slice.calls;
  }
  result.speeds.clear();
  if (result.slices.empty()) return true;
  if (calls != result.calls) return false;
  result.speeds.resize(result.slices.size() + 1);
  for (CoreSpeed& speed : result.speeds) {
    speed.hertz = reader.real();
    speed.work_cycles = reader.real();
    if (!(speed.hertz > 0 && speed.work_cycles > 0)) return false;
  }
  return true;
}

}  // namespace

bool decode(std::string_view bytes, std::uint64_t most_calls, BlockResult& result) {
  MessageReader reader(bytes);
  result.wall_seconds = reader.real();
  result.cpu_seconds = reader.real();
  result.latencies_ns = reader.numbers();
  result.calls = result.latencies_ns.size();
  if (result.calls == 0 || result.calls > most_calls) return false;
  if (result.wall_seconds < 0 || result.cpu_seconds < 0) return false;
  for (const std::int64_t latency : result.latencies_ns) {
    if (latency < 0) return false;
  }
  return read_slices(reader, result) && reader.finished();
}

std::string encode(const ProcessUsage& usage) {
  MessageWriter writer;
  writer.number(usage.pid);
  for (const double value : {usage.cpu_seconds, usage.resident_bytes, usage.peak_resident_bytes})
    writer.real(value);
  return writer.take();
}

bool decode(std::string_view bytes, ProcessUsage& usage) {
  MessageReader reader(bytes);
  usage.pid = static_cast<int>(reader.count(std::numeric_limits<int>::max()));
  for (double* value : {&usage.cpu_seconds, &usage.resident_bytes, &usage.peak_resident_bytes}) {
    *value = reader.real();
    if (*value < 0) return false;
  }
  return reader.finished();
}

std::string encode(std::vector<OperatorTime> times) {
  std::ranges::sort(times, std::ranges::greater{}, &OperatorTime::seconds);
  if (times.size() > kMostOperatorTimes) times.resize(kMostOperatorTimes);
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(times.size()));
  constexpr std::size_t kLongestName = 200;
  for (const OperatorTime& time : times) {
    for (const std::string* text : {&time.node, &time.op_type, &time.kernel, &time.precision})
      writer.text(std::string_view(*text).substr(0, kLongestName));
    writer.number(static_cast<std::int64_t>(time.calls));
    writer.real(time.seconds);
  }
  return writer.take();
}

bool decode(std::string_view bytes, std::vector<OperatorTime>& times) {
  MessageReader reader(bytes);
  const std::uint64_t count = reader.count(kMostOperatorTimes);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    OperatorTime time;
    for (std::string* text : {&time.node, &time.op_type, &time.kernel, &time.precision})
      *text = reader.text();
    time.calls = reader.count(std::numeric_limits<std::int64_t>::max());
    time.seconds = reader.real();
    if (time.seconds < 0) return false;
    times.push_back(std::move(time));
  }
  return reader.finished();
}

std::string encode(const Error& error) {
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(error.kind));
  writer.text(error.message);
  writer.text(error.hint);
  return writer.take();
}

bool decode(std::string_view bytes, Error& error) {
  constexpr std::size_t kLongestText = 4096;
  MessageReader reader(bytes);
  error.kind = static_cast<Error::Kind>(reader.count(2));
  error.message = printable(reader.text().substr(0, kLongestText));
  error.hint = printable(reader.text().substr(0, kLongestText));
  return reader.finished();
}

}  // namespace joulery::engine
