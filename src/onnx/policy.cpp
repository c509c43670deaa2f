#include "onnx/policy.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "base/files.hpp"
#include "base/text.hpp"
#include "onnx/check.hpp"
#include "onnx/encode.hpp"
#include "onnx/finding_list.hpp"
#include "onnx/functions.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"

namespace joulery::onnx {
namespace {

constexpr std::array<std::string_view, 4> kStandardDomains{"", "ai.onnx.ml", "ai.onnx.preview.training",
                                                           "ai.onnx.preview"};
constexpr std::string_view kMicrosoft = "com.microsoft";
/// Operators that run Python code of the model's or of the machine's.
constexpr std::array<std::string_view, 5> kPythonOps{"PyOp", "PythonOp", "PythonOpGrad", "PyFunc", "PyCall"};
/// Operators that load a file which the model names.
constexpr std::array<std::string_view, 2> kContextOps{"EPContext", "TRTEngineOp"};

std::string quoted(std::string_view name) {
  return "'" + printable(name.substr(0, 200)) + "'";
}

template <class List>
bool contains(const List& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

class PolicyVisitor {
 public:
  PolicyVisitor(const Model& model, ExternalFolder* folder, const PolicyLimits& limits, FindingList& findings)
      : table_(model), folder_(folder), limits_(limits), findings_(findings) {}

  void enter_graph(const Graph& graph, const Place& at, unsigned depth) {
    if (depth > limits_.graph_depth) {
      findings_.warning("depth", at.text(), fmt::format("graphs are nested {} deep", depth));
    }
    constants_.emplace_back();
    for (const Tensor& tensor : graph.initializers) remember(tensor.name, {.tensor = &tensor});
    tell_unknown(graph.unknown, at);
  }
  void leave_graph(const Graph&, const Place&) { constants_.pop_back(); }
  void function(const Function& function, const Place& at) {
    // Functions come after all graphs, and see nothing of outside.
    constants_.clear();
    constants_.emplace_back();
    tell_unknown(function.unknown, at);
    if (contains(kStandardDomains, canonical_domain(function.domain))) {
      findings_.warning(
          "domain", at.text(),
          fmt::format("function {} takes the place of one of ONNX's own operators", quoted(function.name)));
    }
  }

  void node(const Node& node, const Place& at) {
    ++nodes_;
    tell_unknown(node.unknown, at);
    const auto where = [&] {
      return fmt::format("{} ({})", at.text(), printable(node.op_type.substr(0, 100)));
    };
    if (contains(kPythonOps, node.op_type)) {
      findings_.critical("python-op", where(), fmt::format("{} runs Python code", quoted(node.op_type)),
                         "do not use this model");
    } else if (contains(kContextOps, node.op_type)) {
      findings_.critical(
          "context-file", where(),
          fmt::format("{} loads a compiled program that the model names", quoted(node.op_type)),
          "use the model from before it was compiled for one device");
    } else if (table_.find(node) == nullptr) {
      judge_domain(node, where());
    }
    const std::string_view domain = canonical_domain(node.domain);
    if (!domain.empty()) return;
    if (node.op_type == "Constant") remember_constant(node);
    if (node.op_type == "Loop") judge_loop(node, where());
    if (node.op_type == "ConstantOfShape" && !node.inputs.empty()) judge_shape(node.inputs[0], where());
    if (node.op_type == "Expand" && node.inputs.size() > 1) judge_shape(node.inputs[1], where());
    if (const Attribute* shape = node.attribute("shape")) judge_shape_attribute(*shape, where());
  }

  void attribute(const Attribute& attribute, const Place& at) { tell_unknown(attribute.unknown, at); }

  void tensor(const Tensor& tensor, const Place& at) {
    tell_unknown(tensor.unknown, at);
    const auto where = [&] { return fmt::format("{} (tensor {})", at.text(), quoted(tensor.name)); };
    data_bytes_ += tensor.data.size();
    const auto elements = element_count(tensor.dims);
    if (const auto fault = tensor_fault(tensor)) {
      findings_.critical("tensor-data", where(), *fault);
    } else if (elements && *elements > limits_.elements) {
      findings_.warning("size", where(), fmt::format("it has {} elements", *elements));
    }
    if (tensor.storage != TensorStorage::external) {
      if (!tensor.external_data.empty()) judge_stray_keys(tensor, where());
      return;
    }
    if (tensor.attached) return;
    const auto reference = parse_reference(tensor);
    if (!reference) {
      tell(reference.error(), where());
    } else if (folder_ != nullptr) {
      const auto bytes = folder_->bytes(tensor);
      if (!bytes) tell(bytes.error(), where());
    }
  }

  void sparse_tensor(const SparseTensor& sparse, const Place& at) {
    tell_unknown(sparse.unknown, at);
    // Engines make a dense one of it, however few its values are.
    judge_dims(sparse.dims, at.text());
  }

  void type(const Type& type, const Place& at) {
    tell_unknown(type.unknown, at);
    std::visit([&](const auto& value) { judge_type(value, at); }, type.value);
  }

  void finish(const Model& model) {
    if (nodes_ > limits_.nodes)
      findings_.warning("nodes", "model", fmt::format("the model has {} nodes", nodes_));
    if (folder_ != nullptr) {
      for (const auto& [name, bytes] : folder_->files()) data_bytes_ += bytes.size();
    }
    if (data_bytes_ > limits_.data_bytes) {
      findings_.warning("size", "model", fmt::format("its data has {}", format_bytes(double(data_bytes_))));
    }
    const Expansion expansion = expand_calls(model, table_);
    if (!expansion.circle.empty()) {
      findings_.critical("recursion", "functions",
                         fmt::format("function {} calls itself", quoted(expansion.circle.front())));
    } else if (expansion.nodes > limits_.expanded_nodes) {
      findings_.critical("recursion", "functions",
                         fmt::format("its functions expand to {} nodes", expansion.nodes),
                         "functions that call functions many times fill an engine's memory");
    }
    if (const std::uint64_t bytes = unknown_size(model); bytes > 0) {
      findings_.warning("unknown-fields", unknown_where_.empty() ? "model" : unknown_where_,
                        fmt::format("{} bytes of the model are in fields that ONNX does not have", bytes),
                        "a newer ONNX, or something hidden in the file");
    }
  }

  /// Where the first ones are, as far as a walk comes there.
  void tell_unknown(const UnknownFields& fields, const Place& at) {
    if (fields.has_value() && unknown_where_.empty()) unknown_where_ = at.text();
  }

 private:
  template <class T>
  void judge_type(const T& value, const Place& at) {
    if constexpr (requires { value.shape; }) {
      if (value.shape) judge_declared(*value.shape, at);
    } else if constexpr (requires { value.element; }) {
      if (value.element.has_value()) type(*value.element, at);
    } else if constexpr (requires { value.value; }) {
      if (value.value.has_value()) type(*value.value, at);
    }
  }

  void judge_declared(const Shape& shape, const Place& at) {
    std::vector<std::int64_t> dims;
    for (const Dimension& dimension : shape.dimensions) {
      const auto* size = std::get_if<std::int64_t>(&dimension.size);
      if (size != nullptr && *size >= 0) dims.push_back(*size);
    }
    const auto elements = element_count(dims);
    if (!elements || *elements > limits_.elements) {
      findings_.warning("size", at.text(), "a value is declared with more elements than a machine holds");
    }
  }

  void tell(const ExternalFault& fault, const std::string& where) {
    findings_.critical(fault.rule, where, fault.what, fault.hint);
  }

  void judge_domain(const Node& node, const std::string& where) {
    const std::string_view domain = canonical_domain(node.domain);
    if (contains(kStandardDomains, domain)) return;
    // One finding for a domain: a model has thousands of nodes of it.
    if (!domains_.insert(std::string(domain)).second) return;
    if (domain == kMicrosoft) {
      findings_.warning("domain", where, "the operators of com.microsoft run in ONNX Runtime only");
      return;
    }
    findings_.critical(
        "domain", where, fmt::format("domain {} is not ONNX's own", quoted(domain)),
        "its operators come from a library, which is code: none is ever loaded because a model asks");
  }

  /// Data that lies in the model although keys for another file stand beside it: some readers follow the
  /// keys.
  void judge_stray_keys(const Tensor& tensor, const std::string& where) {
    const auto reference = parse_reference(tensor);
    if (!reference) {
      tell(reference.error(), where);
    } else {
      findings_.warning("external-data.keys", where, "it names another file but has its data inside");
    }
  }

  /// A constant that may be a shape or a number of trips.
  struct Constant {
    const Tensor* tensor = nullptr;
    /// Of a node that has it as an attribute of integers.
    const AttributeValue* integers = nullptr;
  };

  /// Many nodes may take the same constant, so that large ones, which are no shapes, are never looked into.
  void remember(std::string_view name, Constant constant) {
    if (constant.tensor != nullptr && constant.tensor->data.size() > kMostShapeBytes) return;
    constants_.back().emplace(name, constant);
  }

  void remember_constant(const Node& node) {
    if (node.outputs.empty()) return;
    for (const Attribute& attribute : node.attributes) {
      if (const auto* tensor = std::get_if<Box<Tensor>>(&attribute.value)) {
        remember(node.outputs[0], {.tensor = &**tensor});
      } else if (attribute.name == "value_int" || attribute.name == "value_ints") {
        remember(node.outputs[0], {.integers = &attribute.value});
      }
    }
  }

  /// The integers of a constant that the scope knows; none if there is no such constant, or it is no shape.
  std::vector<std::int64_t> shape_of(std::string_view name) const {
    for (auto scope = constants_.rbegin(); scope != constants_.rend(); ++scope) {
      const auto found = scope->find(name);
      if (found == scope->end()) continue;
      const auto& [tensor, integers] = found->second;
      if (tensor != nullptr) {
        if (element_count(tensor->dims).value_or(kMostRank + 1) > kMostRank) return {};
        return integer_values(*tensor).value_or(std::vector<std::int64_t>());
      }
      if (const auto* one = std::get_if<std::int64_t>(integers)) return {*one};
      const auto* list = std::get_if<std::vector<std::int64_t>>(integers);
      if (list == nullptr || list->size() > kMostRank) return {};
      return *list;
    }
    return {};
  }

  void judge_loop(const Node& node, const std::string& where) {
    if (node.inputs.empty() || node.inputs[0].empty()) {
      findings_.note("loop", where, "a Loop has no limit of trips: it ends when its condition says so");
      return;
    }
    const std::vector<std::int64_t> trips = shape_of(node.inputs[0]);
    if (trips.size() == 1 && trips[0] > limits_.loop_trips) {
      findings_.warning("loop", where, fmt::format("a Loop may take {} trips", trips[0]));
    }
  }

  void judge_dims(const std::vector<std::int64_t>& dims, const std::string& where) {
    std::vector<std::int64_t> sizes;
    std::ranges::copy_if(dims, std::back_inserter(sizes), [](std::int64_t dim) { return dim >= 0; });
    const auto elements = element_count(sizes);
    if (!elements || *elements > limits_.elements) {
      findings_.critical("size", where, "it makes a value with more elements than a machine holds");
    }
  }

  void judge_shape(std::string_view name, const std::string& where) { judge_dims(shape_of(name), where); }

  void judge_shape_attribute(const Attribute& shape, const std::string& where) {
    if (const auto* dims = std::get_if<std::vector<std::int64_t>>(&shape.value)) judge_dims(*dims, where);
  }

  static constexpr std::uint64_t kMostRank = 1024;
  /// Of that many numbers in their longest form.
  static constexpr std::uint64_t kMostShapeBytes = kMostRank * 10;
  FunctionTable table_;
  ExternalFolder* folder_;
  PolicyLimits limits_;
  FindingList& findings_;
  std::vector<std::map<std::string_view, Constant>> constants_;
  std::set<std::string> domains_;
  std::uint64_t nodes_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::string unknown_where_;
};

/// A marker anywhere: names, attributes, metadata, unknown fields. Data of tensors is no text that an engine
/// reads so.
void look_for_markers(const Model& model, FindingList& findings) {
  Model texts = model;
  for_each_tensor(texts, [](Tensor& tensor, const Place&) { tensor.data = {}; });
  for (const SharedBytes& piece : encode_model(texts)) {
    const std::string_view text(reinterpret_cast<const char*>(piece.data()), piece.size());
    if (text.find("_MEM_ADDR_") == std::string_view::npos) continue;
    findings.critical("memory-marker", "model", "a text in it stands for an address in memory",
                      "no exporter writes this: do not use this model");
    return;
  }
}

}  // namespace

Findings inspect_model(const Model& model, ExternalFolder* folder, const PolicyLimits& limits) {
  FindingList findings;
  PolicyVisitor visitor(model, folder, limits, findings);
  visitor.tell_unknown(model.unknown, {nullptr, "model"});
  walk(model, visitor);
  visitor.finish(model);
  look_for_markers(model, findings);
  return findings.take();
}

Result<InspectedModel> inspect_file(const std::string& path, const ReadLimits& read,
                                    const PolicyLimits& limits) {
  ReadLimits own = read;
  own.attach_external = false;
  JOULERY_ASSIGN(Model model, read_model(path, own));
  JOULERY_ASSIGN(ExternalFolder folder, ExternalFolder::open(folder_of(path), read.file_bytes));
  Findings findings = inspect_model(model, &folder, limits);
  return InspectedModel{std::move(model), std::move(folder), std::move(findings)};
}

Status require_trusted(const Model& model, ExternalFolder* folder, std::string_view name,
                       const PolicyLimits& limits) {
  JOULERY_CHECK_OK(require_sound(inspect_model(model, folder, limits), name));
  return require_sound(check_model(model), name);
}

}  // namespace joulery::onnx
