#include "onnx/functions.hpp"

#include <algorithm>
#include <unordered_map>

#include "onnx/walk.hpp"

namespace joulery::onnx {
namespace {

constexpr std::uint64_t kMost = 1ULL << 63U;

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMost : std::min(sum, kMost);
}

/// A body: its own nodes, and the functions that it calls, once for each call.
struct Body {
  std::uint64_t nodes = 0;
  std::vector<const Function*> calls;
};

struct BodyVisitor {
  const FunctionTable& table;
  Body& body;
  void node(const Node& node, const Place&) {
    if (const Function* function = table.find(node)) {
      body.calls.push_back(function);
    } else {
      ++body.nodes;
    }
  }
};

/// Depth first, with a stack of its own: a chain of calls may be as long as the file allows.
class Expander {
 public:
  Expander(const Model& model, const FunctionTable& table) {
    for (const Function& function : model.functions) {
      BodyVisitor visitor{table, bodies_[&function]};
      Walk<BodyVisitor> walk(visitor);
      for (const Node& node : function.nodes) walk.node(node, {nullptr, "node"});
    }
  }

  /// Adds up what `function` expands to; false if there is a circle, which `circle` then holds.
  bool visit(const Function* root, std::vector<std::string>& circle) {
    if (totals_.contains(root)) return true;
    stack_.assign(1, {root, 0});
    on_stack_[root] = true;
    while (!stack_.empty()) {
      Step& step = stack_.back();
      const Body& body = bodies_[step.function];
      if (step.next == body.calls.size()) {
        finish(step.function, body);
        continue;
      }
      const Function* callee = body.calls[step.next++];
      if (totals_.contains(callee)) continue;
      if (on_stack_[callee]) {
        tell_circle(callee, circle);
        return false;
      }
      on_stack_[callee] = true;
      stack_.push_back({callee, 0});
    }
    return true;
  }
  std::uint64_t total(const Function* function) const { return totals_.at(function); }

 private:
  struct Step {
    const Function* function;
    std::size_t next;
  };
  void finish(const Function* function, const Body& body) {
    std::uint64_t total = body.nodes;
    for (const Function* callee : body.calls) total = add(total, totals_.at(callee));
    totals_[function] = total;
    on_stack_[function] = false;
    stack_.pop_back();
  }
  void tell_circle(const Function* first, std::vector<std::string>& circle) const {
    const auto begin = std::ranges::find(stack_, first, &Step::function);
    for (auto step = begin; step != stack_.end(); ++step) circle.push_back(step->function->name);
  }

  std::unordered_map<const Function*, Body> bodies_;
  std::unordered_map<const Function*, std::uint64_t> totals_;
  std::unordered_map<const Function*, bool> on_stack_;
  std::vector<Step> stack_;
};

struct GraphBodyVisitor {
  BodyVisitor& inner;
  bool in_function = false;
  void function(const Function&, const Place&) { in_function = true; }
  void node(const Node& node, const Place& at) {
    // Functions come last in a walk; their bodies count where they are called.
    if (!in_function) inner.node(node, at);
  }
};

}  // namespace

FunctionTable::FunctionTable(const Model& model) {
  for (std::size_t i = 0; i < model.functions.size(); ++i) {
    const Function& function = model.functions[i];
    const Key key{canonical_domain(function.domain), function.name, function.overload};
    if (!functions_.emplace(key, &function).second) doubled_.push_back(i);
  }
}

const Function* FunctionTable::find(const Node& node) const {
  if (functions_.empty()) return nullptr;
  const auto found = functions_.find(Key{canonical_domain(node.domain), node.op_type, node.overload});
  return found == functions_.end() ? nullptr : found->second;
}

bool FunctionTable::has_domain(std::string_view domain) const {
  const std::string_view wanted = canonical_domain(domain);
  const auto first = functions_.lower_bound(Key{wanted, "", ""});
  return first != functions_.end() && std::get<0>(first->first) == wanted;
}

Expansion expand_calls(const Model& model, const FunctionTable& table) {
  Expansion expansion;
  Expander expander(model, table);
  for (const Function& function : model.functions) {
    if (!expander.visit(&function, expansion.circle)) return expansion;
  }
  Body body;
  BodyVisitor inner{table, body};
  GraphBodyVisitor visitor{inner};
  walk(model, visitor);
  expansion.nodes = body.nodes;
  for (const Function* callee : body.calls) expansion.nodes = add(expansion.nodes, expander.total(callee));
  return expansion;
}

}  // namespace joulery::onnx
