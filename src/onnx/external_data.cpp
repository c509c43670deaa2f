#include "onnx/external_data.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/text.hpp"
#include "onnx/mapped_file.hpp"
#include "onnx/walk.hpp"

namespace joulery::onnx {
namespace {

constexpr std::size_t kLongestLocation = 4096;
constexpr std::size_t kLongestShown = 80;
constexpr const char* kLocationRule = "external-data.location";
constexpr const char* kKeysRule = "external-data.keys";
constexpr const char* kFileRule = "external-data.file";
constexpr const char* kRangeRule = "external-data.range";

std::string shown(std::string_view text) {
  const std::string safe = printable(text.substr(0, kLongestShown));
  return text.size() > kLongestShown ? safe + "…" : safe;
}

std::unexpected<ExternalFault> fault(std::string rule, std::string what, std::string hint = {}) {
  return std::unexpected(ExternalFault{std::move(rule), std::move(what), std::move(hint)});
}

Checked<std::uint64_t> parse_position(std::string_view key, std::string_view text) {
  const bool is_digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  const auto value = is_digits ? parse_uint64(text) : std::nullopt;
  if (!value || *value > std::uint64_t(std::numeric_limits<std::int64_t>::max())) {
    return fault(kRangeRule, fmt::format("its {} '{}' is no number of bytes", key, shown(text)));
  }
  return *value;
}

/// The last folder of the location, opened one by one. `name` is what is left.
FileDescriptor open_parents(int folder, std::string_view location, std::string& name) {
  FileDescriptor current(::fcntl(folder, F_DUPFD_CLOEXEC, 0));
  std::string part;
  for (const std::string_view next : split(location, '/')) {
    if (next.empty() || next == ".") continue;
    if (next == "..") {
      errno = EXDEV;
      return {};
    }
    if (!part.empty()) {
      FileDescriptor inner(
          ::openat(current.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!inner.valid()) return inner;
      current = std::move(inner);
    }
    part = next;
  }
  name = part.empty() ? "." : part;
  return current;
}

constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

ExternalFault open_fault(const std::string& location, int error) {
  const std::string name = shown(location);
  if (error == ELOOP || error == ENOTDIR) {
    return {kFileRule, fmt::format("'{}' is a link, or lies behind one", name),
            "a link can lead anywhere: copy the model's folder with its links resolved (cp -rL)"};
  }
  if (error == EXDEV) return {kFileRule, fmt::format("'{}' lies outside the model's folder", name), ""};
  if (error == ENOENT) {
    return {kFileRule, fmt::format("'{}' is not in the model's folder", name),
            "the model needs this file beside it: fetch it too"};
  }
  return {kFileRule, fmt::format("can't open '{}': {}", name, errno_text(error)), ""};
}

}  // namespace

bool is_memory_marker(std::string_view text) {
  const std::string lower = to_lower(text);
  return lower.find("_mem_addr_") != std::string::npos || lower.find("*/_ort_") != std::string::npos;
}

std::optional<ExternalFault> location_fault(std::string_view location) {
  const auto refused = [&](std::string what) {
    return ExternalFault{
        kLocationRule, fmt::format("its location '{}' {}", shown(location), what),
        "external data must lie in the model's own folder: do not use this model unless you know "
        "who made it so"};
  };
  if (is_memory_marker(location) || location.starts_with("*/")) {
    return ExternalFault{"memory-marker",
                         fmt::format("its location '{}' stands for an address in memory", shown(location)),
                         "no exporter writes this: do not use this model"};
  }
  if (location.empty()) return refused("is empty");
  if (location.size() > kLongestLocation) return refused("is too long");
  const bool has_control =
      std::ranges::any_of(location, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (has_control) return refused("has a control character");
  if (location.front() == '/') return refused("is absolute");
  if (location.find('\\') != std::string_view::npos) return refused("has a backslash");
  if (location.size() > 1 && location[1] == ':') return refused("begins with a drive letter");
  if (location.find("://") != std::string_view::npos) return refused("is a URL");
  for (const std::string_view part : split(location, '/')) {
    if (part == "..") return refused("leads out of the folder by '..'");
  }
  if (location.back() == '/') return refused("is a folder");
  return std::nullopt;
}

Checked<ExternalReference> parse_reference(const Tensor& tensor) {
  ExternalReference reference;
  std::vector<std::string_view> seen;
  for (const StringPair& pair : tensor.external_data) {
    if (std::ranges::find(seen, pair.key) != seen.end()) {
      return fault(kKeysRule, fmt::format("its key '{}' is given twice", shown(pair.key)));
    }
    seen.emplace_back(pair.key);
    if (pair.key == "location") {
      reference.location = pair.value;
    } else if (pair.key == "offset") {
      auto value = parse_position(pair.key, pair.value);
      if (!value) return std::unexpected(std::move(value).error());
      reference.offset = *value;
    } else if (pair.key == "length") {
      auto value = parse_position(pair.key, pair.value);
      if (!value) return std::unexpected(std::move(value).error());
      reference.length = *value;
    } else if (pair.key != "checksum") {
      return fault(kKeysRule,
                   fmt::format("its key '{}' is none of location, offset, length, checksum", shown(pair.key)),
                   "write the model anew with its data in one file, for example with onnx.save");
    }
  }
  if (auto wrong = location_fault(reference.location)) return std::unexpected(std::move(*wrong));
  return reference;
}

FileDescriptor open_beneath(int folder, const std::string& location, bool step_by_step) {
  if (!step_by_step) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(kOpenFlags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const long opened = ::syscall(SYS_openat2, folder, location.c_str(), &how, sizeof how);
    if (opened >= 0) return FileDescriptor(static_cast<int>(opened));
    // An old kernel, or a sandbox that does not know the call.
    if (errno != ENOSYS && errno != EPERM && errno != EINVAL && errno != E2BIG) return {};
  }
  std::string name;
  const FileDescriptor parent = open_parents(folder, location, name);
  if (!parent.valid()) return {};
  return FileDescriptor(::openat(parent.get(), name.c_str(), kOpenFlags));
}

Result<ExternalFolder> ExternalFolder::open(const std::string& folder, std::uint64_t file_limit) {
  const std::string path = folder.empty() ? "." : folder;
  FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.valid()) {
    return user_error(fmt::format("can't open the folder '{}': {}", printable(path), errno_text(errno)));
  }
  return ExternalFolder(std::move(descriptor), file_limit);
}

Checked<SharedBytes> ExternalFolder::file(const std::string& location) {
  if (auto wrong = location_fault(location)) return std::unexpected(std::move(*wrong));
  if (const auto known = files_.find(location); known != files_.end()) return known->second;
  const FileDescriptor opened = open_beneath(folder_.get(), location);
  if (!opened.valid()) return std::unexpected(open_fault(location, errno));
  struct stat info{};
  if (::fstat(opened.get(), &info) != 0) return std::unexpected(open_fault(location, errno));
  if (!S_ISREG(info.st_mode)) {
    return fault(kFileRule, fmt::format("'{}' is not a regular file", shown(location)));
  }
  if (info.st_nlink > 1) {
    return fault(kFileRule,
                 fmt::format("'{}' has {} hard links: it may be another file under this name",
                             shown(location), info.st_nlink),
                 "copy the model's folder (cp -r), which makes files of their own");
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > file_limit_) {
    return fault(kFileRule, fmt::format("'{}' has {}, more than the limit of {}", shown(location),
                                        format_bytes(double(size)), format_bytes(double(file_limit_))));
  }
  auto mapped = map_descriptor(opened.get(), size, location);
  if (!mapped) return fault(kFileRule, mapped.error().message);
  files_.emplace(location, *mapped);
  return *mapped;
}

Checked<SharedBytes> ExternalFolder::bytes(const Tensor& tensor) {
  const auto reference = parse_reference(tensor);
  if (!reference) return std::unexpected(reference.error());
  const auto count = element_count(tensor.dims);
  if (!count)
    return fault(kRangeRule, "its shape has a negative dimension or more elements than 63 bits count");
  const auto needed = raw_size(tensor.data_type, *count);
  if (!needed) {
    return fault(kRangeRule, fmt::format("{} can't lie in another file", data_type_name(tensor.data_type)));
  }
  if (reference->length && *reference->length != *needed) {
    return fault(kRangeRule, fmt::format("its length is {} bytes, but its type and shape need {}",
                                         *reference->length, *needed));
  }
  const auto whole = file(reference->location);
  if (!whole) return std::unexpected(whole.error());
  if (reference->offset > whole->size() || *needed > whole->size() - reference->offset) {
    return fault(kRangeRule,
                 fmt::format("it wants {} bytes from byte {} of '{}', which has {}", *needed,
                             reference->offset, shown(reference->location), whole->size()),
                 "the file is cut short or belongs to another model: fetch both again");
  }
  return whole->part(static_cast<std::size_t>(reference->offset), static_cast<std::size_t>(*needed));
}

Status attach_external_data(Model& model, ExternalFolder& folder) {
  Status status;
  for_each_tensor(model, [&](Tensor& tensor, const Place& at) {
    if (!status || tensor.storage != TensorStorage::external || tensor.attached) return;
    auto bytes = folder.bytes(tensor);
    if (!bytes) {
      const ExternalFault& fault = bytes.error();
      status = user_error(fmt::format("tensor '{}' ({}): {}", shown(tensor.name), at.text(), fault.what),
                          fault.hint);
      return;
    }
    tensor.data = std::move(*bytes);
    tensor.attached = true;
  });
  return status;
}

}  // namespace joulery::onnx
