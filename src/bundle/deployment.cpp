#include "bundle/deployment.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "base/files.hpp"
#include "base/text.hpp"
#include "config/config.hpp"

namespace joulery::bundle {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;
constexpr std::int64_t kMostThreads = 4096;
constexpr std::int64_t kMostBatch = 1 << 20;

std::unexpected<Error> wrong(const std::string& name, const config::TomlEntry& entry, const char* wanted) {
  return user_error(fmt::format("{}: {} = {} is not {}", printable(name), printable(entry.key),
                                printable(entry.value), wanted));
}

template <class Number>
Status set_number(const std::string& name, const config::TomlEntry& entry, std::int64_t most,
                  std::optional<Number>& to) {
  const auto number = parse_int64(entry.value);
  if (!number || *number < 1 || *number > most) {
    return wrong(name, entry, fmt::format("a whole number from 1 to {}", most).c_str());
  }
  to = static_cast<Number>(*number);
  return {};
}

Status set_switch(const std::string& name, const config::TomlEntry& entry, std::optional<bool>& to) {
  if (entry.value != "true" && entry.value != "false") return wrong(name, entry, "true or false");
  to = entry.value == "true";
  return {};
}

}  // namespace

Result<Deployment> parse_deployment(std::string_view text, const std::string& name) {
  JOULERY_ASSIGN(const auto entries, config::parse_toml(std::string(text), name));
  Deployment deployment;
  for (const config::TomlEntry& entry : entries) {
    if (entry.key == "engine") {
      deployment.engine = entry.value;
    } else if (entry.key == "precision") {
      deployment.precision = entry.value;
    } else if (entry.key == "optimisation") {
      deployment.optimisation = entry.value;
    } else if (entry.key == "threads") {
      JOULERY_CHECK_OK(set_number(name, entry, kMostThreads, deployment.threads));
    } else if (entry.key == "streams") {
      JOULERY_CHECK_OK(set_number(name, entry, kMostThreads, deployment.streams));
    } else if (entry.key == "batch") {
      JOULERY_CHECK_OK(set_number(name, entry, kMostBatch, deployment.batch));
    } else if (entry.key == "pin_threads") {
      JOULERY_CHECK_OK(set_switch(name, entry, deployment.pin_threads));
    } else if (entry.key == "spin") {
      JOULERY_CHECK_OK(set_switch(name, entry, deployment.spin));
    } else if (entry.key == "flush_denormals") {
      JOULERY_CHECK_OK(set_switch(name, entry, deployment.flush_denormals));
    } else {
      return user_error(fmt::format("{}: there is no setting '{}'", printable(name), printable(entry.key)),
                        "engine, precision, optimisation, threads, streams, batch, pin_threads, spin and "
                        "flush_denormals are known");
    }
  }
  return deployment;
}

Result<Deployment> read_deployment(const std::string& folder) {
  const std::string path = folder + "/deployment.toml";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Deployment();
  JOULERY_ASSIGN(const std::string text, read_file(path, kLargestFile));
  return parse_deployment(text, path);
}

}  // namespace joulery::bundle
