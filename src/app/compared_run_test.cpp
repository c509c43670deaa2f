#include "app/compared_run.hpp"

#include <gmock/gmock.h>

#include "app/documents.hpp"
#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::must;
using testing::HasSubstr;

meter::MeteredRun metered(const record::Run& run, double joules) {
  meter::MeteredRun result;
  result.run = run;
  result.run.tags["joulery.command"] = "job --now";
  result.host.host.id = "h1";
  result.host.host.name = "one";
  result.duration_seconds = 3;
  result.cpu_seconds = 5;
  result.energy_machine = Quantity<Joules>(2 * joules, Provenance::measured);
  result.energy = Quantity<Joules>(joules, Provenance::modelled, 0.5,
                                   {{.id = "host-power-model:h1",
                                     .low = 0.35,
                                     .high = 2.1,
                                     .provenance = Provenance::modelled,
                                     .basis = "a model"}});
  result.energy += Quantity<Joules>(1, Provenance::derived);
  result.carbon = result.energy * Quantity<GramsCo2ePerJoule>(1e-4, Provenance::assumed, 0,
                                                              {{.id = "grid:world",
                                                                .low = 0.1,
                                                                .high = 1.7,
                                                                .provenance = Provenance::assumed,
                                                                .basis = "a grid"}});
  return result;
}

record::Run plain_run(const std::string& id) {
  record::Run run;
  run.id = id;
  run.name = "job";
  run.host_id = "h1";
  run.status = record::RunStatus::finished;
  return run;
}

TEST(ComparedRun, FiguresComeBackWithWhatTheyRestOn) {
  const record::Run run = plain_run(std::string(32, 'a'));
  const meter::MeteredRun original = metered(run, 100);
  const ComparedRun read = compared_run(run, run_document(original));
  ASSERT_TRUE(read.energy && read.carbon);
  EXPECT_NEAR(read.energy->value(), 101, 1e-9);
  EXPECT_NEAR(read.energy->interval().high, original.energy.interval().high, 1e-9);
  EXPECT_NEAR(read.carbon->interval().low, original.carbon.interval().low, 1e-9);
  EXPECT_EQ(read.energy->provenance(), Provenance::modelled);
  EXPECT_EQ(read.grid, "grid:world");
  EXPECT_EQ(read.command, "job --now");
  EXPECT_EQ(read.host_name, "one");
  EXPECT_EQ(*read.cpu_seconds, 5);
  // The model cancels against another run of this host, all but the part that does not rest on it.
  const record::Run second = plain_run(std::string(32, 'b'));
  const ComparedRun other = compared_run(second, run_document(metered(second, 50)));
  const Interval ratio = read.energy->ratio_to(*other.energy).interval();
  EXPECT_GT(ratio.low, 1.9);
  EXPECT_LT(ratio.high, 2.1);
}

TEST(ComparedRun, WithoutPartsNothingCancels) {
  const record::Run run = plain_run(std::string(32, 'a'));
  std::string document = run_document(metered(run, 100));
  const auto place = document.find("\"uncertainty\"");
  ASSERT_NE(place, std::string::npos);
  document.replace(place, 13, "\"other\"");
  const ComparedRun read = compared_run(run, document);
  ASSERT_TRUE(read.energy);
  EXPECT_NEAR(read.energy->interval().high, metered(run, 100).energy.interval().high, 1);
  EXPECT_EQ(read.energy->parts().front().sources.front().id, "run:" + run.id + ":energy_joules");
}

TEST(ComparedRun, AMachineThatDrewNothingIsUnknown) {
  const record::Run run = plain_run(std::string(32, 'a'));
  meter::MeteredRun original = metered(run, 0);
  original.energy_machine = {};
  const ComparedRun read = compared_run(run, run_document(original));
  EXPECT_FALSE(read.energy);
  EXPECT_FALSE(read.carbon);
  EXPECT_TRUE(read.cpu_seconds);
}

TEST(ComparedRun, BrokenAndMissingDocumentsFallBackToMetrics) {
  record::Run run = plain_run(std::string(32, 'a'));
  run.tags["joulery.energy_provenance"] = "measured";
  run.metrics = {{"joulery/duration_seconds", {.value = 4}},
                 {"joulery/energy_joules", {.value = 10}},
                 {"joulery/energy_joules_low", {.value = 9}},
                 {"joulery/energy_joules_high", {.value = 12}},
                 {"joulery/cpu_seconds", {.value = std::numeric_limits<double>::quiet_NaN()}}};
  for (const char* document : {"", "{", "[]", "{}", R"({"duration_seconds": "x"})",
                               R"({"duration_seconds": 1, "cpu_seconds": 1, "host": {"name": 7}})"}) {
    const ComparedRun read = compared_run(run, document);
    EXPECT_EQ(read.duration_seconds, 4) << document;
    EXPECT_FALSE(read.cpu_seconds);
    ASSERT_TRUE(read.energy);
    EXPECT_EQ(read.energy->provenance(), Provenance::measured);
    EXPECT_NEAR(read.energy->interval().high, 12, 1e-6);
    EXPECT_FALSE(read.carbon);
  }
}

TEST(ComparedRun, AMetricWithoutARangeIsNotTakenForExact) {
  record::Run run = plain_run(std::string(32, 'a'));
  run.metrics = {{"joulery/energy_joules", {.value = 10}},
                 {"joulery/carbon_gco2e", {.value = 10}},
                 {"joulery/carbon_gco2e_low", {.value = 10}},
                 {"joulery/carbon_gco2e_high", {.value = 10}}};
  const ComparedRun read = compared_run(run, "");
  ASSERT_TRUE(read.energy && read.carbon);
  EXPECT_FALSE(read.energy_has_range);
  EXPECT_TRUE(read.carbon_has_range);
  EXPECT_TRUE(compared_run(run, run_document(metered(run, 100))).energy_has_range);
}

class Groups : public record::StoreTest {
 protected:
  std::string add(const std::string& name, std::map<std::string, std::string> tags,
                  record::RunStatus status = record::RunStatus::finished) {
    record::Run run = new_run(name, ++started_);
    run.status = status;
    run.tags = std::move(tags);
    run.metrics = {{"joulery/duration_seconds", {.value = 1}}};
    must(store_->put_run(run));
    return run.id;
  }
  int started_ = 0;
};

TEST_F(Groups, ANameIsAllItsRuns) {
  add("new", {});
  add("new", {}, record::RunStatus::failed);
  add("new", {});
  add("old", {});
  const RunGroup group = must(find_group(*store_, "new", false));
  EXPECT_EQ(group.runs.size(), 2U);
  ASSERT_EQ(group.left_out.size(), 1U);
  EXPECT_EQ(group.left_out[0].reason, "failed");
  EXPECT_EQ(group.label, "new");
}

TEST_F(Groups, ARunBringsItsSeriesUnlessSingle) {
  const std::string series(32, 'c');
  const std::string id = add("job", {{"joulery.series", series}});
  add("job", {{"joulery.series", series}});
  add("other", {{"joulery.series", std::string(32, 'd')}});
  EXPECT_EQ(must(find_group(*store_, id, false)).runs.size(), 2U);
  EXPECT_EQ(must(find_group(*store_, id.substr(0, 20), true)).runs.size(), 1U);
  EXPECT_EQ(must(find_group(*store_, series, false)).runs.size(), 2U);
  EXPECT_EQ(must(find_group(*store_, "last", false)).runs.size(), 1U);
  EXPECT_FALSE(find_group(*store_, "nothing", false));
  EXPECT_FALSE(find_group(*store_, "it's", false));
}

TEST_F(Groups, ByTheValueOfATag) {
  add("a", {{"framework", "x"}});
  add("b", {{"framework", "y"}, {"team", "one"}});
  add("c", {{"framework", "y"}});
  add("d", {});
  const auto groups = must(group_by_tag(*store_, "framework", "", std::nullopt));
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].label, "x");
  EXPECT_EQ(groups[1].runs.size(), 2U);
  EXPECT_EQ(must(group_by_tag(*store_, "framework", "", "y"))[0].label, "y");
  EXPECT_THAT(group_by_tag(*store_, "framework", "tags.team = 'one'", std::nullopt).error().message,
              HasSubstr("nothing to compare"));
  EXPECT_THAT(group_by_tag(*store_, "colour", "", std::nullopt).error().message,
              HasSubstr("no run has a tag"));
  EXPECT_THAT(group_by_tag(*store_, "framework", "", "something else").error().hint, HasSubstr("x, y"));
  EXPECT_FALSE(group_by_tag(*store_, "a`b", "", std::nullopt));
  EXPECT_FALSE(group_by_tag(*store_, "", "", std::nullopt));
}

TEST_F(Groups, BothSidesOfASession) {
  const std::string session(32, 'e');
  for (const char* pair : {"1", "2"}) {
    add("job", {{kVersusTag, session}, {kVersusSideTag, "A"}, {kVersusPairTag, pair}});
    add("job", {{kVersusTag, session}, {kVersusSideTag, "B"}, {kVersusPairTag, pair}});
  }
  for (const std::string& operand : {std::string("last"), session}) {
    const auto groups = must(find_versus_groups(*store_, operand));
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].runs.size(), 2U);
    EXPECT_EQ(groups[0].runs[1].pair, groups[1].runs[1].pair);
  }
  add("alone", {});
  EXPECT_THAT(find_versus_groups(*store_, "last").error().hint, HasSubstr("compare A B"));
}

}  // namespace
}  // namespace joulery::app
