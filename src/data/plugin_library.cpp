#include "data/plugin_library.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/text.hpp"

namespace joulery::data {

Result<DynamicLibrary> open_plugin(const std::string& directory, const std::string& name, std::string hint) {
  const std::string path = fmt::format("{}/libjoulery_{}.so", directory, name);
  if (directory.empty() || ::access(path.c_str(), F_OK) != 0) {
    return environment_error(fmt::format("joulery's plug-in for {} is not there ({})", name, printable(path)),
                             std::move(hint));
  }
  return DynamicLibrary::open(path);
}

std::unexpected<Error> wrong_plugin(const DynamicLibrary& library) {
  return environment_error(fmt::format("{} is of another version of joulery", printable(library.path())),
                           "install joulery and its plug-ins from the same build");
}

JouleryDataError empty_plugin_error() {
  JouleryDataError error;
  error.struct_size = sizeof(error);
  error.kind = 2;
  error.message[0] = '\0';
  error.hint[0] = '\0';
  return error;
}

Error error_from_plugin(JouleryDataError& error) {
  error.message[sizeof(error.message) - 1] = '\0';
  error.hint[sizeof(error.hint) - 1] = '\0';
  return {.kind = error.kind == 0   ? Error::Kind::user
                  : error.kind == 1 ? Error::Kind::environment
                                    : Error::Kind::internal,
          .message = printable(error.message[0] == '\0' ? "it failed and did not say why" : error.message),
          .hint = printable(error.hint)};
}

}  // namespace joulery::data
