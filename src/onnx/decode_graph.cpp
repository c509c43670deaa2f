#include "onnx/decoder.hpp"

namespace joulery::onnx {
namespace {

/// The value of an attribute, of which there may be one kind only.
class AttributeDecoder {
 public:
  AttributeDecoder(Decoder& in, Attribute& out) : in_(in), out_(out) {}

  bool field(const WireField& field);
  /// A list without elements leaves no trace but the type.
  void finish();

 private:
  /// The place for a value of type T: empty if it is the first one, or what is there of the same kind.
  template <class T>
  T* claim(const WireField& field, const char* name) {
    if (out_.value.index() == 0) return &out_.value.emplace<T>();
    if (T* value = std::get_if<T>(&out_.value)) return value;
    in_.fail(field, name, "the attribute has values of two kinds");
    return nullptr;
  }
  template <class T>
  bool single(const WireField& field, const char* name) {
    auto* value = claim<Box<T>>(field, name);
    return value != nullptr && in_.once(field, name, *value);
  }
  template <class T>
  bool list(const WireField& field, const char* name) {
    auto* values = claim<std::vector<T>>(field, name);
    return values != nullptr && in_.repeated(field, name, *values);
  }
  bool scalar(const WireField& field);

  Decoder& in_;
  Attribute& out_;
};

bool AttributeDecoder::scalar(const WireField& field) {
  switch (field.number) {
    case 2: {
      auto* value = claim<float>(field, "f");
      return value != nullptr && in_.float_number(field, "f", *value);
    }
    case 3: {
      auto* value = claim<std::int64_t>(field, "i");
      return value != nullptr && in_.number(field, "i", *value);
    }
    case 4: {
      auto* value = claim<std::string>(field, "s");
      return value != nullptr && in_.octets(field, "s", *value);
    }
    case 7: {
      auto* values = claim<std::vector<float>>(field, "floats");
      return values != nullptr && in_.floats(field, "floats", *values);
    }
    case 8: {
      auto* values = claim<std::vector<std::int64_t>>(field, "ints");
      return values != nullptr && in_.numbers(field, "ints", *values);
    }
    default: {
      auto* values = claim<std::vector<std::string>>(field, "strings");
      return values != nullptr && in_.octet_list(field, "strings", *values);
    }
  }
}

bool AttributeDecoder::field(const WireField& field) {
  switch (field.number) {
    case 1:
      return in_.text(field, "name", out_.name);
    case 2:
    case 3:
    case 4:
    case 7:
    case 8:
    case 9:
      return scalar(field);
    case 5:
      return single<Tensor>(field, "t");
    case 6:
      return single<Graph>(field, "g");
    case 10:
      return list<Tensor>(field, "tensors");
    case 11:
      return list<Graph>(field, "graphs");
    case 13:
      return in_.text(field, "doc_string", out_.doc_string);
    case 14:
      return single<Type>(field, "tp");
    case 15:
      return list<Type>(field, "type_protos");
    case 20:
      return in_.number(field, "type", out_.type);
    case 21:
      return in_.text(field, "ref_attr_name", out_.reference);
    case 22:
      return single<SparseTensor>(field, "sparse_tensor");
    case 23:
      return list<SparseTensor>(field, "sparse_tensors");
    default:
      return in_.unknown(field, out_.unknown);
  }
}

void AttributeDecoder::finish() {
  if (out_.value.index() != 0 || !out_.reference.empty()) return;
  switch (out_.type) {
    case AttributeType::floats:
      out_.value = std::vector<float>();
      break;
    case AttributeType::integers:
      out_.value = std::vector<std::int64_t>();
      break;
    case AttributeType::strings:
      out_.value = std::vector<std::string>();
      break;
    case AttributeType::tensors:
      out_.value = std::vector<Tensor>();
      break;
    case AttributeType::graphs:
      out_.value = std::vector<Graph>();
      break;
    case AttributeType::sparse_tensors:
      out_.value = std::vector<SparseTensor>();
      break;
    case AttributeType::types:
      out_.value = std::vector<Type>();
      break;
    default:
      break;
  }
}

}  // namespace

bool decode_fields(Decoder& in, std::span<const std::uint8_t> payload, Attribute& out) {
  AttributeDecoder decoder(in, out);
  if (!for_each_field(in, payload, [&](const WireField& field) { return decoder.field(field); }))
    return false;
  decoder.finish();
  return true;
}

bool decode_field(Decoder& in, const WireField& field, Node& out) {
  switch (field.number) {
    case 1:
      return in.texts(field, "input", out.inputs);
    case 2:
      return in.texts(field, "output", out.outputs);
    case 3:
      return in.text(field, "name", out.name);
    case 4:
      return in.text(field, "op_type", out.op_type);
    case 5:
      return in.repeated(field, "attribute", out.attributes);
    case 6:
      return in.text(field, "doc_string", out.doc_string);
    case 7:
      return in.text(field, "domain", out.domain);
    case 8:
      return in.text(field, "overload", out.overload);
    case 9:
      return in.repeated(field, "metadata_props", out.metadata);
    case 10:
      return in.repeated(field, "device_configurations", out.device_configurations);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, TensorAnnotation& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "tensor_name", out.tensor_name);
    case 2:
      return in.repeated(field, "quant_parameter_tensor_names", out.quantization_parameters);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, Graph& out) {
  switch (field.number) {
    case 1:
      return in.repeated(field, "node", out.nodes);
    case 2:
      return in.text(field, "name", out.name);
    case 5:
      return in.repeated(field, "initializer", out.initializers);
    case 10:
      return in.text(field, "doc_string", out.doc_string);
    case 11:
      return in.repeated(field, "input", out.inputs);
    case 12:
      return in.repeated(field, "output", out.outputs);
    case 13:
      return in.repeated(field, "value_info", out.value_infos);
    case 14:
      return in.repeated(field, "quantization_annotation", out.quantization_annotations);
    case 15:
      return in.repeated(field, "sparse_initializer", out.sparse_initializers);
    case 16:
      return in.repeated(field, "metadata_props", out.metadata);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, OpsetId& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "domain", out.domain);
    case 2:
      return in.number(field, "version", out.version);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, Function& out) {
  switch (field.number) {
    case 1:
      return in.text(field, "name", out.name);
    case 4:
      return in.texts(field, "input", out.inputs);
    case 5:
      return in.texts(field, "output", out.outputs);
    case 6:
      return in.texts(field, "attribute", out.attributes);
    case 7:
      return in.repeated(field, "node", out.nodes);
    case 8:
      return in.text(field, "doc_string", out.doc_string);
    case 9:
      return in.repeated(field, "opset_import", out.opset_imports);
    case 10:
      return in.text(field, "domain", out.domain);
    case 11:
      return in.repeated(field, "attribute_proto", out.default_attributes);
    case 12:
      return in.repeated(field, "value_info", out.value_infos);
    case 13:
      return in.text(field, "overload", out.overload);
    case 14:
      return in.repeated(field, "metadata_props", out.metadata);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, TrainingInfo& out) {
  switch (field.number) {
    case 1:
      return in.once(field, "initialization", out.initialization);
    case 2:
      return in.once(field, "algorithm", out.algorithm);
    case 3:
      return in.repeated(field, "initialization_binding", out.initialization_bindings);
    case 4:
      return in.repeated(field, "update_binding", out.update_bindings);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, Model& out) {
  switch (field.number) {
    case 1:
      return in.number(field, "ir_version", out.ir_version);
    case 2:
      return in.text(field, "producer_name", out.producer_name);
    case 3:
      return in.text(field, "producer_version", out.producer_version);
    case 4:
      return in.text(field, "domain", out.domain);
    case 5:
      return in.number(field, "model_version", out.model_version);
    case 6:
      return in.text(field, "doc_string", out.doc_string);
    case 7:
      return in.once(field, "graph", out.graph);
    case 8:
      return in.repeated(field, "opset_import", out.opset_imports);
    case 14:
      return in.repeated(field, "metadata_props", out.metadata);
    case 20:
      return in.repeated(field, "training_info", out.training);
    case 25:
      return in.repeated(field, "functions", out.functions);
    case 26:
      return in.repeated(field, "configuration", out.device_configurations);
    default:
      return in.unknown(field, out.unknown);
  }
}

}  // namespace joulery::onnx
