#include "apps/array_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <iterator>

namespace orthoread {
namespace {

constexpr size_t kLarge = size_t{1} << 20, kHugePage = size_t{2} << 20;

/// Bytes to reserve for an array, with an odd number of cache lines to spare. Otherwise arrays would often begin at the
/// same offset within a page, and arrays that are read together would evict each other from the L1 cache.
size_t room(size_t bytes) {
  constexpr size_t kLine = 64, kOddLines = 5;
  return (bytes + kLine - 1) / kLine * kLine + kOddLines * kLine;
}

}  // namespace

ArrayMemory::ArrayMemory(size_t bytes) {
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* range =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return;
  begin_ = static_cast<char*>(range);
  end_ = begin_ + bytes + kHugePage;
  const size_t before = (kHugePage - reinterpret_cast<size_t>(range) % kHugePage) % kHugePage;
#ifdef MADV_HUGEPAGE
  madvise(begin_ + before, bytes, MADV_HUGEPAGE);  // a hint: the kernel may use small pages
#endif
  free_[begin_ + before] = bytes;
}

ArrayMemory::~ArrayMemory() {
  if (begin_ != nullptr) munmap(begin_, static_cast<size_t>(end_ - begin_));
}

void ArrayMemory::install() {
  const size_t bytes = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
  static auto* const memory = new ArrayMemory(bytes);  // never deleted: arrays may live as long as the program
  std::pmr::set_default_resource(memory);
}

void* ArrayMemory::do_allocate(size_t bytes, size_t alignment) {
  if (bytes >= kLarge) {
    const size_t wanted = room(bytes);
    const std::lock_guard lock(mutex_);
    auto best = free_.end();
    for (auto at = free_.begin(); at != free_.end(); ++at) {
      if (at->second >= wanted && (best == free_.end() || at->second < best->second)) best = at;
    }
    if (best != free_.end()) {
      const auto [place, size] = *best;
      free_.erase(best);
      if (size > wanted) free_[place + wanted] = size - wanted;
      return place;
    }
  }
  return std::pmr::new_delete_resource()->allocate(bytes, alignment);
}

void ArrayMemory::do_deallocate(void* p, size_t bytes, size_t alignment) {
  auto* place = static_cast<char*>(p);
  if (!(begin_ <= place && place < end_)) return std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  const std::lock_guard lock(mutex_);
  auto at = free_.emplace(place, room(bytes)).first;
  const auto merge_with_next = [this](auto block) {
    const auto next = std::next(block);
    if (next == free_.end() || block->first + block->second != next->first) return;
    block->second += next->second;
    free_.erase(next);
  };
  merge_with_next(at);
  if (at != free_.begin()) merge_with_next(std::prev(at));
}

}  // namespace orthoread
