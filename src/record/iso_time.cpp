#include "record/iso_time.hpp"

#include <chrono>

namespace joulery::record {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Reads a text from left to right; the first thing that is missing ends it.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  /// Exactly so many digits, at most `most` as a number.
  int number(int digits, int most) {
    int value = 0;
    for (int i = 0; i < digits; ++i) {
      if (text_.empty() || !is_digit(text_.front())) return fail();
      value = value * 10 + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    return value <= most ? value : fail();
  }
  void expect(char c) {
    if (!take(c)) ok_ = false;
  }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// Milliseconds of the digits behind a decimal point; finer ones are cut off.
  int milliseconds() {
    int value = 0;
    int digits = 0;
    for (; !text_.empty() && is_digit(text_.front()); ++digits, text_.remove_prefix(1)) {
      if (digits < 3) value = value * 10 + (text_.front() - '0');
    }
    for (int i = digits; i < 3; ++i) value *= 10;
    return digits > 0 && digits <= 9 ? value : fail();
  }
  bool at_end() const { return text_.empty(); }
  bool ok() const { return ok_; }

 private:
  int fail() {
    ok_ = false;
    return 0;
  }
  std::string_view text_;
  bool ok_ = true;
};

constexpr int kMostOffsetHours = 23;

}  // namespace

std::optional<std::int64_t> parse_iso_time_ms(std::string_view text) {
  namespace chrono = std::chrono;
  Scanner in(text);
  const int year = in.number(4, 9999);
  in.expect('-');
  const int month = in.number(2, 12);
  in.expect('-');
  const int day = in.number(2, 31);
  const chrono::year_month_day date{chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  if (!in.ok() || !date.ok() || year < 1970) return std::nullopt;
  chrono::milliseconds time = chrono::sys_days(date).time_since_epoch();
  if (in.at_end()) return time.count();
  if (!in.take('T') && !in.take('t')) in.expect(' ');
  time += chrono::hours(in.number(2, 23));
  in.expect(':');
  time += chrono::minutes(in.number(2, 59));
  if (in.take(':')) {
    // A leap second counts as the first of the next minute.
    time += chrono::seconds(in.number(2, 60));
    if (in.take('.')) time += chrono::milliseconds(in.milliseconds());
  }
  if (!in.take('Z') && !in.take('z') && !in.at_end()) {
    const bool east = in.take('+');
    if (!east) in.expect('-');
    chrono::minutes offset = chrono::hours(in.number(2, kMostOffsetHours));
    in.take(':');
    offset += chrono::minutes(in.number(2, 59));
    time -= east ? offset : -offset;
  }
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return time.count();
}

bool is_iso_date(std::string_view text) {
  constexpr std::size_t kDateBytes = 10;
  return text.size() == kDateBytes && parse_iso_time_ms(text).has_value();
}

}  // namespace joulery::record
