#pragma once

#include <string>
#include <string_view>

#include "engine/engine.hpp"

namespace joulery::engine {

/// What a kernel of OpenVINO computes in, by the end of its name: "i8" for "brgemm_avx512_amx_I8" and "…_u8",
/// "f32", "bf16", "f16"; empty if it does not say.
std::string precision_of_kernel(std::string_view exec_type);
/// Is that 8 bits or less?
bool is_low_precision(std::string_view precision);
/// An operator that only brings values into another type or layout: what an engine adds between operators of
/// different kinds. A Transpose or Cast of the model itself counts too where it was not removed.
bool is_boundary(std::string_view op_type);

}  // namespace joulery::engine
