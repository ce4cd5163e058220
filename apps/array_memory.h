// An allocator for the program's large arrays.
#pragma once

#include <map>
#include <memory_resource>
#include <mutex>

namespace orthoread {

/// One range of addresses, in huge pages, for every allocation of 1 MiB or more. Smaller ones use operator new.
///
/// Every training step allocates the same arrays in the same order, and only the training thread allocates large ones.
/// Best fit, with free neighbours merged, then returns the same addresses at every step. So the first step sets the
/// peak, for any number of threads, and no later step needs fresh pages, which the system would have to clear.
/// Huge pages, because a step touches far more memory than the TLB covers with small ones.
class ArrayMemory : public std::pmr::memory_resource {
 public:
  /// Reserves `bytes` of addresses. Pages are taken when they are first written, and then kept. Without a free address
  /// range, large arrays come from operator new, too.
  explicit ArrayMemory(size_t bytes);
  ~ArrayMemory() override;
  ArrayMemory(const ArrayMemory&) = delete;

  /// All arrays from now on use one that is as large as the machine's memory.
  static void install();

 private:
  void* do_allocate(size_t bytes, size_t alignment) override;
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::mutex mutex_;
  char *begin_ = nullptr, *end_ = nullptr;
  std::map<char*, size_t> free_;  // start and size; no two blocks are adjacent
};

}  // namespace orthoread
