// ONNX files from somebody whom one need not trust: read, checked, inspected, their external data looked up
// in a folder with a few files and traps, edited and written again.

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "onnx/check.hpp"
#include "onnx/cost.hpp"
#include "onnx/decode.hpp"
#include "onnx/edit.hpp"
#include "onnx/encode.hpp"
#include "onnx/file_kind.hpp"
#include "onnx/passes/opset_upgrade.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/policy.hpp"
#include "onnx/precision_request.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"
#include "onnx/write.hpp"

namespace {

using namespace joulery;
using namespace joulery::onnx;

void require(bool holds) {
  if (!holds) std::abort();
}

/// A model's folder, as small and as full of traps as can be.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "joulery_onnx_fuzz.XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    std::filesystem::create_directory(path_ + "/m");
    std::ofstream(path_ + "/secret") << std::string(64, kSecret);
    std::ofstream(path_ + "/m/w") << std::string(64, 'w');
    std::filesystem::create_symlink("../secret", path_ + "/m/l");
    std::filesystem::create_directory_symlink("..", path_ + "/m/u");
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string model() const { return path_ + "/m"; }
  static constexpr char kSecret = '\x5A';

 private:
  std::string path_;
};

/// Every byte is looked at, so that a sanitizer sees a view that leaves its bytes.
std::uint64_t touch(const SharedBytes& bytes) {
  std::uint64_t sum = 0;
  for (const std::uint8_t byte : bytes.span()) sum += byte;
  return sum;
}

void use_tensors(const Model& model) {
  for_each_tensor(model, [](const Tensor& tensor, const Place& at) {
    (void)touch(tensor.data);
    require(!at.text().empty());
    if (tensor.storage == TensorStorage::external && tensor.attached) {
      require(tensor.data.size() == *raw_size(tensor.data_type, *element_count(tensor.dims)));
      for (const std::uint8_t byte : tensor.data.span()) require(byte != Folder::kSecret);
    }
    if (tensor_fault(tensor) || tensor.data_type == DataType::string) return;
    if (element_count(tensor.dims).value_or(0) > 1U << 20U) return;
    if (const auto raw = raw_bytes(tensor)) {
      require(raw->size() == *raw_size(tensor.data_type, *element_count(tensor.dims)));
      (void)integer_values(tensor);
      (void)real_values(tensor);
    }
  });
}

void edit(Model model) {
  for_each_graph(*model.graph, [](Graph& graph) {
    const GraphIndex index(graph);
    FreshNames names(graph);
    if (!graph.nodes.empty() && !graph.nodes[0].outputs.empty()) {
      rename_values(graph, {{graph.nodes[0].outputs[0], names.make("renamed")}});
    }
    const std::size_t count = graph.nodes.size();
    require(sort_nodes(graph).has_value() || graph.nodes.size() == count);
    require(graph.nodes.size() == count);
  });
  require(decode_model(join(encode_model(model)), "it").has_value());
}

/// What was sound is sound after the passes, and keeps its outputs.
void run_passes(Model model) {
  if (has_critical(check_model(model))) return;
  static const auto passes = standard_passes();
  const std::vector<ValueInfo> outputs = model.graph->outputs;
  require(apply_passes(model, passes).has_value());
  require(!has_critical(check_model(model)) && model.graph->outputs == outputs);
}

/// Answers every question with one number: what comes of it must be a sound model all the same.
class OneNumber final : public Evaluator {
 public:
  Result<std::vector<Tensor>> evaluate(const Model& model, std::span<const Tensor>) override {
    require(!has_critical(check_model(model)));
    std::vector<Tensor> results;
    for (const ValueInfo& output : model.graph->outputs) {
      results.push_back(make_tensor(output.name, {}, std::vector<std::int64_t>{1}));
    }
    return results;
  }
  Result<std::vector<DataType>> output_types(const Model& model, std::span<const Tensor>) override {
    return std::vector<DataType>(model.graph->outputs.size(), DataType::int64);
  }
};

/// What needs to know what operators mean.
void understand(Model model) {
  if (has_critical(check_model(model))) return;
  const ModelCost cost = model_cost(model, declared_shapes(model));
  require(cost.operators.size() == model.graph->nodes.size());
  (void)low_precision_requests(model);
  (void)name_nodes(model);
  require(name_nodes(model) == 0);
  const std::vector<ValueInfo> outputs = model.graph->outputs;
  const Model before = model;
  const bool is_upgraded = upgrade_opset(model).has_value();
  require(is_upgraded ? !has_critical(check_model(model)) : model == before);
  OneNumber evaluator;
  require(make_constant_folding(evaluator)->apply(model).has_value());
  require(!has_critical(check_model(model)) && model.graph->outputs == outputs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  // Of its own size, so that every byte behind its end is another's.
  const SharedBytes bytes = SharedBytes::copy_of({data, size});
  (void)foreign_kind(bytes.span());
  DecodeLimits limits;
  limits.items = 1'000'000;
  limits.memory_bytes = 256ULL << 20U;
  auto model = decode_model(bytes, "it", limits);
  if (!model) {
    require(model.error().message.find("at byte ") != std::string::npos);
    return 0;
  }
  const SharedBytes canonical = join(encode_model(*model));
  const auto again = decode_model(canonical, "it", limits);
  require(again.has_value() && join(encode_model(*again)) == canonical);
  use_tensors(*model);
  (void)check_model(*model);
  auto files = ExternalFolder::open(folder.model(), 1U << 20U);
  require(files.has_value());
  const bool is_trusted = !has_critical(inspect_model(*model, &*files));
  const bool is_attached = attach_external_data(*model, *files).has_value();
  require(is_attached || !is_trusted);
  use_tensors(*model);
  if (is_attached && model->graph.has_value()) {
    if (const auto whole = with_own_data(*model)) {
      edit(*whole);
      run_passes(*whole);
      understand(*whole);
    }
  }
  return 0;
}
