#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/remote/oip.hpp"

namespace joulery::engine::remote {

bool is_oip_datatype(std::string_view name);

/// The body of one request.
struct OipRequest {
  std::string body;
  /// How much of it is JSON; the rest are tensors in their order.
  std::size_t json_bytes = 0;
};

/// Made-up values, the same for the same seed; every size of the shapes is known, and every datatype.
OipRequest make_oip_request(const std::vector<OipTensor>& inputs, bool binary, std::uint64_t seed);

}  // namespace joulery::engine::remote
