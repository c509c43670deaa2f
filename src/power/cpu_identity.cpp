#include "power/cpu_identity.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace joulery::power {
namespace {

constexpr std::size_t kLongestName = 256;

int parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || text[at - 1] == ' ') && (end == text.size() || text[end] == ' ')) return true;
  }
  return false;
}

void remove_all(std::string& text, std::string_view part, std::string_view replacement = "") {
  for (std::size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + replacement.size())) {
    text.replace(at, part.size(), replacement);
  }
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// "8-Core", "Dual-Core" is a model line of its own at Intel and AMD and stays.
bool is_core_count(std::string_view word) {
  for (const std::string_view suffix : {"-Core", "-Cores", "-core", "-cores"}) {
    if (!word.ends_with(suffix)) continue;
    const std::string_view number = word.substr(0, word.size() - suffix.size());
    constexpr std::array<std::string_view, 7> kNumbers{"Two", "Four",   "Six",    "Eight",
                                                       "Ten", "Twelve", "Sixteen"};
    return is_digits(number) || std::find(kNumbers.begin(), kNumbers.end(), number) != kNumbers.end();
  }
  return false;
}

bool is_generation(const std::vector<std::string_view>& words, std::size_t index) {
  if (index + 1 >= words.size() || words[index + 1] != "Gen") return false;
  const std::string_view word = words[index];
  return word.size() >= 3 && is_digits(word.substr(0, word.size() - 2)) &&
         (word.ends_with("th") || word.ends_with("st") || word.ends_with("nd") || word.ends_with("rd"));
}

bool is_filler(std::string_view word) {
  constexpr std::array<std::string_view, 9> kFillers{"CPU", "Processor", "processor",   "Processors", "APU",
                                                     "SoC", "SOC",       "Coprocessor", "X-series"};
  return std::find(kFillers.begin(), kFillers.end(), word) != kFillers.end();
}

/// The words that name the model; what is after "with Radeon" names the graphics.
std::vector<std::string_view> model_words(std::string_view name) {
  std::vector<std::string_view> kept;
  const auto words = split_blanks(name);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "with" || word == "w/") break;
    if (is_generation(words, i)) {
      ++i;
      continue;
    }
    if (word == "Extreme") {
      if (i + 1 < words.size() && words[i + 1] == "Edition") ++i;
      continue;
    }
    if (is_filler(word) || is_core_count(word)) continue;
    kept.push_back(word);
  }
  return kept;
}

}  // namespace

CpuInfo parse_cpuinfo(std::string_view text) {
  CpuInfo info;
  std::vector<std::string> physical_ids;
  int implementer = -1;
  int part = -1;
  while (!text.empty()) {
    const auto line_end = text.find('\n');
    const std::string_view line = text.substr(0, line_end);
    text.remove_prefix(line_end == std::string_view::npos ? text.size() : line_end + 1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = trim(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "processor") {
      ++info.threads;
    } else if (key == "physical id") {
      if (std::find(physical_ids.begin(), physical_ids.end(), value) == physical_ids.end() &&
          physical_ids.size() < 1024) {
        physical_ids.emplace_back(value);
      }
    } else if (info.threads > 1) {
      continue;  // the rest is the same for every processor
    } else if (key == "vendor_id") {
      info.vendor = printable(value.substr(0, kLongestName));
    } else if (key == "model name") {
      info.model_name = printable(value.substr(0, kLongestName));
    } else if (key == "cpu family") {
      info.family = parse_number(value);
    } else if (key == "model") {
      info.model = parse_number(value);
    } else if (key == "stepping") {
      info.stepping = parse_number(value);
    } else if (key == "flags") {
      info.hypervisor_flag = has_word(value, "hypervisor");
    } else if (key == "CPU implementer") {
      implementer = parse_number(value);
    } else if (key == "CPU part") {
      part = parse_number(value);
    }
  }
  info.packages = static_cast<int>(physical_ids.size());
  if (implementer >= 0 && info.family < 0) {
    info.vendor = implementer == 0xc0 ? "Ampere" : implementer == 0x61 ? "Apple" : "ARM";
    info.family = implementer;
    info.model = part;
  }
  return info;
}

std::string normalise_cpu_model(std::string_view name) {
  std::string text(name.substr(0, kLongestName));
  for (const std::string_view mark : {"(R)", "(r)", "(TM)", "(tm)", "®", "™"}) remove_all(text, mark, " ");
  text = text.substr(0, text.find('@'));
  // ", Radeon R7 ..." names the graphics too.
  text = text.substr(0, text.find(','));
  remove_all(text, "Core 2 ", "Core2 ");
  std::string result;
  std::string_view previous;
  for (const std::string_view word : model_words(text)) {
    const bool is_core_model =
        (previous == "i3" || previous == "i5" || previous == "i7" || previous == "i9") &&
        std::isdigit(static_cast<unsigned char>(word.front())) != 0;
    if (!result.empty()) result += is_core_model ? '-' : ' ';
    result += word;
    previous = word;
  }
  // "Intel Xeon E5-2620 V3"
  if (result.size() > 3 && result[result.size() - 3] == ' ' && result[result.size() - 2] == 'V' &&
      std::isdigit(static_cast<unsigned char>(result.back())) != 0) {
    result[result.size() - 2] = 'v';
  }
  return result;
}

std::string arm_core_name(int implementer, int part) {
  if (implementer == 0xc0) return "AmpereOne";
  if (implementer != 0x41) return {};
  switch (part) {
    case 0xd08:
      return "Cortex-A72";
    case 0xd0b:
      return "Cortex-A76";
    case 0xd0c:
      return "Neoverse N1";
    case 0xd40:
      return "Neoverse V1";
    case 0xd49:
      return "Neoverse N2";
    case 0xd4f:
      return "Neoverse V2";
    default:
      return {};
  }
}

}  // namespace joulery::power
