#pragma once

#include <optional>
#include <set>
#include <string>

#include "record/model.hpp"
#include "record/spool_format.hpp"

namespace joulery::record {

/// Tag of a run whose experiment had a name that the store does not take; the run is in "Default" then.
constexpr const char* kOriginalExperimentTag = "joulery.original_experiment";
/// Tags of params that the stored run has with another value; the param's key follows.
constexpr const char* kRefusedParamTagPrefix = "joulery.refused_param.";

/// Tag of a run of whose spool only the first part was intact: what was lost, and from which byte on.
constexpr const char* kDamagedTag = "joulery.damaged";
/// Its value when the whole spool was stored later: a tag can't be taken away.
constexpr const char* kMended = "no more, the whole run was stored later";

/// Changes what a store would refuse, so that the run of an older or broken writer is not lost: a wrong
/// experiment name, references to hosts and boots that the spool does not describe, devices without an id or
/// that only power blocks name (`series_devices`), params that contradict those of the run as it is stored.
/// Nothing of it is dropped without a tag that keeps it, but for devices without an id.
void make_storable(SpooledRun& spooled, const std::set<std::string>& series_devices,
                   const std::optional<Run>& stored);
/// False if a store refuses it.
bool is_storable(const Evidence& evidence);

}  // namespace joulery::record
