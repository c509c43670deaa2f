#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace joulery::http {

/// Server-sent events (WHATWG HTML, "Server-sent events"), fed in whatever pieces the network makes.
class SseParser {
 public:
  struct Event {
    /// "message" unless the server names it.
    std::string type;
    std::string data;
  };
  using Receive = std::function<void(const Event&)>;

  /// An event or line of more than `most_bytes` is an error.
  explicit SseParser(std::size_t most_bytes = 4 << 20) : most_bytes_(most_bytes) {}

  /// Calls `receive` for each event that these bytes complete. After an error nothing more is read.
  Status push(std::string_view bytes, const Receive& receive);
  /// The stream has ended: an event that lacks only its empty line is told too, as servers send such.
  Status finish(const Receive& receive);

 private:
  Status end_line(const Receive& receive);
  void dispatch(const Receive& receive);

  std::size_t most_bytes_;
  std::string line_;
  Event event_;
  bool has_data_ = false;
  bool after_return_ = false;
  bool at_start_ = true;
  bool failed_ = false;
};

}  // namespace joulery::http
