#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/clock.hpp"
#include "base/test_folder.hpp"
#include "fake_systemd.hpp"
#include "meter/cgroup.hpp"
#include "meter/metered_command.hpp"

namespace joulery::meter {
namespace {

namespace fs = std::filesystem;

class SystemdScopeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(JOULERY_DBUS_DAEMON).empty()) GTEST_SKIP() << "dbus-daemon is not installed";
  }
  void start(FakeBehaviour behaviour) {
    const SystemRoot root("/");
    const auto folder = own_cgroup_folder(root);
    const auto path = parse_unified_path(root.read_text("/proc/self/cgroup").value_or(""));
    std::string parent = path.value_or("/");
    if (parent == "/") parent.clear();
    fake_ = FakeSystemd::start(behaviour, folder.value_or("/nowhere"), parent);
    ASSERT_NE(fake_, nullptr);
  }
  MeteredCommand command(std::vector<std::string> arguments) const {
    MeteredCommand result;
    result.arguments = std::move(arguments);
    result.tier = Tier::systemd_scope;
    result.library_directory = JOULERY_LIBRARIES;
    result.bus_address = fake_ ? fake_->address() : "unix:path=" + folder_.path("nobody");
    return result;
  }
  /// The reason why the tier can't be used for `true`.
  std::string reason() const {
    const auto metered = run_metered(command({"true"}));
    return metered.has_value() ? "it works" : metered.error().message;
  }
  TestFolder folder_;
  std::unique_ptr<FakeSystemd> fake_;
};

TEST_F(SystemdScopeTest, MetersInAScopeThatVanishesWithItsLastProcess) {
  if (!own_cgroup_folder(SystemRoot("/")).has_value() || ::geteuid() != 0)
    GTEST_SKIP() << "needs a cgroup to make others in";
  start(FakeBehaviour::works);
  const std::string truth = folder_.path("truth");
  const auto metered = run_metered(
      command({std::string(JOULERY_WORKLOADS) + "/workload_forking_tree", truth, "0.03", "2", "2"}));
  ASSERT_TRUE(metered.has_value()) << metered.error().message;
  EXPECT_EQ(metered->tier, Tier::systemd_scope);
  EXPECT_EQ(metered->supervision.child.shell_code(), 0);
  std::ifstream file(truth);
  double told = 0;
  for (double nanoseconds = 0; file >> nanoseconds;) told += nanoseconds * 1e-9;
  EXPECT_GT(told, 7 * 0.03);
  EXPECT_GE(metered->usage.cpu_seconds, 0.98 * told);
  EXPECT_LE(metered->usage.cpu_seconds, 1.05 * told + 0.05);
  EXPECT_TRUE(metered->usage.valid);
  EXPECT_TRUE(metered->never_decreased);
}

TEST_F(SystemdScopeTest, TheFakeRemovesWhatKilledTestsLeftAndNothingElse) {
  const pid_t dead = ::fork();
  ASSERT_GE(dead, 0);
  if (dead == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(dead, nullptr, 0), dead);
  const auto scope = [&](const std::string& name) {
    fs::create_directory(folder_.path(name));
    return folder_.path(name);
  };
  const std::string left = scope("joulery-" + std::to_string(dead) + "-test.scope");
  const std::string of_a_user = scope("joulery-" + std::to_string(dead) + "-0a1b.scope");
  const std::string of_another_test = scope("joulery-" + std::to_string(::getppid()) + "-test.scope");
  const std::string foreign = scope("joulery-12x-test.scope");
  fake_ = FakeSystemd::start(FakeBehaviour::absent, folder_.path(), "");
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(of_a_user));
  EXPECT_TRUE(fs::exists(of_another_test));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(SystemdScopeTest, RefusalIsAReason) {
  start(FakeBehaviour::denies);
  EXPECT_NE(reason().find("Access denied by the fake"), std::string::npos) << reason();
}

TEST_F(SystemdScopeTest, FailedJobIsAReason) {
  start(FakeBehaviour::job_fails);
  EXPECT_NE(reason().find("failed"), std::string::npos) << reason();
}

TEST_F(SystemdScopeTest, SilenceEndsWithinTheTimeout) {
  for (const auto behaviour : {FakeBehaviour::never_answers, FakeBehaviour::job_hangs}) {
    start(behaviour);
    const std::int64_t begin = SystemClock().monotonic_ns();
    EXPECT_NE(reason().find("no answer in time"), std::string::npos) << reason();
    // Twice the two seconds, as `reason` may have been asked again; sd-bus on its own would wait 25 s.
    EXPECT_LT(SystemClock().monotonic_ns() - begin, 15 * kNanosecondsPerSecond);
    fake_.reset();
  }
}

TEST_F(SystemdScopeTest, ScopeWithoutCgroupIsAReason) {
  start(FakeBehaviour::gives_no_cgroup);
  EXPECT_NE(reason().find("ControlGroup"), std::string::npos) << reason();
}

TEST_F(SystemdScopeTest, BusWithoutSystemdIsAReason) {
  start(FakeBehaviour::absent);
  EXPECT_NE(reason().find("nobody owns"), std::string::npos) << reason();
}

TEST_F(SystemdScopeTest, NoBusIsAReason) {
  EXPECT_NE(reason().find("D-Bus"), std::string::npos) << reason();
}

TEST_F(SystemdScopeTest, MissingPluginIsAReason) {
  auto missing = command({"true"});
  missing.library_directory = folder_.path();
  const auto metered = run_metered(missing);
  ASSERT_FALSE(metered.has_value());
  EXPECT_NE(metered.error().message.find("not installed"), std::string::npos) << metered.error().message;
}

TEST_F(SystemdScopeTest, PluginOfAnotherVersionIsRefused) {
  auto foreign = command({"true"});
  foreign.library_directory = JOULERY_FOREIGN_PLUGIN;
  const auto metered = run_metered(foreign);
  ASSERT_FALSE(metered.has_value());
  EXPECT_NE(metered.error().message.find("interface 99"), std::string::npos) << metered.error().message;
}

TEST_F(SystemdScopeTest, WithoutAForcedTierARefusalGoesOnToTheNextOne) {
  start(FakeBehaviour::denies);
  const SystemRoot root("/");
  const SystemClock clock;
  AttributionOptions options{.root = root,
                             .clock = clock,
                             .system_calls = kernel_calls(),
                             .short_id = "next",
                             .library_directory = JOULERY_LIBRARIES,
                             .only = Tier::systemd_scope,
                             .systemd_bus = SystemdBus::automatic,
                             .systemd_bus_address = fake_->address(),
                             .systemd_timeout_seconds = 2};
  auto choice = make_attribution(options);
  ASSERT_TRUE(choice.has_value()) << choice.error().message;
  options.only.reset();
  ASSERT_TRUE(adopt(*choice, options, ::getpid()).has_value());
  EXPECT_GT(choice->attribution->tier(), Tier::systemd_scope);
  ASSERT_FALSE(choice->skipped.empty());
  EXPECT_EQ(choice->skipped.front().tier, Tier::systemd_scope);
  EXPECT_NE(choice->skipped.front().reason.find("Access denied"), std::string::npos);
}

}  // namespace
}  // namespace joulery::meter
