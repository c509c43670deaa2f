#include "power/msr.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.hpp"
#include "power/cpu_topology.hpp"

namespace joulery::power {
namespace {

constexpr std::uint32_t kIntelUnit = 0x606;
constexpr std::uint32_t kIntelPackage = 0x611;
constexpr std::uint32_t kIntelDram = 0x619;
constexpr std::uint32_t kIntelCores = 0x639;
constexpr std::uint32_t kIntelGraphics = 0x641;
constexpr std::uint32_t kIntelPlatform = 0x64D;
constexpr std::uint32_t kAmdUnit = 0xC0010299;
constexpr std::uint32_t kAmdPackage = 0xC001029B;

constexpr std::uint64_t kLow32 = 0xFFFFFFFF;
constexpr double kCounterSteps = 4294967296.0;
/// Intel's first CPU with RAPL is Sandy Bridge, AMD's is Zen; Hygon's are Zen.
constexpr int kSandyBridge = 0x2A;
constexpr int kZen = 0x17;

template <std::size_t N>
bool is_one_of(int value, const std::array<int, N>& values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_intel(const MachineIdentity& identity) {
  return identity.cpu_vendor == "GenuineIntel" && identity.family == 6 && identity.model >= kSandyBridge;
}

bool is_amd(const MachineIdentity& identity) {
  return (identity.cpu_vendor == "AuthenticAMD" || identity.cpu_vendor == "HygonGenuine") &&
         identity.family >= kZen;
}

/// Atoms whose unit is 2^n uJ and not 2^-n J: Bay Trail, Cherry Trail, Merrifield, Moorefield.
bool counts_in_microjoules(const MachineIdentity& identity) {
  constexpr std::array<int, 4> kModels{0x37, 0x4C, 0x4A, 0x5A};
  return is_one_of(identity.model, kModels);
}

/// Servers whose memory counts in 2^-16 J whatever the unit register says: Haswell, Broadwell (and D),
/// Skylake and Ice Lake (and D) servers, Knights Landing and Mill.
bool has_fixed_memory_unit(const MachineIdentity& identity) {
  constexpr std::array<int, 8> kModels{0x3F, 0x4F, 0x56, 0x55, 0x6A, 0x6C, 0x57, 0x85};
  return is_one_of(identity.model, kModels);
}

/// A register file of one CPU. 0, or errno.
int read_register(int descriptor, std::uint32_t address, std::uint64_t& value) {
  ssize_t got = 0;
  do {
    got = ::pread(descriptor, &value, sizeof value, static_cast<off_t>(address));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno;
  return got == static_cast<ssize_t>(sizeof value) ? 0 : EIO;
}

FileDescriptor open_registers(const SystemRoot& root, int cpu) {
  return FileDescriptor(
      ::open(root.resolve(fmt::format("/dev/cpu/{}/msr", cpu)).c_str(), O_RDONLY | O_CLOEXEC));
}

class MsrSource final : public Source {
 public:
  MsrSource(SourceInfo info, FileDescriptor registers, const MsrDomain& domain, std::uint64_t mask)
      : info_(std::move(info)), registers_(std::move(registers)), domain_(domain), mask_(mask) {}
  const SourceInfo& info() const override { return info_; }
  SourceInfo* edit_info() override { return &info_; }

  Reading read(const Clock& clock) override {
    Reading reading;
    std::uint64_t count = 0;
    const std::int64_t before = clock.boottime_ns();
    reading.error_number = read_register(registers_.get(), domain_.address, count);
    reading.boottime_ns = before + (clock.boottime_ns() - before) / 2;
    reading.valid = reading.error_number == 0;
    if (reading.valid) reading.value = static_cast<double>(count & mask_) * domain_.joules_per_count;
    return reading;
  }

 private:
  SourceInfo info_;
  FileDescriptor registers_;
  MsrDomain domain_;
  std::uint64_t mask_;
};

struct Findings {
  bool missing = false;
  int denied = 0;
  int last_error = 0;
  bool no_unit = false;
};

constexpr const char* kEnable =
    "sudo modprobe msr\n"
    "# for one command, without opening the registers to everybody:\n"
    "sudo systemd-run --pty --same-dir --uid=\"$USER\" --property=AmbientCapabilities=\"CAP_SYS_RAWIO "
    "CAP_DAC_READ_SEARCH\" joulery run -- CMD";

std::string cost() {
  return std::string(
             "CAP_SYS_RAWIO gives a program the whole machine, so prefer the perf PMU or powercap; ") +
         kRaplRisk;
}

void open_domain(const SystemRoot& root, const MachineIdentity& identity, const RaplMachine& machine,
                 const CpuPlace& place, const MsrDomain& domain, RaplProbe& probe, Findings& findings) {
  RaplDomain rapl{domain.scope, place.package, place.die};
  if (domain.scope == Scope::package && place.die >= 0) rapl.scope = Scope::die;
  SourceInfo info = rapl_source_info(rapl);
  const bool known = std::any_of(probe.infos.begin(), probe.infos.end(),
                                 [&](const SourceInfo* other) { return other->device_id == info.device_id; });
  // The platform is one, whatever number of CPUs can read it.
  if (known) return;
  FileDescriptor registers = open_registers(root, place.cpu);
  std::uint64_t count = 0;
  const int error = registers.valid() ? read_register(registers.get(), domain.address, count) : errno;
  if (error != 0) {
    // EIO says that the CPU has no such register, which is no fault.
    if (error != EIO || findings.last_error == 0) findings.last_error = error;
    return;
  }
  // A counter of a domain that the CPU does not have reads zero.
  if (count == 0) return;
  // Intel reserves the high half. AMD reads it as zero where the counter has 32 bits, and goes on in it where
  // it has 64: once something is there, the counter does not wrap in a machine's life.
  const bool wide = !is_intel(identity) && count > kLow32;
  info.via = "MSR";
  info.resolution_joules = domain.joules_per_count;
  info.wrap_joules = wide ? 0 : kCounterSteps * domain.joules_per_count;
  info.max_plausible_watts = plausible_watts(rapl, machine);
  auto source = std::make_unique<MsrSource>(std::move(info), std::move(registers), domain,
                                            is_intel(identity) ? kLow32 : ~std::uint64_t{0});
  probe.infos.push_back(source->edit_info());
  probe.result.sources.push_back(std::move(source));
}

void open_place(const SystemRoot& root, const MachineIdentity& identity, const RaplMachine& machine,
                std::uint32_t unit_register, const CpuPlace& place, RaplProbe& probe, Findings& findings) {
  const FileDescriptor registers = open_registers(root, place.cpu);
  std::uint64_t unit = 0;
  const int error = registers.valid() ? read_register(registers.get(), unit_register, unit) : errno;
  if (error != 0) {
    findings.last_error = error;
    findings.missing |= error == ENOENT || error == ENXIO || error == ENODEV;
    if (error == EACCES || error == EPERM) ++findings.denied;
    return;
  }
  const auto domains = msr_domains(identity, unit);
  findings.no_unit |= domains.empty();
  for (const MsrDomain& domain : domains) {
    open_domain(root, identity, machine, place, domain, probe, findings);
  }
}

void explain(const Findings& findings, ProbeResult& result) {
  if (!result.sources.empty()) {
    result.state = ProbeResult::State::available;
    result.reason = format_count(double(result.sources.size()), "energy registers") + " readable";
    if (findings.denied > 0) {
      result.state = ProbeResult::State::limited;
      result.reason += fmt::format(", {} CPUs closed to this user", findings.denied);
      result.enable = kEnable;
    }
    result.cost = cost();
    return;
  }
  if (findings.denied > 0) {
    result.state = ProbeResult::State::limited;
    result.reason = fmt::format(
        "/dev/cpu/*/msr is there, but opening it needs root or CAP_SYS_RAWIO, and a kernel that is not "
        "locked down ({})",
        errno_text(findings.last_error));
    result.enable = kEnable;
    result.cost = cost();
  } else if (findings.missing) {
    result.reason = "there is no /dev/cpu/*/msr: the module msr is not loaded, or a container hides it";
    result.enable = kEnable;
    result.cost = cost();
  } else if (findings.no_unit) {
    result.reason = "the CPU's register of energy units reads nonsense, as under a hypervisor";
  } else if (findings.last_error != 0) {
    result.reason =
        fmt::format("the CPU's energy registers can't be read: {}", errno_text(findings.last_error));
  } else {
    result.reason = "all energy registers read zero";
  }
}

}  // namespace

bool platform_counts_whole_joules(const MachineIdentity& identity) {
  constexpr std::array<int, 2> kSapphireAndEmeraldRapids{0x8F, 0xCF};
  return is_intel(identity) && is_one_of(identity.model, kSapphireAndEmeraldRapids);
}

std::optional<std::uint32_t> msr_unit_register(const MachineIdentity& identity) {
  if (is_intel(identity)) return kIntelUnit;
  if (is_amd(identity)) return kAmdUnit;
  return std::nullopt;
}

std::vector<MsrDomain> msr_domains(const MachineIdentity& identity, std::uint64_t unit) {
  const auto exponent = static_cast<unsigned>((unit >> 8U) & 0x1FU);
  // A register that reads zero is one that nobody answers for, and whole joules are no CPU's unit.
  if (exponent == 0) return {};
  const double usual = 1.0 / static_cast<double>(std::uint64_t{1} << exponent);
  if (is_amd(identity)) return {{Scope::package, kAmdPackage, usual}};
  if (!is_intel(identity)) return {};
  const double joules =
      counts_in_microjoules(identity) ? 1e-6 * static_cast<double>(std::uint64_t{1} << exponent) : usual;
  constexpr double kMemoryUnit = 0x1p-16;
  constexpr double kWholeJoule = 1;
  return {{Scope::package, kIntelPackage, joules},
          {Scope::core, kIntelCores, joules},
          {Scope::uncore, kIntelGraphics, joules},
          {Scope::dram, kIntelDram, has_fixed_memory_unit(identity) ? kMemoryUnit : joules},
          {Scope::psys, kIntelPlatform, platform_counts_whole_joules(identity) ? kWholeJoule : joules}};
}

RaplProbe probe_msr(const SystemRoot& root, const MachineIdentity& identity, const RaplMachine& machine) {
  RaplProbe probe;
  ProbeResult& result = probe.result;
  result.via = "MSR";
  const auto unit_register = msr_unit_register(identity);
  if (!unit_register) {
    result.reason = "the CPU has no energy registers that this program knows";
    return probe;
  }
  if (machine.virtual_machine) {
    result.reason = "a virtual machine's registers are not the host's";
    return probe;
  }
  Findings findings;
  const auto places = read_cpu_places(root, online_cpus(root, identity.threads_online));
  // Zen 1 shows one counter on each of a package's dies.
  for (const CpuPlace& place : one_of_each(places, is_intel(identity))) {
    open_place(root, identity, machine, *unit_register, place, probe, findings);
  }
  explain(findings, result);
  return probe;
}

}  // namespace joulery::power
