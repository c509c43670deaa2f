// clang-format off: jpeglib.h needs what is before it.
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <array>
#include <csetjmp>
#include <string>
#include <string_view>

#include "data/plugin_library.hpp"
#include "decoders.hpp"

namespace joulery::data {
namespace {

/// libjpeg leaves by longjmp: nothing here has a destructor.
struct Reading {
  jpeg_error_mgr manager;  // the library's pointer to it is cast back
  std::jmp_buf exit;
  int scans = 0;
  std::array<char, JMSG_LENGTH_MAX> problem;
};

Reading& reading_of(j_common_ptr jpeg) {
  return *reinterpret_cast<Reading*>(jpeg->err);
}

[[noreturn]] void leave(j_common_ptr jpeg) {
  Reading& reading = reading_of(jpeg);
  (*jpeg->err->format_message)(jpeg, reading.problem.data());
  std::longjmp(reading.exit, 1);
}

/// A level below 0 tells of damage. What the library fills with grey is an error here; what leaves the
/// picture whole is not.
void take_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA:
      return;
    default:
      leave(jpeg);
  }
}

/// A progressive image can be made of many scans of the whole picture, each a few bytes long.
void count_scan(j_common_ptr jpeg) {
  constexpr int kMostScans = 500;
  auto* decompress = reinterpret_cast<j_decompress_ptr>(jpeg);
  if (decompress->input_scan_number > kMostScans) {
    Reading& reading = reading_of(jpeg);
    constexpr std::string_view kProblem = "it has more scans than any camera makes";
    reading.problem[kProblem.copy(reading.problem.data(), kProblem.size())] = '\0';
    std::longjmp(reading.exit, 1);
  }
}

/// False if libjpeg left.
bool read(jpeg_decompress_struct& jpeg, Reading& reading, std::span<const std::byte> bytes,
          JouleryImageHeader& header, std::span<std::uint8_t> pixels) {
  jpeg_progress_mgr progress{};
  progress.progress_monitor = &count_scan;
  if (setjmp(reading.exit) != 0) return false;
  jpeg_create_decompress(&jpeg);
  jpeg.progress = &progress;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&jpeg, TRUE);
  header.width = jpeg.image_width;
  header.height = jpeg.image_height;
  header.channels = jpeg.num_components == 1 ? 1 : 3;
  if (pixels.empty()) return true;
  jpeg.out_color_space = header.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  const std::size_t stride = std::size_t{jpeg.output_width} * header.channels;
  if (static_cast<std::uint32_t>(jpeg.output_components) != header.channels ||
      pixels.size() != stride * jpeg.output_height) {
    constexpr std::string_view kProblem = "its rows are not as long as its header says";
    reading.problem[kProblem.copy(reading.problem.data(), kProblem.size())] = '\0';
    return false;
  }
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = pixels.data() + jpeg.output_scanline * stride;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

}  // namespace

int read_jpeg(std::span<const std::byte> bytes, JouleryImageHeader& header, std::span<std::uint8_t> pixels,
              JouleryDataError* error) {
  Reading reading{};
  jpeg_decompress_struct jpeg{};
  jpeg.err = jpeg_std_error(&reading.manager);
  reading.manager.error_exit = &leave;
  reading.manager.emit_message = &take_message;
  const bool is_read = read(jpeg, reading, bytes, header, pixels);
  jpeg_destroy_decompress(&jpeg);
  if (is_read) return 0;
  return fail(error, Error::Kind::user, std::string("not a sound JPEG image: ") + reading.problem.data(),
              "write it again, or remove it; four colours (CMYK) are not read: convert them to RGB");
}

}  // namespace joulery::data
