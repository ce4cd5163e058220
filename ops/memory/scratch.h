// Room for the arrays of a kernel inside one buffer.
#pragma once

#include "ops/simd/pack.h"

namespace orthoread::ORTHOREAD_ISA {

/// Hands out parts of a buffer, one after the other. Without a buffer it hands out null pointers and only measures: the
/// code that lays out a buffer is the code that says how large it must be.
template <typename T>
class Scratch {
 public:
  static constexpr int64_t kCacheLine = 64;

  /// Parts begin at a multiple of `boundary` bytes; with that of a single number they are packed.
  explicit Scratch(T* buffer = nullptr, int64_t boundary = kCacheLine) : next_(buffer), boundary_(boundary) {}
  static Scratch packed(T* buffer = nullptr) { return Scratch(buffer, sizeof(T)); }

  T* take(int64_t count) {
    size_ += count + boundary_ / size_of - 1;  // wherever the buffer begins
    if (next_ == nullptr) return nullptr;
    const auto past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(next_)) % boundary_;
    T* part = past > 0 ? next_ + (boundary_ - past) / size_of : next_;
    next_ = part + count;
    return part;
  }
  /// How many numbers the parts so far may need.
  int64_t size() const { return size_; }

 private:
  static constexpr int64_t size_of = sizeof(T);
  T* next_;
  int64_t boundary_, size_ = 0;
};

/// What a Layout is for: the backward keeps more of some things than the forward, and less of others.
enum class For { forward, backward };

/// How many numbers a Layout takes at most: a struct whose constructor takes its parts from the scratch.
template <class Layout, typename N, class... Args>
int64_t measure(Scratch<N> scratch, const Args&... args) {
  const Layout layout(args..., scratch);
  static_cast<void>(layout);
  return scratch.size();
}

}  // namespace orthoread::ORTHOREAD_ISA
