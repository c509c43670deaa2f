#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery::data {

struct ImageSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// What happens to an image before the model sees it, in this order: resize, centre crop, channels, then
/// (value × scale − mean) ÷ deviation, layout.
struct ImageOptions {
  enum class Layout : std::uint8_t { automatic, nhwc, nchw };
  enum class Channels : std::uint8_t { automatic, rgb, bgr, grey };
  /// To this size, whatever the ratio of the sides. Without `resize`, `resize_shorter` and `crop`, images
  /// that differ from the model's size get that size.
  std::optional<ImageSize> resize;
  /// So that the shorter side has this many pixels and the ratio stays.
  std::optional<std::int64_t> resize_shorter;
  std::optional<ImageSize> crop;
  double scale = 1;
  /// One for all channels, or one for each in the model's order of channels; empty is 0.
  std::vector<double> mean;
  /// The same; empty is 1.
  std::vector<double> deviation;
  /// By the model's shape, if that can be told.
  Layout layout = Layout::automatic;
  /// By the model's shape: 3 are RGB, 1 is grey.
  Channels channels = Channels::automatic;
  /// What a header may claim before anything is decoded.
  std::uint64_t most_pixels = 100'000'000;
};

/// Sets one option from text: resize=96x96 (height x width), resize=256 (shorter side), crop=224x224,
/// scale=1/255, mean=0.485,0.456,0.406, std=0.229,0.224,0.225, layout=nhwc|nchw|auto,
/// channels=rgb|bgr|grey|auto, most_pixels=100000000. User error, with the options there are, for anything
/// else.
Status set_image_option(ImageOptions& options, std::string_view key, std::string_view value);

}  // namespace joulery::data
