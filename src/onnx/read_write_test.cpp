#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/files.hpp"
#include "onnx/model_fixture.hpp"
#include "onnx/read.hpp"
#include "onnx/write.hpp"

namespace joulery::onnx {
namespace {

using namespace std::string_view_literals;
using testing::HasSubstr;

class ReadWriteTest : public FolderTest {
 protected:
  ReadWriteTest() : model_(small_model()) {
    std::vector<float> large(1000);
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<float>(i);
    model_.graph->initializers.push_back(make_tensor("large", {10, 100}, large));
    std::vector<float> huge(300'000, 0.5F);
    model_.graph->initializers.push_back(make_tensor("huge", {3, 100'000}, huge));
  }
  Model read_back() { return must(read_model(path("m.onnx"))); }

  Model model_;
};

TEST_F(ReadWriteTest, WhatIsWrittenIsReadBack) {
  const WrittenModel written = must(write_model(model_, path("m.onnx")));
  EXPECT_EQ(written.side_file, "");
  EXPECT_EQ(written.model_bytes, std::filesystem::file_size(path("m.onnx")));
  EXPECT_EQ(read_back(), model_);
}

TEST_F(ReadWriteTest, LargeTensorsGoIntoASideFile) {
  const WrittenModel written =
      must(write_model(model_, path("m.onnx"), {.data = WriteOptions::Data::in_side_file}));
  EXPECT_EQ(std::filesystem::file_size(path(written.side_file)), written.side_file_bytes);
  const Model again = read_back();
  const auto& tensors = again.graph->initializers;
  EXPECT_EQ(tensors[0].storage, TensorStorage::raw) << "below 1 KiB";
  EXPECT_EQ(tensors[1].storage, TensorStorage::external);
  EXPECT_EQ(tensors[1].external_data[1].value, "0");
  EXPECT_EQ(tensors[2].external_data[1].value, "65536");
  EXPECT_EQ(tensors[2].data, model_.graph->initializers[2].data);
  EXPECT_EQ(must(with_own_data(again)), model_);
  EXPECT_EQ(must(model_hash(again)), must(model_hash(model_)));
}

TEST_F(ReadWriteTest, AModelCanReplaceTheOneThatItWasReadFrom) {
  const WriteOptions side{.data = WriteOptions::Data::in_side_file};
  must(write_model(model_, path("m.onnx"), side));
  const Model read = read_back();
  must(write_model(read, path("m.onnx"), side));
  EXPECT_EQ(must(with_own_data(read_back())), model_);
  must(write_model(read_back(), path("m.onnx"), {.data = WriteOptions::Data::in_model}));
  EXPECT_EQ(read_back(), model_);
}

TEST_F(ReadWriteTest, WhatTheModelIsCalledDoesNotMakeItUnreadable) {
  WriteOptions options;
  options.data = WriteOptions::Data::in_side_file;
  options.side_file_from_bytes = 1;
  for (const std::string name :
       {"a\\b.onnx", "c:d.onnx", "\xff.onnx", "new\nline.onnx", "a_mem_addr_.onnx"}) {
    const WrittenModel written = must(write_model(small_model(), path(name), options));
    EXPECT_TRUE(written.side_file.starts_with("model.onnx.")) << written.side_file;
    const auto again = read_model(path(name));
    EXPECT_TRUE(again) << message_of(again);
  }
}

TEST_F(ReadWriteTest, TypedDataGoesIntoASideFileAsRaw) {
  Tensor tensor;
  tensor.name = "typed";
  tensor.data_type = DataType::int64;
  tensor.dims = {2000};
  tensor.storage = TensorStorage::int64_data;
  tensor.data = SharedBytes::adopt(std::vector<std::uint8_t>(2000, 7));
  model_.graph->initializers.push_back(tensor);
  must(write_model(model_, path("m.onnx"), {.data = WriteOptions::Data::in_side_file}));
  EXPECT_EQ(must(integer_values(read_back().graph->initializers[3])), std::vector<std::int64_t>(2000, 7));
}

TEST_F(ReadWriteTest, ALinkIsFollowedAndItsTargetReplaced) {
  std::filesystem::create_directory(path("store"));
  must(write_model(small_model(), path("store/real.onnx")));
  std::filesystem::create_symlink("store/real.onnx", path("m.onnx"));
  must(write_model(model_, path("m.onnx"), {.data = WriteOptions::Data::in_side_file}));
  EXPECT_TRUE(std::filesystem::is_symlink(path("m.onnx")));
  EXPECT_EQ(must(with_own_data(must(read_model(path("store/real.onnx"))))), model_);
}

TEST_F(ReadWriteTest, ALinkInThePlaceOfASideFileIsNotFollowed) {
  const WriteOptions side{.data = WriteOptions::Data::in_side_file};
  const std::string name = must(write_model(model_, path("m.onnx"), side)).side_file;
  write("victim", "precious");
  std::filesystem::remove(path(name));
  std::filesystem::create_symlink("victim", path(name));
  must(write_model(model_, path("m.onnx"), side));
  EXPECT_EQ(read("victim"), "precious");
  EXPECT_EQ(must(with_own_data(read_back())), model_);
}

TEST_F(ReadWriteTest, AFailureLeavesTheOldFileAndNoOther) {
  must(write_model(small_model(), path("m.onnx")));
  Model broken = model_;
  broken.graph->initializers[1] = external_tensor("large", {1}, {{"location", "gone"}});
  for (const auto data : {WriteOptions::Data::automatic, WriteOptions::Data::in_side_file}) {
    EXPECT_THAT(message_of(write_model(broken, path("m.onnx"), {.data = data})), HasSubstr("'large'"));
  }
  EXPECT_EQ(read_back(), small_model());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  EXPECT_FALSE(write_model(model_, path("absent/m.onnx")));
}

TEST_F(ReadWriteTest, AModelOfTwoGigabytesNeedsASideFile) {
  // A hole of 2 GiB: nothing of it is ever in memory.
  const FileDescriptor file(::open(path("hole.bin").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(file.get(), std::int64_t{1} << 31U), 0);
  Model model = small_model();
  model.graph->initializers.push_back(external_tensor("hole", {1LL << 29U}, {{"location", "hole.bin"}}));
  write("m.onnx", bytes_of(model));
  const Model read = read_back();
  const auto refused = write_model(read, path("out.onnx"), {.data = WriteOptions::Data::in_model});
  EXPECT_THAT(message_of(refused), HasSubstr("2 GB"));
  EXPECT_THAT(refused.error().hint, HasSubstr("side file"));
}

TEST_F(ReadWriteTest, TheHashIsOfTheContent) {
  const std::string hash = must(model_hash(model_));
  EXPECT_EQ(hash.size(), 64U);
  Model other = model_;
  other.graph->nodes[1].op_type = "Tanh";
  EXPECT_NE(must(model_hash(other)), hash);
}

TEST_F(ReadWriteTest, OtherFilesAreNamed) {
  std::string tar(512, '\0');
  tar.replace(0, 5, "model").replace(257, 5, "ustar");
  const std::string header = R"({"weight":{"dtype":"F32"}})";
  const std::string safetensors = std::string("\x1a\0\0\0\0\0\0\0", 8) + header;
  const struct {
    std::string content;
    const char* name;
  } cases[] = {
      {"", "an empty file"},
      {"just some words\n", "a text file"},
      {"<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"},
      {"\n  <html lang=en>", "an HTML page"},
      {"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">", "OpenVINO"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "a Git LFS pointer"},
      {"{\"model\": 1}", "a JSON file"},
      {"ir_version: 8\nproducer_name: \"x\"\n", "an ONNX model written as text"},
      {std::string("\x1f\x8b\x08\0", 4), "gzip"},
      {"PK\x03\x04zzz", "zip"},
      {tar, "tar"},
      {safetensors, "safetensors"},
      {std::string("\x1c\0\0\0TFL3", 8), "TensorFlow Lite"},
      {std::string("GGUF\x03\0\0\0", 8), "GGUF"},
      {std::string("\x89HDF\r\n\x1a\n", 8), "HDF5"},
      {std::string("\x80\x04\x95zz", 5), "pickle"},
      {std::string("\x93NUMPY\x01\0", 8), "NumPy"},
      {"\x7f"
       "ELF",
       "program"},
      {std::string(10'000, '\0'), "zeros"},
      {std::string(5000, 'a') + "\xc3\xa4", "a text file"},
  };
  for (const auto& [content, name] : cases) {
    write("m.onnx", content);
    const auto model = read_model(path("m.onnx"));
    EXPECT_THAT(message_of(model), HasSubstr("is no ONNX model, but ")) << name;
    EXPECT_THAT(message_of(model), HasSubstr(name));
    if (!model) EXPECT_FALSE(model.error().hint.empty()) << name;
  }
}

TEST_F(ReadWriteTest, WhoMadeAModelDoesNotMakeItAnotherFormat) {
  for (const char* producer : {"TFL3 converter", "ORTModule", "GGUF", "PK"}) {
    Model model = small_model();
    model.producer_name = producer;
    write("m.onnx", bytes_of(model));
    EXPECT_EQ(read_back(), model);
  }
}

TEST_F(ReadWriteTest, WhatHasNoGraphIsNoModel) {
  write("m.onnx", "\x08\x08\x12\x01x"sv);
  EXPECT_THAT(message_of(read_model(path("m.onnx"))), HasSubstr("it has no graph"));
  write("m.onnx", std::string("\x3a\0", 2));
  EXPECT_THAT(message_of(read_model(path("m.onnx"))), HasSubstr("it has no IR version"));
}

TEST_F(ReadWriteTest, PathsThatAreNoFiles) {
  EXPECT_THAT(message_of(read_model(path("absent.onnx"))), HasSubstr("No such file"));
  EXPECT_THAT(message_of(read_model(folder_.path())), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of(read_model(path("pipe"))), HasSubstr("not a regular file"));
  must(write_model(model_, path("m.onnx")));
  EXPECT_THAT(message_of(read_model(path("m.onnx"), {.file_bytes = 100})), HasSubstr("more than the limit"));
}

TEST_F(ReadWriteTest, AModelFromMemory) {
  EXPECT_EQ(must(read_model(bytes_of(model_))), model_);
}

}  // namespace
}  // namespace joulery::onnx
