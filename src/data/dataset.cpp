#include "data/dataset.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/text.hpp"
#include "data/column_dataset.hpp"
#include "data/open_table.hpp"
#include "data/synthetic.hpp"

namespace joulery::data {
namespace {

constexpr std::array<const char*, 9> kFormatNames{"npy", "npz",    "csv", "jsonl",    "parquet",
                                                  "idx", "images", "raw", "synthetic"};

}  // namespace

const char* format_name(Format format) {
  return kFormatNames[static_cast<std::size_t>(format)];
}

std::optional<Format> parse_format(std::string_view name) {
  for (std::size_t i = 0; i < kFormatNames.size(); ++i) {
    if (name == kFormatNames[i]) return static_cast<Format>(i);
  }
  return std::nullopt;
}

Result<Constant> parse_constant(std::string_view text) {
  const std::size_t equals = text.find('=');
  const auto value =
      equals == std::string_view::npos ? std::nullopt : parse_double(trim(text.substr(equals + 1)));
  const std::string_view name = trim(text.substr(0, equals));
  if (!value || name.empty()) {
    return user_error(fmt::format("'{}' is no constant", printable(text)),
                      "give the input's name and a number: --constant sr=16000");
  }
  return Constant{.input = std::string(name), .value = *value};
}

Result<std::unique_ptr<Dataset>> open_dataset(const DatasetRequest& request) {
  if (request.format == Format::synthetic) {
    JOULERY_ASSIGN(auto table, make_synthetic_table(request));
    return make_column_dataset(std::move(table), request);
  }
  JOULERY_ASSIGN(auto table, open_table(request));
  return make_column_dataset(std::move(table), request);
}

}  // namespace joulery::data
