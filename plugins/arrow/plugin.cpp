#include "data/plugin.hpp"

#include <algorithm>
#include <exception>
#include <string>

#include "arrow_table.hpp"
#include "data/plugin_library.hpp"

namespace joulery::data {
namespace {

/// Calls `body`, which gives a status. Arrow's Parquet part throws in places.
template <class Body>
int guarded(JouleryDataError* error, const std::string& what, Body body) {
  std::string problem;
  try {
    const arrow::Status status = body();
    if (status.ok()) return 0;
    problem = status.message();
  } catch (const std::exception& exception) {
    problem = exception.what();
  }
  return fail(error, Error::Kind::user, what + problem,
              "check that the file is a whole Parquet file: it may have been cut short");
}

ArrowTable& table_of(void* table) {
  return *static_cast<ArrowTable*>(table);
}

int open(const char* path, void** table, JouleryDataError* error) {
  return guarded(error, "can't read '" + std::string(path) + "' as Parquet: ", [&] {
    ARROW_ASSIGN_OR_RAISE(auto opened, ArrowTable::open(path));
    *table = opened.release();
    return arrow::Status::OK();
  });
}

void close(void* table) {
  delete static_cast<ArrowTable*>(table);
}

std::uint64_t count(void* table) {
  return table_of(table).count();
}

int column(void* table, std::uint32_t index, JouleryColumn* column) {
  const auto& columns = table_of(table).columns();
  if (index >= columns.size()) return 0;
  const ArrowColumn& described = columns[index];
  column->kind = static_cast<std::int32_t>(described.kind);
  column->type = static_cast<std::int32_t>(described.type);
  column->rank = static_cast<std::uint32_t>(described.dimensions.size());
  std::ranges::copy(described.dimensions, column->dimensions);
  column->name = described.name.c_str();
  column->type_name = described.type_name.c_str();
  return 1;
}

int select(void* table, const std::uint32_t* columns, std::uint32_t count, JouleryDataError* error) {
  return guarded(error, {}, [&] { return table_of(table).select({columns, count}); });
}

int read(void* table, std::uint64_t most, JouleryColumnData* data, std::uint64_t* rows,
         JouleryDataError* error) {
  return guarded(error, {}, [&] {
    constexpr std::uint64_t kMost = 1ULL << 40U;
    ARROW_ASSIGN_OR_RAISE(const std::int64_t count,
                          table_of(table).read(static_cast<std::int64_t>(std::min(most, kMost))));
    *rows = static_cast<std::uint64_t>(count);
    for (const ArrowValues& values : table_of(table).values()) {
      data->rank = static_cast<std::uint32_t>(values.dimensions.size());
      std::ranges::copy(values.dimensions, data->dimensions);
      data->data = values.bytes.data();
      data->bytes = values.bytes.size();
      data->offsets = values.offsets.data();
      ++data;
    }
    return arrow::Status::OK();
  });
}

int rewind(void* table, JouleryDataError* error) {
  return guarded(error, {}, [&] { return table_of(table).rewind(); });
}

constexpr JouleryTablesApi kApi{.struct_size = sizeof(JouleryTablesApi),
                                .abi_version = JOULERY_DATA_ABI_VERSION,
                                .open = &open,
                                .close = &close,
                                .count = &count,
                                .column = &column,
                                .select = &select,
                                .read = &read,
                                .rewind = &rewind};

}  // namespace
}  // namespace joulery::data

extern "C" __attribute__((visibility("default"))) const JouleryTablesApi* joulery_tables_v1(
    std::uint32_t host_abi_version) {
  return host_abi_version == JOULERY_DATA_ABI_VERSION ? &joulery::data::kApi : nullptr;
}
