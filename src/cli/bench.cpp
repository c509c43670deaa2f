#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/text.hpp"
#include "cli/bench_endpoint.hpp"
#include "cli/bench_model.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

constexpr std::string_view kFormats[] = {"table", "json", "markdown"};
/// Formats that tell of a model only.
constexpr std::string_view kModelFormats[] = {"html", "optimum", "aienergyscore"};

}  // namespace

VerbResult bench_verb(app::Application& application, const Arguments& arguments) {
  const std::string& subject = arguments.operands.front();
  const bool endpoint = subject.starts_with("http://") || subject.starts_with("https://");
  // A flag of the other kind would be passed over without a word.
  const std::vector<Flag> foreign = endpoint ? model_flags() : endpoint_flags();
  const std::vector<Flag> own = endpoint ? endpoint_flags() : model_flags();
  for (const Flag& flag : foreign) {
    const bool shared = std::ranges::any_of(own, [&](const Flag& other) { return other.name == flag.name; });
    if (shared || !arguments.has(flag.name)) continue;
    return user_error(fmt::format("--{} is for {}", flag.name,
                                  endpoint ? "a model, and this is the URL of a server"
                                           : "the URL of a server, and this is a model's file"),
                      "`joulery bench --help` says which flag is for which");
  }
  const std::string format = arguments.value("format").value_or("table");
  const bool known = std::ranges::find(kFormats, format) != std::end(kFormats) ||
                     std::ranges::find(kModelFormats, format) != std::end(kModelFormats);
  if (!known) {
    return user_error(fmt::format("--format can't be '{}'", printable(format)),
                      "it is table, json or markdown; of a model also html, optimum or aienergyscore");
  }
  if (endpoint && std::ranges::find(kModelFormats, format) != std::end(kModelFormats)) {
    return user_error(fmt::format("--format {} is for a model, and this is the URL of a server", format),
                      "it can be table, json or markdown");
  }
  return endpoint ? bench_endpoint(application, arguments) : bench_model(application, arguments);
}

}  // namespace joulery::cli
