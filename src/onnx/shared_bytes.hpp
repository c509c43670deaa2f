#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joulery::onnx {

/// Bytes that keep alive what they lie in, a mapped file or a buffer. Copies are cheap; nobody writes to
/// them. Equal if their content is.
class SharedBytes {
 public:
  SharedBytes() = default;
  /// `bytes` lie in what `owner` keeps alive.
  SharedBytes(std::shared_ptr<const void> owner, std::span<const std::uint8_t> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}
  static SharedBytes adopt(std::vector<std::uint8_t> bytes) {
    auto owner = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
    const std::span<const std::uint8_t> all(*owner);
    return {std::move(owner), all};
  }
  static SharedBytes copy_of(std::span<const std::uint8_t> bytes) {
    return adopt(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  }
  static SharedBytes copy_of(std::string_view text) {
    return copy_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }

  std::span<const std::uint8_t> span() const { return bytes_; }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  /// A part, which must lie inside.
  SharedBytes part(std::size_t offset, std::size_t size) const {
    return {owner_, bytes_.subspan(offset, size)};
  }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return (a.data() == b.data() && a.size() == b.size()) || std::ranges::equal(a.bytes_, b.bytes_);
  }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::uint8_t> bytes_;
};

/// A value on the heap, or none. Copied and compared as a value; what lets a type hold itself.
template <class T>
class Box {
 public:
  Box() = default;
  explicit(false) Box(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& other) {
    if (this != &other) value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;
  ~Box() = default;

  bool has_value() const { return value_ != nullptr; }
  T& emplace() {
    value_ = std::make_unique<T>();
    return *value_;
  }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }

  friend bool operator==(const Box& a, const Box& b) {
    return a.has_value() == b.has_value() && (!a.has_value() || *a == *b);
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace joulery::onnx
