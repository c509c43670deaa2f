#include "footprint/embodied.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace joulery::footprint {
namespace {

constexpr double kHour = 3600;

std::vector<EmbodiedPart> parts_of(const Hardware& hardware) {
  static const DataSet kData;
  auto parts = embodied_parts(kData, hardware);
  EXPECT_TRUE(parts);
  return std::move(*parts);
}
const EmbodiedPart* find(const std::vector<EmbodiedPart>& parts, const std::string& key) {
  const auto found =
      std::find_if(parts.begin(), parts.end(), [&](const auto& part) { return part.key == key; });
  return found == parts.end() ? nullptr : &*found;
}
double kilograms(const std::vector<EmbodiedPart>& parts) {
  double sum = 0;
  for (const EmbodiedPart& part : parts) sum += part.whole.value() / 1000;
  return sum;
}

TEST(EmbodiedShare, IsTheStandardsExample) {
  // ISO/IEC 21031: 1000 kg, four years, one hour of the whole machine.
  EXPECT_NEAR(embodied_share(1'000'000, kHour, 4, 1), 28.5, 0.05);
  EXPECT_NEAR(embodied_share(1'000'000, kHour, 4, 0.25), 28.5 / 4, 0.05);
  EXPECT_NEAR(embodied_share(1'000'000, 4 * 365 * 24 * kHour, 4, 1), 1'000'000, 1e-6);
}

TEST(EmbodiedShare, MatchesImpactFrameworksExample) {
  // Its pipeline-teads-sci.yaml, first row: 1e6 g over 126 144 000 s, one second.
  EXPECT_NEAR(embodied_share(1e6, 1, 126144000 / (365.0 * 24 * 3600), 1), 7.9274e-3, 1e-7);
}

TEST(Embodied, EveryPartHasARangeAroundItsValue) {
  const Hardware server{
      .cpu_packages = 2,
      .cpu_threads = 64,
      .memory_gigabytes = 256,
      .drives = {{.rotational = false, .gigabytes = 2000}, {.rotational = true, .gigabytes = 8000}},
      .gpus = {"NVIDIA H100 80GB HBM3"},
      .server = true};
  const auto parts = parts_of(server);
  ASSERT_EQ(parts.size(), 5U);
  for (const EmbodiedPart& part : parts) {
    const Interval range = part.whole.interval();
    EXPECT_LT(range.low, part.whole.value()) << part.key;
    EXPECT_GT(range.high, part.whole.value()) << part.key;
    EXPECT_GE(part.whole.provenance(), Provenance::modelled) << part.key;
    EXPECT_FALSE(part.source.empty()) << part.key;
  }
  EXPECT_NEAR(find(parts, "memory")->whole.value(), 256 * 1388, 1);
  EXPECT_NEAR(find(parts, "drives")->whole.value(), 2000 * 45.4 + 6340 + 31110, 1);
  EXPECT_NEAR(find(parts, "cpu")->whole.value(), 2 * (9140 + 19.7 * 400), 1);
}

TEST(Embodied, AGpuWithAFigureOfItsOwnHasItAndOthersTheGenericOne) {
  const auto h100 = parts_of({.gpus = {"NVIDIA H100 80GB HBM3"}});
  const auto other = parts_of({.gpus = {"Some Card 1"}});
  EXPECT_NEAR(find(h100, "gpus")->whole.value(), 164'000, 1);
  EXPECT_NEAR(find(other, "gpus")->whole.value(), 164'000, 1);
  EXPECT_NE(find(h100, "gpus")->basis, find(other, "gpus")->basis);
  EXPECT_EQ(find(parts_of({}), "gpus"), nullptr);
  // Eight of them sit in a host that outweighs what a plain server is.
  const auto node = parts_of({.gpus = std::vector<std::string>(8, "NVIDIA H100 80GB HBM3"), .server = true});
  EXPECT_NEAR(find(node, "host")->whole.value(), 5'700'000, 1);
}

TEST(Embodied, ASliceOfAHostIsLessThanAWholeMachine) {
  Hardware machine{.cpu_packages = 1, .cpu_threads = 4, .memory_gigabytes = 16, .server = true};
  const double whole = kilograms(parts_of(machine));
  machine.virtual_machine = true;
  const double slice = kilograms(parts_of(machine));
  EXPECT_LT(slice, whole / 4);
  EXPECT_GT(slice, 16 * 1.388);
  machine.server = false;
  machine.virtual_machine = false;
  EXPECT_LT(kilograms(parts_of(machine)), whole);
}

}  // namespace
}  // namespace joulery::footprint
