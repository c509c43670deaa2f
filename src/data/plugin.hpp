#pragma once

#include <stdint.h>

/// The C interface between this program and plug-ins that read data with libraries that not every start
/// should pay for, or that are not everywhere. A plug-in lies beside libjoulery_core.so as
/// libjoulery_<name>.so. Functions throw nothing, print nothing and keep no pointer of the caller's. Not
/// thread-safe. Structs only grow at their end; a change of what is there raises the version.
#define JOULERY_DATA_ABI_VERSION 1
#define JOULERY_IMAGES_ENTRY "joulery_images_v1"
#define JOULERY_TABLES_ENTRY "joulery_tables_v1"

extern "C" {

/// Why a call failed. Texts end in NUL. `kind`: 0 the user's input, 1 the environment, 2 internal.
struct JouleryDataError {
  uint32_t struct_size;
  int32_t kind;
  char message[1024];
  char hint[512];
};

/// What an image's header claims. `channels`: 1 grey, 3 RGB, as it will be decoded.
struct JouleryImageHeader {
  uint32_t struct_size;
  uint32_t width;
  uint32_t height;
  uint32_t channels;
};

/// Functions that can fail return 0, or -1 with `error` filled.
struct JouleryImagesApi {
  uint32_t struct_size;
  uint32_t abi_version;
  int (*header)(const void* bytes, uint64_t size, JouleryImageHeader* header, JouleryDataError* error);
  /// Rows from the top, without gaps, 8 bits a channel; `capacity` is exactly what the header says.
  int (*decode)(const void* bytes, uint64_t size, uint8_t* pixels, uint64_t capacity,
                JouleryDataError* error);
};
using JouleryImagesEntry = const JouleryImagesApi*(uint32_t host_abi_version);

/// A column: `kind` 0 numbers of one type and shape, 1 texts, 2 lists of numbers whose length may change, 3
/// something that can't be read. The name is valid until the table is closed.
struct JouleryColumn {
  uint32_t struct_size;
  int32_t kind;
  int32_t type;
  uint32_t rank;
  int64_t dimensions[12];
  const char* name;
  /// What the file calls its type.
  const char* type_name;
};

/// Values of a column in the rows that were read. Numbers: `data` holds them, row after row. Texts: row i is
/// data[offsets[i]] to data[offsets[i + 1]]. Valid until the next call.
struct JouleryColumnData {
  uint32_t struct_size;
  uint32_t rank;
  int64_t dimensions[12];
  const void* data;
  uint64_t bytes;
  const uint64_t* offsets;
};

struct JouleryTablesApi {
  uint32_t struct_size;
  uint32_t abi_version;
  int (*open)(const char* path, void** table, JouleryDataError* error);
  void (*close)(void* table);
  uint64_t (*count)(void* table);
  /// 0 if there is no such column.
  int (*column)(void* table, uint32_t index, JouleryColumn* column);
  /// Which columns are read from now on. The next read begins with the first row.
  int (*select)(void* table, const uint32_t* columns, uint32_t count, JouleryDataError* error);
  /// Up to `most` rows, all of one shape; `data` has an entry a selected column. 0 rows at the end.
  int (*read)(void* table, uint64_t most, JouleryColumnData* data, uint64_t* rows, JouleryDataError* error);
  int (*rewind)(void* table, JouleryDataError* error);
};
using JouleryTablesEntry = const JouleryTablesApi*(uint32_t host_abi_version);
}
