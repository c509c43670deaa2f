#include "engine/search.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "base/dynamic_library.hpp"
#include "base/text.hpp"

namespace joulery::engine {
namespace {

constexpr std::array<EngineKind, 2> kKinds{{{.name = "onnxruntime",
                                             .title = "ONNX Runtime",
                                             .wheel_folder = "onnxruntime/capi",
                                             .file_prefix = "libonnxruntime.so"},
                                            {.name = "openvino",
                                             .title = "OpenVINO",
                                             .wheel_folder = "openvino/libs",
                                             .file_prefix = "libopenvino_c.so"}}};

using Kind = SearchPlace::Kind;

/// Folders of Python packages below a prefix such as /usr or a virtual environment.
std::vector<std::string> package_folders(const SystemRoot& root, const std::string& prefix) {
  std::vector<std::string> folders;
  for (const char* library : {"/lib", "/lib64"}) {
    for (const std::string& version : root.list(prefix + library)) {
      if (!version.starts_with("python3")) continue;
      for (const char* packages : {"site-packages", "dist-packages"}) {
        folders.push_back(fmt::format("{}{}/{}/{}", prefix, library, version, packages));
      }
    }
  }
  return folders;
}

/// Where the loader itself looks.
std::vector<std::string> library_folders(const SystemRoot& root) {
  std::vector<std::string> folders = {
#if defined(__x86_64__)
      "/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
      "/usr/lib/aarch64-linux-gnu",
#endif
      "/usr/local/lib", "/usr/lib64", "/usr/lib"};
  for (std::string& folder : configured_library_folders(root)) folders.push_back(std::move(folder));
  return folders;
}

Status check_engine_path(const SystemRoot& root, const std::string& path) {
  if (!path.starts_with('/')) {
    return user_error(fmt::format("--engine-path '{}' is not absolute", printable(path)),
                      fmt::format("--engine-path \"$PWD/{}\"", printable(path)));
  }
  struct stat status{};
  if (::stat(root.resolve(path).c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    {
      return user_error(fmt::format("--engine-path '{}' is no folder", printable(path)),
                        "name the folder with the library, a Python environment, or one of Python packages");
    }
  }
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return user_error(fmt::format("--engine-path '{}' is not used: it belongs to another user ({})",
                                  printable(path), status.st_uid),
                      "copy what is in it to a folder of your own");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return user_error(fmt::format("--engine-path '{}' is not used: everybody may write it", printable(path)),
                      fmt::format("chmod o-w {}", printable(path)));
  }
  return {};
}

/// The newest library of a kind in a folder; empty if there is none.
std::string newest_library(const SystemRoot& root, const std::string& folder, const EngineKind& kind) {
  std::string best;
  for (const std::string& name : root.list(folder)) {
    const std::string_view rest =
        std::string_view(name).substr(std::min(name.size(), std::strlen(kind.file_prefix)));
    if (!name.starts_with(kind.file_prefix) || !(rest.empty() || rest.front() == '.')) continue;
    // No copies (".bak") or debug information, and no link to what is gone: an older library may be whole.
    if (rest.find_first_not_of(".0123456789") != std::string_view::npos) continue;
    if (!root.exists(fmt::format("{}/{}", folder, name))) continue;
    if (best.empty() || version_less(best, name)) best = name;
  }
  return best.empty() ? best : fmt::format("{}/{}", folder, best);
}

class Search {
 public:
  explicit Search(const SystemRoot& root) : root_(root) {}

  void look_in(const SearchPlace& place) {
    if (place.kind == Kind::python_environment || place.kind == Kind::any) {
      for (const std::string& folder : package_folders(root_, place.folder)) look_in_packages(folder, place);
    }
    if (place.kind == Kind::python_packages || place.kind == Kind::any) look_in_packages(place.folder, place);
    if (place.kind == Kind::libraries || place.kind == Kind::any) {
      for (const EngineKind& kind : kKinds) add(kind, newest_library(root_, place.folder, kind), place);
    }
  }
  std::vector<FoundEngine> take() { return std::move(found_); }

 private:
  void look_in_packages(const std::string& folder, const SearchPlace& place) {
    for (const EngineKind& kind : kKinds) {
      const std::string package = fmt::format("{}/{}", folder, kind.name);
      const std::string library =
          newest_library(root_, fmt::format("{}/{}", folder, kind.wheel_folder), kind);
      if (!library.empty()) {
        add(kind, library, place);
      } else if (root_.exists(package + "/__init__.py")) {
        add_broken(kind, package, place);
      }
    }
  }

  void add(const EngineKind& kind, const std::string& library, const SearchPlace& place) {
    if (library.empty()) return;
    const std::string real = root_.canonical(library);
    if (real.empty() || is_known(real)) return;
    found_.push_back({.kind = &kind, .library = real, .what = place.what});
  }

  void add_broken(const EngineKind& kind, const std::string& package, const SearchPlace& place) {
    const std::string real = root_.canonical(package);
    if (real.empty() || is_known(real)) return;
    Error problem{.kind = Error::Kind::environment,
                  .message = fmt::format("the package in '{}' has no {}: it is installed in part",
                                         printable(package), kind.file_prefix),
                  .hint = fmt::format("pip install --force-reinstall {}", kind.name)};
    found_.push_back({.kind = &kind, .library = real, .what = place.what, .problem = std::move(problem)});
  }

  bool is_known(const std::string& library) const {
    return std::ranges::any_of(found_, [&](const FoundEngine& engine) { return engine.library == library; });
  }

  const SystemRoot& root_;
  std::vector<FoundEngine> found_;
};

}  // namespace

std::span<const EngineKind> engine_kinds() {
  return kKinds;
}

bool version_less(std::string_view a, std::string_view b) {
  const auto digit = [](std::string_view text) {
    return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0;
  };
  const auto take_number = [&](std::string_view& text) {
    std::size_t size = 0;
    while (digit(text.substr(size))) ++size;
    std::string_view number = text.substr(0, size);
    text.remove_prefix(size);
    while (number.size() > 1 && number.front() == '0') number.remove_prefix(1);
    return number;
  };
  while (!a.empty() && !b.empty()) {
    if (digit(a) && digit(b)) {
      const std::string_view left = take_number(a);
      const std::string_view right = take_number(b);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
}

Result<std::vector<SearchPlace>> search_places(const SystemRoot& root, const SearchContext& context) {
  std::vector<SearchPlace> places;
  const auto add = [&](Kind kind, const std::string& folder, const char* what) {
    if (folder.starts_with('/')) places.push_back({.kind = kind, .folder = folder, .what = what});
  };
  if (!context.engine_path.empty()) {
    JOULERY_CHECK_OK(check_engine_path(root, context.engine_path));
    add(Kind::any, context.engine_path, "--engine-path");
  }
  add(Kind::python_environment, context.python_environment, "the active Python environment");
  // A program that was built in its source tree has what ./dev setup installed there.
  const auto build = context.library_directory.rfind("/build/");
  if (build != std::string::npos) {
    add(Kind::python_environment, context.library_directory.substr(0, build) + "/.deps/venv",
        "the source tree's own environment (.deps)");
  }
  if (!context.home.empty()) {
    add(Kind::python_environment, context.home + "/.local", "the user's Python packages");
  }
  for (const char* prefix : {"/usr/local", "/usr"}) {
    add(Kind::python_environment, prefix, "the system's Python packages");
  }
  for (const std::string& folder : library_folders(root))
    add(Kind::libraries, folder, "the system's libraries");
  return places;
}

std::vector<FoundEngine> find_engines(const SystemRoot& root, std::span<const SearchPlace> places) {
  Search search(root);
  for (const SearchPlace& place : places) search.look_in(place);
  return search.take();
}

}  // namespace joulery::engine
