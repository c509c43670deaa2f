// /proc/cpuinfo and model names, and what is looked up and modelled from them.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "power/cpu_identity.hpp"
#include "power/cpu_tables.hpp"
#include "power/kernel_text.hpp"
#include "power/power_model.hpp"

using namespace joulery::power;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const CpuInfo info = parse_cpuinfo(text);
  const std::string name = normalise_cpu_model(info.model_name.empty() ? text : info.model_name);
  if (normalise_cpu_model(name).size() > name.size() + 1) std::abort();
  find_tdp("intel", name);
  find_tdp(text, name);
  find_family(server_family(info.vendor, info.family, info.model, info.stepping));

  MachineIdentity identity;
  identity.cpu_vendor = info.vendor;
  identity.cpu_model = name;
  identity.family = info.family;
  identity.model = info.model;
  identity.stepping = info.stepping;
  identity.threads_online = info.threads;
  identity.packages = info.packages;
  identity.virtual_machine = info.hypervisor_flag;
  identity.memory_gib = static_cast<double>(parse_keyed_counter(text, "MemTotal:").value_or(0)) / 1048576.0;
  const PowerModel model = make_power_model(identity);
  if (!std::isfinite(model.watts(0.5)) || !(model.watts(0) > 0) || model.watts(1) < model.watts(0))
    std::abort();
  return 0;
}
