// npz archives: the zip directory, deflated members and the arrays in them.

#include "dataset_reading.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return joulery::data::read_dataset(joulery::data::Format::npz, data, size);
}
