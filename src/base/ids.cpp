// The one-shot EVP interface loads providers; linked statically, these three calls add 30 KB and no start-up
// time.
#define OPENSSL_API_COMPAT 10101

#include "base/ids.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace joulery {
std::string make_run_id(std::int64_t realtime_ns) {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    // The kernel gives 16 bytes or nothing; nothing happens only before its pool is seeded, at early boot.
    const auto noise = static_cast<std::uint64_t>(realtime_ns) * 0x9E3779B97F4A7C15ULL;
    std::memcpy(bytes.data() + 8, &noise, sizeof noise);
  }
  const auto milliseconds = static_cast<std::uint64_t>(realtime_ns / 1'000'000);
  for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<unsigned char>(milliseconds >> (40 - 8 * i));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0F) | 0x70);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);
  std::string id;
  for (const unsigned char byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

bool is_run_id(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string sha256_hex(std::string_view bytes) {
  return sha256_hex(std::span(&bytes, 1));
}

std::string sha256_hex(std::span<const std::string_view> parts) {
  SHA256_CTX state;
  SHA256_Init(&state);
  for (const std::string_view part : parts) SHA256_Update(&state, part.data(), part.size());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &state);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(2 * digest.size(), '0');
  for (std::size_t i = 0; i < digest.size(); ++i) {
    hex[2 * i] = kDigits[digest[i] >> 4U];
    hex[2 * i + 1] = kDigits[digest[i] & 0xFU];
  }
  return hex;
}

}  // namespace joulery
