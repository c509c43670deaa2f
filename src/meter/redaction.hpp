#pragma once

#include <string>
#include <vector>

namespace joulery::meter {

/// The command's arguments as they may be recorded: values that look like secrets are replaced by
/// "[redacted]". Looked at, also inside scripts, strings and JSON: flags, assignments, headers and keys whose
/// name speaks of a secret (--api-key X, PGPASSWORD=X, OPENAI_KEY=X, X-API-Key:X, "password":"X"), cookies,
/// words after Bearer, Basic and Token, well-known token shapes (sk-…, ghp_…, hf_…, npm_…, AKIA…, JWTs),
/// passwords, keys and signatures in addresses, with a scheme or without, and after -u user:, the -p of
/// mysql, sshpass and `docker login`, the -a of redis-cli and the key of `wandb login`. Where it is unclear
/// where a secret ends, more is hidden rather than less. Linear in the length.
std::vector<std::string> redact_arguments(const std::vector<std::string>& arguments);

}  // namespace joulery::meter
