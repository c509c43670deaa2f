#pragma once

#include <memory>

#include "data/byte_source.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// Rows of text fields under a heading that names the columns, plain or gzip; commas, semicolons or tabs
/// between them, by the heading.
Result<std::unique_ptr<Table>> open_csv_table(std::shared_ptr<const RandomAccess> file,
                                              const DatasetLimits& limits);

}  // namespace joulery::data
