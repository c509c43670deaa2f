#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/plugin.hpp"

namespace joulery::engine {

enum class Blame { user, environment, internal };

/// For plug-ins: fills `error`, cutting off what does not fit. Returns -1.
inline int fail(JouleryEngineError* error, Blame blame, std::string_view message,
                std::string_view hint = {}) {
  const auto fill = [](char* text, std::size_t size, std::string_view content) {
    const std::size_t length = std::min(size - 1, content.size());
    std::ranges::copy(content.substr(0, length), text);
    text[length] = '\0';
  };
  error->kind = static_cast<std::int32_t>(blame);
  fill(error->message, sizeof(error->message), message);
  fill(error->hint, sizeof(error->hint), hint);
  return -1;
}

}  // namespace joulery::engine
