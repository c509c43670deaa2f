#include "meter/attribution_factory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "meter/attributions.hpp"

namespace joulery::meter {
namespace {

constexpr std::array kTiers = {Tier::cgroup, Tier::systemd_scope, Tier::perf_task_clock, Tier::process_tree};

Result<std::unique_ptr<Attribution>> make_tier(Tier tier, const AttributionOptions& options) {
  switch (tier) {
    case Tier::cgroup:
      return make_cgroup_attribution(options);
    case Tier::systemd_scope:
      return make_systemd_attribution(options);
    case Tier::perf_task_clock:
      return make_perf_attribution(options);
    case Tier::process_tree:
      return make_tree_attribution(options);
  }
  return internal_error("there is no such tier");
}

/// Safe as part of a file name, and as the last part of a CgroupName.
bool is_plain_id(const std::string& text) {
  constexpr std::size_t kLongest = 64;
  const auto is_plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && text.size() <= kLongest && std::all_of(text.begin(), text.end(), is_plain);
}

/// The first tier from `first` on that can be made; those that can't are added to `choice`.
Status choose_from(Tier first, const AttributionOptions& options, AttributionChoice& choice) {
  for (const Tier tier : kTiers) {
    if (tier < first) continue;
    auto made = make_tier(tier, options);
    if (made.has_value()) {
      choice.attribution = std::move(*made);
      return {};
    }
    choice.skipped.push_back({tier, made.error().message, made.error().hint});
  }
  return environment_error(
      fmt::format("the workload's CPU time can't be followed: {}", choice.skipped.back().reason),
      choice.skipped.back().hint);
}

}  // namespace

const char* tier_name(Tier tier) {
  switch (tier) {
    case Tier::cgroup:
      return "cgroup";
    case Tier::systemd_scope:
      return "systemd scope";
    case Tier::perf_task_clock:
      return "perf task-clock";
    case Tier::process_tree:
      return "process tree";
  }
  return "unknown";
}

Result<AttributionChoice> make_attribution(const AttributionOptions& options) {
  if (!is_plain_id(options.short_id)) {
    return internal_error(fmt::format("'{}' can't be part of a cgroup's name", printable(options.short_id)));
  }
  AttributionChoice choice;
  if (options.only) {
    auto made = make_tier(*options.only, options);
    if (!made.has_value()) {
      Error error = std::move(made).error();
      error.message = fmt::format("tier '{}' can't be used: {}", tier_name(*options.only), error.message);
      return std::unexpected(std::move(error));
    }
    choice.attribution = std::move(*made);
    return choice;
  }
  JOULERY_CHECK_OK(choose_from(Tier::cgroup, options, choice));
  return choice;
}

Status adopt(AttributionChoice& choice, const AttributionOptions& options, int pid) {
  for (;;) {
    Status adopted = choice.attribution->adopt(pid);
    const Tier tier = choice.attribution->tier();
    if (adopted.has_value() || options.only || tier == Tier::process_tree) return adopted;
    choice.attribution->finish();
    choice.skipped.push_back({tier, adopted.error().message, adopted.error().hint});
    JOULERY_CHECK_OK(choose_from(static_cast<Tier>(static_cast<int>(tier) + 1), options, choice));
  }
}

std::vector<TierReport> probe_tiers(const AttributionOptions& options) {
  std::vector<TierReport> reports;
  for (const Tier tier : kTiers) {
    TierReport report{.tier = tier, .usable = false, .reason = {}, .hint = {}, .can_miss = {}};
    auto made = make_tier(tier, options);
    if (made.has_value()) {
      report.usable = true;
      report.can_miss = (*made)->can_miss();
      (*made)->finish();
    } else {
      report.reason = made.error().message;
      report.hint = made.error().hint;
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace joulery::meter
