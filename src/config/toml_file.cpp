// The only file that includes toml++: it costs seconds to compile.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

#include "base/text.hpp"
#include "config/config.hpp"

namespace joulery::config {
namespace {

/// Deeper tables are no settings of ours, and recursion must end on hostile input.
constexpr int kDeepest = 8;

void flatten(const toml::table& table, const std::string& prefix, int depth,
             std::vector<TomlEntry>& entries) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
    if (const toml::table* inner = node.as_table(); inner != nullptr && depth < kDeepest) {
      flatten(*inner, key, depth + 1, entries);
      continue;
    }
    TomlEntry entry{
        .key = key, .value = {}, .kind = TomlEntry::Kind::other, .line = node.source().begin.line};
    if (const auto* text = node.as_string()) {
      entry.kind = TomlEntry::Kind::text;
      entry.value = text->get();
    } else if (const auto* integer = node.as_integer()) {
      entry.kind = TomlEntry::Kind::integer;
      entry.value = fmt::format("{}", integer->get());
    } else if (const auto* number = node.as_floating_point()) {
      entry.kind = TomlEntry::Kind::floating;
      entry.value = fmt::format("{}", number->get());
    } else if (const auto* truth = node.as_boolean()) {
      entry.kind = TomlEntry::Kind::boolean;
      entry.value = truth->get() ? "true" : "false";
    }
    entries.push_back(std::move(entry));
  }
}

}  // namespace

Result<std::vector<TomlEntry>> parse_toml(std::string_view text, const std::string& name) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return user_error(fmt::format("{}:{}:{}: not valid TOML: {}", name, error.source().begin.line,
                                  error.source().begin.column, printable(error.description())));
  }
  std::vector<TomlEntry> entries;
  flatten(parsed.table(), "", 0, entries);
  return entries;
}

}  // namespace joulery::config
