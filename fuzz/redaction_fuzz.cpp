#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "meter/redaction.hpp"

namespace {

constexpr std::string_view kSecret = "hunter2planted";
/// One character may become "[redacted]", with quotes around it.
constexpr std::size_t kMostGrowth = 12;

std::string redacted(const std::vector<std::string>& arguments) {
  std::size_t size = 0;
  for (const std::string& argument : arguments) size += argument.size() + 1;
  const std::vector<std::string> safe = joulery::meter::redact_arguments(arguments);
  if (safe.size() != arguments.size()) __builtin_trap();
  std::string text;
  for (const std::string& argument : safe) text += argument + '\n';
  if (text.size() > kMostGrowth * size) __builtin_trap();
  return text;
}

void expect_hidden(const std::vector<std::string>& arguments) {
  if (redacted(arguments).find(kSecret) != std::string::npos) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string input(reinterpret_cast<const char*>(data), size);
  if (input.find(kSecret) != std::string::npos) return 0;
  std::vector<std::string> arguments;
  for (std::size_t start = 0; start <= input.size();) {
    const std::size_t end = std::min(input.find('\0', start), input.size());
    arguments.push_back(input.substr(start, end - start));
    start = end + 1;
  }
  redacted(arguments);
  const std::string secret(kSecret);
  std::vector<std::string> planted = arguments;
  planted.insert(planted.end(), {"--password", secret});
  expect_hidden(planted);
  planted.resize(arguments.size());
  planted.push_back("--password=" + secret);
  expect_hidden(planted);
  // Two line ends, as a backslash before the first one joins the lines.
  expect_hidden({"sh", "-c", input + "\n\n--password " + secret});
  expect_hidden({"sh", "-c", "run --password " + secret + ' ' + input});
  return 0;
}
