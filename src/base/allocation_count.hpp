#pragma once

// For tests: counts every operator new of the program. Include it in one file of a test program only.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

// A sanitizer brings an allocator of its own, and pairs its kinds of new and delete.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define JOULERY_SANITIZED 1
#endif
#endif

namespace joulery {

#ifdef JOULERY_SANITIZED
constexpr bool kAllocationsAreCounted = false;
#else
constexpr bool kAllocationsAreCounted = true;
#endif

// operator new has nowhere else to count.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
inline std::atomic<std::uint64_t> allocation_count{0};

}  // namespace joulery

#ifndef JOULERY_SANITIZED
void* operator new(std::size_t size) {
  ++joulery::allocation_count;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif
