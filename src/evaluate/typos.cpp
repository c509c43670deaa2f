#include "evaluate/typos.hpp"

#include <array>
#include <optional>

namespace joulery::evaluate {
namespace {

constexpr std::array<std::string_view, 4> kKeys{"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"};

bool is_typed(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9');
}

/// Next to it in its row, or in the rows above and below, which are shifted by half a key.
std::string neighbours_of(char lower) {
  std::string neighbours;
  for (std::size_t row = 0; row < kKeys.size(); ++row) {
    const std::size_t column = kKeys[row].find(lower);
    if (column == std::string_view::npos) continue;
    const auto take = [&](std::size_t from, std::size_t at) {
      if (at < kKeys[from].size()) neighbours += kKeys[from][at];
    };
    take(row, column - 1);
    take(row, column + 1);
    if (row > 0) take(row - 1, column);
    if (row > 0) take(row - 1, column + 1);
    if (row + 1 < kKeys.size()) take(row + 1, column);
    if (row + 1 < kKeys.size()) take(row + 1, column - 1);
  }
  return neighbours;
}

char mistaken(char letter, stats::RandomStream& random) {
  const bool capital = letter >= 'A' && letter <= 'Z';
  const std::string neighbours = neighbours_of(capital ? static_cast<char>(letter - 'A' + 'a') : letter);
  const char other = neighbours[random.below(neighbours.size())];
  return capital && other >= 'a' ? static_cast<char>(other - 'a' + 'A') : other;
}

}  // namespace

std::string with_typos(std::string_view text, double rate, stats::RandomStream& random) {
  enum Mistake { kSwap, kDrop, kInsert, kNeighbour, kMistakes };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (!is_typed(letter) || random.unit() >= rate) {
      result += letter;
      continue;
    }
    const auto mistake = static_cast<Mistake>(random.below(kMistakes));
    if (mistake == kSwap && i + 1 < text.size() && is_typed(text[i + 1]) && text[i + 1] != letter) {
      result += text[++i];
      result += letter;
    } else if (mistake == kInsert) {
      result += letter;
      result += mistaken(letter, random);
    } else if (mistake != kDrop) {
      result += mistaken(letter, random);
    }
  }
  return result;
}

}  // namespace joulery::evaluate
