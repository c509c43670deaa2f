#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joulery {

std::string_view trim(std::string_view text);
/// Parts between `separator`s; an empty text has one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);
/// Parts between runs of blanks and tabs; no empty part.
std::vector<std::string_view> split_blanks(std::string_view text);
std::string to_lower(std::string_view text);

/// The whole text as a number, or nothing. "1e3" is a number, "1 " and "nan" are not. Allocates nothing.
std::optional<double> parse_double(std::string_view text);
std::optional<std::int64_t> parse_int64(std::string_view text);
std::optional<std::uint64_t> parse_uint64(std::string_view text);

/// Damerau–Levenshtein distance (optimal string alignment), for suggestions.
std::size_t edit_distance(std::string_view a, std::string_view b);
/// The candidate nearest to a mistyped word, if it is near enough to be what was meant.
std::optional<std::string> did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// "3.42 kJ", "87.1 mJ": three significant digits and an SI prefix.
std::string format_si(double value, std::string_view unit);
/// "1 h 02 min", "61.3 s", "4.1 ms".
std::string format_duration(double seconds);
/// "512 B", "3.1 MiB".
std::string format_bytes(double bytes);
/// One of what a unit counts, for units as people write them: "images" → "image", "queries" → "query". What
/// is no plain English plural ("analysis", "FLOPS") stays.
std::string singular(std::string_view unit);
/// "1000 images", "1 image", "1000 units".
std::string format_count(double count, std::string_view unit);
/// UTC as "2026-11-21T07:29:07Z".
std::string format_utc(std::int64_t realtime_ns);

/// A text from outside made safe for a terminal: control characters, including escape, become '?'. What is
/// not seen but changes how the rest is read, such as U+202E (right to left) or U+200B (no width), is spelled
/// out as
/// "<U+202E>".
std::string printable(std::string_view text);
/// The same, but newlines stay.
std::string printable_lines(std::string_view text);

}  // namespace joulery
