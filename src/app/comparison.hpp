#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/compared_run.hpp"
#include "stats/ratio.hpp"

namespace joulery::app {

struct ComparisonOptions {
  double level = 0.9;
  /// "No difference" is only ever said of what was shown to be within 1/(1+margin) … 1+margin.
  std::optional<double> margin;
  /// The change that is worth finding, for the number of runs that would show it; `margin` if that is given.
  double wanted_change = 0.05;
};

/// What can be said of one figure of B against A.
enum class Verdict {
  less,            // B has less: the interval lies below 1
  more,            // B has more
  equivalent,      // shown to be within the margin
  beyond_chance,   // one of the three above as far as chance goes, of values that came without a range
  too_few_runs,    // more runs would tell
  not_found,       // runs enough for `wanted_change`, and none was found
  no_common_base,  // what all runs of A rest on is not what those of B do, and no number of runs mends that
  single_runs,     // one run each says nothing of chance
  no_scatter,      // nor do runs that are all the same: the values are too coarse to show it
  unknown          // not known of all runs
};
const char* verdict_name(Verdict verdict);

/// One figure of both groups.
struct FigureComparison {
  std::string key;    // "duration_seconds", "cpu_seconds", "energy_joules", "carbon_gco2e"
  std::string label;  // "wall time"
  std::string unit;   // "s", "J", "g"
  /// Means, with all that each rests on. Nothing if unknown.
  std::optional<UncertainValue> mean_a, mean_b;
  /// False if a value of that side came without a range: only chance is in the range of its mean then.
  bool has_range_a = true;
  bool has_range_b = true;
  /// What repetition says; its `ratio` is mean_b / mean_a.
  std::optional<stats::RatioEstimate> repeated;
  /// Of the ratio: repetition and what does not cancel between A and B, together. Nothing where chance is not
  /// known: the systematic part alone would leave out most of what the ratio may be off by.
  std::optional<Interval> range;
  /// Factors of what does not cancel alone, around 1.
  double systematic_low = 1;
  double systematic_high = 1;
  /// Of these, what all runs of a side have in common, so that more runs do not mend it: a distance of logs.
  double lasting = 0;
  Provenance provenance = Provenance::measured;
  std::string basis;
  std::optional<double> noise_floor;
  std::optional<double> split_half_a, split_half_b;
  std::optional<double> effect_size;
  std::optional<double> equivalence_p_value;
  /// Runs of each (pairs) that would show `wanted_change`, or prove the margin.
  std::optional<std::size_t> runs_needed;
  Verdict verdict = Verdict::unknown;
  /// The verdict as a sentence.
  std::string text;
};

/// B against A.
struct Comparison {
  RunGroup a, b;
  bool paired = false;
  double level = 0.9;
  std::optional<double> margin;
  double wanted_change = 0.05;
  /// Figures are of one such unit, if all runs say how many they did.
  std::string per_unit;
  std::vector<FigureComparison> figures;
  /// Reasons to be careful with all of it.
  std::vector<meter::Warning> warnings;
};

/// Runs of which both groups have the same pair are compared in pairs, and those without a partner are left
/// out; if there are no pairs, the groups are compared as they are. User error if a group has no run, or both
/// are the same runs.
Result<Comparison> compare_groups(RunGroup a, RunGroup b, const ComparisonOptions& options);

/// Takes out groups of which no run ended well and says so; with `keep_first` the first stays whatever it
/// has, for it was asked for. User error if fewer than two would remain.
Result<std::vector<meter::Warning>> leave_out_empty_groups(std::vector<RunGroup>& groups, bool keep_first);

/// The sentence for a figure whose numbers are all there.
std::string verdict_text(const FigureComparison& figure, const ComparisonOptions& options);

/// docs/schemas/compare.schema.json
std::string comparison_document(const std::vector<Comparison>& comparisons);

}  // namespace joulery::app
