#include "onnx/write.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/files.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "onnx/encode.hpp"
#include "onnx/external_data.hpp"
#include "onnx/read.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"
#include "onnx/wire.hpp"

namespace joulery::onnx {
namespace {

constexpr std::uint64_t kLargeTensor = 1ULL << 20U;
/// Leaves room for what is added in a name of 255 bytes, also that of a temporary file.
constexpr std::size_t kLongestStem = 200;
constexpr std::uint64_t kLargeAlignment = 64ULL << 10U;
constexpr std::array<std::uint8_t, kLargeAlignment> kPadding{};

std::string_view as_text(const SharedBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string name_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// What the name of the side file begins with: the model's own name, if a model may refer to such a file.
std::string side_file_stem(const std::string& path) {
  const std::string name = name_of(path);
  const SharedBytes bytes = SharedBytes::copy_of(name);
  const bool is_fit = name.size() <= kLongestStem && is_utf8(bytes.span()) && !location_fault(name);
  return is_fit ? name : "model.onnx";
}

/// The pieces of a side file, each where it belongs.
class SideFile {
 public:
  explicit SideFile(std::uint64_t alignment) : alignment_(alignment) {}

  /// Takes in a tensor's data and makes the tensor refer to it.
  void add(Tensor& tensor, const SharedBytes& raw) {
    const std::uint64_t alignment =
        raw.size() >= kLargeTensor ? std::max(alignment_, kLargeAlignment) : alignment_;
    const std::uint64_t padding = (alignment - size_ % alignment) % alignment;
    for (std::uint64_t left = padding; left > 0;) {
      const std::uint64_t step = std::min<std::uint64_t>(left, kPadding.size());
      pieces_.emplace_back(nullptr, std::span(kPadding).first(step));
      left -= step;
    }
    size_ += padding;
    tensor.external_data = {{"location", "", {}},
                            {"offset", std::to_string(size_), {}},
                            {"length", std::to_string(raw.size()), {}}};
    tensor.storage = TensorStorage::external;
    tensor.data = raw;
    tensor.attached = true;
    pieces_.push_back(raw);
    size_ += raw.size();
  }
  bool empty() const { return pieces_.empty(); }
  std::uint64_t size() const { return size_; }
  const std::vector<SharedBytes>& pieces() const { return pieces_; }
  /// 16 hex digits that stand for the content.
  std::string hash() const {
    const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
    XXH3_64bits_reset(state.get());
    for (const SharedBytes& piece : pieces_) XXH3_64bits_update(state.get(), piece.data(), piece.size());
    return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
  }

 private:
  std::uint64_t alignment_;
  std::uint64_t size_ = 0;
  std::vector<SharedBytes> pieces_;
};

/// Moves large tensors out of the model, and others that were external into it.
Status move_out(Model& model, const WriteOptions& options, SideFile& side) {
  Status status;
  for_each_tensor(model, [&](Tensor& tensor, const Place&) {
    if (!status) return;
    if (tensor.data_type == DataType::string && tensor.storage != TensorStorage::external) return;
    // What has a fault stays as it is: writing repairs nothing.
    if (tensor.storage != TensorStorage::external && tensor_fault(tensor)) return;
    auto raw = raw_bytes(tensor);
    if (!raw) {
      status = std::unexpected(raw.error());
      return;
    }
    if (raw->size() >= options.side_file_from_bytes && !raw->empty()) {
      side.add(tensor, *raw);
    } else if (tensor.storage == TensorStorage::external) {
      tensor = *with_own_data(std::move(tensor));
    }
  });
  return status;
}

void name_side_file(Model& model, const std::string& name) {
  for_each_tensor(model, [&](Tensor& tensor, const Place&) {
    if (tensor.storage == TensorStorage::external) tensor.external_data.front().value = name;
  });
}

std::vector<std::string_view> texts_of(const std::vector<SharedBytes>& pieces) {
  std::vector<std::string_view> texts;
  texts.reserve(pieces.size());
  for (const SharedBytes& piece : pieces) texts.push_back(as_text(piece));
  return texts;
}

/// What a link leads to is replaced, not the link.
std::string without_link(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real != nullptr ? real.get() : path;
}

}  // namespace

Result<WrittenModel> write_model(const Model& model, const std::string& path, const WriteOptions& options) {
  using Data = WriteOptions::Data;
  if (options.alignment == 0 || (options.alignment & (options.alignment - 1)) != 0) {
    return internal_error("the alignment of a side file is no power of two");
  }
  const std::string target = without_link(path);
  WrittenModel written;
  if (options.data != Data::in_side_file) {
    JOULERY_ASSIGN(const Model whole, with_own_data(model));
    const std::vector<SharedBytes> pieces = encode_model(whole);
    written.model_bytes = total_size(pieces);
    if (written.model_bytes <= kLargestModelBytes) {
      JOULERY_CHECK_OK(write_file_atomically(target, texts_of(pieces)));
      return written;
    }
    if (options.data == Data::in_model) {
      return user_error(
          fmt::format("can't write '{}': the model has {}, and no file of 2 GB or more can be read again",
                      printable(path), format_bytes(double(written.model_bytes))),
          "let its data go into a side file");
    }
  }
  SideFile side(options.alignment);
  Model moved = model;
  JOULERY_CHECK_OK(move_out(moved, options, side));
  if (!side.empty()) {
    written.side_file = fmt::format("{}.{}.data", side_file_stem(target), side.hash());
    written.side_file_bytes = side.size();
    name_side_file(moved, written.side_file);
  }
  const std::vector<SharedBytes> pieces = encode_model(moved);
  written.model_bytes = total_size(pieces);
  if (written.model_bytes > kLargestModelBytes) {
    return user_error(fmt::format("can't write '{}': without its large tensors the model still has {}",
                                  printable(path), format_bytes(double(written.model_bytes))));
  }
  if (!side.empty()) {
    JOULERY_CHECK_OK(
        replace_file_atomically(folder_of(target) + "/" + written.side_file, texts_of(side.pieces())));
  }
  JOULERY_CHECK_OK(write_file_atomically(target, texts_of(pieces)));
  return written;
}

Result<Model> with_own_data(const Model& model) {
  Model whole = model;
  Status status;
  for_each_tensor(whole, [&](Tensor& tensor, const Place&) {
    if (!status || tensor.storage != TensorStorage::external) return;
    auto own = with_own_data(tensor);
    if (own) {
      tensor = std::move(*own);
    } else {
      status = std::unexpected(std::move(own).error());
    }
  });
  JOULERY_CHECK_OK(std::move(status));
  return whole;
}

Result<std::string> model_hash(const Model& model) {
  JOULERY_ASSIGN(const Model whole, with_own_data(model));
  const std::vector<SharedBytes> pieces = encode_model(whole);
  return sha256_hex(texts_of(pieces));
}

}  // namespace joulery::onnx
