#include "base/csv.hpp"

namespace joulery {

bool CsvReader::next(std::vector<std::string>& fields) {
  fields.clear();
  while (!rest_.empty() && (rest_.front() == '\n' || rest_.front() == '\r')) rest_.remove_prefix(1);
  if (rest_.empty()) return false;
  std::string field;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest_.size(); ++i) {
    const char c = rest_[i];
    if (quoted) {
      if (c != '"') {
        field.push_back(c);
      } else if (i + 1 < rest_.size() && rest_[i + 1] == '"') {
        field.push_back('"');
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && field.empty()) {
      quoted = true;
    } else if (c == separator_) {
      fields.push_back(std::move(field));
      field.clear();
    } else if (c == '\n') {
      break;
    } else if (c != '\r' || i + 1 >= rest_.size() || rest_[i + 1] != '\n') {
      field.push_back(c);
    }
  }
  fields.push_back(std::move(field));
  rest_.remove_prefix(i < rest_.size() ? i + 1 : i);
  return true;
}

}  // namespace joulery
