#include "meter/window_meter.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/ids.hpp"
#include "meter/figures.hpp"
#include "meter/footprint_figures.hpp"
#include "meter/gpu_figures.hpp"
#include "meter/host.hpp"
#include "meter/workload_meter.hpp"

namespace joulery::meter {

struct WindowMeter::State {
  State(const Machine& on, const WindowOptions& with, std::unique_ptr<Attribution> followed)
      : machine(on),
        options(with),
        attribution(std::move(followed)),
        meter(machine, *attribution, options.idle, options.load_idle_watts) {}

  void keep_looking() {
    const auto period = std::chrono::duration<double>(1 / std::max(options.hz, kSlowestTickHz));
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, period, [this] { return stopping; })) meter.tick(result);
  }
  void end_thread() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    if (thread.joinable()) thread.join();
  }

  Machine machine;
  WindowOptions options;
  std::unique_ptr<Attribution> attribution;
  WorkloadMeter meter;
  MeteredWindow result;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;
};

WindowMeter::WindowMeter(std::unique_ptr<State> state) : state_(std::move(state)) {}

WindowMeter::~WindowMeter() {
  state_->end_thread();
  state_->attribution->finish();
}

Result<std::unique_ptr<WindowMeter>> WindowMeter::start(const Machine& machine,
                                                        const WindowOptions& options) {
  JOULERY_ASSIGN(std::unique_ptr<Attribution> followed,
                 follow(machine.root, machine.clock, options.followed));
  auto state = std::make_unique<State>(machine, options, std::move(followed));
  state->meter.open_sensors(state->result);
  state->result.host = read_host_facts(machine.sensors, machine.clock, state->meter.identity());
  state->result.run.host_id = state->result.host.host.id;
  state->result.run.boot_id = state->result.host.boot.id;
  state->result.run.id = options.run_id.empty() ? make_run_id(machine.clock.realtime_ns()) : options.run_id;
  state->result.hz = options.hz;
  state->meter.start(state->result);
  State* shared = state.get();
  auto meter = std::unique_ptr<WindowMeter>(new WindowMeter(std::move(state)));
  shared->thread = std::thread([shared] { shared->keep_looking(); });
  return meter;
}

MeteredWindow WindowMeter::stop() {
  state_->end_thread();
  MeteredWindow& result = state_->result;
  state_->meter.tick(result);
  state_->meter.settle();
  state_->meter.conclude(0, result);
  fill_footprint(state_->options.footprint,
                 read_hardware(state_->machine.sensors, state_->meter.identity(), result),
                 state_->meter.proportional_idle_joules(result), result);
  add_warnings(state_->meter.sampler(), result);
  add_gpu_warnings(result);
  return std::move(result);
}

}  // namespace joulery::meter
