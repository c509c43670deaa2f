#include "engine/contained.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/fake_engine_fixture.hpp"

namespace joulery::engine {
namespace {

using testing::HasSubstr;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsLimited = false;
#else
constexpr bool kMemoryIsLimited = true;
#endif
#endif

class ContainedTest : public FakeEngineTest {
 protected:
  ContainedTest() {
    limits_.load_timeout_seconds = 20;
    limits_.run_timeout_seconds = 20;
    limits_.address_space_bytes = std::uint64_t{512} << 20;
    limits_.tensor_bytes = 16 << 20;
  }

  Result<std::unique_ptr<Engine>> open(const std::string& library = "libfake.so") {
    // A sanitizer would make an exit with a report of what is a crash.
    const std::vector<std::string> environment{"ASAN_OPTIONS=handle_segv=0:handle_abort=0",
                                               "TSAN_OPTIONS=handle_segv=0:handle_abort=0"};
    return open_contained_engine(location(library),
                                 {.path = JOULERY_ENGINE_WORKER, .environment = environment}, limits_);
  }

  /// Loads a model in an engine that lives as long as the test.
  Result<std::unique_ptr<Session>> load(std::string_view words,
                                        const SessionOptions& options = {.batch = 2}) {
    auto engine = open();
    if (!engine) return std::unexpected(engine.error());
    engine_ = std::move(*engine);
    return engine_->load(model(words), options);
  }

  /// Runs a model once on ones.
  Status run(std::string_view words) {
    JOULERY_ASSIGN(session_, load(words));
    JOULERY_CHECK_OK(bind_ones());
    return session_->run();
  }

  Status bind_ones() {
    JOULERY_ASSIGN(data::Tensor tensor, data::Tensor::create(data::DataType::f32, {2, 3}));
    x_.emplace(std::move(tensor));
    std::ranges::fill(x_->elements<float>(), 1.0F);
    return session_->bind_input(0, x_->view());
  }

  WorkerLimits limits_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  std::optional<data::Tensor> x_;
};

TEST_F(ContainedTest, DoesWhatTheEngineDoes) {
  ASSERT_TRUE(run("good"));
  EXPECT_EQ(engine_->info().version, "9.8.7?[31m");
  auto output = session_->output(0);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->shape, (data::Shape{2, 3}));
  EXPECT_THAT(output->elements<float>(), testing::Each(2.0F));

  // New values in the same memory, and an output into memory of ours.
  const auto y = data::Tensor::create(data::DataType::f32, {2, 3});
  ASSERT_TRUE(session_->bind_output(0, y->view()));
  for (int round = 1; round < 4; ++round) {
    x_->elements<float>()[0] = static_cast<float>(round);
    ASSERT_TRUE(session_->run());
    EXPECT_EQ(y->elements<float>()[0], 2.0F * static_cast<float>(round));
  }
  output = session_->output(0);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->data, y->view().data);
}

TEST_F(ContainedTest, OptionsAndErrorsGoThrough) {
  auto session = load("good", {.threads = 5, .batch = 3});
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->effective_options()[0].value, "5");
  EXPECT_EQ((*session)->inputs()[0].shape, (data::Shape{3, 3}));
  ModelSource named = model("good");
  named.output_names = {"class"};
  session = engine_->load(named, {});
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->outputs()[0].name, "class");
  session = load("refuse_load");
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().kind, Error::Kind::user);
  EXPECT_EQ(session.error().hint, "take another");
  session = load("good", {.shapes = {{"z", {1, 3}}}});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().kind, Error::Kind::user);
}

TEST_F(ContainedTest, AModelCanBeAFile) {
  const std::string path = folder_.write("model.onnx", "refuse_run");
  auto engine = open();
  ASSERT_TRUE(engine);
  auto session = (*engine)->load({.path = path}, {.batch = 2});
  ASSERT_TRUE(session);
  session_ = std::move(*session);
  ASSERT_TRUE(bind_ones());
  const Status status = session_->run();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "the model can't be run");
}

TEST_F(ContainedTest, ACrashIsAnErrorWithTheLastWords) {
  for (const char* words : {"crash_load", "crash_run", "crash_bind"}) {
    const Status status = run(words);
    ASSERT_FALSE(status) << words;
    EXPECT_EQ(status.error().kind, Error::Kind::environment);
    EXPECT_THAT(status.error().message, HasSubstr("SEGV"));
    EXPECT_THAT(status.error().message, HasSubstr("about to crash"));
  }
  EXPECT_THAT(open("crash_open.so").error().message, HasSubstr("while opening its library"));
  // A session that is gone stays an error, and the engine goes on.
  ASSERT_FALSE(run("crash_run"));
  EXPECT_FALSE(session_->run());
  EXPECT_TRUE(engine_->load(model("good"), {}));
}

TEST_F(ContainedTest, AnEndWithoutAWordIsAnError) {
  EXPECT_THAT(run("abort_run").error().message, HasSubstr("ABRT"));
  EXPECT_THAT(run("exit_run").error().message, HasSubstr("code 0"));
}

TEST_F(ContainedTest, AHangIsEnded) {
  limits_.run_timeout_seconds = 0.3;
  const Status status = run("print_run hang_run");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("did not answer within 0.3 s"));
  EXPECT_THAT(status.error().message, HasSubstr("noise on stderr"));
  limits_.load_timeout_seconds = 0.3;
  EXPECT_THAT(open("hang_open.so").error().message, HasSubstr("did not answer"));
}

TEST_F(ContainedTest, AWorkerThatReadsNothingIsEnded) {
  limits_.load_timeout_seconds = 0.3;
  EngineLocation place = location();
  // More than a socket holds.
  place.plugin_directory = std::string(2 << 20, 'x');
  const auto engine = open_contained_engine(place, {.path = "/bin/sleep", .arguments = {"60"}}, limits_);
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, HasSubstr("did not answer"));
}

TEST_F(ContainedTest, CpuTimeIsLimited) {
  limits_.cpu_seconds = 1;
  const Status status = run("burn_run");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("more than 1 s of CPU time"));
}

TEST_F(ContainedTest, MemoryIsLimited) {
  if (!kMemoryIsLimited) GTEST_SKIP() << "a sanitizer takes more address space than any limit";
  for (const char* words : {"allocate_load", "allocate_run"}) {
    const Status status = run(words);
    ASSERT_FALSE(status) << words;
    EXPECT_THAT(status.error().message, HasSubstr("memory limit"));
  }
}

TEST_F(ContainedTest, GarbageIsDistrusted) {
  for (const char* words : {"garbage_load", "garbage_run", "lie_about_shape", "lie_about_type"}) {
    const Status status = run(words);
    ASSERT_FALSE(status) << words;
    EXPECT_THAT(status.error().message, HasSubstr("makes no sense")) << words;
  }
}

TEST_F(ContainedTest, NothingOfItReachesOurStreams) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_TRUE(run("print_load print_run flood_run"));
  const Status status = run("flood_run crash_run");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("the end of the flood | about to crash"));
}

TEST_F(ContainedTest, ItChangesNoFiles) {
  folder_.write("left", "precious");
  const Status status = run("leave_run crash_run into=" + folder_.path());
  EXPECT_THAT(status.error().message, HasSubstr("no file could be left"));
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) GTEST_SKIP() << "this system has no way to keep files from being emptied";
  EXPECT_EQ(folder_.read("left"), "precious");
}

TEST_F(ContainedTest, OneFolderCanBeGranted) {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  std::filesystem::create_directory(folder_.path("granted"));
  std::filesystem::create_directory(folder_.path("other"));
  const std::string leave = "leave_run crash_run into=" + folder_.path();
  EXPECT_THAT(run(leave + "/granted").error().message, HasSubstr("no file could be left"));
  limits_.profile_folder = folder_.path("granted");
  EXPECT_THAT(run(leave + "/other").error().message, HasSubstr("no file could be left"));
  EXPECT_THAT(run(leave).error().message, HasSubstr("no file could be left"));
  EXPECT_THAT(run(leave + "/granted").error().message,
              HasSubstr(version < 1 ? "no file could be left" : "a file was left"));
  EXPECT_EQ(std::filesystem::file_size(folder_.path("granted/left")), version < 1 ? 0U : 7U);
  limits_.profile_folder = folder_.path("nowhere");
  EXPECT_THAT(run("good").error().message, HasSubstr("nowhere"));
}

TEST_F(ContainedTest, NotANumberIsAnAnswer) {
  ASSERT_TRUE(run("nan_run"));
  const auto output = session_->output(0);
  ASSERT_TRUE(output);
  EXPECT_TRUE(data::has_non_finite(*output));
}

TEST_F(ContainedTest, TensorsThatDoNotFitTheSharedMemoryAreRefused) {
  auto session = load("good", {});
  ASSERT_TRUE(session);
  const auto large = data::Tensor::create(data::DataType::f32, {3 << 20, 3});
  ASSERT_TRUE((*session)->bind_input(0, large->view()));
  const Status status = (*session)->run();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().hint, HasSubstr("smaller batch"));
  // The input fits, the output beside it does not.
  const auto half = data::Tensor::create(data::DataType::f32, {1 << 20, 3});
  ASSERT_TRUE((*session)->bind_input(0, half->view()));
  EXPECT_FALSE((*session)->run());
}

TEST_F(ContainedTest, AnInputWithoutValuesIsAnError) {
  auto session = load("good");
  ASSERT_TRUE(session);
  EXPECT_FALSE((*session)->run());
}

TEST_F(ContainedTest, WithoutARunThatSucceededThereIsNoOutput) {
  ASSERT_TRUE(run("refuse_third_run"));
  for (int i = 2; i <= 4; ++i) {
    const bool good = i != 3;
    EXPECT_EQ(session_->run().has_value(), good);
    EXPECT_EQ(session_->output(0).has_value(), good);
  }
}

TEST_F(ContainedTest, AProgramThatIsNoneIsAnError) {
  EXPECT_THAT(open_contained_engine(location(), {.path = "/nonexistent"}, limits_).error().message,
              HasSubstr("can't execute"));
  const auto engine = open_contained_engine(location(), {.path = "/bin/true"}, limits_);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().kind, Error::Kind::environment);
}

TEST_F(ContainedTest, NoWorkerIsLeftBehind) {
  ASSERT_TRUE(run("good"));
  session_.reset();
  engine_.reset();
  // No child is left to be waited for.
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

/// Is this process, which is somebody else's to wait for, soon gone or at its end?
bool ends(int process) {
  for (int i = 0; i < 1000; ++i) {
    std::ifstream file(fmt::format("/proc/{}/status", process));
    std::string state;
    for (std::string line; std::getline(file, line);) state += line.starts_with("State:") ? line : "";
    if (state.empty() || state.find("(zombie)") != std::string::npos) return true;
    ::poll(nullptr, 0, 5);
  }
  return false;
}

TEST_F(ContainedTest, ASessionOutlivesTheThreadThatLoadedIt) {
  std::thread([&] {
    auto session = load("good");
    if (session) session_ = std::move(*session);
  }).join();
  ASSERT_NE(session_, nullptr);
  ASSERT_TRUE(bind_ones());
  const Status status = session_->run();
  EXPECT_TRUE(status) << status.error().message;
}

TEST_F(ContainedTest, AWorkerEndsWithItsParentWhateverItIsAt) {
  std::array<int, 2> line{};
  ASSERT_EQ(::pipe(line.data()), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto session = load("hang_run");
    int worker = 0;
    std::ifstream("/proc/thread-self/children") >> worker;
    if (!session) ::_exit(1);
    session_ = std::move(*session);
    static_cast<void>(!::write(line[1], &worker, sizeof(worker)));
    if (bind_ones()) static_cast<void>(session_->run());
    ::_exit(2);
  }
  ::close(line[1]);
  int worker = 0;
  const ssize_t got = ::read(line[0], &worker, sizeof(worker));
  // It may not have got to the model yet: then it ends at its next read.
  ::poll(nullptr, 0, 100);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  ::close(line[0]);
  ASSERT_EQ(got, static_cast<ssize_t>(sizeof(worker)));
  if (worker == 0) GTEST_SKIP() << "this kernel does not tell a process's children";
  EXPECT_TRUE(ends(worker));
  ::kill(worker, SIGKILL);
}

TEST_F(ContainedTest, WhatAWorkerStartedGoesWithIt) {
  for (const char* end : {"crash_run", "hang_run"}) {
    limits_.run_timeout_seconds = 1;
    const Status status = run(std::string("fork_run ") + end);
    ASSERT_FALSE(status);
    const auto at = status.error().message.find("started ");
    ASSERT_NE(at, std::string::npos) << status.error().message;
    const int child = std::atoi(status.error().message.c_str() + at + 8);
    ASSERT_GT(child, 1);
    EXPECT_TRUE(ends(child));
    ::kill(child, SIGKILL);
  }
}

}  // namespace
}  // namespace joulery::engine
