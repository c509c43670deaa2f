#include "power/cpu_tables.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <vector>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "power/cpu_identity.hpp"

namespace joulery::power {
namespace {

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(CpuTables, WhatIsEmbeddedIsTheFile) {
  EXPECT_EQ(cpu_tdp_csv(), file_text(JOULERY_SOURCE_DIR "/data/cpu_tdp.csv"));
  EXPECT_EQ(cpu_family_power_csv(), file_text(JOULERY_SOURCE_DIR "/data/cpu_family_power.csv"));
}

TEST(CpuTables, EveryTdpRowParsesIsSortedAndIsFound) {
  CsvReader reader(cpu_tdp_csv());
  std::vector<std::string> row;
  ASSERT_TRUE(reader.next(row));
  ASSERT_EQ(row, (std::vector<std::string>{"vendor", "model", "tdp_watts", "cores", "threads", "quality",
                                           "source_id"}));
  std::pair<std::string, std::string> last;
  int rows = 0;
  while (reader.next(row)) {
    ASSERT_EQ(row.size(), 7U) << row.front();
    const std::pair<std::string, std::string> key{row[0], row[1]};
    EXPECT_LT(last, key);
    last = key;
    const auto watts = parse_double(row[2]);
    ASSERT_TRUE(watts.has_value()) << row[1];
    EXPECT_GE(*watts, 0.5) << row[1];
    EXPECT_LE(*watts, 1500) << row[1];
    for (const int count : {3, 4}) {
      if (row[count].empty()) continue;
      const auto number = parse_int64(row[count]);
      ASSERT_TRUE(number.has_value()) << row[1];
      EXPECT_GE(*number, 1) << row[1];
      EXPECT_LE(*number, 1024) << row[1];
    }
    EXPECT_TRUE(row[5] == "published" || row[5] == "estimated") << row[1];
    EXPECT_FALSE(row[6].empty()) << row[1];
    const auto found = find_tdp(row[0], row[1]);
    ASSERT_TRUE(found.has_value()) << row[1];
    EXPECT_EQ(found->watts, *watts) << row[1];
    EXPECT_EQ(found->published, row[5] == "published") << row[1];
    ++rows;
  }
  EXPECT_EQ(rows, 3968);
}

TEST(CpuTables, NamesAreTheirOwnNormalForm) {
  CsvReader reader(cpu_tdp_csv());
  std::vector<std::string> row;
  reader.next(row);
  int changed = 0;
  while (reader.next(row)) {
    if (normalise_cpu_model(row[1]) != row[1]) {
      ++changed;
      ADD_FAILURE() << row[1] << " -> " << normalise_cpu_model(row[1]);
    }
  }
  EXPECT_EQ(changed, 0);
}

TEST(CpuTables, WhatIsNotThereIsNotFound) {
  EXPECT_FALSE(find_tdp("intel", "Intel Core i7-000000").has_value());
  EXPECT_FALSE(find_tdp("", "").has_value());
  EXPECT_FALSE(find_tdp("aaaa", "a").has_value());
  EXPECT_FALSE(find_tdp("zzzz", "z").has_value());
  EXPECT_FALSE(find_tdp("vendor", "model").has_value());
  EXPECT_FALSE(find_family("EPYC").has_value());
  EXPECT_FALSE(find_family("").has_value());
}

TEST(CpuTables, EveryFamilyRowParses) {
  CsvReader reader(cpu_family_power_csv());
  std::vector<std::string> row;
  ASSERT_TRUE(reader.next(row));
  std::set<std::string> families;
  while (reader.next(row)) {
    ASSERT_EQ(row.size(), 7U) << row.front();
    EXPECT_TRUE(families.insert(row[0]).second) << row[0];
    const auto found = find_family(row[0]);
    ASSERT_TRUE(found.has_value()) << row[0];
    EXPECT_GT(found->idle_watts_per_thread, 0.05) << row[0];
    EXPECT_LT(found->idle_watts_per_thread, found->full_watts_per_thread) << row[0];
    EXPECT_LT(found->full_watts_per_thread, 20) << row[0];
  }
  EXPECT_EQ(families.size(), 24U);
}

TEST(CpuTables, NumbersNameFamiliesThatTheTableHas) {
  struct Case {
    const char* vendor;
    int family, model, stepping;
    const char* name;
  };
  for (const Case& c :
       {Case{"AuthenticAMD", 26, 2, 1, "EPYC 5th Gen"}, Case{"AuthenticAMD", 25, 0x11, 1, "EPYC 4th Gen"},
        Case{"AuthenticAMD", 25, 1, 1, "EPYC 3rd Gen"}, Case{"AuthenticAMD", 23, 0x31, 0, "EPYC 2nd Gen"},
        Case{"AuthenticAMD", 23, 1, 2, "EPYC 1st Gen"}, Case{"GenuineIntel", 6, 85, 4, "Skylake"},
        Case{"GenuineIntel", 6, 85, 7, "Cascade Lake"}, Case{"GenuineIntel", 6, 106, 6, "Ice Lake"},
        Case{"GenuineIntel", 6, 143, 8, "Sapphire Rapids"}, Case{"GenuineIntel", 6, 207, 2, "Emerald Rapids"},
        Case{"GenuineIntel", 6, 173, 1, "Granite Rapids"}, Case{"GenuineIntel", 6, 79, 1, "Broadwell"},
        Case{"GenuineIntel", 6, 63, 2, "Haswell"}, Case{"GenuineIntel", 6, 45, 7, "Sandy Bridge"},
        Case{"ARM", 0x41, 0xd40, 1, "Graviton3"}}) {
    EXPECT_EQ(server_family(c.vendor, c.family, c.model, c.stepping), c.name);
    EXPECT_TRUE(find_family(c.name).has_value()) << c.name;
  }
  EXPECT_EQ(server_family("GenuineIntel", 15, 85, 4), "");
  EXPECT_EQ(server_family("Unknown", 6, 85, 4), "");
  EXPECT_EQ(server_family("AuthenticAMD", 26, -1, 4), "");
}

}  // namespace
}  // namespace joulery::power
