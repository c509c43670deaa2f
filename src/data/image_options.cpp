#include "data/image_options.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>

#include "base/text.hpp"

namespace joulery::data {
namespace {

constexpr std::int64_t kMostSide = 65'536;
constexpr std::size_t kMostChannels = 4;

std::optional<double> fraction(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto above = parse_double(trim(text.substr(0, slash)));
  if (slash == std::string_view::npos || !above) return above;
  const auto below = parse_double(trim(text.substr(slash + 1)));
  if (!below || *below == 0) return std::nullopt;
  return *above / *below;
}

std::optional<std::vector<double>> numbers(std::string_view text) {
  std::vector<double> values;
  for (const std::string_view part : split(text, ',')) {
    const auto value = fraction(trim(part));
    if (!value || !std::isfinite(*value) || values.size() == kMostChannels) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<std::int64_t> side(std::string_view text) {
  const auto value = parse_int64(trim(text));
  if (!value || *value < 1 || *value > kMostSide) return std::nullopt;
  return value;
}

std::optional<ImageSize> size(std::string_view text) {
  const std::size_t cross = text.find('x');
  if (cross == std::string_view::npos) return std::nullopt;
  const auto height = side(text.substr(0, cross));
  const auto width = side(text.substr(cross + 1));
  if (!height || !width) return std::nullopt;
  return ImageSize{*height, *width};
}

Status no_value(std::string_view key, std::string_view value, const char* what) {
  return user_error(fmt::format("the image option {} can't be '{}'", printable(key), printable(value)),
                    fmt::format("it is {}", what));
}

Status set_size(ImageOptions& options, std::string_view key, std::string_view value) {
  if (key == "crop") {
    options.crop = size(value);
    if (options.crop) return {};
    return no_value(key, value, "HEIGHTxWIDTH, such as 224x224");
  }
  options.resize = size(value);
  options.resize_shorter = options.resize ? std::nullopt : side(value);
  if (options.resize || options.resize_shorter) return {};
  return no_value(key, value, "HEIGHTxWIDTH, such as 96x96, or a number, the shorter side");
}

Status set_values(ImageOptions& options, std::string_view key, std::string_view value) {
  const auto given = numbers(value);
  if (!given || (key == "scale" && given->size() != 1)) {
    return no_value(key, value,
                    key == "scale" ? "a number, such as 1/255" : "one number, or one for each channel");
  }
  if (key == "scale") options.scale = given->front();
  if (key == "mean") options.mean = *given;
  if (key != "std") return {};
  for (const double deviation : *given) {
    if (deviation <= 0) return no_value(key, value, "above 0");
  }
  options.deviation = *given;
  return {};
}

Status set_arrangement(ImageOptions& options, std::string_view key, std::string_view value) {
  using Layout = ImageOptions::Layout;
  using Channels = ImageOptions::Channels;
  const std::string word = to_lower(value);
  if (key == "layout") {
    if (word != "nhwc" && word != "nchw" && word != "auto") return no_value(key, value, "nhwc, nchw or auto");
    options.layout = word == "nhwc" ? Layout::nhwc : word == "nchw" ? Layout::nchw : Layout::automatic;
    return {};
  }
  if (word == "rgb") {
    options.channels = Channels::rgb;
  } else if (word == "bgr") {
    options.channels = Channels::bgr;
  } else if (word == "grey" || word == "gray") {
    options.channels = Channels::grey;
  } else if (word == "auto") {
    options.channels = Channels::automatic;
  } else {
    return no_value(key, value, "rgb, bgr, grey or auto");
  }
  return {};
}

}  // namespace

Status set_image_option(ImageOptions& options, std::string_view key, std::string_view value) {
  if (key == "resize" || key == "crop") return set_size(options, key, value);
  if (key == "scale" || key == "mean" || key == "std") return set_values(options, key, value);
  if (key == "layout" || key == "channels") return set_arrangement(options, key, value);
  if (key == "most_pixels") {
    const auto most = parse_uint64(value);
    if (!most || *most == 0) return no_value(key, value, "a number of pixels, such as 100000000");
    options.most_pixels = *most;
    return {};
  }
  static const std::array<std::string, 8> kKeys{"resize", "crop",   "scale",    "mean",
                                                "std",    "layout", "channels", "most_pixels"};
  const auto meant = did_you_mean(key, kKeys);
  return user_error(
      fmt::format("there is no image option '{}'", printable(key)),
      meant ? fmt::format("did you mean {}?", *meant) : fmt::format("there are {}", fmt::join(kKeys, ", ")));
}

}  // namespace joulery::data
