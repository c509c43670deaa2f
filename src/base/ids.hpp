#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace joulery {

/// A UUIDv7 (RFC 9562) as 32 lower-case hex digits: sorts by time, 74 random bits from the kernel.
std::string make_run_id(std::int64_t realtime_ns);
/// True for 32 lower-case hex digits.
bool is_run_id(std::string_view text);

/// SHA-256 (FIPS 180-4) of the bytes, as 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);
/// The same of parts that follow one another.
std::string sha256_hex(std::span<const std::string_view> parts);

}  // namespace joulery
