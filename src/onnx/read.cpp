#include "onnx/read.hpp"

#include <fmt/format.h>

#include "base/files.hpp"
#include "base/text.hpp"
#include "onnx/external_data.hpp"
#include "onnx/file_kind.hpp"
#include "onnx/mapped_file.hpp"

namespace joulery::onnx {
namespace {

Result<Model> read_named(const SharedBytes& bytes, const std::string& name, const ReadLimits& limits) {
  if (const auto kind = foreign_kind(bytes.span())) {
    return user_error(fmt::format("{} is no ONNX model, but {}", name, kind->name), kind->hint);
  }
  JOULERY_ASSIGN(Model model, decode_model(bytes, name, limits.decode));
  if (!model.graph.has_value() || model.ir_version == 0) {
    return user_error(fmt::format("{} is no ONNX model: it has no {}", name,
                                  model.graph.has_value() ? "IR version" : "graph"),
                      "name the .onnx file");
  }
  return model;
}

}  // namespace

Result<Model> read_model(const std::string& path, const ReadLimits& limits) {
  JOULERY_ASSIGN(const SharedBytes bytes, map_file(path, limits.file_bytes));
  JOULERY_ASSIGN(Model model, read_named(bytes, fmt::format("'{}'", printable(path)), limits));
  if (!limits.attach_external) return model;
  JOULERY_ASSIGN(ExternalFolder folder, ExternalFolder::open(folder_of(path), limits.file_bytes));
  JOULERY_CHECK_OK(attach_external_data(model, folder));
  return model;
}

Result<Model> read_model(const SharedBytes& bytes, const ReadLimits& limits) {
  return read_named(bytes, "the file", limits);
}

}  // namespace joulery::onnx
