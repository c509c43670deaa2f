#pragma once

#include <expected>
#include <string>
#include <utility>

namespace joulery {

/// What went wrong, for a person to read and a program to act on.
struct Error {
  /// Decides the exit code: `user` 2, `environment` 3, `internal` 70.
  enum class Kind { user, environment, internal };
  Kind kind = Kind::internal;
  /// What failed, on what, and why. One sentence, no full stop.
  std::string message;
  /// The command or change that helps; empty if there is none.
  std::string hint;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> user_error(std::string message, std::string hint = {}) {
  return std::unexpected(Error{Error::Kind::user, std::move(message), std::move(hint)});
}
inline std::unexpected<Error> environment_error(std::string message, std::string hint = {}) {
  return std::unexpected(Error{Error::Kind::environment, std::move(message), std::move(hint)});
}
inline std::unexpected<Error> internal_error(std::string message, std::string hint = {}) {
  return std::unexpected(Error{Error::Kind::internal, std::move(message), std::move(hint)});
}

}  // namespace joulery

#define JOULERY_CONCAT_INNER(a, b) a##b
#define JOULERY_CONCAT(a, b) JOULERY_CONCAT_INNER(a, b)

/// Returns the error of `expression` (a Status or a Result) to the caller, if it has one.
#define JOULERY_CHECK_OK(expression)                                     \
  do {                                                                   \
    if (auto joulery_status = (expression); !joulery_status.has_value()) \
      return std::unexpected(std::move(joulery_status).error());         \
  } while (false)

/// Declares `declaration` from the value of `expression` (a Result), or returns its error to the caller.
#define JOULERY_ASSIGN(declaration, expression) \
  JOULERY_ASSIGN_INNER(JOULERY_CONCAT(joulery_result_, __LINE__), declaration, expression)
#define JOULERY_ASSIGN_INNER(result, declaration, expression)                 \
  auto result = (expression);                                                 \
  if (!result.has_value()) return std::unexpected(std::move(result).error()); \
  declaration = std::move(*result)
