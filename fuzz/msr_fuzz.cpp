// Model-specific registers: units of any CPU, and one CPU of each package and die of any topology.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "power/cpu_topology.hpp"
#include "power/msr.hpp"

using namespace joulery::power;

namespace {

void check_domains(const MachineIdentity& identity, std::uint64_t unit) {
  for (const MsrDomain& domain : msr_domains(identity, unit)) {
    const bool sane =
        std::isfinite(domain.joules_per_count) && domain.joules_per_count > 0 && domain.address != 0;
    if (!sane || !msr_unit_register(identity)) std::abort();
  }
}

void check_places(const std::vector<CpuPlace>& places, bool each_die) {
  const auto first = one_of_each(places, each_die);
  for (const CpuPlace& place : places) {
    const auto count = std::count_if(first.begin(), first.end(), [&](const CpuPlace& one) {
      return one.package == place.package && (one.die == -1 || one.die == place.die);
    });
    // Each is read, and none twice.
    if (count != 1) std::abort();
  }
  if (first.size() > places.size()) std::abort();
}

}  // namespace

// Eight bytes for the unit register, three for vendor, family and model, then two for each CPU.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHead = 11;
  if (size < kHead) return 0;
  std::uint64_t unit = 0;
  std::memcpy(&unit, data, sizeof unit);
  static constexpr const char* kVendors[] = {"GenuineIntel", "AuthenticAMD", "HygonGenuine", "ARM"};
  MachineIdentity identity;
  identity.cpu_vendor = kVendors[data[8] % 4];
  identity.family = data[9];
  identity.model = data[10];
  check_domains(identity, unit);
  std::vector<CpuPlace> places;
  constexpr std::size_t kMostPlaces = 512;
  for (std::size_t i = kHead; i + 1 < size && places.size() < kMostPlaces; i += 2) {
    places.push_back({static_cast<int>(places.size()), data[i], data[i + 1]});
  }
  check_places(places, true);
  check_places(places, false);
  return 0;
}
