#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "evaluate/outputs.hpp"
#include "evaluate/perturbation.hpp"
#include "evaluate/typos.hpp"

namespace joulery::evaluate {
namespace {

using stats::RandomStream;

/// Changes one sample's tokens.
using Change = void (*)(std::span<double>, const TokenFormat&, double strength, RandomStream&);

bool is_token(double value, const TokenFormat& format) {
  return value != static_cast<double>(format.padding) && value >= static_cast<double>(format.low) &&
         value <= static_cast<double>(format.high);
}

void change(std::span<double> values, const TokenFormat& format, double strength, RandomStream& random) {
  const auto range = static_cast<std::uint64_t>(format.high - format.low) + 1;
  for (double& value : values) {
    if (is_token(value, format) && random.unit() < strength) {
      value = static_cast<double>(format.low + static_cast<std::int64_t>(random.below(range)));
    }
  }
}

/// What follows moves up; padding fills the end.
void drop(std::span<double> values, const TokenFormat& format, double strength, RandomStream& random) {
  std::size_t kept = 0;
  for (const double value : values) {
    if (is_token(value, format) && random.unit() < strength) continue;
    values[kept++] = value;
  }
  std::ranges::fill(values.subspan(kept), static_cast<double>(format.padding));
}

/// Of the tokens there are, only the first are left.
void cut_off(std::span<double> values, const TokenFormat& format, double strength, RandomStream&) {
  const auto count = std::ranges::count_if(values, [&](double value) { return is_token(value, format); });
  auto left = static_cast<std::ptrdiff_t>(std::ceil(static_cast<double>(count) * (1 - strength)));
  for (double& value : values) {
    if (!is_token(value, format)) continue;
    if (left > 0) {
      --left;
    } else {
      value = static_cast<double>(format.padding);
    }
  }
}

void mistype(std::span<double> values, const TokenFormat& format, double strength, RandomStream& random) {
  std::string text;
  std::size_t end = 0;
  while (end < values.size() && is_token(values[end], format)) {
    text += static_cast<char>(static_cast<unsigned char>(values[end++]));
  }
  text = with_typos(text, strength, random);
  // What stands behind the text stays where it is; the text may grow into padding only.
  std::size_t room = end;
  while (room < values.size() && values[room] == static_cast<double>(format.padding)) ++room;
  for (std::size_t i = 0; i < room; ++i) {
    values[i] = i < text.size() ? static_cast<double>(static_cast<unsigned char>(text[i]))
                                : static_cast<double>(format.padding);
  }
}

class TokenPerturbation final : public Perturbation {
 public:
  TokenPerturbation(PerturbationInfo info, Change change, double strength, const TokenFormat& format)
      : Perturbation(std::move(info)), change_(change), strength_(strength), format_(format) {}

  Status apply(const data::TensorView& batch, std::uint64_t seed, std::uint64_t first_sample) const override {
    const auto count = static_cast<std::size_t>(batch.shape.rank() > 0 ? batch.shape[0] : 1);
    JOULERY_ASSIGN(const Rows rows, Rows::create(batch, count, "tokens"));
    std::vector<double> values(rows.width());
    for (std::size_t row = 0; row < count; ++row) {
      rows.read(row, values);
      RandomStream random(sample_seed(seed, first_sample + row, info().name, info().severity));
      change_(values, format_, strength_, random);
      rows.write(row, values);
    }
    return {};
  }

 private:
  Change change_;
  double strength_;
  TokenFormat format_;
};

struct Kind {
  const char* name;
  const char* category;
  Change change;
  std::array<double, kSeverities> strengths;
  const char* description;
};

}  // namespace

Result<Perturbations> token_perturbations(const TokenFormat& format) {
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;
  if (format.low > format.high || format.low < -kMostTokens || format.high > kMostTokens) {
    return user_error(fmt::format("tokens can't be from {} to {}", format.low, format.high));
  }
  if (format.is_text && (format.low != 0 || format.high != 255)) {
    return user_error(fmt::format("tokens from {} to {} are no bytes of text", format.low, format.high));
  }
  const Kind kinds[] = {
      {"token_change",
       "noise",
       change,
       {.01, .02, .05, .1, .2},
       "of 100 tokens {:g} are replaced by any other"},
      {"token_drop", "missing", drop, {.01, .02, .05, .1, .2}, "of 100 tokens {:g} are lost"},
      {"truncation", "missing", cut_off, {.25, .5, .75, .9, .95}, "of 100 tokens the last {:g} are cut off"},
      {"typos", "text", mistype, {.01, .02, .05, .1, .2}, "of 100 letters {:g} are mistyped"}};
  Perturbations all;
  for (const Kind& kind : kinds) {
    if (kind.change == mistype && !format.is_text) continue;
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const double strength = kind.strengths[static_cast<std::size_t>(severity - 1)];
      all.push_back(std::make_unique<TokenPerturbation>(
          PerturbationInfo{.name = kind.name,
                           .category = kind.category,
                           .severity = severity,
                           .description = fmt::format(fmt::runtime(kind.description), 100 * strength)},
          kind.change, strength, format));
    }
  }
  return all;
}

}  // namespace joulery::evaluate
