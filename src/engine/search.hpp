#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::engine {

/// An engine that joulery can drive.
struct EngineKind {
  const char* name;          // "onnxruntime": also the Python package that brings it
  const char* title;         // "ONNX Runtime"
  const char* wheel_folder;  // in the Python packages: "onnxruntime/capi"
  const char* file_prefix;   // "libonnxruntime.so"
};
std::span<const EngineKind> engine_kinds();

/// A folder to look in, and what it is to the user.
struct SearchPlace {
  enum class Kind {
    /// Holds lib/python3.*/site-packages.
    python_environment,
    /// Python packages, such as /usr/lib/python3/dist-packages.
    python_packages,
    /// Shared libraries.
    libraries,
    /// Any of these: what the user named.
    any,
  };
  Kind kind = Kind::libraries;
  std::string folder;
  std::string what;  // "the active Python environment"
};

/// Where the program is started from, as far as it matters to where engines are.
struct SearchContext {
  std::string engine_path = {};         // --engine-path; may be empty
  std::string python_environment = {};  // $VIRTUAL_ENV or $CONDA_PREFIX
  std::string home = {};
  std::string library_directory = {};  // of libjoulery_core.so
};

/// All places, the first choice first. User error for an engine path that is not absolute, no folder, another
/// user's, or writable by everybody.
Result<std::vector<SearchPlace>> search_places(const SystemRoot& root, const SearchContext& context);

struct FoundEngine {
  const EngineKind* kind = nullptr;
  std::string library;  // canonical
  std::string what;     // the place's
  /// Why it can't be used, known without opening it: a package without its library.
  std::optional<Error> problem = {};
};

/// The engines in these places, each library once, in the order of the places. Opens nothing.
std::vector<FoundEngine> find_engines(const SystemRoot& root, std::span<const SearchPlace> places);

/// Compares file names by the numbers in them: "so.1.9.0" is before "so.1.31.1".
bool version_less(std::string_view a, std::string_view b);

}  // namespace joulery::engine
