#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "data/dataset_fixture.hpp"

namespace joulery::data {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20U;

/// The most memory this process has held so far; what was free at first is not given back to the kernel.
std::uint64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

/// Reads all samples; how much the peak grew meanwhile.
std::uint64_t growth_over(Dataset& dataset, std::uint64_t samples) {
  const std::uint64_t before = peak_memory();
  std::uint64_t count = 0;
  while (true) {
    const auto batch = dataset.read(16);
    EXPECT_TRUE(batch) << batch.error().message;
    if (!batch || (*batch)->count == 0) break;
    count += (*batch)->count;
  }
  EXPECT_EQ(count, samples);
  return peak_memory() - before;
}

TEST(Streaming, AFileLargerThanTheMemoryIsRead) {
  const TestFolder folder;
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (300, 512, 512), }";
  header.resize(117, ' ');
  header += '\n';
  const std::string path = folder.write("x.npy", std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header);
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(128 + 300 * kMiB)), 0);
  const auto dataset =
      open_dataset(request_for(path, {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 512, 512}}}));
  ASSERT_TRUE(dataset) << dataset.error().message;
  // A batch of 16 MiB is there twice, as read and as given.
  EXPECT_LT(growth_over(**dataset, 300), 100 * kMiB);
}

std::string gzip_of_zeros(const std::string& head, std::uint64_t zeros) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed;
  std::string part(kMiB, '\0');
  const auto put = [&](std::string bytes, int flush) {
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    std::string out(kMiB, '\0');
    do {
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(out.size());
      deflate(&stream, flush);
      packed.append(out, 0, out.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  };
  put(head, Z_NO_FLUSH);
  for (std::uint64_t i = 0; i < zeros / kMiB; ++i) put(part, Z_NO_FLUSH);
  put("", Z_FINISH);
  deflateEnd(&stream);
  return packed;
}

TEST(Streaming, PackedFilesAreNotUnpackedAtOnce) {
  // 96 images of 1024 x 1024.
  const std::string packed =
      gzip_of_zeros(std::string("\0\0\x08\x03\0\0\0\x60\0\0\x04\0\0\0\x04\0", 16), 96 * kMiB);
  EXPECT_LT(packed.size(), kMiB);
  const TestFolder folder;
  const auto dataset =
      open_dataset(request_for(folder.write("x-images-idx3-ubyte.gz", packed),
                               {{.name = "in", .type = DataType::u8, .shape = Shape{-1, 1024, 1024}}}));
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_LT(growth_over(**dataset, 96), 60 * kMiB);
}

TEST(Streaming, APackedFileThatClaimsMoreThanItCanHoldIsRefused) {
  const TestFolder folder;
  const std::string packed =
      gzip_of_zeros(std::string("\0\0\x08\x03\0\x10\0\0\0\0\x04\0\0\0\0\x40", 16), kMiB);
  const auto dataset =
      open_dataset(request_for(folder.write("x-images-idx3-ubyte.gz", packed),
                               {{.name = "in", .type = DataType::u8, .shape = Shape{-1, -1, -1}}}));
  ASSERT_FALSE(dataset);
  EXPECT_NE(dataset.error().message.find("at most"), std::string::npos) << dataset.error().message;
}

TEST(Streaming, ASampleThatIsTooLargeIsRefused) {
  auto request = request_for(fixture("f32_5x2x3.npy"),
                             {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 2, 3}}});
  request.limits.sample_bytes = 23;
  const auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset);
  EXPECT_FALSE((*dataset)->read(1));
}

}  // namespace
}  // namespace joulery::data
