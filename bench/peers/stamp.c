// Writes the time of CLOCK_MONOTONIC at the start of main, in nanoseconds, to the file that is named, and
// ends.
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (argc != 2) return 2;
  char text[32];
  const int length = snprintf(text, sizeof text, "%lld", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
  const int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0) return 3;
  return write(file, text, (size_t)length) == length ? 0 : 3;
}
