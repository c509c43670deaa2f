#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "power/fake_calls.hpp"
#include "power/fake_tree.hpp"
#include "power/machine_fixture.hpp"
#include "power/probe.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

constexpr double kSeconds = 30;
constexpr double kWindow = 0.5;

const char* role_word(DeviceRole role) {
  switch (role) {
    case DeviceRole::counted:
      return "counted";
    case DeviceRole::part:
      return "part";
    case DeviceRole::mirror:
      return "mirror";
    case DeviceRole::replaced:
      return "replaced";
    case DeviceRole::reported_only:
      return "reported_only";
  }
  return "?";
}

std::string word(std::string text) {
  std::replace(text.begin(), text.end(), ' ', '_');
  return text;
}

/// What the vendor's library would show of the cards.
ProbeResult cards_result(const MachineFixture& machine, std::vector<std::shared_ptr<FakeCounter>>& counters) {
  ProbeResult result;
  result.via = "NVML energy counter";
  for (const MachineFixture::Card& card : machine.cards()) {
    auto counter = std::make_shared<FakeCounter>();
    counter->info.device_id = card.id;
    counter->info.name = card.name;
    counter->info.via = "NVML energy counter";
    counter->info.scope = Scope::gpu;
    counter->info.update_seconds = 0.02;
    counter->info.resolution_joules = 0.001;
    counter->info.max_plausible_watts = 2000;
    // All cards count since the driver was loaded: near each other, and no mirrors.
    counter->value = 50'000;
    counters.push_back(counter);
    result.sources.push_back(std::make_unique<FakeSource>(counter));
  }
  return result;
}

class Machines : public ::testing::TestWithParam<const char*> {};

TEST_P(Machines, TreeAndSumsAreRight) {
  FakeTree tree;
  MachineFixture machine(fmt::format("{}/tests/machines/{}", JOULERY_SOURCE_DIR, GetParam()), tree.path());
  FakeCalls calls;
  calls.open_error = EACCES;
  ProbeReport report = probe(tree.root(), calls);
  std::vector<std::shared_ptr<FakeCounter>> cards;
  if (!machine.cards().empty()) report.results.push_back(cards_result(machine, cards));
  ManualClock clock;
  Sampler sampler(choose_sources(report), clock);
  sampler.start();
  double joules = 0;
  for (double seconds = kWindow; seconds <= kSeconds; seconds += kWindow) {
    clock.advance_seconds(kWindow);
    machine.advance_to(seconds);
    for (std::size_t i = 0; i < cards.size(); ++i) {
      cards[i]->value = 50'000 + machine.cards()[i].watts * seconds;
    }
    joules += sampler.tick().machine_joules;
  }
  joules += sampler.settle();

  std::map<std::string, std::size_t> found;
  for (std::size_t i = 0; i < sampler.device_count(); ++i) found[sampler.device(i).device_id] = i;
  double expected_watts = 0;
  bool exact = true;
  for (const MachineFixture::Expected& device : machine.expected()) {
    SCOPED_TRACE(device.id);
    ASSERT_TRUE(found.contains(device.id));
    const std::size_t index = found[device.id];
    const SourceInfo& info = sampler.device(index);
    EXPECT_EQ(info.parent_id, device.parent);
    EXPECT_EQ(word(info.via), device.via);
    EXPECT_EQ(word(scope_name(info.scope)), device.scope);
    EXPECT_EQ(provenance_name(info.provenance), device.provenance);
    EXPECT_EQ(role_word(sampler.role(index)), device.role);
    const double watts = sampler.total(index).joules / kSeconds;
    if (device.watts < 0) {
      EXPECT_GT(watts, 0);
      exact = false;
    } else {
      EXPECT_NEAR(watts, device.watts, 0.001 * device.watts + 1e-6);
    }
    if (device.role == "counted") expected_watts += device.watts;
    found.erase(device.id);
  }
  for (const auto& [id, index] : found) ADD_FAILURE() << "not expected: " << id;
  if (exact) {
    EXPECT_NEAR(joules / kSeconds, expected_watts, 0.001 * expected_watts);
  } else {
    EXPECT_GT(joules, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Machines,
                         ::testing::Values("laptop_intel", "laptop_amd", "xeon_two_sockets",
                                           "xeon_meter_and_supply", "xeon_two_supplies", "epyc",
                                           "threadripper_mirror", "a100_node", "h100_node", "cloud_vm"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace joulery::power
