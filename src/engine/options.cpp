#include "engine/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace joulery::engine {
namespace {

constexpr std::array kPrecisions = {"f32", "bf16", "f16", "i8"};
constexpr std::array kOptimisations = {"none", "basic", "extended", "all"};
constexpr std::array kKnown = {"read back", "requested", "unsupported"};
constexpr int kMostThreads = 4096;

template <class Choice, std::size_t size>
const char* name_in(const std::array<const char*, size>& names, Choice choice) {
  const auto index = static_cast<std::size_t>(choice);
  return index < size ? names[index] : "unknown";
}

template <class Choice, std::size_t size>
std::optional<Choice> parse_in(const std::array<const char*, size>& names, std::string_view name) {
  for (std::size_t i = 0; i < size; ++i) {
    if (name == names[i]) return static_cast<Choice>(i);
  }
  return std::nullopt;
}

Result<const ShapeOverride*> find_override(const Port& input, std::size_t input_count,
                                           const SessionOptions& options) {
  const ShapeOverride* found = nullptr;
  for (const ShapeOverride& override : options.shapes) {
    if (override.input != input.name && !(override.input.empty() && input_count == 1)) continue;
    if (found != nullptr) {
      return user_error(fmt::format("input '{}' has two shapes", printable(input.name)), "name one of them");
    }
    found = &override;
  }
  return found;
}

/// What a user could write for an input: 1 where the model leaves a dimension open.
std::string example_of(const Port& port) {
  std::string dimensions;
  for (const std::int64_t dimension : port.shape.dimensions()) {
    dimensions += fmt::format("{}{}", dimensions.empty() ? "" : ",", dimension < 0 ? 1 : dimension);
  }
  return fmt::format("--shape {}:{}", printable(port.name), dimensions);
}

/// Every override must be for an input that is there.
Status check_override_names(std::span<const Port> inputs, const SessionOptions& options) {
  std::vector<std::string> names;
  for (const Port& input : inputs) names.push_back(printable(input.name));
  for (const ShapeOverride& override : options.shapes) {
    if (override.input.empty() && inputs.size() != 1) {
      return user_error(
          fmt::format("the model has {} inputs: a shape must say which it is for", inputs.size()),
          inputs.empty() ? "" : fmt::format("for example {}", example_of(inputs.front())));
    }
    const bool known = override.input.empty() || std::ranges::any_of(inputs, [&](const Port& input) {
                         return input.name == override.input;
                       });
    if (known) continue;
    const auto meant = did_you_mean(override.input, names);
    return user_error(fmt::format("the model has no input '{}'", printable(override.input)),
                      meant ? fmt::format("did you mean '{}'?", *meant)
                            : fmt::format("its inputs are: {}", fmt::join(names, ", ")));
  }
  return {};
}

}  // namespace

const char* precision_name(Precision precision) {
  return name_in(kPrecisions, precision);
}
std::optional<Precision> parse_precision(std::string_view name) {
  return parse_in<Precision>(kPrecisions, name);
}
const char* optimisation_name(Optimisation optimisation) {
  return name_in(kOptimisations, optimisation);
}
std::optional<Optimisation> parse_optimisation(std::string_view name) {
  return parse_in<Optimisation>(kOptimisations, name);
}
const char* known_name(Known known) {
  return name_in(kKnown, known);
}

Result<ShapeOverride> parse_shape_override(std::string_view text) {
  // Names may hold colons ("x:0"), shapes may not.
  const auto colon = text.rfind(':');
  ShapeOverride override;
  if (colon != std::string_view::npos) override.input = text.substr(0, colon);
  JOULERY_ASSIGN(override.shape,
                 data::Shape::parse(colon == std::string_view::npos ? text : text.substr(colon + 1)));
  return override;
}

Status check_options(const SessionOptions& options) {
  const auto refuse = [](const char* what, std::int64_t value) {
    return user_error(fmt::format("{} {} is not possible", value, what),
                      "give a number from 1 on, or 0 for the default");
  };
  if (options.threads < 0 || options.threads > kMostThreads) return refuse("threads", options.threads);
  if (options.streams < 0 || options.streams > kMostThreads) return refuse("streams", options.streams);
  if (options.batch < 0) return refuse("samples in a batch", options.batch);
  return {};
}

Result<std::vector<Port>> resolve_inputs(std::span<const Port> inputs, const SessionOptions& options) {
  JOULERY_CHECK_OK(check_override_names(inputs, options));
  std::vector<Port> resolved(inputs.begin(), inputs.end());
  for (Port& input : resolved) {
    JOULERY_ASSIGN(const ShapeOverride* override, find_override(input, inputs.size(), options));
    if (override != nullptr) {
      const data::Shape& wanted = override->shape;
      bool fits = wanted.rank() == input.shape.rank();
      for (std::size_t i = 0; fits && i < wanted.rank(); ++i) {
        fits = wanted[i] < 0 || input.shape[i] < 0 || wanted[i] == input.shape[i];
        if (wanted[i] >= 0) input.shape.set(i, wanted[i]);
      }
      if (!fits) {
        const Port& declared = inputs[static_cast<std::size_t>(&input - resolved.data())];
        return user_error(fmt::format("input '{}' can't be of shape {}: the model says {}",
                                      printable(input.name), wanted.text(), declared.shape.text()),
                          "only what it leaves open (?) can be chosen");
      }
    } else if (options.batch > 0 && input.shape.rank() > 0) {
      if (input.shape[0] >= 0 && input.shape[0] != options.batch) {
        return user_error(fmt::format("a batch of {} is not possible: input '{}' is of shape {}",
                                      options.batch, printable(input.name), input.shape.text()),
                          "export the model with an open first dimension");
      }
      input.shape.set(0, options.batch);
    }
  }
  return resolved;
}

Status check_binding(const Port& port, const data::TensorView& tensor, const char* what) {
  if (tensor.type != port.type) {
    return user_error(fmt::format("{} '{}' is of type {}, not {}", what, printable(port.name),
                                  data::data_type_name(port.type), data::data_type_name(tensor.type)));
  }
  if (!tensor.shape.is_known()) {
    return user_error(fmt::format("{} '{}' is of shape {}: its unknown dimensions must be given", what,
                                  printable(port.name), tensor.shape.text()),
                      fmt::format("for example {}", example_of(port)));
  }
  if (!port.shape.admits(tensor.shape)) {
    return user_error(fmt::format("{} '{}' is of shape {}, which a tensor of shape {} does not fit", what,
                                  printable(port.name), port.shape.text(), tensor.shape.text()));
  }
  JOULERY_ASSIGN(const std::size_t bytes, data::tensor_bytes(tensor.type, tensor.shape));
  if (tensor.data == nullptr || tensor.bytes < bytes) {
    return internal_error(fmt::format("{} '{}' needs {} bytes and got {}", what, printable(port.name), bytes,
                                      tensor.data == nullptr ? 0 : tensor.bytes));
  }
  return {};
}

}  // namespace joulery::engine
