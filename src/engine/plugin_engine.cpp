#include "engine/plugin_engine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "base/dynamic_library.hpp"
#include "base/text.hpp"
#include "engine/options.hpp"
#include "engine/output_capture.hpp"
#include "engine/plugin.hpp"

namespace joulery::engine {
namespace {

static_assert(data::kMostDimensions == sizeof(JouleryPort::dimensions) / sizeof(std::int64_t));

constexpr std::uint32_t kMostPorts = 4096;

JouleryEngineError empty_error() {
  JouleryEngineError error;
  error.struct_size = sizeof(error);
  error.kind = 2;
  error.message[0] = '\0';
  error.hint[0] = '\0';
  return error;
}

/// What a library says may be anything; it ends up on a terminal.
Error error_of(JouleryEngineError& error, const std::string& printed) {
  error.message[sizeof(error.message) - 1] = '\0';
  error.hint[sizeof(error.hint) - 1] = '\0';
  Error result;
  result.kind = error.kind == 0   ? Error::Kind::user
                : error.kind == 1 ? Error::Kind::environment
                                  : Error::Kind::internal;
  result.message =
      printable(error.message[0] == '\0' ? "the engine failed and did not say why" : error.message);
  if (!printed.empty()) result.message += fmt::format("; it printed: {}", printed);
  result.hint = printable(error.hint);
  return result;
}

/// Does the plug-in have the function at this offset? Older ones end before those that came later.
bool has(const JouleryEngineApi& api, std::size_t offset) {
  return api.struct_size >= offset + sizeof(void*);
}

data::Shape shape_of(const std::int64_t* dimensions, std::uint32_t rank) {
  auto shape = data::Shape::create({dimensions, std::min<std::size_t>(rank, data::kMostDimensions)});
  return shape ? *shape : data::Shape();
}

JouleryTensor to_c(const data::TensorView& tensor) {
  JouleryTensor result{};
  result.struct_size = sizeof(result);
  result.type = static_cast<std::int32_t>(tensor.type);
  result.rank = static_cast<std::uint32_t>(tensor.shape.rank());
  std::ranges::copy(tensor.shape.dimensions(), result.dimensions);
  result.data = tensor.data;
  result.bytes = tensor.bytes;
  return result;
}

JouleryPort to_c(const Port& port) {
  JouleryPort result{};
  result.struct_size = sizeof(result);
  result.type = static_cast<std::int32_t>(port.type);
  result.rank = static_cast<std::uint32_t>(port.shape.rank());
  std::ranges::copy(port.shape.dimensions(), result.dimensions);
  result.name = port.name.c_str();
  return result;
}

data::DataType type_of(std::int32_t number) {
  return number > 0 && number < data::kDataTypes ? static_cast<data::DataType>(number)
                                                 : data::DataType::unknown;
}

class PluginSession final : public Session {
 public:
  PluginSession(const JouleryEngineApi* api, void* session) : api_(api), session_(session) {}
  PluginSession(const PluginSession&) = delete;
  PluginSession& operator=(const PluginSession&) = delete;
  ~PluginSession() override { api_->unload(session_); }

  Status prepare(const ModelSource& model, const SessionOptions& options) {
    profiles_ = options.profile;
    JOULERY_CHECK_OK(read_ports(false, inputs_, model.input_names));
    JOULERY_ASSIGN(const std::vector<Port> resolved, resolve_inputs(inputs_, options));
    std::vector<JouleryPort> wanted;
    for (const Port& port : resolved) wanted.push_back(to_c(port));
    JouleryEngineError error = empty_error();
    if (api_->prepare(session_, wanted.data(), static_cast<std::uint32_t>(wanted.size()), &error) != 0) {
      return std::unexpected(error_of(error, {}));
    }
    JOULERY_CHECK_OK(read_ports(false, inputs_, model.input_names));
    JOULERY_CHECK_OK(read_ports(true, outputs_, model.output_names));
    if (outputs_.empty()) return user_error("the model has no outputs");
    api_->effective(
        session_,
        [](void* context, const char* key, const char* value, std::int32_t known) {
          static_cast<PluginSession*>(context)->effective_.push_back(
              {.name = printable(key), .value = printable(value), .known = static_cast<Known>(known)});
        },
        this);
    bound_.assign(inputs_.size(), false);
    ready_ = bound_.empty();
    return {};
  }

  std::span<const Port> inputs() const override { return inputs_; }
  std::span<const Port> outputs() const override { return outputs_; }
  std::span<const EffectiveOption> effective_options() const override { return effective_; }

  Status bind_input(std::size_t index, const data::TensorView& tensor) override {
    JOULERY_CHECK_OK(bind(inputs_, 0, index, tensor));
    bound_[index] = true;
    ready_ = std::ranges::all_of(bound_, [](bool bound) { return bound; });
    return {};
  }
  Status bind_output(std::size_t index, const data::TensorView& tensor) override {
    return bind(outputs_, 1, index, tensor);
  }

  Status run() override {
    has_run_ = false;
    if (!ready_) return check_bound();
    if (api_->run(session_, &error_) != 0) return std::unexpected(error_of(error_, {}));
    has_run_ = true;
    return {};
  }

  Result<data::TensorView> output(std::size_t index) override {
    if (index >= outputs_.size()) return internal_error(fmt::format("the model has no output {}", index));
    // Before, and after a run that failed, memory may hold anything.
    if (!has_run_) return internal_error("there is no output yet");
    JouleryTensor tensor{};
    tensor.struct_size = sizeof(tensor);
    JouleryEngineError error = empty_error();
    if (api_->result(session_, static_cast<std::uint32_t>(index), &tensor, &error) != 0) {
      return std::unexpected(error_of(error, {}));
    }
    data::TensorView view{.type = type_of(tensor.type),
                          .shape = shape_of(tensor.dimensions, tensor.rank),
                          .data = static_cast<std::byte*>(tensor.data),
                          .bytes = tensor.bytes};
    return view;
  }

  Result<std::unique_ptr<Session>> fork() override {
    if (!has(*api_, offsetof(JouleryEngineApi, fork_session))) return Session::fork();
    JouleryEngineError error = empty_error();
    void* sibling = nullptr;
    if (api_->fork_session(session_, &sibling, &error) != 0) return std::unexpected(error_of(error, {}));
    auto forked = std::make_unique<PluginSession>(api_, sibling);
    forked->profiles_ = profiles_;
    forked->inputs_ = inputs_;
    forked->outputs_ = outputs_;
    forked->effective_ = effective_;
    forked->bound_.assign(inputs_.size(), false);
    forked->ready_ = inputs_.empty();
    return forked;
  }

  Result<std::vector<OperatorTime>> operator_times() override {
    if (!profiles_) return user_error("the session was loaded without a profile");
    if (!has(*api_, offsetof(JouleryEngineApi, operator_times))) return Session::operator_times();
    std::vector<OperatorTime> times;
    JouleryEngineError error = empty_error();
    const auto add = [](void* context, const JouleryOperatorTime* time) {
      static_cast<std::vector<OperatorTime>*>(context)->push_back({.node = printable(time->node),
                                                                   .op_type = printable(time->op_type),
                                                                   .kernel = printable(time->kernel),
                                                                   .precision = printable(time->precision),
                                                                   .calls = time->calls,
                                                                   .seconds = time->seconds});
    };
    if (api_->operator_times(session_, add, &times, &error) != 0) {
      return std::unexpected(error_of(error, {}));
    }
    return times;
  }

 private:
  Status read_ports(bool is_output, std::vector<Port>& ports, const std::vector<std::string>& names) {
    ports.clear();
    JouleryPort port{};
    port.struct_size = sizeof(port);
    for (std::uint32_t i = 0; i < kMostPorts && api_->port(session_, is_output ? 1 : 0, i, &port) != 0; ++i) {
      std::string name = port.name == nullptr ? "" : port.name;
      if (i < names.size()) name = names[i];
      if (port.rank > data::kMostDimensions) {
        return environment_error(fmt::format("'{}' has {} dimensions, more than the {} supported",
                                             printable(name), port.rank, data::kMostDimensions));
      }
      if (type_of(port.type) == data::DataType::unknown) {
        return environment_error(
            fmt::format("'{}' holds text or another type that is not supported", printable(name)));
      }
      ports.push_back(
          {.name = name, .type = type_of(port.type), .shape = shape_of(port.dimensions, port.rank)});
    }
    if (!names.empty() && names.size() != ports.size()) {
      return environment_error(fmt::format("the engine sees {} {} where the model has {}", ports.size(),
                                           is_output ? "outputs" : "inputs", names.size()),
                               "try another engine, or another release of this one");
    }
    return {};
  }

  Status bind(const std::vector<Port>& ports, std::int32_t is_output, std::size_t index,
              const data::TensorView& tensor) {
    const char* what = is_output != 0 ? "output" : "input";
    if (index >= ports.size()) return internal_error(fmt::format("the model has no {} {}", what, index));
    JOULERY_CHECK_OK(check_binding(ports[index], tensor, what));
    const JouleryTensor bound = to_c(tensor);
    JouleryEngineError error = empty_error();
    if (api_->bind(session_, is_output, static_cast<std::uint32_t>(index), &bound, &error) != 0) {
      return std::unexpected(error_of(error, {}));
    }
    return {};
  }

  Status check_bound() const {
    for (std::size_t i = 0; i < bound_.size(); ++i) {
      if (!bound_[i]) {
        return internal_error(fmt::format("input '{}' has no values yet", printable(inputs_[i].name)));
      }
    }
    return internal_error("the session has no inputs yet");
  }

  const JouleryEngineApi* api_;
  void* session_;
  bool profiles_ = false;
  bool ready_ = false;
  bool has_run_ = false;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<EffectiveOption> effective_;
  std::vector<bool> bound_;
  JouleryEngineError error_ = empty_error();
};

class PluginEngine final : public Engine {
 public:
  PluginEngine(const JouleryEngineApi* api, void* engine, EngineInfo info, bool captures)
      : api_(api), engine_(engine), info_(std::move(info)), captures_(captures) {
    api_->describe(
        engine_,
        [](void* context, const char* key, const char* value, std::int32_t) {
          add_fact(*static_cast<EngineInfo*>(context), key, value);
        },
        &info_);
  }
  PluginEngine(const PluginEngine&) = delete;
  PluginEngine& operator=(const PluginEngine&) = delete;
  ~PluginEngine() override { api_->close(engine_); }

  const EngineInfo& info() const override { return info_; }

  Result<std::unique_ptr<Session>> load(const ModelSource& model, const SessionOptions& options) override {
    if (model.path.empty() == model.bytes.empty()) {
      return internal_error("a model is a file or bytes, not both");
    }
    JOULERY_CHECK_OK(check_options(options));
    const JouleryModel source{.struct_size = sizeof(JouleryModel),
                              .path = model.path.empty() ? nullptr : model.path.c_str(),
                              .bytes = model.bytes.data(),
                              .size = model.bytes.size()};
    const JoulerySessionOptions wanted{
        .struct_size = sizeof(JoulerySessionOptions),
        .precision = static_cast<std::int32_t>(options.precision),
        .threads = options.threads,
        .streams = options.streams,
        .optimisation = static_cast<std::int32_t>(options.optimisation),
        .pin_threads = options.pin_threads ? 1 : 0,
        .spin = options.spin ? 1 : 0,
        .flush_denormals = options.flush_denormals ? 1 : 0,
        .profile_folder = options.profile ? options.profile_folder.c_str() : nullptr};
    std::optional<OutputCapture> capture;
    if (captures_) capture.emplace();
    JouleryEngineError error = empty_error();
    void* session = nullptr;
    if (api_->load(engine_, &source, &wanted, &session, &error) != 0) {
      return std::unexpected(error_of(error, capture ? last_lines(capture->text()) : std::string()));
    }
    auto loaded = std::make_unique<PluginSession>(api_, session);
    JOULERY_CHECK_OK(loaded->prepare(model, options));
    return loaded;
  }

 private:
  static void add_fact(EngineInfo& info, std::string_view key, const char* value) {
    constexpr std::string_view kDescription = "device.";
    if (key == "version") info.version = printable(value);
    if (key == "device") info.devices.push_back({.name = printable(value), .description = {}});
    if (key == "precision") info.precisions.push_back(printable(value));
    if (!key.starts_with(kDescription)) return;
    for (Device& device : info.devices) {
      if (device.name == key.substr(kDescription.size())) device.description = printable(value);
    }
  }

  const JouleryEngineApi* api_;
  void* engine_;
  EngineInfo info_;
  bool captures_;
};

Result<const JouleryEngineApi*> load_plugin(const EngineLocation& location) {
  const std::string path = fmt::format("{}/libjoulery_{}.so", location.plugin_directory, location.name);
  if (location.plugin_directory.empty() || ::access(path.c_str(), F_OK) != 0) {
    return environment_error(
        fmt::format("joulery's plug-in for {} is not there ({})", location.name, printable(path)),
        "its header was missing when joulery was built: `./dev setup` gets it, then build again");
  }
  JOULERY_ASSIGN(const DynamicLibrary library, DynamicLibrary::open(path));
  auto* entry = library.function<JouleryEngineEntry>(JOULERY_ENGINE_ENTRY);
  const JouleryEngineApi* api = entry == nullptr ? nullptr : entry(JOULERY_ENGINE_ABI_VERSION);
  if (api == nullptr || api->abi_version != JOULERY_ENGINE_ABI_VERSION ||
      !has(*api, offsetof(JouleryEngineApi, unload))) {
    return environment_error(fmt::format("{} is of another version of joulery", printable(path)),
                             "install joulery and its plug-ins from the same build");
  }
  return api;
}

Result<std::unique_ptr<Engine>> open(const EngineLocation& location, bool captures) {
  JOULERY_CHECK_OK(check_library_is_trusted(location.library));
  std::optional<OutputCapture> capture;
  if (captures) capture.emplace();
  JOULERY_ASSIGN(const JouleryEngineApi* api, load_plugin(location));
  JouleryEngineError error = empty_error();
  void* engine = nullptr;
  if (api->open(location.library.c_str(), &engine, &error) != 0) {
    return std::unexpected(error_of(error, capture ? last_lines(capture->text()) : std::string()));
  }
  EngineInfo info{
      .name = location.name, .version = {}, .library = location.library, .devices = {}, .precisions = {}};
  return std::make_unique<PluginEngine>(api, engine, std::move(info), captures);
}

}  // namespace

Result<std::unique_ptr<Session>> Session::fork() {
  return environment_error("this session can't be run several times at once");
}

Result<std::vector<OperatorTime>> Session::operator_times() {
  return environment_error("this session can't say what its operators take");
}

Result<std::unique_ptr<Engine>> open_engine(const EngineLocation& location) {
  return open(location, true);
}

Result<std::unique_ptr<Engine>> open_engine_uncaptured(const EngineLocation& location) {
  return open(location, false);
}

}  // namespace joulery::engine
