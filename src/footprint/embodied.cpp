#include "footprint/embodied.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

constexpr double kSecondsPerYear = 365.0 * 24 * 3600;
constexpr double kGramsPerKilogram = 1000;
/// Dies of CPU packages in mm², from a laptop's to all chiplets of a large server's.
constexpr double kSmallDie = 100;
constexpr double kTypicalDie = 400;
constexpr double kLargeDie = 1500;
/// Threads of the host that a virtual machine is a slice of, and of one of its packages.
constexpr double kHostThreads = 128;
constexpr double kFewHostThreads = 48;
constexpr double kManyHostThreads = 384;
constexpr double kPackageThreads = 64;

struct Kilograms {
  double low = 0;
  double central = 0;
  double high = 0;
  double lifetime_years = 0;
  std::string source_id;
};

class Bill {
 public:
  Bill(const DataSet& data, const Table& components, const Table& gpus, const Hardware& hardware)
      : data_(data), components_(components), gpus_(gpus), hardware_(hardware) {}

  Result<std::vector<EmbodiedPart>> parts() {
    JOULERY_CHECK_OK(add_cpu());
    JOULERY_CHECK_OK(add_memory());
    JOULERY_CHECK_OK(add_drives());
    JOULERY_CHECK_OK(add_gpus());
    JOULERY_CHECK_OK(add_host());
    return std::move(parts_);
  }

 private:
  Result<Kilograms> component(const char* name) const {
    const auto row = components_.find({name});
    if (!row) return user_error(fmt::format("{}: there is no row '{}'", components_.name(), name));
    const double central = row->number("kg_co2e_central").value_or(0);
    return Kilograms{.low = row->number("kg_co2e_low").value_or(central),
                     .central = central,
                     .high = row->number("kg_co2e_high").value_or(central),
                     .lifetime_years = row->number("lifetime_years").value_or(4),
                     .source_id = row->text("source_id")};
  }

  void add(const char* key, std::string label, const Kilograms& kilograms, std::string basis) {
    if (!(kilograms.central > 0)) return;
    const std::vector<SystematicSource> sources = {
        {.id = std::string("embodied:") + key,
         .low = std::clamp(kilograms.low / kilograms.central, 0.0, 1.0),
         .high = std::max(kilograms.high / kilograms.central, 1.0),
         .provenance = Provenance::modelled,
         .basis = std::string("embodied ") + key + ": low and high are what sources disagree by"},
        // Servers are kept three to six years.
        {.id = "embodied:lifetime",
         .low = kilograms.lifetime_years / 6,
         .high = kilograms.lifetime_years / 3,
         .provenance = Provenance::assumed,
         .basis = "hardware is kept 3 to 6 years"}};
    parts_.push_back({.key = key,
                      .label = std::move(label),
                      .whole = Quantity<GramsCo2e>(kilograms.central * kGramsPerKilogram,
                                                   Provenance::modelled, 0, sources),
                      .lifetime_years = kilograms.lifetime_years,
                      .basis = std::move(basis),
                      .source = data_.describe_sources(kilograms.source_id)});
  }

  Status add_cpu() {
    JOULERY_ASSIGN(const Kilograms base, component("cpu_base"));
    JOULERY_ASSIGN(const Kilograms die, component("cpu_die"));
    JOULERY_ASSIGN(const Kilograms flat, component("cpu_additional"));
    double packages = std::max(1, hardware_.cpu_packages);
    std::string basis = format_count(packages, "packages");
    if (hardware_.virtual_machine) {
      packages = std::min(packages, hardware_.cpu_threads / kPackageThreads);
      basis = fmt::format("{} threads of packages with {} (assumed)", hardware_.cpu_threads, kPackageThreads);
    }
    Kilograms total{.low = packages * (base.low + die.low * kSmallDie),
                    .central = packages * (base.central + die.central * kTypicalDie),
                    .high = packages * std::max(flat.high, base.high + die.high * kLargeDie),
                    .lifetime_years = base.lifetime_years,
                    .source_id = base.source_id + ";" + flat.source_id};
    add("cpu", "making the CPU", total,
        fmt::format("{}; {:.4g} kg each and {:.4g} kg per mm² of a die of {} mm² ({} to {}, assumed)", basis,
                    base.central, die.central, kTypicalDie, kSmallDie, kLargeDie));
    return {};
  }

  Status add_memory() {
    JOULERY_ASSIGN(Kilograms memory, component("memory"));
    const double gigabytes = hardware_.memory_gigabytes;
    add("memory", "making the memory", times(memory, gigabytes),
        fmt::format("{:.1f} GB at {:.4g} kg ({:.4g} to {:.4g})", gigabytes, memory.central, memory.low,
                    memory.high));
    return {};
  }

  Status add_drives() {
    JOULERY_ASSIGN(const Kilograms ssd, component("ssd"));
    JOULERY_ASSIGN(const Kilograms ssd_base, component("ssd_base"));
    JOULERY_ASSIGN(const Kilograms hdd, component("hdd_drive"));
    Kilograms total{.lifetime_years = ssd.lifetime_years, .source_id = ssd.source_id};
    double flash = 0;
    int discs = 0;
    for (const Hardware::Drive& drive : hardware_.drives) {
      // The discs of a virtual machine are slices: no casing of their own.
      const double casing = hardware_.virtual_machine ? 0 : 1;
      const bool disc = drive.rotational && !hardware_.virtual_machine;
      const Kilograms one = disc ? hdd : times(ssd, drive.gigabytes);
      total.low += one.low + (disc ? 0 : casing * ssd_base.low);
      total.central += one.central + (disc ? 0 : casing * ssd_base.central);
      total.high += one.high + (disc ? 0 : casing * ssd_base.high);
      (disc ? static_cast<void>(++discs) : static_cast<void>(flash += drive.gigabytes));
    }
    add("drives", "making the drives", total, fmt::format("{:.0f} GB of flash, {} discs", flash, discs));
    return {};
  }

  Status add_gpus() {
    if (hardware_.gpus.empty()) return {};
    JOULERY_ASSIGN(const Kilograms generic, component("gpu_generic"));
    Kilograms total{.lifetime_years = generic.lifetime_years, .source_id = generic.source_id};
    int known = 0;
    for (const std::string& name : hardware_.gpus) {
      const auto row = gpu(name);
      const bool own = row && row->number("embodied_kg_central");
      known += own ? 1 : 0;
      total.low += own ? row->number("embodied_kg_low").value_or(generic.low) : generic.low;
      total.central += own ? *row->number("embodied_kg_central") : generic.central;
      total.high += own ? row->number("embodied_kg_high").value_or(generic.high) : generic.high;
    }
    add("gpus", "making the GPUs", total,
        fmt::format("{} cards, {} with a figure of their own, others as a large card", hardware_.gpus.size(),
                    known));
    return {};
  }

  Status add_host() {
    JOULERY_ASSIGN(const Kilograms board, component("motherboard"));
    JOULERY_ASSIGN(const Kilograms supply, component("power_supply_unit"));
    JOULERY_ASSIGN(const Kilograms rack, component("rack_case"));
    JOULERY_ASSIGN(const Kilograms assembly, component("server_assembly"));
    JOULERY_ASSIGN(const Kilograms flat, component("server_baseline"));
    JOULERY_ASSIGN(const Kilograms with_gpus, component("server_8gpu_host"));
    Kilograms total{.low = board.central + assembly.central,
                    .central = board.central + assembly.central + supply.central,
                    .high = board.central + assembly.central + supply.high + rack.central,
                    .lifetime_years = board.lifetime_years,
                    .source_id = board.source_id};
    std::string basis = "board, power supply, assembly";
    if (hardware_.server || hardware_.virtual_machine) {
      total.low = board.central + assembly.central + supply.low + rack.central;
      total.central = board.central + assembly.central + 2 * supply.central + rack.central;
      // A flat server has its CPU and memory inside; as the high end that is left in.
      total.high = std::max(flat.central, total.central);
      total.source_id += ";" + flat.source_id;
      basis = "board, two power supplies, case, assembly; high is a flat server";
    }
    if (hardware_.gpus.size() >= 4) {
      const double eighths = double(hardware_.gpus.size()) / 8;
      total = times(with_gpus, eighths);
      total.low /= 2;
      basis = fmt::format("host of {} GPUs as eighths of a server for 8", hardware_.gpus.size());
    }
    if (hardware_.virtual_machine) {
      const double threads = std::max(1, hardware_.cpu_threads);
      total.low *= std::min(1.0, threads / kManyHostThreads);
      total.central *= std::min(1.0, threads / kHostThreads);
      total.high *= std::min(1.0, threads / kFewHostThreads);
      basis += fmt::format("; {} threads of a host with {} ({} to {}, assumed)", threads, kHostThreads,
                           kFewHostThreads, kManyHostThreads);
    }
    add("host", "making the rest of the machine", total, std::move(basis));
    return {};
  }

  static Kilograms times(Kilograms kilograms, double factor) {
    kilograms.low *= factor;
    kilograms.central *= factor;
    kilograms.high *= factor;
    return kilograms;
  }

  /// By the model or one of its aliases.
  std::optional<Table::Row> gpu(const std::string& name) const {
    const std::string wanted = to_lower(name);
    for (const Table::Row& row : gpus_.rows()) {
      if (to_lower(row.text("model")) == wanted) return row;
      const std::string aliases = to_lower(row.text("aliases"));
      for (const std::string_view alias : split(aliases, ';')) {
        if (!alias.empty() && alias == wanted) return row;
      }
    }
    return std::nullopt;
  }

  const DataSet& data_;
  const Table& components_;
  const Table& gpus_;
  const Hardware& hardware_;
  std::vector<EmbodiedPart> parts_;
};

}  // namespace

double embodied_share(double total, double seconds, double lifetime_years, double resource_share) {
  return total * seconds / (lifetime_years * kSecondsPerYear) * resource_share;
}

Result<std::vector<EmbodiedPart>> embodied_parts(const DataSet& data, const Hardware& hardware) {
  JOULERY_ASSIGN(const Table* components, data.table(TableId::embodied_components));
  JOULERY_ASSIGN(const Table* gpus, data.table(TableId::gpu_specs));
  return Bill(data, *components, *gpus, hardware).parts();
}

}  // namespace joulery::footprint
