#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace joulery::record {

/// UTC milliseconds of an ISO 8601 time: "2026-11-20", "2026-11-20T10:00", "2026-11-20 10:00:00.5",
/// "2026-11-20T10:00:00Z", "2026-11-20T10:00:00+01:00". A time without a zone is UTC, as the program prints
/// them; a date is its midnight. Nothing if it is no such time, or lies outside of the years 1970 to 9999.
std::optional<std::int64_t> parse_iso_time_ms(std::string_view text);

/// Does the text say no more than a day?
bool is_iso_date(std::string_view text);

}  // namespace joulery::record
