#pragma once

#include <string>

namespace joulery::cli {

/// Completions for "bash", "zsh" or "fish", made from the flag table. They ask `joulery complete` for what is
/// in the store.
std::string completion_script(const std::string& shell);

}  // namespace joulery::cli
