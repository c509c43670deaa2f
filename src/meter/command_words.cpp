#include "meter/command_words.hpp"

#include <algorithm>
#include <array>

#include "meter/characters.hpp"
#include "meter/secret_names.hpp"

namespace joulery::meter {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;
constexpr std::array kShells =
    std::to_array<std::string_view>({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "su"});
constexpr std::array kMysqlPrograms =
    std::to_array<std::string_view>({"mysql", "mysqldump", "mariadb", "mariadb-dump"});
/// Their `login` takes -p PASSWORD.
constexpr std::array kLoginPrograms = std::to_array<std::string_view>(
    {"docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane", "az", "oc"});

}  // namespace

bool is_flag(std::string_view word) {
  return word.starts_with("--") || (word.size() == 2 && word.front() == '-');
}

std::size_t curl_value(std::string_view word, char flag) {
  if (!word.starts_with('-') || word.starts_with("--")) return kNowhere;
  const auto found = word.find_first_not_of("sSfLkvigGIjnNqaRJlOZ0123456#", 1);
  return found != kNowhere && word[found] == flag ? found + 1 : kNowhere;
}

void Words::see(std::string_view word) {
  const bool is_name = std::all_of(word.begin(), word.end(), is_token_character);
  const bool flag = word.starts_with('-') && is_name;
  const bool switched_off = word.starts_with("--no-") || word.starts_with("--skip-");
  next = Next::nothing;
  if (flag && !switched_off && names_a_secret(word) && !(container && word == "--pwd")) {
    next = Next::secret;
    secret_flag = word;
  } else if (word == "-u" || word == "-U" || word == "--user" || word == "--proxy-user" ||
             (curl && curl_value(word, 'u') == word.size())) {
    next = Next::user;
  } else if (curl && curl_value(word, 'b') == word.size()) {
    next = Next::cookie;
  } else if (!password_flag.empty() && word == password_flag) {
    next = Next::secret;
    secret_flag = word;
    password_flag = {};
  }
  script = shell && flag && !word.starts_with("--") && word.ends_with('c');
  const auto slash = word.rfind('/');
  const std::string_view program = slash == kNowhere ? word : word.substr(slash + 1);
  if (!name_follows) mysql = mysql || is_one_of(kMysqlPrograms, program);
  curl = curl || program == "curl";
  container = container || program == "singularity" || program == "apptainer";
  shell = shell || is_one_of(kShells, program) || program.starts_with("python");
  if (!name_follows) {
    wandb = wandb || program == "wandb";
    login_program = login_program || is_one_of(kLoginPrograms, program);
    if (program == "sshpass") password_flag = "-p";
    if (program == "redis-cli") password_flag = "-a";
  }
  if (word == "login" && (wandb || login_program)) {
    logs_in = true;
    if (login_program) password_flag = "-p";
  }
  name_follows = word == "--name" || word == "--host" || word == "-h";
}

}  // namespace joulery::meter
