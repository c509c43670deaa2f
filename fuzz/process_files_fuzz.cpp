// Texts of /proc that decide what is counted: stat (whose name field belongs to the process), cgroup,
// mountinfo.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "meter/cgroup.hpp"
#include "meter/process_scan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace joulery::meter;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto stat = parse_process_stat(text); stat && stat->pid <= 0) __builtin_trap();
  for (const auto& mount : parse_cgroup_mounts(text)) {
    if (mount.mount_point.size() > size || mount.root.size() > size) __builtin_trap();
  }
  if (const auto path = parse_unified_path(text); path && !path->starts_with('/')) __builtin_trap();
  if (const auto name = CgroupName::parse(text); name && !CgroupName::parse(name->text())) __builtin_trap();
  return 0;
}
