#pragma once

#include <memory>
#include <string>

#include "data/byte_source.hpp"
#include "data/dataset.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// What a file is, by its first bytes where they tell, else by its name; nothing if neither does.
Result<std::optional<Format>> detect_format(const RandomAccess& file, const std::string& path);

/// Opens the request's file or folder.
Result<std::unique_ptr<Table>> open_table(const DatasetRequest& request);
/// The same for a file that is open; `labels` may be null.
Result<std::unique_ptr<Table>> open_file_table(Format format, std::shared_ptr<const RandomAccess> file,
                                               std::shared_ptr<const RandomAccess> labels,
                                               const DatasetRequest& request);

}  // namespace joulery::data
