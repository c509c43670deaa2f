#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "onnx/model.hpp"

namespace joulery::onnx {

/// Makes models that use every field of the format, whether or not they make sense.
class RandomModel {
 public:
  explicit RandomModel(std::uint64_t seed) : random_(seed) {}

  Model model() {
    Model model;
    model.ir_version = 1 + below(14);
    fill(model.opset_imports, [this] { return OpsetId{text(), number(), unknown()}; });
    model.producer_name = text();
    model.producer_version = text();
    model.domain = text();
    model.model_version = number();
    model.doc_string = text();
    model.graph = graph(3);
    model.metadata = pairs();
    fill(model.training, [this] {
      TrainingInfo info;
      if (coin()) info.initialization = graph(1);
      if (coin()) info.algorithm = graph(1);
      info.initialization_bindings = pairs();
      info.update_bindings = pairs();
      info.unknown = unknown();
      return info;
    });
    fill(model.functions, [this] { return function(); });
    fill(model.device_configurations, [this] {
      return DeviceConfiguration{text(), static_cast<std::int32_t>(below(9)), texts(), unknown()};
    });
    model.unknown = unknown();
    return model;
  }

 private:
  std::int64_t below(std::int64_t end) {
    return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random_);
  }
  bool coin() { return below(2) == 0; }
  std::int64_t number() {
    const auto bits = static_cast<unsigned>(below(64));
    return static_cast<std::int64_t>(random_() >> bits) * (coin() ? 1 : -1);
  }
  float real() { return static_cast<float>(below(2000) - 1000) / 8; }
  std::string text() {
    static const std::vector<std::string> kPieces{"a", "conv", "/", "ü", "漢", "🜁", " ", "0", "x.y"};
    std::string text;
    for (auto i = below(4); i > 0; --i) text += kPieces[static_cast<std::size_t>(below(std::ssize(kPieces)))];
    return text;
  }
  std::string octets() {
    std::string bytes;
    for (auto i = below(5); i > 0; --i) bytes += static_cast<char>(below(256));
    return bytes;
  }
  /// At most three of what `make` gives.
  template <class T, class Make>
  void fill(std::vector<T>& list, Make&& make) {
    for (auto i = below(4); i > 0; --i) list.push_back(make());
  }
  std::vector<std::string> texts() {
    std::vector<std::string> list;
    fill(list, [this] { return text(); });
    return list;
  }
  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> list;
    fill(list, [this] { return number(); });
    return list;
  }
  std::vector<StringPair> pairs() {
    std::vector<StringPair> list;
    fill(list, [this] { return StringPair{text(), text(), unknown()}; });
    return list;
  }
  /// Field 1000 as a number, sometimes.
  UnknownFields unknown() {
    if (below(6) != 0) return {};
    return std::string("\xC0\x3E", 2) + static_cast<char>(below(128));
  }
  DataType data_type() { return static_cast<DataType>(below(30)); }

  template <class Size>
  Size size() {
    if (coin()) return number();
    if (coin()) return text();
    return {};
  }
  Shape shape() {
    Shape shape;
    fill(shape.dimensions,
         [this] { return Dimension{size<decltype(Dimension::size)>(), text(), unknown()}; });
    shape.unknown = unknown();
    return shape;
  }
  Type type(int depth) {
    Type type;
    type.denotation = text();
    type.unknown = unknown();
    switch (below(depth > 0 ? 7 : 4)) {
      case 0:
        break;
      case 1:
        type.value = TensorType{data_type(), coin() ? std::optional(shape()) : std::nullopt, unknown()};
        break;
      case 2:
        type.value = SparseTensorType{data_type(), coin() ? std::optional(shape()) : std::nullopt, unknown()};
        break;
      case 3:
        type.value = OpaqueType{text(), text(), unknown()};
        break;
      case 4:
        type.value = SequenceType{this->type(depth - 1), unknown()};
        break;
      case 5:
        type.value = OptionalType{this->type(depth - 1), unknown()};
        break;
      default:
        type.value = MapType{data_type(), this->type(depth - 1), unknown()};
    }
    return type;
  }
  ValueInfo value() {
    return {text(), coin() ? std::optional(type(2)) : std::nullopt, text(), pairs(), unknown()};
  }

  SharedBytes varints(bool is_small) {
    std::vector<std::uint8_t> bytes;
    for (auto i = 1 + below(5); i > 0; --i) {
      auto value = static_cast<std::uint64_t>(is_small ? below(1LL << 31U) : number());
      for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<std::uint8_t>(value | 0x80));
      bytes.push_back(static_cast<std::uint8_t>(value));
    }
    return SharedBytes::adopt(std::move(bytes));
  }
  SharedBytes block(std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(below(256));
    return SharedBytes::adopt(std::move(bytes));
  }
  Tensor tensor() {
    Tensor tensor;
    tensor.name = text();
    tensor.data_type = data_type();
    tensor.dims = numbers();
    tensor.storage = static_cast<TensorStorage>(below(9));
    const auto count = static_cast<std::size_t>(1 + below(4));
    switch (tensor.storage) {
      case TensorStorage::raw:
        tensor.data = block(below(8) == 0 ? 5000 : static_cast<std::size_t>(below(20)));
        break;
      case TensorStorage::float_data:
        tensor.data = block(4 * count);
        break;
      case TensorStorage::double_data:
        tensor.data = block(8 * count);
        break;
      case TensorStorage::int32_data:
        tensor.data = varints(true);
        break;
      case TensorStorage::int64_data:
      case TensorStorage::uint64_data:
        tensor.data = varints(false);
        break;
      case TensorStorage::strings:
        for (std::size_t i = 0; i < count; ++i) tensor.strings.push_back(octets());
        break;
      default:
        break;
    }
    tensor.external_data = pairs();
    if (coin()) tensor.segment = Segment{number(), number(), unknown()};
    tensor.doc_string = text();
    tensor.metadata = pairs();
    tensor.unknown = unknown();
    return tensor;
  }
  SparseTensor sparse_tensor() {
    SparseTensor sparse;
    if (coin()) sparse.values = tensor();
    if (coin()) sparse.indices = tensor();
    sparse.dims = numbers();
    sparse.unknown = unknown();
    return sparse;
  }

  template <class T, class Make>
  std::vector<T> list(Make&& make) {
    std::vector<T> made;
    fill(made, make);
    return made;
  }
  AttributeValue attribute_value(int depth) {
    switch (below(depth > 0 ? 14 : 12)) {
      case 0:
        return real();
      case 1:
        return number();
      case 2:
        return octets();
      case 3:
        return Box<Tensor>(tensor());
      case 4:
        return Box<SparseTensor>(sparse_tensor());
      case 5:
        return Box<Type>(type(2));
      case 6:
        return list<float>([this] { return real(); });
      case 7:
        return numbers();
      case 8:
        return list<std::string>([this] { return octets(); });
      case 9:
        return list<Tensor>([this] { return tensor(); });
      case 10:
        return list<SparseTensor>([this] { return sparse_tensor(); });
      case 11:
        return list<Type>([this] { return type(1); });
      case 12:
        return Box<Graph>(graph(depth - 1));
      default:
        return list<Graph>([this, depth] { return graph(depth - 1); });
    }
  }
  Attribute attribute(int depth) {
    Attribute attribute;
    attribute.name = text();
    attribute.doc_string = text();
    attribute.unknown = unknown();
    if (below(8) == 0) {
      attribute.reference = "other";
      attribute.type = AttributeType::floats;
      return attribute;
    }
    attribute.value = attribute_value(depth);
    attribute.type = type_of(attribute.value);
    return attribute;
  }
  NodeDeviceConfiguration device_configuration() {
    NodeDeviceConfiguration made;
    made.configuration_id = text();
    fill(made.sharding, [this] {
      ShardingSpec spec;
      spec.tensor_name = text();
      spec.devices = numbers();
      fill(spec.device_groups, [this] { return IntegerGroup{number(), numbers(), unknown()}; });
      fill(spec.dimensions, [this] {
        ShardedDimension dimension{number(), {}, unknown()};
        fill(dimension.shardings, [this] {
          return SimpleShardedDimension{size<decltype(SimpleShardedDimension::size)>(), number(), unknown()};
        });
        return dimension;
      });
      return spec;
    });
    if (coin()) made.pipeline_stage = static_cast<std::int32_t>(below(5) - 2);
    made.unknown = unknown();
    return made;
  }
  Node node(int depth) {
    Node node;
    node.inputs = texts();
    node.outputs = texts();
    node.name = text();
    node.op_type = text();
    node.domain = text();
    node.overload = text();
    fill(node.attributes, [this, depth] { return attribute(depth); });
    node.doc_string = text();
    node.metadata = pairs();
    if (below(4) == 0) fill(node.device_configurations, [this] { return device_configuration(); });
    node.unknown = unknown();
    return node;
  }
  Graph graph(int depth) {
    Graph graph;
    graph.name = text();
    fill(graph.nodes, [this, depth] { return node(depth); });
    fill(graph.initializers, [this] { return tensor(); });
    fill(graph.sparse_initializers, [this] { return sparse_tensor(); });
    fill(graph.inputs, [this] { return value(); });
    fill(graph.outputs, [this] { return value(); });
    fill(graph.value_infos, [this] { return value(); });
    graph.doc_string = text();
    fill(graph.quantization_annotations, [this] { return TensorAnnotation{text(), pairs(), unknown()}; });
    graph.metadata = pairs();
    graph.unknown = unknown();
    return graph;
  }
  Function function() {
    Function function;
    function.name = text();
    function.domain = text();
    function.overload = text();
    function.inputs = texts();
    function.outputs = texts();
    function.attributes = texts();
    fill(function.default_attributes, [this] { return attribute(0); });
    fill(function.nodes, [this] { return node(1); });
    fill(function.opset_imports, [this] { return OpsetId{text(), number(), unknown()}; });
    fill(function.value_infos, [this] { return value(); });
    function.doc_string = text();
    function.metadata = pairs();
    function.unknown = unknown();
    return function;
  }

  std::mt19937_64 random_;
};

}  // namespace joulery::onnx
