#pragma once

#include <memory>
#include <string>

#include "app/application.hpp"
#include "engine/engine.hpp"

namespace joulery::app {

/// The first engine of this kind that works here ("onnxruntime", "openvino"; empty: of any), in processes of
/// their own. Environment error with what to install if there is none.
Result<std::unique_ptr<engine::Engine>> open_bench_engine(const Application& application,
                                                          const std::string& kind,
                                                          const std::string& engine_path);

}  // namespace joulery::app
