#pragma once

#include <string>
#include <vector>

namespace joulery::onnx {

/// How bad it is: `critical` must never reach an engine, `warning` is for a person to judge, `note` is to be
/// known.
enum class Severity { note, warning, critical };

/// Something about a model that a person ought to know.
struct Finding {
  Severity severity = Severity::note;
  /// What kind it is, for programs: "external-data.location", "domain", …
  std::string rule;
  /// The place in the model, and the name of what is there.
  std::string where;
  /// What is wrong. One sentence, no full stop.
  std::string what;
  std::string hint;
};

using Findings = std::vector<Finding>;

inline bool has_critical(const Findings& findings) {
  for (const Finding& finding : findings) {
    if (finding.severity == Severity::critical) return true;
  }
  return false;
}

}  // namespace joulery::onnx
