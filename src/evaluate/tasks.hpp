#pragma once

#include <memory>
#include <span>

#include "evaluate/task.hpp"

/// What TaskScorer::create() chooses from; each refuses outputs and options that do not fit it.
namespace joulery::evaluate {

using NewScorer = Result<std::unique_ptr<TaskScorer>>;
NewScorer create_classify(const TaskOptions& options, std::span<const engine::Port> outputs);
NewScorer create_regress(const TaskOptions& options, std::span<const engine::Port> outputs);
NewScorer create_embed(const TaskOptions& options, std::span<const engine::Port> outputs);
NewScorer create_detect(const TaskOptions& options, std::span<const engine::Port> outputs);
NewScorer create_ctc(const TaskOptions& options, std::span<const engine::Port> outputs);
NewScorer create_agree(const TaskOptions& options, std::span<const engine::Port> outputs);

}  // namespace joulery::evaluate
