#include "onnx/external_data.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>

#include "onnx/model_fixture.hpp"
#include "onnx/policy.hpp"

namespace joulery::onnx {
namespace {

using testing::HasSubstr;

/// A model whose weights lie in another file, in a folder "model" beside a file "secret.bin" that is not its
/// business.
class ExternalDataTest : public FolderTest {
 protected:
  ExternalDataTest() {
    std::filesystem::create_directories(path("model/part"));
    write("secret.bin", std::string(64, 's'));
    write("model/w.bin", std::string(64, 'w'));
    write("model/part/w.bin", std::string(64, 'p'));
  }

  /// The model with its weights where `keys` say.
  Model model_with(std::vector<std::pair<std::string, std::string>> keys) {
    Model model = small_model();
    model.graph->initializers[0] = external_tensor("w", {2, 3}, std::move(keys));
    return model;
  }
  Model model_at(const std::string& location) { return model_with({{"location", location}}); }

  /// Refused both when it is read and when it is inspected, for the same reason.
  void expect_refused(const Model& model, const std::string& rule, const std::string& why) {
    write("model/model.onnx", bytes_of(model));
    const auto read = read_model(path("model/model.onnx"));
    EXPECT_THAT(message_of(read), HasSubstr(why));
    const auto inspected = must(inspect_file(path("model/model.onnx")));
    const Finding* finding = find_rule(inspected.findings, rule);
    ASSERT_NE(finding, nullptr) << all_of(inspected.findings);
    EXPECT_EQ(finding->severity, Severity::critical);
    EXPECT_THAT(finding->what, HasSubstr(why));
    EXPECT_THAT(finding->where, HasSubstr("graph.initializer[0] (tensor 'w')"));
  }
  void expect_location_refused(const std::string& location, const std::string& why) {
    SCOPED_TRACE(testing::PrintToString(location));
    expect_refused(model_at(location), "external-data.location", why);
  }
  void expect_file_refused(const std::string& location, const std::string& why) {
    SCOPED_TRACE(location);
    expect_refused(model_at(location), "external-data.file", why);
  }
};

TEST_F(ExternalDataTest, AFileInTheFolderIsRead) {
  write("model/model.onnx",
        bytes_of(model_with({{"location", "part/w.bin"}, {"offset", "8"}, {"length", "24"}})));
  const Model model = must(read_model(path("model/model.onnx")));
  const Tensor& tensor = model.graph->initializers[0];
  EXPECT_TRUE(tensor.attached);
  EXPECT_EQ(tensor.data, SharedBytes::copy_of(std::string(24, 'p')));
  InspectedModel inspected = must(inspect_file(path("model/model.onnx")));
  EXPECT_FALSE(has_critical(inspected.findings));
  // What is attached is what was inspected, whatever lies there now.
  std::filesystem::remove(path("model/part/w.bin"));
  write("model/part/w.bin", "other");
  ASSERT_TRUE(attach_external_data(inspected.model, inspected.folder));
  EXPECT_EQ(inspected.model.graph->initializers[0].data, tensor.data);
}

TEST_F(ExternalDataTest, LocationsThatLeadElsewhereAreRefused) {
  expect_location_refused("../secret.bin", "'..'");
  expect_location_refused("part/../../secret.bin", "'..'");
  expect_location_refused("part/../w.bin", "'..'");
  expect_location_refused("..", "'..'");
  expect_location_refused(path("secret.bin"), "is absolute");
  expect_location_refused("/etc/passwd", "is absolute");
  expect_location_refused("", "is empty");
  expect_location_refused("..\\secret.bin", "backslash");
  expect_location_refused("C:secret.bin", "drive letter");
  expect_location_refused(std::string("w.bin\0/../secret.bin", 20), "control character");
  expect_location_refused("file://w.bin", "is a URL");
  expect_location_refused("part/", "is a folder");
  expect_location_refused(std::string(5000, 'a'), "too long");
}

TEST_F(ExternalDataTest, LinksAreNotFollowed) {
  std::filesystem::create_symlink("../secret.bin", path("model/link.bin"));
  expect_file_refused("link.bin", "is a link");
  // Also to a file that would be allowed.
  std::filesystem::create_symlink("w.bin", path("model/inner.bin"));
  expect_file_refused("inner.bin", "is a link");
  // A folder on the way.
  std::filesystem::create_directory_symlink("..", path("model/up"));
  expect_file_refused("up/secret.bin", "is a link");
  std::filesystem::create_directory_symlink("/proc/self", path("model/part/process"));
  expect_file_refused("part/process/environ", "is a link");
}

TEST_F(ExternalDataTest, AHardLinkIsRefused) {
  std::filesystem::create_hard_link(path("secret.bin"), path("model/hard.bin"));
  expect_file_refused("hard.bin", "hard links");
}

TEST_F(ExternalDataTest, WhatIsNoRegularFileIsRefused) {
  ASSERT_EQ(::mkfifo(path("model/pipe").c_str(), 0600), 0);
  expect_file_refused("pipe", "not a regular file");
  expect_file_refused("part", "not a regular file");
  expect_file_refused(".", "not a regular file");
  expect_file_refused("absent.bin", "is not in the model's folder");
}

TEST_F(ExternalDataTest, WithoutOpenat2TheSameIsRefused) {
  std::filesystem::create_symlink("../secret.bin", path("model/link.bin"));
  std::filesystem::create_directory_symlink("..", path("model/up"));
  const FileDescriptor folder(::open(path("model").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const bool step_by_step : {false, true}) {
    SCOPED_TRACE(step_by_step);
    EXPECT_TRUE(open_beneath(folder.get(), "w.bin", step_by_step).valid());
    EXPECT_TRUE(open_beneath(folder.get(), "./part//w.bin", step_by_step).valid());
    for (const char* location :
         {"link.bin", "up/secret.bin", "../secret.bin", "part/../../secret.bin", "w.bin/x"}) {
      EXPECT_FALSE(open_beneath(folder.get(), location, step_by_step).valid()) << location;
    }
  }
}

TEST_F(ExternalDataTest, RangesOutsideOfTheFileAreRefused) {
  const auto refused = [&](const std::string& key, const std::string& value, const std::string& why) {
    SCOPED_TRACE(key + "=" + value);
    expect_refused(model_with({{"location", "w.bin"}, {key, value}}), "external-data.range", why);
  };
  refused("offset", "-1", "is no number of bytes");
  refused("offset", "41", "wants 24 bytes from byte 41");
  refused("offset", "18446744073709551615", "is no number of bytes");
  refused("offset", "18446744073709551592", "is no number of bytes");
  refused("offset", "9223372036854775807", "wants 24 bytes");
  refused("offset", "99999999999999999999999", "is no number of bytes");
  refused("offset", " 8", "is no number of bytes");
  refused("offset", "0x8", "is no number of bytes");
  refused("offset", "1e1", "is no number of bytes");
  refused("offset", "", "is no number of bytes");
  refused("offset", "+8", "is no number of bytes");
  refused("length", "-24", "is no number of bytes");
  refused("length", "25", "its type and shape need 24");
  refused("length", "0", "its type and shape need 24");
  refused("length", "9223372036854775807", "its type and shape need 24");
}

TEST_F(ExternalDataTest, ATensorThatIsLargerThanItsFileIsRefused) {
  Model model = model_at("w.bin");
  model.graph->initializers[0].dims = {1000, 1000};
  expect_refused(model, "external-data.range", "which has 64");
  model.graph->initializers[0].dims = {1LL << 40U, 1LL << 40U};
  expect_refused(model, "external-data.range", "more elements than 63 bits");
  model.graph->initializers[0].dims = {-2, -3};
  expect_refused(model, "external-data.range", "negative dimension");
}

TEST_F(ExternalDataTest, KeysThatAreUnknownOrDoubledAreRefused) {
  const auto keys = [&](std::vector<std::pair<std::string, std::string>> more) {
    more.insert(more.begin(), {"location", "w.bin"});
    return model_with(std::move(more));
  };
  expect_refused(keys({{"basepath", "/etc"}}), "external-data.keys", "'basepath'");
  expect_refused(keys({{"__class__", "x"}}), "external-data.keys", "'__class__'");
  expect_refused(keys({{"prepacked_0", "x|1|2"}}), "external-data.keys", "'prepacked_0'");
  expect_refused(keys({{"location", "../secret.bin"}}), "external-data.keys", "given twice");
  expect_refused(keys({{"offset", "0"}, {"offset", "8"}}), "external-data.keys", "given twice");
}

TEST_F(ExternalDataTest, AddressesInMemoryAreRefused) {
  for (const char* marker : {"*/_ORT_MEM_ADDR_/*", "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*", "*/_ort_mem_addr_/*",
                             "*/other/*", "x_MEM_ADDR_y"}) {
    SCOPED_TRACE(marker);
    expect_refused(model_with({{"location", marker}, {"offset", "140737488355328"}, {"length", "24"}}),
                   "memory-marker", "an address in memory");
  }
}

TEST_F(ExternalDataTest, AMarkerInAnyTextIsFound) {
  Model model = small_model();
  model.metadata.push_back({"source", "*/_ORT_MEM_ADDR_/*", {}});
  EXPECT_NE(find_rule(inspect_model(model, nullptr), "memory-marker"), nullptr);
  model = small_model();
  model.graph->nodes[0].attributes.push_back(make_attribute("path", std::string("*/_ORT_MEM_ADDR_/*")));
  EXPECT_NE(find_rule(inspect_model(model, nullptr), "memory-marker"), nullptr);
  EXPECT_EQ(find_rule(inspect_model(small_model(), nullptr), "memory-marker"), nullptr);
}

TEST_F(ExternalDataTest, EveryPlaceOfATensorIsLookedAt) {
  const Tensor bad = external_tensor("bad", {6}, {{"location", "../secret.bin"}});
  const SparseTensor sparse{bad, make_tensor("i", {6}, std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}), {6}, {}};
  Graph inner;
  inner.initializers.push_back(bad);
  TrainingInfo training;
  training.algorithm = inner;
  Function function;
  function.name = "f";
  function.nodes.push_back(make_node("Constant", {}, {"c"}, {make_attribute("value", Box<Tensor>(bad))}));
  Function with_default;
  with_default.name = "d";
  with_default.default_attributes.push_back(make_attribute("value", Box<Tensor>(bad)));

  const auto in_node = [](AttributeValue value) {
    Model model = small_model();
    model.graph->nodes[0].attributes.push_back(make_attribute("value", std::move(value)));
    return model;
  };
  std::vector<std::pair<std::string, Model>> cases{
      {"graph.node[0].attribute[0].t", in_node(Box<Tensor>(bad))},
      {"graph.node[0].attribute[0].tensors[1]",
       in_node(std::vector<Tensor>{make_tensor("g", {1}, std::vector<float>{1}), bad})},
      {"graph.node[0].attribute[0].sparse_tensor.values", in_node(Box<SparseTensor>(sparse))},
      {"graph.node[0].attribute[0].sparse_tensors[0].values", in_node(std::vector<SparseTensor>{sparse})},
      {"graph.node[0].attribute[0].g.initializer[0]", in_node(Box<Graph>(inner))},
      {"graph.node[0].attribute[0].graphs[0].initializer[0]", in_node(std::vector<Graph>{inner})},
      {"graph.sparse_initializer[0].values", small_model()},
      {"training_info[0].algorithm.initializer[0]", small_model()},
      {"functions[0].node[0].attribute[0].t", small_model()},
      {"functions[0].attribute_proto[0].t", small_model()},
  };
  cases[6].second.graph->sparse_initializers.push_back(sparse);
  cases[7].second.training.push_back(training);
  cases[8].second.functions.push_back(function);
  cases[9].second.functions.push_back(with_default);
  for (const auto& [place, model] : cases) {
    write("model/model.onnx", bytes_of(model));
    EXPECT_THAT(message_of(read_model(path("model/model.onnx"))), HasSubstr(place + ")")) << place;
    const auto inspected = must(inspect_file(path("model/model.onnx")));
    const Finding* finding = find_rule(inspected.findings, "external-data.location");
    ASSERT_NE(finding, nullptr) << place;
    EXPECT_THAT(finding->where, HasSubstr(place + " "));
  }
}

TEST_F(ExternalDataTest, KeysBesideDataThatIsInsideAreTold) {
  Model model = small_model();
  model.graph->initializers[0].external_data.push_back({"location", "w.bin", {}});
  const Findings harmless = inspect_model(model, nullptr);
  ASSERT_NE(find_rule(harmless, "external-data.keys"), nullptr);
  EXPECT_FALSE(has_critical(harmless));
  model.graph->initializers[0].external_data[0].value = "/etc/passwd";
  EXPECT_TRUE(has_critical(inspect_model(model, nullptr)));
}

TEST_F(ExternalDataTest, TheModelItselfMayBeALinkButItsFolderCounts) {
  write("model/model.onnx", bytes_of(model_at("w.bin")));
  std::filesystem::create_symlink("model/model.onnx", path("linked.onnx"));
  EXPECT_THAT(message_of(read_model(path("linked.onnx"))), HasSubstr("'w.bin' is not in the model's folder"));
}

}  // namespace
}  // namespace joulery::onnx
