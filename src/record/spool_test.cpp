#include "record/spool.hpp"

#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "base/soak.hpp"
#include "record/spool_fixture.hpp"

namespace joulery::record {
namespace {

TEST_F(SpoolTest, EachStoreTakesItsOwn) {
  const std::string here = spool_tag(folder_ + "/here.db");
  const std::string there = spool_tag(folder_ + "/sub/../there.db");
  EXPECT_NE(here, there);
  EXPECT_EQ(there, spool_tag(folder_ + "/there.db"));
  const auto spooled = [&](const std::string& id, const std::string& tag) {
    const record::Run run = spooled_run(id);
    auto writer = must(SpoolWriter::create(spools(), run.id, tag));
    must(write_start(writer, run));
    must(writer.write_end());
    return run.id;
  };
  const std::string own = spooled("own", here);
  const std::string other = spooled("other", there);
  const std::string nobodys = spooled("nobodys", "");
  EXPECT_EQ(count_spools_of_others(spools(), here), 1);
  const IngestReport report = must(ingest_all_spools(spools(), *store_, here));
  EXPECT_EQ(report.ingested_run_ids.size(), 2U);
  EXPECT_TRUE(store_->run(own));
  EXPECT_TRUE(store_->run(nobodys));
  EXPECT_FALSE(store_->run(other));
  EXPECT_FALSE(has_spools(spools(), here));
  EXPECT_TRUE(has_spools(spools(), there));
}

TEST_F(SpoolTest, FinishedRunIsStoredAsItWas) {
  record::Run run = spooled_run("done");
  auto writer = must(SpoolWriter::create(spools(), run.id));
  must(write_start(writer, run));
  must(write_blocks(writer, 3));
  run.status = RunStatus::finished;
  run.end_utc_ns = run.start_utc_ns + 5;
  run.tags = {{"team", "x"}};
  run.metrics = {{"energy_joules", {30, 1, 0}}};
  must(write_start(writer, run));
  must(writer.write_evidence({"run:" + run.id, "joulery/run-summary", 1, "{}", sha256_hex("{}"), 1}));
  must(writer.write_end());
  EXPECT_TRUE(has_spools(spools()));

  IngestReport report;
  must(ingest_spool(writer.path(), *store_, report));
  EXPECT_EQ(report.ingested_run_ids, std::vector<std::string>{run.id});
  EXPECT_TRUE(report.recovered_run_ids.empty());
  EXPECT_FALSE(has_spools(spools()));
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.status, RunStatus::finished);
  EXPECT_EQ(read.end_utc_ns, run.end_utc_ns);
  EXPECT_EQ(read.tags, run.tags);
  EXPECT_EQ(read.params, run.params);
  EXPECT_EQ(read.boot_id, "b");
  ASSERT_EQ(read.metrics.size(), 1U);
  EXPECT_EQ(stored_samples(run.id), 30U);
  EXPECT_EQ(must(store_->evidence("run:" + run.id)).size(), 1U);
  EXPECT_EQ(must(store_->devices("h")).size(), 1U);
}

TEST_F(SpoolTest, FilesArePrivate) {
  const mode_t before = ::umask(0);
  const std::string path = abandoned(spooled_run("a"), 0, false);
  ::umask(before);
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat(spools().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(SpoolTest, LiveWriterIsLeftAlone) {
  const record::Run run = spooled_run("live");
  auto writer = must(SpoolWriter::create(spools(), run.id));
  must(write_start(writer, run));
  EXPECT_FALSE(SpoolWriter::create(spools(), run.id).has_value()) << "one spool a run";
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_TRUE(report.ingested_run_ids.empty());
  EXPECT_TRUE(report.kept.empty());
  IngestReport single;
  EXPECT_FALSE(ingest_spool(writer.path(), *store_, single).has_value());
  EXPECT_TRUE(std::filesystem::exists(writer.path()));
}

TEST_F(SpoolTest, DeadWritersRunIsRecoveredAndMarked) {
  const record::Run run = spooled_run("killed");
  abandoned(run, 4, false);
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.recovered_run_ids, std::vector<std::string>{run.id});
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.status, RunStatus::killed);
  EXPECT_EQ(read.tags.at("joulery.recovered"), "true");
  EXPECT_EQ(read.end_boottime_ns, 5'000'000'000);
  EXPECT_EQ(read.end_utc_ns, run.start_utc_ns + 4'000'000'000);
  EXPECT_EQ(stored_samples(run.id), 40U);
}

TEST_F(SpoolTest, StoringTwiceChangesNothing) {
  const record::Run run = spooled_run("twice");
  const std::string path = abandoned(run, 3, true);
  const std::string bytes = file_bytes(path);
  must(ingest_all_spools(spools(), *store_));
  write_bytes(path, bytes);
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_TRUE(report.kept.empty());
  EXPECT_EQ(stored_samples(run.id), 30U);
  EXPECT_EQ(must(store_->search_runs({})).size(), 1U);
  EXPECT_EQ(must(store_->evidence("run:" + run.id)).size(), 1U);
}

TEST_F(SpoolTest, CutOffAnywhereGivesAllWholeFrames) {
  const record::Run run = spooled_run("cut");
  const std::string path = abandoned(run, 6, true);
  const std::string bytes = file_bytes(path);
  std::size_t previous = 0;  // what was stored stays, so it only grows
  for (std::size_t size = 0; size <= bytes.size(); size += size < 20 ? 5 : 43) {
    write_bytes(path, bytes.substr(0, size));
    const auto report = must(ingest_all_spools(spools(), *store_));
    EXPECT_TRUE(report.kept.empty()) << size << ": " << report.kept[0].second;
    EXPECT_FALSE(std::filesystem::exists(path));
    if (report.ingested_run_ids.empty()) {
      EXPECT_EQ(previous, 0U) << size;
      continue;
    }
    const std::size_t samples = stored_samples(run.id);
    EXPECT_EQ(samples % 10, 0U);
    EXPECT_GE(samples, previous);
    previous = samples;
  }
  EXPECT_EQ(previous, 60U);
}

TEST_F(SpoolTest, NewerVersionIsKeptAndReported) {
  const std::string path = abandoned(spooled_run("newer"), 1, true);
  std::string bytes = file_bytes(path);
  bytes[kSpoolMagic.size()] = 9;
  write_bytes(path, bytes);
  const auto report = must(ingest_all_spools(spools(), *store_));
  ASSERT_EQ(report.kept.size(), 1U);
  EXPECT_NE(report.kept[0].second.find("version 9"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(SpoolTest, OneBadFileDoesNotStopTheOthers) {
  const record::Run good = spooled_run("good");
  abandoned(good, 1, true);
  write_bytes(spools() + "/0.spool", "this is no spool, or is it");
  write_bytes(spools() + "/readme.txt", "hello");
  std::filesystem::create_directory(spools() + "/folder.spool");
  std::filesystem::create_symlink("/etc/passwd", spools() + "/link.spool");
  ASSERT_EQ(::mkfifo((spools() + "/pipe.spool").c_str(), 0600), 0);
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.ingested_run_ids, std::vector<std::string>{good.id});
  EXPECT_EQ(report.refused.size(), 4U);
  EXPECT_TRUE(std::filesystem::is_symlink(spools() + "/refused/link.spool"));
  EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));
  EXPECT_FALSE(has_spools(spools()));
}

TEST_F(SpoolTest, RefusedFilesOfOneNameAreAllKept) {
  std::filesystem::create_directory(spools());
  std::filesystem::permissions(spools(), std::filesystem::perms(0700));
  for (const std::string text : {"one, not a spool", "two, not a spool"}) {
    write_bytes(spools() + "/a.spool", text);
    const auto report = must(ingest_all_spools(spools(), *store_));
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_EQ(file_bytes(report.refused[0].moved_to), text);
  }
  EXPECT_EQ(file_bytes(spools() + "/refused/a.spool"), "one, not a spool");
}

TEST_F(SpoolTest, AFolderForRefusedFilesThatIsALinkIsNotUsed) {
  std::filesystem::create_directory(spools());
  std::filesystem::permissions(spools(), std::filesystem::perms(0700));
  std::filesystem::create_directory(folder_ + "/elsewhere");
  std::filesystem::create_directory_symlink(folder_ + "/elsewhere", spools() + "/refused");
  write_bytes(spools() + "/a.spool", "no spool at all");
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_TRUE(report.refused.empty());
  ASSERT_EQ(report.kept.size(), 1U);
  EXPECT_EQ(file_bytes(spools() + "/a.spool"), "no spool at all");
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/elsewhere"));
}

TEST_F(SpoolTest, ForeignFoldersAreRefused) {
  std::filesystem::create_directory(folder_ + "/real");
  std::filesystem::create_directory_symlink(folder_ + "/real", folder_ + "/link");
  const auto link = SpoolWriter::create(folder_ + "/link", "r1");
  ASSERT_FALSE(link.has_value());
  EXPECT_EQ(link.error().kind, Error::Kind::environment);
  EXPECT_FALSE(link.error().hint.empty());

  std::filesystem::create_directory(folder_ + "/open");
  std::filesystem::permissions(folder_ + "/open", std::filesystem::perms(0777));
  const auto open = SpoolWriter::create(folder_ + "/open", "r1");
  ASSERT_FALSE(open.has_value());
  EXPECT_NE(open.error().hint.find("chmod 700"), std::string::npos);
  write_bytes(folder_ + "/open/a.spool", "x");
  EXPECT_FALSE(ingest_all_spools(folder_ + "/open", *store_).has_value());

  if (::geteuid() == 0) {
    std::filesystem::create_directory(folder_ + "/theirs");
    ASSERT_EQ(::chown((folder_ + "/theirs").c_str(), 12345, 12345), 0);
    const auto theirs = SpoolWriter::create(folder_ + "/theirs", "r1");
    ASSERT_FALSE(theirs.has_value());
    EXPECT_NE(theirs.error().message.find("12345"), std::string::npos);

    const std::string planted = abandoned(spooled_run("planted"), 1, true);
    ASSERT_EQ(::chown(planted.c_str(), 12345, 12345), 0);
    const auto report = must(ingest_all_spools(spools(), *store_));
    EXPECT_TRUE(report.ingested_run_ids.empty());
    EXPECT_EQ(report.refused.size(), 1U);
  }
  for (const std::string id : {"", "../x", "a/b", ".hidden"})
    EXPECT_FALSE(SpoolWriter::create(spools(), id).has_value());
}

TEST_F(SpoolTest, NoFolderMeansNoSpools) {
  EXPECT_FALSE(has_spools(folder_ + "/none"));
  EXPECT_TRUE(must(ingest_all_spools(folder_ + "/none", *store_)).ingested_run_ids.empty());
}

TEST_F(SpoolTest, ParamsThatContradictTheStoredRunBecomeTags) {
  const record::Run run = spooled_run("contradiction");
  abandoned(run, 2, true);
  record::Run other = run;
  other.host_id = other.boot_id = "";
  other.params = {{"p", "another value"}};
  must(store_->put_run(other));
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.ingested_run_ids, std::vector<std::string>{run.id});
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.params.at("p"), "another value");
  EXPECT_EQ(read.tags.at("joulery.refused_param.p"), "1");
  EXPECT_EQ(stored_samples(run.id), 20U);
}

TEST_F(SpoolTest, ARunThatWasDeletedMeanwhileIsMovedAside) {
  const record::Run run = spooled_run("deleted");
  const std::string path = abandoned(run, 2, true);
  const std::string bytes = file_bytes(path);
  must(ingest_all_spools(spools(), *store_));
  must(store_->delete_run(run.id));
  write_bytes(path, bytes);
  const auto report = must(ingest_all_spools(spools(), *store_));
  ASSERT_EQ(report.refused.size(), 1U);
  EXPECT_NE(report.refused[0].reason.find("is deleted"), std::string::npos);
  EXPECT_EQ(file_bytes(report.refused[0].moved_to), bytes);
}

TEST_F(SpoolTest, AnExperimentThatTheStoreRefusesBecomesDefault) {
  record::Run run = spooled_run("long");
  // The 500th byte is within a character.
  run.experiment = std::string(499, 'x') + "\u00e9" + std::string(200, 'y');
  abandoned(run, 2, true);
  record::Run nameless = spooled_run("nameless");
  nameless.experiment = "";
  abandoned(nameless, 2, false);
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.ingested_run_ids.size(), 2U);
  EXPECT_TRUE(report.kept.empty() && report.refused.empty());
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.experiment, "Default");
  EXPECT_EQ(read.tags.at("joulery.original_experiment"), std::string(499, 'x'));
  EXPECT_EQ(stored_samples(run.id), 20U);
  const record::Run other = must(store_->run(nameless.id));
  EXPECT_EQ(other.experiment, "Default");
  EXPECT_EQ(other.tags.count("joulery.original_experiment"), 0U);
  EXPECT_EQ(other.status, RunStatus::killed);
  EXPECT_FALSE(has_spools(spools()));
}

TEST_F(SpoolTest, ReferencesToWhatTheSpoolDoesNotDescribeAreMended) {
  const record::Run run = spooled_run("references");
  {
    auto writer = must(SpoolWriter::create(spools(), run.id));
    const std::vector<Device> devices{{"", "nobody", "no id", "", "", "", "", 1, 1, ""},
                                      {"gpu", "nobody", "GPU", "gpu", "", "", "measured", 1, 1, ""}};
    must(writer.write_run(run, {"h", "box", "CPU", 4, 8e9, "Debian", false}, {"b", "nobody", 7}, devices));
    must(write_blocks(writer, 2));  // of "cpu", which is not in the list
    must(writer.write_end());
  }
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.ingested_run_ids, std::vector<std::string>{run.id});
  EXPECT_EQ(must(store_->run(run.id)).boot_id, "b");
  EXPECT_EQ(must(store_->devices("h")).size(), 2U);
  EXPECT_EQ(stored_samples(run.id), 20U);
}

TEST_F(SpoolTest, EvidenceThatDoesNotMatchItsHashIsLeftOutAndTheFileKept) {
  const record::Run run = spooled_run("evidence");
  {
    auto writer = must(SpoolWriter::create(spools(), run.id));
    must(write_start(writer, run));
    must(writer.write_evidence({"run:" + run.id, "t", 1, "{}", sha256_hex("{}"), 1}));
    must(writer.write_evidence({"run:" + run.id, "u", 1, "{ }", sha256_hex("{}"), 1}));
    must(writer.write_end());
  }
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.ingested_run_ids, std::vector<std::string>{run.id});
  EXPECT_EQ(must(store_->evidence("run:" + run.id)).size(), 1U);
  ASSERT_EQ(report.refused.size(), 1U);
  EXPECT_NE(report.refused[0].reason.find("stored, but without 1"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(report.refused[0].moved_to));
}

TEST_F(SpoolTest, FullDiskTakesBackTheHalfFrame) {
  const record::Run run = spooled_run("full");
  auto writer = must(SpoolWriter::create(spools(), run.id));
  must(write_start(writer, run));
  must(write_blocks(writer, 2));
  const auto good_size = std::filesystem::file_size(writer.path());
  // A limit on file size stands in for the full disk: the kernel cuts the write in the same way.
  const auto before_signal = ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{good_size + 50, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status refused = writer.write_evidence({"s", "t", 1, std::string(5000, 'x'), "", 1});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, before_signal);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, Error::Kind::environment);
  EXPECT_FALSE(refused.error().hint.empty());
  EXPECT_EQ(std::filesystem::file_size(writer.path()), good_size);
  must(writer.write_power_block("cpu", 3, block(3)));
  must(writer.write_end());
  IngestReport report;
  must(ingest_spool(writer.path(), *store_, report));
  EXPECT_EQ(stored_samples(run.id), 30U);
}

TEST_F(SpoolTest, KilledWritersLoseNoFlushedBlock) {
  std::mt19937 random(20261121);
  auto* flushed = static_cast<std::atomic<std::uint64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(flushed, MAP_FAILED);
  for (int kill_number = 0; kill_number < soak_count(30, 1000); ++kill_number) {
    const record::Run run = spooled_run("kill " + std::to_string(kill_number));
    flushed->store(0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto writer = SpoolWriter::create(spools(), run.id);
      if (!writer || !write_start(*writer, run)) ::_exit(1);
      for (std::uint64_t i = 1;; ++i) {
        if (!writer->write_power_block("cpu", i, block(i))) ::_exit(1);
        flushed->store(i);
      }
    }
    ::usleep(static_cast<useconds_t>(random() % 8000));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself";
    const std::uint64_t promised = flushed->load();
    const auto report = must(ingest_all_spools(spools(), *store_));
    EXPECT_TRUE(report.kept.empty());
    EXPECT_FALSE(has_spools(spools()));
    if (report.ingested_run_ids.empty()) {
      EXPECT_EQ(promised, 0U);
      continue;
    }
    EXPECT_GE(stored_samples(run.id), promised * 10) << "kill " << kill_number;
    EXPECT_EQ(must(store_->run(run.id)).status, RunStatus::killed);
  }
  ::munmap(flushed, 4096);
}

/// All of one run's life in a process of its own; 0 if every call worked.
int write_one_run(const std::string& store_path, const std::string& spool_folder, const record::Run& run,
                  const std::vector<Device>& devices, const std::vector<std::uint8_t>& block) {
  auto store = open_sqlite_store(store_path);
  if (!store) return 1;
  if (!(*store)->put_host({"h", "box", "CPU", 4, 8e9, "Debian", false}) || !(*store)->put_boot({"b", "h", 7}))
    return 2;
  for (const Device& device : devices) {
    if (!(*store)->put_device(device)) return 3;
  }
  if (!(*store)->put_run(run)) return 4;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    std::vector<MetricPoint> points;
    for (int j = 0; j < 50; ++j)
      points.push_back({double(j), static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) * 50 + j});
    const MetricBatch batch{run.id, "w", i, {{"loss", points}, {"accuracy", points}}};
    if (!(*store)->log_metrics({&batch, 1})) return 5;
    if (!(*store)->put_power_block(run.id, "cpu", i, block)) return 6;
  }
  if (!(*store)->put_evidence({"run:" + run.id, "t", 1, "{}", sha256_hex("{}"), 1})) return 7;
  store = {};
  record::Run second = run;
  second.id[31] = run.id[31] == '0' ? '1' : '0';
  auto writer = SpoolWriter::create(spool_folder, second.id);
  if (!writer ||
      !writer->write_run(second, {"h", "box", "CPU", 4, 8e9, "Debian", false}, {"b", "h", 7}, devices))
    return 8;
  if (!writer->write_power_block("cpu", 1, block) || !writer->write_end()) return 9;
  store = open_sqlite_store(store_path);
  IngestReport report;
  if (!store || !ingest_spool(writer->path(), **store, report)) return 10;
  return 0;
}

TEST_F(SpoolTest, FiftyProcessesOneStore) {
  constexpr int kProcesses = 50;
  // Nobody has made the file yet: all race to make it, set its journal and migrate it.
  const std::string shared = folder_ + "/shared.db";
  const std::vector<Device> devices{{"cpu", "h", "CPU", "package", "model", "", "modelled", 0.5, 2, "guess"}};
  std::vector<record::Run> runs;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    runs.push_back(spooled_run("process " + std::to_string(i)));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(write_one_run(shared, spools(), runs.back(), devices, block(1)));
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "failed at step " << WEXITSTATUS(status);
  }
  auto store = must(open_sqlite_store(shared));
  EXPECT_EQ(must(store->search_runs({})).size(), 2U * kProcesses);
  for (const record::Run& run : runs) {
    EXPECT_EQ(must(store->run(run.id)).name, run.name);
    EXPECT_EQ(must(store->metric_history(run.id, "loss", 0, 100'000)).size(), 1000U);
    EXPECT_EQ(must(store->power_series(run.id)).at(0).samples.size(), 200U);
    EXPECT_EQ(must(store->evidence("run:" + run.id)).size(), 1U);
  }
  EXPECT_FALSE(has_spools(spools()));
}

}  // namespace
}  // namespace joulery::record
