#include "data/image_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "data/sample_shape.hpp"

namespace joulery::data {
namespace {

bool is_channel_count(std::int64_t dimension) {
  return dimension == 1 || dimension == 3;
}

std::string size_text(const ImageSize& size) {
  return fmt::format("{} x {}", size.height, size.width);
}

}  // namespace

Result<ImagePlan> ImagePlan::create(const InputSpec& input, const ImageOptions& options) {
  ImagePlan plan;
  plan.options_ = options;
  JOULERY_CHECK_OK(plan.set_arrangement(input));
  plan.is_plain_ = options.scale == 1 && options.mean.empty() && options.deviation.empty();
  JOULERY_CHECK_OK(plan.spread(plan.options_.mean, 0, "mean"));
  JOULERY_CHECK_OK(plan.spread(plan.options_.deviation, 1, "std"));
  if (options.resize || options.resize_shorter || options.crop) plan.model_size_.reset();
  return plan;
}

Status ImagePlan::set_arrangement(const InputSpec& input) {
  using Layout = ImageOptions::Layout;
  using Channels = ImageOptions::Channels;
  const std::string what =
      fmt::format("the input '{}' of shape {}", printable(input.name), input.shape.text());
  // Three dimensions are one image with its channels, or grey images without.
  const bool has_batch =
      input.shape.rank() == 4 || (input.shape.rank() == 3 && options_.layout == Layout::automatic &&
                                  !is_channel_count(input.shape[0]) && !is_channel_count(input.shape[2]));
  const Shape shape = has_batch ? without_batch(input.shape) : input.shape;
  if (shape.rank() != 2 && shape.rank() != 3) {
    return user_error(fmt::format("{} takes no images", what),
                      "an image has a height, a width and 1 or 3 channels; give other data as npz");
  }
  has_channel_axis_ = shape.rank() == 3;
  std::size_t height = 0;
  std::int64_t channels = 1;
  if (has_channel_axis_) {
    const bool first = is_channel_count(shape[0]);
    const bool last = is_channel_count(shape[2]);
    if (options_.layout == Layout::automatic && first == last) {
      return user_error(fmt::format("{} does not tell where its channels are", what),
                        "say it with --image layout=nchw or --image layout=nhwc");
    }
    is_channels_first_ = options_.layout == Layout::automatic ? first : options_.layout == Layout::nchw;
    channels = shape[is_channels_first_ ? 0 : 2];
    height = is_channels_first_ ? 1 : 0;
  }
  if (channels < 0) channels = options_.channels == Channels::grey ? 1 : 3;
  if (!is_channel_count(channels)) {
    return user_error(fmt::format("{} has {} channels, where images have 1 or 3", what, channels),
                      "if the channels are on another axis, say so: --image layout=nchw or layout=nhwc");
  }
  if (options_.channels != Channels::automatic && (options_.channels == Channels::grey) != (channels == 1)) {
    return user_error(
        fmt::format("{} has {} channels, which is not what --image channels asks for", what, channels));
  }
  channels_ = channels;
  if (shape[height] > 0 && shape[height + 1] > 0) model_size_ = {shape[height], shape[height + 1]};
  return {};
}

Status ImagePlan::spread(std::vector<double>& values, double standard, const char* name) const {
  const auto count = static_cast<std::size_t>(channels_);
  if (values.empty()) values.assign(1, standard);
  if (values.size() == 1) values.resize(count, values.front());
  if (values.size() == count) return {};
  return user_error(fmt::format("--image {} has {} numbers where the model has {}", name, values.size(),
                                format_count(static_cast<double>(count), "channels")));
}

ImageSize ImagePlan::resized(const ImageSize& size) const {
  if (options_.resize) return *options_.resize;
  if (options_.resize_shorter) return size_with_shorter_side(size, *options_.resize_shorter);
  return model_size_.value_or(size);
}

Result<ImageSize> ImagePlan::final_size(const ImageSize& size) const {
  const ImageSize after = resized(size);
  if (static_cast<std::uint64_t>(after.height) >
      options_.most_pixels / static_cast<std::uint64_t>(after.width)) {
    return user_error(
        fmt::format("resized to {} it has more than {} pixels", size_text(after), options_.most_pixels));
  }
  if (!options_.crop) return after;
  if (options_.crop->height > after.height || options_.crop->width > after.width) {
    return user_error(
        fmt::format("of {} it is too small to cut {} out of it", size_text(after), size_text(*options_.crop)),
        "make it larger first: --image resize=N, the length of the shorter side");
  }
  return *options_.crop;
}

Result<Shape> ImagePlan::sample_shape(const ImageSize& size) const {
  JOULERY_ASSIGN(const ImageSize end, final_size(size));
  if (!has_channel_axis_) return Shape{end.height, end.width};
  return is_channels_first_ ? Shape{channels_, end.height, end.width}
                            : Shape{end.height, end.width, channels_};
}

Status ImagePlan::append(const Image& source, std::vector<std::byte>& bytes) const {
  JOULERY_ASSIGN(const ImageSize end, final_size(source.size));
  Image image = with_channels(resize_bilinear(source, resized(source.size)), channels_);
  if (options_.crop) image = crop_centre(image, end);
  const auto channels = static_cast<std::size_t>(channels_);
  const std::size_t pixels = image.pixels.size() / channels;
  const std::size_t width = byte_width(type());
  std::size_t at = bytes.size();
  bytes.resize(at + image.pixels.size() * width);
  // Every value that a channel's pixel can become.
  std::array<std::array<float, 256>, 3> values{};
  for (std::size_t channel = 0; channel < channels; ++channel) {
    for (std::size_t i = 0; i < 256; ++i) {
      values[channel][i] = static_cast<float>(
          (static_cast<double>(i) * options_.scale - options_.mean[channel]) / options_.deviation[channel]);
    }
  }
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const std::size_t channel = is_channels_first_ ? i / pixels : i % channels;
    const std::size_t pixel = is_channels_first_ ? i % pixels : i / channels;
    const bool is_reversed = options_.channels == ImageOptions::Channels::bgr;
    const std::uint8_t value =
        image.pixels[pixel * channels + (is_reversed ? channels - 1 - channel : channel)];
    if (is_plain_) {
      bytes[at] = std::byte{value};
    } else {
      std::memcpy(bytes.data() + at, &values[channel][value], width);
    }
    at += width;
  }
  return {};
}

std::string ImagePlan::note() const {
  std::string note;
  const auto add = [&note](const std::string& part) { note += (note.empty() ? "images " : ", ") + part; };
  if (options_.resize) add(fmt::format("resized to {}", size_text(*options_.resize)));
  if (options_.resize_shorter) add(fmt::format("resized to a shorter side of {}", *options_.resize_shorter));
  if (model_size_) add(fmt::format("resized to the model's {}", size_text(*model_size_)));
  if (options_.crop) add(fmt::format("cut to the {} in the middle", size_text(*options_.crop)));
  if (options_.channels == ImageOptions::Channels::bgr) add("as BGR");
  if (!is_plain_) {
    add(fmt::format("(value x {:.6g} - [{:.6g}]) / [{:.6g}]", options_.scale, fmt::join(options_.mean, ", "),
                    fmt::join(options_.deviation, ", ")));
  }
  return note;
}

}  // namespace joulery::data
