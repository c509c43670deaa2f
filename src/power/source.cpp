#include "power/source.hpp"

namespace joulery::power {

const char* scope_name(Scope scope) {
  switch (scope) {
    case Scope::wall:
      return "wall";
    case Scope::board:
      return "board";
    case Scope::psys:
      return "psys";
    case Scope::package:
      return "package";
    case Scope::die:
      return "die";
    case Scope::core:
      return "core";
    case Scope::uncore:
      return "uncore";
    case Scope::dram:
      return "dram";
    case Scope::gpu:
      return "gpu";
    case Scope::gpu_memory:
      return "gpu memory";
    case Scope::machine_model:
      return "machine model";
  }
  return "unknown";
}

const std::string& model_name(const SourceInfo& info) {
  return info.model.empty() ? info.name : info.model;
}

bool is_of_gpu(const SourceInfo& info) {
  return info.scope == Scope::gpu || info.scope == Scope::gpu_memory || info.device_id.starts_with("nvml:");
}

}  // namespace joulery::power
