#include "app/codecarbon_import.hpp"

#include <gmock/gmock.h>

#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::must;
using testing::HasSubstr;

constexpr const char* kId = "3f1b5b6e-1111-4222-8333-abcdefabcdef";

CodeCarbonRow row(const std::string& run_id, double seconds) {
  return {.number = 1,
          .values = {{"timestamp", "2026-01-31T12:34:56"},
                     {"project_name", "vision"},
                     {"run_id", run_id},
                     {"duration", std::to_string(seconds)},
                     {"emissions", "0.002"},
                     {"energy_consumed", "0.5"},
                     {"cpu_power", "42.5"},
                     {"country_iso_code", "FRA"}},
          .realigned = false};
}

double metric(const record::Run& run, const std::string& key) {
  for (const auto& each : run.metrics) {
    if (each.key == key) return each.point.value;
  }
  ADD_FAILURE() << key;
  return -1;
}

class CodeCarbonImportTest : public record::StoreTest {};

TEST_F(CodeCarbonImportTest, ARowBecomesARun) {
  const CodeCarbonImport report =
      must(import_codecarbon(*store_, {.rows = {row(kId, 60)}, .problems = {}}, "Old"));
  EXPECT_EQ(report.added, 1U);
  const record::Run run = must(store_->run("3f1b5b6e111142228333abcdefabcdef"));
  EXPECT_EQ(run.name, "vision");
  EXPECT_EQ(run.experiment, "Old");
  EXPECT_DOUBLE_EQ(metric(run, "joulery/energy_joules"), 1.8e6);
  EXPECT_DOUBLE_EQ(metric(run, "joulery/carbon_gco2e"), 2);
  EXPECT_DOUBLE_EQ(metric(run, "codecarbon/cpu_power"), 42.5);
  EXPECT_EQ(run.tags.at("codecarbon.country_iso_code"), "FRA");
  EXPECT_EQ(run.tags.at("joulery.energy_provenance"), "assumed");
  EXPECT_EQ(run.end_utc_ns - run.start_utc_ns, 60'000'000'000);
}

TEST_F(CodeCarbonImportTest, TheSameAgainIsNothingNew) {
  const CodeCarbonFile file{.rows = {row(kId, 60), row("", 5), row("", 6)}, .problems = {}};
  EXPECT_EQ(must(import_codecarbon(*store_, file, "Old")).added, 3U);
  const CodeCarbonImport again = must(import_codecarbon(*store_, file, "Old"));
  EXPECT_EQ(again.added, 0U);
  EXPECT_EQ(again.updated, 0U);
  EXPECT_EQ(again.unchanged, 3U);
  EXPECT_EQ(must(store_->search_runs({})).size(), 3U);
}

TEST_F(CodeCarbonImportTest, OfSeveralRowsOfARunTheLongestCounts) {
  EXPECT_EQ(must(import_codecarbon(
                     *store_, {.rows = {row(kId, 10), row(kId, 30), row(kId, 20)}, .problems = {}}, "Old"))
                .superseded,
            2U);
  const std::string id = "3f1b5b6e111142228333abcdefabcdef";
  EXPECT_DOUBLE_EQ(metric(must(store_->run(id)), "joulery/duration_seconds"), 30);
  // The file grew since.
  EXPECT_EQ(
      must(import_codecarbon(*store_, {.rows = {row(kId, 10), row(kId, 40)}, .problems = {}}, "Old")).updated,
      1U);
  EXPECT_EQ(must(import_codecarbon(*store_, {.rows = {row(kId, 10)}, .problems = {}}, "Old")).unchanged, 1U);
}

TEST_F(CodeCarbonImportTest, TasksAreRunsOfTheirOwn) {
  CodeCarbonRow load = row(kId, 10);
  load.values["task_name"] = "load";
  CodeCarbonRow fit = row(kId, 20);
  fit.values["task_name"] = "fit";
  EXPECT_EQ(must(import_codecarbon(*store_, {.rows = {load, fit}, .problems = {}}, "Old")).added, 2U);
  EXPECT_EQ(must(store_->run("fit")).tags.at("codecarbon.project_name"), "vision");
}

TEST_F(CodeCarbonImportTest, WhatCannotBeIsNamedAndTheRestImported) {
  CodeCarbonRow negative = row("a", 1);
  negative.values["emissions"] = "-1";
  CodeCarbonRow never = row("b", 1);
  never.values["timestamp"] = "2026-13-45T99:99:99";
  CodeCarbonRow endless = row("c", 1);
  endless.values["duration"] = "1e300";
  const CodeCarbonImport report = must(
      import_codecarbon(*store_, {.rows = {negative, never, endless, row(kId, 1)}, .problems = {}}, "Old"));
  EXPECT_EQ(report.added, 1U);
  ASSERT_EQ(report.problems.size(), 3U);
  EXPECT_THAT(report.problems[0].reason, HasSubstr("emissions is '-1'"));
}

}  // namespace
}  // namespace joulery::app
