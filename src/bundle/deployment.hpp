#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace joulery::bundle {

/// How a bundle's model is to be run: its deployment.toml. What is not there is left to whoever runs it.
/// Nothing in it names a library or a file: a bundle may come from anybody.
struct Deployment {
  std::optional<std::string> engine = {};     // "onnxruntime"
  std::optional<std::string> precision = {};  // "f32"
  std::optional<int> threads = {};
  std::optional<int> streams = {};
  std::optional<std::int64_t> batch = {};
  std::optional<std::string> optimisation = {};
  std::optional<bool> pin_threads = {};
  std::optional<bool> spin = {};
  std::optional<bool> flush_denormals = {};
};

/// User error that names the key for what is no TOML, an unknown key and a value of the wrong kind. `name` is
/// what the text is called there.
Result<Deployment> parse_deployment(std::string_view text, const std::string& name);
/// Of the bundle in this folder; an empty one if it has no deployment.toml.
Result<Deployment> read_deployment(const std::string& folder);

}  // namespace joulery::bundle
