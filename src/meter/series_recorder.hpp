#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "record/power_series.hpp"
#include "record/spool.hpp"

namespace joulery::meter {

/// Packs power samples of several devices into blocks and appends full or old ones to a spool. Adding a
/// sample allocates nothing. The first failure to write stops it; the caller asks for it at the end.
class SeriesRecorder {
 public:
  /// `spool` may be null: then nothing is kept. It must outlive the recorder.
  SeriesRecorder(record::SpoolWriter* spool, std::vector<std::string> device_ids,
                 std::int64_t start_boottime_ns);
  void add(std::size_t device, const record::PowerSample& sample);
  /// Writes what is not yet written.
  void flush();
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct Series {
    std::string device_id;
    record::PowerBlockEncoder encoder;
    std::uint64_t next_sequence = 1;
    std::int64_t last_boottime_ns = 0;
  };
  void write(Series& series);
  record::SpoolWriter* spool_;
  std::vector<Series> series_;
  std::int64_t last_flush_ns_;
  std::optional<Error> failure_;
};

}  // namespace joulery::meter
