#include "record/spool_repair.hpp"

#include <algorithm>

#include "base/ids.hpp"
#include "base/quantity.hpp"

namespace joulery::record {
namespace {

/// At most `bytes` of it, no character cut in two.
std::string cut(const std::string& text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

void repair_experiment(Run& run) {
  if (!run.experiment.empty() && run.experiment.size() <= kMaxExperimentNameBytes) return;
  if (!run.experiment.empty()) {
    run.tags[kOriginalExperimentTag] = cut(run.experiment, kMaxExperimentNameBytes);
  }
  run.experiment = kDefaultExperiment;
}

void repair_place(SpooledRun& spooled, const std::set<std::string>& series_devices) {
  const std::string& host = spooled.host.id;
  spooled.run.host_id = host;
  spooled.boot.host_id = host;
  if (host.empty()) spooled.boot.id.clear();
  spooled.run.boot_id = spooled.boot.id;
  std::erase_if(spooled.devices, [&](const Device& device) { return host.empty() || device.id.empty(); });
  for (Device& device : spooled.devices) device.host_id = host;
  if (host.empty()) return;
  for (const std::string& id : series_devices) {
    const bool listed = std::any_of(spooled.devices.begin(), spooled.devices.end(),
                                    [&](const Device& device) { return device.id == id; });
    if (listed || id.empty()) continue;
    spooled.devices.push_back({.id = id,
                               .host_id = host,
                               .name = id,
                               .scope = {},
                               .via = {},
                               .parent_id = {},
                               .provenance = provenance_name(Provenance::assumed),
                               .accuracy_basis = "its writer said nothing of it"});
  }
}

void repair_params(Run& run, const std::optional<Run>& stored) {
  if (!stored) return;
  for (const auto& [key, value] : stored->params) {
    const auto ours = run.params.find(key);
    if (ours == run.params.end() || ours->second == value) continue;
    run.tags[kRefusedParamTagPrefix + key] = ours->second;
    run.params.erase(ours);
  }
}

}  // namespace

void make_storable(SpooledRun& spooled, const std::set<std::string>& series_devices,
                   const std::optional<Run>& stored) {
  repair_experiment(spooled.run);
  repair_place(spooled, series_devices);
  repair_params(spooled.run, stored);
}

bool is_storable(const Evidence& evidence) {
  return !evidence.subject.empty() && !evidence.type.empty() && sha256_hex(evidence.json) == evidence.sha256;
}

}  // namespace joulery::record
