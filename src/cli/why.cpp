#include "cli/why.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace joulery::cli {
namespace {

using footprint::Derivation;
using footprint::Factor;

/// Enough digits to compute the figure again.
std::string number(double value) {
  return fmt::format("{:.9g}", value);
}

const Factor* find(const Derivation& derivation, const std::string& key) {
  for (const Factor& factor : derivation.factors) {
    if (factor.key == key) return &factor;
  }
  return nullptr;
}

/// "0.5 × 1.12 × 44.18 / 8".
std::string with_numbers(const Derivation& derivation) {
  std::string text;
  for (const footprint::Term& term : derivation.terms) {
    if (!text.empty()) text += " + ";
    bool first = true;
    for (const std::string& key : term.times) {
      const Factor* factor = find(derivation, key);
      text += (first ? "" : " × ") + (factor != nullptr ? number(factor->value) : "?");
      first = false;
    }
    for (const std::string& key : term.over) {
      const Factor* factor = find(derivation, key);
      text += " / " + (factor != nullptr ? number(factor->value) : "?");
    }
  }
  return text;
}

std::string factor_text(const Factor& factor, const Palette& colors) {
  std::string text =
      fmt::format("    {}: {} {}", printable(factor.label), number(factor.value), printable(factor.unit));
  while (text.ends_with(' ')) text.pop_back();
  if (factor.low != factor.high) text += fmt::format(" ({:.4g} to {:.4g})", factor.low, factor.high);
  text += fmt::format(", {}\n", provenance_name(factor.provenance));
  const auto dim = [&](const std::string& line) {
    text += fmt::format("      {}{}{}\n", colors.dim, printable(line), colors.reset);
  };
  for (std::string_view rest = factor.basis; !rest.empty();) {
    const auto end = rest.find("; ");
    dim(std::string(rest.substr(0, end)));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  }
  if (!factor.source.empty()) {
    dim(fmt::format("source: {}{}", factor.source, factor.year != 0 ? fmt::format(", {}", factor.year) : ""));
  }
  return text;
}

std::string derivation_text(const Derivation& derivation, const Palette& colors) {
  std::string text = fmt::format("\n{}{}{}: {} {}", colors.bold, printable(derivation.label), colors.reset,
                                 number(derivation.value), printable(derivation.unit));
  if (derivation.low != derivation.high)
    text += fmt::format(" ({:.4g} to {:.4g})", derivation.low, derivation.high);
  text += fmt::format(", {}\n  {} = {}\n", provenance_name(derivation.provenance), derivation.figure,
                      printable(derivation.words));
  for (const Factor& factor : derivation.factors) text += factor_text(factor, colors);
  text += fmt::format("  = {}\n", with_numbers(derivation));
  return text;
}

}  // namespace

std::string why_text(const app::WhyReport& report, const Palette& colors) {
  std::string text =
      fmt::format("{}{}{}  run {}\n", colors.bold, printable(report.name), colors.reset, report.run_id);
  if (!report.zone.empty())
    text += fmt::format("  electricity of {}, {} intensity\n", printable(report.zone),
                        printable(report.intensity));
  for (const std::string& missing : report.missing)
    text += fmt::format("  {}!{} {}\n", colors.yellow, colors.reset, printable(missing));
  for (const Derivation& derivation : report.derivations) text += derivation_text(derivation, colors);
  if (!report.equivalences.empty()) text += "\nthe carbon compares with\n";
  for (const footprint::Equivalence& one : report.equivalences) {
    text += fmt::format("  {}\n    {}{}{}\n", printable(one.text), colors.dim, printable(one.source),
                        colors.reset);
  }
  return text;
}

}  // namespace joulery::cli
