#pragma once

#include <string>
#include <string_view>

#include "stats/random_stream.hpp"

namespace joulery::evaluate {

/// The text with mistakes as typed: each letter or digit, with the chance `rate`, is swapped with the next
/// one, lost, followed by a neighbour on a QWERTY keyboard, or mistaken for one. Everything else (blanks,
/// punctuation, letters that are not ASCII) stays as it is.
std::string with_typos(std::string_view text, double rate, stats::RandomStream& random);

}  // namespace joulery::evaluate
