#include "meter/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "meter/command_line.hpp"
#include "meter/figures.hpp"
#include "meter/footprint_figures.hpp"
#include "meter/gpu_figures.hpp"
#include "meter/redaction.hpp"
#include "meter/series_recorder.hpp"
#include "meter/workload_processes.hpp"
#include "power/machine_load.hpp"
#include "power/power_model.hpp"
#include "power/probe.hpp"
#include "record/spool.hpp"

namespace joulery::meter {
namespace {

/// How often the run so far is written, so that a killed meter leaves figures behind.
constexpr std::int64_t kCheckpointNs = 30 * kNanosecondsPerSecond;

LaunchError launch_error(Error error) {
  return {.error = std::move(error), .exit_code = 125};
}

/// What a run is called if nobody gave it a name: the program, or the script or module that an interpreter
/// runs.
std::string program_name(const std::vector<std::string>& arguments) {
  const auto base = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  std::string program = base(arguments.front());
  for (const char* interpreter : {"python", "bash", "sh", "node", "ruby", "perl", "Rscript", "julia"}) {
    if (program.rfind(interpreter, 0) != 0) continue;
    if (arguments.size() > 2 && arguments[1] == "-m") return arguments[2];
    if (arguments.size() > 1 && !arguments[1].empty() && arguments[1].front() != '-')
      return base(arguments[1]);
  }
  return program;
}

/// Everything that goes on between the command's start and its end.
class Session final : public SupervisorObserver {
 public:
  Session(const Machine& machine, const SessionOptions& options, SessionObserver* observer)
      : machine_(machine), options_(options), observer_(observer) {}

  LaunchResult<SessionResult> run(Supervisor& supervisor);

  void on_tick(std::uint64_t missed) override {
    result_.missed_ticks += missed;
    tick();
  }
  void on_child_exit(const ChildResult& child) override {
    result_.child = child;
    command_end_ns_ = machine_.clock.monotonic_ns();
    tick();
  }

 private:
  LaunchResult<void> meter(Supervisor& supervisor);
  void open_sensors();
  void open_gpus();
  void describe_run();
  void list_devices();
  /// After the sampler's tick.
  power::MachineLoad read_load();
  void start_windows();
  void begin_record();
  /// The run as it stands, into the spool.
  Status record_run(const record::Run& run);
  void tick();
  void write_sample(std::int64_t boottime_ns);
  void checkpoint(std::int64_t boottime_ns);
  void finish(const SupervisionResult& supervision);
  void end_record();
  /// Of all but the GPUs.
  IdlePower rest_idle_power() const;
  std::optional<double> measured_idle_watts(const std::string& devices) const;
  std::vector<GpuShare> gpu_shares(IdlePolicy policy) const;
  void conclude_gpus(MeteredRun& result) const;
  /// The workload's share of idle, whatever the run's own policy.
  double proportional_idle_joules(const MeteredRun& result) const;
  void conclude(MeteredRun& result) const;

  const Machine& machine_;
  const SessionOptions& options_;
  SessionObserver* observer_;
  MeteredRun result_;

  std::unique_ptr<power::Sampler> sampler_;
  std::unique_ptr<power::MachineLoadReader> load_;
  /// Of the model among the sampler's sources, which reads the same counter anyway.
  const power::MachineLoad* model_load_ = nullptr;
  power::MachineIdentity identity_;
  std::optional<double> model_idle_watts_;
  AttributionChoice attribution_;
  /// Of all but the GPUs, which have accounts of their own.
  EnergyAccount account_;
  std::vector<std::shared_ptr<power::GpuDevice>> gpu_devices_;
  std::unique_ptr<WorkloadProcesses> processes_;
  /// Null on a machine without GPUs.
  std::unique_ptr<GpuAccounts> gpus_;
  power::MachineLoad last_load_;
  power::MachineLoad first_load_;
  WorkloadUsage last_usage_;
  std::int64_t start_monotonic_ns_ = 0;
  std::int64_t last_boottime_ns_ = 0;
  std::int64_t command_end_ns_ = 0;
  std::int64_t last_checkpoint_ns_ = 0;
  std::optional<record::SpoolWriter> spool_;
  Status last_state_written_;
  std::vector<record::Device> devices_;
  std::optional<SeriesRecorder> series_;
  /// Ticks put together to the next sample, one per series.
  std::vector<record::PowerSample> samples_;
  std::int64_t sample_after_ns_ = 0;
  std::int64_t last_sample_ns_ = 0;
};

void Session::open_sensors() {
  if (auto identity = power::read_machine_identity(machine_.sensors)) identity_ = std::move(*identity);
  power::ProbeReport report = power::probe(machine_.sensors, machine_.system_calls, machine_.nvml);
  auto sources = power::choose_sources(report);
  gpu_devices_ = std::move(report.gpus);
  if (sources.empty()) {
    result_.warnings.push_back({"nothing on this machine tells or models power; only times are measured",
                                "`joulery doctor` says what was tried"});
  }
  const bool modelled = std::any_of(sources.begin(), sources.end(), [](const auto& source) {
    return source->info().scope == power::Scope::machine_model;
  });
  if (modelled) model_idle_watts_ = power::make_power_model(identity_).idle();
  for (const auto& source : sources) {
    if (model_load_ == nullptr) model_load_ = power::last_load_of(*source);
  }
  sampler_ = std::make_unique<power::Sampler>(std::move(sources), machine_.clock);
  if (auto load = power::MachineLoadReader::open(
          machine_.sensors, modelled ? power::LoadExtent::slice : power::LoadExtent::machine)) {
    load_ = std::move(*load);
    result_.load_via = load_->via();
    result_.machine_cpus = load_->cpu_count();
  } else {
    result_.warnings.push_back({"can't read the machine's load: " + load.error().message,
                                "all active energy is taken to be the workload's"});
  }
}

/// Before the first window.
void Session::open_gpus() {
  if (gpu_devices_.empty()) return;
  auto processes = WorkloadProcesses::open(machine_.root, *attribution_.attribution);
  if (!processes) {
    result_.warnings.push_back({"GPUs are not shared by process: " + processes.error().message,
                                "their energy is shared by CPU time"});
    return;
  }
  processes_ = std::move(*processes);
  gpus_ = std::make_unique<GpuAccounts>(*sampler_, std::move(gpu_devices_), *processes_, machine_.clock);
  if (gpus_->empty()) gpus_.reset();
}

power::MachineLoad Session::read_load() {
  if (model_load_ != nullptr) return *model_load_;
  return load_ ? load_->read() : power::MachineLoad{};
}

void Session::start_windows() {
  last_usage_ = attribution_.attribution->read();
  sampler_->start();
  open_gpus();
  if (gpus_) gpus_->start();
  first_load_ = last_load_ = read_load();
  record::Run& run = result_.run;
  run.start_utc_ns = machine_.clock.realtime_ns();
  run.start_boottime_ns = last_boottime_ns_ = last_checkpoint_ns_ = machine_.clock.boottime_ns();
  start_monotonic_ns_ = machine_.clock.monotonic_ns();
}

void Session::describe_run() {
  record::Run& run = result_.run;
  run.id = options_.run_id;
  run.experiment = options_.experiment;
  run.user = options_.user;
  run.tags = options_.tags;
  result_.host = read_host_facts(machine_.sensors, machine_.clock, identity_);
  run.host_id = result_.host.host.id;
  run.boot_id = result_.host.boot.id;
  const auto safe = redact_arguments(options_.command.arguments);
  const std::string& program = options_.command.arguments.front();
  constexpr std::size_t kLongestOwnName = 250;
  run.name = options_.name.empty()
                 ? printable(program_name(options_.command.arguments)).substr(0, kLongestOwnName)
                 : options_.name;
  run.tags["mlflow.runName"] = run.name;
  run.tags["mlflow.user"] = run.user;
  run.tags["mlflow.source.type"] = "LOCAL";
  run.tags["mlflow.source.name"] = printable(program);
  constexpr std::size_t kLongestCommand = 4000;
  std::string command = command_line(safe);
  if (command.size() > kLongestCommand) command = command.substr(0, kLongestCommand) + " …";
  run.tags["joulery.command"] = std::move(command);
  if (options_.per) {
    run.tags["joulery.per"] = fmt::format("{} {}", options_.per->count, options_.per->unit);
  }
}

void Session::list_devices() {
  // What is shared out is no better known than what there is to share.
  Provenance shared = Provenance::derived;
  for (std::size_t i = 0; i < sampler_->device_count(); ++i) {
    const power::SourceInfo& info = sampler_->device(i);
    if (sampler_->is_root(i)) shared = std::max(shared, info.provenance);
    devices_.push_back({.id = info.device_id,
                        .host_id = result_.host.host.id,
                        .name = info.name,
                        .scope = power::scope_name(info.scope),
                        .via = info.via,
                        .parent_id = info.parent_id,
                        .provenance = provenance_name(info.provenance),
                        .accuracy_low = info.accuracy_low,
                        .accuracy_high = info.accuracy_high,
                        .accuracy_basis = info.accuracy_basis});
  }
  devices_.push_back(
      {.id = shared == Provenance::derived ? record::kDerivedWorkloadDevice : record::kModelledWorkloadDevice,
       .host_id = result_.host.host.id,
       .name = "workload",
       .scope = "workload",
       .via = std::string("share of busy time: ") + tier_name(attribution_.attribution->tier()),
       .parent_id = {},
       .provenance = provenance_name(shared),
       .accuracy_basis = {}});
}

void Session::begin_record() {
  describe_run();
  list_devices();
  result_.run.start_utc_ns = machine_.clock.realtime_ns();
  last_sample_ns_ = result_.run.start_boottime_ns = machine_.clock.boottime_ns();
  samples_.resize(devices_.size());
  // Half a tick early is on time.
  const double period_seconds = 1 / options_.hz;
  sample_after_ns_ =
      static_cast<std::int64_t>(1e9 * (period_seconds - 0.5 * std::min(period_seconds, 1 / kSlowestTickHz)));
  if (!options_.spool_folder.empty()) {
    auto spool = record::SpoolWriter::create(options_.spool_folder, result_.run.id, options_.spool_tag);
    if (spool) spool_.emplace(std::move(*spool));
    const Status written = spool ? record_run(result_.run) : Status(std::unexpected(spool.error()));
    if (!written) {
      result_.warnings.push_back(
          {"the run can't be recorded: " + written.error().message, written.error().hint});
      spool_.reset();
    }
  }
  std::vector<std::string> ids;
  ids.reserve(devices_.size());
  for (const record::Device& device : devices_) ids.push_back(device.id);
  series_.emplace(spool_ ? &*spool_ : nullptr, std::move(ids), last_sample_ns_);
}

Status Session::record_run(const record::Run& run) {
  return spool_->write_run(run, result_.host.host, result_.host.boot, devices_);
}

void Session::tick() {
  const power::Tick& tick = sampler_->tick();
  const power::MachineLoad load = read_load();
  const WorkloadUsage usage = attribution_.attribution->read();
  Window window;
  window.seconds = tick.window_seconds;
  window.end_seconds = double(tick.boottime_ns) / 1e9;
  window.machine_joules = tick.machine_joules - tick.late_joules;
  if (usage.valid) window.workload_seconds = std::max(0.0, usage.cpu_seconds - last_usage_.cpu_seconds);
  if (load.valid && last_load_.valid)
    window.busy_seconds = std::max(0.0, load.busy_seconds - last_load_.busy_seconds);
  const double machine_joules = window.machine_joules;
  GpuAccounts::Rest rest{.joules = window.machine_joules, .late_joules = tick.late_joules};
  if (gpus_) rest = gpus_->add(tick);
  window.machine_joules = rest.joules;
  account_.set_peak_seconds(sampler_->peak_seconds());
  account_.add(window);
  account_.add_late(rest.late_joules);
  ++result_.ticks;
  const double busy = std::max(window.busy_seconds, window.workload_seconds);
  const double share = busy > 0 ? window.workload_seconds / busy : 0;
  if (window.seconds > 0) {
    const double watts = machine_joules / window.seconds;
    if (observer_ != nullptr) {
      observer_->on_live(
          {.elapsed_seconds = double(machine_.clock.monotonic_ns() - start_monotonic_ns_) / 1e9,
           .modelled = model_load_ != nullptr,
           .energy_known = account_.machine_joules() > 0,
           .machine_watts = watts,
           .workload_joules = account_.split(0, IdlePolicy::proportional).workload_joules +
                              (gpus_ ? gpus_->workload_joules() : 0),
           .workload_cpus = window.workload_seconds / window.seconds});
    }
  }
  if (series_ && tick.boottime_ns > last_boottime_ns_) {
    for (std::size_t i = 0; i < tick.devices.size(); ++i) {
      // Late energy would be a spike that nothing drew.
      samples_[i].joules += std::max(0.0, tick.devices[i].joules - tick.devices[i].late_joules);
      samples_[i].flags |= tick.devices[i].flags;
    }
    samples_.back().joules += rest.joules * share + rest.workload_joules;
    if (tick.boottime_ns - last_sample_ns_ >= sample_after_ns_) write_sample(tick.boottime_ns);
    checkpoint(tick.boottime_ns);
  }
  last_boottime_ns_ = std::max(last_boottime_ns_, tick.boottime_ns);
  if (load.valid) last_load_ = load;
  if (usage.valid) {
    result_.peak_memory_bytes = std::max(result_.peak_memory_bytes, usage.peak_memory_bytes);
    last_usage_ = usage;
  }
}

void Session::write_sample(std::int64_t boottime_ns) {
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    samples_[i].boottime_ns = boottime_ns;
    series_->add(i, samples_[i]);
    samples_[i] = {};
  }
  last_sample_ns_ = boottime_ns;
}

void Session::checkpoint(std::int64_t boottime_ns) {
  if (!spool_ || boottime_ns - last_checkpoint_ns_ < kCheckpointNs) return;
  last_checkpoint_ns_ = boottime_ns;
  MeteredRun so_far = result_;
  conclude(so_far);
  so_far.run.end_utc_ns = 0;
  // A failure shows again at the end, where it is reported.
  static_cast<void>(record_run(so_far.run));
}

IdlePower Session::rest_idle_power() const {
  if (model_idle_watts_) return known_idle_power(*model_idle_watts_, "power model");
  if (const auto watts = measured_idle_watts(root_device_ids(*sampler_)))
    return known_idle_power(*watts, "measured while the machine was quiet (joulery doctor)");
  return bounded_idle_power(account_);
}

std::optional<double> Session::measured_idle_watts(const std::string& devices) const {
  return options_.load_idle_watts ? options_.load_idle_watts(result_.host.host.id, devices) : std::nullopt;
}

std::vector<GpuShare> Session::gpu_shares(IdlePolicy policy) const {
  if (!gpus_) return {};
  return gpus_->shares(policy, [&](const std::string& device_id) { return measured_idle_watts(device_id); });
}

void Session::conclude_gpus(MeteredRun& result) const {
  for (GpuShare& share : gpu_shares(options_.idle)) {
    result.split += share.energy.split;
    result.idle_watts += share.energy.idle.watts;
    result.idle_watts_low += share.energy.idle.low_watts;
    result.idle_watts_high += share.energy.idle.high_watts;
    result.idle_basis += fmt::format("; {}: {}", share.name, share.energy.idle.basis);
    result.gpus.push_back({.share = std::move(share), .energy_machine = {}, .energy = {}, .basis = {}});
  }
}

double Session::proportional_idle_joules(const MeteredRun& result) const {
  double joules = account_.split(result.rest.idle.watts, IdlePolicy::proportional).idle_share_joules;
  for (const GpuShare& share : gpu_shares(IdlePolicy::proportional))
    joules += share.energy.split.idle_share_joules;
  return joules;
}

/// Figures of everything up to now: at a checkpoint what a kill would leave, at the end what is reported.
void Session::conclude(MeteredRun& result) const {
  record::Run& run = result.run;
  run.end_utc_ns = std::max(machine_.clock.realtime_ns(), run.start_utc_ns);
  run.end_boottime_ns = machine_.clock.boottime_ns();
  const std::int64_t end_monotonic_ns = machine_.clock.monotonic_ns();
  const auto seconds_since_start = [&](std::int64_t monotonic_ns) {
    return double(monotonic_ns - start_monotonic_ns_) / 1e9;
  };
  result.duration_seconds = seconds_since_start(end_monotonic_ns);
  result.command_seconds = seconds_since_start(command_end_ns_ > 0 ? command_end_ns_ : end_monotonic_ns);
  result.suspended_seconds =
      std::max(0.0, double(run.end_boottime_ns - run.start_boottime_ns) / 1e9 - result.duration_seconds);
  result.cpu_seconds = last_usage_.valid ? last_usage_.cpu_seconds : result.child.cpu_seconds();
  result.machine_busy_seconds = std::max(account_.busy_seconds(), result.cpu_seconds);
  if (first_load_.valid) {
    result.steal_seconds = std::max(0.0, last_load_.steal_seconds - first_load_.steal_seconds);
  }
  result.peak_memory_bytes = std::max(result.peak_memory_bytes, result.child.peak_memory_bytes);
  result.tier = attribution_.attribution->tier();
  result.can_miss = attribution_.attribution->can_miss();
  result.skipped_tiers = attribution_.skipped;
  result.per = options_.per;
  result.hz = options_.hz;
  result.idle_policy = options_.idle;
  result.rest = split_account(account_, rest_idle_power(), options_.idle);
  result.split = result.rest.split;
  result.idle_watts = result.rest.idle.watts;
  result.idle_watts_low = result.rest.idle.low_watts;
  result.idle_watts_high = result.rest.idle.high_watts;
  result.idle_basis = result.rest.idle.basis;
  conclude_gpus(result);
  result.machine_peak_seconds = std::min(account_.peak_seconds(), result.duration_seconds);
  if (result.duration_seconds > 0) {
    result.machine_peak_watts = std::max(gpus_ ? gpus_->machine_peak_watts() : account_.peak_watts(),
                                         result.split.machine_joules / result.duration_seconds);
  }
  fill_figures(*sampler_, result);
  const Quantity<Joules> parts = result.energy_active + result.energy_other_active + result.energy_idle;
  result.split.residual_joules = std::abs(result.energy_machine.value() - parts.value());
  fill_footprint(options_.footprint, read_hardware(machine_.sensors, identity_, result),
                 proportional_idle_joules(result), result);
  add_warnings(*sampler_, result);
  add_gpu_warnings(result);
  fill_record(result);
  record_footprint(result);
}

void Session::finish(const SupervisionResult& supervision) {
  result_.child = supervision.child;
  result_.left_running = supervision.left_running;
  result_.waited_for_tree = supervision.wait == WaitMode::tree;
  result_.interrupted_by = supervision.interrupted_by;
  tick();
  if (gpus_) gpus_->finish();
  const double settled = sampler_->settle();
  account_.add_late(gpus_ ? gpus_->settle(settled) : settled);
  record::Run& run = result_.run;
  run.status = result_.child.shell_code() == 0 ? record::RunStatus::finished : record::RunStatus::failed;
  if (result_.child.signal != 0) run.status = record::RunStatus::killed;
  conclude(result_);
  if (spool_) end_record();
}

void Session::end_record() {
  if (last_sample_ns_ < last_boottime_ns_) write_sample(last_boottime_ns_);
  series_->flush();
  if (const auto& failure = series_->failure()) {
    result_.warnings.push_back(
        {"the power series of this run is not complete: " + failure->message, failure->hint});
  }
  last_state_written_ = record_run(result_.run);
}

LaunchResult<SessionResult> Session::run(Supervisor& supervisor) {
  auto metered = meter(supervisor);
  if (attribution_.attribution) attribution_.attribution->finish();
  if (!metered) return std::unexpected(std::move(metered.error()));
  return SessionResult{.run = std::move(result_),
                       .devices = std::move(devices_),
                       .spool = std::move(spool_),
                       .last_state_written = std::move(last_state_written_)};
}

LaunchResult<void> Session::meter(Supervisor& supervisor) {
  const AttributionOptions attribution_options{.root = machine_.root,
                                               .clock = machine_.clock,
                                               .system_calls = machine_.system_calls,
                                               .short_id = options_.run_id.substr(20),
                                               .library_directory = machine_.library_directory,
                                               .only = options_.only_tier,
                                               .systemd_bus_address = options_.systemd_bus_address};
  auto choice = make_attribution(attribution_options);
  if (!choice) return std::unexpected(launch_error(choice.error()));
  attribution_ = std::move(*choice);
  auto child =
      HeldChild::create(options_.command, options_.signals, attribution_.attribution->cgroup_descriptor());
  if (!child) return std::unexpected(child.error());
  if (const Status adopted = adopt(attribution_, attribution_options, child->pid()); !adopted) {
    return std::unexpected(launch_error(adopted.error()));
  }
  open_sensors();
  begin_record();
  start_windows();
  if (auto released = child->release(); !released) {
    // Nothing ran, so there is nothing to recover.
    if (spool_) ::unlink(spool_->path().c_str());
    return std::unexpected(released.error());
  }
  auto supervision = supervisor.run(*child, *attribution_.attribution, *this);
  if (!supervision) return std::unexpected(launch_error(supervision.error()));
  finish(*supervision);
  return {};
}

}  // namespace

LaunchResult<SessionResult> run_session(const Machine& machine, const SessionOptions& options,
                                        Supervisor& supervisor, SessionObserver* observer) {
  return Session(machine, options, observer).run(supervisor);
}

}  // namespace joulery::meter
