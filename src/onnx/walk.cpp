#include "onnx/walk.hpp"

#include <fmt/format.h>

namespace joulery::onnx {

std::string Place::text() const {
  std::string text = parent != nullptr ? parent->text() + "." : "";
  text += name;
  if (index >= 0) text += fmt::format("[{}]", index);
  return text;
}

}  // namespace joulery::onnx
