#include "meter/gpu_accounts.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <map>
#include <set>

#include "meter/gpu_figures.hpp"

namespace joulery::meter {
namespace {

using power::GpuLook;
using power::GpuProcess;

class FakeCounter final : public power::Source {
 public:
  FakeCounter(std::string id, power::Scope scope, std::string parent, const double& watts) : watts_(watts) {
    info_.device_id = info_.name = std::move(id);
    info_.scope = scope;
    info_.parent_id = std::move(parent);
  }
  const power::SourceInfo& info() const override { return info_; }
  power::Reading read(const Clock& clock) override {
    const std::int64_t now = clock.boottime_ns();
    if (last_ns_ > 0) joules_ += watts_ * double(now - last_ns_) / 1e9;
    last_ns_ = now;
    return {.value = joules_, .boottime_ns = now, .valid = true, .error_number = 0};
  }

 private:
  power::SourceInfo info_;
  const double& watts_;
  double joules_ = 0;
  std::int64_t last_ns_ = 0;
};

class FakeGpu final : public power::GpuDevice {
 public:
  explicit FakeGpu(std::string id) : id_(std::move(id)) {}
  const std::string& device_id() const override { return id_; }
  const power::GpuFacts& facts() const override { return facts_; }
  GpuLook look_at_use(std::vector<GpuProcess>& processes) override {
    processes = use;
    return use_look;
  }
  GpuLook look_at_presence(std::vector<GpuProcess>& processes) override {
    processes = holders;
    return presence_look;
  }
  CrossCheck cross_check() const override { return {}; }
  power::GpuFacts facts_;
  GpuLook use_look = GpuLook::use;
  GpuLook presence_look = GpuLook::presence;
  std::vector<GpuProcess> use;
  std::vector<GpuProcess> holders;

 private:
  std::string id_;
};

class FakeOwner final : public ProcessOwner {
 public:
  void refresh() override {}
  bool is_workloads(int pid) override { return ours.contains(pid); }
  bool numbers_are_the_hosts() const override { return hosts_numbers; }
  std::set<int> ours = {1, 2};
  bool hosts_numbers = true;
};

/// A machine with a CPU and GPUs, whose watts a test sets.
class Bench {
 public:
  std::shared_ptr<FakeGpu> add_gpu(const std::string& id, const std::string& parent = "") {
    add_source(id, power::Scope::gpu, parent);
    gpus_.push_back(std::make_shared<FakeGpu>(id));
    return gpus_.back();
  }
  void add_source(const std::string& id, power::Scope scope, const std::string& parent = "") {
    sources_.push_back(std::make_unique<FakeCounter>(id, scope, parent, watts[id]));
  }
  void attach_gpu(const std::string& id) { gpus_.push_back(std::make_shared<FakeGpu>(id)); }
  std::shared_ptr<FakeGpu> gpu(std::size_t index) { return gpus_[index]; }
  void start() {
    sampler_ = std::make_unique<power::Sampler>(std::move(sources_), clock);
    std::vector<std::shared_ptr<power::GpuDevice>> devices(gpus_.begin(), gpus_.end());
    accounts = std::make_unique<GpuAccounts>(*sampler_, std::move(devices), owner, clock);
    sampler_->start();
    accounts->start();
  }
  /// At 10 Hz.
  void run(double seconds) {
    if (!sampler_) start();
    for (int i = 0; i + 0.5 < seconds * 10; ++i) {
      clock.advance_seconds(0.1);
      const power::Tick& tick = sampler_->tick();
      machine_joules += tick.machine_joules;
      const GpuAccounts::Rest rest = accounts->add(tick);
      rest_joules += rest.joules + rest.late_joules;
      live_joules += rest.workload_joules;
    }
  }
  void settle() {
    const double added = sampler_->settle();
    machine_joules += added;
    rest_joules += accounts->settle(added);
  }
  GpuShare share(IdlePolicy policy = IdlePolicy::proportional, double idle_watts = 10) {
    accounts->finish();
    return accounts->shares(policy, [&](const std::string&) { return idle_watts; })[0];
  }
  std::map<std::string, double> watts;
  ManualClock clock;
  FakeOwner owner;
  std::unique_ptr<GpuAccounts> accounts;
  double machine_joules = 0;
  double rest_joules = 0;
  double live_joules = 0;

 private:
  std::vector<std::unique_ptr<power::Source>> sources_;
  std::vector<std::shared_ptr<FakeGpu>> gpus_;
  std::unique_ptr<power::Sampler> sampler_;
};

Bench one_gpu(double gpu_watts = 110) {
  Bench bench;
  bench.add_source("cpu", power::Scope::package);
  bench.add_gpu("gpu");
  bench.watts["cpu"] = 50;
  bench.watts["gpu"] = gpu_watts;
  return bench;
}

TEST(GpuAccounts, SharesAGpuByUseAndNotByCpuTime) {
  Bench bench = one_gpu();
  bench.gpu(0)->use = {{1, 0, 0.6}, {7, 0, 0.2}};
  bench.run(10);
  const GpuShare share = bench.share();
  EXPECT_NEAR(bench.rest_joules, 500, 1e-6);
  EXPECT_NEAR(share.energy.split.machine_joules, 1100, 1e-6);
  EXPECT_NEAR(share.energy.split.active_joules, 750, 1e-6);
  EXPECT_NEAR(share.energy.split.other_active_joules, 250, 1e-6);
  EXPECT_NEAR(share.energy.split.idle_joules, 100, 1e-6);
  EXPECT_NEAR(share.energy.split.idle_share_joules, 75, 1e-6);
  EXPECT_NEAR(share.workload_seconds, 6, 1e-6);
  EXPECT_EQ(share.sharing, GpuSharing::process_use);
}

TEST(GpuAccounts, AGpuThatNobodyUsesIsIdleWhateverTheCpuDoes) {
  Bench bench = one_gpu(20);
  bench.run(10);
  const GpuShare share = bench.share();
  EXPECT_EQ(share.energy.split.workload_joules, 0);
  EXPECT_NEAR(share.energy.split.idle_joules, 200, 1e-6);
  EXPECT_NEAR(bench.share(IdlePolicy::all).energy.split.workload_joules, 200, 1e-6);
}

TEST(GpuAccounts, OthersOnItAreOthers) {
  Bench bench = one_gpu();
  bench.gpu(0)->use = {{7, 0, 0.9}};
  bench.run(10);
  EXPECT_EQ(bench.share().energy.split.workload_joules, 0);
  EXPECT_NEAR(bench.share().energy.split.other_active_joules, 1000, 1e-6);
}

TEST(GpuAccounts, WithoutUseTheSoleUserHasItAll) {
  Bench bench = one_gpu();
  bench.gpu(0)->use_look = GpuLook::unknown;
  bench.gpu(0)->holders = {{1, 0, 1}, {2, 0, 1}};
  bench.run(10);
  EXPECT_EQ(bench.share().sharing, GpuSharing::sole_user);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1100, 1e-6);
}

TEST(GpuAccounts, WithoutUseAndWithOthersTheWholeDeviceIsTakenAndSaidSo) {
  Bench bench = one_gpu();
  bench.gpu(0)->use_look = GpuLook::unknown;
  bench.gpu(0)->holders = {{1, 0, 1}, {7, 0, 1}};
  bench.run(10);
  EXPECT_EQ(bench.share().sharing, GpuSharing::whole_with_others);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1100, 1e-6);

  Bench foreign = one_gpu();
  foreign.gpu(0)->use_look = GpuLook::unknown;
  foreign.gpu(0)->holders = {{7, 0, 1}};
  foreign.run(10);
  EXPECT_EQ(foreign.share().energy.split.workload_joules, 0) << "none of the workload's processes is on it";
  EXPECT_EQ(foreign.share().sharing, GpuSharing::not_on_it);
}

TEST(GpuAccounts, WithoutUseAGpuThatNobodyHoldsIsSaidToBeUnused) {
  for (const bool mig : {false, true}) {
    Bench bench = one_gpu();
    bench.gpu(0)->facts_.mig = mig;
    bench.gpu(0)->use_look = GpuLook::unknown;
    bench.run(10);
    EXPECT_EQ(bench.share().sharing, GpuSharing::not_on_it);
    EXPECT_EQ(bench.share().energy.split.workload_joules, 0);
  }
}

TEST(GpuAccounts, AWorkloadThatLeftBeforeTheEndWasOnItAllTheSame) {
  Bench bench = one_gpu();
  bench.gpu(0)->use_look = GpuLook::unknown;
  bench.gpu(0)->holders = {{1, 0, 1}};
  bench.run(5);
  bench.gpu(0)->holders.clear();
  bench.run(5);
  EXPECT_EQ(bench.share().sharing, GpuSharing::sole_user);
}

TEST(GpuAccounts, WhereNothingIsToldTheWholeDeviceIsTaken) {
  Bench bench = one_gpu();
  bench.gpu(0)->use_look = bench.gpu(0)->presence_look = GpuLook::unknown;
  bench.run(10);
  EXPECT_EQ(bench.share().sharing, GpuSharing::whole_unknown);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1100, 1e-6);
}

TEST(GpuAccounts, InAContainerWithItsOwnNumbersNothingIsToldUntilAProcessMatches) {
  Bench bench = one_gpu();
  bench.owner.hosts_numbers = false;
  bench.gpu(0)->use = {{70001, 0, 0.9}};
  bench.run(10);
  EXPECT_EQ(bench.share().sharing, GpuSharing::whole_unknown);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1100, 1e-6);

  Bench matching = one_gpu();
  matching.owner.hosts_numbers = false;
  matching.gpu(0)->use = {{1, 0, 0.3}, {9, 0, 0.3}};
  matching.run(10);
  EXPECT_EQ(matching.share().sharing, GpuSharing::process_use);
  EXPECT_NEAR(matching.share().energy.split.workload_joules, 550, 1e-6);
}

TEST(GpuAccounts, MigIsSharedByTheSizeOfInstancesInUse) {
  Bench bench = one_gpu();
  bench.gpu(0)->facts_.mig = true;
  bench.gpu(0)->use_look = GpuLook::unknown;
  // The third instance is empty.
  bench.gpu(0)->holders = {{1, 0, 0.6}, {7, 1, 0.2}};
  bench.run(10);
  EXPECT_EQ(bench.share().sharing, GpuSharing::mig_instance);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1100 * 0.75, 1e-6);
}

TEST(GpuAccounts, ShortRunsGoByWhoHoldsIt) {
  Bench bench = one_gpu();
  bench.gpu(0)->holders = {{1, 0, 1}};
  bench.run(0.7);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 77, 1e-6);
}

TEST(GpuAccounts, AGapBetweenTwoLooksIsNoIdleTime) {
  Bench bench = one_gpu();
  bench.gpu(0)->use = {{1, 0, 1}};
  bench.run(5);
  bench.gpu(0)->use.clear();
  bench.run(1);
  bench.gpu(0)->use = {{1, 0, 1}};
  bench.run(4);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1100, 1e-6);
  bench.gpu(0)->use.clear();
  bench.watts["gpu"] = 10;
  bench.run(10);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 1110, 1) << "one look is held, the rest is idle";
}

TEST(GpuAccounts, ADeviceThatDoesNotAnswerGoesOnAsBefore) {
  Bench bench = one_gpu();
  bench.gpu(0)->use = {{1, 0, 0.5}, {7, 0, 0.5}};
  bench.run(5);
  bench.gpu(0)->use_look = GpuLook::failed;
  bench.run(5);
  EXPECT_NEAR(bench.share().energy.split.workload_joules, 550, 1e-6);
}

TEST(GpuAccounts, AGpuInsideAWallMeterIsTakenOutOfIt) {
  Bench bench;
  bench.add_source("wall", power::Scope::wall);
  bench.add_gpu("gpu", "wall");
  bench.watts["wall"] = 200;
  bench.watts["gpu"] = 110;
  bench.run(10);
  EXPECT_NEAR(bench.machine_joules, 2000, 1e-6);
  EXPECT_NEAR(bench.rest_joules, 900, 1e-6);
}

TEST(GpuAccounts, ACpuInsideAGpusModuleIsSharedByCpuTime) {
  Bench bench;
  bench.add_source("module", power::Scope::board);
  bench.add_source("cpu", power::Scope::package, "module");
  bench.attach_gpu("module");
  bench.watts["module"] = 600;
  bench.watts["cpu"] = 150;
  bench.gpu(0)->use = {{1, 0, 1}};
  bench.run(10);
  EXPECT_NEAR(bench.machine_joules, 6000, 1e-6);
  EXPECT_NEAR(bench.rest_joules, 1500, 1e-6);
  EXPECT_NEAR(bench.share().energy.split.machine_joules, 4500, 1e-6);
}

TEST(GpuAccounts, AModuleThatReadsLessThanItsGpuGivesWayToIt) {
  for (const double seconds : {3, 20}) {
    for (const double module_watts : {80, 200, 350}) {
      Bench bench;
      bench.add_source("module", power::Scope::board);
      bench.add_gpu("gpu", "module");
      bench.watts["module"] = module_watts;
      bench.watts["gpu"] = 400;
      bench.run(seconds);
      bench.settle();
      EXPECT_NEAR(bench.machine_joules, seconds * 400, 1e-6);
      EXPECT_NEAR(bench.rest_joules, 0, 1e-6);
      EXPECT_NEAR(bench.share().energy.split.machine_joules, seconds * 400, 1e-6);
    }
  }
}

double fraction() {
  return *rc::gen::inRange(0, 1001) / 1000.0;
}

TEST(GpuAccountsProperty, GroupsConserve) {
  EXPECT_TRUE(rc::check("active + idle + other is each GPU's energy, and with the rest the machine's", [] {
    Bench bench;
    const bool inside = *rc::gen::inRange(0, 2) == 1;
    // It may read less than what is inside it.
    const double host_share = *rc::gen::inRange(0, 2) == 1 ? 1 : fraction();
    bench.add_source("host", power::Scope::wall);
    const int count = *rc::gen::inRange(1, 5);
    for (int i = 0; i < count; ++i) bench.add_gpu("gpu" + std::to_string(i), inside ? "host" : "");
    bench.start();
    const int steps = *rc::gen::inRange(1, 20);
    for (int step = 0; step < steps; ++step) {
      double gpus = 0;
      for (int i = 0; i < count; ++i) {
        bench.watts["gpu" + std::to_string(i)] = 500 * fraction();
        gpus += bench.watts["gpu" + std::to_string(i)];
        FakeGpu& gpu = *bench.gpu(static_cast<std::size_t>(i));
        gpu.use_look = static_cast<GpuLook>(*rc::gen::element(0, 2, 3));
        gpu.presence_look = static_cast<GpuLook>(*rc::gen::element(1, 2, 3));
        gpu.use.clear();
        gpu.holders.clear();
        for (int process = 0; process < *rc::gen::inRange(0, 4); ++process) {
          gpu.use.push_back({*rc::gen::inRange(1, 5), 0, fraction()});
          gpu.holders.push_back({*rc::gen::inRange(1, 5), *rc::gen::inRange(0, 3), fraction()});
        }
      }
      bench.watts["host"] = host_share * (inside ? gpus : 0) + 100 * fraction();
      bench.run(2 * fraction());
    }
    bench.accounts->finish();
    bench.settle();
    const double idle_watts = 600 * fraction();
    for (const IdlePolicy policy : {IdlePolicy::none, IdlePolicy::proportional, IdlePolicy::all}) {
      double sum = bench.rest_joules;
      for (const GpuShare& share : bench.accounts->shares(policy, [&](const auto&) { return idle_watts; })) {
        const EnergySplit& split = share.energy.split;
        const double scale = 1e-9 * std::max(1.0, bench.machine_joules);
        RC_ASSERT(split.active_joules >= 0);
        RC_ASSERT(split.other_active_joules >= 0);
        RC_ASSERT(split.idle_joules >= 0);
        RC_ASSERT(split.workload_joules <= split.machine_joules + scale);
        RC_ASSERT(split.residual_joules <= scale);
        RC_ASSERT(share.workload_seconds <= share.busy_seconds * (1 + 1e-9));
        sum += split.machine_joules;
      }
      RC_ASSERT(std::abs(sum - bench.machine_joules) <= 1e-6 * std::max(1.0, bench.machine_joules));
    }
  }));
}

}  // namespace
}  // namespace joulery::meter
