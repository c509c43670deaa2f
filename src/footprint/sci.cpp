#include "footprint/sci.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

/// "FLOPs", "training tokens", "billion parameters" → without plural and multiples.
std::string unit_stem(const std::string& unit) {
  std::string stem = to_lower(trim(unit));
  for (const std::string_view multiple : {"thousand ", "million ", "billion ", "trillion ", "kilo", "mega",
                                          "giga", "tera", "peta", "exa", "zetta", "yotta"}) {
    if (stem.starts_with(multiple) && stem.size() > multiple.size()) {
      stem = stem.substr(multiple.size());
      break;
    }
  }
  if (stem.size() > 1 && stem.ends_with('s')) stem.pop_back();
  return stem;
}

bool is_one_of(const std::string& word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

const char* persona_name(Persona persona) {
  return persona == Persona::consumer ? "consumer" : "provider";
}

std::optional<Persona> parse_persona(std::string_view name) {
  if (name == "consumer") return Persona::consumer;
  if (name == "provider") return Persona::provider;
  return std::nullopt;
}

const char* persona_boundary(Persona persona) {
  return persona == Persona::consumer ? "operation and monitoring"
                                      : "inception, design and development, deployment, end of life";
}

Status check_sci_for_ai(const SciForAi& ai, const std::optional<FunctionalUnit>& per) {
  if (!per) {
    return user_error(
        fmt::format("the {} score of SCI for AI needs its functional unit", persona_name(ai.persona)),
        ai.persona == Persona::provider
            ? "for example --per \"3e18 FLOP\", \"2e9 training tokens\" or \"7e9 parameters\""
            : "for example --per \"5000 tokens\" or \"1000 images\"");
  }
  const std::string stem = unit_stem(per->unit);
  const bool of_provider = is_one_of(stem, {"flop", "training token", "token", "parameter", "param"});
  if (ai.persona == Persona::provider) {
    if (!of_provider) {
      return user_error(
          fmt::format("a provider's score is per FLOP, per training token or per parameter, not per '{}'",
                      printable(per->unit)),
          "for example --per \"3e18 FLOP\"; for the cost of use take --sci-ai consumer");
    }
    if (ai.rationale.empty()) {
      return user_error(
          "a provider's score must say why this unit, and whether it counts gross or effective values",
          "for example --sci-ai-note \"training tokens after deduplication, one epoch\"");
    }
    return {};
  }
  if (is_one_of(stem, {"flop", "training token", "parameter", "param"})) {
    return user_error(
        fmt::format("'{}' is a provider's unit, not one of use", printable(per->unit)),
        "for example --per \"5000 tokens\"; for the cost of making the model take --sci-ai provider");
  }
  return {};
}

Quantity<GramsCo2e> sci_score(const Quantity<GramsCo2e>& operational, const Quantity<GramsCo2e>& embodied,
                              double functional_units) {
  return (operational + embodied) * (1 / functional_units);
}

}  // namespace joulery::footprint
