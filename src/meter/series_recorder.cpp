#include "meter/series_recorder.hpp"

#include "base/clock.hpp"

namespace joulery::meter {
namespace {

/// A kill loses at most this much of the series.
constexpr std::int64_t kFlushEveryNs = 10 * kNanosecondsPerSecond;

}  // namespace

SeriesRecorder::SeriesRecorder(record::SpoolWriter* spool, std::vector<std::string> device_ids,
                               std::int64_t start_boottime_ns)
    : spool_(spool), last_flush_ns_(start_boottime_ns) {
  series_.reserve(device_ids.size());
  for (std::string& id : device_ids) {
    Series& series = series_.emplace_back();
    series.device_id = std::move(id);
    series.last_boottime_ns = start_boottime_ns;
    series.encoder.begin(start_boottime_ns);
  }
}

void SeriesRecorder::write(Series& series) {
  const auto block = series.encoder.encode();
  if (block.empty()) return;
  if (spool_ != nullptr && !failure_) {
    const Status status = spool_->write_power_block(series.device_id, series.next_sequence, block);
    if (!status) failure_ = status.error();
  }
  ++series.next_sequence;
  series.encoder.begin(series.last_boottime_ns);
}

void SeriesRecorder::add(std::size_t device, const record::PowerSample& sample) {
  Series& series = series_[device];
  if (!series.encoder.add(sample)) {
    write(series);
    series.encoder.add(sample);
  }
  series.last_boottime_ns = sample.boottime_ns;
  // After the last device of a tick, so that the series of a spool end together.
  if (device + 1 == series_.size() && sample.boottime_ns - last_flush_ns_ >= kFlushEveryNs) {
    flush();
    last_flush_ns_ = sample.boottime_ns;
  }
}

void SeriesRecorder::flush() {
  for (Series& series : series_) write(series);
}

}  // namespace joulery::meter
