#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/bench_endpoint.hpp"
#include "cli/bench_model.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

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
  const std::string format = arguments.value("format").value_or("");
  if (endpoint && std::ranges::find(kModelFormats, format) != std::end(kModelFormats)) {
    return user_error(fmt::format("--format {} is for a model, and this is the URL of a server", format),
                      "it can be table, json or markdown");
  }
  return endpoint ? bench_endpoint(application, arguments) : bench_model(application, arguments);
}

}  // namespace joulery::cli
