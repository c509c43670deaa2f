#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "record/byte_codec.hpp"
#include "record/model.hpp"

namespace joulery::record {

// A spool file: 8 bytes magic, 4 bytes version; then frames of 4 bytes payload size, 1 byte type, 4 bytes
// check of these two, 8 bytes XXH3 of the payload, payload. The check of the head tells a damaged size,
// behind which whole frames would be missed, from a frame that a kill cut off.
constexpr std::string_view kSpoolMagic = "JOULSPL\n";
constexpr std::uint32_t kSpoolVersion = 1;
constexpr std::size_t kSpoolHeaderBytes = 12;
constexpr std::size_t kFrameHeaderBytes = 17;
constexpr std::size_t kMaxFrameBytes = 64U << 20;

enum class FrameType : std::uint8_t { run = 1, power_block = 2, evidence = 3, end = 4 };

/// Fills the first kFrameHeaderBytes of `frame` for the payload behind them.
void seal_frame(FrameType type, std::span<std::uint8_t> frame);

struct SpoolFrame {
  FrameType type = FrameType::end;
  /// Valid until the next frame is read.
  std::span<const std::uint8_t> payload;
};

/// Walks the frames of a spool file, one in memory at a time.
class SpoolReader {
 public:
  /// Fills as much of the buffer as there is: less only at the end of the file.
  using Read = std::function<Result<std::size_t>(std::span<std::uint8_t>)>;
  /// User error if it is no spool; environment error if it is of a newer version. A file cut off within its
  /// header is an empty spool.
  static Result<SpoolReader> open(Read read);
  /// The next whole frame; nothing at the end, or where the last write was left unfinished: a frame that a
  /// kill cut off, or that a power cut left as zeros up to the end of the file. Any other damage is a user
  /// error: reading again does not help.
  Result<std::optional<SpoolFrame>> next();
  /// Where the next frame begins: all before it is intact.
  std::size_t offset() const { return offset_; }

 private:
  explicit SpoolReader(Read read) : read_(std::move(read)) {}
  /// What is wrong with a frame, unless its last bytes and all behind it are zeros.
  Result<std::optional<SpoolFrame>> bad_frame(std::span<const std::uint8_t> head, const char* why);
  Read read_;
  std::vector<std::uint8_t> payload_;
  std::size_t offset_ = kSpoolHeaderBytes;
  bool ended_ = false;
};

/// What a run frame holds.
struct SpooledRun {
  Run run;
  Host host;
  Boot boot;
  std::vector<Device> devices;
};

struct SpooledPowerBlock {
  std::string device_id;
  std::uint64_t sequence = 0;
  std::span<const std::uint8_t> block;
};

void encode_spooled_run(const Run& run, const Host& host, const Boot& boot, std::span<const Device> devices,
                        std::vector<std::uint8_t>& out);
/// Nothing if the payload is malformed.
std::optional<SpooledRun> decode_spooled_run(std::span<const std::uint8_t> payload);
std::optional<SpooledPowerBlock> decode_spooled_power_block(std::span<const std::uint8_t> payload);
void encode_spooled_evidence(const Evidence& evidence, std::vector<std::uint8_t>& out);
std::optional<Evidence> decode_spooled_evidence(std::span<const std::uint8_t> payload);

}  // namespace joulery::record
