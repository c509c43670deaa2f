#include "data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "data/zip_archive.hpp"

namespace joulery::data {
namespace {

constexpr std::size_t kMostHeader = 1U << 20U;
constexpr std::string_view kMagic = "\x93NUMPY";

struct Header {
  std::string type;
  bool is_fortran_order = false;
  bool is_record = false;
  std::vector<std::int64_t> shape;
};

/// Reads the one Python dictionary that a header is.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  std::optional<Header> parse() {
    bool has_type = false;
    bool has_order = false;
    bool has_shape = false;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const auto key = quoted();
      if (!key || !take(':')) return std::nullopt;
      bool* const seen = *key == "descr"           ? &has_type
                         : *key == "fortran_order" ? &has_order
                         : *key == "shape"         ? &has_shape
                                                   : nullptr;
      if (seen == nullptr || *seen || !value(*key)) return std::nullopt;
      *seen = true;
      if (!take(',') && !next_is('}')) return std::nullopt;
    }
    skip_blanks();
    if (!rest_.empty() || !has_type || !has_order || !has_shape) return std::nullopt;
    return header_;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }
  bool next_is(char c) {
    skip_blanks();
    return rest_.starts_with(c);
  }
  bool take(char c) {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    skip_blanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::optional<std::string> quoted() {
    skip_blanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool value(std::string_view key) {
    if (key == "descr") {
      if (next_is('[')) return record();
      auto type = quoted();
      if (type) header_.type = std::move(*type);
      return type.has_value();
    }
    if (key == "fortran_order") {
      if (take_word("True")) {
        header_.is_fortran_order = true;
        return true;
      }
      return take_word("False");
    }
    return shape();
  }

  /// The fields of a record are not looked at: it is refused.
  bool record() {
    header_.is_record = true;
    int depth = 0;
    while (!rest_.empty()) {
      if (next_is('\'') || next_is('"')) {
        if (!quoted()) return false;
        continue;
      }
      if (rest_.empty()) return false;
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '[' || c == '(') ++depth;
      if ((c == ']' || c == ')') && --depth == 0) return true;
    }
    return false;
  }

  bool shape() {
    if (!take('(')) return false;
    while (!take(')')) {
      skip_blanks();
      const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
      const auto number = parse_int64(rest_.substr(0, digits));
      if (!number || *number < 0) return false;
      rest_.remove_prefix(digits);
      header_.shape.push_back(*number);
      // Python 2 wrote long numbers with it.
      (void)take('L');
      if (!take(',') && !next_is(')')) return false;
    }
    return true;
  }

  std::string_view rest_;
  Header header_;
};

struct NamedType {
  std::string_view code;
  DataType type;
};
constexpr std::array<NamedType, 13> kTypes{{{"f4", DataType::f32},
                                            {"f8", DataType::f64},
                                            {"f2", DataType::f16},
                                            {"i1", DataType::i8},
                                            {"i2", DataType::i16},
                                            {"i4", DataType::i32},
                                            {"i8", DataType::i64},
                                            {"u1", DataType::u8},
                                            {"u2", DataType::u16},
                                            {"u4", DataType::u32},
                                            {"u8", DataType::u64},
                                            {"b1", DataType::boolean},
                                            // NumPy has no bfloat16: packages that add it write two bytes
                                            // without a meaning.
                                            {"V2", DataType::bf16}}};

Status set_text_type(std::string_view code, StoredArray& array) {
  const auto length = parse_uint64(code.substr(1));
  constexpr std::uint64_t kMostText = 1U << 20U;
  if (!length || *length > kMostText) {
    return user_error(fmt::format("'{}' has texts of type '{}'", array.source->name(), printable(code)));
  }
  array.text = code.front() == 'U' ? StoredArray::Text::utf32 : StoredArray::Text::bytes;
  array.element_bytes = static_cast<std::size_t>(*length) * (code.front() == 'U' ? 4 : 1);
  return {};
}

Status set_type(const Header& header, StoredArray& array) {
  const std::string& name = array.source->name();
  if (header.is_record) {
    return user_error(fmt::format("'{}' holds records of several fields", name),
                      "save each field as an array of its own: numpy.savez(path, field=array['field'])");
  }
  std::string_view code = header.type;
  const char order = code.empty() ? '\0' : code.front();
  if (order == '<' || order == '>' || order == '|' || order == '=') code.remove_prefix(1);
  array.is_big_endian = order == '>';
  if (code.starts_with('O')) {
    return user_error(
        fmt::format("'{}' holds Python objects, which are not read because loading them would run code",
                    name),
        "save numbers or texts of one type: numpy.asarray(values, dtype='float32')");
  }
  if (code.starts_with('U') || code.starts_with('S')) return set_text_type(code, array);
  for (const NamedType& known : kTypes) {
    if (known.code != code) continue;
    array.type = known.type;
    array.element_bytes = byte_width(known.type);
    if (known.type == DataType::bf16)
      array.note = fmt::format("'{}': 2 bytes without a type read as bf16", name);
    return {};
  }
  return user_error(
      fmt::format("'{}' has elements of type '{}', which models don't take", name, printable(header.type)),
      "convert them: array.astype('float32')");
}

Status set_shape(const Header& header, StoredArray& array) {
  const std::string& name = array.source->name();
  if (header.shape.empty()) {
    return user_error(fmt::format("'{}' is a single value without samples", name),
                      "the first axis is the sample; give what is the same for all samples as a constant");
  }
  auto sample = Shape::create(std::span(header.shape).subspan(1));
  if (!sample) return user_error(fmt::format("'{}': {}", name, sample.error().message));
  array.sample = *sample;
  array.count = static_cast<std::uint64_t>(header.shape[0]);
  const bool orders_differ =
      std::ranges::count_if(header.shape, [](std::int64_t dimension) { return dimension > 1; }) > 1;
  if (header.is_fortran_order && orders_differ) {
    return user_error(
        fmt::format("'{}' is stored in Fortran order, where the parts of a sample lie all over the file",
                    name),
        "save it row by row: numpy.save(path, numpy.ascontiguousarray(array))");
  }
  return {};
}

struct HeaderText {
  std::string text;
  /// With what is before it.
  std::uint64_t bytes = 0;
};

Result<HeaderText> read_header_text(ByteSource& source) {
  std::array<std::byte, 12> start;
  JOULERY_CHECK_OK(read_exactly(source, std::span(start).first(8), "its header"));
  const std::string_view magic(reinterpret_cast<const char*>(start.data()), kMagic.size());
  if (magic != kMagic) {
    return user_error(fmt::format("'{}' is not an npy file: it does not begin as one", source.name()),
                      "write it with numpy.save");
  }
  const int version = std::to_integer<int>(start[6]);
  if (version < 1 || version > 3) {
    return user_error(
        fmt::format("'{}' is of npy format {}, which is not known (1 to 3 are)", source.name(), version));
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  JOULERY_CHECK_OK(read_exactly(source, std::span(start).subspan(8, length_bytes), "its header"));
  std::size_t length = 0;
  for (std::size_t i = length_bytes; i-- > 0;)
    length = length << 8U | std::to_integer<std::size_t>(start[8 + i]);
  if (length > kMostHeader) {
    return user_error(fmt::format("'{}' has a header of {}", source.name(), format_bytes(double(length))));
  }
  HeaderText header{.text = std::string(length, '\0'), .bytes = 8 + length_bytes + length};
  JOULERY_CHECK_OK(read_exactly(source, std::as_writable_bytes(std::span(header.text)), "its header"));
  return header;
}

}  // namespace

Result<StoredArray> read_npy(std::unique_ptr<ByteSource> source, std::string name) {
  JOULERY_ASSIGN(const HeaderText text, read_header_text(*source));
  StoredArray array;
  array.name = std::move(name);
  array.source = std::move(source);
  array.header_bytes = text.bytes;
  auto header = HeaderParser(text.text).parse();
  if (!header) {
    return user_error(fmt::format("'{}' has a header that is no npy header", array.source->name()),
                      "write it again with numpy.save");
  }
  JOULERY_CHECK_OK(set_type(*header, array));
  JOULERY_CHECK_OK(set_shape(*header, array));
  return array;
}

Result<std::unique_ptr<Table>> open_npy_table(std::shared_ptr<const RandomAccess> file,
                                              std::shared_ptr<const RandomAccess> labels,
                                              const std::string& label_name) {
  std::vector<StoredArray> arrays;
  JOULERY_ASSIGN(auto source, whole_source(std::move(file)));
  JOULERY_ASSIGN(StoredArray array, read_npy(std::move(source), "x"));
  JOULERY_CHECK_OK(check_array_size(array));
  arrays.push_back(std::move(array));
  if (labels) {
    JOULERY_ASSIGN(auto label_source, whole_source(std::move(labels)));
    JOULERY_ASSIGN(StoredArray label_array, read_npy(std::move(label_source), label_name));
    arrays.push_back(std::move(label_array));
  }
  return make_tensor_table(Format::npy, std::move(arrays), true);
}

Result<std::unique_ptr<Table>> open_npz_table(const std::shared_ptr<const RandomAccess>& file) {
  JOULERY_ASSIGN(const std::vector<ZipMember> members, read_zip(*file));
  std::vector<StoredArray> arrays;
  for (const ZipMember& member : members) {
    std::string name = member.name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    auto array = read_npy(open_zip_member(file, member), name);
    if (!array) {
      // Only what is asked for must be readable.
      StoredArray refused;
      refused.name = name;
      refused.refusal = array.error();
      refused.source = open_zip_member(file, member);
      arrays.push_back(std::move(refused));
      continue;
    }
    arrays.push_back(std::move(*array));
  }
  return make_tensor_table(Format::npz, std::move(arrays), false);
}

}  // namespace joulery::data
