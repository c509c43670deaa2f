#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/quantity.hpp"
#include "base/result.hpp"

namespace joulery::footprint {

/// How much work a run did: SCI's R.
struct FunctionalUnit {
  double count = 1;
  std::string unit = "run";
};

/// The two scores of SCI for AI. They have different boundaries and are never merged.
enum class Persona {
  /// Operation and monitoring: inference, serving, storage, orchestration.
  consumer,
  /// Inception, design and development (data, training with all runs, evaluation), deployment, end of life.
  provider,
};
const char* persona_name(Persona persona);
std::optional<Persona> parse_persona(std::string_view name);
/// The life-cycle stages inside the boundary, in one line.
const char* persona_boundary(Persona persona);

/// What a score of SCI for AI must say beside the number.
struct SciForAi {
  Persona persona = Persona::consumer;
  /// Why this R, gross or effective values, material assumptions.
  std::string rationale;
};
/// Checks R against the specification: a provider's is per FLOP, per training token or per parameter and
/// comes with a rationale; a consumer's is named by the user and is none of a provider's FLOPs or parameters.
/// User error that lists what may be written.
Status check_sci_for_ai(const SciForAi& ai, const std::optional<FunctionalUnit>& per);

/// SCI = (O + M) per R (ISO/IEC 21031).
Quantity<GramsCo2e> sci_score(const Quantity<GramsCo2e>& operational, const Quantity<GramsCo2e>& embodied,
                              double functional_units);

}  // namespace joulery::footprint
