#include "app/model_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <unordered_set>
#include <utility>

#include "base/text.hpp"
#include "engine/evaluator.hpp"
#include "onnx/check.hpp"
#include "onnx/encode.hpp"
#include "onnx/external_data.hpp"
#include "onnx/write.hpp"

namespace joulery::app {
namespace {

/// From here on engines read a file of their own: two copies in memory would be too much.
constexpr std::uint64_t kLargestInMemory = 1ULL << 30U;

bool is_folder(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool is_missing(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found;
}

data::Shape shape_of(const std::optional<onnx::Shape>& declared) {
  if (!declared) return {};
  std::vector<std::int64_t> dimensions;
  for (const onnx::Dimension& dimension : declared->dimensions) {
    const auto* size = std::get_if<std::int64_t>(&dimension.size);
    // Exporters write 0 and less where they do not know.
    dimensions.push_back(size != nullptr && *size > 0 ? *size : data::kUnknownDimension);
  }
  auto shape = data::Shape::create(dimensions);
  return shape ? *shape : data::Shape();
}

}  // namespace

Result<ModelFile> ModelFile::open(const std::string& path) {
  std::string file = path;
  if (is_folder(path)) {
    file = path + "/model.onnx";
    if (is_missing(file)) {
      return user_error(fmt::format("'{}' is a folder without a model.onnx", printable(path)),
                        "name a model's file, or the folder of a bundle");
    }
  }
  if (is_missing(file)) {
    return user_error(fmt::format("there is no model '{}'", printable(file)),
                      "name an ONNX file, the folder of a bundle, or the URL of a server");
  }
  JOULERY_ASSIGN(onnx::InspectedModel inspected, onnx::inspect_file(file));
  for (const onnx::Finding& finding : inspected.findings) {
    if (finding.severity != onnx::Severity::critical) continue;
    return user_error(
        fmt::format("'{}' must not reach an engine: {} ({}): {}", printable(file), printable(finding.where),
                    finding.rule, printable(finding.what)),
        finding.hint.empty() ? "do not run it unless you know where it comes from" : finding.hint);
  }
  ModelFile result(path, std::move(inspected));
  JOULERY_CHECK_OK(result.prepare());
  result.file_bytes_ = std::filesystem::file_size(file);
  for (const auto& [name, bytes] : result.inspected_.folder.files()) result.file_bytes_ += bytes.size();
  return result;
}

Status ModelFile::prepare() {
  onnx::Model& model = inspected_.model;
  JOULERY_CHECK_OK(onnx::attach_external_data(model, inspected_.folder));
  JOULERY_CHECK_OK(onnx::require_sound(onnx::check_model(model), name()));
  JOULERY_ASSIGN(const onnx::Model whole, onnx::with_own_data(model));
  JOULERY_ASSIGN(sha256_, onnx::model_hash(whole));
  const auto pieces = onnx::encode_model(whole);
  if (onnx::total_size(pieces) <= kLargestInMemory) {
    bytes_ = onnx::join(pieces);
    return {};
  }
  JOULERY_ASSIGN(folder_, TemporaryFolder::create("the model"));
  JOULERY_ASSIGN(const onnx::WrittenModel written, onnx::write_model(model, folder_->path() + "/model.onnx"));
  static_cast<void>(written);
  return {};
}

std::string ModelFile::name() const {
  const std::string trimmed = path_.ends_with('/') ? path_.substr(0, path_.size() - 1) : path_;
  return trimmed.substr(trimmed.rfind('/') + 1);
}

std::int64_t ModelFile::opset() const {
  for (const onnx::OpsetId& opset : model().opset_imports) {
    if (onnx::canonical_domain(opset.domain).empty()) return opset.version;
  }
  return 0;
}

engine::ModelSource ModelFile::source() const {
  engine::ModelSource source;
  if (folder_) {
    source.path = folder_->path() + "/model.onnx";
  } else {
    source.bytes = std::as_bytes(bytes_.span());
  }
  std::unordered_set<std::string> own;
  for (const onnx::Tensor& tensor : model().graph->initializers) own.insert(tensor.name);
  for (const onnx::ValueInfo& input : model().graph->inputs) {
    if (!own.contains(input.name)) source.input_names.push_back(input.name);
  }
  for (const onnx::ValueInfo& output : model().graph->outputs) source.output_names.push_back(output.name);
  return source;
}

Result<std::vector<engine::Port>> ModelFile::inputs() const {
  std::unordered_set<std::string> own;
  for (const onnx::Tensor& tensor : model().graph->initializers) own.insert(tensor.name);
  std::vector<engine::Port> ports;
  for (const onnx::ValueInfo& input : model().graph->inputs) {
    if (own.contains(input.name)) continue;
    const auto* tensor = input.type ? std::get_if<onnx::TensorType>(&input.type->value) : nullptr;
    const data::DataType type =
        tensor == nullptr ? data::DataType::unknown : engine::data_type_of(tensor->element);
    if (type == data::DataType::unknown) {
      return user_error(
          fmt::format("input '{}' of {} is no tensor of numbers", printable(input.name), name()),
          "only models whose inputs are tensors of numbers can be measured");
    }
    if (!tensor->shape) {
      return user_error(
          fmt::format("{} does not say how many dimensions input '{}' has", name(), printable(input.name)),
          "write its shape into the model, with names for dimensions that are open, and try again");
    }
    ports.push_back({.name = input.name, .type = type, .shape = shape_of(tensor->shape)});
  }
  return ports;
}

std::vector<engine::Port> ModelFile::declared_outputs() const {
  std::vector<engine::Port> ports;
  for (const onnx::ValueInfo& output : model().graph->outputs) {
    const auto* tensor = output.type ? std::get_if<onnx::TensorType>(&output.type->value) : nullptr;
    if (tensor == nullptr || !tensor->shape) continue;
    ports.push_back({.name = output.name,
                     .type = engine::data_type_of(tensor->element),
                     .shape = shape_of(tensor->shape)});
  }
  return ports;
}

}  // namespace joulery::app
