#pragma once

#include <string_view>

namespace joulery::meter {

/// Whether a flag of this name takes a secret: --api-key, --db_password, accessToken. Not --max-tokens,
/// --pad-token or --password-file.
bool names_a_secret(std::string_view name);
/// The same for a variable or key, where more is one: OPENAI_KEY, SSHPASS. The flag --key is a column as
/// often as not.
bool assigns_a_secret(std::string_view name);
/// Whether the end of the name alone is one: X-API-Key, app.token; not token.server.
bool ends_in_a_secret(std::string_view name);
/// sig=, X-Amz-Signature=: who has such an address may use it.
bool signs_an_address(std::string_view name);
/// "db_password2" → "password".
std::string_view last_word(std::string_view name);
/// Words before a secret: Basic, Token, Bearer.
bool is_scheme(std::string_view word);
/// What no secret is, though its name would make it one: use_auth_token=True, "token": null, --pass 2.
bool is_harmless_value(std::string_view name, std::string_view value);

}  // namespace joulery::meter
