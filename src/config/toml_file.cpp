// The only file that includes toml++: it costs seconds to compile.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <fmt/format.h>
#include <toml++/toml.h>

#include <cctype>
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

/// The commonest mistake is a text without quotes; the parser takes its first letter for something else.
std::string text_hint(std::string_view text, std::size_t line_number) {
  const auto lines = split(text, '\n');
  if (line_number == 0 || line_number > lines.size()) return {};
  const std::string_view line = lines[line_number - 1];
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return {};
  const std::string_view key = trim(line.substr(0, equals));
  const std::string_view value = trim(line.substr(equals + 1));
  constexpr std::size_t kLongestShown = 60;
  const bool bare = !value.empty() && value.size() <= kLongestShown &&
                    std::isalpha(static_cast<unsigned char>(value.front())) != 0 &&
                    value.find_first_of("\"'#") == std::string_view::npos;
  return bare ? fmt::format("a text needs quotes: {} = \"{}\"", printable(key), printable(value)) : "";
}

}  // namespace

Result<std::vector<TomlEntry>> parse_toml(std::string_view text, const std::string& name) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return user_error(fmt::format("{}:{}:{}: not valid TOML: {}", name, error.source().begin.line,
                                  error.source().begin.column, printable(error.description())),
                      text_hint(text, error.source().begin.line));
  }
  std::vector<TomlEntry> entries;
  flatten(parsed.table(), "", 0, entries);
  return entries;
}

}  // namespace joulery::config
