#include "record/store.hpp"

#include <algorithm>
#include <string_view>

namespace joulery::record {
namespace {

bool moved(const Store::PowerSeries& series) {
  return std::any_of(series.samples.begin(), series.samples.end(),
                     [](const PowerSample& sample) { return sample.joules > 0; });
}

}  // namespace

bool energy_is_known(const Store::PowerSeries& series, std::span<const Store::PowerSeries> of_run) {
  const std::string_view id = series.device_id;
  if (id != kDerivedWorkloadDevice && id != kModelledWorkloadDevice) return moved(series);
  return std::any_of(of_run.begin(), of_run.end(), moved);
}

}  // namespace joulery::record
