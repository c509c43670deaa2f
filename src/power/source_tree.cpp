#include "power/source_tree.hpp"

#include <algorithm>
#include <string>

namespace joulery::power {
namespace {

using Sources = std::vector<std::unique_ptr<Source>>;

const SourceInfo* find(const Sources& sources, const std::string& id) {
  const auto found = std::find_if(sources.begin(), sources.end(),
                                  [&](const auto& source) { return source->info().device_id == id; });
  return found == sources.end() ? nullptr : &(*found)->info();
}

/// Those of a scope that count, in order.
std::vector<const SourceInfo*> all_of_scope(const Sources& sources, Scope scope) {
  std::vector<const SourceInfo*> found;
  for (const auto& source : sources) {
    const SourceInfo& info = source->info();
    if (info.scope == scope && !info.reported_only && is_sensed(info)) found.push_back(&info);
  }
  return found;
}

/// What contains a source that does not say so itself, from inside out; empty if nothing does.
class Containers {
 public:
  Containers(const Sources& sources, bool portable) : portable_(portable) {
    for (const SourceInfo* board : all_of_scope(sources, Scope::board)) {
      // Rails are parts of boards and contain nothing but what names them.
      if (board->device_id.starts_with("grace:module-")) modules_.push_back(board);
      if (board->device_id.ends_with(":module")) told_by_cards_.push_back(board);
      if (board->device_id == "board:input") board_ = board;
    }
    for (const SourceInfo* wall : all_of_scope(sources, Scope::wall)) {
      const SourceInfo*& first = wall->is_supply ? supply_ : machine_;
      if (first == nullptr) first = wall;
    }
    const auto platforms = all_of_scope(sources, Scope::psys);
    if (!platforms.empty()) psys_ = platforms.front();
    for (const SourceInfo* card : all_of_scope(sources, Scope::gpu)) {
      if (find(sources, card->parent_id) == nullptr) cards_.push_back(card);
    }
  }

  std::string of(const SourceInfo& info) const {
    if (info.reported_only || !is_sensed(info)) return {};
    if (info.scope == Scope::wall) return info.is_supply && machine_ ? machine_->device_id : std::string();
    if (const SourceInfo* module = module_of(info)) return module->device_id;
    if (psys_ != nullptr && is_in_psys(info)) return psys_->device_id;
    if (board_ != nullptr && board_ != &info) return board_->device_id;
    // Of several power supplies, none has all; the first stands for them.
    const SourceInfo* wall = supply_ != nullptr ? supply_ : machine_;
    return wall != nullptr ? wall->device_id : std::string();
  }

 private:
  bool is_in_psys(const SourceInfo& info) const {
    switch (info.scope) {
      case Scope::package:
      case Scope::die:
      case Scope::core:
      case Scope::uncore:
      case Scope::dram:
        return true;
      case Scope::gpu:
        return portable_;
      default:
        return false;
    }
  }
  /// Superchips, of CPU and cards. A module may be told twice, by the firmware and by its card: the card's is
  /// then above. Cards are spread evenly over the modules, in order; of CPUs that do not say where they are
  /// it does not matter which holds which, the sum is the same.
  const SourceInfo* module_of(const SourceInfo& info) const {
    switch (info.scope) {
      case Scope::board:
        return spread(modules_, info, told_by_cards_);
      case Scope::gpu:
        return spread(cards_, info, modules_);
      case Scope::package:
      case Scope::die:
      case Scope::dram:
        return !modules_.empty()        ? modules_.front()
               : told_by_cards_.empty() ? nullptr
                                        : told_by_cards_.front();
      default:
        return nullptr;
    }
  }
  static const SourceInfo* spread(const std::vector<const SourceInfo*>& parts, const SourceInfo& part,
                                  const std::vector<const SourceInfo*>& wholes) {
    const auto place = std::find(parts.begin(), parts.end(), &part);
    if (wholes.empty() || place == parts.end() || parts.size() % wholes.size() != 0) return nullptr;
    const auto each = parts.size() / wholes.size();
    return wholes[static_cast<std::size_t>(place - parts.begin()) / each];
  }

  bool portable_;
  std::vector<const SourceInfo*> modules_;
  std::vector<const SourceInfo*> told_by_cards_;
  std::vector<const SourceInfo*> cards_;
  const SourceInfo* board_ = nullptr;
  /// A meter of the whole machine, and the first of its power supplies.
  const SourceInfo* machine_ = nullptr;
  const SourceInfo* supply_ = nullptr;
  const SourceInfo* psys_ = nullptr;
};

}  // namespace

bool is_sensed(const SourceInfo& info) {
  return info.provenance == Provenance::measured || info.provenance == Provenance::derived;
}

void link_sources(const Sources& sources, bool portable) {
  const Containers containers(sources, portable);
  for (const auto& source : sources) {
    SourceInfo* info = source->edit_info();
    if (info == nullptr || find(sources, info->parent_id) != nullptr) continue;
    info->parent_id = containers.of(*info);
  }
}

}  // namespace joulery::power
