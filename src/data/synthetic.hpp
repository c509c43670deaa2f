#pragma once

#include <memory>

#include "data/table.hpp"

namespace joulery::data {

/// Made-up samples for every input of the request that is no constant; the same seed gives the same. User
/// error for a range that makes no sense.
Result<std::unique_ptr<Table>> make_synthetic_table(const DatasetRequest& request);

}  // namespace joulery::data
