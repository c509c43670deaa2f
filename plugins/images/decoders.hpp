#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "data/plugin.hpp"

namespace joulery::data {

/// Both fill `header`, and with `pixels` not empty also decode. 0, or -1 with `error` filled.
int read_png(std::span<const std::byte> bytes, JouleryImageHeader& header, std::span<std::uint8_t> pixels,
             JouleryDataError* error);
int read_jpeg(std::span<const std::byte> bytes, JouleryImageHeader& header, std::span<std::uint8_t> pixels,
              JouleryDataError* error);

}  // namespace joulery::data
