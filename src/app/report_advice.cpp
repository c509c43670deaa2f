#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "app/compared_run.hpp"
#include "app/report.hpp"
#include "base/text.hpp"
#include "footprint/intensity.hpp"
#include "footprint/zone.hpp"

namespace joulery::app {
namespace {

using footprint::Derivation;
using footprint::Factor;
using footprint::TableId;

/// Less than this is not worth a sentence.
constexpr double kWorthSaying = 0.01;
/// A range must shrink by this factor to be worth one.
constexpr double kWorthNarrowing = 0.95;

std::string percent(double share) {
  const double value = share * 100;
  return value > 0 && value < 1 ? "less than 1" : fmt::format("{:.0f}", value);
}

/// "saves 0 to 12 % of its energy: up to about 0.74 J".
std::string saving(const std::string& what, const ReportFigure& figure, double low, double high) {
  const std::string shares = percent(low) == percent(high)
                                 ? fmt::format("about {} %", percent(high))
                                 : fmt::format("{} to {} %", percent(low), percent(high));
  const std::string most = amount_text(figure.high * high, figure.unit, 2);
  const std::string least = amount_text(figure.low * low, figure.unit, 2);
  return low > 0 ? fmt::format("saves {} of {}: {} to {}", shares, what, least, most)
                 : fmt::format("saves {} of {}: at most {}", shares, what, most);
}

Advice saves(const std::string& key, const std::string& figure, double low, double high) {
  Advice advice;
  advice.kind = Advice::Kind::saves;
  advice.key = key;
  advice.figure = figure;
  advice.share_low = low;
  advice.share_high = high;
  return advice;
}

std::optional<double> cpu_load(const RunReport& run) {
  if (!run.cpu_seconds || !run.duration_seconds || !run.machine_cpus) return std::nullopt;
  if (*run.duration_seconds <= 0 || *run.machine_cpus < 1) return std::nullopt;
  return *run.cpu_seconds / (*run.duration_seconds * *run.machine_cpus);
}

/// Idle power known only as a range as wide as this says nothing of what is idle.
bool idle_is_a_guess(const RunReport& run) {
  constexpr double kWide = 1.5;
  return run.idle_watts_low && run.idle_watts_high && *run.idle_watts_high > kWide * *run.idle_watts_low;
}

void advise_on_idle_power(const RunReport& run, std::vector<Advice>& all) {
  const bool said =
      std::any_of(all.begin(), all.end(), [](const Advice& each) { return each.key == "idle_power"; });
  if (said || !run.energy || run.energy->value <= 0 || !idle_is_a_guess(run)) return;
  Advice advice;
  advice.kind = Advice::Kind::surer;
  advice.key = "idle_power";
  advice.title = "Let the doctor measure idle power";
  advice.text = fmt::format(
      "What the machine draws when it does nothing is only known to lie between {} and {}, so it can't be "
      "said how much of this run\u2019s {} is idle that a busier machine would not have.",
      amount_text(*run.idle_watts_low, "W", 2), amount_text(*run.idle_watts_high, "W", 2),
      amount_text(run.energy->value, "J", 2));
  advice.effect = "tells work from idle, and with it what a busier machine would save";
  advice.command = "joulery doctor    # on the quiet machine";
  all.push_back(std::move(advice));
}

/// The share of idle that a fully busy machine would still put on the same CPU time: the rest could be saved.
void advise_on_idle(const RunReport& run, std::vector<Advice>& all) {
  const auto load = cpu_load(run);
  if (!run.energy || !run.energy_idle_share || !run.idle_watts || !load || run.idle_policy == "none") return;
  if (run.energy->value <= 0 || idle_is_a_guess(run)) return;
  // GPUs wait on their own account.
  double idle_watts = *run.idle_watts;
  double idle_share = run.energy_idle_share->value;
  for (const ReportGpu& gpu : run.gpus) {
    idle_watts -= gpu.idle_watts;
    idle_share -= gpu.idle_share_joules;
  }
  const double unavoidable = std::max(0.0, idle_watts) * *run.cpu_seconds / *run.machine_cpus;
  const double most = (idle_share - unavoidable) / run.energy->value;
  if (most < kWorthSaying) return;
  Advice advice = saves("idle", "energy_joules", 0, std::min(most, 1.0));
  advice.title = "Keep the machine busier, or finish sooner";
  advice.text = fmt::format(
      "{} % of this run\u2019s energy is its share of what the machine draws when idle. The run kept "
      "{:.2g} of {:.0f} CPUs busy on average ({} %). Run something else meanwhile, use the free CPUs, or "
      "wait less (for data, the network, a lock); if every CPU were busy, only {} of {} would be left.",
      percent(idle_share / run.energy->value), *run.cpu_seconds / *run.duration_seconds, *run.machine_cpus,
      percent(*load), amount_text(unavoidable, "J", 2), amount_text(idle_share, "J", 2));
  advice.effect = saving("its energy", *run.energy, 0, advice.share_high);
  all.push_back(std::move(advice));
}

/// The same of GPUs: what they draw while they wait for the run.
void advise_on_idle_gpus(const RunReport& run, std::vector<Advice>& all) {
  if (!run.energy || run.energy->value <= 0 || run.gpus.empty() || run.idle_policy == "none") return;
  double idle = 0;
  double unavoidable = 0;
  for (const ReportGpu& gpu : run.gpus) {
    idle += gpu.idle_share_joules;
    unavoidable += std::min(gpu.idle_share_joules, gpu.idle_watts * gpu.busy_seconds);
  }
  const double most = (idle - unavoidable) / run.energy->value;
  if (most < kWorthSaying) return;
  Advice advice = saves("idle_gpus", "energy_joules", 0, std::min(most, 1.0));
  advice.title = run.gpus.size() == 1 ? "Keep the GPU busier" : "Keep the GPUs busier, or take fewer";
  advice.text = fmt::format(
      "{} % of this run\u2019s energy is what its share of {} draws when idle: {}. Larger batches, "
      "faster loading of data or another job beside it use that; at full use {} of it would be left.",
      percent(idle / run.energy->value), format_count(double(run.gpus.size()), "GPUs"),
      amount_text(idle, "J", 2), amount_text(unavoidable, "J", 2));
  advice.effect = saving("its energy", *run.energy, 0, advice.share_high);
  all.push_back(std::move(advice));
}

/// What is reserved counts whole, used or not.
void advise_on_reserved(const RunReport& run, std::vector<Advice>& all) {
  const auto load = cpu_load(run);
  if (!run.reserved || !load || !run.embodied || run.embodied->value <= 0) return;
  const double busy = *run.cpu_seconds / *run.duration_seconds;
  const double needed = std::max(1.0, std::ceil(busy));
  const double share = 1 - needed / *run.machine_cpus;
  if (share < kWorthSaying) return;
  Advice advice = saves("fewer_cpus", "embodied_gco2e", 0, share);
  advice.title = "Reserve fewer CPUs";
  advice.text = fmt::format(
      "{:.0f} CPUs were reserved, and the run kept {:.2g} of them busy on average. {:.0f} would do if its "
      "load is even; look at the chart above for the times when it needs more.",
      *run.machine_cpus, busy, needed);
  advice.effect = saving("the machine\u2019s making that falls on it", *run.embodied, 0, share);
  all.push_back(std::move(advice));
}

void advise_on_failure(const RunReport& run, std::vector<Advice>& all) {
  if (!run.failed || !run.energy || run.energy->value <= 0) return;
  Advice advice = saves("failure", "energy_joules", 0, 1);
  advice.title = "Find out why it failed before it runs again";
  advice.text =
      fmt::format("The run {}; if its result is of no use, all that it cost was spent for nothing.", run.end);
  advice.effect = saving("its energy", *run.energy, 0, 1);
  all.push_back(std::move(advice));
}

struct Place {
  std::string name;
  Quantity<GramsCo2ePerJoule> intensity;
  double grams_per_kilowatt_hour = 0;
};

const Factor* find_factor(const RunReport& run, const std::string& figure, const std::string& key) {
  for (const Derivation& derivation : run.derivations) {
    if (derivation.figure != figure) continue;
    for (const Factor& factor : derivation.factors) {
      if (factor.key == key) return &factor;
    }
  }
  return nullptr;
}

int year_of(const RunReport& run) {
  const std::string text = format_utc(run.run.start_utc_ns).substr(0, 4);
  return static_cast<int>(parse_int64(text).value_or(0));
}

/// Places with data centres: regions of the same cloud, else countries that have regions of any.
std::vector<Place> other_places(const footprint::DataSet& data, const RunReport& run,
                                const footprint::IntensityKind& kind) {
  std::vector<Place> places;
  const auto regions = data.table(TableId::cloud_regions);
  if (!regions || *regions == nullptr) return places;
  const std::string cloud =
      run.zone.substr(0, run.zone.find(':') == std::string::npos ? 0 : run.zone.find(':'));
  std::set<std::string> seen;
  for (const auto& row : (*regions)->rows()) {
    if (!cloud.empty() && row.text("provider") != cloud) continue;
    const std::string zone_text =
        cloud.empty() ? row.text("country_iso3") : row.text("provider") + ":" + row.text("region");
    if (zone_text.empty() || !seen.insert(zone_text).second) continue;
    const auto zone = footprint::find_zone(data, zone_text);
    if (!zone || zone->id == run.zone) continue;
    const auto intensity = footprint::find_intensity(data, *zone, kind, year_of(run));
    if (!intensity || intensity->factor.value <= 0) continue;
    places.push_back({zone->name, intensity->value, intensity->factor.value});
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.grams_per_kilowatt_hour < b.grams_per_kilowatt_hour;
  });
  return places;
}

void advise_on_place(const footprint::DataSet& data, const RunReport& run, std::vector<Advice>& all) {
  const auto kind = footprint::parse_kind(run.intensity_kind);
  const Factor* here = find_factor(run, "carbon", "grid_intensity");
  if (!run.carbon || run.carbon->value <= 0 || !kind || here == nullptr || here->value <= 0) return;
  if (run.zone.empty() || run.zone == "WORLD") return;
  const std::vector<Place> places = other_places(data, run, *kind);
  if (places.empty()) return;
  const Quantity<GramsCo2ePerJoule> now(here->value / footprint::kJoulesPerKilowattHour, here->provenance, 0,
                                        {{.id = "here",
                                          .low = std::clamp(here->low / here->value, 0.0, 1.0),
                                          .high = std::max(here->high / here->value, 1.0),
                                          .provenance = here->provenance,
                                          .basis = {}}});
  const Place& best = places.front();
  const Interval bounds = ratio(best.intensity, now).interval();
  const double central = best.grams_per_kilowatt_hour / here->value;
  // Only what is less whatever of the two ranges is true.
  if (bounds.high >= 1 - kWorthSaying) return;
  Advice advice = saves("place", "carbon_gco2e", 1 - bounds.high, std::min(1.0, 1 - bounds.low));
  advice.title = "Run it where electricity is cleaner, if it may run elsewhere";
  std::string others;
  for (std::size_t i = 1; i < std::min<std::size_t>(3, places.size()); ++i)
    others += fmt::format(", {} {:.0f}", places[i].name, places[i].grams_per_kilowatt_hour);
  advice.text = fmt::format(
      "{} is taken at {:.0f} g CO2e per kWh. With the electricity of {} ({:.0f} g; then{}) the same joules "
      "would emit about {} instead of {}. Same machine and building assumed; these are means of a year and "
      "say nothing of the hour.",
      run.zone_name, here->value, best.name, best.grams_per_kilowatt_hour,
      others.substr(others.empty() ? 0 : 1), amount_text(run.carbon->value * central, "g", 2),
      amount_text(run.carbon->value, "g", 2));
  advice.effect = saving("its carbon", *run.carbon, advice.share_low, advice.share_high);
  all.push_back(std::move(advice));
}

void advise_on_building(const footprint::DataSet& data, const RunReport& run, std::vector<Advice>& all) {
  const Factor* pue = find_factor(run, "carbon", "pue");
  if (!run.carbon || run.carbon->value <= 0 || pue == nullptr || pue->value <= 1) return;
  const auto table = data.table(TableId::provider_pue);
  if (!table || *table == nullptr) return;
  std::string provider;
  double best = pue->value;
  for (const auto& row : (*table)->rows()) {
    const double value = row.number("pue").value_or(best);
    if (value >= best) continue;
    best = value;
    provider = row.text("provider");
  }
  const double share = 1 - best / pue->value;
  if (share < kWorthSaying) return;
  Advice advice = saves("building", "carbon_gco2e", 0, share);
  advice.title = "Use a building that wastes less on cooling";
  advice.text = fmt::format(
      "Each joule of the machine costs {:.3g} J with the building\u2019s cooling and power supply (PUE). "
      "The lowest fleet mean in the tables is {:.3g} ({}).",
      pue->value, best, provider);
  advice.effect = saving("its carbon", *run.carbon, 0, share);
  all.push_back(std::move(advice));
}

/// Terms of the derivation with each lifetime a year longer, over those as they are.
std::optional<double> share_of_a_longer_life(const Derivation& derivation) {
  constexpr double kYearSeconds = 365 * 86400.0;
  Derivation longer = derivation;
  bool any = false;
  for (Factor& factor : longer.factors) {
    if (!factor.key.starts_with("life_") || factor.unit != "s") continue;
    factor.value += kYearSeconds;
    any = true;
  }
  const double before = footprint::evaluate(derivation);
  const double after = footprint::evaluate(longer);
  if (!any || !(before > 0) || !(after >= 0)) return std::nullopt;
  return 1 - after / before;
}

void advise_on_making(const RunReport& run, std::vector<Advice>& all) {
  if (!run.embodied || !run.carbon || run.embodied->value <= 0) return;
  // The owner of a virtual machine's host is somebody else.
  if (!run.host || run.host->virtual_machine) return;
  const double part = run.embodied->value / (run.embodied->value + run.carbon->value);
  constexpr double kMatters = 0.1;
  if (part < kMatters) return;
  for (const Derivation& derivation : run.derivations) {
    if (derivation.figure != "embodied") continue;
    const auto share = share_of_a_longer_life(derivation);
    if (!share || *share < kWorthSaying) return;
    Advice advice = saves("longer_life", "embodied_gco2e", *share, *share);
    advice.title = "Keep the machine a year longer";
    advice.text = fmt::format(
        "{} % of the emissions of this run come from making the machine, spread over its lifetime; "
        "electricity makes the rest.",
        percent(part));
    advice.effect = saving("its share of making the machine", *run.embodied, *share, *share);
    all.push_back(std::move(advice));
    return;
  }
}

UncertainValue without(const UncertainValue& value, std::string_view source) {
  UncertainValue rest(0, Provenance::measured, value.standard_deviation());
  for (const UncertainValue::Part& part : value.parts()) {
    std::vector<SystematicSource> sources = part.sources;
    std::erase_if(sources, [&](const SystematicSource& each) { return each.id.starts_with(source); });
    rest.add({part.value, part.provenance, 0, sources});
  }
  return rest;
}

const SystematicSource* find_source(const UncertainValue& value, std::string_view prefix) {
  for (const UncertainValue::Part& part : value.parts()) {
    for (const SystematicSource& source : part.sources) {
      if (source.id.starts_with(prefix)) return &source;
    }
  }
  return nullptr;
}

struct Doubt {
  const char* key;
  const char* source;  // prefix of its id
  bool of_carbon;      // else of energy
  const char* title;
  const char* command;
};
constexpr Doubt kDoubts[] = {
    {"sensor", "host-power-model:", false, "Measure power instead of modelling it", "joulery doctor"},
    {"idle_power", "idle-power:", false, "Let the doctor measure idle power", "joulery doctor"},
    {"quiet", "attribution:", false, "Run it on a quieter machine", ""},
    {"zone", "grid:place:", true, "Say where the electricity comes from",
     "joulery run --zone FR -- \u2026    # your country or cloud region"},
    {"pue", "pue:", true, "Say what building it runs in",
     "joulery run --pue 1 -- \u2026    # at home; a data centre publishes its own"}};

/// What the place may be, in grams of this run.
std::string places_text(const footprint::DataSet& data, const RunReport& run) {
  const auto kind = footprint::parse_kind(run.intensity_kind);
  const Factor* here = find_factor(run, "carbon", "grid_intensity");
  if (!kind || here == nullptr || here->value <= 0 || !run.carbon) return {};
  const std::vector<Place> places = other_places(data, run, *kind);
  if (places.size() < 2) return {};
  const auto grams = [&](const Place& place) {
    return amount_text(run.carbon->value * place.grams_per_kilowatt_hour / here->value, "g", 2);
  };
  return fmt::format(
      " Of the countries where clouds have data centres, it would be {} with the electricity of {} and {} "
      "with that of {}.",
      grams(places.front()), places.front().name, grams(places.back()), places.back().name);
}

/// Each doubt of the figure is taken away in turn: what is left is the best that can come of it.
void advise_on_doubts(const footprint::DataSet& data, const RunReport& run, std::vector<Advice>& all) {
  for (const Doubt& doubt : kDoubts) {
    const auto& value = doubt.of_carbon ? run.carbon_parts : run.energy_parts;
    const auto& figure = doubt.of_carbon ? run.carbon : run.energy;
    if (!value || !figure || value->value() <= 0) continue;
    const SystematicSource* source = find_source(*value, doubt.source);
    if (source == nullptr) continue;
    const Interval now = value->interval();
    const Interval best = without(*value, doubt.source).interval();
    if (now.low <= 0 || best.low <= 0) continue;
    const double factor = (best.high / best.low) / (now.high / now.low);
    if (factor > kWorthNarrowing) continue;
    Advice advice;
    advice.kind = Advice::Kind::surer;
    advice.key = doubt.key;
    advice.title = doubt.title;
    advice.figure = doubt.of_carbon ? "carbon_gco2e" : "energy_joules";
    advice.range_factor = factor;
    advice.text = fmt::format("It is not better known now because of this: {}.", source->basis);
    if (advice.key == "zone") advice.text += places_text(data, run);
    const auto range = [&](const Interval& interval) {
      return fmt::format("{} to {}", amount_text(interval.low, figure->unit, 2),
                         amount_text(interval.high, figure->unit, 2));
    };
    advice.effect = fmt::format("the range of {}, {}, would at best be as narrow as {}",
                                doubt.of_carbon ? "carbon" : "energy", range(now), range(best));
    advice.command = doubt.command;
    all.push_back(std::move(advice));
  }
}

/// A killed meter leaves what it had stored by then, which may be nothing.
void advise_on_cut_off(const RunReport& run, std::vector<Advice>& all) {
  const bool cut_off =
      run.run.status == record::RunStatus::killed || run.run.tags.contains("joulery.recovered");
  if (run.energy || run.failed || !cut_off) return;
  Advice advice;
  advice.kind = Advice::Kind::surer;
  advice.key = "cut_off";
  advice.title = "Run it again to the end";
  advice.text = "The run was cut off before its energy was known: what it cost is not in the record.";
  advice.effect = "makes energy, carbon and money known at all";
  advice.command = "joulery run -- \u2026";
  advice.figure = "energy_joules";
  advice.range_factor = 0;
  all.push_back(std::move(advice));
}

void advise_on_unknown_energy(const RunReport& run, std::vector<Advice>& all) {
  if (run.energy || !run.cpu_seconds) return;
  Advice advice;
  advice.kind = Advice::Kind::surer;
  advice.key = "sensor";
  advice.title = "Find out what this machine can measure";
  advice.text =
      fmt::format("Of this run only times are known: {} of CPU time.", format_duration(*run.cpu_seconds));
  advice.effect = "makes energy, carbon and money known at all";
  advice.command = "joulery doctor";
  advice.figure = "energy_joules";
  advice.range_factor = 0;
  all.push_back(std::move(advice));
}

void advise_on_repeats(const RunReport& run, std::vector<Advice>& all) {
  const auto has = [&](const char* key) { return run.run.tags.contains(key); };
  if (run.failed || has(kSeriesTag) || has(kVersusTag) || has("joulery.source") || !run.duration_seconds)
    return;
  constexpr double kLongest = 86400;
  constexpr int kRuns = 5;
  if (*run.duration_seconds <= 0 || *run.duration_seconds > kLongest) return;
  Advice advice;
  advice.kind = Advice::Kind::surer;
  advice.key = "repeat";
  advice.title = "Run it more than once before you compare it";
  advice.text = fmt::format(
      "This is one run: nothing is known of how much the next one would differ. {} runs take about {}{}.",
      kRuns, format_duration(kRuns * *run.duration_seconds),
      run.energy ? " and " + amount_text(kRuns * run.energy->value, "J", 2) : "");
  advice.effect = "adds a mean with a confidence interval";
  advice.command = fmt::format("joulery run --repeat {} -- \u2026", kRuns);
  all.push_back(std::move(advice));
}

void advise_on_price(const RunReport& run, std::vector<Advice>& all) {
  if (run.cost || !run.energy || run.energy->value <= 0 || run.zone.empty()) return;
  const double kilowatt_hours = run.energy->value * run.pue.value_or(1) / footprint::kJoulesPerKilowattHour;
  Advice advice;
  advice.kind = Advice::Kind::surer;
  advice.key = "price";
  advice.title = "Say what a kilowatt-hour costs you";
  advice.text = fmt::format("The run took {} kWh; at 0.25 a kWh that is {} of your currency.",
                            amount_text(kilowatt_hours, "", 2), amount_text(kilowatt_hours * 0.25, "", 2));
  advice.effect = "adds the cost in money";
  advice.command = "joulery run --price \"0.25 EUR\" -- \u2026";
  all.push_back(std::move(advice));
}

/// What it saves, in grams where there are grams, so that shares of different figures stand in one order.
double saved(const Advice& advice, const RunReport& run) {
  const double share = (advice.share_low + advice.share_high) / 2;
  const auto& whole = advice.figure == "embodied_gco2e" ? run.embodied : run.carbon;
  return whole ? share * whole->value : share;
}

bool before(const Advice& a, const Advice& b, const RunReport& run) {
  if (a.kind != b.kind) return a.kind == Advice::Kind::saves;
  if (a.kind == Advice::Kind::surer) return a.range_factor < b.range_factor;
  return saved(a, run) > saved(b, run);
}

}  // namespace

std::vector<Advice> find_advice(const footprint::DataSet& data, const RunReport& report) {
  std::vector<Advice> all;
  advise_on_failure(report, all);
  advise_on_idle(report, all);
  advise_on_idle_gpus(report, all);
  advise_on_reserved(report, all);
  advise_on_place(data, report, all);
  advise_on_building(data, report, all);
  advise_on_making(report, all);
  advise_on_cut_off(report, all);
  advise_on_unknown_energy(report, all);
  advise_on_doubts(data, report, all);
  advise_on_idle_power(report, all);
  advise_on_repeats(report, all);
  advise_on_price(report, all);
  // Insertion keeps the order of equals.
  std::vector<Advice> sorted;
  for (Advice& advice : all) {
    const auto place = std::find_if(sorted.begin(), sorted.end(),
                                    [&](const Advice& other) { return before(advice, other, report); });
    sorted.insert(place, std::move(advice));
  }
  return sorted;
}

}  // namespace joulery::app
