#pragma once

#include <string>
#include <vector>

#include "record/power_series.hpp"
#include "record/spool.hpp"
#include "record/spool_format.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {

/// A store and a spool folder beside it.
class SpoolTest : public StoreTest {
 protected:
  std::string spools() const { return folder_ + "/spool"; }
  record::Run spooled_run(const std::string& name) {
    record::Run run = new_run(name);
    run.host_id = "h";
    run.boot_id = "b";
    run.start_boottime_ns = 1'000'000'000;
    run.params = {{"p", "1"}};
    return run;
  }
  static Status write_start(SpoolWriter& writer, const record::Run& run) {
    const std::vector<Device> devices{
        {"cpu", "h", "CPU", "package", "model", "", "modelled", 0.5, 2, "guess"}};
    return writer.write_run(run, {"h", "box", "CPU", 4, 8e9, "Debian", false}, {"b", "h", 7}, devices);
  }
  /// Block number `index` (from 1): one second of 10 samples of 1 J.
  static std::vector<std::uint8_t> block(std::uint64_t index) {
    PowerBlockEncoder encoder;
    const auto start = static_cast<std::int64_t>(index) * 1'000'000'000;
    encoder.begin(start);
    for (int i = 1; i <= 10; ++i) encoder.add({start + i * 100'000'000, 1, 0});
    const auto bytes = encoder.encode();
    return {bytes.begin(), bytes.end()};
  }
  static Status write_blocks(SpoolWriter& writer, std::uint64_t count) {
    for (std::uint64_t i = 1; i <= count; ++i) JOULERY_CHECK_OK(writer.write_power_block("cpu", i, block(i)));
    return {};
  }
  /// A spool whose writer is gone.
  std::string abandoned(const record::Run& run, std::uint64_t blocks, bool ended) {
    auto writer = must(SpoolWriter::create(spools(), run.id));
    must(write_start(writer, run));
    must(write_blocks(writer, blocks));
    must(writer.write_evidence({"run:" + run.id, "t", 1, "{}", sha256_hex("{}"), 1}));
    if (ended) must(writer.write_end());
    return writer.path();
  }
  std::size_t stored_samples(const std::string& id) {
    const auto series = must(store_->power_series(id));
    return series.empty() ? 0 : series[0].samples.size();
  }
};

}  // namespace joulery::record
