#pragma once

#include <memory>

#include "data/dataset.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// A table's columns as the inputs, labels and groups that the request asks for. `path` is for messages.
Result<std::unique_ptr<Dataset>> make_column_dataset(std::unique_ptr<Table> table,
                                                     const DatasetRequest& request);

}  // namespace joulery::data
