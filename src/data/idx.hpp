#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/byte_source.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// An IDX file, plain or gzip, as a column without a name; `labels` (may be null) as column `label_name`.
Result<std::unique_ptr<Table>> open_idx_table(std::shared_ptr<const RandomAccess> file,
                                              std::shared_ptr<const RandomAccess> labels,
                                              const std::string& label_name);

/// Where MNIST and its kin keep the labels of these images: "…-images-idx3-ubyte.gz" →
/// "…-labels-idx1-ubyte.gz". Nothing if the name is of another kind.
std::optional<std::string> idx_label_path(const std::string& path);

/// A file of numbers without a header.
Result<std::unique_ptr<Table>> open_raw_table(std::shared_ptr<const RandomAccess> file,
                                              const DatasetRequest& request);

}  // namespace joulery::data
