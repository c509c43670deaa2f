#include "config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/test_folder.hpp"

namespace joulery::config {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ConfigFiles : public testing::Test {
 protected:
  ConfigFiles() {
    fs::create_directories(project_);
    fs::create_directories(home_ + "/.config/joulery");
    environment_.working_directory = project_;
    environment_.home = home_;
  }
  void write_user(const std::string& text) { std::ofstream(home_ + "/.config/joulery/config.toml") << text; }
  void write_project(const std::string& text) { std::ofstream(project_ + "/joulery.toml") << text; }
  Result<Config> load() { return Config::load(environment_, find_folders(environment_, 1000)); }
  Error load_error() {
    auto config = load();
    return config ? Error{} : config.error();
  }
  TestFolder folder_;
  const std::string home_ = folder_.path();
  const std::string project_ = home_ + "/project";
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

TEST_F(ConfigFiles, TheProjectFileIsTheNearestFromTheWorkingFolderUpward) {
  const std::string deep = project_ + "/a/b";
  fs::create_directories(deep);
  environment_.working_directory = deep;
  write_project("run.hz = 3\nstore = \"runs.db\"\n");
  EXPECT_EQ(load().value().get("run.hz").where, project_ + "/joulery.toml:1");
  EXPECT_EQ(load().value().text("store"), project_ + "/runs.db");
  std::ofstream(project_ + "/a/joulery.toml") << "run.idle = \"all\"\n";
  const Config nearer = load().value();
  EXPECT_EQ(nearer.text("run.idle"), "all");
  EXPECT_EQ(nearer.number("run.hz"), 10) << "only one project file counts";
  ASSERT_EQ(nearer.files().size(), 3U);
  EXPECT_EQ(nearer.files()[1].path, deep + "/joulery.toml");
  EXPECT_EQ(nearer.files()[1].state, SettingsFile::State::missing);
  EXPECT_EQ(nearer.files()[2].state, SettingsFile::State::read);
}

TEST_F(ConfigFiles, TheSearchUpwardEndsAtARepositoryOrTheHomeFolder) {
  const std::string repository = project_ + "/repository";
  fs::create_directories(repository + "/source");
  environment_.working_directory = repository + "/source/";
  write_project("run.hz = 3\n");
  EXPECT_EQ(load().value().number("run.hz"), 3);
  std::ofstream(repository + "/.git") << "gitdir: elsewhere\n";
  EXPECT_EQ(load().value().number("run.hz"), 10);
  std::ofstream(repository + "/joulery.toml") << "run.hz = 4\n";
  EXPECT_EQ(load().value().number("run.hz"), 4) << "the repository's own folder is looked at, too";

  fs::remove_all(repository + "/joulery.toml");
  fs::remove(repository + "/.git");
  fs::create_directory_symlink(repository, home_ + "/linked");
  environment_.home = home_ + "/linked";
  EXPECT_EQ(load().value().number("run.hz"), 10) << "nothing above the home folder, by whatever name";
}

TEST_F(ConfigFiles, FilesOfOtherUsersArePassedOverAndTheSearchGoesOn) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  fs::create_directories(project_ + "/shared");
  environment_.working_directory = project_ + "/shared";
  write_project("run.hz = 3\n");
  const std::string foreign = project_ + "/shared/joulery.toml";
  std::ofstream(foreign) << "run.hz = 4\n";
  ASSERT_EQ(chown(foreign.c_str(), 12345, 12345), 0);
  const Config config = load().value();
  EXPECT_EQ(config.number("run.hz"), 3);
  EXPECT_THAT(config.notes(), testing::ElementsAre(HasSubstr(foreign + " belongs to another user")));
  EXPECT_EQ(config.files()[1].state, SettingsFile::State::foreign);
}

TEST_F(ConfigFiles, LinksOfOtherUsersArePassedOverWhateverTheyLeadTo) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  const std::string link = project_ + "/shared/joulery.toml";
  fs::create_directories(project_ + "/shared");
  environment_.working_directory = project_ + "/shared";
  write_project("run.hz = 3\n");
  std::ofstream(home_ + "/mine.toml") << "run.hz = 4\n";
  for (const std::string& target : {std::string("/etc/passwd"), std::string("/dev/zero"),
                                    std::string("/dev/tty"), home_ + "/mine.toml"}) {
    fs::remove(link);
    fs::create_symlink(target, link);
    ASSERT_EQ(lchown(link.c_str(), 12345, 12345), 0);
    const auto config = load();
    ASSERT_TRUE(config) << target << ": " << config.error().message;
    EXPECT_EQ(config->number("run.hz"), 3) << target;
    EXPECT_THAT(config->notes(), testing::ElementsAre(HasSubstr(link + " is a link of another user")));
  }
}

TEST_F(ConfigFiles, OwnLinksAreFollowedToTrustedFilesOnly) {
  const std::string link = project_ + "/joulery.toml";
  std::ofstream(home_ + "/mine.toml") << "run.hz = 4\n";
  fs::create_symlink("../mine.toml", home_ + "/project/second");
  fs::create_symlink("second", link);
  EXPECT_EQ(load().value().number("run.hz"), 4);
  fs::remove(link);
  fs::create_symlink("/dev/zero", link);
  EXPECT_THAT(load().value().notes(), testing::ElementsAre(HasSubstr("is no regular file")));
  fs::remove(link);
  fs::create_symlink("joulery.toml", link);
  EXPECT_THAT(load().value().notes(), testing::ElementsAre(HasSubstr("too many links")));
  fs::remove(link);
  fs::create_symlink("nowhere", link);
  EXPECT_THAT(load().value().notes(), testing::IsEmpty());
  if (geteuid() != 0) return;
  fs::remove(link);
  fs::create_symlink(home_ + "/mine.toml", link);
  ASSERT_EQ(chown((home_ + "/mine.toml").c_str(), 12345, 12345), 0);
  const Config config = load().value();
  EXPECT_EQ(config.number("run.hz"), 10);
  EXPECT_THAT(config.notes(), testing::ElementsAre(HasSubstr("belongs to another user")));
}

TEST_F(ConfigFiles, AProjectFileThatOthersCanWriteIsPassedOver) {
  const std::string path = project_ + "/joulery.toml";
  write_project("run.hz = 3\n");
  fs::permissions(path, fs::perms(0646));
  const Config config = load().value();
  EXPECT_EQ(config.number("run.hz"), 10);
  EXPECT_THAT(config.notes(), testing::ElementsAre(HasSubstr("can be written by others")));
  if (geteuid() != 0) return;
  fs::permissions(path, fs::perms(0664));
  EXPECT_EQ(load().value().number("run.hz"), 3) << "the owner's private group";
  ASSERT_EQ(chown(path.c_str(), 0, 100), 0);
  EXPECT_EQ(load().value().number("run.hz"), 10);
}

TEST_F(ConfigFiles, APipeOrAFolderInAProjectIsPassedOver) {
  const std::string path = project_ + "/joulery.toml";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(load().value().notes(), testing::ElementsAre(HasSubstr("is no regular file")));
  fs::remove(path);
  fs::create_directories(path);
  EXPECT_THAT(load().value().notes(), testing::ElementsAre(HasSubstr("is no regular file")));
}

TEST_F(ConfigFiles, AProjectFileDoesNotSayWhereTheCountersAre) {
  write_project("system_root = \"fake\"\nstore = \"runs.db\"\n");
  const Config config = load().value();
  EXPECT_EQ(config.text("system_root"), "/");
  EXPECT_EQ(config.text("store"), project_ + "/runs.db");
  EXPECT_THAT(config.notes(),
              testing::ElementsAre(testing::AllOf(HasSubstr("joulery.toml:1: system_root is not taken"),
                                                  HasSubstr("JOULERY_SYSTEM_ROOT"))));
  write_user("system_root = \"/host\"\n");
  EXPECT_EQ(load().value().text("system_root"), "/host");
  environment_.variables["JOULERY_SYSTEM_ROOT"] = "/other";
  EXPECT_EQ(load().value().text("system_root"), "/other");
}

TEST_F(ConfigFiles, AWorkingFolderThatIsGoneHasNoProjectFile) {
  environment_.working_directory = "(unreachable)/gone";
  EXPECT_EQ(load().value().files().size(), 1U);
}

TEST_F(ConfigFiles, TheExampleOfTheGuideHasEverySettingWithItsDefault) {
  std::ifstream file(JOULERY_SOURCE_DIR "/docs/guide/joulery.toml");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::map<std::string, std::string> shown;
  for (const TomlEntry& entry : parse_toml(text, "docs/guide/joulery.toml").value())
    shown[entry.key] = entry.value;
  for (const SettingDefinition& definition : setting_definitions()) {
    ASSERT_TRUE(shown.contains(definition.key)) << definition.key << " is missing in docs/guide/joulery.toml";
    // Paths depend on the person; all else is shown with what holds without the file.
    if (!definition.built_in.empty()) EXPECT_EQ(shown[definition.key], definition.built_in) << definition.key;
    for (const std::string& choice : definition.choices)
      EXPECT_THAT(text, HasSubstr(choice)) << definition.key;
  }
  EXPECT_EQ(shown.size(), setting_definitions().size());
  write_project(text);
  EXPECT_TRUE(load()) << load_error().message;
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

TEST_F(ConfigFiles, AHugeFileIsAnErrorAndSoIsAFolderInPlaceOfTheUsersFile) {
  fs::create_directories(home_ + "/.config/joulery/config.toml");
  EXPECT_FALSE(load());
  fs::remove(home_ + "/.config/joulery/config.toml");
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
