#include "evaluate/average_precision.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

namespace joulery::evaluate {
namespace {

constexpr std::size_t kRecalls = 101;

double overlap_at(std::size_t index) {
  return 0.5 + 0.05 * static_cast<double>(index);
}

/// Area under precision over recall; `found` by falling score, `times` says how often its image counts.
template <class Found, class Times>
double curve_area(std::span<const Found> found, double boxes, std::size_t overlap, const Times& times) {
  std::vector<std::pair<double, double>> curve;  // recall, precision
  double right = 0;
  double all = 0;
  for (const Found& each : found) {
    const double weight = times(each);
    if (weight == 0) continue;
    all += weight;
    if (((each.right >> overlap) & 1) != 0) right += weight;
    curve.emplace_back(right / boxes, right / all);
  }
  for (std::size_t i = curve.size(); i-- > 1;) {
    curve[i - 1].second = std::max(curve[i - 1].second, curve[i].second);
  }
  double sum = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < kRecalls; ++i) {
    const double recall = static_cast<double>(i) / (kRecalls - 1);
    while (at < curve.size() && curve[at].first < recall - 1e-12) ++at;
    if (at == curve.size()) break;
    sum += curve[at].second;
  }
  return sum / kRecalls;
}

}  // namespace

double intersection_over_union(const Box& a, const Box& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const double shared = width > 0 && height > 0 ? width * height : 0;
  const double either = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared;
  return either > 0 ? shared / either : 0;
}

/// Bit i: at overlap i this is the detection of a box, which is then taken.
std::uint16_t AveragePrecision::matches(const Detection& detection, std::span<const LabelledBox> labelled,
                                        std::span<std::uint16_t> taken) {
  std::uint16_t right = 0;
  for (std::size_t overlap = 0; overlap < kOverlaps; ++overlap) {
    const auto bit = static_cast<std::uint16_t>(1U << overlap);
    double best = overlap_at(overlap) - 1e-10;
    std::size_t match = labelled.size();
    for (std::size_t i = 0; i < labelled.size(); ++i) {
      if (labelled[i].category != detection.category || (taken[i] & bit) != 0) continue;
      const double shared = intersection_over_union(labelled[i].box, detection.box);
      if (shared < best) continue;
      best = shared;
      match = i;
    }
    if (match == labelled.size()) continue;
    taken[match] = static_cast<std::uint16_t>(taken[match] | bit);
    right = static_cast<std::uint16_t>(right | bit);
  }
  return right;
}

double AveragePrecision::add(std::span<const LabelledBox> labelled, std::span<const Detection> detections) {
  const auto image = static_cast<std::uint32_t>(images_++);
  std::map<std::uint32_t, Category> here;
  for (const LabelledBox& box : labelled) {
    auto& counts = here[box.category].labelled;
    if (counts.empty()) counts.emplace_back(image, 0);
    ++counts.back().second;
  }
  std::vector<std::uint32_t> order(detections.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return std::pair(-detections[i].score, i); });
  std::vector<std::uint16_t> taken(labelled.size());
  for (const std::uint32_t i : order) {
    const Detection& detection = detections[i];
    here[detection.category].found.push_back(
        {.image = image, .place = i, .score = detection.score, .right = matches(detection, labelled, taken)});
  }
  double sum = 0;
  for (const auto& [number, category] : here) {
    if (category.labelled.empty()) continue;
    for (std::size_t overlap = 0; overlap < kOverlaps; ++overlap) {
      sum += curve_area(std::span<const Found>(category.found), category.labelled[0].second, overlap,
                        [](const Found&) { return 1.0; });
    }
  }
  std::size_t categories = 0;
  for (const auto& [number, category] : here) {
    if (!category.labelled.empty()) ++categories;
    Category& all = categories_[number];
    all.found.insert(all.found.end(), category.found.begin(), category.found.end());
    all.labelled.insert(all.labelled.end(), category.labelled.begin(), category.labelled.end());
  }
  if (categories == 0) return detections.empty() ? 1 : 0;
  return sum / static_cast<double>(categories * kOverlaps);
}

void AveragePrecision::finish() {
  times_.assign(images_, 0);
  for (auto& [number, category] : categories_) {
    std::ranges::sort(category.found, {},
                      [](const Found& found) { return std::tuple(-found.score, found.image, found.place); });
  }
}

void AveragePrecision::count(std::span<const std::uint32_t> images) const {
  std::ranges::fill(times_, 0U);
  for (const std::uint32_t image : images) ++times_[image];
}

double AveragePrecision::category_precision(const Category& category, std::size_t overlap) const {
  double boxes = 0;
  for (const auto& [image, number] : category.labelled) boxes += static_cast<double>(times_[image]) * number;
  if (boxes == 0) return std::numeric_limits<double>::quiet_NaN();
  return curve_area(std::span<const Found>(category.found), boxes, overlap,
                    [this](const Found& found) { return static_cast<double>(times_[found.image]); });
}

double AveragePrecision::averaged(std::size_t overlap) const {
  double sum = 0;
  std::size_t categories = 0;
  for (const auto& [number, category] : categories_) {
    const double precision = category_precision(category, overlap);
    if (std::isnan(precision)) continue;
    sum += precision;
    ++categories;
  }
  return categories > 0 ? sum / static_cast<double>(categories) : std::numeric_limits<double>::quiet_NaN();
}

double AveragePrecision::at(std::span<const std::uint32_t> images, std::size_t overlap) const {
  count(images);
  return averaged(overlap);
}

double AveragePrecision::mean(std::span<const std::uint32_t> images) const {
  count(images);
  double sum = 0;
  for (std::size_t overlap = 0; overlap < kOverlaps; ++overlap) sum += averaged(overlap);
  return sum / kOverlaps;
}

}  // namespace joulery::evaluate
