#include "engine/runtime_profile.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/files.hpp"

namespace joulery::engine {
namespace {

constexpr std::uint64_t kLargestProfile = 512ULL << 20U;
constexpr std::string_view kEnd = "_kernel_time";
/// The deepest that a profile goes is six; a hostile name can't make it more, a broken file could.
constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostOperators = 1'000'000;

/// One event of the list.
struct Event {
  std::string category, name, op_type, provider;
  double duration = 0;
  std::set<std::string> input_types, output_types;
};

bool is_8_bits(const std::string& type) {
  return type == "int8" || type == "uint8";
}

/// What an operator computed in, by what it takes and gives.
std::string precision_of(const Event& event) {
  const std::string& op = event.op_type;
  if (op == "MatMulNBits" || op == "MatMulBnb4" || op == "GatherBlockQuantized" || op == "QMoE")
    return "packed";
  const bool takes_8_bits = std::ranges::any_of(event.input_types, is_8_bits);
  const bool gives_8_bits = std::ranges::any_of(event.output_types, is_8_bits);
  const bool converts = op == "QuantizeLinear" || op == "DequantizeLinear" || op == "Cast";
  if (!converts && (takes_8_bits || (gives_8_bits && event.input_types.empty()))) return "i8";
  for (const auto* types : {&event.output_types, &event.input_types}) {
    if (types->contains("float16")) return "f16";
    if (types->contains("bfloat16")) return "bf16";
    if (types->contains("float")) return "f32";
    if (types->contains("double")) return "f64";
  }
  return {};
}

/// Takes the events as they come, so that a long profile needs no tree in memory.
class ProfileReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<OperatorTime> take() {
    std::vector<OperatorTime> times;
    for (auto& [key, time] : times_) times.push_back(std::move(time));
    std::ranges::sort(times, std::ranges::greater{}, &OperatorTime::seconds);
    return times;
  }
  bool is_list() const { return is_list_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool binary(binary_t&) override { return false; }
  bool string(string_t& value) override {
    if (keys_.size() == 2 && key() == "cat") event_.category = value;
    if (keys_.size() == 2 && key() == "name") event_.name = value;
    if (keys_.size() == 3 && keys_[1] == "args" && key() == "op_name") event_.op_type = value;
    if (keys_.size() == 3 && keys_[1] == "args" && key() == "provider") event_.provider = value;
    return true;
  }
  bool start_object(std::size_t) override {
    if (keys_.size() == 1) event_ = Event{};
    return open();
  }
  bool end_object() override {
    keys_.pop_back();
    if (keys_.size() == 1 && !keys_.empty()) return finish_event();
    return true;
  }
  bool start_array(std::size_t) override {
    if (keys_.empty()) is_list_ = true;
    return open();
  }
  bool end_array() override {
    keys_.pop_back();
    return true;
  }
  bool key(string_t& value) override {
    keys_.back() = value;
    // [list, event, args, *_type_shape list, {type: …}]
    if (keys_.size() == 5 && keys_[1] == "args") {
      if (keys_[2] == "input_type_shape") event_.input_types.insert(value);
      if (keys_[2] == "output_type_shape") event_.output_types.insert(value);
    }
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  const std::string& key() const { return keys_.back(); }
  bool open() {
    keys_.emplace_back();
    return keys_.size() <= kDeepest;
  }
  bool number(double value) {
    if (keys_.size() == 2 && key() == "dur") event_.duration = value;
    return true;
  }
  bool finish_event() {
    if (event_.category != "Node" || !event_.name.ends_with(kEnd) || !(event_.duration >= 0)) return true;
    event_.name.resize(event_.name.size() - kEnd.size());
    auto& time = times_[{event_.name, event_.op_type}];
    if (time.calls == 0) {
      time.node = event_.name;
      time.op_type = event_.op_type;
      time.kernel = event_.provider;
      time.precision = precision_of(event_);
    }
    ++time.calls;
    time.seconds += event_.duration * 1e-6;
    return times_.size() <= kMostOperators;
  }

  /// Where we are: one key for each list or object that is open, empty for a list.
  std::vector<std::string> keys_;
  Event event_;
  bool is_list_ = false;
  std::map<std::pair<std::string, std::string>, OperatorTime> times_;
};

}  // namespace

Result<std::vector<OperatorTime>> parse_runtime_profile(std::string_view json) {
  ProfileReader reader;
  bool is_whole = false;
  try {
    is_whole = nlohmann::json::sax_parse(json, &reader);
  } catch (const std::exception&) {
    is_whole = false;
  }
  if (!is_whole || !reader.is_list()) {
    return user_error("the profile of ONNX Runtime is cut off or none: is there room in its folder?",
                      "profile fewer calls");
  }
  return reader.take();
}

Result<std::vector<OperatorTime>> read_runtime_profile(const std::string& path) {
  JOULERY_ASSIGN(const std::string json, read_file(path, kLargestProfile));
  return parse_runtime_profile(json);
}

}  // namespace joulery::engine
