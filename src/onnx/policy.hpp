#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "onnx/external_data.hpp"
#include "onnx/finding.hpp"
#include "onnx/model.hpp"
#include "onnx/read.hpp"

namespace joulery::onnx {

/// From where on a model is more than what people export.
struct PolicyLimits {
  unsigned graph_depth = 16;
  std::uint64_t nodes = 1'000'000;
  /// Nodes after the functions' bodies have taken the place of their calls.
  std::uint64_t expanded_nodes = 10'000'000;
  /// Elements that one value or constant may declare.
  std::uint64_t elements = 1ULL << 36U;
  /// Trips of a Loop whose count is a constant.
  std::int64_t loop_trips = 1LL << 31U;
  std::uint64_t data_bytes = 1ULL << 40U;
};

/// What speaks against a model from somebody whom one need not trust. Looked at is what the model's own
/// structs hold, and only bytes written from these go to an engine, so that nothing can be read in two ways.
/// Without `folder` the files of external data are not opened. A critical finding means: this model must not
/// reach an engine.
///
/// Rules: "external-data.…" and "memory-marker" (external_data.hpp) wherever a tensor can be; "tensor-data"
/// (data and shape disagree); "domain" (operators that are not ONNX's own); "python-op" and "context-file"
/// (operators that run code or load files); "recursion", "depth", "nodes", "size", "loop" (what makes an
/// engine work without end); "unknown-fields".
Findings inspect_model(const Model& model, ExternalFolder* folder, const PolicyLimits& limits = {});

/// A model that was read for inspection. No external data is attached yet: attach_external_data(model,
/// folder) does it with the very files that were inspected.
struct InspectedModel {
  Model model;
  ExternalFolder folder;
  Findings findings;
};
/// Reads and inspects a file and the files of its external data. An error if it can't be read at all.
Result<InspectedModel> inspect_file(const std::string& path, const ReadLimits& read = {},
                                    const PolicyLimits& limits = {});

/// The structural check's findings and the policy's in one: the first critical one is a user error.
Status require_trusted(const Model& model, ExternalFolder* folder, std::string_view name,
                       const PolicyLimits& limits = {});

}  // namespace joulery::onnx
