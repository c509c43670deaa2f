#pragma once

#include <memory>
#include <string>

#include "app/application.hpp"
#include "engine/engine.hpp"

namespace joulery::app {

/// The first engine of this kind that works here ("onnxruntime", "openvino"; empty: of any), in processes of
/// their own, which may write into `profile_folder` if that is given. Environment error with what to install
/// if there is none.
Result<std::unique_ptr<engine::Engine>> open_bench_engine(const Application& application,
                                                          const std::string& kind,
                                                          const std::string& engine_path,
                                                          const std::string& profile_folder = {});

}  // namespace joulery::app
