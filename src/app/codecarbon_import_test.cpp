#include "app/codecarbon_import.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <time.h>

#include <cstdlib>

#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::must;
using testing::AllOf;
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
  const auto evidence = must(store_->evidence("run:" + run.id));
  ASSERT_EQ(evidence.size(), 1U);
  EXPECT_EQ(evidence[0].type, "codecarbon/row");
  EXPECT_EQ(evidence[0].json, R"({"cpu_power":42.5})");
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
  load.values.set("task_name", "load");
  CodeCarbonRow fit = row(kId, 20);
  fit.values.set("task_name", "fit");
  EXPECT_EQ(must(import_codecarbon(*store_, {.rows = {load, fit}, .problems = {}}, "Old")).added, 2U);
  EXPECT_EQ(must(store_->run("fit")).tags.at("codecarbon.project_name"), "vision");
}

TEST_F(CodeCarbonImportTest, EnergyIsTakenWithoutThePue) {
  CodeCarbonRow hall = row(kId, 60);
  hall.values.set("pue", "1.25");
  const record::Run run = must(run_of_codecarbon_row(hall, "Old"));
  EXPECT_DOUBLE_EQ(metric(run, "joulery/energy_joules"), 1.8e6 / 1.25);
  EXPECT_DOUBLE_EQ(metric(run, "joulery/carbon_gco2e"), 2);
}

TEST_F(CodeCarbonImportTest, APowerThatNoRunCanHaveIsRefused) {
  CodeCarbonRow wild = row(kId, 1);
  wild.values.set("energy_consumed", "1e14");
  EXPECT_THAT(
      run_of_codecarbon_row(wild, "Old").error().message,
      AllOf(HasSubstr("energy_consumed"), HasSubstr("1e+14 kWh"), HasSubstr("1 s"), HasSubstr("1 GW")));
  const CodeCarbonImport report = must(import_codecarbon(*store_, {.rows = {wild}, .problems = {}}, "Old"));
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].row, 1U);
  wild.values.set("energy_consumed", "0.5");
  wild.values.set("emissions", "1e9");
  EXPECT_THAT(run_of_codecarbon_row(wild, "Old").error().message, HasSubstr("emissions"));
  // 0.9 GW, and a time that is too short for its last digit.
  CodeCarbonRow large = row(kId, 3600);
  large.values.set("energy_consumed", "9e5");
  EXPECT_TRUE(run_of_codecarbon_row(large, "Old"));
  CodeCarbonRow brief = row(kId, 0);
  brief.values.set("energy_consumed", "1e-7");
  EXPECT_TRUE(run_of_codecarbon_row(brief, "Old"));
}

TEST_F(CodeCarbonImportTest, ARunThatWasMeteredHereStaysAsItIs) {
  record::Run own = new_run("mine");
  own.id = "3f1b5b6e111142228333abcdefabcdef";
  own.metrics = {{.key = "joulery/duration_seconds", .point = {.value = 1}}};
  must(store_->put_run(own));
  EXPECT_EQ(must(import_codecarbon(*store_, {.rows = {row(kId, 60)}, .problems = {}}, "Old")).unchanged, 1U);
  const record::Run after = must(store_->run(own.id));
  EXPECT_EQ(after.name, "mine");
  EXPECT_EQ(after.experiment, "Default");
  EXPECT_DOUBLE_EQ(metric(after, "joulery/duration_seconds"), 1);
}

TEST_F(CodeCarbonImportTest, ADeletedRunStaysDeletedEvenIfItWentOn) {
  must(import_codecarbon(*store_, {.rows = {row(kId, 10)}, .problems = {}}, "Old"));
  must(store_->delete_run("3f1b5b6e111142228333abcdefabcdef"));
  const auto again = must(import_codecarbon(*store_, {.rows = {row(kId, 60)}, .problems = {}}, "Old"));
  EXPECT_EQ(again.unchanged, 1U);
  EXPECT_TRUE(must(store_->run("3f1b5b6e111142228333abcdefabcdef")).deleted);
}

TEST_F(CodeCarbonImportTest, OurOwnRowsMayKnowNoEnergy) {
  CodeCarbonRow own = row(kId, 60);
  own.values.set("codecarbon_version", "joulery-0.1.0");
  own.values.set("project_name", "'=1+1");
  own.values.set("energy_consumed", "");
  own.values.set("emissions", "");
  const record::Run run = must(run_of_codecarbon_row(own, "Old"));
  EXPECT_EQ(run.metrics.size(), 1U);
  EXPECT_EQ(run.tags.at("joulery.energy_provenance"), "unknown");
  EXPECT_EQ(run.name, "=1+1");
  own.values.set("codecarbon_version", "3.3.2");
  EXPECT_FALSE(run_of_codecarbon_row(own, "Old"));
}

TEST_F(CodeCarbonImportTest, RowsAreKeptAsJsonWhateverTheyHold) {
  CodeCarbonRow odd = row(kId, 1);
  odd.values.set("cpu_power", "01");
  odd.values.set("region", "a\"b\\c\n\xff");
  odd.values.set("x", "-1.5e-05");
  odd.values.set("y", "1.");
  must(import_codecarbon(*store_, {.rows = {odd}, .problems = {}}, "Old"));
  const auto evidence = must(store_->evidence("run:3f1b5b6e111142228333abcdefabcdef"));
  EXPECT_EQ(evidence[0].json,
            "{\"cpu_power\":\"01\",\"region\":\"a\\\"b\\\\c\\n\xef\xbf\xbd\",\"x\":-1.5e-05,\"y\":\"1.\"}");
}

/// More than one batch, and a store that has some of them.
TEST_F(CodeCarbonImportTest, ManyRowsAreAllThere) {
  CodeCarbonFile file;
  for (int i = 0; i < 2500; ++i)
    file.rows.push_back(row(fmt::format("3f1b5b6e-1111-4222-8333-{:012x}", i), i));
  CodeCarbonFile some;
  some.rows.assign(file.rows.begin() + 900, file.rows.begin() + 1100);
  EXPECT_EQ(must(import_codecarbon(*store_, some, "Old")).added, 200U);
  const CodeCarbonImport report = must(import_codecarbon(*store_, file, "Old"));
  EXPECT_EQ(report.added, 2300U);
  EXPECT_EQ(report.unchanged, 200U);
  for (const int i : {0, 899, 900, 1100, 2499}) {
    const record::Run run = must(store_->run(fmt::format("3f1b5b6e111142228333{:012x}", i)));
    EXPECT_DOUBLE_EQ(metric(run, "joulery/duration_seconds"), i);
    EXPECT_EQ(must(store_->metric_history(run.id, "joulery/energy_joules", 0, 10)).size(), 1U);
  }
}

TEST_F(CodeCarbonImportTest, WhatCannotBeIsNamedAndTheRestImported) {
  CodeCarbonRow negative = row("a", 1);
  negative.values.set("emissions", "-1");
  CodeCarbonRow never = row("b", 1);
  never.values.set("timestamp", "2026-13-45T99:99:99");
  CodeCarbonRow endless = row("c", 1);
  endless.values.set("duration", "1e300");
  const CodeCarbonImport report = must(
      import_codecarbon(*store_, {.rows = {negative, never, endless, row(kId, 1)}, .problems = {}}, "Old"));
  EXPECT_EQ(report.added, 1U);
  ASSERT_EQ(report.problems.size(), 3U);
  EXPECT_THAT(report.problems[0].reason, HasSubstr("emissions is '-1'"));
}

TEST_F(CodeCarbonImportTest, FiguresThatNoRunCanHaveAreRefused) {
  for (const char* column : {"energy_consumed", "emissions", "duration"}) {
    CodeCarbonRow huge = row(kId, 1);
    huge.values.set(column, "1e308");
    const auto run = run_of_codecarbon_row(huge, "Old");
    ASSERT_FALSE(run) << column;
    EXPECT_THAT(run.error().message, HasSubstr(std::string(column) + " is '1e308', more than any run"));
  }
}

std::optional<std::int64_t> end_of(const std::string& timestamp) {
  CodeCarbonRow one = row(kId, 1);
  one.values.set("timestamp", timestamp);
  const auto run = run_of_codecarbon_row(one, "Old");
  return run ? std::optional(run->end_utc_ns / 1'000'000'000) : std::nullopt;
}

TEST_F(CodeCarbonImportTest, TimesWithoutAnOffsetAreOfThisMachinesPlace) {
  const char* before = std::getenv("TZ");
  const std::string zone = before != nullptr ? before : "";
  // A rule, not a name: the machine may have no table of zones. Clocks change at the end of March and
  // October.
  ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
  ::tzset();
  const auto utc = [](const char* text) { return end_of(std::string(text) + "+00:00"); };
  EXPECT_EQ(end_of("2026-01-31T12:00:00"), utc("2026-01-31T11:00:00"));
  EXPECT_EQ(end_of("2026-07-31T12:00:00"), utc("2026-07-31T10:00:00"));
  EXPECT_EQ(end_of("2026-03-29T01:59:59"), utc("2026-03-29T00:59:59"));
  EXPECT_EQ(end_of("2026-03-29T03:00:00"), utc("2026-03-29T01:00:00"));
  EXPECT_EQ(end_of("2026-10-25T01:59:59"), utc("2026-10-24T23:59:59"));
  EXPECT_EQ(end_of("2026-10-25T03:00:00"), utc("2026-10-25T02:00:00"));
  // What the clock shows never or twice has a time all the same.
  EXPECT_TRUE(end_of("2026-03-29T02:30:00").has_value());
  EXPECT_TRUE(end_of("2026-10-25T02:30:00").has_value());
  before != nullptr ? ::setenv("TZ", zone.c_str(), 1) : ::unsetenv("TZ");
  ::tzset();
}

TEST_F(CodeCarbonImportTest, DaysThatNoMonthHasAndWhatFollowsATimeAreRefused) {
  for (const std::string& wrong :
       {std::string("2026-02-31T00:00:00"), std::string("2026-02-29T00:00:00"),
        std::string("2026-04-31T00:00:00"), std::string("2026-02-01T00:00:00\0", 20),
        std::string("2026-02-01T00:00:00 and more"), std::string("2026-02-01T00:00:00."),
        std::string("2026-02-01T00:00:00+25:00"), std::string("2026-02-01T00:00:00+5"),
        std::string("2026-02-01T00:00:00+05:0"), std::string("2026-02-01T-1:00:00"),
        std::string("2026-02-01")}) {
    EXPECT_FALSE(end_of(wrong)) << wrong;
  }
  EXPECT_TRUE(end_of("2024-02-29T00:00:00"));
  EXPECT_TRUE(end_of("2026-02-01 00:00:00.123456"));
}

TEST_F(CodeCarbonImportTest, AnOffsetIsRead) {
  // date -u -d 2026-01-31T12:34:56Z +%s
  constexpr std::int64_t kNoon = 1769862896;
  EXPECT_EQ(end_of("2026-01-31T12:34:56Z"), kNoon);
  EXPECT_EQ(end_of("2026-01-31T12:34:56+05:00"), kNoon - 5 * 3600);
  EXPECT_EQ(end_of("2026-01-31T12:34:56.75-0330"), kNoon + 3 * 3600 + 1800);
  EXPECT_EQ(end_of("2026-01-31T12:34:56+01"), kNoon - 3600);
  // As people and databases write it.
  EXPECT_EQ(end_of("2026-01-31 12:34:56 +01:00"), kNoon - 3600);
  EXPECT_EQ(end_of("2026-01-31 12:34:56.5 -0800"), kNoon + 8 * 3600);
  EXPECT_EQ(end_of("2026-01-31 12:34:56 UTC"), kNoon);
  EXPECT_EQ(end_of("2026-01-31 12:34:56 Z"), kNoon);
  EXPECT_EQ(end_of("2026-01-31T12:34:56UTC"), kNoon);
  EXPECT_FALSE(end_of("2026-01-31 12:34:56 CET"));
  EXPECT_FALSE(end_of("2026-01-31 12:34:56 UTC+1"));
}

}  // namespace
}  // namespace joulery::app
