#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/dynamic_library.hpp"
#include "base/result.hpp"
#include "data/plugin.hpp"

namespace joulery::data {

/// The plug-in libjoulery_<name>.so; environment error, with `hint`, if it is not there.
Result<DynamicLibrary> open_plugin(const std::string& directory, const std::string& name, std::string hint);
/// It is there, but of another version.
std::unexpected<Error> wrong_plugin(const DynamicLibrary& library);

JouleryDataError empty_plugin_error();
/// What a plug-in says may hold anything.
Error error_from_plugin(JouleryDataError& error);

/// For plug-ins: fills `error`, cutting off what does not fit. Returns -1.
inline int fail(JouleryDataError* error, Error::Kind kind, std::string_view message,
                std::string_view hint = {}) {
  const auto fill = [](char* text, std::size_t size, std::string_view content) {
    const std::size_t length = std::min(size - 1, content.size());
    std::ranges::copy(content.substr(0, length), text);
    text[length] = '\0';
  };
  error->kind = kind == Error::Kind::user ? 0 : kind == Error::Kind::environment ? 1 : 2;
  fill(error->message, sizeof(error->message), message);
  fill(error->hint, sizeof(error->hint), hint);
  return -1;
}

/// The entry of a plug-in checked against this program's version; null if they don't go together.
template <class Api>
const Api* plugin_api(const DynamicLibrary& library, const char* entry_name) {
  auto* entry = library.function<const Api*(std::uint32_t)>(entry_name);
  const Api* api = entry == nullptr ? nullptr : entry(JOULERY_DATA_ABI_VERSION);
  if (api == nullptr || api->abi_version != JOULERY_DATA_ABI_VERSION || api->struct_size < sizeof(Api)) {
    return nullptr;
  }
  return api;
}

}  // namespace joulery::data
