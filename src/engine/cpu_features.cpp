#include "engine/cpu_features.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "base/text.hpp"

namespace joulery::engine {
namespace {

struct Feature {
  std::string_view flag;
  std::string_view precision;
};
/// Best first within a precision. Names of x86 and of arm64.
constexpr std::array<Feature, 17> kFeatures{{{"amx_int8", "i8"},
                                             {"avx512_vnni", "i8"},
                                             {"avx_vnni", "i8"},
                                             {"i8mm", "i8"},
                                             {"asimddp", "i8"},
                                             {"amx_bf16", "bf16"},
                                             {"avx512_bf16", "bf16"},
                                             {"bf16", "bf16"},
                                             {"amx_fp16", "f16"},
                                             {"avx512_fp16", "f16"},
                                             {"asimdhp", "f16"},
                                             {"avx512f", "f32"},
                                             {"avx2", "f32"},
                                             {"fma", "f32"},
                                             {"sve", "f32"},
                                             {"asimd", "f32"},
                                             {"avx", "f32"}}};

}  // namespace

bool CpuFeatures::has(std::string_view flag) const {
  return std::ranges::find(flags, flag) != flags.end();
}

std::vector<std::string> CpuFeatures::speeding_up(std::string_view precision) const {
  std::vector<std::string> result;
  for (const Feature& feature : kFeatures) {
    if (feature.precision == precision && has(feature.flag)) result.emplace_back(feature.flag);
  }
  return result;
}

CpuFeatures parse_cpu_features(std::string_view cpuinfo) {
  CpuFeatures features;
  // The first processor's line stands for all: engines look at one, too.
  for (const std::string_view line : split(cpuinfo, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = trim(line.substr(0, colon));
    if (key != "flags" && key != "Features") continue;
    for (const std::string_view word : split_blanks(line.substr(colon + 1))) {
      const bool known =
          std::ranges::any_of(kFeatures, [&](const Feature& feature) { return feature.flag == word; });
      if (known && !features.has(word)) features.flags.emplace_back(word);
    }
    break;
  }
  std::ranges::sort(features.flags);
  return features;
}

}  // namespace joulery::engine
