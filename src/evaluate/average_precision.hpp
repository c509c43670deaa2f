#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace joulery::evaluate {

/// Corners; x2 >= x1 and y2 >= y1.
struct Box {
  double x1 = 0;
  double y1 = 0;
  double x2 = 0;
  double y2 = 0;
};
/// Area of both over area of either; 0 if both have none.
double intersection_over_union(const Box& a, const Box& b);

struct LabelledBox {
  std::uint32_t category = 0;
  Box box;
};
struct Detection {
  std::uint32_t category = 0;
  Box box;
  double score = 0;
};

/// IoU of 0.50, 0.55 … 0.95.
constexpr std::size_t kOverlaps = 10;

/// Average precision as COCO defines it: detections of a category by falling score, each taken for the
/// labelled box it overlaps most of those that are still free; precision made monotone, at 101 recalls; mean
/// over the categories that are labelled. Crowds and areas are not told apart. Not thread-safe.
class AveragePrecision {
 public:
  /// Images are numbered as they come. Returns what it is for this image by itself, mean over overlaps: 1 for
  /// one without labelled boxes and without detections, 0 for one without boxes and with.
  double add(std::span<const LabelledBox> labelled, std::span<const Detection> detections);
  /// After the last image, before the first question.
  void finish();
  /// Of these images (one may come several times), at one overlap, and the mean over all. NaN if none of them
  /// has a labelled box.
  double at(std::span<const std::uint32_t> images, std::size_t overlap) const;
  double mean(std::span<const std::uint32_t> images) const;

 private:
  struct Found {
    std::uint32_t image = 0;
    /// Among the image's detections: of equal scores the first counts first.
    std::uint32_t place = 0;
    double score = 0;
    /// Bit i: it is right at overlap i.
    std::uint16_t right = 0;
  };
  struct Category {
    std::vector<Found> found;
    /// Images with how many labelled boxes.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> labelled;
  };
  static std::uint16_t matches(const Detection& detection, std::span<const LabelledBox> labelled,
                               std::span<std::uint16_t> taken);
  double category_precision(const Category& category, std::size_t overlap) const;
  void count(std::span<const std::uint32_t> images) const;
  double averaged(std::size_t overlap) const;

  std::map<std::uint32_t, Category> categories_;
  std::size_t images_ = 0;
  mutable std::vector<std::uint32_t> times_;
};

}  // namespace joulery::evaluate
