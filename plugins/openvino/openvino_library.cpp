#include "openvino_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/plugin_adapter.hpp"

namespace joulery::engine::openvino {
namespace {

constexpr ElementTypes<ov_element_type_e> kTypes{DYNAMIC, F32, F16, BF16, F64, I8,  I16,
                                                 I32,     I64, U8,  U16,  U32, U64, BOOLEAN};

/// The first function that the library lacks; null if it has all.
const char* find_functions(void* handle, Functions& functions) {
  const char* missing = nullptr;
  const auto find = [&](const char* name) {
    void* address = ::dlsym(handle, name);
    if (address == nullptr && missing == nullptr) missing = name;
    return address;
  };
#define JOULERY_FIND(name) functions.name = reinterpret_cast<decltype(functions.name)>(find(#name));
  JOULERY_OPENVINO_FUNCTIONS(JOULERY_FIND)
#undef JOULERY_FIND
  functions.set_log_callback =
      reinterpret_cast<decltype(functions.set_log_callback)>(::dlsym(handle, "ov_util_set_log_callback"));
  return missing;
}

void drop_message(const char*) {}

}  // namespace

data::DataType type_of(ov_element_type_e type) {
  return data_type_of(kTypes, type);
}

ov_element_type_e type_of(data::DataType type) {
  return element_type_of(kTypes, type);
}

Library* Library::open(const char* path, JouleryEngineError* error) {
  void* handle = open_engine_library(path, "openvino", error);
  if (handle == nullptr) return nullptr;
  std::unique_ptr<Library> library(new Library);
  Functions& call = library->functions_;
  if (const char* missing = find_functions(handle, call)) {
    const bool other = ::dlsym(handle, "ov_core_create") == nullptr;
    fail(error, Blame::environment,
         other ? fmt::format("'{}' is not OpenVINO's C interface: it has no ov_core_create", path)
               : fmt::format("the OpenVINO in '{}' is too old: it has no {}", path, missing),
         other ? "pip install openvino" : "pip install --upgrade openvino");
    return nullptr;
  }
  if (call.set_log_callback != nullptr) call.set_log_callback(&drop_message);
  ov_version_t version{};
  if (call.ov_get_openvino_version(&version) == OK) {
    // "2026.4.1-22006-…": the release is what people know.
    const std::string build = version.buildNumber == nullptr ? "" : version.buildNumber;
    library->version_ = build.substr(0, build.find('-'));
    call.ov_version_free(&version);
  }
  std::string reason = library->reason(call.ov_core_create(&library->core_));
  if (reason.empty()) reason = library->check_element_types();
  if (!reason.empty()) {
    fail(error, Blame::environment, fmt::format("OpenVINO {} does not start: {}", library->version_, reason),
         "install it anew: pip install --force-reinstall openvino");
    return nullptr;
  }
  return library.release();
}

Library::~Library() {
  if (core_ != nullptr) functions_.ov_core_free(core_);
}

/// The numbers of element types have shifted between releases. A tensor of each tells by its size whether
/// they are those of the header that this was built with.
std::string Library::check_element_types() const {
  constexpr std::int64_t kElements = 24;
  for (int i = 1; i < data::kDataTypes; ++i) {
    const auto type = static_cast<data::DataType>(i);
    std::array<std::int64_t, 1> dimensions{kElements};
    ov_shape_t shape{.rank = 1, .dims = dimensions.data()};
    ov_tensor_t* created = nullptr;
    std::size_t bytes = 0;
    const bool made = functions_.ov_tensor_create(type_of(type), shape, &created) == OK;
    const Held<ov_tensor_t> tensor(created, {functions_.ov_tensor_free});
    if (!made || functions_.ov_tensor_get_byte_size(created, &bytes) != OK ||
        bytes != kElements * data::byte_width(type)) {
      return fmt::format("its number for {} is another than this program was built with",
                         data::data_type_name(type));
    }
  }
  return {};
}

std::string Library::reason(ov_status_e status) const {
  if (status == OK) return {};
  const char* text = functions_.ov_get_last_err_msg();
  std::string message = text == nullptr ? "" : text;
  // Undocumented: it is a copy, and ours.
  if (text != nullptr) functions_.ov_free(text);
  // It puts its own source lines first, and newlines in between.
  std::ranges::replace(message, '\n', ' ');
  while (!message.empty() && message.back() == ' ') message.pop_back();
  return message.empty() ? fmt::format("status {}", static_cast<int>(status)) : message;
}

std::string Library::property(const char* device, const char* key) const {
  char* value = nullptr;
  if (functions_.ov_core_get_property(core_, device, key, &value) != OK || value == nullptr) return {};
  std::string text = value;
  functions_.ov_free(value);
  return text;
}

std::vector<std::string> Library::devices() const {
  ov_available_devices_t found{};
  std::vector<std::string> names;
  if (functions_.ov_core_get_available_devices(core_, &found) != OK) return names;
  for (std::size_t i = 0; i < found.size; ++i) names.emplace_back(found.devices[i]);
  functions_.ov_available_devices_free(&found);
  return names;
}

}  // namespace joulery::engine::openvino
