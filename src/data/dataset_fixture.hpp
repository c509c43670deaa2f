#pragma once

// For tests: opens data, and reads all of it.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/dynamic_library.hpp"
#include "base/test_folder.hpp"
#include "data/column_dataset.hpp"
#include "data/dataset.hpp"
#include "data/open_table.hpp"

namespace joulery::data {

inline std::string fixture(const std::string& name) {
  return std::string(JOULERY_SOURCE_DIR) + "/tests/fixtures/data/" + name;
}

inline DatasetRequest request_for(std::string path, std::vector<InputSpec> inputs) {
  DatasetRequest request;
  request.path = std::move(path);
  request.inputs = std::move(inputs);
  request.plugin_directory = own_library_directory();
  return request;
}

/// A dataset of bytes in memory.
inline Result<std::unique_ptr<Dataset>> open_bytes(Format format, std::string bytes,
                                                   const DatasetRequest& request) {
  JOULERY_ASSIGN(auto table,
                 open_file_table(format, random_access_of(std::move(bytes), request.path), nullptr, request));
  return make_column_dataset(std::move(table), request);
}

/// All samples of a dataset, the elements of the first input one after another.
template <class Element>
struct Everything {
  std::vector<Element> values;
  std::vector<Label> labels;
  std::vector<std::string> groups;
  std::vector<std::uint64_t> ids;
  std::vector<std::string> shapes;  // of the batches
  std::string error;
};

template <class Element>
Everything<Element> read_all(Dataset& dataset, std::size_t most) {
  Everything<Element> all;
  while (true) {
    const auto batch = dataset.read(most);
    if (!batch) {
      all.error = batch.error().message;
      return all;
    }
    if ((*batch)->count == 0) return all;
    EXPECT_EQ((*batch)->first_index, all.ids.size());
    const auto elements = (*batch)->inputs.front().template elements<Element>();
    all.values.insert(all.values.end(), elements.begin(), elements.end());
    all.labels.insert(all.labels.end(), (*batch)->labels.begin(), (*batch)->labels.end());
    all.groups.insert(all.groups.end(), (*batch)->groups.begin(), (*batch)->groups.end());
    all.ids.insert(all.ids.end(), (*batch)->ids.begin(), (*batch)->ids.end());
    all.shapes.push_back((*batch)->inputs.front().shape.text());
  }
}

}  // namespace joulery::data
