#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/allocation_count.hpp"
#include "engine/fake_engine_fixture.hpp"
#include "engine/floating_mode.hpp"
#include "engine/options.hpp"
#include "engine/output_capture.hpp"

namespace joulery::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PluginEngineTest : public FakeEngineTest {
 protected:
  std::unique_ptr<Engine> open() {
    auto engine = open_engine(location());
    EXPECT_TRUE(engine) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }
};

TEST_F(PluginEngineTest, TellsWhatItIs) {
  const auto engine = open();
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(engine->info().name, "fake");
  // Nothing of a library's reaches a terminal as it is.
  EXPECT_EQ(engine->info().version, "9.8.7?[31m");
  ASSERT_EQ(engine->info().devices.size(), 1u);
  EXPECT_EQ(engine->info().devices[0].description, "a made-up processor");
  EXPECT_THAT(engine->info().precisions, ElementsAre("f32"));
}

TEST_F(PluginEngineTest, RunsOnBoundMemory) {
  const auto engine = open();
  ASSERT_NE(engine, nullptr);
  auto session = engine->load(model("good"), {.batch = 2});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ((*session)->inputs()[0].shape, (data::Shape{2, 3}));
  EXPECT_EQ((*session)->outputs()[0].shape, (data::Shape{2, 3}));
  const auto x = data::Tensor::create(data::DataType::f32, {2, 3});
  const auto y = data::Tensor::create(data::DataType::f32, {2, 3});
  ASSERT_TRUE(x && y);
  for (int i = 0; i < 6; ++i) x->elements<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i);
  ASSERT_TRUE((*session)->bind_input(0, x->view()));
  ASSERT_TRUE((*session)->bind_output(0, y->view()));
  ASSERT_TRUE((*session)->run());
  EXPECT_THAT(y->elements<float>(), ElementsAre(0, 2, 4, 6, 8, 10));
  const auto output = (*session)->output(0);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->data, y->view().data);
}

TEST_F(PluginEngineTest, ARunAllocatesNothingAfterTheFirst) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "the sanitizer has an allocator of its own";
  const auto engine = open();
  ASSERT_NE(engine, nullptr);
  auto session = engine->load(model("good"), {.batch = 4});
  ASSERT_TRUE(session);
  const auto x = data::Tensor::create(data::DataType::f32, {4, 3});
  const auto y = data::Tensor::create(data::DataType::f32, {4, 3});
  ASSERT_TRUE((*session)->bind_input(0, x->view()) && (*session)->bind_output(0, y->view()));
  ASSERT_TRUE((*session)->run());
  const auto before = allocation_count.load();
  bool good = true;
  for (int i = 0; i < 100; ++i) good = good && (*session)->run() && (*session)->output(0);
  EXPECT_EQ(allocation_count.load(), before);
  EXPECT_TRUE(good);
}

TEST_F(PluginEngineTest, AnOutputThatIsNotBoundIsKeptByTheEngine) {
  const auto engine = open();
  auto session = engine->load(model("good"), {});
  ASSERT_TRUE(session);
  // The rows are still open: what is bound says how many there are.
  EXPECT_FALSE((*session)->inputs()[0].shape.is_known());
  const auto x = data::Tensor::create(data::DataType::f32, {1, 3});
  x->elements<float>()[2] = 21;
  ASSERT_TRUE((*session)->bind_input(0, x->view()));
  ASSERT_TRUE((*session)->run());
  const auto output = (*session)->output(0);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->shape, (data::Shape{1, 3}));
  EXPECT_THAT(output->elements<float>(), ElementsAre(0, 0, 42));
}

TEST_F(PluginEngineTest, AForkHasBindingsOfItsOwnAndOutlivesItsOrigin) {
  const auto engine = open();
  auto session = engine->load(model("good"), {.batch = 1});
  ASSERT_TRUE(session);
  const auto x = data::Tensor::create(data::DataType::f32, {1, 3});
  const auto other = data::Tensor::create(data::DataType::f32, {1, 3});
  x->elements<float>()[0] = 1;
  other->elements<float>()[0] = 10;
  ASSERT_TRUE((*session)->bind_input(0, x->view()));
  auto sibling = (*session)->fork();
  ASSERT_TRUE(sibling) << sibling.error().message;
  EXPECT_EQ((*sibling)->inputs()[0].shape, (data::Shape{1, 3}));
  EXPECT_EQ((*sibling)->effective_options().size(), (*session)->effective_options().size());
  // What the first has bound is not the second's.
  EXPECT_FALSE((*sibling)->run());
  ASSERT_TRUE((*sibling)->bind_input(0, other->view()));
  ASSERT_TRUE((*session)->run() && (*sibling)->run());
  EXPECT_THAT((*session)->output(0)->elements<float>(), ElementsAre(2, 0, 0));
  session->reset();
  ASSERT_TRUE((*sibling)->run());
  EXPECT_THAT((*sibling)->output(0)->elements<float>(), ElementsAre(20, 0, 0));
}

TEST_F(PluginEngineTest, AForkThatIsRefused) {
  const auto engine = open();
  auto session = engine->load(model("refuse_fork"), {});
  ASSERT_TRUE(session);
  EXPECT_THAT((*session)->fork().error().message, HasSubstr("no second one"));
}

TEST_F(PluginEngineTest, OperatorsThatWereTimed) {
  const auto engine = open();
  auto session = engine->load(model("no_input"), {.profile = true, .profile_folder = folder_.path()});
  ASSERT_TRUE(session);
  EXPECT_TRUE(std::filesystem::exists(folder_.path("profile")));
  ASSERT_TRUE((*session)->run() && (*session)->run());
  const auto times = (*session)->operator_times();
  ASSERT_TRUE(times) << times.error().message;
  ASSERT_EQ(times->size(), 1U);
  EXPECT_EQ(times->at(0).node.find('\x1b'), std::string::npos);
  EXPECT_EQ(times->at(0).op_type, "Double");
  EXPECT_EQ(times->at(0).kernel, "made_up_I8");
  EXPECT_EQ(times->at(0).precision, "i8");
  EXPECT_EQ(times->at(0).calls, 2U);
  EXPECT_EQ(times->at(0).seconds, 1);
}

TEST_F(PluginEngineTest, WithoutAProfileThereAreNoTimes) {
  const auto engine = open();
  auto session = engine->load(model("good"), {});
  EXPECT_THAT((*session)->operator_times().error().message, HasSubstr("without a profile"));
  auto refused = engine->load(model("refuse_profile"), {.profile = true, .profile_folder = folder_.path()});
  EXPECT_THAT((*refused)->operator_times().error().message, HasSubstr("no profile"));
}

TEST_F(PluginEngineTest, AModelWithoutInputsRuns) {
  const auto engine = open();
  auto session = engine->load(model("no_input"), {});
  ASSERT_TRUE(session);
  EXPECT_TRUE((*session)->inputs().empty());
  EXPECT_TRUE((*session)->run());
  EXPECT_TRUE((*session)->output(0));
}

TEST_F(PluginEngineTest, PortsAreCalledWhatTheModelCallsThem) {
  const auto engine = open();
  ModelSource source = model("good");
  source.input_names = {"picture"};
  source.output_names = {"class"};
  auto session = engine->load(source, {.shapes = {{"picture", {4, 3}}}});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ((*session)->inputs()[0].name, "picture");
  EXPECT_EQ((*session)->outputs()[0].name, "class");
  source.output_names.emplace_back("another");
  session = engine->load(source, {});
  ASSERT_FALSE(session);
  EXPECT_THAT(session.error().message, HasSubstr("1 outputs where the model has 2"));
}

TEST_F(PluginEngineTest, WithoutARunThatSucceededThereIsNoOutput) {
  const auto engine = open();
  auto session = engine->load(model("refuse_third_run"), {.batch = 1});
  ASSERT_TRUE(session);
  const auto x = data::Tensor::create(data::DataType::f32, {1, 3});
  const auto y = data::Tensor::create(data::DataType::f32, {1, 3});
  ASSERT_TRUE((*session)->bind_input(0, x->view()) && (*session)->bind_output(0, y->view()));
  EXPECT_FALSE((*session)->output(0));
  for (int i = 1; i <= 4; ++i) {
    const bool good = i != 3;
    EXPECT_EQ((*session)->run().has_value(), good);
    EXPECT_EQ((*session)->output(0).has_value(), good);
  }
}

TEST_F(PluginEngineTest, WhatDoesNotFitIsRefusedBeforeTheEngineSeesIt) {
  const auto engine = open();
  auto session = engine->load(model("good"), {});
  ASSERT_TRUE(session);
  const auto wrong_type = data::Tensor::create(data::DataType::i64, {1, 3});
  auto bound = (*session)->bind_input(0, wrong_type->view());
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().kind, Error::Kind::user);
  EXPECT_THAT(bound.error().message, HasSubstr("f32, not i64"));

  const auto wrong_shape = data::Tensor::create(data::DataType::f32, {1, 4});
  bound = (*session)->bind_input(0, wrong_shape->view());
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message, HasSubstr("[?, 3]"));

  data::TensorView open_shape = wrong_shape->view();
  open_shape.shape = {data::kUnknownDimension, 3};
  bound = (*session)->bind_input(0, open_shape);
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().hint, HasSubstr("--shape x:1,3"));

  const auto short_memory = data::Tensor::create(data::DataType::f32, {1, 3});
  data::TensorView view = short_memory->view();
  view.shape = {100, 3};
  EXPECT_FALSE((*session)->bind_input(0, view));
  EXPECT_FALSE((*session)->bind_input(7, short_memory->view()));
  // Nothing is bound yet.
  EXPECT_FALSE((*session)->run());
  EXPECT_FALSE((*session)->output(9));
}

TEST_F(PluginEngineTest, OptionsReachItAndWhatIsInEffectComesBack) {
  const auto engine = open();
  auto session = engine->load(model("good"), {.threads = 3, .spin = false});
  ASSERT_TRUE(session);
  const auto options = (*session)->effective_options();
  ASSERT_EQ(options.size(), 3u);
  EXPECT_EQ(options[0].name, "threads");
  EXPECT_EQ(options[0].value, "3");
  EXPECT_EQ(options[0].known, Known::read_back);
  EXPECT_EQ(options[1].known, Known::requested);
  // On by default.
  EXPECT_EQ(options[2].value, "true");
  EXPECT_EQ(options[2].known, Known::unsupported);
  EXPECT_FALSE(engine->load(model("good"), {.threads = -1}));
  EXPECT_FALSE(engine->load(model("good"), {.batch = -1}));
}

TEST_F(PluginEngineTest, ErrorsOfTheEngineComeThroughSafely) {
  const auto engine = open();
  auto session = engine->load(model("refuse_load"), {});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().kind, Error::Kind::user);
  EXPECT_EQ(session.error().message, "this model is refused?[2J");
  EXPECT_EQ(session.error().hint, "take another");
  EXPECT_FALSE(engine->load({}, {}));

  auto refused = open_engine(location("refuse.so"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::environment);
}

TEST_F(PluginEngineTest, PortsThatWeCanNotServeAreRefused) {
  const auto engine = open();
  EXPECT_THAT(engine->load(model("odd_type"), {}).error().message, HasSubstr("type"));
  EXPECT_THAT(engine->load(model("deep_output"), {}).error().message, HasSubstr("40 dimensions"));
  EXPECT_THAT(engine->load(model("no_output"), {}).error().message, HasSubstr("no outputs"));
}

TEST_F(PluginEngineTest, WhatItPrintsIsKeptFromTheTerminal) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const auto engine = open_engine(location("print_open.so"));
  ASSERT_TRUE(engine);
  EXPECT_TRUE((*engine)->load(model("print_load"), {}));
  const auto refused = (*engine)->load(model("print_load refuse_load"), {});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("it printed: noise on stdout | noise on stderr"));
}

TEST_F(PluginEngineTest, APlugInThatIsNotThereOrOfAnotherVersionIsNamed) {
  auto engine = open_engine(location("lib.so", "absent"));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().kind, Error::Kind::environment);
  EXPECT_THAT(engine.error().hint, HasSubstr("./dev setup"));
  engine = open_engine(location("lib.so", "foreign"));
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, HasSubstr("another version"));
}

TEST_F(PluginEngineTest, ALibraryThatOthersMayWriteIsNotOpened) {
  const EngineLocation place = location();
  ASSERT_EQ(::chmod(place.library.c_str(), 0666), 0);
  auto engine = open_engine(place);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().kind, Error::Kind::user);
  EngineLocation relative = place;
  relative.library = "libfake.so";
  EXPECT_FALSE(open_engine(relative));
  relative.library = folder_.path("missing.so");
  EXPECT_FALSE(open_engine(relative));
}

TEST(OutputCaptures, GiveTheStreamsBack) {
  testing::internal::CaptureStderr();
  {
    const OutputCapture capture;
    static_cast<void>(!::write(STDERR_FILENO, "inside\n", 7));
    EXPECT_EQ(capture.text(), "inside\n");
  }
  static_cast<void>(!::write(STDERR_FILENO, "outside\n", 8));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "outside\n");
}

TEST(OutputCaptures, TakeWhatIsHeldBackByPrintf) {
  testing::internal::CaptureStdout();
  {
    const OutputCapture capture;
    std::printf("from a library\n");
    EXPECT_EQ(capture.text(), "from a library\n");
    std::printf("more of it\n");
  }
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(OutputCaptures, OfAFloodTheEndIsKept) {
  EXPECT_EQ(last_lines("a\n\n b\nc\x1b[0m\nd\n"), "b | c?[0m | d");
  EXPECT_EQ(last_lines(""), "");
  EXPECT_EQ(last_lines(std::string(10'000, 'x')).size(), 300u);
}

TEST(FloatingModes, ChangeWhatDenormalsAreAndPutItBack) {
  volatile float tiny = 1e-40F;
  const auto passes = [&] { return tiny * 1.0F != 0; };
  ASSERT_TRUE(passes());
  {
    const FloatingMode flush(true);
    EXPECT_FALSE(passes());
    {
      const FloatingMode keep(false);
      EXPECT_TRUE(passes());
    }
    EXPECT_FALSE(passes());
  }
  EXPECT_TRUE(passes());
}

}  // namespace
}  // namespace joulery::engine
