#include "openvino_session.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "engine/floating_mode.hpp"
#include "engine/operator_precision.hpp"
#include "engine/plugin_adapter.hpp"
#include "engine/plugin_error.hpp"

namespace joulery::engine::openvino {
namespace {

constexpr const char* kDevice = "CPU";
constexpr std::size_t kLongestReason = 700;

/// The end says what is wrong; before it stand the places in its source.
std::string shortened(const std::string& reason) {
  return reason.size() <= kLongestReason ? reason : "… " + reason.substr(reason.size() - kLongestReason);
}

const char* precision_value(std::int32_t precision) {
  switch (static_cast<Precision>(precision)) {
    case Precision::bf16:
      return "bf16";
    case Precision::f16:
      return "f16";
    default:
      return "f32";
  }
}

/// Operators below a microsecond count as not run there, so their status says little. Those that were merged
/// into others have no kernel, and a model's ends compute nothing.
bool has_run(const ov_profiling_info_t& info) {
  const auto is = [](const char* text, std::string_view word) { return text != nullptr && text == word; };
  return info.status != ov_profiling_info_t::Status::OPTIMIZED_OUT && !is(info.exec_type, "undef") &&
         !is(info.node_type, "Parameter") && !is(info.node_type, "Result") && !is(info.node_type, "Constant");
}

/// "<Type: 'float32'>" and "f32" are the same in different releases.
std::string precision_text(const std::string& value) {
  for (const auto& [part, name] : {std::pair{"bf16", "bf16"},
                                   {"bfloat16", "bf16"},
                                   {"f16", "f16"},
                                   {"float16", "f16"},
                                   {"f32", "f32"},
                                   {"float32", "f32"}}) {
    if (value.find(part) != std::string::npos) return name;
  }
  return value;
}

}  // namespace

LoadedModel::LoadedModel(const Library& library)
    : library_(library),
      call_(library.call()),
      model_(nullptr, {call_.ov_model_free}),
      request_(nullptr, {call_.ov_infer_request_free}) {}

std::unique_ptr<LoadedModel> LoadedModel::load(const Library& library, const JouleryModel& model,
                                               const JoulerySessionOptions& options,
                                               JouleryEngineError* error) {
  std::unique_ptr<LoadedModel> loaded(new LoadedModel(library));
  const Functions& call = library.call();
  loaded->options_ = options;
  // The text is not ours to keep.
  loaded->profiles_ = options.profile_folder != nullptr;
  loaded->options_.profile_folder = nullptr;
  const FloatingMode mode(options.flush_denormals != 0);
  ov_model_t* read = nullptr;
  std::string reason = library.reason(
      model.path != nullptr
          ? call.ov_core_read_model(library.core(), model.path, nullptr, &read)
          : call.ov_core_read_model_from_memory_buffer(library.core(), static_cast<const char*>(model.bytes),
                                                       model.size, nullptr, &read));
  loaded->model_.reset(read);
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  if (!reason.empty()) {
    const bool operation = reason.find("not supported") != std::string::npos ||
                           reason.find("No conversion rule") != std::string::npos ||
                           reason.find("Conversion is failed for") != std::string::npos ||
                           reason.find("OpenVINO does not support the following") != std::string::npos;
    fail(error, operation ? Blame::environment : Blame::user,
         fmt::format("OpenVINO can't read the model: {}", shortened(reason)),
         operation
             ? "it lacks an operator of the model: try another engine, or pip install --upgrade openvino"
             : "is the file whole, and an ONNX model?");
    return nullptr;
  }
  reason = library.reason(call.ov_model_inputs_size(read, &inputs));
  if (reason.empty()) reason = library.reason(call.ov_model_outputs_size(read, &outputs));
  if (reason.empty()) reason = loaded->read_ports(false, inputs, loaded->inputs_);
  if (reason.empty()) reason = loaded->read_ports(true, outputs, loaded->outputs_);
  if (!reason.empty()) {
    fail(error, Blame::environment,
         fmt::format("OpenVINO does not say what the model takes: {}", shortened(reason)));
    return nullptr;
  }
  return loaded;
}

std::string LoadedModel::read_port(const ov_output_const_port_t* port, Port& result) const {
  char* name = nullptr;
  // A port without a name is possible; its number has to do.
  if (call_.ov_port_get_any_name(port, &name) == OK && name != nullptr) {
    result.name = name;
    call_.ov_free(name);
  }
  ov_element_type_e type = DYNAMIC;
  std::string reason = library_.reason(call_.ov_port_get_element_type(port, &type));
  ov_partial_shape_t partial{};
  if (reason.empty()) reason = library_.reason(call_.ov_port_get_partial_shape(port, &partial));
  if (!reason.empty()) return reason;
  result.type = type_of(type);
  if (partial.rank.min != partial.rank.max) {
    reason = fmt::format("the number of dimensions of '{}' is open", result.name);
  } else {
    std::vector<std::int64_t> dimensions;
    for (std::int64_t i = 0; i < partial.rank.max; ++i) {
      const ov_dimension_t& dimension = partial.dims[i];
      dimensions.push_back(dimension.min == dimension.max ? dimension.max : data::kUnknownDimension);
    }
    const auto shape = data::Shape::create(dimensions);
    if (shape) result.shape = *shape;
    if (!shape) reason = shape.error().message;
  }
  call_.ov_partial_shape_free(&partial);
  return reason;
}

std::string LoadedModel::read_ports(bool is_output, std::size_t count, std::vector<Port>& ports) const {
  ports.clear();
  for (std::size_t i = 0; i < count; ++i) {
    ov_output_const_port_t* found = nullptr;
    const auto status = compiled_
                            ? (is_output ? call_.ov_compiled_model_output_by_index(compiled_.get(), i, &found)
                                         : call_.ov_compiled_model_input_by_index(compiled_.get(), i, &found))
                        : is_output ? call_.ov_model_const_output_by_index(model_.get(), i, &found)
                                    : call_.ov_model_const_input_by_index(model_.get(), i, &found);
    if (status != OK) return library_.reason(status);
    const Held<ov_output_const_port_t> held(found, {call_.ov_output_const_port_free});
    Port port{.name = fmt::format("{}{}", is_output ? "output" : "input", i), .type = {}, .shape = {}};
    if (std::string reason = read_port(found, port); !reason.empty()) return reason;
    ports.push_back(std::move(port));
  }
  return {};
}

std::string LoadedModel::reshape(const JouleryPort* inputs, std::uint32_t count) {
  std::vector<std::size_t> indexes;
  std::vector<ov_partial_shape_t> shapes;
  std::string reason;
  for (std::uint32_t i = 0; i < count && reason.empty(); ++i) {
    const JouleryPort& input = inputs[i];
    if (std::ranges::equal(std::span(input.dimensions, input.rank), inputs_[i].shape.dimensions())) continue;
    std::array<ov_dimension_t, data::kMostDimensions> dimensions{};
    for (std::uint32_t k = 0; k < input.rank; ++k) {
      const std::int64_t size = input.dimensions[k];
      dimensions[k] = size < 0 ? ov_dimension_t{0, -1} : ov_dimension_t{size, size};
    }
    ov_partial_shape_t shape{};
    reason = library_.reason(call_.ov_partial_shape_create(input.rank, dimensions.data(), &shape));
    if (!reason.empty()) break;
    indexes.push_back(i);
    shapes.push_back(shape);
  }
  if (reason.empty() && !indexes.empty()) {
    reason = library_.reason(
        call_.ov_model_reshape_by_port_indexes(model_.get(), indexes.data(), shapes.data(), indexes.size()));
  }
  for (ov_partial_shape_t& shape : shapes) call_.ov_partial_shape_free(&shape);
  return reason;
}

std::string LoadedModel::compile() {
  const auto yes_no = [](std::int32_t value) { return value != 0 ? "YES" : "NO"; };
  const std::string threads = std::to_string(options_.threads);
  const std::string streams = options_.streams > 0 ? std::to_string(options_.streams) : "AUTO";
  // Reference and int8 as the model has it: nothing else may be made smaller behind our back.
  const bool exact = std::string_view(precision_value(options_.precision)) == "f32";
  ov_compiled_model_t* compiled = nullptr;
  std::string reason;
  // A value of 0 threads is not known to all releases as "choose".
  if (options_.threads > 0) {
    reason = library_.reason(call_.ov_core_compile_model(
        library_.core(), model_.get(), kDevice, 14, &compiled, "INFERENCE_PRECISION_HINT",
        precision_value(options_.precision), "EXECUTION_MODE_HINT", exact ? "ACCURACY" : "PERFORMANCE",
        "NUM_STREAMS", streams.c_str(), "ENABLE_CPU_PINNING", yes_no(options_.pin_threads),
        "CPU_DENORMALS_OPTIMIZATION", yes_no(options_.flush_denormals), "PERF_COUNT",
        yes_no(profiles_ ? 1 : 0), "INFERENCE_NUM_THREADS", threads.c_str()));
  } else {
    reason = library_.reason(call_.ov_core_compile_model(
        library_.core(), model_.get(), kDevice, 12, &compiled, "INFERENCE_PRECISION_HINT",
        precision_value(options_.precision), "EXECUTION_MODE_HINT", exact ? "ACCURACY" : "PERFORMANCE",
        "NUM_STREAMS", streams.c_str(), "ENABLE_CPU_PINNING", yes_no(options_.pin_threads),
        "CPU_DENORMALS_OPTIMIZATION", yes_no(options_.flush_denormals), "PERF_COUNT",
        yes_no(profiles_ ? 1 : 0)));
  }
  if (compiled != nullptr) compiled_ = {compiled, call_.ov_compiled_model_free};
  return reason.empty() ? make_request() : reason;
}

std::string LoadedModel::make_request() {
  ov_infer_request_t* request = nullptr;
  std::string reason =
      library_.reason(call_.ov_compiled_model_create_infer_request(compiled_.get(), &request));
  request_.reset(request);
  return reason;
}

void LoadedModel::make_bindings() {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    bound_inputs_.emplace_back(nullptr, Free<ov_tensor_t>{call_.ov_tensor_free});
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    bound_outputs_.emplace_back(nullptr, Free<ov_tensor_t>{call_.ov_tensor_free});
  }
  bound_tensors_.resize(outputs_.size());
}

std::unique_ptr<LoadedModel> LoadedModel::fork(JouleryEngineError* error) const {
  std::unique_ptr<LoadedModel> sibling(new LoadedModel(library_));
  sibling->options_ = options_;
  sibling->profiles_ = profiles_;
  sibling->compiled_ = compiled_;
  sibling->inputs_ = inputs_;
  sibling->outputs_ = outputs_;
  sibling->open_outputs_ = open_outputs_;
  if (const std::string reason = sibling->make_request(); !reason.empty()) {
    fail(error, Blame::environment,
         fmt::format("OpenVINO can't run the model several times at once: {}", shortened(reason)));
    return nullptr;
  }
  sibling->make_bindings();
  return sibling;
}

/// It tells the mean of all calls, of whichever session.
int LoadedModel::operator_times(std::vector<OperatorTime>& times, JouleryEngineError* error) const {
  ov_profiling_info_list_t list{};
  const std::string reason =
      library_.reason(call_.ov_infer_request_get_profiling_info(request_.get(), &list));
  if (!reason.empty()) {
    return fail(error, Blame::environment,
                fmt::format("OpenVINO does not say what its operators took: {}", shortened(reason)));
  }
  const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  for (const ov_profiling_info_t& info : std::span(list.profiling_infos, list.size)) {
    if (!has_run(info)) continue;
    times.push_back({.node = text(info.node_name),
                     .op_type = text(info.node_type),
                     .kernel = text(info.exec_type),
                     .precision = precision_of_kernel(text(info.exec_type)),
                     .calls = runs_,
                     .seconds = static_cast<double>(info.real_time) * 1e-6 * static_cast<double>(runs_)});
  }
  call_.ov_profiling_info_list_free(&list);
  return 0;
}

int LoadedModel::prepare(const JouleryPort* inputs, std::uint32_t count, JouleryEngineError* error) {
  if (count != inputs_.size()) return fail(error, Blame::internal, "a shape for every input was expected");
  const FloatingMode mode(options_.flush_denormals != 0);
  if (const std::string reason = reshape(inputs, count); !reason.empty()) {
    return fail(error, Blame::user,
                fmt::format("OpenVINO can't give the model these input shapes: {}", shortened(reason)),
                "give others with --shape");
  }
  if (const std::string reason = compile(); !reason.empty()) {
    const bool open = std::ranges::any_of(inputs_, [](const Port& port) { return !port.shape.is_known(); });
    return fail(error, Blame::environment,
                fmt::format("OpenVINO can't compile the model for the CPU: {}", shortened(reason)),
                open ? "fix its open dimensions with --shape, or try another engine" : "try another engine");
  }
  std::string reason = read_ports(false, inputs_.size(), inputs_);
  if (reason.empty()) reason = read_ports(true, outputs_.size(), outputs_);
  if (!reason.empty()) return fail(error, Blame::environment, shortened(reason));
  make_bindings();
  for (std::uint32_t i = 0; i < outputs_.size(); ++i) {
    if (!outputs_[i].shape.is_known()) open_outputs_.push_back(i);
  }
  return 0;
}

std::string LoadedModel::compiled_property(const char* key) const {
  char* value = nullptr;
  if (call_.ov_compiled_model_get_property(compiled_.get(), key, &value) != OK || value == nullptr) return {};
  std::string text = value;
  call_.ov_free(value);
  return text;
}

void LoadedModel::effective(JouleryFactSink* sink, void* context) const {
  const OptionTeller tell(sink, context);
  const auto read_back = [&](const char* name, const std::string& value, const std::string& requested) {
    tell(name, value.empty() ? requested : value, value.empty() ? Known::requested : Known::read_back);
  };
  const std::string precision = precision_text(compiled_property("INFERENCE_PRECISION_HINT"));
  // What it tells is of the float parts only.
  if (precision == "f32" && options_.precision == static_cast<std::int32_t>(Precision::i8_as_in_model)) {
    tell("precision", "i8", Known::requested);
  } else {
    read_back("precision", precision, precision_value(options_.precision));
  }
  read_back("threads", compiled_property("INFERENCE_NUM_THREADS"), OptionTeller::number(options_.threads));
  read_back("streams", compiled_property("NUM_STREAMS"), OptionTeller::number(options_.streams));
  const std::string pinned = compiled_property("ENABLE_CPU_PINNING");
  read_back("pin_threads",
            pinned.empty() ? "" : OptionTeller::yes_no(pinned == "YES" || pinned == "true" || pinned == "1"),
            OptionTeller::yes_no(options_.pin_threads != 0));
  // Its threads wait as its thread library sees fit, and it always rewrites the graph.
  tell("spin", "engine's choice", Known::unsupported);
  const std::string flushed = compiled_property("CPU_DENORMALS_OPTIMIZATION");
  read_back(
      "flush_denormals",
      flushed.empty() ? "" : OptionTeller::yes_no(flushed == "YES" || flushed == "true" || flushed == "1"),
      OptionTeller::yes_no(options_.flush_denormals != 0));
  tell("optimisation", "all", Known::unsupported);
}

int LoadedModel::bind(bool is_output, std::uint32_t index, const JouleryTensor& tensor,
                      JouleryEngineError* error) {
  if (is_output && !outputs_[index].shape.is_known()) {
    bound_tensors_[index] = tensor;
    return 0;
  }
  std::array<std::int64_t, data::kMostDimensions> dimensions{};
  std::copy_n(tensor.dimensions, tensor.rank, dimensions.begin());
  const ov_shape_t shape{.rank = tensor.rank, .dims = dimensions.data()};
  ov_tensor_t* created = nullptr;
  std::string reason = library_.reason(call_.ov_tensor_create_from_host_ptr(
      type_of(static_cast<data::DataType>(tensor.type)), shape, tensor.data, &created));
  Held<ov_tensor_t> held(created, {call_.ov_tensor_free});
  if (reason.empty()) {
    reason = library_.reason(
        is_output ? call_.ov_infer_request_set_output_tensor_by_index(request_.get(), index, created)
                  : call_.ov_infer_request_set_input_tensor_by_index(request_.get(), index, created));
  }
  if (!reason.empty()) {
    return fail(error, Blame::internal, fmt::format("OpenVINO refuses a tensor: {}", shortened(reason)));
  }
  if (is_output) bound_tensors_[index] = tensor;
  (is_output ? bound_outputs_ : bound_inputs_)[index] = std::move(held);
  return 0;
}

int LoadedModel::run(JouleryEngineError* error) {
  ov_status_e status = OK;
  {
    const FloatingMode mode(options_.flush_denormals != 0);
    status = call_.ov_infer_request_infer(request_.get());
  }
  if (status != OK) {
    return fail(error, Blame::environment,
                fmt::format("OpenVINO can't run the model: {}", shortened(library_.reason(status))));
  }
  ++runs_;
  for (const std::uint32_t index : open_outputs_) {
    if (bound_tensors_[index].data != nullptr && copy_output(index, error) != 0) return -1;
  }
  return 0;
}

/// Given memory for an output of open shape, the library fills its front with a result that is smaller, and
/// writes one that is larger elsewhere, both without a word. So it keeps these outputs.
int LoadedModel::copy_output(std::uint32_t index, JouleryEngineError* error) {
  JouleryTensor came{};
  if (read_output(index, came, error) != 0) return -1;
  const JouleryTensor& bound = bound_tensors_[index];
  const std::span shape(came.dimensions, came.rank);
  const std::span expected(bound.dimensions, bound.rank);
  if (!std::ranges::equal(shape, expected)) {
    return fail(error, Blame::user,
                fmt::format("output '{}' came out as [{}], not as [{}], which memory was given for",
                            outputs_[index].name, fmt::join(shape, ", "), fmt::join(expected, ", ")),
                "leave an output of open shape to the engine");
  }
  if (came.bytes > 0) std::memcpy(bound.data, came.data, came.bytes);
  return 0;
}

int LoadedModel::result(std::uint32_t index, JouleryTensor& tensor, JouleryEngineError* error) {
  if (index >= outputs_.size()) return fail(error, Blame::internal, "there is no such output");
  if (bound_tensors_[index].data == nullptr) return read_output(index, tensor, error);
  tensor = bound_tensors_[index];
  return 0;
}

int LoadedModel::read_output(std::uint32_t index, JouleryTensor& tensor, JouleryEngineError* error) {
  ov_tensor_t* found = nullptr;
  std::string reason =
      library_.reason(call_.ov_infer_request_get_output_tensor_by_index(request_.get(), index, &found));
  const Held<ov_tensor_t> held(found, {call_.ov_tensor_free});
  ov_shape_t shape{};
  std::size_t bytes = 0;
  if (reason.empty()) reason = library_.reason(call_.ov_tensor_data(found, &tensor.data));
  if (reason.empty()) reason = library_.reason(call_.ov_tensor_get_byte_size(found, &bytes));
  if (reason.empty()) reason = library_.reason(call_.ov_tensor_get_shape(found, &shape));
  if (!reason.empty()) {
    return fail(error, Blame::environment, fmt::format("can't read an output: {}", shortened(reason)));
  }
  const auto rank = static_cast<std::size_t>(shape.rank);
  if (rank <= data::kMostDimensions) std::copy_n(shape.dims, rank, tensor.dimensions);
  call_.ov_shape_free(&shape);
  if (rank > data::kMostDimensions)
    return fail(error, Blame::environment, "an output has too many dimensions");
  tensor.rank = static_cast<std::uint32_t>(rank);
  tensor.type = static_cast<std::int32_t>(outputs_[index].type);
  tensor.bytes = bytes;
  return 0;
}

}  // namespace joulery::engine::openvino
