#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/files.hpp"
#include "cli/help.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

/// Starts `man -l -` with `page` as its input and waits for it. False if there is none that could show it.
bool show_with_man(const std::string& page, char** environment) {
  // A file and not a pipe: whoever leaves the pager early would leave us with half of the page unwritten.
  const int file = ::memfd_create("joulery.1", MFD_CLOEXEC);
  if (file < 0) return false;
  bool shown = false;
  if (write_all(file, page) && ::lseek(file, 0, SEEK_SET) == 0) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO);
    ::posix_spawnattr_init(&attributes);
    sigset_t usual;
    ::sigemptyset(&usual);
    for (const int signal : {SIGINT, SIGQUIT, SIGPIPE, SIGXFSZ}) ::sigaddset(&usual, signal);
    ::posix_spawnattr_setsigdefault(&attributes, &usual);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    // Ctrl-C in a pager is for the pager.
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGQUIT, SIG_IGN);
    std::string words[] = {"man", "-l", "-"};
    char* const arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t child = 0;
    if (::posix_spawnp(&child, "man", &actions, &attributes, arguments, environment) == 0) {
      int status = 0;
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      shown = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ::close(file);
  return shown;
}

}  // namespace

VerbResult man_verb(char** environment) {
  const std::string page = manual_page(app::version());
  if (!is_terminal(Stream::out)) {
    JOULERY_CHECK_OK(print(Stream::out, page));
  } else if (!show_with_man(page, environment)) {
    JOULERY_CHECK_OK(print(Stream::out, manual_text(app::version(), text_width(Stream::out))));
  }
  return kExitOk;
}

}  // namespace joulery::cli
