#pragma once

#include <fmt/format.h>

#include <utility>

#include "onnx/finding.hpp"

namespace joulery::onnx {

/// Collects findings, no more than a person reads: a hostile model could have millions.
class FindingList {
 public:
  void critical(std::string rule, std::string where, std::string what, std::string hint = {}) {
    add({Severity::critical, std::move(rule), std::move(where), std::move(what), std::move(hint)});
  }
  void warning(std::string rule, std::string where, std::string what, std::string hint = {}) {
    add({Severity::warning, std::move(rule), std::move(where), std::move(what), std::move(hint)});
  }
  void note(std::string rule, std::string where, std::string what, std::string hint = {}) {
    add({Severity::note, std::move(rule), std::move(where), std::move(what), std::move(hint)});
  }
  Findings take() {
    for (const std::size_t severity : {2, 1, 0}) {
      if (left_out_[severity] == 0) continue;
      findings_.push_back(
          {static_cast<Severity>(severity), "more", "model",
           fmt::format("{} more findings of this severity are not listed", left_out_[severity]), ""});
    }
    return std::move(findings_);
  }

 private:
  static constexpr std::size_t kMost = 100;
  void add(Finding finding) {
    const auto severity = static_cast<std::size_t>(finding.severity);
    if (kept_[severity] < kMost) {
      ++kept_[severity];
      findings_.push_back(std::move(finding));
    } else {
      ++left_out_[severity];
    }
  }
  Findings findings_;
  std::size_t kept_[3] = {0, 0, 0};
  std::size_t left_out_[3] = {0, 0, 0};
};

}  // namespace joulery::onnx
