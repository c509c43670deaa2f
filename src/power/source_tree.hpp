#pragma once

#include <memory>
#include <vector>

#include "power/source.hpp"

namespace joulery::power {

/// Puts every source under what contains it: wall ⊃ power supply ⊃ board or module ⊃ psys ⊃ package ⊃ die,
/// core, uncore; and memory and graphics cards beside the packages. A parent that a source names itself
/// stays, if it is among `sources`; else the nearest one that contains the source takes its place, or none.
/// Only what has no parent is summed, so this is what keeps energy from being counted twice.
///
/// `portable`: the machine is a laptop, whose psys is all that it draws, a graphics card too. On others psys
/// has the packages and their memory, and cards have supplies of their own.
void link_sources(const std::vector<std::unique_ptr<Source>>& sources, bool portable);

/// Is this energy sensed (by a counter, or power summed over time) and not modelled?
bool is_sensed(const SourceInfo& info);

}  // namespace joulery::power
