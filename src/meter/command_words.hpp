#pragma once

#include <string_view>

namespace joulery::meter {

bool is_flag(std::string_view word);
/// Where the value starts in curl's -ume:pw or -sSume:pw (`flag` is 'u'); nowhere (npos) if it is no such
/// word.
std::size_t curl_value(std::string_view word, char flag);

/// What the words of a command so far say about the next one. Keeps views of the words that it saw.
struct Words {
  enum class Next { nothing, secret, user, cookie };
  Next next = Next::nothing;
  std::string_view secret_flag;  ///< the flag that makes the next word a secret
  bool shell = false;
  bool mysql = false;
  bool curl = false;
  bool container = false;  ///< singularity's --pwd is a folder
  bool script = false;     ///< the next word is a program text: sh -c
  bool name_follows = false;
  bool logs_in = false;  ///< behind `docker login`, `wandb login`
  bool wandb = false;    ///< `wandb login` takes its key as a plain word
  bool login_program = false;
  std::string_view password_flag;  ///< of sshpass and the like, until it was seen

  void see(std::string_view word);
};

}  // namespace joulery::meter
