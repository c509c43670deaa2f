#include "onnx/check.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/text.hpp"
#include "onnx/finding_list.hpp"
#include "onnx/functions.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"

namespace joulery::onnx {
namespace {

struct DomainVersions {
  std::string_view domain;
  std::int64_t oldest, newest;
};
constexpr std::array kDomains{
    DomainVersions{"", kOldestOpset, kNewestOpset}, DomainVersions{"ai.onnx.ml", 1, 5},
    DomainVersions{"ai.onnx.preview.training", 1, 1}, DomainVersions{"ai.onnx.preview", 1, 1}};

std::string quoted(std::string_view name) {
  return "'" + printable(name.substr(0, 200)) + "'";
}

std::string label(const Node& node, const Place& at) {
  const std::string op = printable(node.op_type.substr(0, 100));
  return node.name.empty() ? fmt::format("{} ({})", at.text(), op)
                           : fmt::format("{} ({} {})", at.text(), op, quoted(node.name));
}

/// What holds wherever a part stands: tensors, attributes, types.
struct PartsVisitor {
  FindingList& findings;
  std::int64_t ir_version;

  void tensor(const Tensor& tensor, const Place& at) {
    const auto where = [&] { return fmt::format("{} (tensor {})", at.text(), quoted(tensor.name)); };
    if (const auto fault = tensor_fault(tensor)) {
      findings.critical("tensor-data", where(), *fault, "the model is damaged: export it again");
    } else if (first_ir_version(tensor.data_type) > ir_version) {
      findings.warning(
          "ir-version", where(),
          fmt::format("{} came with IR version {}, the model says {}", data_type_name(tensor.data_type),
                      first_ir_version(tensor.data_type), ir_version));
    }
  }

  void sparse_tensor(const SparseTensor& sparse, const Place& at) {
    if (const auto fault = sparse_fault(sparse)) findings.critical("sparse-tensor", at.text(), *fault);
  }

  void node(const Node& node, const Place& at) {
    if (node.op_type.empty()) {
      findings.critical("node", at.text(), fmt::format("node {} names no operator", quoted(node.name)));
    }
    std::set<std::string_view> names;
    for (const Attribute& attribute : node.attributes) {
      if (!names.insert(attribute.name).second) {
        findings.critical("attribute", label(node, at),
                          fmt::format("its attribute {} is given twice", quoted(attribute.name)));
      }
    }
  }

  void attribute(const Attribute& attribute, const Place& at) {
    const auto where = [&] { return fmt::format("{} (attribute {})", at.text(), quoted(attribute.name)); };
    if (attribute.name.empty()) findings.critical("attribute", at.text(), "an attribute has no name");
    const AttributeType actual = type_of(attribute.value);
    if (!attribute.reference.empty()) {
      if (attribute.value.index() != 0) {
        findings.critical("attribute", where(), "it has a value and refers to another attribute");
      }
      return;
    }
    if (attribute.value.index() == 0) {
      findings.critical("attribute", where(),
                        fmt::format("it says {} but has no value", attribute_type_name(attribute.type)));
    } else if (actual != attribute.type) {
      findings.critical("attribute", where(),
                        fmt::format("it says {} but holds {}", attribute_type_name(attribute.type),
                                    attribute_type_name(actual)));
    }
  }

  /// Indices of values that are not 0: a number each or a row each, ascending and inside the shape.
  static std::optional<std::string> sparse_fault(const SparseTensor& sparse) {
    if (!sparse.values || !sparse.indices) return "it lacks its values or its indices";
    const auto total = element_count(sparse.dims);
    if (!total) return "its shape has a negative dimension or more elements than 63 bits count";
    if (sparse.values->dims.size() != 1) return "its values are not one list";
    const auto count = sparse.values->dims[0];
    const auto& shape = sparse.indices->dims;
    const auto rank = static_cast<std::int64_t>(sparse.dims.size());
    const bool is_list = shape.size() == 1 && shape[0] == count;
    const bool is_rows = shape.size() == 2 && shape[0] == count && shape[1] == rank;
    if (!is_list && !is_rows) return "its indices are not as many as its values";
    if (sparse.indices->data_type != DataType::int64) return "its indices are not int64";
    if (sparse.indices->storage == TensorStorage::external && !sparse.indices->attached) return std::nullopt;
    const auto indices = integer_values(*sparse.indices);
    if (!indices) return std::nullopt;  // told where the tensor itself is looked at
    return is_list ? list_fault(*indices, *total) : rows_fault(*indices, sparse.dims);
  }

  static std::optional<std::string> list_fault(const std::vector<std::int64_t>& indices,
                                               std::uint64_t total) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] < 0 || static_cast<std::uint64_t>(indices[i]) >= total)
        return "an index is outside its shape";
      if (i > 0 && indices[i] <= indices[i - 1]) return "its indices do not ascend";
    }
    return std::nullopt;
  }

  static std::optional<std::string> rows_fault(const std::vector<std::int64_t>& indices,
                                               const std::vector<std::int64_t>& dims) {
    const std::size_t rank = dims.size();
    for (std::size_t row = 0; rank > 0 && row + rank <= indices.size(); row += rank) {
      const auto here = indices.begin() + static_cast<std::ptrdiff_t>(row);
      const auto width = static_cast<std::ptrdiff_t>(rank);
      for (std::size_t axis = 0; axis < rank; ++axis) {
        if (indices[row + axis] < 0 || indices[row + axis] >= dims[axis])
          return "an index is outside its shape";
      }
      if (row > 0 && !std::lexicographical_compare(here - width, here, here, here + width)) {
        return "its indices do not ascend";
      }
    }
    return std::nullopt;
  }
};

/// Names of values that a graph defines; those of the graphs around it are seen through it.
class Scope {
 public:
  explicit Scope(const Scope* outer) : outer_(outer) {}
  bool add(std::string_view name) { return names_.insert(name).second; }
  bool has_own(std::string_view name) const { return names_.contains(name); }
  bool has(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_) {
      if (scope->has_own(name)) return true;
    }
    return false;
  }

 private:
  const Scope* outer_;
  std::unordered_set<std::string_view> names_;
};

/// What nodes may call, where they stand.
struct Imports {
  std::unordered_map<std::string_view, std::int64_t> versions;
};

class GraphChecker {
 public:
  GraphChecker(const Model& model, const FunctionTable& table, FindingList& findings)
      : model_(model), table_(table), findings_(findings) {}

  void check_model() {
    const Imports imports = check_imports(model_.opset_imports, "opset_import");
    Scope main(nullptr);
    if (model_.graph.has_value()) {
      const Place at{nullptr, "graph"};
      check_graph(*model_.graph, at, main, imports, true);
    }
    std::int64_t index = 0;
    for (const TrainingInfo& training : model_.training) {
      const Place at{nullptr, "training_info", index++};
      Scope before(nullptr);
      if (training.initialization.has_value()) {
        check_graph(*training.initialization, {&at, "initialization"}, before, imports, true);
      }
      Scope after(&main);
      if (training.algorithm.has_value()) {
        check_graph(*training.algorithm, {&at, "algorithm"}, after, imports, false);
      }
    }
    check_functions();
  }

 private:
  Imports check_imports(const std::vector<OpsetId>& opsets, const std::string& where) {
    Imports imports;
    for (const OpsetId& opset : opsets) {
      const std::string_view domain = canonical_domain(opset.domain);
      const auto [first, is_new] = imports.versions.emplace(domain, opset.version);
      // Exporters do import a domain twice; that only matters if the versions differ.
      if (!is_new && first->second != opset.version) {
        findings_.critical("opset", where,
                           fmt::format("domain {} is imported in versions {} and {}", quoted(opset.domain),
                                       first->second, opset.version),
                           "engines differ in which one they take: export the model anew");
      }
      const auto known = std::ranges::find(kDomains, domain, &DomainVersions::domain);
      if (known == kDomains.end()) continue;
      if (opset.version < known->oldest) {
        findings_.critical(
            "opset", where,
            fmt::format("version {} of the operators of {} is too old, {} to {} can be run", opset.version,
                        domain.empty() ? "ai.onnx" : domain, known->oldest, known->newest),
            "convert the model with onnx.version_converter or export it anew");
      } else if (opset.version > known->newest) {
        findings_.critical(
            "opset", where,
            fmt::format("version {} of the operators of {} is newer than {}, the newest that this joulery "
                        "knows",
                        opset.version, domain.empty() ? "ai.onnx" : domain, known->newest),
            "install a newer joulery, or export the model with an older opset");
      }
    }
    return imports;
  }

  void define(std::string_view name, const std::string& what, const Place& at, Scope& scope) {
    if (!scope.add(name)) {
      findings_.critical("names", at.text(), fmt::format("{} {} is defined twice", what, quoted(name)));
    }
  }

  void check_graph(const Graph& graph, const Place& at, Scope& scope, const Imports& imports,
                   bool is_outermost) {
    std::unordered_set<std::string_view> inputs;
    for (const ValueInfo& input : graph.inputs) {
      if (input.name.empty()) {
        findings_.critical("names", at.text(), "an input has no name");
        continue;
      }
      inputs.insert(input.name);
      define(input.name, "input", at, scope);
      if (is_outermost && !input.type) {
        findings_.critical("types", at.text(), fmt::format("input {} has no type", quoted(input.name)));
      }
    }
    check_initializers(graph, at, scope, inputs);
    check_nodes(graph.nodes, at, scope, imports);
    std::unordered_set<std::string_view> outputs;
    for (const ValueInfo& output : graph.outputs) check_output(output, at, scope, outputs);
    if (is_outermost && graph.outputs.empty())
      findings_.warning("names", at.text(), "the graph has no output");
  }

  void check_initializers(const Graph& graph, const Place& at, Scope& scope,
                          const std::unordered_set<std::string_view>& inputs) {
    std::unordered_set<std::string_view> initialized;
    const auto check = [&](std::string_view name) {
      if (name.empty()) {
        findings_.critical("names", at.text(), "an initializer has no name");
      } else if (!initialized.insert(name).second) {
        findings_.critical("names", at.text(), fmt::format("initializer {} is given twice", quoted(name)));
      } else if (!inputs.contains(name)) {
        // Up to IR version 3 an initializer is the default of an input; nothing breaks if it is none.
        define(name, "initializer", at, scope);
      }
    };
    for (const Tensor& tensor : graph.initializers) check(tensor.name);
    for (const SparseTensor& sparse : graph.sparse_initializers) {
      check(sparse.values ? std::string_view(sparse.values->name) : std::string_view());
    }
  }

  void check_output(const ValueInfo& output, const Place& at, const Scope& scope,
                    std::unordered_set<std::string_view>& outputs) {
    if (output.name.empty()) {
      findings_.critical("names", at.text(), "an output has no name");
    } else if (!outputs.insert(output.name).second) {
      findings_.warning("names", at.text(), fmt::format("output {} is listed twice", quoted(output.name)));
    } else if (!scope.has(output.name)) {
      findings_.critical("names", at.text(), fmt::format("nothing gives the output {}", quoted(output.name)));
    } else if (!scope.has_own(output.name)) {
      findings_.warning("names", at.text(),
                        fmt::format("output {} is a value of an outer graph, which some engines refuse",
                                    quoted(output.name)),
                        "put an Identity node between");
    }
  }

  void check_nodes(const std::vector<Node>& nodes, const Place& at, Scope& scope, const Imports& imports) {
    std::unordered_set<std::string_view> later;
    bool is_later_known = false;
    std::int64_t index = 0;
    for (const Node& node : nodes) {
      const Place here{&at, "node", index++};
      for (const std::string& input : node.inputs) {
        if (input.empty() || scope.has(input)) continue;
        if (!is_later_known) {
          for (const Node& other : nodes) later.insert(other.outputs.begin(), other.outputs.end());
          is_later_known = true;
        }
        if (later.contains(input)) {
          findings_.critical("order", label(node, here),
                             fmt::format("its input {} is only made by a later node", quoted(input)),
                             "the nodes must be in the order of execution");
        } else {
          findings_.critical("names", label(node, here),
                             fmt::format("nothing gives its input {}", quoted(input)));
        }
      }
      check_call(node, here, imports);
      check_subgraphs(node, here, scope, imports);
      for (const std::string& output : node.outputs) {
        if (output.empty()) continue;
        if (scope.has(output) && !scope.has_own(output)) {
          findings_.critical(
              "names", label(node, here),
              fmt::format("its output {} has the name of a value of an outer graph", quoted(output)));
        } else if (!scope.add(output)) {
          findings_.critical("names", label(node, here),
                             fmt::format("its output {} is defined twice", quoted(output)));
        }
      }
    }
  }

  void check_subgraphs(const Node& node, const Place& at, const Scope& scope, const Imports& imports) {
    std::int64_t index = 0;
    for (const Attribute& attribute : node.attributes) {
      const Place place{&at, "attribute", index++};
      if (const auto* graph = std::get_if<Box<Graph>>(&attribute.value)) {
        Scope inner(&scope);
        check_graph(**graph, {&place, "g"}, inner, imports, false);
      }
      if (const auto* graphs = std::get_if<std::vector<Graph>>(&attribute.value)) {
        std::int64_t number = 0;
        for (const Graph& graph : *graphs) {
          Scope inner(&scope);
          check_graph(graph, {&place, "graphs", number++}, inner, imports, false);
        }
      }
    }
  }

  void check_call(const Node& node, const Place& at, const Imports& imports) {
    const std::string_view domain = canonical_domain(node.domain);
    if (!imports.versions.contains(domain)) {
      findings_.critical(
          "opset", label(node, at),
          fmt::format("no opset_import has its domain {}", quoted(domain.empty() ? "ai.onnx" : domain)));
    }
    const Function* function = table_.find(node);
    if (function == nullptr) {
      const bool is_standard = std::ranges::find(kDomains, domain, &DomainVersions::domain) != kDomains.end();
      if (!is_standard && table_.has_domain(domain)) {
        findings_.critical(
            "functions", label(node, at),
            fmt::format("the model has functions of domain {}, but not this one", quoted(domain)));
      }
      return;
    }
    if (node.inputs.size() > function->inputs.size() || node.outputs.size() > function->outputs.size()) {
      findings_.critical(
          "functions", label(node, at),
          fmt::format("it has {} inputs and {} outputs, its function has {} and {}", node.inputs.size(),
                      node.outputs.size(), function->inputs.size(), function->outputs.size()));
    }
    check_attributes(node, *function, at);
  }

  /// The first one that is missing: a hostile function wants millions of them in every call.
  void check_attributes(const Node& node, const Function& function, const Place& at) {
    if (function.attributes.empty()) return;
    std::unordered_set<std::string_view> given;
    for (const Attribute& attribute : node.attributes) given.insert(attribute.name);
    for (const std::string_view name : attributes_of(function)) {
      if (given.contains(name)) continue;
      findings_.critical("functions", label(node, at),
                         fmt::format("it lacks the attribute {} of its function", quoted(name)));
      return;
    }
  }

  /// Each name once, in their order.
  const std::vector<std::string_view>& attributes_of(const Function& function) {
    const auto [found, is_new] = attributes_.try_emplace(&function);
    if (is_new) {
      std::unordered_set<std::string_view> seen;
      for (const std::string& name : function.attributes) {
        if (seen.insert(name).second) found->second.push_back(name);
      }
    }
    return found->second;
  }

  void check_functions() {
    if (!model_.functions.empty() && model_.ir_version < 8) {
      findings_.warning("ir-version", "functions", "functions came with IR version 8");
    }
    for (const std::size_t index : table_.doubled()) {
      findings_.critical("functions", fmt::format("functions[{}]", index),
                         fmt::format("function {} is defined twice", quoted(model_.functions[index].name)));
    }
    const Expansion expansion = expand_calls(model_, table_);
    if (!expansion.circle.empty()) {
      findings_.critical("functions", "functions",
                         fmt::format("function {} calls itself, through {} others",
                                     quoted(expansion.circle.front()), expansion.circle.size() - 1));
    }
    std::int64_t index = 0;
    for (const Function& function : model_.functions)
      check_function(function, {nullptr, "functions", index++});
  }

  void check_function(const Function& function, const Place& at) {
    if (function.name.empty()) findings_.critical("functions", at.text(), "a function has no name");
    const Imports imports = check_imports(function.opset_imports, at.text() + ".opset_import");
    // Engines differ in which of two defaults they take.
    Scope attributes(nullptr);
    for (const std::string& name : function.attributes) define(name, "attribute", at, attributes);
    for (const Attribute& item : function.default_attributes) define(item.name, "attribute", at, attributes);
    Scope scope(nullptr);
    for (const std::string& input : function.inputs) define(input, "input", at, scope);
    check_nodes(function.nodes, at, scope, imports);
    for (const std::string& output : function.outputs) {
      if (!scope.has(output)) {
        findings_.critical("names", at.text(), fmt::format("nothing gives the output {}", quoted(output)));
      }
    }
  }

  const Model& model_;
  const FunctionTable& table_;
  FindingList& findings_;
  std::unordered_map<const Function*, std::vector<std::string_view>> attributes_;
};

/// An attribute may refer to another only in a function, and only to one that the function has.
struct ReferenceVisitor {
  FindingList& findings;
  const Function* current = nullptr;
  std::unordered_set<std::string_view> known = {};

  void function(const Function& function, const Place&) {
    current = &function;
    known = {function.attributes.begin(), function.attributes.end()};
    for (const Attribute& attribute : function.default_attributes) known.insert(attribute.name);
  }
  void attribute(const Attribute& attribute, const Place& at) {
    if (attribute.reference.empty()) return;
    const bool is_known = known.contains(attribute.reference);
    if (is_known) return;
    findings.critical(
        "attribute", at.text(),
        current == nullptr
            ? fmt::format("attribute {} refers to another one outside of a function", quoted(attribute.name))
            : fmt::format("attribute {} refers to {}, which its function has not", quoted(attribute.name),
                          quoted(attribute.reference)));
  }
};

void check_versions(const Model& model, FindingList& findings) {
  if (model.ir_version < kOldestIrVersion) {
    findings.critical("ir-version", "model",
                      fmt::format("IR version {} is too old, {} to {} can be read", model.ir_version,
                                  kOldestIrVersion, kNewestIrVersion),
                      "export the model anew");
  } else if (model.ir_version > kNewestIrVersion) {
    findings.critical("ir-version", "model",
                      fmt::format("IR version {} is newer than {}, the newest that this joulery knows",
                                  model.ir_version, kNewestIrVersion),
                      "install a newer joulery");
  }
  if (model.opset_imports.empty()) findings.critical("opset", "model", "the model imports no operators");
  if (!model.graph.has_value()) findings.critical("graph", "model", "the model has no graph");
}

}  // namespace

Findings check_model(const Model& model) {
  FindingList findings;
  check_versions(model, findings);
  PartsVisitor parts{findings, model.ir_version};
  walk(model, parts);
  ReferenceVisitor references{findings};
  walk(model, references);
  const FunctionTable table(model);
  GraphChecker(model, table, findings).check_model();
  return findings.take();
}

Status require_sound(const Findings& findings, std::string_view name) {
  const auto first = std::ranges::find(findings, Severity::critical, &Finding::severity);
  if (first == findings.end()) return {};
  const auto count = std::ranges::count(findings, Severity::critical, &Finding::severity);
  const std::string others = count > 1 ? fmt::format(" (and {} more)", count - 1) : "";
  return user_error(fmt::format("{}: {}: {}{}", name, first->where, first->what, others), first->hint);
}

}  // namespace joulery::onnx
