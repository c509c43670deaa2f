#include "app/workload.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "app/compared_run.hpp"
#include "app/documents.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

meter::IdlePolicy idle_policy(const std::string& name) {
  if (name == "none") return meter::IdlePolicy::none;
  return name == "all" ? meter::IdlePolicy::all : meter::IdlePolicy::proportional;
}

std::string idle_folder(const Application& application) {
  return application.folders().state + "/idle";
}

/// One file for the machine, and one for each of its GPUs.
std::string idle_file(const Application& application, const std::string& host_id,
                      const std::string& sources) {
  std::string name = host_id;
  if (sources.starts_with("nvml:")) {
    name += '-';
    for (const char c : sources) name += std::string_view(":/").find(c) == std::string_view::npos ? c : '-';
  }
  return fmt::format("{}/{}.toml", idle_folder(application), name);
}

/// A run with all that belongs to it but its power series, which only the spool has.
class PutRun final : public record::Store::TransactionBody {
 public:
  PutRun(const meter::SessionResult& result, const record::Evidence& evidence)
      : result_(result), evidence_(evidence) {}
  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(store.put_host(result_.run.host.host));
    JOULERY_CHECK_OK(store.put_boot(result_.run.host.boot));
    for (const record::Device& device : result_.devices) JOULERY_CHECK_OK(store.put_device(device));
    JOULERY_CHECK_OK(store.put_run(result_.run.run));
    return store.put_evidence(evidence_);
  }

 private:
  const meter::SessionResult& result_;
  const record::Evidence& evidence_;
};

/// Ends the spool file and moves it into the store; without a whole spool file, stores the run straight.
/// Whatever goes wrong becomes a warning: the run itself went well.
bool store_run(Application& application, meter::SessionResult& result, const std::string& document) {
  const record::Evidence evidence{.subject = "run:" + result.run.run.id,
                                  .type = "joulery/run",
                                  .version = 1,
                                  .json = document,
                                  .sha256 = sha256_hex(document),
                                  .created_utc_ns = result.run.run.end_utc_ns};
  std::string path = result.spool ? result.spool->path() : "";
  Status spooled = result.last_state_written;
  if (!result.spool) spooled = environment_error("there is no spool");
  bool document_spooled = false;
  if (spooled) {
    document_spooled = result.spool->write_evidence(evidence).has_value();
    // On a full disk there may be room for the end where there is none for the document.
    spooled = result.spool->write_end();
  }
  // Closes and unlocks the file, so that ingestion may take it.
  if (spooled) result.spool.reset();
  record::IngestReport report;
  Status stored;
  auto store = application.open_store(Application::StoreAccess::read_write, &report);
  if (!store) {
    stored = std::unexpected(store.error());
  } else if (!spooled) {
    PutRun put(result, evidence);
    stored = (*store)->transaction(put);
    if (stored && result.spool) {
      result.run.warnings.push_back(
          {"the power series of this run is lost: " + spooled.error().message, spooled.error().hint});
    }
    // The broken spool file is still locked, so nobody has taken it for a run that was cut off.
    if (stored && !path.empty()) ::unlink(path.c_str());
  }
  if (store && spooled && !document_spooled) stored = (*store)->put_evidence(evidence);
  for (const auto& [kept, reason] : report.kept) {
    if (kept == path) stored = environment_error(reason);
  }
  bool comes_later = true;
  const char* missing = "not in the store";
  for (const record::IngestReport::Refused& refused : report.refused) {
    if (refused.path != path) continue;
    stored = environment_error(refused.reason);
    path = refused.moved_to;
    if (refused.stored_in_part) missing = "only in part in the store";
    comes_later = false;
  }
  result.spool.reset();
  if (stored) return true;
  std::string hint = stored.error().hint;
  if (spooled) {
    hint += fmt::format("{}the run is safe in {}{}", hint.empty() ? "" : "; ", printable(path),
                        document_spooled ? "" : ", but not how its figures are known");
    if (comes_later) hint += application.stored_later();
  }
  result.run.warnings.push_back({fmt::format("the run is {}{}: {}", missing,
                                             spooled && comes_later ? " yet" : "", stored.error().message),
                                 std::move(hint)});
  return false;
}

/// Counters that anybody could have written look like the kernel's own.
meter::Warning other_counters(const std::string& root, const config::Config& config) {
  return {fmt::format("the counters were read below '{}', not from this machine's own /proc and /sys",
                      printable(root)),
          fmt::format("system_root is set by {}", printable(config.get("system_root").where))};
}

}  // namespace

Result<meter::FunctionalUnit> parse_functional_unit(const std::string& text) {
  const std::string_view whole = trim(text);
  const auto blank = whole.find(' ');
  const auto number = parse_double(whole.substr(0, blank));
  meter::FunctionalUnit unit;
  const bool begins_as_number =
      !whole.empty() && std::string_view("+-.0123456789").find(whole.front()) != std::string_view::npos;
  if (!number && begins_as_number) {
    return user_error(
        fmt::format("--per '{}': '{}' is no number", printable(text), printable(whole.substr(0, blank))),
        "write it plainly, with a blank before the unit: --per \"1000 images\"");
  }
  if (!number) {
    unit.unit = printable(whole);
  } else if (blank == std::string_view::npos) {
    unit.count = *number;
    unit.unit = "unit";
  } else {
    unit.count = *number;
    unit.unit = printable(trim(whole.substr(blank)));
  }
  constexpr double kMostUnits = 1e18;
  if (!(unit.count >= 1 / kMostUnits && unit.count <= kMostUnits) || unit.unit.empty()) {
    return user_error(fmt::format("--per '{}' needs a number above 0 and a unit", printable(text)),
                      "for example --per \"1000 images\"");
  }
  return unit;
}

std::optional<meter::Tier> parse_tier(const std::string& name) {
  if (name == "cgroup") return meter::Tier::cgroup;
  if (name == "systemd") return meter::Tier::systemd_scope;
  if (name == "perf") return meter::Tier::perf_task_clock;
  if (name == "tree") return meter::Tier::process_tree;
  return std::nullopt;
}

std::optional<double> load_idle_watts(const Application& application, const std::string& host_id,
                                      const std::string& sources) {
  const auto text = read_file(idle_file(application, host_id, sources), 65536);
  if (!text) return std::nullopt;
  const auto entries = config::parse_toml(*text, "idle.toml");
  if (!entries) return std::nullopt;
  std::optional<double> watts;
  bool same_sources = false;
  for (const config::TomlEntry& entry : *entries) {
    if (entry.key == "idle_watts") watts = parse_double(entry.value);
    if (entry.key == "sources") same_sources = entry.value == sources;
  }
  return same_sources ? watts : std::nullopt;
}

Status save_idle_watts(const Application& application, const std::string& host_id, const std::string& sources,
                       double watts) {
  if (application.folders().state.empty()) return environment_error("there is no home folder");
  JOULERY_CHECK_OK(make_directories(idle_folder(application), 0700));
  return write_file_atomically(
      idle_file(application, host_id, sources),
      fmt::format(
          "# Written by joulery doctor: what this machine draws when it is quiet.\nidle_watts = {:.3f}\n"
          "sources = \"{}\"\nmeasured_at = \"{}\"\n",
          watts, sources, format_utc(application.clock().realtime_ns())));
}

Result<std::unique_ptr<meter::Supervisor>> make_supervisor(Application& application) {
  const config::Config& config = application.config();
  return meter::Supervisor::create(
      {.hz = std::max(config.number("run.hz"), meter::kSlowestTickHz),
       .wait = config.text("run.wait") == "child" ? meter::WaitMode::child : meter::WaitMode::tree,
       .grace_seconds = config.number("run.grace_seconds")});
}

meter::LaunchResult<WorkloadOutcome> run_workload(Application& application, meter::Supervisor& supervisor,
                                                  const WorkloadRequest& request,
                                                  const std::string& series_id, int index,
                                                  meter::SessionObserver* observer) {
  const config::Config& config = application.config();
  const bool warmup = index <= 0;
  meter::SessionOptions options;
  options.command.arguments = request.command;
  options.command.environment = application.environment().entries;
  options.signals = application.signals();
  options.run_id = make_run_id(application.clock().realtime_ns());
  options.name = request.name;
  options.experiment = config.text("run.experiment");
  options.user = application.user();
  options.tags = request.tags;
  if (request.repeat > 1 || request.warmup > 0) {
    options.tags[kSeriesTag] = series_id;
    options.tags[kSeriesIndexTag] = fmt::format("{}", index);
  }
  const std::string& sensor_root = application.sensors().prefix();
  if (!sensor_root.empty()) options.tags["joulery.system_root"] = printable(sensor_root);
  options.hz = config.number("run.hz");
  options.idle = idle_policy(config.text("run.idle"));
  options.only_tier = parse_tier(config.text("run.attribution"));
  options.per = request.per;
  options.footprint = request.footprint;
  options.load_idle_watts = [&](const std::string& host_id, const std::string& sources) {
    return load_idle_watts(application, host_id, sources);
  };
  if (!warmup) options.spool_folder = config.text("spool");
  if (const auto store = application.store_path()) options.spool_tag = record::spool_tag(*store);

  auto metered = meter::run_session(application.machine(), options, supervisor, observer);
  if (!metered) return std::unexpected(metered.error());
  if (!sensor_root.empty()) metered->run.warnings.push_back(other_counters(sensor_root, config));
  WorkloadOutcome outcome{.run = {}, .document = run_document(metered->run), .stored = false};
  if (!warmup) outcome.stored = store_run(application, *metered, outcome.document);
  outcome.run = std::move(metered->run);
  return outcome;
}

}  // namespace joulery::app
