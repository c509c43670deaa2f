#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace joulery::power {

/// A row of data/cpu_tdp.csv.
struct TdpRow {
  double watts = 0;
  /// 0 if the table does not know.
  int cores = 0;
  int threads = 0;
  bool published = false;
};
/// By vendor ("intel") and normalised model name. A search by halves in the embedded text: nothing is parsed
/// before.
std::optional<TdpRow> find_tdp(std::string_view vendor, std::string_view model);

/// A row of data/cpu_family_power.csv: wall power of whole servers divided by their threads.
struct FamilyRow {
  std::string family;
  double idle_watts_per_thread = 0;
  double full_watts_per_thread = 0;
};
std::optional<FamilyRow> find_family(std::string_view family);

/// The table's family of a server CPU by its x86 numbers, or by its Arm implementer and part; empty if none.
/// Client CPUs share some of these numbers: the caller has to tell them apart by name.
std::string_view server_family(std::string_view vendor_id, int family, int model, int stepping);

/// The texts as they are embedded.
std::string_view cpu_tdp_csv();
std::string_view cpu_family_power_csv();

}  // namespace joulery::power
