#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "evaluate/perturbation.hpp"
#include "evaluate/typos.hpp"

using joulery::data::DataType;
using joulery::data::Shape;
using joulery::data::Tensor;
using namespace joulery::evaluate;

// The first bytes say what is done and to which shape; the rest fill the tensor, and are a text to mistype.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const auto type = static_cast<DataType>(1 + data[0] % (joulery::data::kDataTypes - 1));
  const Shape shape{1 + data[1] % 2, data[2] % 12, data[3] % 12, data[4] % 5};
  auto tensor = Tensor::create(type, shape);
  const std::span<const std::uint8_t> rest(data + 6, size - 6);
  const auto bytes = tensor->elements<std::uint8_t>();
  if (!bytes.empty() && !rest.empty())
    std::memcpy(bytes.data(), rest.data(), std::min(bytes.size(), rest.size()));

  joulery::stats::RandomStream random(data[5]);
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
  if (with_typos(text, 0.5, random).size() > 2 * text.size()) __builtin_trap();

  const auto apply = [&](const auto& perturbations) {
    if (!perturbations) return;
    for (const auto& perturbation : *perturbations) {
      if (perturbation->info().severity == 1 + data[5] % kSeverities) {
        (void)perturbation->apply(tensor->view(), data[5], 3);
      }
    }
  };
  if (data[5] % 3 == 0) {
    apply(token_perturbations({.low = -1, .high = 300, .padding = 0}));
  } else if (data[5] % 3 == 1) {
    FeatureSpread spread;
    if (spread.add(tensor->view(), 1)) apply(feature_perturbations(std::move(spread)));
  } else {
    apply(image_corruptions({.layout = data[5] % 2 == 0 ? Layout::nhwc : Layout::nchw}));
    if (type == DataType::f32 && shape.element_count() > std::uint64_t{0}) {
      for (const float value : tensor->elements<float>()) {
        if (!(value >= 0 && value <= 1)) __builtin_trap();
      }
    }
  }
  return 0;
}
