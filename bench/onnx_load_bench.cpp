// A model with 1 GB of external data: what it costs to load, inspect and check it, beside plainly reading its
// files. The files are in the page cache. Prints a table of medians and their ratios to plain reading.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "onnx/check.hpp"
#include "onnx/policy.hpp"
#include "onnx/read.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"
#include "onnx/write.hpp"

namespace {

using namespace joulery;
using namespace joulery::onnx;

constexpr int kTensors = 256;
constexpr std::int64_t kRows = 1000;
constexpr std::int64_t kColumns = 1000;
constexpr int kRounds = 9;

Model chain_of_products() {
  Model model;
  model.ir_version = 8;
  model.opset_imports.push_back({"", 17, {}});
  Graph& graph = model.graph.emplace();
  const auto value = [](const std::string& name) {
    const Shape shape{{{std::int64_t{1}, "", {}}, {kColumns, "", {}}}, {}};
    return ValueInfo{name, Type{TensorType{DataType::float32, shape, {}}, "", {}}, "", {}, {}};
  };
  graph.name = "main";
  graph.inputs.push_back(value("h0"));
  const Tensor weights = make_tensor("", {kRows, kColumns},
                                     std::vector<float>(static_cast<std::size_t>(kRows * kColumns), 0.3F));
  for (int i = 0; i < kTensors; ++i) {
    graph.initializers.push_back(weights);
    graph.initializers.back().name = fmt::format("w{}", i);
    Node node;
    node.op_type = "MatMul";
    node.inputs = {fmt::format("h{}", i), fmt::format("w{}", i)};
    node.outputs = {fmt::format("h{}", i + 1)};
    graph.nodes.push_back(std::move(node));
  }
  graph.outputs.push_back(value(fmt::format("h{}", kTensors)));
  return model;
}

bool read_plainly(const std::string& path, std::vector<char>& buffer) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ssize_t got = 1;
  while (got > 0) got = ::read(file.get(), buffer.data(), buffer.size());
  return file.valid() && got == 0;
}

bool load_and_check(const std::string& path, bool touch) {
  auto inspected = inspect_file(path);
  if (!inspected || has_critical(inspected->findings)) return false;
  Model& model = inspected->model;
  if (!attach_external_data(model, inspected->folder) || !require_sound(check_model(model), path))
    return false;
  if (!touch) return true;
  std::uint64_t sum = 0;
  for_each_tensor(model, [&sum](const Tensor& tensor, const Place&) {
    for (std::size_t at = 0; at < tensor.data.size(); at += 4096) sum += tensor.data.data()[at];
  });
  return sum > 0;
}

struct Step {
  const char* name;
  std::function<bool()> work;
  std::vector<double> seconds;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int measure(const std::string& folder) {
  const std::string path = folder + "/model.onnx";
  const auto written = write_model(chain_of_products(), path, {.data = WriteOptions::Data::in_side_file});
  if (!written) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return 1;
  }
  std::vector<char> buffer(1U << 20U);
  std::vector<Step> steps{
      {"read both files",
       [&] { return read_plainly(path, buffer) && read_plainly(folder + "/" + written->side_file, buffer); },
       {}},
      {"load, inspect, check", [&] { return load_and_check(path, false); }, {}},
      {"the same, and touch every page", [&] { return load_and_check(path, true); }, {}},
      {"SHA-256 of the model",
       [&] {
         const auto model = read_model(path);
         return model && model_hash(*model).has_value();
       },
       {}},
  };
  for (int round = 0; round < kRounds; ++round) {
    for (Step& step : steps) {
      const auto begin = std::chrono::steady_clock::now();
      if (!step.work()) return 1;
      step.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
  }
  std::printf("%d tensors, %.0f MB, %d rounds interleaved\n\n| step | median, ms | ratio |\n|---|---|---|\n",
              kTensors, double(written->side_file_bytes) / 1e6, kRounds);
  const double plain = median(steps[0].seconds);
  for (const Step& step : steps) {
    std::printf("| %s | %.1f | %.3f |\n", step.name, 1e3 * median(step.seconds),
                median(step.seconds) / plain);
  }
  return 0;
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "joulery_onnx_load.XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const int result = measure(folder);
  std::filesystem::remove_all(folder);
  return result;
}
