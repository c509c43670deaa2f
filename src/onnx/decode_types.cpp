#include "onnx/decoder.hpp"

namespace joulery::onnx {
namespace {

/// The alternatives of a `oneof` that are messages: the last one counts, but the same one twice would be
/// merged.
template <class T, class Variant>
bool alternative(Decoder& in, const WireField& field, const char* name, Variant& out) {
  if (out.index() != 0) return in.fail(field, name, "the type is given twice");
  return in.message(field, name, -1, out.template emplace<T>());
}

/// A size or a name for one: the last one counts.
template <class Variant>
bool size_number(Decoder& in, const WireField& field, const char* name, Variant& out) {
  std::int64_t value = 0;
  if (!in.number(field, name, value)) return false;
  out = value;
  return true;
}

template <class Variant>
bool size_name(Decoder& in, const WireField& field, const char* name, Variant& out) {
  std::string value;
  if (!in.text(field, name, value)) return false;
  out = std::move(value);
  return true;
}

template <class T>
bool element_and_shape(Decoder& in, const WireField& field, T& out) {
  switch (field.number) {
    case 1:
      return in.number(field, "elem_type", out.element);
    case 2:
      return in.once(field, "shape", out.shape);
    default:
      return in.unknown(field, out.unknown);
  }
}

}  // namespace

bool decode_field(Decoder& in, const WireField& field, StringPair& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "key", out.key);
    case 2:
      return in.text(field, "value", out.value);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, Dimension& out) {
  switch (field.number) {
    case 1:
      return size_number(in, field, "dim_value", out.size);
    case 2:
      return size_name(in, field, "dim_param", out.size);
    case 3:
      return in.text(field, "denotation", out.denotation);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, Shape& out) {
  if (field.number == 1) return in.repeated(field, "dim", out.dimensions);
  return in.unknown(field, out.unknown);
}

bool decode_field(Decoder& in, const WireField& field, TensorType& out) {
  return element_and_shape(in, field, out);
}

bool decode_field(Decoder& in, const WireField& field, SparseTensorType& out) {
  return element_and_shape(in, field, out);
}

bool decode_field(Decoder& in, const WireField& field, SequenceType& out) {
  if (field.number == 1) return in.once(field, "elem_type", out.element);
  return in.unknown(field, out.unknown);
}

bool decode_field(Decoder& in, const WireField& field, OptionalType& out) {
  if (field.number == 1) return in.once(field, "elem_type", out.element);
  return in.unknown(field, out.unknown);
}

bool decode_field(Decoder& in, const WireField& field, MapType& out) {
  switch (field.number) {
    case 1:
      return in.number(field, "key_type", out.key);
    case 2:
      return in.once(field, "value_type", out.value);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, OpaqueType& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "domain", out.domain);
    case 2:
      return in.text(field, "name", out.name);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, Type& out) {
  switch (field.number) {
    case 1:
      return alternative<TensorType>(in, field, "tensor_type", out.value);
    case 4:
      return alternative<SequenceType>(in, field, "sequence_type", out.value);
    case 5:
      return alternative<MapType>(in, field, "map_type", out.value);
    case 6:
      return in.text(field, "denotation", out.denotation);
    case 7:
      return alternative<OpaqueType>(in, field, "opaque_type", out.value);
    case 8:
      return alternative<SparseTensorType>(in, field, "sparse_tensor_type", out.value);
    case 9:
      return alternative<OptionalType>(in, field, "optional_type", out.value);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, ValueInfo& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "name", out.name);
    case 2:
      return in.once(field, "type", out.type);
    case 3:
      return in.text(field, "doc_string", out.doc_string);
    case 4:
      return in.repeated(field, "metadata_props", out.metadata);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, IntegerGroup& out) {
  switch (field.number) {
    case 1:
      return in.number(field, "key", out.key);
    case 2:
      return in.numbers(field, "value", out.values);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, SimpleShardedDimension& out) {
  switch (field.number) {
    case 1:
      return size_number(in, field, "dim_value", out.size);
    case 2:
      return size_name(in, field, "dim_param", out.size);
    case 3:
      return in.number(field, "num_shards", out.shard_count);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, ShardedDimension& out) {
  switch (field.number) {
    case 1:
      return in.number(field, "axis", out.axis);
    case 2:
      return in.repeated(field, "simple_sharding", out.shardings);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, ShardingSpec& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "tensor_name", out.tensor_name);
    case 2:
      return in.numbers(field, "device", out.devices);
    case 3:
      return in.repeated(field, "index_to_device_group_map", out.device_groups);
    case 4:
      return in.repeated(field, "sharded_dim", out.dimensions);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, NodeDeviceConfiguration& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "configuration_id", out.configuration_id);
    case 2:
      return in.repeated(field, "sharding_spec", out.sharding);
    case 3:
      return in.small_number(field, "pipeline_stage", out.pipeline_stage.emplace());
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, DeviceConfiguration& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "name", out.name);
    case 2:
      return in.small_number(field, "num_devices", out.device_count);
    case 3:
      return in.texts(field, "device", out.devices);
    default:
      return in.unknown(field, out.unknown);
  }
}

}  // namespace joulery::onnx
