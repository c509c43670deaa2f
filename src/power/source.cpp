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

}  // namespace joulery::power
