#pragma once

#include <vector>

#include "base/files.hpp"
#include "footprint/footprint.hpp"
#include "meter/session.hpp"
#include "power/power_model.hpp"

namespace joulery::meter {

/// Graphics cards among the devices of a run, each once: neither parts of cards, such as tiles, nor mirrors.
std::vector<const DeviceReport*> graphics_cards(const MeteredRun& result);

/// What the machine is made of: packages and memory of `identity`, drives of /sys/block, GPUs among the
/// devices of the run. Meant for after the command: it reads files.
footprint::Hardware read_hardware(const SystemRoot& root, const power::MachineIdentity& identity,
                                  const MeteredRun& result);

/// Carbon, water, money, embodied share and SCI of a run whose energy is known, with the derivation of each.
/// What can't be looked up is looked up in the built-in tables instead, and a warning says so.
/// `proportional_idle_joules` is the run's proportional share of idle, whatever its own policy says.
void fill_footprint(const FootprintOptions& options, const footprint::Hardware& hardware,
                    double proportional_idle_joules, MeteredRun& result);

/// Metrics and tags of the footprint, for the record.
void record_footprint(MeteredRun& result);

}  // namespace joulery::meter
