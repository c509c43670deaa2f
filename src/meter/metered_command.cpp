#include "meter/metered_command.hpp"

#include "base/clock.hpp"

namespace joulery::meter {
namespace {

class Watcher final : public SupervisorObserver {
 public:
  Watcher(Attribution& attribution, Metered& metered) : attribution_(attribution), metered_(metered) {}
  void on_tick(std::uint64_t missed) override {
    metered_.ticks += 1 + missed;
    look();
  }
  void on_child_exit(const ChildResult&) override { look(); }
  void on_stopped(int) override { ++metered_.stops; }
  void look() {
    const WorkloadUsage usage = attribution_.read();
    if (usage.cpu_seconds < metered_.usage.cpu_seconds) metered_.never_decreased = false;
    metered_.usage = usage;
  }

 private:
  Attribution& attribution_;
  Metered& metered_;
};

MeteredFailure failure(const Error& error) {
  return {error.message + " (" + error.hint + ")", 3};
}

}  // namespace

power::SystemCalls& kernel_calls() {
  return power::real_system_calls();
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  return variables;
}

std::expected<Metered, MeteredFailure> run_metered(const MeteredCommand& command) {
  const InheritedSignals signals = InheritedSignals::capture();
  const SystemRoot root("/");
  const SystemClock clock;
  const AttributionOptions options{.root = root,
                                   .clock = clock,
                                   .system_calls = kernel_calls(),
                                   .short_id = "test",
                                   .library_directory = command.library_directory,
                                   .only = command.tier,
                                   .systemd_bus = SystemdBus::automatic,
                                   .systemd_bus_address = command.bus_address,
                                   .systemd_timeout_seconds = 2};
  auto choice = make_attribution(options);
  if (!choice.has_value()) return std::unexpected(failure(choice.error()));
  auto supervisor = Supervisor::create(command.supervision);
  if (!supervisor.has_value()) return std::unexpected(failure(supervisor.error()));
  const Command program{
      .arguments = command.arguments, .environment = own_environment(), .working_directory = {}};
  auto child = HeldChild::create(program, signals, choice->attribution->cgroup_descriptor());
  if (!child.has_value())
    return std::unexpected(MeteredFailure{child.error().error.message, child.error().exit_code});
  const auto adopted = adopt(*choice, options, child->pid());
  if (!adopted.has_value()) return std::unexpected(failure(adopted.error()));
  const auto released = child->release();
  if (!released.has_value()) {
    return std::unexpected(MeteredFailure{released.error().error.message, released.error().exit_code});
  }
  Metered metered;
  Watcher watcher(*choice->attribution, metered);
  const auto supervision = (*supervisor)->run(*child, *choice->attribution, watcher);
  if (!supervision.has_value()) return std::unexpected(failure(supervision.error()));
  watcher.look();
  metered.supervision = *supervision;
  metered.tier = choice->attribution->tier();
  metered.skipped = std::move(choice->skipped);
  choice->attribution->finish();
  return metered;
}

}  // namespace joulery::meter
