#include "config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace joulery::config {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ConfigFiles : public testing::Test {
 protected:
  ConfigFiles() {
    std::string pattern = testing::TempDir() + "joulery_config.XXXXXX";
    home_ = mkdtemp(pattern.data());
    project_ = home_ + "/project";
    fs::create_directories(project_);
    fs::create_directories(home_ + "/.config/joulery");
    environment_.working_directory = project_;
    environment_.home = home_;
  }
  ~ConfigFiles() override { fs::remove_all(home_); }
  void write_user(const std::string& text) { std::ofstream(home_ + "/.config/joulery/config.toml") << text; }
  void write_project(const std::string& text) { std::ofstream(project_ + "/joulery.toml") << text; }
  Result<Config> load() { return Config::load(environment_, find_folders(environment_, 1000)); }
  Error load_error() {
    auto config = load();
    return config ? Error{} : config.error();
  }
  std::string home_;
  std::string project_;
  Environment environment_;
};

TEST_F(ConfigFiles, DefaultsWithoutAnyFile) {
  const Config config = load().value();
  EXPECT_EQ(config.number("run.hz"), 10);
  EXPECT_EQ(config.text("store"), home_ + "/.local/share/joulery/joulery.db");
  EXPECT_EQ(config.text("spool"), "/var/tmp/joulery-1000");
  EXPECT_EQ(config.get("run.hz").origin, Origin::built_in);
}

TEST_F(ConfigFiles, FlagBeatsEnvironmentBeatsProjectBeatsUser) {
  write_user("[run]\nhz = 1\nidle = \"all\"\nwait = \"child\"\nexperiment = \"mine\"\n");
  write_project("run.hz = 2.5\nrun.idle = \"none\"\nrun.wait = \"tree\"\n");
  environment_.variables["JOULERY_RUN_HZ"] = "3";
  environment_.variables["JOULERY_RUN_IDLE"] = "proportional";
  Config config = load().value();
  ASSERT_TRUE(config.set_flag("run.hz", "4", "--hz"));
  EXPECT_EQ(config.number("run.hz"), 4);
  EXPECT_EQ(config.get("run.hz").where, "--hz");
  EXPECT_EQ(config.text("run.idle"), "proportional");
  EXPECT_EQ(config.get("run.idle").where, "JOULERY_RUN_IDLE");
  EXPECT_EQ(config.text("run.wait"), "tree");
  EXPECT_EQ(config.get("run.wait").where, project_ + "/joulery.toml:3");
  EXPECT_EQ(config.text("run.experiment"), "mine");
  EXPECT_EQ(config.get("run.experiment").origin, Origin::user_file);
}

TEST_F(ConfigFiles, AWrongKeyNamesTheNearest) {
  write_project("[run]\nhzz = 1\n");
  const Error error = load_error();
  EXPECT_EQ(error.kind, Error::Kind::user);
  EXPECT_THAT(error.message, HasSubstr("joulery.toml:2: there is no setting 'run.hzz'"));
  EXPECT_THAT(error.hint, HasSubstr("did you mean 'run.hz'?"));
}

TEST_F(ConfigFiles, WrongTypesRangesAndChoicesAreRefusedWithTheirLine) {
  write_project("run.hz = \"fast\"\n");
  EXPECT_THAT(load_error().message, HasSubstr("joulery.toml:1: run.hz needs a number"));
  write_project("\n\nrun.hz = 0\n");
  EXPECT_THAT(load_error().message, HasSubstr("joulery.toml:3: run.hz is 0, but it must be between"));
  write_project("run.idle = \"propotional\"\n");
  EXPECT_THAT(load_error().hint, HasSubstr("did you mean 'proportional'?"));
  write_project("store = 3\n");
  EXPECT_THAT(load_error().message, HasSubstr("store needs a text in quotes"));
  write_project("run.hz = [1]\n");
  EXPECT_THAT(load_error().message, HasSubstr("run.hz needs a number"));
}

TEST_F(ConfigFiles, BrokenTomlSaysWhere) {
  write_project("run.hz = 1\nrun.idle = \n");
  EXPECT_THAT(load_error().message, HasSubstr("joulery.toml:2:"));
  write_project(std::string("\xff\xfe\0x", 4));
  EXPECT_THAT(load_error().message, HasSubstr("not valid TOML"));
}

TEST_F(ConfigFiles, BadEnvironmentValuesNameTheVariable) {
  environment_.variables["JOULERY_RUN_HZ"] = "lots";
  EXPECT_THAT(load_error().message, HasSubstr("JOULERY_RUN_HZ: run.hz needs a number"));
}

TEST_F(ConfigFiles, PathsOfAFileAreRelativeToIt) {
  write_project("store = \"runs/here.db\"\n");
  EXPECT_EQ(load().value().text("store"), project_ + "/runs/here.db");
  write_project("store = \"~/there.db\"\n");
  EXPECT_EQ(load().value().text("store"), home_ + "/there.db");
}

TEST_F(ConfigFiles, AFolderOrAHugeFileInPlaceOfTheFileIsAnError) {
  fs::create_directories(project_ + "/joulery.toml");
  EXPECT_FALSE(load());
  fs::remove(project_ + "/joulery.toml");
  write_project(std::string(2 << 20, '#'));
  EXPECT_THAT(load_error().message, HasSubstr("is larger than"));
}

TEST(Folders, FollowTheXdgSpecification) {
  Environment environment;
  environment.home = "/home/a";
  environment.variables = {{"XDG_DATA_HOME", "/data"}, {"XDG_STATE_HOME", "relative"}};
  const Folders folders = find_folders(environment, 7);
  EXPECT_EQ(folders.data, "/data/joulery");
  EXPECT_EQ(folders.state, "/home/a/.local/state/joulery");
  EXPECT_EQ(folders.config, "/home/a/.config/joulery");
  EXPECT_EQ(folders.spool, "/var/tmp/joulery-7");
}

TEST(Folders, WithoutAHomeNothingIsLookedForElsewhere) {
  const Folders folders = find_folders(Environment{}, 7);
  EXPECT_EQ(folders.config, "");
  EXPECT_EQ(folders.data, "");
  EXPECT_EQ(Config::load(Environment{}, folders).value().text("store"), "");
}

}  // namespace
}  // namespace joulery::config
