#include "data/tensor_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "data/element_conversion.hpp"

namespace joulery::data {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = 0xFFFD;
  const int follow = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr std::array<unsigned, 4> kLead{0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(kLead[static_cast<std::size_t>(follow)] |
                            code >> (6U * static_cast<unsigned>(follow)));
  for (int i = follow - 1; i >= 0; --i) {
    text += static_cast<char>(0x80U | ((code >> (6U * static_cast<unsigned>(i))) & 0x3FU));
  }
}

/// Fixed-width text, filled up with NUL.
std::string text_of(const StoredArray& array, std::span<const std::byte> bytes) {
  std::string text;
  if (array.text == StoredArray::Text::bytes) {
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    text.resize(text.find_last_not_of('\0') + 1);
    return text;
  }
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t code = 0;
    std::memcpy(&code, bytes.data() + i, 4);
    if (code != 0) append_utf8(text, code);
  }
  return text;
}

class TensorTable final : public Table {
 public:
  TensorTable(Format format, std::vector<StoredArray> arrays, bool is_unnamed)
      : format_(format), arrays_(std::move(arrays)), is_unnamed_(is_unnamed) {
    for (const StoredArray& array : arrays_) {
      const bool is_text = array.text != StoredArray::Text::none;
      columns_.push_back({.name = array.name,
                          .kind = is_text ? Column::Kind::texts : Column::Kind::numbers,
                          .type = array.type,
                          .sample = array.sample,
                          .is_numeric = !is_text,
                          .refusal = array.refusal});
    }
  }

  Format format() const override { return format_; }
  std::span<const Column> columns() const override { return columns_; }
  std::optional<std::uint64_t> count() const override { return count_; }
  bool is_unnamed() const override { return is_unnamed_; }

  Status select(std::span<const Selection> selections) override {
    selections_.assign(selections.begin(), selections.end());
    const StoredArray* first = nullptr;
    for (const Selection& selection : selections_) {
      const StoredArray& array = arrays_[selection.column];
      JOULERY_CHECK_OK(check_array_size(array));
      if (first == nullptr) first = &array;
      if (array.count != first->count) {
        return user_error(fmt::format("'{}' has {} samples, but '{}' has {}", first->source->name(),
                                      first->count, array.source->name(), array.count),
                          "the first axis of every array is the sample");
      }
      if (!array.note.empty()) note_ += (note_.empty() ? "" : "; ") + array.note;
    }
    count_ = first == nullptr ? 0 : first->count;
    return rewind();
  }

  Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) override {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(most, count_ - at_));
    for (std::size_t i = 0; i < selections_.size() && count > 0; ++i) {
      JOULERY_CHECK_OK(read_chunk(arrays_[selections_[i].column], selections_[i].as_label, count, chunks[i]));
    }
    at_ += count;
    return count;
  }

  Status rewind() override {
    at_ = 0;
    for (const Selection& selection : selections_) {
      const StoredArray& array = arrays_[selection.column];
      JOULERY_CHECK_OK(rewind_to(*array.source, array.header_bytes));
    }
    return {};
  }
  std::string note() const override { return note_; }

 private:
  static Status read_chunk(const StoredArray& array, bool as_label, std::size_t count, Chunk& chunk) {
    const auto elements = static_cast<std::size_t>(array.sample.element_count().value_or(0));
    const std::size_t stride = elements * array.element_bytes;
    chunk.type = array.type;
    chunk.sample = array.sample;
    chunk.bytes.resize(count * stride);
    JOULERY_CHECK_OK(read_exactly(*array.source, chunk.bytes, "its samples"));
    if (array.is_big_endian) {
      swap_byte_order(chunk.bytes, array.text == StoredArray::Text::utf32 ? 4 : byte_width(array.type));
    }
    if (!as_label) return {};
    chunk.labels.clear();
    const std::span<const std::byte> bytes = chunk.bytes;
    for (std::size_t i = 0; i < count; ++i) {
      const auto sample = bytes.subspan(i * stride, stride);
      if (array.text != StoredArray::Text::none) {
        chunk.labels.emplace_back(text_of(array, sample));
      } else {
        chunk.labels.push_back(number_label(array.type, sample.data(), elements));
      }
    }
    return {};
  }

  Format format_;
  std::vector<StoredArray> arrays_;
  bool is_unnamed_;
  std::vector<Column> columns_;
  std::vector<Selection> selections_;
  std::uint64_t count_ = 0;
  std::uint64_t at_ = 0;
  std::string note_;
};

}  // namespace

Status check_array_size(const StoredArray& array) {
  const auto elements = array.sample.element_count();
  constexpr std::uint64_t kMost = 1ULL << 62U;
  const std::uint64_t width = std::max<std::size_t>(array.element_bytes, 1);
  if (!elements || *elements > kMost / width ||
      (*elements > 0 && array.count > kMost / (*elements * width))) {
    return user_error(fmt::format("'{}' says it holds {} samples of {}, more than any file",
                                  array.source->name(), array.count, array.sample.text()));
  }
  if (*elements == 0 && array.count > 0) {
    return user_error(
        fmt::format("'{}' has samples of {}, which hold nothing", array.source->name(), array.sample.text()));
  }
  const std::uint64_t needed = array.header_bytes + array.count * *elements * array.element_bytes;
  const auto size = array.source->size();
  if (size ? *size != needed : array.source->most_bytes() < needed) {
    return user_error(
        fmt::format("'{}' says it holds {} samples of {} ({}), but has {}{}", array.source->name(),
                    array.count, array.sample.text(), format_bytes(double(needed)), size ? "" : "at most ",
                    format_bytes(double(size.value_or(array.source->most_bytes())))),
        "it was cut short, or is not what it says: copy or write it again");
  }
  return {};
}

std::unique_ptr<Table> make_tensor_table(Format format, std::vector<StoredArray> arrays, bool is_unnamed) {
  return std::make_unique<TensorTable>(format, std::move(arrays), is_unnamed);
}

}  // namespace joulery::data
