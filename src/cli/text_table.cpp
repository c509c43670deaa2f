#include "cli/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace joulery::cli {

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string_view cut_to(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t letters = 0; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (begins && letters++ == columns) break;
  }
  return text.substr(0, end);
}

std::string plain_table(const TextTable& table, const Palette& colors) {
  std::vector<std::size_t> widths(table.front().size());
  for (const auto& row : table) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text;
  for (std::size_t line = 0; line < table.size(); ++line) {
    std::string row;
    for (std::size_t i = 0; i < table[line].size(); ++i) {
      const std::string& cell = table[line][i];
      const std::string blanks(widths[i] - columns_of(cell), ' ');
      row += i == 0 ? "  " + cell + blanks : "  " + blanks + cell;
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += line == 0 ? fmt::format("{}{}{}\n", colors.dim, row, colors.reset) : row + "\n";
  }
  return text;
}

std::string markdown_table(const TextTable& table) {
  std::string text;
  for (std::size_t line = 0; line < table.size(); ++line) {
    text += "|";
    for (std::string cell : table[line]) {
      for (std::size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2) cell.insert(at, "\\");
      text += " " + cell + " |";
    }
    text += "\n";
    if (line > 0) continue;
    text += "|";
    for (std::size_t i = 0; i < table[line].size(); ++i) text += i == 0 ? "---|" : "---:|";
    text += "\n";
  }
  return text;
}

}  // namespace joulery::cli
