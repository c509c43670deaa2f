#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evaluate/scored_samples.hpp"
#include "evaluate/task.hpp"

namespace joulery::evaluate {

/// Numbers of groups in the order in which they first come.
struct Clusters {
  /// Of each sample; empty if no two samples share a group.
  std::vector<std::uint32_t> of_sample;
  std::uint64_t count = 0;
};
Clusters clusters_of(std::span<const std::string> groups);

/// All metrics of these samples with intervals: exact for a share of independent samples, else by bootstrap.
/// `clusters`: one for each of `samples`, or empty. A metric that is not defined is NaN.
std::vector<Metric> all_metrics(const ScoredSamples& scored, std::span<const std::uint32_t> samples,
                                std::span<const std::uint32_t> clusters, const TaskOptions& options);
/// One of them, at a level of its own.
Metric one_metric(const ScoredSamples& scored, std::size_t index, std::span<const std::uint32_t> samples,
                  std::span<const std::uint32_t> clusters, const TaskOptions& options, double level);

/// Samples after which the interval would be as narrow as `options` want it, from how wide it is; 0 if it is.
std::uint64_t samples_needed(const Metric& metric, std::uint64_t samples, const TaskOptions& options);

}  // namespace joulery::evaluate
