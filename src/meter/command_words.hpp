#pragma once

#include <string_view>

namespace joulery::meter {

bool is_flag(std::string_view word);
/// Where the user starts in curl's -ume:pw or -sSume:pw; nowhere (npos) if it is no such word.
std::size_t curl_user(std::string_view word);

/// What the words of a command so far say about the next one. Keeps views of the words that it saw.
struct Words {
  enum class Next { nothing, secret, user };
  Next next = Next::nothing;
  std::string_view secret_flag;  ///< the flag that makes the next word a secret
  bool shell = false;
  bool mysql = false;
  bool curl = false;
  bool container = false;  ///< singularity's --pwd is a folder
  bool script = false;     ///< the next word is a program text: sh -c
  bool name_follows = false;

  void see(std::string_view word);
};

}  // namespace joulery::meter
