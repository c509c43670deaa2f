#include "record/model.hpp"

#include <array>
#include <utility>

namespace joulery::record {
namespace {

constexpr std::array<std::pair<RunStatus, const char*>, 5> kNames{{{RunStatus::running, "RUNNING"},
                                                                   {RunStatus::scheduled, "SCHEDULED"},
                                                                   {RunStatus::finished, "FINISHED"},
                                                                   {RunStatus::failed, "FAILED"},
                                                                   {RunStatus::killed, "KILLED"}}};

}  // namespace

const char* run_status_name(RunStatus status) {
  for (const auto& [known, name] : kNames) {
    if (known == status) return name;
  }
  return "RUNNING";
}

std::optional<RunStatus> run_status_from_name(const std::string& name) {
  for (const auto& [status, known] : kNames) {
    if (name == known) return status;
  }
  return std::nullopt;
}

}  // namespace joulery::record
