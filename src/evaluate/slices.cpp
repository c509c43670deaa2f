#include "evaluate/slices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/text.hpp"
#include "evaluate/intervals.hpp"

namespace joulery::evaluate {
namespace {

constexpr std::size_t kMostSlices = 64;
constexpr std::size_t kMostDistinctNumbers = 8;
constexpr int kSliceResamples = 499;

struct Part {
  std::string value;
  std::vector<std::uint32_t> samples;
  std::uint64_t merged = 0;
};

struct Dimension {
  std::string name;
  bool declared = false;
  /// Samples of one group are alike; but of a slice that is one group they are all there is.
  bool clustered = true;
  std::vector<Part> parts;
};

std::vector<Part> parts_of(std::span<const std::string> values) {
  std::vector<Part> parts;
  std::map<std::string_view, std::size_t> places;
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    const auto [place, is_new] = places.emplace(values[i], parts.size());
    if (is_new) parts.push_back({.value = values[i], .samples = {}});
    parts[place->second].samples.push_back(i);
  }
  return parts;
}

/// "3 … 7.5"; a NaN is "missing".
std::vector<std::string> quarters(std::span<const double> values) {
  std::vector<double> sorted;
  for (const double value : values) {
    if (!std::isnan(value)) sorted.push_back(value);
  }
  std::ranges::sort(sorted);
  std::vector<double> distinct = sorted;
  distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
  const bool few = distinct.size() <= kMostDistinctNumbers;
  const auto edge = [&](std::size_t quarter) { return sorted[(sorted.size() - 1) * quarter / 4]; };
  std::vector<std::string> names;
  for (const double value : values) {
    if (std::isnan(value)) {
      names.emplace_back("missing");
    } else if (few) {
      names.push_back(fmt::format("{:g}", value));
    } else {
      std::size_t quarter = 1;
      while (quarter < 4 && value > edge(quarter)) ++quarter;
      names.push_back(
          fmt::format("{}{:g} … {:g}", quarter == 1 ? "" : "above ", edge(quarter - 1), edge(quarter)));
    }
  }
  return names;
}

/// The largest first; the rest in one.
void merge_small(std::vector<Part>& parts, std::size_t smallest) {
  std::ranges::sort(
      parts, {}, [](const Part& part) { return std::pair(-std::ssize(part.samples), part.samples.front()); });
  std::size_t kept = 0;
  while (kept < std::min(parts.size(), kMostSlices) && parts[kept].samples.size() >= smallest) ++kept;
  if (parts.size() - kept < 2) return;
  Part rest{.value = fmt::format("(others: {})", parts.size() - kept),
            .samples = {},
            .merged = parts.size() - kept};
  for (std::size_t i = kept; i < parts.size(); ++i) {
    rest.samples.insert(rest.samples.end(), parts[i].samples.begin(), parts[i].samples.end());
  }
  std::ranges::sort(rest.samples);
  parts.resize(kept);
  parts.push_back(std::move(rest));
}

Result<std::vector<Dimension>> dimensions_of(const ScoredSamples& scored, std::span<const std::string> groups,
                                             std::span<const SliceColumn> columns, std::size_t samples,
                                             const TaskOptions& options) {
  std::vector<Dimension> dimensions;
  if (!groups.empty()) {
    dimensions.push_back({.name = "group", .clustered = false, .parts = parts_of(groups)});
  }
  if (!scored.label_classes.empty()) {
    std::vector<std::string> names;
    for (const std::uint32_t label : scored.label_classes) names.push_back(scored.class_names[label]);
    dimensions.push_back({.name = "class", .parts = parts_of(names)});
  }
  for (const std::string& name : options.declared_slices) {
    const auto found = std::ranges::find(dimensions, name, &Dimension::name);
    if (found == dimensions.end()) {
      return user_error(
          fmt::format("slices by '{}' were declared, but the samples have none", printable(name)),
          "\"group\" needs groups, \"class\" labels that are classes");
    }
    found->declared = true;
  }
  for (const SliceColumn& column : columns) {
    const auto* numbers = std::get_if<std::vector<double>>(&column.values);
    const std::vector<std::string> texts =
        numbers != nullptr ? quarters(*numbers) : std::get<std::vector<std::string>>(column.values);
    if (texts.size() != samples) {
      return user_error(fmt::format("column '{}' has {} values for {} samples", printable(column.name),
                                    texts.size(), samples));
    }
    dimensions.push_back({.name = column.name, .declared = column.declared, .parts = parts_of(texts)});
  }
  return dimensions;
}

}  // namespace

Result<std::vector<Slice>> make_slices(const ScoredSamples& scored, std::size_t primary,
                                       std::span<const std::string> groups,
                                       std::span<const SliceColumn> columns, std::size_t samples,
                                       const TaskOptions& options) {
  JOULERY_ASSIGN(std::vector<Dimension> dimensions, dimensions_of(scored, groups, columns, samples, options));
  // A dimension of one value says what the whole says.
  std::erase_if(dimensions, [](const Dimension& dimension) {
    return dimension.parts.size() < 2 ||
           (!dimension.clustered && dimension.parts.size() > 1 &&
            std::ranges::all_of(dimension.parts, [](const Part& part) { return part.samples.size() == 1; }));
  });
  std::size_t declared = 0;
  for (Dimension& dimension : dimensions) {
    merge_small(dimension.parts, options.smallest_slice);
    if (dimension.declared) declared += dimension.parts.size();
  }
  std::erase_if(dimensions,
                [](const Dimension& dimension) { return dimension.parts.size() < 2 && !dimension.declared; });
  const Clusters clusters = clusters_of(groups);
  TaskOptions slice_options = options;
  std::vector<Slice> slices;
  for (const Dimension& dimension : dimensions) {
    const double level =
        dimension.declared ? 1 - (1 - options.level) / static_cast<double>(declared) : options.level;
    // Far out in the tails it takes more resamples to see anything.
    slice_options.resamples =
        std::max(std::min(options.resamples, kSliceResamples), static_cast<int>(20 / (1 - level)));
    for (const Part& part : dimension.parts) {
      std::vector<std::uint32_t> groups_of_part;
      if (!clusters.of_sample.empty() && (dimension.clustered || part.merged > 0)) {
        for (const std::uint32_t sample : part.samples) {
          groups_of_part.push_back(clusters.of_sample[sample]);
        }
      }
      slices.push_back(
          {.dimension = dimension.name,
           .value = part.value,
           .samples = part.samples.size(),
           .metric = one_metric(scored, primary, part.samples, groups_of_part, slice_options, level),
           .declared = dimension.declared,
           .merged = part.merged});
    }
  }
  return slices;
}

}  // namespace joulery::evaluate
