#include "app/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/text.hpp"
#include "stats/summary.hpp"

namespace joulery::app {
namespace {

struct FigureKind {
  const char* key;
  const char* label;
  const char* unit;
};
constexpr FigureKind kKinds[] = {{"duration_seconds", "wall time", "s"},
                                 {"cpu_seconds", "CPU time", "s"},
                                 {"energy_joules", "energy", "J"},
                                 {"carbon_gco2e", "carbon", "g"}};

std::optional<UncertainValue> value_of(const ComparedRun& run, const std::string& key, bool per_unit) {
  std::optional<UncertainValue> value;
  if (key == "duration_seconds" && run.duration_seconds) {
    value = UncertainValue(*run.duration_seconds, Provenance::measured);
  } else if (key == "cpu_seconds" && run.cpu_seconds) {
    value = UncertainValue(*run.cpu_seconds, Provenance::measured);
  } else if (key == "energy_joules") {
    value = run.energy;
  } else if (key == "carbon_gco2e") {
    value = run.carbon;
  }
  if (value && !std::isfinite(value->value())) return std::nullopt;
  if (value && per_unit) value = value->scaled(1 / run.per->count);
  return value;
}

bool has_range(const ComparedRun& run, const std::string& key) {
  return key == "energy_joules" ? run.energy_has_range : key != "carbon_gco2e" || run.carbon_has_range;
}

constexpr const char* kOnlyGoodRuns =
    "failed and killed runs say nothing of what the work costs: `joulery runs`";

/// True for what is drawn anew with each run, such as "attribution:RUN". "run:RUN:…" only says that nothing
/// is known of what the run rests on, which may well be the same with all.
bool is_of_one_run(const std::string& source_id, const std::set<std::string>& run_ids) {
  if (source_id.starts_with("run:")) return false;
  const auto words = split(source_id, ':');
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return run_ids.contains(std::string(word)); });
}

/// A place that is not known is not the same place on two hosts. What is of one run needs no telling apart.
UncertainValue on_host(const UncertainValue& value, const ComparedRun& run, bool hosts_differ) {
  if (!hosts_differ) return value;
  UncertainValue result(0, Provenance::measured, value.standard_deviation());
  for (UncertainValue::Part part : value.parts()) {
    for (SystematicSource& source : part.sources) {
      if (source.provenance == Provenance::assumed && !is_of_one_run(source.id, {run.run_id}))
        source.id += "@" + run.host_id;
    }
    result.add({part.value, part.provenance, 0, part.sources});
  }
  return result;
}

UncertainValue with_deviation(const UncertainValue& value, double standard_deviation) {
  UncertainValue result(0, Provenance::measured, standard_deviation);
  for (const UncertainValue::Part& part : value.parts()) {
    result.add({part.value, part.provenance, 0, part.sources});
  }
  return result;
}

/// Mean of a group, and each run's value for the statistics. Nothing if one of them is not known.
struct GroupFigure {
  UncertainValue mean{0, Provenance::measured};
  std::vector<double> values;
  bool has_range = true;
};
std::optional<GroupFigure> figure_of(const RunGroup& group, const std::string& key, bool per_unit,
                                     bool hosts_differ) {
  GroupFigure result;
  const double share = 1 / static_cast<double>(group.runs.size());
  for (const ComparedRun& run : group.runs) {
    const auto value = value_of(run, key, per_unit);
    if (!value) return std::nullopt;
    result.values.push_back(value->value());
    result.has_range = result.has_range && has_range(run, key);
    result.mean.add(on_host(*value, run, hosts_differ).scaled(share));
  }
  const double scatter = stats::mean_interval(result.values, 0.9).standard_deviation * std::sqrt(share);
  result.mean = with_deviation(result.mean, std::max(result.mean.standard_deviation(), scatter));
  return result;
}

/// Factors by which a range reaches below and above its value, as distances of logs; 0 where it does not.
double log_distance(double from, double to) {
  return from > 0 && to > 0 ? std::fabs(std::log(to / from)) : 0;
}

struct Reach {
  double down = 0;
  double up = 0;
};
Reach reach_of(const UncertainValue& ratio, double level) {
  const double value = ratio.value();
  const Interval range = ratio.interval(level);
  return {.down = log_distance(value, std::max(range.low, value * 1e-6)),
          .up = log_distance(value, range.high)};
}

UncertainValue without_sources_of_one_run(const UncertainValue& ratio, const std::set<std::string>& run_ids) {
  std::vector<SystematicSource> lasting;
  for (const SystematicSource& source : ratio.parts().front().sources) {
    if (!is_of_one_run(source.id, run_ids)) lasting.push_back(source);
  }
  return {ratio.value(), Provenance::measured, 0, lasting};
}

void combine(const GroupFigure& a, const GroupFigure& b, const std::set<std::string>& run_ids, double level,
             FigureComparison& figure) {
  const stats::RatioEstimate& repeated = *figure.repeated;
  // The scatter of the runs holds the random part of each already.
  const UncertainValue ratio = with_deviation(b.mean, 0).ratio_to(with_deviation(a.mean, 0));
  const Reach systematic = reach_of(ratio, level);
  const Reach lasting = reach_of(without_sources_of_one_run(ratio, run_ids), level);
  const double value = repeated.ratio;
  figure.systematic_low = std::exp(-systematic.down);
  figure.systematic_high = std::exp(systematic.up);
  figure.lasting = std::max(lasting.down, lasting.up);
  if (repeated.method != stats::RatioEstimate::Method::none) {
    const double down = std::hypot(log_distance(value, repeated.low), systematic.down);
    const double up = std::hypot(log_distance(value, repeated.high), systematic.up);
    figure.range = {.low = value * std::exp(-down),
                    .high = value * std::exp(up),
                    .level = level,
                    .is_confidence = systematic.down == 0 && systematic.up == 0};
  }
  // Times that were measured are not made less so by a division.
  figure.provenance = std::max(figure.mean_a->provenance(), figure.mean_b->provenance());
  figure.basis = ratio.parts().front().sources.empty() ? "" : "what A and B rest on differs in part";
  if (!a.has_range || !b.has_range) {
    figure.basis += std::string(figure.basis.empty() ? "" : "; ") +
                    "values came without a range of their own: any range here is of chance alone";
  }
}

/// Runs without any scatter do not show that chance does nothing: values may be too coarse to show what it
/// does.
void take_no_scatter_for_unknown(stats::RatioEstimate& estimate) {
  if (estimate.log_standard_error > 0) return;
  estimate.method = stats::RatioEstimate::Method::none;
  estimate.low = estimate.high = estimate.ratio;
}

bool within(const Interval& range, double margin) {
  return range.low > 1 / (1 + margin) && range.high < 1 + margin;
}

/// The estimate as if what each run may be off by for itself were part of the scatter: both fall alike with
/// the number of runs.
stats::RatioEstimate with_errors_of_runs(const FigureComparison& figure, double level) {
  stats::RatioEstimate estimate = *figure.repeated;
  const double all = std::max(std::log(figure.systematic_high), -std::log(figure.systematic_low));
  const double of_runs = std::sqrt(std::max(all * all - figure.lasting * figure.lasting, 0.0));
  // Half a range at this level, in standard deviations.
  const double width = UncertainValue(0, Provenance::measured, 1).interval(level).high;
  estimate.log_standard_error = std::hypot(estimate.log_standard_error, of_runs / width);
  return estimate;
}

/// Nothing where no number would do.
std::optional<std::size_t> runs_needed(const FigureComparison& figure, const ComparisonOptions& options) {
  const double wanted = std::log1p(options.margin.value_or(options.wanted_change));
  if (figure.lasting >= wanted) return std::nullopt;
  // What lasts takes its share of the distance that is to be seen.
  const double left = std::expm1(std::sqrt(wanted * wanted - figure.lasting * figure.lasting));
  const stats::RatioEstimate estimate = with_errors_of_runs(figure, options.level);
  return options.margin ? stats::runs_needed_for_equivalence(estimate, left)
                        : stats::runs_needed(estimate, left);
}

/// True if what lasts hides a difference that the runs show.
bool lasting_hides(const FigureComparison& figure) {
  const stats::RatioEstimate& repeated = *figure.repeated;
  const double ratio = std::fabs(std::log(repeated.ratio));
  const double chance = log_distance(repeated.ratio, repeated.ratio < 1 ? repeated.high : repeated.low);
  return chance < ratio && std::hypot(chance, figure.lasting) >= ratio;
}

Verdict verdict_by_range(const FigureComparison& figure, const ComparisonOptions& options) {
  if (!figure.repeated) return Verdict::unknown;
  const stats::RatioEstimate& repeated = *figure.repeated;
  if (!figure.range) {
    return std::min(repeated.count_a, repeated.count_b) < 2 ? Verdict::single_runs : Verdict::no_scatter;
  }
  if (options.margin && figure.equivalence_p_value &&
      *figure.equivalence_p_value <= 1 - (1 + options.level) / 2 && within(*figure.range, *options.margin)) {
    return Verdict::equivalent;
  }
  if (figure.range->high < 1) return Verdict::less;
  if (figure.range->low > 1) return Verdict::more;
  const double wanted = std::log1p(options.margin.value_or(options.wanted_change));
  if (figure.lasting >= wanted || lasting_hides(figure)) return Verdict::no_common_base;
  const std::size_t have = std::min(repeated.count_a, repeated.count_b);
  return figure.runs_needed && *figure.runs_needed > have ? Verdict::too_few_runs : Verdict::not_found;
}

/// A range of chance alone proves nothing of values that may be off by themselves.
Verdict verdict_of(const FigureComparison& figure, const ComparisonOptions& options) {
  const Verdict verdict = verdict_by_range(figure, options);
  const bool proven = verdict == Verdict::less || verdict == Verdict::more || verdict == Verdict::equivalent;
  return proven && !(figure.has_range_a && figure.has_range_b) ? Verdict::beyond_chance : verdict;
}

FigureComparison compare_figure(const FigureKind& kind, const Comparison& comparison, bool hosts_differ,
                                const ComparisonOptions& options) {
  FigureComparison figure;
  figure.key = kind.key;
  figure.label = kind.label;
  figure.unit = kind.unit;
  const bool per_unit = !comparison.per_unit.empty();
  const auto a = figure_of(comparison.a, figure.key, per_unit, hosts_differ);
  const auto b = figure_of(comparison.b, figure.key, per_unit, hosts_differ);
  if (a) figure.mean_a = a->mean;
  if (b) figure.mean_b = b->mean;
  if (a) figure.has_range_a = a->has_range;
  if (b) figure.has_range_b = b->has_range;
  if (a && b) {
    const stats::RatioOptions settings{.level = options.level};
    figure.repeated = comparison.paired ? stats::paired_ratio(a->values, b->values, settings)
                                        : stats::unpaired_ratio(a->values, b->values, settings);
  }
  if (figure.repeated) {
    take_no_scatter_for_unknown(*figure.repeated);
    std::set<std::string> run_ids;
    for (const RunGroup* group : {&comparison.a, &comparison.b}) {
      for (const ComparedRun& run : group->runs) run_ids.insert(run.run_id);
    }
    combine(*a, *b, run_ids, options.level, figure);
    const auto floor_a = stats::noise_floor(a->values, options.level);
    const auto floor_b = stats::noise_floor(b->values, options.level);
    if (floor_a && floor_b && std::max(*floor_a, *floor_b) > 0)
      figure.noise_floor = std::max(*floor_a, *floor_b);
    figure.split_half_a = stats::split_half_ratio(a->values);
    figure.split_half_b = stats::split_half_ratio(b->values);
    figure.effect_size = comparison.paired ? stats::paired_effect_size(a->values, b->values)
                                           : stats::unpaired_effect_size(a->values, b->values);
    if (options.margin) {
      figure.equivalence_p_value = stats::equivalence_p_value(*figure.repeated, *options.margin);
    }
    figure.runs_needed = runs_needed(figure, options);
  }
  figure.verdict = verdict_of(figure, options);
  figure.text = verdict_text(figure, options);
  return figure;
}

/// Keeps the runs of which the other group has the partner, in the same order in both.
void keep_pairs(Comparison& comparison) {
  std::map<std::string, const ComparedRun*> partners;
  for (const ComparedRun& run : comparison.b.runs) {
    if (!run.pair.empty()) partners[run.pair] = &run;
  }
  std::vector<ComparedRun> of_a;
  std::vector<ComparedRun> of_b;
  std::set<std::string> kept;
  for (ComparedRun& run : comparison.a.runs) {
    const auto partner = run.pair.empty() ? partners.end() : partners.find(run.pair);
    if (partner == partners.end() || !kept.insert(run.pair).second) continue;
    of_b.push_back(*partner->second);
    of_a.push_back(run);
  }
  if (of_a.empty()) return;
  comparison.paired = true;
  const auto leave_out = [](RunGroup& group, std::vector<ComparedRun> taken) {
    std::set<std::string> ids;
    for (const ComparedRun& run : taken) ids.insert(run.run_id);
    for (const ComparedRun& run : group.runs) {
      if (ids.count(run.run_id) == 0)
        group.left_out.push_back({run.run_id, "its partner of the pair is missing"});
    }
    group.runs = std::move(taken);
  };
  leave_out(comparison.a, std::move(of_a));
  leave_out(comparison.b, std::move(of_b));
}

template <class Field>
std::string values_of(const RunGroup& group, const Field& field) {
  std::set<std::string> values;
  for (const ComparedRun& run : group.runs) values.insert(field(run));
  return printable(fmt::format("{}", fmt::join(values, ", ")));
}

void warn_of_what_differs(Comparison& comparison) {
  const auto differ = [&](const char* what, const auto& field, const char* hint) {
    const std::string of_a = values_of(comparison.a, field);
    const std::string of_b = values_of(comparison.b, field);
    if (of_a == of_b && of_a.find(", ") == std::string::npos) return;
    const auto named = [](const std::string& value) {
      return value.empty() ? std::string("unknown") : value;
    };
    comparison.warnings.push_back({of_a == of_b
                                       ? fmt::format("runs have different {}: {}", what, of_a)
                                       : fmt::format("{} differ: A {}, B {}", what, named(of_a), named(of_b)),
                                   hint});
  };
  differ(
      "hosts", [](const ComparedRun& run) { return run.host_name.empty() ? run.host_id : run.host_name; },
      "times and energies of two machines say more of the machines than of the commands");
  differ(
      "idle policies", [](const ComparedRun& run) { return run.idle_policy; },
      "run both with the same --idle; active energy does not depend on it");
  differ(
      "tiers of attribution", [](const ComparedRun& run) { return run.attribution; },
      "they miss different things: run both with the same --attribution");
  // The grid of a run is a list of its own; compare it as a whole.
  const auto grid = [](const ComparedRun& run) {
    std::string text = run.grid;
    std::replace(text.begin(), text.end(), ',', ';');
    return text;
  };
  differ("grid factors of carbon", grid, "compare energy, or run both for one place");
}

void warn_of_the_groups(Comparison& comparison) {
  const auto warn = [&](std::string text, std::string hint = {}) {
    comparison.warnings.push_back({std::move(text), std::move(hint)});
  };
  for (const auto* group : {&comparison.a, &comparison.b}) {
    if (group->left_out.empty()) continue;
    std::map<std::string, int> reasons;
    for (const RunGroup::LeftOut& run : group->left_out) ++reasons[run.reason];
    std::string text;
    for (const auto& [reason, count] : reasons) {
      text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", count, reason);
    }
    warn(fmt::format("runs of {} that are left out: {}", group == &comparison.a ? "A" : "B", text));
  }
  if (!comparison.paired) {
    warn("the runs were not interleaved: what the machine did differently meanwhile is in the ratios",
         "`joulery run --versus 'CMD A' 'CMD B'` runs both in turn, which cancels it");
  }
  std::set<std::string> units;
  std::set<double> counts;
  for (const auto* group : {&comparison.a, &comparison.b}) {
    for (const ComparedRun& run : group->runs) {
      units.insert(run.per ? run.per->unit : "");
      counts.insert(run.per ? run.per->count : 0);
    }
  }
  if (units.size() > 1) {
    warn("not all runs did work of the same unit: figures are of whole runs", "say the same --per with both");
  }
}

bool all_per_unit(const Comparison& comparison) {
  const std::string unit = comparison.a.runs.front().per ? comparison.a.runs.front().per->unit : "";
  for (const auto* group : {&comparison.a, &comparison.b}) {
    for (const ComparedRun& run : group->runs) {
      if (!run.per || run.per->unit != unit || !(run.per->count > 0)) return false;
    }
  }
  return true;
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::less:
      return "less";
    case Verdict::more:
      return "more";
    case Verdict::equivalent:
      return "equivalent";
    case Verdict::beyond_chance:
      return "beyond_chance";
    case Verdict::too_few_runs:
      return "too_few_runs";
    case Verdict::not_found:
      return "not_found";
    case Verdict::no_common_base:
      return "no_common_base";
    case Verdict::single_runs:
      return "single_runs";
    case Verdict::no_scatter:
      return "no_scatter";
    case Verdict::unknown:
      return "unknown";
  }
  return "unknown";
}

Result<std::vector<meter::Warning>> leave_out_empty_groups(std::vector<RunGroup>& groups, bool keep_first) {
  std::vector<meter::Warning> warnings;
  std::vector<RunGroup> left;
  for (RunGroup& group : groups) {
    if (!group.runs.empty() || (keep_first && left.empty() && warnings.empty())) {
      left.push_back(std::move(group));
      continue;
    }
    const std::size_t count = group.left_out.size();
    warnings.push_back({fmt::format("'{}' is left out: none of its {} ended well", printable(group.label),
                                    format_count(double(count), "runs")),
                        kOnlyGoodRuns});
  }
  if (left.size() < 2) {
    std::string text;
    for (const meter::Warning& warning : warnings) text += (text.empty() ? "" : "; ") + warning.text;
    return user_error("fewer than two groups are left to compare" + (text.empty() ? "" : ": " + text),
                      kOnlyGoodRuns);
  }
  groups = std::move(left);
  return warnings;
}

Result<Comparison> compare_groups(RunGroup a, RunGroup b, const ComparisonOptions& options) {
  Comparison comparison;
  comparison.level = options.level;
  comparison.margin = options.margin;
  comparison.wanted_change = options.wanted_change;
  std::set<std::string> ids;
  for (const ComparedRun& run : a.runs) ids.insert(run.run_id);
  for (const ComparedRun& run : b.runs) {
    if (ids.count(run.run_id) > 0) {
      return user_error(fmt::format("'{}' and '{}' have run {} in common", printable(a.label),
                                    printable(b.label), run.run_id),
                        "name two groups of different runs; --single takes runs without their series");
    }
  }
  const auto by_start = [](const ComparedRun& x, const ComparedRun& y) {
    return std::tie(x.start_utc_ns, x.run_id) < std::tie(y.start_utc_ns, y.run_id);
  };
  std::sort(a.runs.begin(), a.runs.end(), by_start);
  std::sort(b.runs.begin(), b.runs.end(), by_start);
  for (const RunGroup* group : {&a, &b}) {
    if (group->runs.empty()) {
      return user_error(fmt::format("'{}' has no run that ended well", printable(group->label)),
                        kOnlyGoodRuns);
    }
  }
  comparison.a = std::move(a);
  comparison.b = std::move(b);
  keep_pairs(comparison);
  if (all_per_unit(comparison)) comparison.per_unit = comparison.a.runs.front().per->unit;
  std::set<std::string> hosts;
  for (const auto* group : {&comparison.a, &comparison.b}) {
    for (const ComparedRun& run : group->runs) hosts.insert(run.host_id);
  }
  for (const FigureKind& kind : kKinds) {
    comparison.figures.push_back(compare_figure(kind, comparison, hosts.size() > 1, options));
  }
  warn_of_what_differs(comparison);
  warn_of_the_groups(comparison);
  return comparison;
}

}  // namespace joulery::app
