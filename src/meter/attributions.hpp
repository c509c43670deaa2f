#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "meter/attribution.hpp"
#include "meter/attribution_factory.hpp"

namespace joulery::meter {

/// One tier each. An error says why it can't be used here; nothing is left behind then.
Result<std::unique_ptr<Attribution>> make_cgroup_attribution(const AttributionOptions& options);
Result<std::unique_ptr<Attribution>> make_systemd_attribution(const AttributionOptions& options);
Result<std::unique_ptr<Attribution>> make_perf_attribution(const AttributionOptions& options);
Result<std::unique_ptr<Attribution>> make_tree_attribution(const AttributionOptions& options);

}  // namespace joulery::meter
