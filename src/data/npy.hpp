#pragma once

#include <memory>
#include <string>

#include "data/byte_source.hpp"
#include "data/tensor_table.hpp"

namespace joulery::data {

/// Reads the header of an npy file of format 1 to 3, the source being at its start. User error for what is
/// none, or can't be read without loss: Fortran order, records, complex numbers, times; arrays of Python
/// objects are never read, because that would run code.
Result<StoredArray> read_npy(std::unique_ptr<ByteSource> source, std::string name);

/// An npy file, plain or gzip, as a column without a name; `labels` (may be null) as column "y".
Result<std::unique_ptr<Table>> open_npy_table(std::shared_ptr<const RandomAccess> file,
                                              std::shared_ptr<const RandomAccess> labels,
                                              const std::string& label_name);
/// An npz archive: a column for each member.
Result<std::unique_ptr<Table>> open_npz_table(const std::shared_ptr<const RandomAccess>& file);

}  // namespace joulery::data
