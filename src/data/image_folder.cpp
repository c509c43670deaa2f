#include "data/image_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/files.hpp"
#include "base/text.hpp"
#include "data/image_plan.hpp"

namespace joulery::data {
namespace {

constexpr std::size_t kMostImageBytes = 256U << 20U;
constexpr std::size_t kMostImages = 20'000'000;

struct ImageFile {
  std::string path;
  std::int64_t class_index = 0;
};

struct Folder {
  std::vector<ImageFile> images;
  std::vector<std::string> class_names;
  std::uint64_t others = 0;
};

bool is_image_name(const std::string& path) {
  const std::string name = to_lower(path);
  return name.ends_with(".png") || name.ends_with(".jpg") || name.ends_with(".jpeg");
}

std::unexpected<Error> unreadable(const std::string& path, const std::error_code& error) {
  return user_error(fmt::format("can't list '{}': {}", printable(path), error.message()));
}

/// Images below a folder, in the order of their paths.
Status add_images(const std::string& path, std::int64_t class_index, Folder& folder) {
  std::error_code error;
  const std::size_t first = folder.images.size();
  std::filesystem::recursive_directory_iterator entries(path, error);
  for (; !error && entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
    if (!entries->is_regular_file(error)) continue;
    const std::string file = entries->path().string();
    if (!is_image_name(file)) {
      ++folder.others;
      continue;
    }
    if (folder.images.size() == kMostImages) {
      return user_error(fmt::format("'{}' has more than {} images", printable(path), kMostImages));
    }
    folder.images.push_back({.path = file, .class_index = class_index});
  }
  if (error) return unreadable(path, error);
  std::sort(folder.images.begin() + static_cast<std::ptrdiff_t>(first), folder.images.end(),
            [](const ImageFile& a, const ImageFile& b) { return a.path < b.path; });
  return {};
}

Result<Folder> list_folder(const std::string& path) {
  std::error_code error;
  std::vector<std::string> classes;
  std::vector<ImageFile> loose;
  Folder folder;
  std::filesystem::directory_iterator entries(path, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name.starts_with('.')) continue;
    if (entries->is_directory(error)) {
      classes.push_back(name);
    } else if (is_image_name(name)) {
      loose.push_back({.path = entries->path().string(), .class_index = 0});
    } else {
      ++folder.others;
    }
  }
  if (error) return unreadable(path, error);
  if (classes.empty()) {
    std::ranges::sort(loose, {}, &ImageFile::path);
    folder.images = std::move(loose);
  } else {
    folder.others += loose.size();
    std::ranges::sort(classes);
    for (const std::string& name : classes) {
      JOULERY_CHECK_OK(add_images(fmt::format("{}/{}", path, name),
                                  static_cast<std::int64_t>(folder.class_names.size()), folder));
      folder.class_names.push_back(name);
    }
  }
  if (!folder.images.empty()) return folder;
  return user_error(fmt::format("'{}' holds no images", printable(path)),
                    "images are PNG or JPEG files, in a sub-folder for each class");
}

class ImageTable final : public Table {
 public:
  ImageTable(Folder folder, ImageDecoder decoder, ImagePlan plan)
      : folder_(std::move(folder)), decoder_(std::move(decoder)), plan_(std::move(plan)) {}

  Status open(const std::string& label_name) {
    JOULERY_ASSIGN(const std::string bytes, read_file(folder_.images.front().path, kMostImageBytes));
    const auto header = decoder_.header(std::as_bytes(std::span(bytes)), plan_.options().most_pixels);
    if (!header) return in_file(folder_.images.front(), header.error());
    const auto sample = plan_.sample_shape(header->size);
    if (!sample) return in_file(folder_.images.front(), sample.error());
    columns_.push_back({.name = "x", .kind = Column::Kind::numbers, .type = plan_.type(), .sample = *sample});
    if (!folder_.class_names.empty()) {
      columns_.push_back({.name = label_name,
                          .kind = Column::Kind::texts,
                          .type = DataType::unknown,
                          .sample = {},
                          .is_numeric = false});
    }
    return {};
  }

  Format format() const override { return Format::images; }
  std::span<const Column> columns() const override { return columns_; }
  std::optional<std::uint64_t> count() const override { return folder_.images.size(); }
  std::vector<std::string> class_names() const override { return folder_.class_names; }
  bool is_unnamed() const override { return true; }
  std::string note() const override {
    std::string note = plan_.note();
    if (folder_.others > 0) {
      note += fmt::format("{}{} passed over that are no image of a class", note.empty() ? "" : "; ",
                          format_count(static_cast<double>(folder_.others), "files"));
    }
    return note;
  }

  Status select(std::span<const Selection> selections) override {
    selections_.assign(selections.begin(), selections.end());
    return rewind();
  }
  Status rewind() override {
    at_ = 0;
    pending_.reset();
    return {};
  }

  Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) override {
    for (Chunk& chunk : chunks) {
      chunk.type = plan_.type();
      chunk.bytes.clear();
      chunk.labels.clear();
    }
    std::optional<Shape> common;
    std::size_t count = 0;
    for (; count < most && at_ < folder_.images.size(); ++count, ++at_) {
      const ImageFile& file = folder_.images[at_];
      if (!pending_) {
        JOULERY_ASSIGN(pending_, decode(file));
      }
      const auto shape = plan_.sample_shape(pending_->size);
      if (!shape) return in_file(file, shape.error());
      if (common && !(*common == *shape)) break;
      common = *shape;
      for (std::size_t i = 0; i < selections_.size(); ++i) {
        if (selections_[i].as_label) {
          chunks[i].labels.emplace_back(file.class_index);
          continue;
        }
        chunks[i].sample = *shape;
        JOULERY_CHECK_OK(plan_.append(*pending_, chunks[i].bytes));
      }
      pending_.reset();
    }
    return count;
  }

 private:
  static std::unexpected<Error> in_file(const ImageFile& file, const Error& error) {
    Error named = error;
    named.message = fmt::format("'{}': {}", printable(file.path), error.message);
    return std::unexpected(std::move(named));
  }

  Result<Image> decode(const ImageFile& file) const {
    JOULERY_ASSIGN(const std::string bytes, read_file(file.path, kMostImageBytes));
    auto image = decoder_.decode(std::as_bytes(std::span(bytes)), plan_.options().most_pixels);
    if (!image) return in_file(file, image.error());
    return image;
  }

  Folder folder_;
  ImageDecoder decoder_;
  ImagePlan plan_;
  std::vector<Column> columns_;
  std::vector<Selection> selections_;
  std::size_t at_ = 0;
  /// Decoded, but of another shape than those before it.
  std::optional<Image> pending_;
};

}  // namespace

Result<std::unique_ptr<Table>> open_image_folder(const std::string& path, const DatasetRequest& request) {
  std::vector<const InputSpec*> inputs;
  for (const InputSpec& spec : request.inputs) {
    const bool is_constant =
        std::ranges::find(request.constants, spec.name, &Constant::input) != request.constants.end();
    if (!is_constant) inputs.push_back(&spec);
  }
  if (inputs.size() != 1) {
    return user_error(fmt::format("images are for a model with one input, but this has {}", inputs.size()),
                      "give the other inputs as constants, or all of them as npz");
  }
  JOULERY_ASSIGN(ImagePlan plan, ImagePlan::create(*inputs.front(), request.images));
  JOULERY_ASSIGN(Folder folder, list_folder(path));
  JOULERY_ASSIGN(ImageDecoder decoder, ImageDecoder::open(request.plugin_directory));
  auto table = std::make_unique<ImageTable>(std::move(folder), std::move(decoder), std::move(plan));
  JOULERY_CHECK_OK(table->open(request.labels));
  return table;
}

}  // namespace joulery::data
