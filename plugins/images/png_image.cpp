#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>

#include "data/plugin_library.hpp"
#include "decoders.hpp"

namespace joulery::data {
namespace {

/// libpng leaves by longjmp: nothing here has a destructor.
struct Reading {
  std::span<const std::byte> rest;
  std::array<char, 200> problem;
};

void take_bytes(png_structp png, png_bytep target, png_size_t count) {
  auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (count > reading->rest.size()) png_error(png, "it ends too early");
  std::memcpy(target, reading->rest.data(), count);
  reading->rest = reading->rest.subspan(count);
}

[[noreturn]] void leave(png_structp png, png_const_charp message) {
  auto* reading = static_cast<Reading*>(png_get_error_ptr(png));
  const std::size_t length = std::min(std::strlen(message), reading->problem.size() - 1);
  std::copy_n(message, length, reading->problem.begin());
  reading->problem[length] = '\0';
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

/// 8 bits a channel, grey or RGB, without alpha.
void set_conversions(png_structp png, png_infop info) {
  const auto colour = png_get_color_type(png, info);
  if (png_get_bit_depth(png, info) == 16) png_set_scale_16(png);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
  if ((colour & PNG_COLOR_MASK_ALPHA) != 0) png_set_strip_alpha(png);
}

/// False if libpng left.
bool read(png_structp png, png_infop info, JouleryImageHeader& header, std::span<std::uint8_t> pixels) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_user_limits(png, 1U << 20U, 1U << 20U);
  png_set_chunk_malloc_max(png, 16U << 20U);
  png_set_chunk_cache_max(png, 100);
  png_read_info(png, info);
  header.width = png_get_image_width(png, info);
  header.height = png_get_image_height(png, info);
  header.channels = (png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
  if (pixels.empty()) return true;
  set_conversions(png, info);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const std::size_t stride = std::size_t{header.width} * header.channels;
  if (png_get_rowbytes(png, info) != stride || pixels.size() != stride * header.height) {
    png_error(png, "its rows are not as long as its header says");
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t row = 0; row < header.height; ++row) {
      png_read_row(png, pixels.data() + row * stride, nullptr);
    }
  }
  return true;
}

}  // namespace

int read_png(std::span<const std::byte> bytes, JouleryImageHeader& header, std::span<std::uint8_t> pixels,
             JouleryDataError* error) {
  Reading reading{.rest = bytes, .problem = {}};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, &leave, &ignore_warning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    return fail(error, Error::Kind::environment, "no memory to read a PNG image");
  }
  png_set_read_fn(png, &reading, &take_bytes);
  const bool is_read = read(png, info, header, pixels);
  png_destroy_read_struct(&png, &info, nullptr);
  if (is_read) return 0;
  std::array<char, 256> message{"not a sound PNG image: "};
  std::strncat(message.data(), reading.problem.data(), message.size() - std::strlen(message.data()) - 1);
  return fail(error, Error::Kind::user, message.data(), "write it again, or remove it");
}

}  // namespace joulery::data
