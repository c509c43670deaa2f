// Spool files as a kill, a bad disk or somebody else may leave them.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "record/power_series.hpp"
#include "record/spool_format.hpp"

using namespace joulery;
using namespace joulery::record;

namespace {

void decode_payload(std::span<const std::uint8_t> payload) {
  if (const auto run = decode_spooled_run(payload)) {
    std::vector<std::uint8_t> again;
    encode_spooled_run(run->run, run->host, run->boot, run->devices, again);
    if (!decode_spooled_run(again)) std::abort();
  }
  if (const auto evidence = decode_spooled_evidence(payload)) {
    std::vector<std::uint8_t> again;
    encode_spooled_evidence(*evidence, again);
    if (!decode_spooled_evidence(again)) std::abort();
  }
  if (const auto block = decode_spooled_power_block(payload)) {
    std::vector<PowerSample> samples;
    (void)decode_power_block(block->block, samples);
  }
}

void walk(std::span<const std::uint8_t> file) {
  auto reader = SpoolReader::open([&file](std::span<std::uint8_t> buffer) -> Result<std::size_t> {
    const std::size_t size = std::min(buffer.size(), file.size());
    std::copy_n(file.begin(), size, buffer.begin());
    file = file.subspan(size);
    return size;
  });
  while (reader) {
    const auto frame = reader->next();
    if (!frame || !*frame) return;
    decode_payload((*frame)->payload);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  walk({data, size});
  decode_payload({data, size});
  // Behind a right head and checksum, which random bytes hardly ever have.
  std::vector<std::uint8_t> file(kSpoolMagic.begin(), kSpoolMagic.end());
  ByteWriter(file).fixed(kSpoolVersion);
  std::vector<std::uint8_t> frame(kFrameHeaderBytes, 0);
  frame.insert(frame.end(), data, data + size);
  seal_frame(static_cast<FrameType>(size % 4 + 1), frame);
  file.insert(file.end(), frame.begin(), frame.end());
  file.insert(file.end(), data, data + size);
  walk(file);
  return 0;
}
