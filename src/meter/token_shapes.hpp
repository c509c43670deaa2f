#pragma once

#include <cstddef>
#include <string_view>

namespace joulery::meter {

/// Whether a word has the shape of a well-known kind of token: sk-…, ghp_…, hf_…, AKIA…, a JWT. `in_path`: it
/// is a part of a path, where only unmistakable shapes count.
bool looks_like_a_token(std::string_view value, bool in_path = false);
/// Whether a word that stands where a key may be is one: `least` or more letters and digits, such as the 40
/// of wandb. Elsewhere it may as well be a digest.
bool looks_like_a_key(std::string_view value, std::size_t least);
/// "1000:1000", "0:", "$(id -u):$(id -g)": whom a container runs as.
bool is_user_and_group(std::string_view value);

}  // namespace joulery::meter
