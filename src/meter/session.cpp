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
#include "meter/workload_meter.hpp"
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
  void describe_run();
  void list_devices();
  void begin_record();
  /// The run as it stands, into the spool.
  Status record_run(const record::Run& run);
  void tick();
  void write_sample(std::int64_t boottime_ns);
  void checkpoint(std::int64_t boottime_ns);
  void finish(const SupervisionResult& supervision);
  void end_record();
  void conclude(MeteredRun& result) const;

  const Machine& machine_;
  const SessionOptions& options_;
  SessionObserver* observer_;
  MeteredRun result_;

  AttributionChoice attribution_;
  std::optional<WorkloadMeter> meter_;
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

void Session::describe_run() {
  record::Run& run = result_.run;
  run.id = options_.run_id;
  run.experiment = options_.experiment;
  run.user = options_.user;
  run.tags = options_.tags;
  result_.host = read_host_facts(machine_.sensors, machine_.clock, meter_->identity());
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
  const power::Sampler& sampler = meter_->sampler();
  for (std::size_t i = 0; i < sampler.device_count(); ++i) {
    const power::SourceInfo& info = sampler.device(i);
    if (sampler.is_root(i)) shared = std::max(shared, info.provenance);
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
  const WorkloadMeter::Look look = meter_->tick(result_);
  const power::Tick& tick = look.tick;
  if (observer_ != nullptr && tick.window_seconds > 0) observer_->on_live(meter_->live(look));
  if (series_ && tick.boottime_ns > last_boottime_ns_) {
    for (std::size_t i = 0; i < tick.devices.size(); ++i) {
      // Late energy would be a spike that nothing drew.
      samples_[i].joules += std::max(0.0, tick.devices[i].joules - tick.devices[i].late_joules);
      samples_[i].flags |= tick.devices[i].flags;
    }
    samples_.back().joules += look.workload_joules;
    if (tick.boottime_ns - last_sample_ns_ >= sample_after_ns_) write_sample(tick.boottime_ns);
    checkpoint(tick.boottime_ns);
  }
  last_boottime_ns_ = std::max(last_boottime_ns_, tick.boottime_ns);
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

/// Figures of everything up to now: at a checkpoint what a kill would leave, at the end what is reported.
void Session::conclude(MeteredRun& result) const {
  result.skipped_tiers = attribution_.skipped;
  result.per = options_.per;
  result.hz = options_.hz;
  meter_->conclude(command_end_ns_, result);
  fill_footprint(options_.footprint, read_hardware(machine_.sensors, meter_->identity(), result),
                 meter_->proportional_idle_joules(result), result);
  add_warnings(meter_->sampler(), result);
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
  meter_->settle();
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
  meter_.emplace(machine_, *attribution_.attribution, options_.idle, options_.load_idle_watts);
  meter_->open_sensors(result_);
  begin_record();
  meter_->start(result_);
  last_boottime_ns_ = last_checkpoint_ns_ = result_.run.start_boottime_ns;
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
