#include "record/spool_format.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace joulery::record {
namespace {

constexpr std::size_t kHeadBytes = 5;  // size and type
/// So many at a frame's end are no chance: nothing that is written ends in them.
constexpr std::size_t kZerosOfUnwrittenFrame = 8;
constexpr std::size_t kScanBytes = 64 * 1024;

bool all_zero(std::span<const std::uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::uint32_t head_check(std::span<const std::uint8_t> frame) {
  return static_cast<std::uint32_t>(XXH3_64bits(frame.data(), kHeadBytes));
}

void write_pairs(const std::map<std::string, std::string>& pairs, ByteWriter& out) {
  out.varint(pairs.size());
  for (const auto& [key, value] : pairs) {
    out.text(key);
    out.text(value);
  }
}

/// A count that the rest of the payload can't hold stops here, before anything is allocated for it.
std::uint64_t read_count(ByteReader& in) {
  const std::uint64_t count = in.varint();
  if (count > in.remaining()) in.fail();
  return in.ok() ? count : 0;
}

void read_pairs(ByteReader& in, std::map<std::string, std::string>& pairs) {
  const std::uint64_t count = read_count(in);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    std::string key = in.text();
    pairs[std::move(key)] = in.text();
  }
}

void write_host(const Host& host, ByteWriter& out) {
  out.text(host.id);
  out.text(host.name);
  out.text(host.cpu_model);
  out.zigzag(host.cpu_threads);
  out.fixed(host.memory_bytes);
  out.text(host.os);
  out.byte(host.virtual_machine ? 1 : 0);
}

Host read_host(ByteReader& in) {
  Host host;
  host.id = in.text();
  host.name = in.text();
  host.cpu_model = in.text();
  host.cpu_threads = static_cast<int>(in.zigzag());
  host.memory_bytes = in.fixed<double>();
  host.os = in.text();
  host.virtual_machine = in.byte() != 0;
  return host;
}

void write_device(const Device& device, ByteWriter& out) {
  for (const std::string* text : {&device.id, &device.host_id, &device.name, &device.scope, &device.via,
                                  &device.parent_id, &device.provenance, &device.accuracy_basis}) {
    out.text(*text);
  }
  out.fixed(device.accuracy_low);
  out.fixed(device.accuracy_high);
}

Device read_device(ByteReader& in) {
  Device device;
  for (std::string* text : {&device.id, &device.host_id, &device.name, &device.scope, &device.via,
                            &device.parent_id, &device.provenance, &device.accuracy_basis}) {
    *text = in.text();
  }
  device.accuracy_low = in.fixed<double>();
  device.accuracy_high = in.fixed<double>();
  return device;
}

}  // namespace

void seal_frame(FrameType type, std::span<std::uint8_t> frame) {
  const auto payload = frame.subspan(kFrameHeaderBytes);
  const auto size = static_cast<std::uint32_t>(payload.size());
  const std::uint64_t checksum = XXH3_64bits(payload.data(), payload.size());
  std::memcpy(frame.data(), &size, sizeof size);
  frame[4] = static_cast<std::uint8_t>(type);
  const std::uint32_t check = head_check(frame);
  std::memcpy(frame.data() + kHeadBytes, &check, sizeof check);
  std::memcpy(frame.data() + kHeadBytes + sizeof check, &checksum, sizeof checksum);
}

Result<SpoolReader> SpoolReader::open(Read read) {
  std::array<std::uint8_t, kSpoolHeaderBytes> header{};
  JOULERY_ASSIGN(const std::size_t got, read(header));
  if (std::memcmp(header.data(), kSpoolMagic.data(), std::min(got, kSpoolMagic.size())) != 0) {
    return user_error("it is no spool file");
  }
  SpoolReader reader(std::move(read));
  reader.ended_ = got < header.size();
  std::uint32_t version = 0;
  std::memcpy(&version, header.data() + kSpoolMagic.size(), sizeof version);
  if (!reader.ended_ && version != kSpoolVersion) {
    return environment_error(
        fmt::format("it has spool version {}, this joulery reads version {}", version, kSpoolVersion),
        "install the newer joulery that wrote it; the file is kept");
  }
  return reader;
}

Result<std::optional<SpoolFrame>> SpoolReader::bad_frame(std::span<const std::uint8_t> head,
                                                         const char* why) {
  ended_ = true;
  const auto damage = user_error(fmt::format("it is damaged at byte {}: {}", offset_, why));
  // A file grows before its blocks are on the disk: after a power cut, zeros stand for what is not.
  const std::size_t in_payload = std::min(payload_.size(), kZerosOfUnwrittenFrame);
  if (!all_zero(head.last(kZerosOfUnwrittenFrame - in_payload)) ||
      !all_zero(std::span(payload_).last(in_payload))) {
    return damage;
  }
  payload_.resize(kScanBytes);
  while (true) {
    JOULERY_ASSIGN(const std::size_t got, read_(payload_));
    if (!all_zero(std::span(payload_).first(got))) return damage;
    if (got < payload_.size()) return std::optional<SpoolFrame>();
  }
}

Result<std::optional<SpoolFrame>> SpoolReader::next() {
  if (ended_) return std::optional<SpoolFrame>();
  std::array<std::uint8_t, kFrameHeaderBytes> header{};
  JOULERY_ASSIGN(const std::size_t got, read_(header));
  ended_ = got < header.size();
  if (ended_) return std::optional<SpoolFrame>();
  std::uint32_t size = 0;
  std::uint32_t check = 0;
  std::uint64_t checksum = 0;
  std::memcpy(&size, header.data(), sizeof size);
  std::memcpy(&check, header.data() + kHeadBytes, sizeof check);
  std::memcpy(&checksum, header.data() + kHeadBytes + sizeof check, sizeof checksum);
  payload_.clear();
  if (check != head_check(header)) return bad_frame(header, "the head of a frame is wrong");
  if (size > kMaxFrameBytes) return bad_frame(header, "a frame of impossible size");
  // Grown as the file gives, so that a size alone takes no memory.
  while (payload_.size() < size) {
    const std::size_t before = payload_.size();
    const std::size_t step = std::min<std::size_t>(size - before, 1U << 20);
    payload_.resize(before + step);
    JOULERY_ASSIGN(const std::size_t more, read_(std::span(payload_).subspan(before)));
    ended_ = more < step;
    if (ended_) return std::optional<SpoolFrame>();
  }
  if (checksum != XXH3_64bits(payload_.data(), payload_.size()))
    return bad_frame(header, "the checksum of a frame is wrong");
  if (header[4] < static_cast<std::uint8_t>(FrameType::run) ||
      header[4] > static_cast<std::uint8_t>(FrameType::end)) {
    return bad_frame(header, "a frame of unknown type");
  }
  offset_ += kFrameHeaderBytes + size;
  return SpoolFrame{static_cast<FrameType>(header[4]), payload_};
}

void encode_spooled_run(const Run& run, const Host& host, const Boot& boot, std::span<const Device> devices,
                        std::vector<std::uint8_t>& out) {
  ByteWriter writer(out);
  writer.text(run.id);
  writer.text(run.name);
  writer.text(run.experiment);
  writer.text(run.user);
  writer.byte(static_cast<std::uint8_t>(run.status));
  writer.fixed(run.start_utc_ns);
  writer.fixed(run.end_utc_ns);
  writer.fixed(run.start_boottime_ns);
  writer.fixed(run.end_boottime_ns);
  writer.text(run.host_id);
  writer.text(run.boot_id);
  write_pairs(run.params, writer);
  write_pairs(run.tags, writer);
  writer.varint(run.metrics.size());
  for (const LatestMetric& metric : run.metrics) {
    writer.text(metric.key);
    writer.fixed(metric.point.value);
    writer.fixed(metric.point.timestamp_ms);
    writer.fixed(metric.point.step);
  }
  write_host(host, writer);
  writer.text(boot.id);
  writer.text(boot.host_id);
  writer.fixed(boot.booted_utc_ns);
  writer.varint(devices.size());
  for (const Device& device : devices) write_device(device, writer);
}

std::optional<SpooledRun> decode_spooled_run(std::span<const std::uint8_t> payload) {
  ByteReader in(payload);
  SpooledRun spooled;
  Run& run = spooled.run;
  run.id = in.text();
  run.name = in.text();
  run.experiment = in.text();
  run.user = in.text();
  const std::uint8_t status = in.byte();
  if (status > static_cast<std::uint8_t>(RunStatus::killed)) return std::nullopt;
  run.status = static_cast<RunStatus>(status);
  run.start_utc_ns = in.fixed<std::int64_t>();
  run.end_utc_ns = in.fixed<std::int64_t>();
  run.start_boottime_ns = in.fixed<std::int64_t>();
  run.end_boottime_ns = in.fixed<std::int64_t>();
  run.host_id = in.text();
  run.boot_id = in.text();
  read_pairs(in, run.params);
  read_pairs(in, run.tags);
  const std::uint64_t metrics = read_count(in);
  for (std::uint64_t i = 0; i < metrics && in.ok(); ++i) {
    LatestMetric metric;
    metric.key = in.text();
    metric.point.value = in.fixed<double>();
    metric.point.timestamp_ms = in.fixed<std::int64_t>();
    metric.point.step = in.fixed<std::int64_t>();
    run.metrics.push_back(std::move(metric));
  }
  spooled.host = read_host(in);
  spooled.boot.id = in.text();
  spooled.boot.host_id = in.text();
  spooled.boot.booted_utc_ns = in.fixed<std::int64_t>();
  const std::uint64_t devices = read_count(in);
  for (std::uint64_t i = 0; i < devices && in.ok(); ++i) spooled.devices.push_back(read_device(in));
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return spooled;
}

std::optional<SpooledPowerBlock> decode_spooled_power_block(std::span<const std::uint8_t> payload) {
  ByteReader in(payload);
  SpooledPowerBlock spooled;
  spooled.device_id = in.text();
  spooled.sequence = in.varint();
  spooled.block = in.take(in.remaining());
  if (!in.ok()) return std::nullopt;
  return spooled;
}

void encode_spooled_evidence(const Evidence& evidence, std::vector<std::uint8_t>& out) {
  ByteWriter writer(out);
  writer.text(evidence.subject);
  writer.text(evidence.type);
  writer.zigzag(evidence.version);
  writer.text(evidence.json);
  writer.text(evidence.sha256);
  writer.fixed(evidence.created_utc_ns);
}

std::optional<Evidence> decode_spooled_evidence(std::span<const std::uint8_t> payload) {
  ByteReader in(payload);
  Evidence evidence;
  evidence.subject = in.text();
  evidence.type = in.text();
  evidence.version = static_cast<int>(in.zigzag());
  evidence.json = in.text();
  evidence.sha256 = in.text();
  evidence.created_utc_ns = in.fixed<std::int64_t>();
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return evidence;
}

}  // namespace joulery::record
