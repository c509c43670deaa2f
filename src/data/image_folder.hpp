#pragma once

#include <memory>
#include <string>

#include "data/table.hpp"

namespace joulery::data {

/// The images in a folder, whose sub-folders are classes by their sorted names; a folder without sub-folders
/// has no labels. The table's column "x" has what the model's one input takes.
Result<std::unique_ptr<Table>> open_image_folder(const std::string& path, const DatasetRequest& request);

}  // namespace joulery::data
