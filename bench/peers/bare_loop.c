// The least that any meter must do: reads the same files at a given rate, on schedule, and does nothing else.
//
//   bare_loop HZ SECONDS FILE...
//
// Prints {"samples": N, "duration_seconds": S, "bytes": B} when it ends.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { kMostFiles = 16, kBufferSize = 65536, kNanosecondsPerSecond = 1000000000 };

static int64_t now_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * kNanosecondsPerSecond + now.tv_nsec;
}

static void sleep_until(int64_t when) {
  const struct timespec time = {.tv_sec = when / kNanosecondsPerSecond,
                                .tv_nsec = when % kNanosecondsPerSecond};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {
  }
}

int main(int argc, char** argv) {
  if (argc < 4 || argc > 3 + kMostFiles) {
    fprintf(stderr, "usage: %s HZ SECONDS FILE... (at most %d files)\n", argv[0], kMostFiles);
    return 2;
  }
  const double hertz = atof(argv[1]);
  const double seconds = atof(argv[2]);
  if (hertz <= 0 || seconds <= 0) {
    fprintf(stderr, "%s: HZ and SECONDS must be above 0\n", argv[0]);
    return 2;
  }
  const int count = argc - 3;
  int files[kMostFiles];
  for (int i = 0; i < count; ++i) {
    files[i] = open(argv[3 + i], O_RDONLY | O_CLOEXEC);
    if (files[i] < 0) {
      perror(argv[3 + i]);
      return 3;
    }
  }
  static char buffer[kBufferSize];
  int64_t samples = 0;
  int64_t bytes = 0;
  const int64_t start = now_nanoseconds();
  const int64_t end = start + (int64_t)(seconds * kNanosecondsPerSecond);
  for (int64_t due = start; due < end;
       due = start + (int64_t)((double)samples * kNanosecondsPerSecond / hertz)) {
    sleep_until(due);
    for (int i = 0; i < count; ++i) {
      const ssize_t got = pread(files[i], buffer, sizeof buffer, 0);
      if (got > 0) bytes += got;
    }
    ++samples;
  }
  sleep_until(end);
  printf("{\"samples\": %lld, \"duration_seconds\": %.6f, \"bytes\": %lld}\n", (long long)samples,
         (double)(now_nanoseconds() - start) / kNanosecondsPerSecond, (long long)bytes);
  return 0;
}
