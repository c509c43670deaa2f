#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "record/sqlite/database.hpp"

namespace joulery::record::sqlite {

/// "JOUL": marks a SQLite file as ours.
constexpr std::int64_t kApplicationId = 0x4A4F554C;

/// SQL of each step; step i brings a store from version i to i + 1. A step that was released never changes.
std::span<const char* const> migrations();

/// What a file is before it is written for the first time.
struct Identity {
  std::int64_t version = 0;
  /// No table yet: a file that was just made.
  bool empty = false;
};

/// A newer store than `newest` or somebody else's database is an environment error. Writes nothing.
Result<Identity> check_identity(Database& database, std::int64_t newest);

/// Brings the store to the newest version in one transaction. Safe if others open it at the same time.
Status migrate(Database& database, std::span<const char* const> steps, bool read_only);

}  // namespace joulery::record::sqlite
