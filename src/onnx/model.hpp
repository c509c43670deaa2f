#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "onnx/data_type.hpp"
#include "onnx/shared_bytes.hpp"

/// The ONNX model as plain structs, one for each message of the format (IR version 14). A singular text or
/// number that is absent is empty or 0; where that would be something else, it is an optional or a variant.
namespace joulery::onnx {

/// Fields that this version does not know, as they lay in the file; written back behind the known ones.
using UnknownFields = Box<std::string>;

struct StringPair {
  std::string key, value;
  UnknownFields unknown;
  bool operator==(const StringPair&) const = default;
};

// Types of values.

struct Type;

struct Dimension {
  /// Unknown, a size, or a name that stands for one.
  std::variant<std::monostate, std::int64_t, std::string> size;
  std::string denotation;
  UnknownFields unknown;
  bool operator==(const Dimension&) const = default;
};

struct Shape {
  std::vector<Dimension> dimensions;
  UnknownFields unknown;
  bool operator==(const Shape&) const = default;
};

struct TensorType {
  DataType element = DataType::undefined;
  /// None if not even the rank is known.
  std::optional<Shape> shape;
  UnknownFields unknown;
  bool operator==(const TensorType&) const = default;
};

struct SparseTensorType {
  DataType element = DataType::undefined;
  std::optional<Shape> shape;
  UnknownFields unknown;
  bool operator==(const SparseTensorType&) const = default;
};

struct SequenceType {
  Box<Type> element;
  UnknownFields unknown;
  bool operator==(const SequenceType&) const = default;
};

struct OptionalType {
  Box<Type> element;
  UnknownFields unknown;
  bool operator==(const OptionalType&) const = default;
};

struct MapType {
  DataType key = DataType::undefined;
  Box<Type> value;
  UnknownFields unknown;
  bool operator==(const MapType&) const = default;
};

struct OpaqueType {
  std::string domain, name;
  UnknownFields unknown;
  bool operator==(const OpaqueType&) const = default;
};

struct Type {
  std::variant<std::monostate, TensorType, SparseTensorType, SequenceType, OptionalType, MapType, OpaqueType>
      value;
  std::string denotation;
  UnknownFields unknown;
  bool operator==(const Type&) const = default;
};

struct ValueInfo {
  std::string name;
  std::optional<Type> type;
  std::string doc_string;
  std::vector<StringPair> metadata;
  UnknownFields unknown;
  bool operator==(const ValueInfo&) const = default;
};

// Tensors.

struct Segment {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  UnknownFields unknown;
  bool operator==(const Segment&) const = default;
};

/// Where the elements of a tensor lie, and so how `Tensor::data` is to be read.
enum class TensorStorage : std::uint8_t {
  none,         ///< no data
  raw,          ///< little-endian elements, packed as data_type.hpp says
  float_data,   ///< 4 bytes each, little-endian
  double_data,  ///< 8 bytes each, little-endian
  int32_data,   ///< varints
  int64_data,   ///< varints
  uint64_data,  ///< varints
  strings,      ///< in Tensor::strings
  external,  ///< in another file that `external_data` names; `data` is a view of it as `raw`, once attached
};

struct Tensor {
  std::string name;
  DataType data_type = DataType::undefined;
  std::vector<std::int64_t> dims;
  TensorStorage storage = TensorStorage::none;
  /// As `storage` says. A view into the file that the model was read from, however large.
  SharedBytes data;
  std::vector<std::string> strings;
  /// True once `data` views the other file; only with storage `external`.
  bool attached = false;
  std::vector<StringPair> external_data;
  std::optional<Segment> segment;
  std::string doc_string;
  std::vector<StringPair> metadata;
  UnknownFields unknown;
  bool operator==(const Tensor&) const = default;
};

struct SparseTensor {
  std::optional<Tensor> values;
  std::optional<Tensor> indices;
  std::vector<std::int64_t> dims;
  UnknownFields unknown;
  bool operator==(const SparseTensor&) const = default;
};

// Nodes and graphs.

struct Graph;

enum class AttributeType : std::int32_t {
  undefined = 0,
  float_number = 1,
  integer = 2,
  string = 3,
  tensor = 4,
  graph = 5,
  floats = 6,
  integers = 7,
  strings = 8,
  tensors = 9,
  graphs = 10,
  sparse_tensor = 11,
  sparse_tensors = 12,
  type = 13,
  types = 14,
};

using AttributeValue =
    std::variant<std::monostate, float, std::int64_t, std::string, Box<Tensor>, Box<Graph>, Box<SparseTensor>,
                 Box<Type>, std::vector<float>, std::vector<std::int64_t>, std::vector<std::string>,
                 std::vector<Tensor>, std::vector<Graph>, std::vector<SparseTensor>, std::vector<Type>>;

struct Attribute {
  std::string name;
  /// Set in function bodies only: the attribute of the call whose value this one takes.
  std::string reference;
  std::string doc_string;
  AttributeType type = AttributeType::undefined;
  AttributeValue value;
  UnknownFields unknown;
  bool operator==(const Attribute&) const = default;
};

/// The type that an attribute with this value has; `undefined` if it has none.
AttributeType type_of(const AttributeValue& value);
/// "INT", "TENSOR", … as ONNX spells them; "type 99" for what this version does not know.
std::string attribute_type_name(AttributeType type);

struct IntegerGroup {
  std::int64_t key = 0;
  std::vector<std::int64_t> values;
  UnknownFields unknown;
  bool operator==(const IntegerGroup&) const = default;
};

struct SimpleShardedDimension {
  std::variant<std::monostate, std::int64_t, std::string> size;
  std::int64_t shard_count = 0;
  UnknownFields unknown;
  bool operator==(const SimpleShardedDimension&) const = default;
};

struct ShardedDimension {
  std::int64_t axis = 0;
  std::vector<SimpleShardedDimension> shardings;
  UnknownFields unknown;
  bool operator==(const ShardedDimension&) const = default;
};

struct ShardingSpec {
  std::string tensor_name;
  std::vector<std::int64_t> devices;
  std::vector<IntegerGroup> device_groups;
  std::vector<ShardedDimension> dimensions;
  UnknownFields unknown;
  bool operator==(const ShardingSpec&) const = default;
};

struct NodeDeviceConfiguration {
  std::string configuration_id;
  std::vector<ShardingSpec> sharding;
  std::optional<std::int32_t> pipeline_stage;
  UnknownFields unknown;
  bool operator==(const NodeDeviceConfiguration&) const = default;
};

struct Node {
  /// An empty name is an optional input or output that is left out.
  std::vector<std::string> inputs, outputs;
  std::string name;
  std::string op_type;
  std::string domain;
  std::string overload;
  std::vector<Attribute> attributes;
  std::string doc_string;
  std::vector<StringPair> metadata;
  std::vector<NodeDeviceConfiguration> device_configurations;
  UnknownFields unknown;
  bool operator==(const Node&) const = default;

  const Attribute* attribute(std::string_view attribute_name) const;
};

struct TensorAnnotation {
  std::string tensor_name;
  std::vector<StringPair> quantization_parameters;
  UnknownFields unknown;
  bool operator==(const TensorAnnotation&) const = default;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<SparseTensor> sparse_initializers;
  std::vector<ValueInfo> inputs, outputs, value_infos;
  std::string doc_string;
  std::vector<TensorAnnotation> quantization_annotations;
  std::vector<StringPair> metadata;
  UnknownFields unknown;
  bool operator==(const Graph&) const = default;
};

// Models.

struct OpsetId {
  std::string domain;
  std::int64_t version = 0;
  UnknownFields unknown;
  bool operator==(const OpsetId&) const = default;
};

struct Function {
  std::string name;
  std::string domain;
  std::string overload;
  std::vector<std::string> inputs, outputs;
  /// Attributes that a call must give, and those that have a default.
  std::vector<std::string> attributes;
  std::vector<Attribute> default_attributes;
  std::vector<Node> nodes;
  std::vector<OpsetId> opset_imports;
  std::vector<ValueInfo> value_infos;
  std::string doc_string;
  std::vector<StringPair> metadata;
  UnknownFields unknown;
  bool operator==(const Function&) const = default;
};

struct TrainingInfo {
  Box<Graph> initialization, algorithm;
  std::vector<StringPair> initialization_bindings, update_bindings;
  UnknownFields unknown;
  bool operator==(const TrainingInfo&) const = default;
};

struct DeviceConfiguration {
  std::string name;
  std::int32_t device_count = 0;
  std::vector<std::string> devices;
  UnknownFields unknown;
  bool operator==(const DeviceConfiguration&) const = default;
};

struct Model {
  std::int64_t ir_version = 0;
  std::vector<OpsetId> opset_imports;
  std::string producer_name, producer_version;
  std::string domain;
  std::int64_t model_version = 0;
  std::string doc_string;
  Box<Graph> graph;
  std::vector<StringPair> metadata;
  std::vector<TrainingInfo> training;
  std::vector<Function> functions;
  std::vector<DeviceConfiguration> device_configurations;
  UnknownFields unknown;
  bool operator==(const Model&) const = default;
};

/// "ai.onnx" and the empty name are the same domain; gives the empty one.
std::string_view canonical_domain(std::string_view domain);

}  // namespace joulery::onnx
