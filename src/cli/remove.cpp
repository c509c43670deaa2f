#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/named_runs.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

constexpr std::int64_t kNanosecondsPerDay = 86'400 * kNanosecondsPerSecond;

class MarkRuns final : public record::Store::TransactionBody {
 public:
  MarkRuns(const std::vector<std::string>& names, bool restore) : names_(names), restore_(restore) {}
  Status run(record::Store& store) override {
    // All before the first is marked: "last" would be another run after that.
    JOULERY_ASSIGN(const auto runs, app::find_named_runs(store, names_, app::SharedName::refused));
    for (const record::Run& found : runs) {
      if (found.deleted != restore_) {
        unchanged_ids_.push_back(found.id);
        text_ += fmt::format("note: {} ({}) {}\n", found.id, printable(found.name),
                             restore_ ? "was not deleted" : "was deleted before");
        continue;
      }
      JOULERY_CHECK_OK(restore_ ? store.restore_run(found.id) : store.delete_run(found.id));
      ids_.push_back(found.id);
      text_ +=
          fmt::format("{} {} ({})\n", restore_ ? "restored" : "deleted", found.id, printable(found.name));
    }
    if (!restore_ && !ids_.empty()) {
      text_ += fmt::format("until `joulery gc`, this brings {} back: joulery rm --restore {}\n",
                           ids_.size() == 1 ? "it" : "them", fmt::join(ids_, " "));
    }
    return {};
  }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& ids() const { return ids_; }
  const std::vector<std::string>& unchanged_ids() const { return unchanged_ids_; }

 private:
  const std::vector<std::string>& names_;
  bool restore_;
  std::string text_;
  std::vector<std::string> ids_;
  std::vector<std::string> unchanged_ids_;
};

}  // namespace

VerbResult remove_verb(app::Application& application, const Arguments& arguments) {
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_write));
  MarkRuns mark(arguments.operands, arguments.has("restore"));
  JOULERY_CHECK_OK(store->transaction(mark));
  if (arguments.has("json")) {
    const nlohmann::ordered_json document = {{"schema_version", 1},
                                             {"restored", arguments.has("restore")},
                                             {"run_ids", mark.ids()},
                                             {"unchanged_run_ids", mark.unchanged_ids()}};
    JOULERY_CHECK_OK(print(Stream::out, document.dump(2) + "\n"));
  } else {
    JOULERY_CHECK_OK(print(Stream::err, mark.text()));
  }
  return kExitOk;
}

VerbResult gc_verb(app::Application& application, const Arguments& arguments) {
  JOULERY_ASSIGN(const int days, arguments.integer("older-than", 0, 0, 36500));
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_write));
  JOULERY_ASSIGN(const record::GcResult removed,
                 store->gc(application.clock().realtime_ns() - days * kNanosecondsPerDay));
  if (arguments.has("json")) {
    const nlohmann::ordered_json document = {{"schema_version", 1},
                                             {"runs", removed.runs},
                                             {"experiments", removed.experiments},
                                             {"bytes_freed", removed.bytes_freed}};
    JOULERY_CHECK_OK(print(Stream::out, document.dump(2) + "\n"));
  } else {
    JOULERY_CHECK_OK(print(
        Stream::err, fmt::format("removed {} and {}, {} freed\n", format_count(double(removed.runs), "runs"),
                                 format_count(double(removed.experiments), "experiments"),
                                 format_bytes(double(removed.bytes_freed)))));
  }
  return kExitOk;
}

}  // namespace joulery::cli
