#pragma once

#include <memory>

#include "data/byte_source.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// One JSON object a line, plain or gzip: a key is a column, nested arrays of numbers are tensors. Samples
/// may differ in shape from line to line.
Result<std::unique_ptr<Table>> open_jsonl_table(std::shared_ptr<const RandomAccess> file,
                                                const DatasetLimits& limits);

}  // namespace joulery::data
