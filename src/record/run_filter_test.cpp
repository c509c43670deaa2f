#include "record/run_filter.hpp"

#include <rapidcheck.h>

#include <cmath>
#include <set>

#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

std::string error_of(std::string_view filter) {
  const auto parsed = parse_run_filter(filter);
  return parsed ? "parsed" : parsed.error().message + " | " + parsed.error().hint;
}

TEST(RunFilter, ReadsEveryKindOfComparison) {
  const auto parsed = parse_run_filter(
      "metrics.energy_joules<1.5e+2 and params.\"my key\" = 'it''s' AND tags.`mlflow.note` LIKE '%x_' and "
      "attributes.status "
      "IN ('FINISHED', \"KILLED\") and start_time >= 1700000000000 and tags.gone IS NULL and param.p is not "
      "null and "
      "datasets.name != 'd' and `Run name` ILIKE 'A%' and metric.system/gpu_0_power-w >= -2");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 10U);
  const auto& all = *parsed;
  EXPECT_EQ(all[0].entity, FilterEntity::metric);
  EXPECT_EQ(all[0].key, "energy_joules");
  EXPECT_EQ(all[0].comparison, FilterOperator::less);
  EXPECT_EQ(std::get<double>(all[0].values.at(0)), 150);
  EXPECT_EQ(all[1].key, "my key");
  EXPECT_EQ(std::get<std::string>(all[1].values.at(0)), "it's");
  EXPECT_EQ(all[2].entity, FilterEntity::tag);
  EXPECT_EQ(all[2].comparison, FilterOperator::like);
  EXPECT_EQ(all[3].attribute, RunAttribute::status);
  EXPECT_EQ(all[3].values.size(), 2U);
  EXPECT_EQ(all[4].attribute, RunAttribute::start_time);
  EXPECT_EQ(all[5].comparison, FilterOperator::is_null);
  EXPECT_EQ(all[6].comparison, FilterOperator::is_not_null);
  EXPECT_EQ(all[7].entity, FilterEntity::dataset);
  EXPECT_EQ(all[8].attribute, RunAttribute::run_name);
  EXPECT_EQ(all[9].key, "system/gpu_0_power-w");
  EXPECT_TRUE(parse_run_filter("   ")->empty());
}

TEST(RunFilter, ErrorsSayWhatAndWhere) {
  EXPECT_EQ(error_of("metrics.a < 'x'").find("filter: a number is expected, not 'x' at column 13"), 0U)
      << error_of("metrics.a < 'x'");
  EXPECT_NE(error_of("params.a = 5").find("put it in quotes: '5'"), std::string::npos);
  EXPECT_NE(error_of("metrics.a < 1 or metrics.b < 2").find("OR is not understood at column 15"),
            std::string::npos);
  EXPECT_NE(error_of("(metrics.a < 1)").find("parentheses"), std::string::npos);
  EXPECT_NE(error_of("statsu = 'x'").find("did you mean 'status'?"), std::string::npos)
      << error_of("statsu = 'x'");
  EXPECT_NE(error_of("metrisc.a < 1").find("did you mean 'metrics.'?"), std::string::npos)
      << error_of("metrisc.a < 1");
  EXPECT_NE(error_of("params.a < 'x'").find("does not work for texts"), std::string::npos);
  EXPECT_NE(error_of("metrics.a like 'x'").find("does not work for numbers"), std::string::npos);
  EXPECT_NE(error_of("tags.a = 'x").find("closing ' is missing"), std::string::npos);
  EXPECT_NE(error_of("tags. = 'x'").find("a name is expected"), std::string::npos);
  EXPECT_NE(error_of("tags.a").find("not the end at column 7"), std::string::npos) << error_of("tags.a");
  EXPECT_NE(error_of("run_name in ('a' 'b')").find("',' or ')'"), std::string::npos);
  EXPECT_NE(error_of("datasets.size = 'a'").find("name, digest and context"), std::string::npos);
  EXPECT_NE(error_of("tags.a = 'x' tags.b = 'y'").find("AND is expected"), std::string::npos);
  EXPECT_NE(error_of("metrics.a < nan").find("a number is expected"), std::string::npos);
  EXPECT_NE(error_of("\x1b[31m = 'x'").find("expected"), std::string::npos);
  EXPECT_EQ(error_of("\x1b[31m = 'x'").find('\x1b'), std::string::npos) << "nothing a terminal obeys";
}

double time_of(const std::string& filter) {
  const auto parsed = parse_run_filter(filter);
  if (!parsed) ADD_FAILURE() << filter << ": " << parsed.error().message;
  return parsed ? std::get<double>(parsed->at(0).values.at(0)) : 0;
}

TEST(RunFilter, TimesAreMillisecondsOrIso) {
  EXPECT_EQ(time_of("start_time > 1795132800000"), 1795132800000);
  EXPECT_EQ(time_of("start_time > '2026-11-20'"), 1795132800000);
  EXPECT_EQ(time_of("attributes.end_time <= \"2026-11-20T10:00:00Z\""), 1795168800000);
  EXPECT_EQ(time_of("created = '2026-11-20 11:00+01:00'"), 1795168800000);
  EXPECT_NE(error_of("start_time > 'yesterday'").find("a time is expected, not 'yesterday' at column 14"),
            std::string::npos);
  EXPECT_NE(error_of("start_time > 'yesterday'").find("'2026-11-20T10:00:00Z'"), std::string::npos);
  EXPECT_NE(error_of("start_time > 2026-11-20").find("put it in quotes: '2026-11-20'"), std::string::npos);
  EXPECT_NE(error_of("start_time = '2026-11-20'").find("ask for a range: start_time >= '2026-11-20'"),
            std::string::npos);
  EXPECT_NE(error_of("start_time >").find("a time is expected, not the end"), std::string::npos);
  EXPECT_NE(error_of("metrics.a > '2026-11-20'").find("a number is expected"), std::string::npos);
}

TEST(RunFilter, AStatusIsReadInAnyCase) {
  const auto parsed = parse_run_filter("status = 'failed' and status in ('Finished', 'KILLED')");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(std::get<std::string>(parsed->at(0).values.at(0)), "FAILED");
  EXPECT_EQ(std::get<std::string>(parsed->at(1).values.at(0)), "FINISHED");
  EXPECT_NE(error_of("status = 'faild'").find("did you mean 'FAILED'?"), std::string::npos);
  EXPECT_NE(error_of("status != 'x'").find("RUNNING, SCHEDULED, FINISHED, FAILED, KILLED"),
            std::string::npos);
  const auto pattern = parse_run_filter("status LIKE 'f%'");
  ASSERT_TRUE(pattern.has_value());
  EXPECT_EQ(std::get<std::string>(pattern->at(0).values.at(0)), "f%") << "a pattern is no status";
}

TEST(RunFilter, SizeIsBounded) {
  EXPECT_FALSE(parse_run_filter(std::string(kMaxFilterBytes + 1, ' ')).has_value());
  std::string many = "tags.a = 'x'";
  for (std::size_t i = 1; i < kMaxFilterComparisons; ++i) many += " and tags.a = 'x'";
  EXPECT_TRUE(parse_run_filter(many).has_value());
  EXPECT_FALSE(parse_run_filter(many + " and tags.a = 'x'").has_value());
  EXPECT_FALSE(parse_run_filter("tags.a like '" + std::string(500, '%') + "'").has_value());
}

TEST(RunFilter, OrderIsRead) {
  const auto order = parse_run_order("metrics.`val loss` desc");
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->entity, FilterEntity::metric);
  EXPECT_EQ(order->key, "val loss");
  EXPECT_FALSE(order->ascending);
  EXPECT_TRUE(parse_run_order("start_time")->ascending);
  const auto wrong = parse_run_order("start_time sideways");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().message.find("order: ASC or DESC"), 0U) << wrong.error().message;
  EXPECT_FALSE(parse_run_order("").has_value());
  EXPECT_FALSE(parse_run_order("datasets.name").has_value());
}

TEST(RunFilterProperty, AnyTextIsParsedOrRefused) {
  const bool held = rc::check("any text is parsed or refused", [] {
    static const std::vector<std::string> pieces{"metrics.", "params.a", "'x'", "\"",   "`",    " ",  "and",
                                                 "<",        "=",        "1",   "e+",   "in",   "(",  ")",
                                                 ",",        "is",       "not", "null", "\xff", ";--"};
    std::string text;
    for (const auto index :
         *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, pieces.size()))) {
      text += pieces[index];
    }
    const auto parsed = parse_run_filter(text);
    const bool said = parsed.has_value() || !parsed.error().message.empty();
    RC_ASSERT(said);
  });
  EXPECT_TRUE(held);
}

class SearchTest : public StoreTest {
 protected:
  std::set<std::string> names(const std::string& filter) {
    std::set<std::string> found;
    const auto runs = store_->search_runs({.filter = filter});
    if (!runs) {
      ADD_FAILURE() << filter << ": " << runs.error().message;
      return found;
    }
    for (const auto& run : *runs) found.insert(run.name);
    return found;
  }
  std::vector<std::string> ordered(std::vector<std::string> by) {
    std::vector<std::string> found;
    const auto runs = must(store_->search_runs({.order_by = std::move(by)}));
    for (const auto& run : runs) found.push_back(run.name);
    return found;
  }
  void add(const std::string& name, std::int64_t start_s, std::optional<double> energy,
           std::map<std::string, std::string> tags, std::map<std::string, std::string> params = {}) {
    record::Run run = new_run(name, start_s);
    run.tags = std::move(tags);
    run.params = std::move(params);
    run.status = start_s % 2 == 0 ? RunStatus::finished : RunStatus::failed;
    if (energy) run.metrics = {{"energy_joules", {*energy, 1, 1}}};
    must(store_->put_run(run));
  }
};

TEST_F(SearchTest, FiltersAsMlflowDoes) {
  add("a", 0, 10, {{"team", "vision"}}, {{"model", "mlp"}});
  add("b", 1, 20, {{"team", "Vision"}}, {{"model", "cnn"}});
  add("c", 2, std::nan(""), {{"team", "50%_[x]*"}});
  add("d", 3, std::nullopt, {});
  using Names = std::set<std::string>;
  EXPECT_EQ(names(""), (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(names("metrics.energy_joules < 15"), Names{"a"});
  EXPECT_EQ(names("metrics.energy_joules != 10"), Names{"b"});
  EXPECT_EQ(names("metrics.energy_joules >= 10 and params.model = 'cnn' and tags.team = 'Vision'"),
            Names{"b"});
  EXPECT_EQ(names("metrics.nosuch > 0"), Names{});
  EXPECT_EQ(names("tags.team = 'vision'"), Names{"a"});
  EXPECT_EQ(names("tags.team != 'vision'"), (Names{"b", "c"})) << "only runs that have the tag";
  EXPECT_EQ(names("tags.team LIKE 'V%'"), Names{"b"}) << "LIKE minds case";
  EXPECT_EQ(names("tags.team ILIKE 'V%'"), (Names{"a", "b"}));
  EXPECT_EQ(names("tags.team LIKE '50%[x]*'"), Names{"c"}) << "only % and _ are wildcards";
  EXPECT_EQ(names("tags.team LIKE '_____n'"), (Names{"a", "b"}));
  EXPECT_EQ(names("tags.team IS NULL"), Names{"d"});
  EXPECT_EQ(names("params.model IS NOT NULL"), (Names{"a", "b"}));
  EXPECT_EQ(names("params.nosuch IS NULL"), (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(names("status = 'FINISHED'"), (Names{"a", "c"}));
  EXPECT_EQ(names("status IN ('FAILED', 'KILLED')"), (Names{"b", "d"}));
  EXPECT_EQ(names("run_name NOT IN ('a', 'b')"), (Names{"c", "d"}));
  EXPECT_EQ(names("start_time = 1700000001000"), Names{"b"});
  EXPECT_EQ(names("start_time > 1700000001000"), (Names{"c", "d"}));
  EXPECT_EQ(names("experiment = 'Default' and `Run name` = 'd'"), Names{"d"});
  EXPECT_EQ(names("tags.team = ''' OR 1=1 --'"), Names{}) << "values are data";
  EXPECT_EQ(names("tags.`x' OR '1'='1` = 'y'"), Names{}) << "keys are data";
}

TEST_F(SearchTest, TimesAndStatesArePeoples) {
  add("a", 0, 10, {});  // 2023-11-14T22:13:20Z
  add("b", 7201, 20, {});
  using Names = std::set<std::string>;
  EXPECT_EQ(names("start_time >= '2023-11-15'"), Names{"b"});
  EXPECT_EQ(names("start_time < '2023-11-15' and start_time > '2023-11-14'"), Names{"a"});
  EXPECT_EQ(names("start_time = '2023-11-14T22:13:20Z'"), Names{"a"});
  EXPECT_EQ(names("status = 'failed'"), Names{"b"});
}

TEST_F(SearchTest, MetricsThatNoRunHasAreToldWithASuggestion) {
  record::Run run = new_run("a");
  run.metrics = {{"joulery/energy_joules", {1, 1, 1}}, {"loss", {2, 1, 1}}};
  run.tags = {{"losss", "a key, but of a tag"}};
  must(store_->put_run(run));
  const auto unknown = [&](const std::string& filter, std::vector<std::string> order = {}) {
    std::string told;
    const RunQuery query{.filter = filter, .order_by = std::move(order), .metric_prefix = "joulery/"};
    for (const auto& metric : must(store_->unknown_metrics(query)))
      told += metric.key + "→" + metric.suggestion + ";";
    return told;
  };
  EXPECT_EQ(unknown("metrics.loss < 1 and metrics.energy_joules > 0 and tags.nosuch = 'x'"), "");
  EXPECT_EQ(unknown("metrics.losss < 1"), "losss→loss;");
  EXPECT_EQ(unknown("metrics.accuracy < 1"), "accuracy→;");
  EXPECT_EQ(unknown("", {"metrics.enrgy_joules DESC", "start_time"}), "enrgy_joules→energy_joules;");
  EXPECT_EQ(names("metrics.losss < 1"), std::set<std::string>{}) << "not an error";
}

TEST_F(SearchTest, DatasetsAreSearched) {
  const std::string id = add_run("a");
  add_run("b", 1);
  must(store_->put_dataset_input(id, {"digits", "0f", "", "", "", "", {{"mlflow.data.context", "train"}}}));
  EXPECT_EQ(names("datasets.name = 'digits'"), std::set<std::string>{"a"});
  EXPECT_EQ(names("dataset.digest IN ('0f', '1f')"), std::set<std::string>{"a"});
  EXPECT_EQ(names("datasets.context = 'train'"), std::set<std::string>{"a"});
  EXPECT_EQ(names("datasets.context = 'test'"), std::set<std::string>{});
}

TEST_F(SearchTest, OrderPutsMissingLast) {
  add("a", 0, 10, {{"t", "2"}});
  add("b", 1, 20, {{"t", "1"}});
  add("nan", 2, std::nan(""), {});
  add("none", 3, std::nullopt, {});
  using Order = std::vector<std::string>;
  EXPECT_EQ(ordered({}), (Order{"none", "nan", "b", "a"}));
  EXPECT_EQ(ordered({"metrics.energy_joules ASC"}), (Order{"a", "b", "nan", "none"}));
  EXPECT_EQ(ordered({"metrics.energy_joules DESC"}), (Order{"b", "a", "nan", "none"}));
  EXPECT_EQ(ordered({"tags.t", "start_time ASC"}), (Order{"b", "a", "nan", "none"}));
  EXPECT_EQ(ordered({"run_name DESC"}), (Order{"none", "nan", "b", "a"}));
  EXPECT_EQ(ordered({"status", "start_time"}), (Order{"b", "none", "a", "nan"}));
  EXPECT_EQ(ordered({"metrics.nosuch"}), ordered({}));
}

TEST_F(SearchTest, PagesAndExperiments) {
  for (int i = 0; i < 7; ++i) add_run("r" + std::to_string(i), i);
  record::Run other = new_run("other", 100);
  other.experiment = "vision";
  must(store_->put_run(other));
  std::vector<std::string> seen;
  for (std::size_t offset = 0; offset < 12; offset += 3) {
    for (const auto& run :
         must(store_->search_runs({.experiments = {"Default"}, .max_results = 3, .offset = offset}))) {
      seen.push_back(run.name);
    }
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"r6", "r5", "r4", "r3", "r2", "r1", "r0"}));
  EXPECT_EQ(must(store_->search_runs({.experiments = {"vision", "Default"}})).size(), 8U);
  const auto typo = store_->search_runs({.experiments = {"visoin"}});
  ASSERT_FALSE(typo.has_value());
  EXPECT_NE(typo.error().hint.find("'vision'"), std::string::npos);
  EXPECT_FALSE(store_->search_runs({.order_by = std::vector<std::string>(20, "start_time")}).has_value());
  std::string many = "tags.a IS NOT NULL";
  for (std::size_t i = 1; i < kMaxFilterComparisons; ++i) many += " and tags.a IS NOT NULL";
  add("tagged", 50, 1, {{"a", "x"}});
  EXPECT_EQ(must(store_->search_runs(
                     {.filter = many, .order_by = std::vector<std::string>(kMaxRunOrders, "tags.a")}))
                .size(),
            1U)
      << "the largest query is within the database's limits";
}

}  // namespace
}  // namespace joulery::record
