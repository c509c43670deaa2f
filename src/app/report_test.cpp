#include "app/report.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <string>

#include "app/documents.hpp"
#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::must;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;

class ReportTest : public record::StoreTest {
 protected:
  ReportTest() {
    record::Host host;
    host.id = "h1";
    host.name = "one";
    must(store_->put_host(host));
    record::Device device;
    device.id = "cpu";
    device.host_id = "h1";
    device.name = "package 0";
    must(store_->put_device(device));
    device.id = record::kDerivedWorkloadDevice;
    must(store_->put_device(device));
  }
  record::Run put(record::Run run) {
    run.host_id = "h1";
    must(store_->put_run(run));
    return must(store_->run(run.id));
  }
  record::Run finished(const std::string& name) {
    record::Run run = new_run(name, ++started_);
    run.status = record::RunStatus::finished;
    run.start_boottime_ns = 100 * kSecond;
    run.tags["joulery.command"] = "job --now";
    return run;
  }
  static meter::MeteredRun metered(const record::Run& run) {
    meter::MeteredRun result;
    result.run = run;
    result.host.host.name = "one";
    result.duration_seconds = 3;
    result.cpu_seconds = 5;
    result.machine_cpus = 4;
    result.energy_machine = Quantity<Joules>(200, Provenance::measured);
    result.energy = Quantity<Joules>(100, Provenance::modelled, 0,
                                     {{.id = "host-power-model:h1",
                                       .low = 0.35,
                                       .high = 2.1,
                                       .provenance = Provenance::modelled,
                                       .basis = "a model"}});
    result.energy_active = result.energy * 0.75;
    result.energy_idle_share = result.energy * 0.25;
    result.energy_other_active = Quantity<Joules>(60, Provenance::measured);
    result.energy_idle = Quantity<Joules>(65, Provenance::measured);
    result.carbon = result.energy * Quantity<GramsCo2ePerJoule>(1e-4, Provenance::assumed);
    return result;
  }
  void put_document(const record::Run& run, const std::string& json) {
    must(store_->put_evidence({.subject = "run:" + run.id,
                               .type = "joulery/run",
                               .version = 1,
                               .json = json,
                               .sha256 = sha256_hex(json),
                               .created_utc_ns = 1}));
  }
  void put_power(const record::Run& run, const std::string& device, std::size_t count, double watts) {
    record::PowerBlockEncoder encoder;
    encoder.begin(run.start_boottime_ns);
    for (std::size_t i = 1; i <= count; ++i) {
      encoder.add({.boottime_ns = run.start_boottime_ns + static_cast<std::int64_t>(i) * kSecond / 10,
                   .joules = watts / 10,
                   .flags = 0});
    }
    must(store_->put_power_block(run.id, device, 1, encoder.encode()));
  }
  Report report(const std::vector<record::Run>& runs) { return must(make_report(*store_, data_, runs, 0)); }
  RunReport report_of(const record::Run& run) { return report({run}).runs.front(); }
  std::string page(const std::vector<record::Run>& runs) { return report_page(report(runs)); }

  footprint::DataSet data_;
  std::int64_t started_ = 0;
};

TEST_F(ReportTest, SaysWhatTheDocumentSays) {
  const record::Run run = put(finished("job"));
  put_document(run, run_document(metered(run)));
  put_power(run, "cpu", 30, 66.7);
  put_power(run, record::kDerivedWorkloadDevice, 30, 33.3);
  const RunReport one = report_of(run);
  ASSERT_TRUE(one.energy && one.carbon && one.cpu_seconds);
  EXPECT_DOUBLE_EQ(one.energy->value, 100);
  EXPECT_NEAR(one.energy->low, 35, 1e-9);
  EXPECT_NEAR(one.energy->high, 210, 1e-9);
  EXPECT_EQ(one.energy->provenance, Provenance::modelled);
  EXPECT_DOUBLE_EQ(*one.cpu_seconds, 5);
  ASSERT_EQ(one.power.size(), 2U);
  EXPECT_EQ(one.power[0].kind, ReportSeries::Kind::machine);
  EXPECT_NEAR(one.power[0].profile.mean_watts, 66.7, 0.1);
  EXPECT_EQ(one.power[1].kind, ReportSeries::Kind::workload);
  double share = 0;
  for (const ReportPart& part : one.split) share += part.share;
  EXPECT_EQ(one.split.size(), 4U);
  EXPECT_NEAR(share, 1, 1e-12);
  EXPECT_NEAR(one.split[0].share, 0.375, 1e-12);
  const std::string html = page({run});
  EXPECT_THAT(html, HasSubstr("<data value=\"100\" data-figure=\"energy_joules\""));
  EXPECT_THAT(html, HasSubstr("about 100 J"));
  EXPECT_THAT(html, HasSubstr("between 35 J and 210 J"));
}

TEST_F(ReportTest, TheMachineIsTheSumOfWhatCounts) {
  record::Device device;
  device.host_id = "h1";
  for (const auto& [id, parent] : {std::pair("gpu", ""), std::pair("core", "cpu")}) {
    device.id = device.name = id;
    device.parent_id = parent;
    must(store_->put_device(device));
  }
  const record::Run run = put(finished("job"));
  put_power(run, "cpu", 30, 50);
  put_power(run, "gpu", 30, 100);
  put_power(run, "core", 30, 20);
  const RunReport one = report_of(run);
  ASSERT_EQ(one.power.size(), 4U);
  EXPECT_EQ(one.power[0].kind, ReportSeries::Kind::machine);
  EXPECT_NEAR(one.power[0].profile.mean_watts, 150, 0.1);
  EXPECT_EQ(one.power[1].label, "gpu");
  EXPECT_EQ(one.power[3].label, "core");
}

TEST_F(ReportTest, DevicesOfOneNameAreToldApart) {
  record::Device device;
  device.host_id = "h1";
  device.name = "package 0";
  device.id = "cpu-by-another-way";
  must(store_->put_device(device));
  const record::Run run = put(finished("job"));
  meter::MeteredRun result = metered(run);
  for (const char* id : {"cpu-by-another-way", "cpu"}) {
    meter::DeviceReport& report = result.devices.emplace_back();
    report.info.device_id = id;
    report.info.name = "package 0";
    report.is_root = std::string(id) == "cpu";
  }
  result.devices.front().mirror_of = "cpu";
  put_document(run, run_document(result));
  put_power(run, "cpu", 30, 50);
  put_power(run, "cpu-by-another-way", 30, 50);
  const RunReport one = report_of(run);
  ASSERT_FALSE(one.power.empty());
  EXPECT_EQ(one.power[0].kind, ReportSeries::Kind::machine);
  EXPECT_NEAR(one.power[0].profile.mean_watts, 50, 0.1) << "one counts, its mirror does not";
}

TEST_F(ReportTest, NothingFromOutsideBreaksOut) {
  const std::string bad = "</title><script>alert(1)</script>\"'";
  record::Run run = finished(bad);
  run.tags[bad] = bad;
  run.tags["joulery.command"] = bad;
  run.experiment = "x<img src=y>";
  run.user = bad;
  run = put(run);
  put_document(run, run_document(metered(run)));
  const std::string html = page({run});
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, HasSubstr("&lt;/title&gt;&lt;script&gt;"));
}

TEST_F(ReportTest, ARunWhoseMeterWasKilledSaysSo) {
  record::Run run = finished("job");
  run.status = record::RunStatus::killed;
  run.tags["joulery.recovered"] = "true";
  run.tags["joulery.energy_provenance"] = "modelled";
  run.metrics = {{.key = "joulery/energy_joules", .point = {.value = 50}},
                 {.key = "joulery/energy_joules_low", .point = {.value = 20}},
                 {.key = "joulery/energy_joules_high", .point = {.value = 90}},
                 {.key = "joulery/duration_seconds", .point = {.value = 30}}};
  run = put(run);
  put_power(run, "cpu", 10, 5);
  const RunReport one = report_of(run);
  EXPECT_THAT(one.end, HasSubstr("cut off"));
  EXPECT_THAT(one.missing, Contains(HasSubstr("its meter was killed")));
  ASSERT_TRUE(one.energy);
  EXPECT_EQ(one.energy->low, 20);
  EXPECT_EQ(one.energy->provenance, Provenance::modelled);
  EXPECT_EQ(one.power.size(), 1U);
  const std::string html = page({run});
  EXPECT_THAT(html, HasSubstr("between 20 J and 90 J"));
  EXPECT_THAT(html, HasSubstr("It used at least about 50 J of electricity"));
  EXPECT_THAT(html, HasSubstr("It took at least 30.0 s"));
}

TEST_F(ReportTest, AFailedRunHasItsCost) {
  const record::Run run = put([&] {
    record::Run failed = finished("job");
    failed.status = record::RunStatus::failed;
    return failed;
  }());
  meter::MeteredRun metered_run = metered(run);
  metered_run.child.exit_code = 3;
  put_document(run, run_document(metered_run));
  const RunReport one = report_of(run);
  EXPECT_TRUE(one.failed);
  EXPECT_EQ(one.end, "failed with exit code 3");
  EXPECT_EQ(one.advice.front().key, "failure");
  EXPECT_THAT(page({run}), HasSubstr("This run failed with exit code 3"));
}

TEST_F(ReportTest, UnknownEnergyIsNeverZero) {
  const record::Run run = put(finished("job"));
  meter::MeteredRun unknown = metered(run);
  unknown.energy_machine = Quantity<Joules>(0, Provenance::measured);
  unknown.devices.clear();
  ASSERT_FALSE(unknown.energy_known());
  put_document(run, run_document(unknown));
  const RunReport one = report_of(run);
  EXPECT_FALSE(one.energy);
  EXPECT_THAT(one.missing, Contains(HasSubstr("energy is unknown")));
  const std::string html = page({run});
  EXPECT_THAT(html, HasSubstr("unknown"));
  EXPECT_THAT(html, Not(HasSubstr("data-figure=\"energy_joules\"")));
}

TEST_F(ReportTest, AnOlderDocumentTellsLess) {
  const record::Run run = put(finished("job"));
  put_document(run, R"({"schema_version":1,"duration_seconds":3,"cpu_seconds":5,"command":"old",
                       "energy_joules":{"value":7}})");
  const RunReport one = report_of(run);
  ASSERT_TRUE(one.energy);
  EXPECT_FALSE(one.energy->has_range);
  EXPECT_EQ(one.energy->provenance, Provenance::assumed);
  EXPECT_THAT(one.missing, Contains(HasSubstr("an older version")));
  EXPECT_THAT(page({run}), HasSubstr("no range is known"));
}

TEST_F(ReportTest, ADamagedDocumentLeavesTheMetrics) {
  for (const char* damaged :
       {"{\"energy", "[]", "null", "{\"energy_joules\": 5, \"devices\": 3, \"warnings\": {}}"}) {
    record::Run run = finished("job");
    run.metrics = {{.key = "joulery/duration_seconds", .point = {.value = 4}}};
    run.tags["joulery.damaged"] = "zeros at its end";
    run = put(run);
    put_document(run, damaged);
    const RunReport one = report_of(run);
    EXPECT_THAT(one.missing, Contains(HasSubstr("zeros at its end")));
    EXPECT_THAT(page({run}), HasSubstr("Missing: "));
  }
}

TEST_F(ReportTest, MetricsThatAreNoNumbersAreMissing) {
  record::Run run = finished("job");
  run.metrics = {{.key = "joulery/energy_joules", .point = {.value = NAN}},
                 {.key = "joulery/cpu_seconds", .point = {.value = INFINITY}}};
  const RunReport one = report_of(put(run));
  EXPECT_FALSE(one.energy);
  EXPECT_THAT(one.missing, Contains(HasSubstr("energy_joules is not a number")));
  EXPECT_THAT(report_page({.runs = {one}, .comparison = {}, .means = {}, .generated_at = {}, .version = {}}),
              Not(HasSubstr("nan")));
}

TEST_F(ReportTest, AnImportedRunHasWhatItHas) {
  record::Run run = finished("job");
  run.tags["joulery.source"] = "codecarbon";
  run.tags["joulery.energy_provenance"] = "assumed";
  run.metrics = {{.key = "joulery/energy_joules", .point = {.value = 3600}},
                 {.key = "joulery/carbon_gco2e", .point = {.value = 0.5}},
                 {.key = "joulery/duration_seconds", .point = {.value = 10}}};
  run = put(run);
  const RunReport one = report_of(run);
  EXPECT_THAT(one.end, HasSubstr("CodeCarbon"));
  ASSERT_TRUE(one.energy && one.carbon);
  EXPECT_FALSE(one.energy->has_range);
  // Times of another program are not ours to call measured.
  EXPECT_THAT(page({run}), Not(HasSubstr("The times are measured")));
}

TEST_F(ReportTest, NoSampleOneSampleNoTime) {
  const record::Run none = put(finished("none"));
  put_document(none, run_document(metered(none)));
  EXPECT_THAT(report_of(none).missing, Contains(HasSubstr("no power over time")));
  EXPECT_THAT(page({none}), HasSubstr("No power over time is known"));

  const record::Run one = put(finished("one"));
  put_document(one, run_document(metered(one)));
  put_power(one, "cpu", 1, 5);
  EXPECT_THAT(page({one}), HasSubstr("<path class=\"line machine\""));

  const record::Run brief = put(finished("brief"));
  meter::MeteredRun no_time = metered(brief);
  no_time.duration_seconds = 0;
  no_time.cpu_seconds = 0;
  put_document(brief, run_document(no_time));
  EXPECT_THAT(report_of(brief).missing, Contains(HasSubstr("no time")));
  EXPECT_THAT(page({brief}), Not(HasSubstr("inf")));
}

TEST_F(ReportTest, TwoRunsAreComparedAndASeriesHasMeans) {
  std::vector<record::Run> runs;
  for (int i = 0; i < 2; ++i) {
    record::Run run = finished("job");
    run.tags["joulery.series"] = "s";
    runs.push_back(put(run));
    put_document(runs.back(), run_document(metered(runs.back())));
  }
  const Report both = report(runs);
  ASSERT_TRUE(both.comparison);
  ASSERT_FALSE(both.means.empty());
  EXPECT_EQ(both.means[2].key, "energy_joules");
  EXPECT_DOUBLE_EQ(both.means[2].interval.mean, 100);
  EXPECT_EQ(both.means[2].provenance, "modelled");
  const std::string html = report_page(both);
  EXPECT_THAT(html, HasSubstr("<h2>The runs side by side</h2>"));
  // The short answers come first.
  EXPECT_LT(html.find("What did they cost?"), html.find("The runs side by side"));
  EXPECT_THAT(html, HasSubstr("runs used about"));
  EXPECT_THAT(html, HasSubstr("The least sure of them is"));
  EXPECT_THAT(html, HasSubstr("id=\"run2\""));
}

TEST_F(ReportTest, ARunThatIsNotThereIsTheSameErrorAsForShow) {
  put(finished("job"));
  const auto missing = find_reported_runs(*store_, {"jbo"});
  const auto shown = store_->run("jbo");
  ASSERT_FALSE(missing || shown);
  EXPECT_EQ(missing.error().message, shown.error().message);
  EXPECT_EQ(missing.error().hint, shown.error().hint);
}

TEST_F(ReportTest, ASeriesStandsForItsRunsAndNoRunComesTwice) {
  const std::string series = make_run_id(5);
  for (int i = 0; i < 3; ++i) {
    record::Run run = finished("job");
    run.tags["joulery.series"] = series;
    put(run);
  }
  EXPECT_EQ(must(find_reported_runs(*store_, {series})).size(), 3U);
  EXPECT_EQ(must(find_reported_runs(*store_, {"last", "last", series})).size(), 3U);
}

TEST(ReportText, SharesInWholePercentAddUp) {
  const auto percents = [](std::vector<double> shares) {
    std::vector<ReportPart> parts(shares.size());
    for (std::size_t i = 0; i < shares.size(); ++i) parts[i].share = shares[i];
    return whole_percents(parts);
  };
  EXPECT_EQ(percents({0.154, 0.0345, 0.6735, 0.138}), (std::vector<int>{15, 4, 67, 14}));
  EXPECT_EQ(percents({1 / 3.0, 1 / 3.0, 1 / 3.0}), (std::vector<int>{34, 33, 33}));
  EXPECT_EQ(percents({0.5, 0.5}), (std::vector<int>{50, 50}));
  EXPECT_EQ(percents({0, 0}), (std::vector<int>{0, 0}));
  EXPECT_TRUE(percents({}).empty());
}

}  // namespace
}  // namespace joulery::app
