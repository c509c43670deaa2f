#include "engine/search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/test_folder.hpp"
#include "engine/cpu_features.hpp"

namespace joulery::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SearchTest : public testing::Test {
 protected:
  void make(const std::string& path) { folder_.write(path, "x"); }

  std::vector<std::string> find(const SearchContext& context) {
    const auto places = search_places(root_, context);
    EXPECT_TRUE(places);
    found_ = find_engines(root_, *places);
    std::vector<std::string> lines;
    for (const FoundEngine& engine : found_) lines.push_back(engine.library + ": " + engine.what);
    return lines;
  }

  TestFolder folder_;
  SystemRoot root_{folder_.path()};
  std::vector<FoundEngine> found_;
};

TEST_F(SearchTest, NothingIsThere) {
  EXPECT_THAT(find({}), ElementsAre());
}

TEST_F(SearchTest, ThePlacesAreAskedInTheirOrder) {
  make("/env/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1");
  make("/env/lib/python3.12/site-packages/openvino/libs/libopenvino_c.so.2641");
  make("/src/.deps/venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.30.0");
  make("/home/a/.local/lib/python3.11/site-packages/openvino/libs/libopenvino_c.so.2540");
  make("/usr/lib/python3/dist-packages/onnxruntime/capi/libonnxruntime.so.1.20.0");
  make("/usr/lib/x86_64-linux-gnu/libonnxruntime.so.1.21");
  make("/usr/local/lib/libonnxruntime.so.1.22");
  make("/mine/libonnxruntime.so.1.19.0");
  ::chmod(folder_.path("mine").c_str(), 0755);
  EXPECT_THAT(
      find({.engine_path = "/mine",
            .python_environment = "/env",
            .home = "/home/a",
            .library_directory = "/src/build/dev/lib"}),
      testing::IsSupersetOf(
          {"/mine/libonnxruntime.so.1.19.0: --engine-path",
           "/env/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1: the active "
           "Python environment",
           "/src/.deps/venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.30.0: "
           "the source tree's own environment (.deps)",
           "/home/a/.local/lib/python3.11/site-packages/openvino/libs/libopenvino_c.so.2540: the user's "
           "Python packages",
           "/usr/lib/python3/dist-packages/onnxruntime/capi/libonnxruntime.so.1.20.0: the system's "
           "Python packages",
           "/usr/local/lib/libonnxruntime.so.1.22: the system's libraries"}));
  EXPECT_EQ(found_.front().library, "/mine/libonnxruntime.so.1.19.0");
  EXPECT_STREQ(found_.front().kind->name, "onnxruntime");
}

TEST_F(SearchTest, OfSeveralInAFolderTheNewestIsTakenAndLinksAreOne) {
  make("/usr/lib/libonnxruntime.so.1.9.0");
  make("/usr/lib/libonnxruntime.so.1.31.1");
  make("/usr/lib/libonnxruntime_providers_shared.so");
  std::filesystem::create_symlink("libonnxruntime.so.1.31.1", folder_.path("usr/lib/libonnxruntime.so"));
  std::filesystem::create_directory_symlink("lib", folder_.path("usr/lib64"));
  EXPECT_THAT(find({}), ElementsAre("/usr/lib/libonnxruntime.so.1.31.1: the system's libraries"));
}

TEST_F(SearchTest, WhatIsNoWholeLibraryDoesNotHideOneThatIs) {
  make("/usr/lib/libonnxruntime.so.1.30.0");
  make("/usr/lib/libonnxruntime.so.1.30.0.bak");
  make("/usr/lib/libonnxruntime.so.1.30.0.debug");
  std::filesystem::create_symlink("gone", folder_.path("usr/lib/libonnxruntime.so.1.31"));
  EXPECT_THAT(find({}), ElementsAre("/usr/lib/libonnxruntime.so.1.30.0: the system's libraries"));
  // A wheel of which only a link is left.
  make("/env/lib/python3.12/site-packages/onnxruntime/__init__.py");
  std::filesystem::create_directories(folder_.path("env/lib/python3.12/site-packages/onnxruntime/capi"));
  std::filesystem::create_symlink(
      "gone", folder_.path("env/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1"));
  find({.python_environment = "/env"});
  ASSERT_EQ(found_.size(), 2u);
  ASSERT_TRUE(found_[0].problem);
  EXPECT_THAT(found_[0].problem->message, HasSubstr("installed in part"));
}

TEST_F(SearchTest, APackageWithoutItsLibraryIsToldAsSuch) {
  make("/env/lib/python3.12/site-packages/openvino/__init__.py");
  // What pip leaves behind of a package that is gone is none.
  make("/env/lib/python3.12/site-packages/onnxruntime/__pycache__/x.pyc");
  find({.python_environment = "/env"});
  ASSERT_EQ(found_.size(), 1u);
  ASSERT_TRUE(found_[0].problem);
  EXPECT_THAT(found_[0].problem->message, HasSubstr("installed in part"));
  EXPECT_EQ(found_[0].problem->hint, "pip install --force-reinstall openvino");
}

TEST_F(SearchTest, AnEnginePathMustBeAFolderThatNotEverybodyWrites) {
  for (const char* path : {"mine", "/absent"}) {
    const auto places = search_places(root_, {.engine_path = path});
    ASSERT_FALSE(places) << path;
    EXPECT_EQ(places.error().kind, Error::Kind::user);
  }
  make("/mine/file");
  EXPECT_FALSE(search_places(root_, {.engine_path = "/mine/file"}));
  ::chmod(folder_.path("mine").c_str(), 0777);
  const auto places = search_places(root_, {.engine_path = "/mine"});
  ASSERT_FALSE(places);
  EXPECT_THAT(places.error().hint, HasSubstr("chmod o-w"));
}

TEST_F(SearchTest, TheLoadersOwnFoldersCount) {
  make("/etc/ld.so.conf.d/x.conf");
  folder_.write("/etc/ld.so.conf.d/x.conf", "# comment\n /opt/intel/lib \nrelative\n");
  make("/opt/intel/lib/libopenvino_c.so.2610");
  EXPECT_THAT(find({}), ElementsAre("/opt/intel/lib/libopenvino_c.so.2610: the system's libraries"));
}

TEST(Versions, AreComparedByTheirNumbers) {
  EXPECT_TRUE(version_less("so.1.9.0", "so.1.31.1"));
  EXPECT_FALSE(version_less("so.1.31.1", "so.1.9.0"));
  EXPECT_FALSE(version_less("so.1.0", "so.1.0"));
  EXPECT_TRUE(version_less("so", "so.1"));
  EXPECT_TRUE(version_less("so.007", "so.8"));
}

TEST(CpuFeatureTexts, TellWhatSpeedsUpAPrecision) {
  const auto xeon = parse_cpu_features(
      "processor\t: 0\nflags\t\t: fpu avx avx2 fma avx512f avx512_vnni amx_int8 amx_bf16\nprocessor : "
      "1\nflags : avx_vnni\n");
  EXPECT_THAT(xeon.speeding_up("i8"), ElementsAre("amx_int8", "avx512_vnni"));
  EXPECT_THAT(xeon.speeding_up("bf16"), ElementsAre("amx_bf16"));
  EXPECT_THAT(xeon.speeding_up("f16"), ElementsAre());
  EXPECT_THAT(xeon.speeding_up("f32"), ElementsAre("avx512f", "avx2", "fma", "avx"));
  const auto arm = parse_cpu_features("Features : fp asimd asimdhp asimddp i8mm bf16\n");
  EXPECT_THAT(arm.speeding_up("i8"), ElementsAre("i8mm", "asimddp"));
  EXPECT_THAT(arm.speeding_up("f16"), ElementsAre("asimdhp"));
  EXPECT_TRUE(parse_cpu_features("").flags.empty());
  EXPECT_TRUE(parse_cpu_features(std::string_view("flags\0:\xff avx2", 13)).flags.empty());
}

}  // namespace
}  // namespace joulery::engine
