#include "onnx/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/text.hpp"

namespace joulery::onnx {
namespace {

class Mapping {
 public:
  Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(address_, size_); }

 private:
  void* address_;
  std::size_t size_;
};

}  // namespace

Result<SharedBytes> map_descriptor(int descriptor, std::uint64_t size, std::string_view name) {
  if (size == 0) return SharedBytes();
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) {
    return environment_error(fmt::format("can't map '{}': {}", printable(name), errno_text(errno)));
  }
  auto owner = std::make_shared<const Mapping>(address, size);
  return SharedBytes(std::move(owner), {static_cast<const std::uint8_t*>(address), size});
}

Result<SharedBytes> map_file(const std::string& path, std::uint64_t limit) {
  // A pipe must not make us wait.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid())
    return user_error(fmt::format("can't open '{}': {}", printable(path), errno_text(errno)));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return user_error(fmt::format("'{}' is not a regular file", printable(path)),
                      S_ISDIR(info.st_mode) ? "name the .onnx file in it" : "");
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > limit) {
    return user_error(fmt::format("'{}' has {}, more than the limit of {}", printable(path),
                                  format_bytes(double(size)), format_bytes(double(limit))));
  }
  return map_descriptor(file.get(), size, path);
}

}  // namespace joulery::onnx
