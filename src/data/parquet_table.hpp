#pragma once

#include <memory>
#include <string>

#include "data/table.hpp"

namespace joulery::data {

/// A Parquet file, read by the plug-in for Arrow. Environment error if that is not there.
Result<std::unique_ptr<Table>> open_parquet_table(const std::string& path, const DatasetRequest& request);

}  // namespace joulery::data
