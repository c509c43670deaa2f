#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/image.hpp"

namespace joulery::data {

/// How an image becomes a sample of the model's input.
class ImagePlan {
 public:
  /// User error, with the option that helps, if the model's shape does not say where the channels are, or
  /// options don't go together.
  static Result<ImagePlan> create(const InputSpec& input, const ImageOptions& options);

  /// Of the sample made from an image of this size.
  Result<Shape> sample_shape(const ImageSize& size) const;
  /// u8 if values stay what they are, f32 else.
  DataType type() const { return is_plain_ ? DataType::u8 : DataType::f32; }
  /// Appends the sample's bytes.
  Status append(const Image& source, std::vector<std::byte>& bytes) const;
  /// "resized to 96 x 96; scaled by 0.00392"
  std::string note() const;
  const ImageOptions& options() const { return options_; }

 private:
  Status set_arrangement(const InputSpec& input);
  Status spread(std::vector<double>& values, double standard, const char* name) const;
  /// After resizing and cropping.
  Result<ImageSize> final_size(const ImageSize& size) const;
  ImageSize resized(const ImageSize& size) const;

  ImageOptions options_;
  bool is_channels_first_ = false;
  bool has_channel_axis_ = true;
  std::int64_t channels_ = 3;
  bool is_plain_ = true;
  /// What the model wants, where nothing else was asked for.
  std::optional<ImageSize> model_size_;
};

}  // namespace joulery::data
