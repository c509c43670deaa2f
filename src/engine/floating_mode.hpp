#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace joulery::engine {

/// Sets, while it lives, whether this thread takes denormal numbers for zero, and puts back what was. Costs a
/// few nanoseconds. Elsewhere than on x86-64 and arm64 it does nothing.
class FloatingMode {
 public:
  explicit FloatingMode(bool flush_denormals) : saved_(read()) {
    write(flush_denormals ? saved_ | kFlush : saved_ & ~kFlush);
  }
  FloatingMode(const FloatingMode&) = delete;
  FloatingMode& operator=(const FloatingMode&) = delete;
  ~FloatingMode() { write(saved_); }

 private:
#if defined(__x86_64__)
  // FTZ for results, DAZ for operands.
  static constexpr std::uint64_t kFlush = 0x8040;
  static std::uint64_t read() { return _mm_getcsr(); }
  static void write(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;  // FPCR.FZ
  static std::uint64_t read() {
    std::uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void write(std::uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  static constexpr std::uint64_t kFlush = 0;
  static std::uint64_t read() { return 0; }
  static void write(std::uint64_t) {}
#endif
  std::uint64_t saved_;
};

}  // namespace joulery::engine
