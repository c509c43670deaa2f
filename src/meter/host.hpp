#pragma once

#include "base/clock.hpp"
#include "base/files.hpp"
#include "power/power_model.hpp"
#include "record/model.hpp"

namespace joulery::meter {

/// Where a run happens, for the record.
struct HostFacts {
  record::Host host;
  record::Boot boot;
};

/// The host's id is a hash of /etc/machine-id, so that the id itself is not told; without one, of the host
/// name and CPU. Missing files leave fields empty.
HostFacts read_host_facts(const SystemRoot& root, const Clock& clock, const power::MachineIdentity& identity);

}  // namespace joulery::meter
