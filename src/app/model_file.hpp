#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/temporary_folder.hpp"
#include "base/files.hpp"
#include "base/result.hpp"
#include "engine/engine.hpp"
#include "onnx/finding.hpp"
#include "onnx/model.hpp"
#include "onnx/policy.hpp"
#include "onnx/shared_bytes.hpp"

namespace joulery::app {

/// A model that has passed our checks, in the bytes that we wrote from it: what an engine may be given.
class ModelFile {
 public:
  /// A file, or a bundle: a folder with model.onnx. User error if it is no model or must not reach an engine.
  static Result<ModelFile> open(const std::string& path);

  /// As the user named it.
  const std::string& path() const { return path_; }
  /// "resnet8.onnx"
  std::string name() const;
  const onnx::Model& model() const { return inspected_.model; }
  /// What is to be known of it; nothing critical.
  const onnx::Findings& findings() const { return inspected_.findings; }
  /// SHA-256 of its canonical bytes with all data.
  const std::string& sha256() const { return sha256_; }
  /// With the files of its external data.
  std::uint64_t file_bytes() const { return file_bytes_; }
  std::int64_t opset() const;
  /// Valid as long as this.
  engine::ModelSource source() const;
  /// Inputs without values of their own, as the model declares them. User error for one that is no tensor.
  Result<std::vector<engine::Port>> inputs() const;
  /// Outputs as far as the model declares them: those that are tensors of numbers with a known rank.
  std::vector<engine::Port> declared_outputs() const;

 private:
  ModelFile(std::string path, onnx::InspectedModel inspected)
      : path_(std::move(path)), inspected_(std::move(inspected)) {}
  Status prepare();

  std::string path_;
  onnx::InspectedModel inspected_;
  onnx::SharedBytes bytes_;
  /// With the model and its data, for what is too large for one piece.
  std::optional<TemporaryFolder> folder_;
  std::string sha256_;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace joulery::app
