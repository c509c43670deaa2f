// JSON Lines files as samples.

#include "dataset_reading.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return joulery::data::read_dataset(joulery::data::Format::jsonl, data, size);
}
