#include <fmt/format.h>

#include <algorithm>

#include "app/named_runs.hpp"
#include "base/text.hpp"
#include "cli/comparison_text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

Status check_flags(const Arguments& arguments) {
  const bool by = arguments.has("by");
  for (const char* flag : {"where", "baseline"}) {
    if (arguments.has(flag) && !by) {
      return user_error(fmt::format("--{} goes with --by", flag), "for example --by framework");
    }
  }
  if (by && !arguments.operands.empty()) {
    return user_error(
        fmt::format("--by takes its runs from a tag, not from '{}'", printable(arguments.operands.front())),
        "narrow them down with --where");
  }
  return {};
}

/// Several runs that are not the two sides of a session are one side.
Status check_two_sides(record::Store& store, const std::string& operand) {
  auto runs = app::find_named_runs(store, {operand}, app::SharedName::its_series);
  std::size_t count = 0;
  if (runs) {
    const auto in_session = [](const record::Run& run) { return run.tags.contains(app::kVersusTag); };
    if (runs->size() == 1 || std::any_of(runs->begin(), runs->end(), in_session)) return {};
    count = runs->size();
  } else {
    const auto group = app::find_group(store, operand, false);
    if (!group) return std::unexpected(std::move(runs.error()));
    count = group->runs.size() + group->left_out.size();
  }
  return user_error(fmt::format("compare needs two; '{}' is one: {} runs", printable(operand), count),
                    fmt::format("name the other too: joulery compare {} OTHER", printable(operand)));
}

Result<std::vector<app::RunGroup>> find_groups(record::Store& store, const Arguments& arguments) {
  if (const auto tag = arguments.value("by")) {
    return app::group_by_tag(store, *tag, arguments.value("where").value_or(""), arguments.value("baseline"));
  }
  if (arguments.operands.size() == 1) JOULERY_CHECK_OK(check_two_sides(store, arguments.operands.front()));
  if (arguments.operands.size() < 2) {
    return app::find_versus_groups(store, arguments.operands.empty() ? "last" : arguments.operands.front());
  }
  std::vector<app::RunGroup> groups;
  for (const std::string& operand : arguments.operands) {
    JOULERY_ASSIGN(app::RunGroup group, app::find_group(store, operand, arguments.has("single")));
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

VerbResult compare_verb(app::Application& application, const Arguments& arguments) {
  JOULERY_CHECK_OK(check_flags(arguments));
  app::ComparisonOptions options;
  JOULERY_ASSIGN(options.margin, margin_of(arguments));
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  JOULERY_ASSIGN(std::vector<app::RunGroup> groups, find_groups(*store, arguments));
  std::vector<meter::Warning> left_out;
  if (arguments.has("by")) {
    JOULERY_ASSIGN(left_out, app::leave_out_empty_groups(groups, arguments.has("baseline")));
  }
  // With several groups against one, all intervals together hold at the level (Bonferroni).
  options.level = 1 - (1 - options.level) / static_cast<double>(groups.size() - 1);
  std::vector<app::Comparison> comparisons;
  for (std::size_t i = 1; i < groups.size(); ++i) {
    JOULERY_ASSIGN(app::Comparison comparison, app::compare_groups(groups.front(), groups[i], options));
    // Once is enough.
    if (i == 1) comparison.warnings.insert(comparison.warnings.end(), left_out.begin(), left_out.end());
    comparisons.push_back(std::move(comparison));
  }
  const std::string text = arguments.has("json")
                               ? app::comparison_document(comparisons) + "\n"
                               : comparison_text(comparisons, palette(application, Stream::out));
  JOULERY_CHECK_OK(print(Stream::out, text));
  return kExitOk;
}

}  // namespace joulery::cli
