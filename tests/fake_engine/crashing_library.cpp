// A library that takes down whoever loads it.
#include <signal.h>
#include <unistd.h>

namespace {

__attribute__((constructor)) void crash() {
  static_cast<void>(!::write(STDERR_FILENO, "loading failed badly\n", 21));
  ::raise(SIGSEGV);
}

}  // namespace
