#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/test_folder.hpp"
#include "engine/engine.hpp"

namespace joulery::engine {

/// A folder for each test, with files that stand for an engine's library: the made-up plug-in only looks at
/// their names.
class FakeEngineTest : public testing::Test {
 protected:
  EngineLocation location(const std::string& library = "libfake.so", const std::string& name = "fake") const {
    return {.name = name,
            .library = folder_.write(library, "not really"),
            .plugin_directory = JOULERY_FAKE_ENGINE};
  }

  static ModelSource model(std::string_view words) {
    return {.path = {}, .bytes = std::as_bytes(std::span(words.data(), words.size()))};
  }

  TestFolder folder_;
};

}  // namespace joulery::engine
