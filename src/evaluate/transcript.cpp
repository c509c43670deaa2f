#include "evaluate/transcript.hpp"

#include <optional>

#include "evaluate/outputs.hpp"

namespace joulery::evaluate {
namespace {

/// Bytes that are no UTF-8 are told from characters by a place where no character is.
constexpr char32_t kStrayBytes = 0x110000;

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string points;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    if (lead >= 0xc2 && lead < 0xe0) more = 1;
    if (lead >= 0xe0 && lead < 0xf0) more = 2;
    if (lead >= 0xf0 && lead < 0xf5) more = 3;
    char32_t point = more == 0 ? lead : lead & (0x3fU >> more);
    bool whole = more > 0 ? i + more < text.size() : lead < 0x80;
    for (std::size_t k = 1; whole && k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      whole = (next & 0xc0) == 0x80;
      point = (point << 6) | (next & 0x3fU);
    }
    points.push_back(whole ? point : kStrayBytes + lead);
    i += whole ? more + 1 : 1;
  }
  return points;
}

std::vector<std::uint32_t> best_path(std::span<const double> scores, std::size_t classes, std::size_t blank) {
  std::vector<std::uint32_t> path;
  std::optional<std::size_t> last;
  for (std::size_t at = 0; at + classes <= scores.size(); at += classes) {
    const std::size_t best = largest(scores.subspan(at, classes));
    if (best != last && best != blank) path.push_back(static_cast<std::uint32_t>(best));
    last = best;
  }
  return path;
}

}  // namespace joulery::evaluate
