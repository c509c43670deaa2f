#include "data/open_table.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "data/csv_table.hpp"
#include "data/idx.hpp"
#include "data/image_folder.hpp"
#include "data/jsonl_table.hpp"
#include "data/npy.hpp"
#include "data/parquet_table.hpp"

namespace joulery::data {
namespace {

struct NameEnding {
  std::string_view ending;
  Format format;
};
constexpr std::array<NameEnding, 13> kEndings{{{".npy", Format::npy},
                                               {".npz", Format::npz},
                                               {".csv", Format::csv},
                                               {".tsv", Format::csv},
                                               {".jsonl", Format::jsonl},
                                               {".ndjson", Format::jsonl},
                                               {".parquet", Format::parquet},
                                               {".pq", Format::parquet},
                                               {"ubyte", Format::idx},
                                               {".idx", Format::idx},
                                               {".bin", Format::raw},
                                               {".raw", Format::raw},
                                               {".dat", Format::raw}}};

std::optional<Format> format_by_name(std::string_view path) {
  std::string name = to_lower(path);
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  for (const NameEnding& known : kEndings) {
    if (name.ends_with(known.ending)) return known.format;
  }
  return std::nullopt;
}

/// Formats that begin in a way that nothing else does.
std::optional<Format> format_by_content(std::string_view start) {
  if (start.starts_with("\x93NUMPY")) return Format::npy;
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) return Format::npz;
  if (start.starts_with("PAR1")) return Format::parquet;
  if (start.size() >= 4 && start[0] == 0 && start[1] == 0 && start[2] >= 0x08 && start[2] <= 0x0E &&
      start[3] >= 1 && start[3] <= 4) {
    return Format::idx;
  }
  const std::string_view text = trim(start);
  if (text.starts_with("{\"") || text.starts_with("{ \"")) return Format::jsonl;
  return std::nullopt;
}

bool is_binary(Format format) {
  return format == Format::npy || format == Format::npz || format == Format::parquet;
}

bool is_folder(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

/// "images.npy:labels.npy" is two files, unless there is one of that name.
std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t colon = path.rfind(':');
  if (colon == std::string::npos || exists(path)) return {path, {}};
  return {path.substr(0, colon), path.substr(colon + 1)};
}

std::unexpected<Error> unknown_format(const std::string& path) {
  return user_error(fmt::format("'{}' is of no known format", printable(path)),
                    "name it with --data-format: npy, npz, csv, jsonl, parquet, idx, images or raw");
}

}  // namespace

Result<std::optional<Format>> detect_format(const RandomAccess& file, const std::string& path) {
  const auto by_name = format_by_name(path);
  // Raw numbers may begin like anything.
  if (by_name == Format::raw) return by_name;
  std::string start(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), 64)), '\0');
  JOULERY_CHECK_OK(file.read_at(0, std::as_writable_bytes(std::span(start))));
  constexpr std::string_view kGzip = "\x1f\x8b";
  const auto by_content = format_by_content(start);
  const bool is_packed = start.starts_with(kGzip);
  if (by_content && (!by_name || is_binary(*by_content)) && by_content != by_name) {
    if (!by_name) return by_content;
    return user_error(
        fmt::format("'{}' is called {}, but its content is {}", file.name(), format_name(*by_name),
                    format_name(*by_content)),
        fmt::format("rename it, or name the format: --data-format {}", format_name(*by_content)));
  }
  if (by_name && is_binary(*by_name) && by_content != by_name && !is_packed) {
    return user_error(
        fmt::format("'{}' is called {}, but does not begin as one", file.name(), format_name(*by_name)),
        "name the format if it is another, for example --data-format csv");
  }
  return by_name ? by_name : by_content;
}

Result<std::unique_ptr<Table>> open_file_table(Format format, std::shared_ptr<const RandomAccess> file,
                                               std::shared_ptr<const RandomAccess> labels,
                                               const DatasetRequest& request) {
  switch (format) {
    case Format::npy:
      return open_npy_table(std::move(file), std::move(labels), request.labels);
    case Format::npz:
      return open_npz_table(file);
    case Format::csv:
      return open_csv_table(std::move(file), request.limits);
    case Format::jsonl:
      return open_jsonl_table(std::move(file), request.limits);
    case Format::idx:
      return open_idx_table(std::move(file), std::move(labels), request.labels);
    case Format::raw:
      return open_raw_table(std::move(file), request);
    default:
      return user_error(fmt::format("'{}' is a file, which {} can't be", file->name(), format_name(format)));
  }
}

Result<std::unique_ptr<Table>> open_table(const DatasetRequest& request) {
  const auto [path, label_path] = split_path(request.path);
  if (request.format == Format::images || (!request.format && is_folder(path))) {
    return open_image_folder(path, request);
  }
  JOULERY_ASSIGN(auto file, open_random_access(path));
  auto format = request.format;
  if (!format) {
    JOULERY_ASSIGN(format, detect_format(*file, path));
  }
  if (!format) return unknown_format(path);
  if (format == Format::parquet) return open_parquet_table(path, request);
  std::shared_ptr<const RandomAccess> labels;
  if (!label_path.empty()) {
    if (format != Format::idx && format != Format::npy) {
      return user_error(fmt::format("'{}' names two files, which {} has no use for", printable(request.path),
                                    format_name(*format)));
    }
    JOULERY_ASSIGN(labels, open_random_access(label_path));
  } else if (const auto sibling = idx_label_path(path);
             format == Format::idx && sibling && exists(*sibling)) {
    JOULERY_ASSIGN(labels, open_random_access(*sibling));
  }
  return open_file_table(*format, std::move(file), std::move(labels), request);
}

}  // namespace joulery::data
