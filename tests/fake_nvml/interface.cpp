// Prints what this program takes NVML's interface to be, for nvml_interface_test.py to compare with the
// vendor's.
#include <cstdio>

#include "power/nvml_api.hpp"

int main() {
  std::puts(joulery::power::nvml::interface_description().c_str());
  return 0;
}
