#include "engine/remote/oip.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/text.hpp"
#include "engine/remote/oip_values.hpp"

namespace joulery::engine::remote {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMostElements = 64 << 20;
/// Different requests, so that no answer comes from a cache of the last one.
constexpr std::size_t kDifferentRequests = 8;

const Json* child(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Json& json, const char* key) {
  const Json* value = child(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

Result<OipTensor> read_tensor(const Json& json) {
  OipTensor tensor{.name = text_of(json, "name"), .datatype = text_of(json, "datatype"), .shape = {}};
  const Json* shape = child(json, "shape");
  if (tensor.name.empty() || tensor.datatype.empty() || shape == nullptr || !shape->is_array()) {
    return environment_error("an input in the model's metadata lacks name, datatype or shape");
  }
  for (const Json& size : *shape) {
    if (!size.is_number_integer() || size.get<std::int64_t>() < -1) {
      return environment_error(
          fmt::format("the shape of '{}' in the model's metadata is none", printable(tensor.name)));
    }
    tensor.shape.push_back(size.get<std::int64_t>());
  }
  return tensor;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("{}", fmt::join(shape, ","));
}

bool fits(const std::vector<std::int64_t>& given, const std::vector<std::int64_t>& declared) {
  if (given.size() != declared.size()) return false;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (declared[i] != -1 && given[i] != declared[i]) return false;
  }
  return true;
}

/// Elements of a shape whose sizes are all known; nothing if there are too many.
std::optional<std::int64_t> elements_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size != 0 && count > kMostElements / size) return std::nullopt;
    count *= size;
  }
  return count;
}

class OipReader final : public AnswerReaderBase {
  void content(std::string_view bytes, std::int64_t /*now_ns*/) override {
    // Answers may hold megabytes of numbers: their start tells whether they are answers.
    if (start_.size() < kStart) start_.append(bytes.substr(0, kStart - start_.size()));
  }
  void content_end() override {
    if (!start_.starts_with('{') || start_.find("\"outputs\"") == std::string::npos) {
      if (start_.size() == kStart) return;
      fail("bad_answer", "the answer has no outputs: " + error_text(start_));
    }
  }
  static constexpr std::size_t kStart = 4096;
  std::string start_;
};

class OipProtocol final : public Protocol {
 public:
  OipProtocol(OipOptions options, std::vector<OipRequest> requests)
      : options_(std::move(options)), requests_(std::move(requests)) {}
  const char* name() const override { return "oip_rest"; }
  bool streaming() const override { return false; }
  const std::string& model() const override { return options_.model; }
  http::Request request(std::uint64_t index) const override {
    const OipRequest& made = requests_[index % requests_.size()];
    http::Request request{.method = "POST",
                          .target = options_.model_path + "/infer",
                          .headers = options_.headers,
                          .body = made.body};
    if (options_.binary) {
      request.headers.emplace_back("Content-Type", "application/octet-stream");
      request.headers.emplace_back("Inference-Header-Content-Length", fmt::format("{}", made.json_bytes));
    } else {
      request.headers.emplace_back("Content-Type", "application/json");
    }
    return request;
  }
  std::unique_ptr<AnswerReader> reader() const override { return std::make_unique<OipReader>(); }

 private:
  OipOptions options_;
  std::vector<OipRequest> requests_;
};

}  // namespace

Result<OipModel> parse_oip_model(std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  OipModel model{
      .name = text_of(json, "name"), .versions = {}, .platform = text_of(json, "platform"), .inputs = {}};
  if (model.name.empty()) {
    return environment_error("the model's metadata can't be read: " + error_text(body),
                             "is it a server of the Open Inference Protocol (/v2/models/NAME)?");
  }
  if (const Json* versions = child(json, "versions"); versions != nullptr && versions->is_array()) {
    for (const Json& version : *versions) {
      if (version.is_string()) model.versions.push_back(version.get<std::string>());
    }
  }
  if (const Json* inputs = child(json, "inputs"); inputs != nullptr && inputs->is_array()) {
    for (const Json& input : *inputs) {
      JOULERY_ASSIGN(OipTensor tensor, read_tensor(input));
      model.inputs.push_back(std::move(tensor));
    }
  }
  return model;
}

std::optional<bool> lists_oip_extension(std::string_view body, std::string_view extension) {
  const Json json = Json::parse(body, nullptr, false);
  const Json* extensions = child(json, "extensions");
  if (extensions == nullptr || !extensions->is_array()) return std::nullopt;
  return std::ranges::any_of(*extensions, [&](const Json& one) {
    return one.is_string() && one.get_ref<const std::string&>() == extension;
  });
}

Result<OipShape> parse_oip_shape(std::string_view text) {
  constexpr const char* kExample =
      "write it like --shape x:1,3,224,224 or, with its type, --shape x:FP32:4,4";
  // Names may hold colons, as "input:0" does: the last one stands before the sizes, and only a type that
  // exists is one.
  const auto end = text.find_last_of(":=");
  OipShape shape;
  const std::string_view name = text.substr(0, end);
  const auto colon = name.rfind(':');
  if (colon != std::string_view::npos && is_oip_datatype(name.substr(colon + 1))) {
    shape.name = name.substr(0, colon);
    shape.datatype = name.substr(colon + 1);
  } else {
    shape.name = name;
  }
  bool valid = end != std::string_view::npos && !shape.name.empty();
  for (const std::string_view part : split(valid ? text.substr(end + 1) : "", ',')) {
    const auto size = parse_int64(trim(part));
    valid = valid && size && *size >= 1;
    shape.shape.push_back(size.value_or(0));
  }
  if (!valid) return user_error(fmt::format("--shape '{}' is no name and sizes", printable(text)), kExample);
  return shape;
}

Result<std::vector<OipTensor>> complete_shapes(const OipModel& model, const std::vector<OipShape>& shapes) {
  std::vector<OipTensor> inputs = model.inputs;
  for (const OipShape& given : shapes) {
    const auto input = std::ranges::find(inputs, given.name, &OipTensor::name);
    if (input == inputs.end()) {
      if (model.inputs.empty() && !given.datatype.empty()) {
        inputs.push_back({given.name, given.datatype, given.shape});
        continue;
      }
      std::vector<std::string> names;
      for (const OipTensor& one : model.inputs) names.push_back(one.name);
      return user_error(
          fmt::format("the model {} has no input '{}'", printable(model.name), printable(given.name)),
          model.inputs.empty()
              ? "its metadata lists no inputs: give the type too, such as --shape x:FP32:1,4"
              : fmt::format("it has: {}", printable(fmt::format("{}", fmt::join(names, ", ")))));
    }
    if (!fits(given.shape, input->shape)) {
      return user_error(fmt::format("--shape {}:{} does not fit the model's {}", printable(given.name),
                                    shape_text(given.shape), shape_text(input->shape)),
                        "-1 stands for a size that may be chosen");
    }
    input->shape = given.shape;
    if (!given.datatype.empty()) input->datatype = given.datatype;
  }
  if (inputs.empty()) {
    return user_error(fmt::format("the metadata of model {} lists no inputs", printable(model.name)),
                      "give them by name, type and shape, such as --shape x:FP32:1,4");
  }
  std::int64_t elements = 0;
  for (const OipTensor& input : inputs) {
    if (std::ranges::find(input.shape, -1) != input.shape.end()) {
      return user_error(
          fmt::format("the input '{}' has the open shape {}", printable(input.name), shape_text(input.shape)),
          fmt::format("choose one by --shape {}:…", printable(input.name)));
    }
    if (!is_oip_datatype(input.datatype)) {
      return user_error(fmt::format("the input '{}' is of type '{}', which is not known",
                                    printable(input.name), printable(input.datatype)));
    }
    const auto count = elements_of(input.shape);
    elements += count.value_or(kMostElements + 1);
    if (elements > kMostElements) {
      return user_error(fmt::format("the inputs have more than {} elements", kMostElements),
                        "choose smaller sizes by --shape");
    }
  }
  return inputs;
}

Result<std::unique_ptr<Protocol>> oip_protocol(const OipOptions& options,
                                               const std::vector<OipTensor>& inputs) {
  for (const OipTensor& input : inputs) {
    if (!options.binary && (input.datatype == "FP16" || input.datatype == "BF16")) {
      return user_error(
          fmt::format("the input '{}' is {}, which JSON can't hold", printable(input.name), input.datatype),
          "add --binary, if the server has the extension binary_tensor_data");
    }
  }
  std::vector<OipRequest> requests;
  for (std::size_t i = 0; i < kDifferentRequests; ++i) {
    requests.push_back(make_oip_request(inputs, options.binary, options.seed + i));
    // A few large ones are different enough.
    constexpr std::size_t kLargeBytes = 4 << 20;
    if (requests.back().body.size() > kLargeBytes) break;
  }
  return std::make_unique<OipProtocol>(options, std::move(requests));
}

}  // namespace joulery::engine::remote
