#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/image_options.hpp"
#include "data/label.hpp"
#include "data/tensor.hpp"

namespace joulery::data {

enum class Format : std::uint8_t { npy, npz, csv, jsonl, parquet, idx, images, raw, synthetic };
/// "npy", "npz" …
const char* format_name(Format format);
std::optional<Format> parse_format(std::string_view name);

/// An input of the model, with the shape that the model says. Its first dimension is the batch, unless the
/// samples of the data have as many dimensions as the input.
struct InputSpec {
  std::string name;
  DataType type = DataType::unknown;
  Shape shape;
  /// No dimension is the batch: made-up samples have them all.
  bool is_whole = false;
};

/// Samples that were read together. The dataset owns it; it is valid until the dataset's next call.
struct Batch {
  std::size_t count = 0;
  /// In the order of the request's inputs. The first axis is the sample, but an input without a batch
  /// dimension and a constant of known shape have the model's own shape.
  std::vector<TensorView> inputs;
  /// Empty if the data has none.
  std::vector<Label> labels;
  /// Empty if none were asked for.
  std::vector<std::string> groups;
  /// XXH3-64 of the bytes that the model gets for the sample, constants left out: equal samples have equal
  /// ids.
  std::vector<std::uint64_t> ids;
  /// Position of its first sample in the dataset.
  std::uint64_t first_index = 0;
};

struct DatasetInfo {
  std::string format;
  std::string path;
  /// Nothing if only reading to the end tells it.
  std::optional<std::uint64_t> count;
  bool has_labels = false;
  bool has_groups = false;
  /// Made up: good for speed, never for quality.
  bool synthetic = false;
  /// Of image folders, by class index.
  std::vector<std::string> class_names;
  /// What was converted or left out, such as "'x': u8 read as f32"; empty if nothing was.
  std::string note;
};

/// Samples in their order, read in batches; memory is bounded by the batch, not by the data. Not thread-safe.
class Dataset {
 public:
  Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
  virtual ~Dataset() = default;
  virtual const DatasetInfo& info() const = 0;
  /// The next samples, `most` at most and all of one shape, so that there can be fewer before the end too;
  /// count 0 at the end. One at a time if the model has an input without a batch dimension. After an error
  /// only rewind() helps.
  virtual Result<const Batch*> read(std::size_t most) = 0;
  /// The next read begins with the first sample again.
  virtual Status rewind() = 0;
};

/// A file of nothing but numbers.
struct RawOptions {
  /// Must be given.
  DataType type = DataType::unknown;
  /// Of one sample; as the model's input if not given.
  std::optional<Shape> sample;
  /// Passed over at the start.
  std::uint64_t header_bytes = 0;
  bool big_endian = false;
};

struct SyntheticOptions {
  enum class Values : std::uint8_t { uniform, normal, integers };
  std::uint64_t seed = 1;
  std::uint64_t count = 1000;
  /// Uniform in [low, high); normal with mean and deviation such that low and high are 2 deviations away;
  /// integers from low to high, both included. Whole-number inputs get integers in every case.
  Values values = Values::uniform;
  double low = 0;
  double high = 1;
  /// Stands for dimensions that the model leaves open, beside the batch.
  std::int64_t open_dimension = 1;
};

/// An input that is the same for all samples, such as a sampling rate.
struct Constant {
  std::string input;
  double value = 0;
};
/// "sr=16000".
Result<Constant> parse_constant(std::string_view text);

struct DatasetLimits {
  /// Of the inputs of one sample, as the model takes them.
  std::uint64_t sample_bytes = 1ULL << 30U;
  /// Of one row of a text format.
  std::uint64_t row_bytes = 64ULL << 20U;
};

struct DatasetRequest {
  /// A file or a folder. IDX and npy can name the labels' file too: IMAGES:LABELS.
  std::string path;
  /// Else by name and content.
  std::optional<Format> format;
  std::vector<InputSpec> inputs;
  std::vector<Constant> constants;
  /// The column of labels. Without it there are no labels, which is an error only if they are needed.
  std::string labels = "y";
  bool needs_labels = false;
  /// The column of groups; none if empty.
  std::string group;
  ImageOptions images;
  RawOptions raw;
  SyntheticOptions synthetic;
  /// Where our plug-ins are, for images and Parquet.
  std::string plugin_directory;
  DatasetLimits limits;
};

/// User error if the data can't be read as what the model takes: it names what was expected and what was
/// found. Environment error if a plug-in or memory is missing.
Result<std::unique_ptr<Dataset>> open_dataset(const DatasetRequest& request);

}  // namespace joulery::data
