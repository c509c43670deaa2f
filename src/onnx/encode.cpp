#include "onnx/encode.hpp"

#include <bit>

#include "onnx/wire.hpp"

namespace joulery::onnx {
namespace {

/// Puts fields into a WireWriter, or into a WireMeter to learn how long a message will be.
template <class Sink>
class Emitter {
 public:
  explicit Emitter(Sink& sink) : sink_(sink) {}

  void number(std::uint32_t field, std::int64_t value) {
    tag(field, WireType::varint);
    sink_.varint(static_cast<std::uint64_t>(value));
  }
  void number_if_set(std::uint32_t field, std::int64_t value) {
    if (value != 0) number(field, value);
  }
  template <class E>
    requires std::is_enum_v<E>
  void number_if_set(std::uint32_t field, E value) {
    number_if_set(field, static_cast<std::int64_t>(value));
  }
  void numbers(std::uint32_t field, const std::vector<std::int64_t>& values) {
    for (const std::int64_t value : values) number(field, value);
  }
  void float_number(std::uint32_t field, float value) {
    tag(field, WireType::fixed32);
    sink_.fixed32(std::bit_cast<std::uint32_t>(value));
  }
  void text(std::uint32_t field, std::string_view value) {
    tag(field, WireType::bytes);
    sink_.varint(value.size());
    sink_.text(value);
  }
  void text_if_set(std::uint32_t field, std::string_view value) {
    if (!value.empty()) text(field, value);
  }
  void texts(std::uint32_t field, const std::vector<std::string>& values) {
    for (const std::string& value : values) text(field, value);
  }
  void shared(std::uint32_t field, const SharedBytes& value) {
    tag(field, WireType::bytes);
    sink_.varint(value.size());
    sink_.shared(value);
  }
  void unknown(const UnknownFields& fields) {
    if (fields.has_value()) sink_.unknown(*fields);
  }
  template <class T>
  void message(std::uint32_t field, const T& value) {
    WireMeter meter;
    Emitter<WireMeter> measuring(meter);
    put(measuring, value);
    tag(field, WireType::bytes);
    sink_.varint(meter.size());
    if constexpr (std::is_same_v<Sink, WireMeter>) {
      sink_.counted(meter);
    } else {
      put(*this, value);
    }
  }
  template <class Holder>
  void message_if_set(std::uint32_t field, const Holder& holder) {
    if (holder.has_value()) message(field, *holder);
  }
  template <class T>
  void messages(std::uint32_t field, const std::vector<T>& values) {
    for (const T& value : values) message(field, value);
  }

 private:
  void tag(std::uint32_t field, WireType type) {
    sink_.varint((std::uint64_t{field} << 3) | static_cast<std::uint64_t>(type));
  }
  Sink& sink_;
};

template <class Out>
void put(Out& out, const Type& type);
template <class Out>
void put(Out& out, const Graph& graph);

template <class Out>
void put(Out& out, const StringPair& pair) {
  out.text_if_set(1, pair.key);
  out.text_if_set(2, pair.value);
  out.unknown(pair.unknown);
}

template <class Out, class Variant>
void put_size(Out& out, const Variant& size) {
  if (const auto* value = std::get_if<std::int64_t>(&size)) out.number(1, *value);
  if (const auto* name = std::get_if<std::string>(&size)) out.text(2, *name);
}

template <class Out>
void put(Out& out, const Dimension& dimension) {
  put_size(out, dimension.size);
  out.text_if_set(3, dimension.denotation);
  out.unknown(dimension.unknown);
}

template <class Out>
void put(Out& out, const Shape& shape) {
  out.messages(1, shape.dimensions);
  out.unknown(shape.unknown);
}

template <class Out>
void put(Out& out, const TensorType& type) {
  out.number_if_set(1, type.element);
  out.message_if_set(2, type.shape);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const SparseTensorType& type) {
  out.number_if_set(1, type.element);
  out.message_if_set(2, type.shape);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const SequenceType& type) {
  out.message_if_set(1, type.element);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const OptionalType& type) {
  out.message_if_set(1, type.element);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const MapType& type) {
  out.number_if_set(1, type.key);
  out.message_if_set(2, type.value);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const OpaqueType& type) {
  out.text_if_set(1, type.domain);
  out.text_if_set(2, type.name);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const Type& type) {
  if (const auto* tensor = std::get_if<TensorType>(&type.value)) out.message(1, *tensor);
  if (const auto* sequence = std::get_if<SequenceType>(&type.value)) out.message(4, *sequence);
  if (const auto* map = std::get_if<MapType>(&type.value)) out.message(5, *map);
  out.text_if_set(6, type.denotation);
  if (const auto* opaque = std::get_if<OpaqueType>(&type.value)) out.message(7, *opaque);
  if (const auto* sparse = std::get_if<SparseTensorType>(&type.value)) out.message(8, *sparse);
  if (const auto* optional = std::get_if<OptionalType>(&type.value)) out.message(9, *optional);
  out.unknown(type.unknown);
}

template <class Out>
void put(Out& out, const ValueInfo& value) {
  out.text_if_set(1, value.name);
  out.message_if_set(2, value.type);
  out.text_if_set(3, value.doc_string);
  out.messages(4, value.metadata);
  out.unknown(value.unknown);
}

template <class Out>
void put(Out& out, const Segment& segment) {
  out.number_if_set(1, segment.begin);
  out.number_if_set(2, segment.end);
  out.unknown(segment.unknown);
}

template <class Out>
void put(Out& out, const Tensor& tensor) {
  const auto data = [&](std::uint32_t field, TensorStorage storage) {
    if (tensor.storage == storage) out.shared(field, tensor.data);
  };
  out.numbers(1, tensor.dims);
  out.number_if_set(2, tensor.data_type);
  out.message_if_set(3, tensor.segment);
  data(4, TensorStorage::float_data);
  data(5, TensorStorage::int32_data);
  if (tensor.storage == TensorStorage::strings) out.texts(6, tensor.strings);
  data(7, TensorStorage::int64_data);
  out.text_if_set(8, tensor.name);
  data(9, TensorStorage::raw);
  data(10, TensorStorage::double_data);
  data(11, TensorStorage::uint64_data);
  out.text_if_set(12, tensor.doc_string);
  out.messages(13, tensor.external_data);
  if (tensor.storage == TensorStorage::external) out.number(14, 1);
  out.messages(16, tensor.metadata);
  out.unknown(tensor.unknown);
}

template <class Out>
void put(Out& out, const SparseTensor& tensor) {
  out.message_if_set(1, tensor.values);
  out.message_if_set(2, tensor.indices);
  out.numbers(3, tensor.dims);
  out.unknown(tensor.unknown);
}

template <class T, class Out>
void put_single(Out& out, std::uint32_t field, const AttributeValue& value) {
  if (const auto* box = std::get_if<Box<T>>(&value)) out.message_if_set(field, *box);
}

template <class T, class Out>
void put_list(Out& out, std::uint32_t field, const AttributeValue& value) {
  if (const auto* list = std::get_if<std::vector<T>>(&value)) out.messages(field, *list);
}

template <class Out>
void put(Out& out, const Attribute& attribute) {
  const AttributeValue& value = attribute.value;
  out.text_if_set(1, attribute.name);
  if (const auto* number = std::get_if<float>(&value)) out.float_number(2, *number);
  if (const auto* number = std::get_if<std::int64_t>(&value)) out.number(3, *number);
  if (const auto* text = std::get_if<std::string>(&value)) out.text(4, *text);
  put_single<Tensor>(out, 5, value);
  put_single<Graph>(out, 6, value);
  if (const auto* list = std::get_if<std::vector<float>>(&value)) {
    for (const float number : *list) out.float_number(7, number);
  }
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) out.numbers(8, *list);
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) out.texts(9, *list);
  put_list<Tensor>(out, 10, value);
  put_list<Graph>(out, 11, value);
  out.text_if_set(13, attribute.doc_string);
  put_single<Type>(out, 14, value);
  put_list<Type>(out, 15, value);
  out.number_if_set(20, attribute.type);
  out.text_if_set(21, attribute.reference);
  put_single<SparseTensor>(out, 22, value);
  put_list<SparseTensor>(out, 23, value);
  out.unknown(attribute.unknown);
}

template <class Out>
void put(Out& out, const IntegerGroup& group) {
  out.number_if_set(1, group.key);
  out.numbers(2, group.values);
  out.unknown(group.unknown);
}

template <class Out>
void put(Out& out, const SimpleShardedDimension& dimension) {
  put_size(out, dimension.size);
  out.number_if_set(3, dimension.shard_count);
  out.unknown(dimension.unknown);
}

template <class Out>
void put(Out& out, const ShardedDimension& dimension) {
  out.number_if_set(1, dimension.axis);
  out.messages(2, dimension.shardings);
  out.unknown(dimension.unknown);
}

template <class Out>
void put(Out& out, const ShardingSpec& spec) {
  out.text_if_set(1, spec.tensor_name);
  out.numbers(2, spec.devices);
  out.messages(3, spec.device_groups);
  out.messages(4, spec.dimensions);
  out.unknown(spec.unknown);
}

template <class Out>
void put(Out& out, const NodeDeviceConfiguration& configuration) {
  out.text_if_set(1, configuration.configuration_id);
  out.messages(2, configuration.sharding);
  if (configuration.pipeline_stage) out.number(3, *configuration.pipeline_stage);
  out.unknown(configuration.unknown);
}

template <class Out>
void put(Out& out, const Node& node) {
  out.texts(1, node.inputs);
  out.texts(2, node.outputs);
  out.text_if_set(3, node.name);
  out.text_if_set(4, node.op_type);
  out.messages(5, node.attributes);
  out.text_if_set(6, node.doc_string);
  out.text_if_set(7, node.domain);
  out.text_if_set(8, node.overload);
  out.messages(9, node.metadata);
  out.messages(10, node.device_configurations);
  out.unknown(node.unknown);
}

template <class Out>
void put(Out& out, const TensorAnnotation& annotation) {
  out.text_if_set(1, annotation.tensor_name);
  out.messages(2, annotation.quantization_parameters);
  out.unknown(annotation.unknown);
}

template <class Out>
void put(Out& out, const Graph& graph) {
  out.messages(1, graph.nodes);
  out.text_if_set(2, graph.name);
  out.messages(5, graph.initializers);
  out.text_if_set(10, graph.doc_string);
  out.messages(11, graph.inputs);
  out.messages(12, graph.outputs);
  out.messages(13, graph.value_infos);
  out.messages(14, graph.quantization_annotations);
  out.messages(15, graph.sparse_initializers);
  out.messages(16, graph.metadata);
  out.unknown(graph.unknown);
}

template <class Out>
void put(Out& out, const OpsetId& opset) {
  out.text_if_set(1, opset.domain);
  out.number_if_set(2, opset.version);
  out.unknown(opset.unknown);
}

template <class Out>
void put(Out& out, const Function& function) {
  out.text_if_set(1, function.name);
  out.texts(4, function.inputs);
  out.texts(5, function.outputs);
  out.texts(6, function.attributes);
  out.messages(7, function.nodes);
  out.text_if_set(8, function.doc_string);
  out.messages(9, function.opset_imports);
  out.text_if_set(10, function.domain);
  out.messages(11, function.default_attributes);
  out.messages(12, function.value_infos);
  out.text_if_set(13, function.overload);
  out.messages(14, function.metadata);
  out.unknown(function.unknown);
}

template <class Out>
void put(Out& out, const TrainingInfo& training) {
  out.message_if_set(1, training.initialization);
  out.message_if_set(2, training.algorithm);
  out.messages(3, training.initialization_bindings);
  out.messages(4, training.update_bindings);
  out.unknown(training.unknown);
}

template <class Out>
void put(Out& out, const DeviceConfiguration& configuration) {
  out.text_if_set(1, configuration.name);
  out.number_if_set(2, configuration.device_count);
  out.texts(3, configuration.devices);
  out.unknown(configuration.unknown);
}

template <class Out>
void put(Out& out, const Model& model) {
  out.number_if_set(1, model.ir_version);
  out.text_if_set(2, model.producer_name);
  out.text_if_set(3, model.producer_version);
  out.text_if_set(4, model.domain);
  out.number_if_set(5, model.model_version);
  out.text_if_set(6, model.doc_string);
  out.message_if_set(7, model.graph);
  out.messages(8, model.opset_imports);
  out.messages(14, model.metadata);
  out.messages(20, model.training);
  out.messages(25, model.functions);
  out.messages(26, model.device_configurations);
  out.unknown(model.unknown);
}

}  // namespace

std::vector<SharedBytes> encode_model(const Model& model) {
  WireWriter writer;
  Emitter<WireWriter> out(writer);
  put(out, model);
  return writer.take();
}

std::uint64_t unknown_size(const Model& model) {
  WireMeter meter;
  Emitter<WireMeter> out(meter);
  put(out, model);
  return meter.unknown_size();
}

SharedBytes encode_node(const Node& node) {
  WireWriter writer;
  Emitter<WireWriter> out(writer);
  put(out, node);
  return join(writer.take());
}

std::uint64_t total_size(const std::vector<SharedBytes>& pieces) {
  std::uint64_t size = 0;
  for (const SharedBytes& piece : pieces) size += piece.size();
  return size;
}

SharedBytes join(const std::vector<SharedBytes>& pieces) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(total_size(pieces));
  for (const SharedBytes& piece : pieces) {
    bytes.insert(bytes.end(), piece.span().begin(), piece.span().end());
  }
  return SharedBytes::adopt(std::move(bytes));
}

}  // namespace joulery::onnx
