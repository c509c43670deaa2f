#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace joulery::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct ResponseHead {
  int status = 0;
  Headers headers;
  /// The first value of this header, in any case of letters.
  std::optional<std::string> find(std::string_view name) const;
};

struct ResponseLimits {
  std::size_t most_header_bytes = 64 << 10;
  std::size_t most_body_bytes = 256 << 20;
};

/// Told what a response consists of, piece by piece.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void on_head(const ResponseHead& head) = 0;
  /// Content without the framing of chunks.
  virtual void on_body(std::string_view bytes) = 0;
};

/// One HTTP/1.1 response out of bytes in whatever pieces the network makes. Interim responses (1xx) are
/// passed over.
class ResponseReader {
 public:
  /// `head_only`: the answer to a HEAD request, which has no body whatever its headers say.
  ResponseReader(const ResponseLimits& limits, ResponseSink& sink, bool head_only = false);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  /// Environment error if this is no HTTP or passes a limit (`too_large()` then).
  Status push(std::string_view bytes);
  /// The connection has ended: an error if the response is not complete.
  Status finish();
  bool done() const;
  bool too_large() const;
  /// May another request be sent on the connection? Known when done.
  bool keep_alive() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace joulery::http
