// Does with model files what the room `onnx` can do, for tests that compare it with other programs.
//
//   onnx_tool copy IN_FOLDER OUT_FOLDER [in_model | side_file]   every *.onnx of a folder, read, inspected
//   and written onnx_tool inspect FILE                              findings, one a line; exit 1 if one is
//   critical onnx_tool raw FILE                                  name, type and raw bytes of every
//   initializer

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "onnx/check.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/policy.hpp"
#include "onnx/read.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/write.hpp"

namespace {

using namespace joulery;
using namespace joulery::onnx;

void print(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
}

int fail(const Error& error) {
  std::fputs(fmt::format("{}\nhint: {}\n", error.message, error.hint).c_str(), stderr);
  return 2;
}

int tell(const Findings& findings) {
  static constexpr const char* kNames[] = {"note", "warning", "critical"};
  for (const Finding& finding : findings) {
    print(fmt::format("{} {} {}: {}", kNames[static_cast<int>(finding.severity)], finding.rule, finding.where,
                      finding.what));
  }
  return has_critical(findings) ? 1 : 0;
}

int inspect(const std::string& path) {
  auto inspected = inspect_file(path);
  if (!inspected) return fail(inspected.error());
  const int policy = tell(inspected->findings);
  const int structure = tell(check_model(inspected->model));
  return std::max(policy, structure);
}

Status copy_file(const std::string& from, const std::string& to, WriteOptions::Data data) {
  JOULERY_ASSIGN(const Model model, read_model(from));
  JOULERY_CHECK_OK(require_sound(check_model(model), from));
  WriteOptions options;
  options.data = data;
  options.side_file_from_bytes = 16;
  JOULERY_CHECK_OK(write_model(model, to, options));
  JOULERY_ASSIGN(const Model again, read_model(to));
  JOULERY_ASSIGN(const std::string before, model_hash(model));
  JOULERY_ASSIGN(const std::string after, model_hash(again));
  if (data == WriteOptions::Data::in_model && before != after) return internal_error(from + " has changed");
  return {};
}

int copy(const std::string& from, const std::string& to, const std::string& where) {
  const auto data = where == "side_file" ? WriteOptions::Data::in_side_file : WriteOptions::Data::in_model;
  int result = 0;
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    if (entry.path().extension() != ".onnx") continue;
    const std::string name = entry.path().filename().string();
    const Status status = copy_file(entry.path().string(), (std::filesystem::path(to) / name).string(), data);
    if (!status) result = fail(status.error());
  }
  return result;
}

Result<std::size_t> apply_named(const std::string& name, const std::string& from, const std::string& to) {
  JOULERY_ASSIGN(Model model, read_model(from));
  JOULERY_CHECK_OK(require_sound(check_model(model), from));
  auto passes = standard_passes();
  if (name != "all") std::erase_if(passes, [&](const auto& pass) { return pass->name() != name; });
  if (passes.empty()) return user_error(fmt::format("no pass is called '{}'", name));
  JOULERY_ASSIGN(const Change change, apply_passes(model, passes));
  JOULERY_CHECK_OK(require_sound(check_model(model), to));
  JOULERY_ASSIGN(const WrittenModel written, write_model(model, to));
  return change.count;
}

int passes(const std::string& name, const std::string& from, const std::string& to) {
  const auto count = apply_named(name, from, to);
  if (!count) return fail(count.error());
  print(fmt::format("{}", *count));
  return 0;
}

int raw(const std::string& path) {
  auto model = read_model(path);
  if (!model) return fail(model.error());
  for (const Tensor& tensor : model->graph->initializers) {
    const auto bytes = raw_bytes(tensor);
    if (!bytes) return fail(bytes.error());
    std::string hex;
    for (const std::uint8_t byte : bytes->span()) hex += fmt::format("{:02x}", byte);
    print(fmt::format("{} {} {}", tensor.name, data_type_name(tensor.data_type), hex));
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() == 2 && words[0] == "inspect") return inspect(words[1]);
  if (words.size() == 2 && words[0] == "raw") return raw(words[1]);
  if (words.size() == 4 && words[0] == "copy") return copy(words[1], words[2], words[3]);
  if (words.size() == 4 && words[0] == "passes") return passes(words[1], words[2], words[3]);
  return 64;
}
