#include "record/store.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cmath>
#include <functional>
#include <limits>

#include "record/sqlite/database.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

TEST_F(StoreTest, RunRoundTrips) {
  must(store_->put_host({"host-1", "box", "CPU", 8, 16e9, "Debian", true}));
  must(store_->put_boot({"boot-1", "host-1", 42}));
  record::Run run;
  run.id = "0123456789abcdef0123456789abcdef";
  run.name = "first";
  run.experiment = "digits";
  run.user = "me";
  run.status = RunStatus::finished;
  run.start_utc_ns = 1'700'000'000'000'000'001;
  run.end_utc_ns = 1'700'000'001'000'000'002;
  run.start_boottime_ns = 5;
  run.end_boottime_ns = 6;
  run.host_id = "host-1";
  run.boot_id = "boot-1";
  run.params = {{"lr", "0.1"}, {"quote'\"", "'; DROP TABLE runs; --"}};
  run.tags = {{"team", "vision"}, {"empty", ""}};
  run.metrics = {{"energy_joules", {12.5, 1000, 3}}, {"nan", {std::nan(""), 1, 0}}};
  must(store_->put_run(run));
  reopen();
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.name, "first");
  EXPECT_EQ(read.experiment, "digits");
  EXPECT_EQ(read.user, "me");
  EXPECT_EQ(read.status, RunStatus::finished);
  EXPECT_EQ(read.start_utc_ns, run.start_utc_ns);
  EXPECT_EQ(read.end_utc_ns, run.end_utc_ns);
  EXPECT_EQ(read.start_boottime_ns, 5);
  EXPECT_EQ(read.end_boottime_ns, 6);
  EXPECT_EQ(read.host_id, "host-1");
  EXPECT_EQ(read.boot_id, "boot-1");
  EXPECT_EQ(read.params, run.params);
  EXPECT_EQ(read.tags, run.tags);
  ASSERT_EQ(read.metrics.size(), 2U);
  EXPECT_EQ(read.metrics[0].key, "energy_joules");
  EXPECT_EQ(read.metrics[0].point.value, 12.5);
  EXPECT_EQ(read.metrics[0].point.timestamp_ms, 1000);
  EXPECT_EQ(read.metrics[0].point.step, 3);
  EXPECT_TRUE(std::isnan(read.metrics[1].point.value));
}

TEST_F(StoreTest, PutAgainMergesTagsAndKeepsParams) {
  record::Run run = new_run("a");
  run.params = {{"lr", "0.1"}};
  run.tags = {{"team", "one"}, {"keep", "yes"}};
  must(store_->put_run(run));
  run.params = {{"lr", "0.1"}, {"batch", "8"}};
  run.tags = {{"team", "two"}};
  run.status = RunStatus::failed;
  must(store_->put_run(run));
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.params, (std::map<std::string, std::string>{{"batch", "8"}, {"lr", "0.1"}}));
  EXPECT_EQ(read.tags, (std::map<std::string, std::string>{{"keep", "yes"}, {"team", "two"}}));
  EXPECT_EQ(read.status, RunStatus::failed);

  run.params = {{"lr", "0.2"}};
  run.name = "renamed";
  const auto refused = store_->put_run(run);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, Error::Kind::user);
  EXPECT_NE(refused.error().message.find("'lr'"), std::string::npos);
  EXPECT_EQ(must(store_->run(run.id)).name, "a") << "all of a call or nothing";
}

TEST_F(StoreTest, BadRunIdsAreRefused) {
  for (const std::string& id :
       {std::string(), std::string("a/b"), std::string(300, 'a'), std::string("a\0b", 3)}) {
    record::Run run = new_run("x");
    run.id = id;
    const auto refused = store_->put_run(run);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, Error::Kind::user);
  }
}

TEST_F(StoreTest, RunsAreFoundByPrefixNameAndLast) {
  record::Run run = new_run("training", 1);
  run.id = "aaaa1111000000000000000000000000";
  must(store_->put_run(run));
  run.id = "aaaa2222000000000000000000000000";
  run.name = "other";
  run.start_utc_ns += 1;
  must(store_->put_run(run));
  EXPECT_EQ(must(store_->run("aaaa1")).name, "training");
  EXPECT_EQ(must(store_->run("training")).name, "training");
  EXPECT_EQ(must(store_->run("last")).name, "other");
  for (const char* id : {"aaaa", "aaa", "bbbb", ""}) EXPECT_FALSE(store_->run(id).has_value()) << id;
  EXPECT_NE(store_->run("aaaa").error().message.find("more than one"), std::string::npos);
  const auto typo = store_->run("trainign");
  ASSERT_FALSE(typo.has_value());
  EXPECT_NE(typo.error().hint.find("'training'"), std::string::npos);

  run.id = "bbbb0000000000000000000000000000";
  run.name = "training";
  must(store_->put_run(run));
  EXPECT_NE(store_->run("training").error().message.find("more than one run is named"), std::string::npos);
}

TEST_F(StoreTest, NoRunYet) {
  const auto last = store_->run("last");
  ASSERT_FALSE(last.has_value());
  EXPECT_NE(last.error().hint.find("joulery run"), std::string::npos);
}

TEST_F(StoreTest, DeletedRunsTakeNothingUntilRestored) {
  const std::string id = add_run("a");
  must(store_->delete_run(id));
  EXPECT_TRUE(must(store_->search_runs({})).empty());
  EXPECT_EQ(must(store_->search_runs({.view = RunQuery::View::deleted})).size(), 1U);
  const MetricPoint point{1, 1, 1};
  const MetricBatch batch{id, "", 0, {{"loss", {&point, 1}}}};
  EXPECT_FALSE(store_->log_metrics({&batch, 1}).has_value());
  must(store_->restore_run(id));
  must(store_->log_metrics({&batch, 1}));
  EXPECT_EQ(must(store_->search_runs({})).size(), 1U);
}

TEST_F(StoreTest, GcRemovesWhatIsDeletedAndOnlyThat) {
  must(store_->put_host({"h", "box", "CPU", 1, 1, "os", false}));
  must(store_->put_device({"cpu", "h", "CPU", "package", "model", "", "modelled", 0.5, 2, "guess"}));
  must(store_->put_device({"gpu", "h", "GPU", "gpu", "model", "", "modelled", 0.5, 2, "guess"}));
  const auto fill = [&](const std::string& name, const std::string& device) {
    record::Run run = new_run(name);
    run.host_id = "h";
    run.params = {{"only-" + name, std::string(5000, 'x')}};
    must(store_->put_run(run));
    std::vector<MetricPoint> points;
    for (int i = 0; i < 5000; ++i) points.push_back({std::sqrt(i), i, i});
    const MetricBatch batch{run.id, "w", 1, {{"loss-" + name, points}}};
    must(store_->log_metrics({&batch, 1}));
    PowerBlockEncoder encoder;
    encoder.begin(0);
    encoder.add({1'000'000, 3, 0});
    must(store_->put_power_block(run.id, device, 1, encoder.encode()));
    must(store_->put_dataset_input(run.id, {"data-" + name, "d", "", "", "", "", {}}));
    must(store_->put_evidence({"run:" + run.id, "t", 1, "{}", sha256_hex("{}"), 1}));
    must(store_->put_artifact({run.id, "a.txt", 3, ""}));
    return run.id;
  };
  const std::string kept = fill("kept", "cpu");
  const std::string gone = fill("gone", "gpu");
  must(store_->delete_run(gone));
  EXPECT_EQ(must(store_->gc(clock_.realtime_ns())).runs, 0U) << "deleted just now, not before now";
  clock_.advance_seconds(10);
  const GcResult result = must(store_->gc(clock_.realtime_ns()));
  EXPECT_EQ(result.runs, 1U);
  EXPECT_GT(result.bytes_freed, 20'000U);
  EXPECT_FALSE(store_->run(gone).has_value());
  EXPECT_TRUE(must(store_->evidence("run:" + gone)).empty());
  const auto devices = must(store_->devices("h"));
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].id, "cpu");
  EXPECT_EQ(must(store_->metric_history(kept, "loss-kept", 0, 10'000)).size(), 5000U);
  EXPECT_EQ(must(store_->power_series(kept)).size(), 1U);
  EXPECT_EQ(must(store_->dataset_inputs(kept)).size(), 1U);
  EXPECT_EQ(must(store_->evidence("run:" + kept)).size(), 1U);
  EXPECT_EQ(must(store_->artifacts(kept)).size(), 1U);
  EXPECT_EQ(must(store_->run(kept)).params.size(), 1U);
}

TEST_F(StoreTest, PowerBlocksAreStoredOnceAndReadInOrder) {
  must(store_->put_host({"h", "box", "CPU", 1, 1, "os", false}));
  must(store_->put_device({"cpu", "h", "CPU", "package", "model", "", "modelled", 0.5, 2, "guess"}));
  record::Run run = new_run("a");
  run.host_id = "h";
  must(store_->put_run(run));
  PowerBlockEncoder encoder;
  for (const std::uint64_t sequence : {2, 1, 2}) {
    encoder.begin(static_cast<std::int64_t>(sequence) * 1'000'000'000);
    encoder.add({static_cast<std::int64_t>(sequence) * 1'000'000'000 + 500'000'000, double(sequence), 0});
    must(store_->put_power_block(run.id, "cpu", sequence, encoder.encode()));
  }
  const auto series = must(store_->power_series(run.id));
  ASSERT_EQ(series.size(), 1U);
  EXPECT_EQ(series[0].device_id, "cpu");
  ASSERT_EQ(series[0].samples.size(), 2U);
  EXPECT_NEAR(series[0].samples[0].joules, 1, 1e-9);
  EXPECT_NEAR(series[0].samples[1].joules, 2, 1e-9);

  EXPECT_FALSE(store_->put_power_block(run.id, "gpu", 1, encoder.encode()).has_value()) << "unknown device";
  const std::vector<std::uint8_t> rubbish(20, 7);
  EXPECT_FALSE(store_->put_power_block(run.id, "cpu", 9, rubbish).has_value());
}

TEST_F(StoreTest, EvidenceIsKeptByteForByteAndVerified) {
  const std::string json("{\"a\": 1,\r\n \"b\":\0 2}", 18);
  Evidence evidence{"model:abc", "joulery/certificate", 2, json, sha256_hex(json), 77};
  must(store_->put_evidence(evidence));
  must(store_->put_evidence(evidence));
  const auto read = must(store_->evidence("model:abc"));
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].json, json);
  EXPECT_EQ(read[0].version, 2);
  EXPECT_EQ(read[0].created_utc_ns, 77);
  evidence.json += " ";
  const auto refused = store_->put_evidence(evidence);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("model:abc"), std::string::npos);
}

TEST_F(StoreTest, DatasetsModelsAndArtifactsRoundTrip) {
  const std::string id = add_run("a");
  const DatasetInput input{
      "digits", "0123", "local", "/data", "{}", "{\"rows\": 3}", {{"mlflow.data.context", "train"}}};
  must(store_->put_dataset_input(id, input));
  must(store_->put_dataset_input(id, input));
  const auto inputs = must(store_->dataset_inputs(id));
  ASSERT_EQ(inputs.size(), 1U);
  EXPECT_EQ(inputs[0].name, "digits");
  EXPECT_EQ(inputs[0].profile, "{\"rows\": 3}");
  EXPECT_EQ(inputs[0].tags, input.tags);

  LoggedModel model{"m-1", "Default", "mlp", "onnx", id, "file:/x", "READY", 5, {{"a", "b"}}, {{"c", "d"}}};
  must(store_->put_model(model));
  model.status = "LOGGED_MODEL_READY";
  must(store_->put_model(model));
  const auto read = must(store_->model("m-1"));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->status, "LOGGED_MODEL_READY");
  EXPECT_EQ(read->source_run_id, id);
  EXPECT_EQ(read->tags, model.tags);
  EXPECT_EQ(read->params, model.params);
  EXPECT_FALSE(must(store_->model("m-2")).has_value());

  must(store_->put_artifact({id, "b/model.onnx", 1ULL << 40, "ff"}));
  must(store_->put_artifact({id, "a.txt", 1, ""}));
  const auto artifacts = must(store_->artifacts(id));
  ASSERT_EQ(artifacts.size(), 2U);
  EXPECT_EQ(artifacts[0].path, "a.txt");
  EXPECT_EQ(artifacts[1].size_bytes, 1ULL << 40);
  EXPECT_FALSE(store_->put_artifact({"nosuchrun", "a", 1, ""}).has_value());
}

TEST_F(StoreTest, HostsAndDevicesAreReplacedById) {
  must(store_->put_host({"h", "old", "CPU", 1, 1, "os", false}));
  must(store_->put_host({"h", "new", "CPU 2", 2, 2, "os2", true}));
  const auto host = must(store_->host("h"));
  ASSERT_TRUE(host.has_value());
  EXPECT_EQ(host->name, "new");
  EXPECT_TRUE(host->virtual_machine);
  EXPECT_FALSE(must(store_->host("nobody")).has_value());
  EXPECT_FALSE(store_->put_boot({"b", "nobody", 1}).has_value());
  EXPECT_FALSE(store_->put_device({"cpu", "nobody", "", "", "", "", "", 1, 1, ""}).has_value());
}

TEST_F(StoreTest, ExperimentsAreMadeOnceByName) {
  const Experiment first = must(store_->experiment("vision"));
  const Experiment again = must(store_->experiment("vision"));
  EXPECT_EQ(first.id, again.id);
  EXPECT_EQ(first.created_ms, clock_.realtime_ns() / 1'000'000);
  EXPECT_EQ(must(store_->experiment("Default")).id, 0);
  EXPECT_EQ(must(store_->experiments(false)).size(), 2U);
  EXPECT_FALSE(store_->experiment("").has_value());
}

class LambdaBody final : public Store::TransactionBody {
 public:
  explicit LambdaBody(std::function<Status(Store&)> body) : body_(std::move(body)) {}
  Status run(Store& store) override { return body_(store); }

 private:
  std::function<Status(Store&)> body_;
};

TEST_F(StoreTest, TransactionIsAllOrNothing) {
  const record::Run run = new_run("a");
  LambdaBody fails([&](Store& store) -> Status {
    must(store.put_run(run));
    return user_error("no");
  });
  EXPECT_FALSE(store_->transaction(fails).has_value());
  EXPECT_FALSE(store_->run(run.id).has_value());

  LambdaBody ignores([&](Store& store) -> Status {
    must(store.put_run(run));
    (void)store.put_artifact({"nosuchrun", "a", 1, ""});
    return {};
  });
  EXPECT_FALSE(store_->transaction(ignores).has_value()) << "a failed call undoes all, ignored or not";
  EXPECT_FALSE(store_->run(run.id).has_value());

  LambdaBody works([&](Store& store) -> Status { return store.put_run(run); });
  must(store_->transaction(works));
  EXPECT_TRUE(store_->run(run.id).has_value());
}

TEST_F(StoreTest, ManyRunsAtOnceAreWhatEachAloneWouldBe) {
  std::vector<record::Run> runs;
  for (int i = 0; i < 5; ++i) {
    record::Run run = new_run("run", i);
    run.tags = {{"team", "vision"}, {"n", std::to_string(i)}};
    run.metrics = {
        {"loss", {.value = 1.0 * i}}, {"loss", {.value = 2.0 * i, .step = 1}}, {"acc", {.value = 1}}};
    runs.push_back(run);
  }
  runs[3].params = {{"lr", "0.1"}};
  runs[4].id = "from-mlflow";
  must(store_->put_run(runs[1]));
  runs[1].tags["n"] = "again";
  must(store_->put_runs(runs));
  must(store_->put_runs(runs));
  for (const record::Run& run : runs) {
    const record::Run stored = must(store_->run(run.id));
    EXPECT_EQ(stored.tags, run.tags);
    EXPECT_EQ(stored.params, run.params);
    EXPECT_EQ(stored.start_utc_ns, run.start_utc_ns);
    EXPECT_EQ(must(store_->metric_history(run.id, "loss", 0, 10)).size(), 2U);
    EXPECT_EQ(must(store_->metric_history(run.id, "acc", 0, 10)).size(), 1U);
  }
  EXPECT_EQ(must(store_->search_runs({.filter = "tags.team = 'vision' and metrics.loss > 3"})).size(), 3U);
  // One that can't be stored undoes all.
  std::vector<record::Run> more = {new_run("fresh"), new_run("bad")};
  more[1].id = "no id!";
  EXPECT_FALSE(store_->put_runs(more));
  EXPECT_FALSE(store_->run(more[0].id));
}

TEST_F(StoreTest, ManyRunsThatWereExpectedAreFoundLikeOthers) {
  constexpr int kRuns = 10'000;
  std::vector<record::Run> runs;
  for (int i = 0; i < kRuns; ++i) {
    runs.push_back(new_run(fmt::format("run-{}", i), i));
    runs.back().tags = {{"team", i % 2 == 0 ? "vision" : "text"}};
    runs.back().metrics = {{"loss", {.value = 1.0 * i}}};
  }
  const auto indexes = [&] {
    const auto database = must(sqlite::Database::open(path(), {}));
    return must(database->integer("SELECT count(*) FROM sqlite_master WHERE type = 'index'"));
  };
  const auto before = indexes();
  LambdaBody fails([&](Store& store) -> Status {
    must(store.expect_runs(kRuns));
    must(store.put_runs(runs));
    return user_error("no");
  });
  EXPECT_FALSE(store_->transaction(fails));
  EXPECT_EQ(indexes(), before);
  EXPECT_TRUE(must(store_->search_runs({})).empty());
  LambdaBody works([&](Store& store) -> Status {
    must(store.expect_runs(kRuns));
    return store.put_runs(runs);
  });
  must(store_->transaction(works));
  EXPECT_EQ(indexes(), before);
  EXPECT_EQ(must(store_->search_runs({.filter = "tags.team = 'text' and metrics.loss > 9990"})).size(), 5U);
  EXPECT_EQ(must(store_->run("run-77")).tags.at("team"), "text");
}

TEST_F(StoreTest, AHistoryOfOnePointGrowsLikeAnyOther) {
  const record::Run run = new_run("one");
  must(store_->put_run(run));
  const auto log = [&](double value, std::int64_t step, std::uint64_t sequence) {
    const std::vector<MetricPoint> points = {{.value = value, .timestamp_ms = 5, .step = step}};
    const MetricBatch batch{
        .run_id = run.id, .writer = "w", .sequence = sequence, .series = {{.key = "m", .points = points}}};
    must(store_->log_metrics({&batch, 1}));
  };
  log(std::numeric_limits<double>::quiet_NaN(), 0, 1);
  auto history = must(store_->metric_history(run.id, "m", 0, 10));
  ASSERT_EQ(history.size(), 1U);
  EXPECT_TRUE(std::isnan(history[0].value));
  EXPECT_EQ(history[0].timestamp_ms, 5);
  EXPECT_EQ(must(store_->downsample_metric(run.id, "m", 10)).size(), 1U);
  log(2, 1, 2);
  log(1, 2, 3);
  history = must(store_->metric_history(run.id, "m", 0, 10));
  ASSERT_EQ(history.size(), 3U);
  EXPECT_TRUE(std::isnan(history[0].value));
  EXPECT_EQ(history[2].value, 1);
}

TEST_F(StoreTest, WhichRunsAreKnown) {
  record::Run run = new_run("one");
  run.tags = {{"source", "here"}};
  run.metrics = {{"seconds", {.value = 2.5}}};
  must(store_->put_run(run));
  const std::string plain = add_run("two");
  must(store_->delete_run(plain));
  const std::vector<std::string> ids = {plain, "0123", run.id};
  const auto known = must(store_->known_runs(ids, "seconds", "source"));
  ASSERT_EQ(known.size(), 3U);
  EXPECT_TRUE(known[0]->deleted);
  EXPECT_FALSE(known[0]->metric);
  EXPECT_EQ(known[0]->tag, "");
  EXPECT_FALSE(known[1]);
  EXPECT_FALSE(known[2]->deleted);
  EXPECT_EQ(known[2]->metric, 2.5);
  EXPECT_EQ(known[2]->tag, "here");
  EXPECT_FALSE(must(store_->known_runs(ids, "never", "seen"))[2]->metric);
}

}  // namespace
}  // namespace joulery::record
