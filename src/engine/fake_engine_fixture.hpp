#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/engine.hpp"

namespace joulery::engine {

/// A folder for each test, with files that stand for an engine's library: the made-up plug-in only looks at
/// their names.
class FakeEngineTest : public testing::Test {
 protected:
  FakeEngineTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "joulery-engine-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~FakeEngineTest() override { std::filesystem::remove_all(folder_); }

  EngineLocation location(const std::string& library = "libfake.so", const std::string& name = "fake") const {
    const std::string path = folder_ + "/" + library;
    std::ofstream(path) << "not really";
    return {.name = name, .library = path, .plugin_directory = JOULERY_FAKE_ENGINE};
  }

  static ModelSource model(std::string_view words) {
    return {.path = {}, .bytes = std::as_bytes(std::span(words.data(), words.size()))};
  }

  std::string folder_;
};

}  // namespace joulery::engine
