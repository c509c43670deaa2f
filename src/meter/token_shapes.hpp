#pragma once

#include <string_view>

namespace joulery::meter {

/// Whether a word has the shape of a well-known kind of token: sk-…, ghp_…, hf_…, AKIA…, a JWT. `in_path`: it
/// is a part of a path, where only unmistakable shapes count.
bool looks_like_a_token(std::string_view value, bool in_path = false);
/// "1000:1000", "0:", "$(id -u):$(id -g)": whom a container runs as.
bool is_user_and_group(std::string_view value);

}  // namespace joulery::meter
