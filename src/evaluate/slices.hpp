#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "evaluate/scored_samples.hpp"
#include "evaluate/task.hpp"

namespace joulery::evaluate {

/// The primary metric of parts of the samples: by group, by labelled class, by column. Those that are smaller
/// than wanted, or come after the 64 largest of their dimension, are put together as "(others)". User error
/// if a column has not one value a sample, or a declared slice does not exist.
Result<std::vector<Slice>> make_slices(const ScoredSamples& scored, std::size_t primary,
                                       std::span<const std::string> groups,
                                       std::span<const SliceColumn> columns, std::size_t samples,
                                       const TaskOptions& options);

}  // namespace joulery::evaluate
