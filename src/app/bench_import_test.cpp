#include "app/bench_import.hpp"

#include <gmock/gmock.h>

#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::must;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// As optimum-benchmark 0.6 writes it, shortened.
constexpr const char* kOptimum = R"({
  "load_model": {"memory": null, "latency": {"unit": "s", "values": [1.5], "count": 1, "total": 1.5,
    "mean": 1.5, "p50": 1.5, "p90": 1.5, "p95": 1.5, "p99": 1.5, "stdev": 0, "stdev_": 0},
    "throughput": null, "energy": null, "efficiency": null},
  "forward": {
    "memory": {"unit": "MB", "max_ram": 820.5, "max_global_vram": null, "max_process_vram": null,
      "max_reserved": null, "max_allocated": null},
    "latency": {"unit": "s", "values": [0.01, 0.03], "count": 2, "total": 0.04, "mean": 0.02, "p50": 0.02,
      "p90": 0.028, "p95": 0.029, "p99": 0.0298, "stdev": 0.01, "stdev_": 50},
    "throughput": {"unit": "samples/s", "value": 100},
    "energy": {"unit": "kWh", "cpu": 2e-7, "ram": 1e-7, "gpu": 0.0, "total": 3e-7},
    "efficiency": {"unit": "samples/kWh", "value": 6666666.6666}}})";

constexpr const char* kSummary =
    R"({"units": "Wh", "total": 25.4, "format": "optimum", "prefill_wh": 5.4, "decode_wh": 20.0})";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  const auto report = parse_bench_report(text);
  if (report) return "";
  EXPECT_FALSE(report.error().hint.empty()) << report.error().message;
  EXPECT_EQ(report.error().kind, Error::Kind::user);
  return report.error().message;
}

TEST(BenchReport, OptimumBenchmarkInOurUnits) {
  const BenchReport report = must(parse_bench_report(kOptimum));
  EXPECT_EQ(report.source, "optimum-benchmark");
  EXPECT_DOUBLE_EQ(report.figures.at("latency_mean_seconds"), 0.02);
  EXPECT_DOUBLE_EQ(report.figures.at("latency_p99_seconds"), 0.0298);
  EXPECT_DOUBLE_EQ(report.figures.at("load_model_latency_mean_seconds"), 1.5);
  EXPECT_DOUBLE_EQ(report.figures.at("peak_memory_bytes"), 820.5e6);
  EXPECT_DOUBLE_EQ(report.figures.at("samples_per_second"), 100);
  // 3e-7 kWh a call of two samples.
  EXPECT_DOUBLE_EQ(report.figures.at("energy_per_call_joules"), 1.08);
  EXPECT_NEAR(report.figures.at("energy_per_inference_joules"), 0.54, 1e-6);
  EXPECT_DOUBLE_EQ(report.figures.at("energy_ram_per_call_joules"), 0.36);
  EXPECT_DOUBLE_EQ(report.measured_seconds, 0.04);
  EXPECT_TRUE(report.has_energy);
  EXPECT_THAT(report.remarks, IsEmpty());
}

TEST(BenchReport, OptimumBenchmarkWithItsSettings) {
  const std::string text =
      std::string(R"({"config": {"name": "resnet", "backend": {"name": "openvino", "device": "cpu"},
                      "scenario": {"name": "inference"}}, "report": )") +
      kOptimum + "}";
  const BenchReport report = must(parse_bench_report(text));
  EXPECT_EQ(report.name, "resnet");
  EXPECT_EQ(report.params.at("backend.name"), "openvino");
  EXPECT_DOUBLE_EQ(report.figures.at("latency_p50_seconds"), 0.02);
}

TEST(BenchReport, TextIsByTokens) {
  const BenchReport report = must(parse_bench_report(
      R"({"prefill": {"latency": {"unit": "s", "mean": 0.1}}, "generate": {"latency": {"unit": "s", "mean": 2}},
          "decode": {"throughput": {"unit": "tokens/s", "value": 50},
                     "energy": {"unit": "kWh", "cpu": -1e-9, "ram": 1e-9, "gpu": 2e-6, "total": 2e-6},
                     "efficiency": {"unit": "tokens/kWh", "value": 5e7}}})"));
  EXPECT_DOUBLE_EQ(report.figures.at("latency_mean_seconds"), 2);
  EXPECT_DOUBLE_EQ(report.figures.at("prefill_latency_mean_seconds"), 0.1);
  EXPECT_DOUBLE_EQ(report.figures.at("decode_tokens_per_second"), 50);
  EXPECT_DOUBLE_EQ(report.figures.at("decode_energy_per_token_joules"), 0.072);
  // What a difference of two measurements may come to.
  EXPECT_FALSE(report.figures.contains("decode_energy_cpu_per_call_joules"));
  EXPECT_THAT(report.remarks, Contains(HasSubstr("less than nothing")));
}

TEST(BenchReport, UnitsAreNotGuessed) {
  EXPECT_THAT(error_of(with(kOptimum, "\"kWh\"", "\"Wh\"")), HasSubstr("unit is 'Wh', which is not known"));
  EXPECT_THAT(error_of(with(kOptimum, "\"unit\": \"kWh\", ", "")), HasSubstr("names no unit"));
  EXPECT_THAT(error_of(with(kOptimum, "\"unit\": \"s\"", "\"unit\": \"ms\"")), HasSubstr("'ms'"));
  EXPECT_THAT(error_of(with(kOptimum, "\"MB\"", "\"MiB\"")), HasSubstr("'MiB'"));
  EXPECT_THAT(error_of(with(kOptimum, "samples/kWh", "samples/Wh")), HasSubstr("samples/Wh"));
  EXPECT_THAT(error_of(with(kSummary, "\"Wh\"", "\"BTU\"")), HasSubstr("unit is 'BTU'"));
  // mWh or MWh: a factor of a billion.
  EXPECT_THAT(error_of(with(kSummary, "\"Wh\"", "\"MWh\"")), HasSubstr("unit is 'MWh'"));
  EXPECT_THAT(error_of(with(kSummary, "\"units\": \"Wh\", ", "")), HasSubstr("names no unit"));
  EXPECT_THAT(error_of(with(kSummary, "\"Wh\"", "7")), HasSubstr("unit is '7'"));
}

TEST(BenchReport, AiEnergyScoreInJoules) {
  const BenchReport report = must(parse_bench_report(kSummary));
  EXPECT_EQ(report.source, "aienergyscore");
  EXPECT_DOUBLE_EQ(report.figures.at("energy_gpu_joules"), 25.4 * 3600);
  EXPECT_DOUBLE_EQ(report.figures.at("decode_energy_gpu_joules"), 72000);
  // The file does not say of how many queries.
  EXPECT_FALSE(report.figures.contains("energy_gpu_per_inference_joules"));
  const BenchReport kilo = must(parse_bench_report(R"({"units": "kWh", "total": 0.5})"));
  EXPECT_DOUBLE_EQ(kilo.figures.at("energy_gpu_joules"), 1.8e6);
}

TEST(BenchReport, AiEnergyScoresOwnRunnerSaysOfHowMany) {
  const BenchReport report = must(parse_bench_report(
      R"({"config": {"model": "org/model"}, "energy": {"gpu_energy_wh": 10, "emissions_g_co2eq": 4},
          "summary": {"successful_prompts": 500, "total_duration_seconds": 60, "avg_latency_seconds": 0.1}})"));
  EXPECT_EQ(report.name, "org/model");
  EXPECT_DOUBLE_EQ(report.figures.at("energy_gpu_per_inference_joules"), 72);
  EXPECT_DOUBLE_EQ(report.figures.at("carbon_gco2e"), 4);
  EXPECT_DOUBLE_EQ(report.measured_seconds, 60);
}

TEST(BenchReport, SumsThatDoNotAddUpAreTold) {
  EXPECT_THAT(must(parse_bench_report(with(kOptimum, "\"total\": 3e-7", "\"total\": 9e-7"))).remarks,
              Contains(HasSubstr("add up to")));
  EXPECT_THAT(must(parse_bench_report(with(kSummary, "25.4", "99"))).remarks,
              Contains(HasSubstr("add up to")));
}

TEST(BenchReport, WhatCanNotBeIsRefused) {
  EXPECT_THAT(error_of(""), HasSubstr("no valid JSON"));
  EXPECT_THAT(error_of(std::string(kOptimum).substr(0, 300)), HasSubstr("no valid JSON"));
  EXPECT_THAT(error_of(R"({"units": "Wh", "total": NaN})"), HasSubstr("no valid JSON"));
  EXPECT_THAT(error_of("{}"), HasSubstr("no report that is known"));
  EXPECT_THAT(error_of("[1, 2]"), HasSubstr("no report that is known"));
  EXPECT_THAT(error_of(R"({"forward": {"latency": null}})"), HasSubstr("no figure"));
}

TEST(BenchReport, NumbersThatCanNotBeAreRefused) {
  for (const char* number : {"1e300", "\"0.3\"", "[1]", "true"}) {
    const auto report =
        parse_bench_report(with(kOptimum, "\"total\": 3e-7", std::string("\"total\": ") + number));
    ASSERT_FALSE(report) << number;
    EXPECT_THAT(report.error().message, HasSubstr("forward.energy.total")) << number;
  }
}

TEST(BenchReport, DeepNestingIsNoDanger) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_THAT(must(parse_bench_report(with(kSummary, "\"optimum\"", deep))).figures, Not(IsEmpty()));
}

class BenchImportTest : public record::StoreTest {};

TEST_F(BenchImportTest, AFileBecomesOneRun) {
  constexpr std::int64_t kWritten = 1'700'000'000'000'000'000;
  const BenchReport report = must(parse_bench_report(kOptimum));
  const BenchImport first =
      must(import_bench_report(*store_, kOptimum, report, "resnet50", "Benchmarks", kWritten));
  EXPECT_TRUE(first.added);
  const record::Run run = must(store_->run(first.run_id));
  EXPECT_EQ(run.name, "resnet50");
  EXPECT_EQ(run.experiment, "Benchmarks");
  EXPECT_EQ(run.end_utc_ns, kWritten);
  EXPECT_EQ(run.end_utc_ns - run.start_utc_ns, 40'000'000);
  EXPECT_EQ(run.tags.at("joulery.source"), "optimum-benchmark");
  EXPECT_EQ(run.tags.at("joulery.energy_provenance"), "assumed");
  EXPECT_FALSE(must(import_bench_report(*store_, kOptimum, report, "x", "Benchmarks", kWritten + 1)).added);
  EXPECT_EQ(must(store_->evidence("run:" + run.id)).size(), 1U);
}

}  // namespace
}  // namespace joulery::app
