// Hosts, boots, devices and their power series.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {

Result<std::int64_t> SqliteStore::host_row(const std::string& id) {
  JOULERY_ASSIGN(const auto row, find("SELECT id FROM hosts WHERE uuid = ?", id));
  if (row) return *row;
  return user_error(fmt::format("there is no host '{}' in the store", printable(id)));
}

Status SqliteStore::put_host(const Host& host) {
  if (host.id.empty()) return user_error("a host needs an id");
  return write([&]() -> Status {
    JOULERY_ASSIGN(
        Statement put,
        database_->prepare("INSERT INTO hosts (uuid, name, cpu_model, cpu_threads, memory_bytes, os, "
                           "virtual_machine) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO UPDATE SET "
                           "name = excluded.name, cpu_model = excluded.cpu_model, cpu_threads = "
                           "excluded.cpu_threads, memory_bytes = excluded.memory_bytes, os = excluded.os, "
                           "virtual_machine = excluded.virtual_machine"));
    put.bind(host.id).bind(host.name).bind(host.cpu_model).bind(host.cpu_threads);
    put.bind(host.memory_bytes == host.memory_bytes ? host.memory_bytes : 0.0);
    return put.bind(host.os).bind(host.virtual_machine).run();
  });
}

Status SqliteStore::put_boot(const Boot& boot) {
  if (boot.id.empty()) return user_error("a boot needs an id");
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t host, host_row(boot.host_id));
    JOULERY_ASSIGN(
        Statement put,
        database_->prepare("INSERT INTO boots (uuid, host, booted_utc_ns) VALUES (?, ?, ?) ON CONFLICT "
                           "(uuid) DO UPDATE SET booted_utc_ns = excluded.booted_utc_ns"));
    return put.bind(boot.id).bind(host).bind(boot.booted_utc_ns).run();
  });
}

Status SqliteStore::put_device(const Device& device) {
  if (device.id.empty()) return user_error("a device needs an id");
  const auto usable = [](double factor) { return factor == factor ? factor : 1.0; };
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t host, host_row(device.host_id));
    JOULERY_ASSIGN(
        Statement put,
        database_->prepare(
            "INSERT INTO devices (host, device_id, name, scope, via, parent_id, provenance, accuracy_low, "
            "accuracy_high, accuracy_basis) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host, "
            "device_id) DO UPDATE SET name = excluded.name, scope = excluded.scope, via = excluded.via, "
            "parent_id = excluded.parent_id, provenance = excluded.provenance, accuracy_low = "
            "excluded.accuracy_low, accuracy_high = excluded.accuracy_high, accuracy_basis = "
            "excluded.accuracy_basis"));
    put.bind(host)
        .bind(device.id)
        .bind(device.name)
        .bind(device.scope)
        .bind(device.via)
        .bind(device.parent_id);
    put.bind(device.provenance).bind(usable(device.accuracy_low)).bind(usable(device.accuracy_high));
    return put.bind(device.accuracy_basis).run();
  });
}

Result<std::optional<Host>> SqliteStore::host(const std::string& id) {
  JOULERY_ASSIGN(
      Statement select,
      database_->prepare("SELECT uuid, name, cpu_model, cpu_threads, memory_bytes, os, virtual_machine "
                         "FROM hosts WHERE uuid = ?"));
  JOULERY_ASSIGN(const bool row, select.bind(id).step());
  if (!row) return std::optional<Host>();
  Host host;
  host.id = select.text(0);
  host.name = select.text(1);
  host.cpu_model = select.text(2);
  host.cpu_threads = static_cast<int>(select.integer(3));
  host.memory_bytes = select.real(4);
  host.os = select.text(5);
  host.virtual_machine = select.integer(6) != 0;
  return host;
}

Result<std::vector<Device>> SqliteStore::devices(const std::string& host_id) {
  std::vector<Device> devices;
  JOULERY_ASSIGN(
      Statement select,
      database_->prepare("SELECT d.device_id, d.name, d.scope, d.via, d.parent_id, d.provenance, "
                         "d.accuracy_low, d.accuracy_high, d.accuracy_basis FROM devices d JOIN hosts h ON "
                         "h.id = d.host WHERE h.uuid = ? ORDER BY d.id"));
  select.bind(host_id);
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return devices;
    Device device;
    device.id = select.text(0);
    device.host_id = host_id;
    device.name = select.text(1);
    device.scope = select.text(2);
    device.via = select.text(3);
    device.parent_id = select.text(4);
    device.provenance = select.text(5);
    device.accuracy_low = select.real(6);
    device.accuracy_high = select.real(7);
    device.accuracy_basis = select.text(8);
    devices.push_back(std::move(device));
  }
}

Status SqliteStore::put_power_block(const std::string& run_id, const std::string& device_id,
                                    std::uint64_t sequence, std::span<const std::uint8_t> block) {
  JOULERY_ASSIGN(const PowerBlockInfo info, read_power_block_info(block));
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, true));
    JOULERY_ASSIGN(Statement device,
                   database_->prepare("SELECT d.id FROM runs r JOIN devices d ON d.host = r.host "
                                      "WHERE r.id = ? AND d.device_id = ?"));
    JOULERY_ASSIGN(const bool known, device.bind(run).bind(device_id).step());
    if (!known) {
      return user_error(
          fmt::format("the host of run {} has no device '{}' in the store", run_id, printable(device_id)));
    }
    JOULERY_ASSIGN(Statement put,
                   database_->prepare("INSERT INTO power_blocks (run, device, sequence, joules, samples) "
                                      "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"));
    return put.bind(run).bind(device.integer(0)).bind(sequence).bind(info.joules).bind(block).run();
  });
}

Result<std::vector<Store::PowerSeries>> SqliteStore::power_series(const std::string& run_id) {
  JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, false));
  std::vector<PowerSeries> all;
  JOULERY_ASSIGN(Statement select,
                 database_->prepare(
                     "SELECT p.device, d.device_id, p.samples FROM power_blocks p JOIN devices d ON d.id = "
                     "p.device WHERE p.run = ? ORDER BY p.device, p.sequence"));
  select.bind(run);
  std::int64_t current = -1;
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return all;
    if (all.empty() || select.integer(0) != current) {
      current = select.integer(0);
      all.push_back({select.text(1), {}});
    }
    if (auto status = decode_power_block(select.blob(2), all.back().samples); !status) {
      return environment_error(fmt::format("the store '{}' is damaged: power series of run {}, device {}: {}",
                                           printable(database_->path()), run_id,
                                           printable(all.back().device_id), status.error().message),
                               "the other runs are not affected; the file is left as it is");
    }
  }
}

}  // namespace joulery::record::sqlite
