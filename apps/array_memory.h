// Where the program's large arrays lie.
#pragma once

#include <map>
#include <memory_resource>
#include <mutex>

namespace orthoread {

/// One range of addresses, in huge pages, for everything of a MiB and more; the rest comes from operator new.
///
/// A training step asks for the same arrays in the same order each time, and only the thread that trains asks for large
/// ones. A best fit whose neighbours are merged again then gives the same addresses at every step, so the peak is that
/// of the first step, whatever the threads do, and nothing is fresh from the system, and cleared page by page, later.
/// Huge pages, because a step passes over far more memory than the processor has translations of small ones for.
class ArrayMemory : public std::pmr::memory_resource {
 public:
  /// Reserves addresses for `bytes`; memory is taken when it is first written, and then kept. If there are no addresses
  /// to be had, or none are left, large arrays come from operator new, too.
  explicit ArrayMemory(size_t bytes);
  ~ArrayMemory() override;
  ArrayMemory(const ArrayMemory&) = delete;

  /// Makes one as large as the machine's memory, for all arrays from now on, until the program ends.
  static void install();

 private:
  void* do_allocate(size_t bytes, size_t alignment) override;
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::mutex mutex_;
  char *begin_ = nullptr, *end_ = nullptr;
  std::map<char*, size_t> free_;  // no two of them adjacent
};

}  // namespace orthoread
