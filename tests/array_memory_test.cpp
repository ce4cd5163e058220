#include "apps/array_memory.h"

#include "tests/support.h"

#include <vector>

using namespace orthoread;

namespace {

constexpr size_t kMiB = size_t{1} << 20;

}  // namespace

TEST_CASE("array memory: a freed block is reused, merged with its neighbours") {
  ArrayMemory memory(64 * kMiB);
  void* const a = memory.allocate(20 * kMiB, 64);
  void* const b = memory.allocate(5 * kMiB, 64);
  void* const c = memory.allocate(10 * kMiB, 64);
  memory.deallocate(a, 20 * kMiB, 64);
  memory.deallocate(c, 10 * kMiB, 64);
  CHECK(memory.allocate(6 * kMiB, 64) == a);  // the best fit, not the rest of the range behind b
  memory.deallocate(a, 6 * kMiB, 64);
  memory.deallocate(b, 5 * kMiB, 64);
  CHECK(memory.allocate(60 * kMiB, 64) == a);  // the whole range in one piece
}

TEST_CASE("array memory: every array is aligned, writable and overlaps no other") {
  ArrayMemory memory(32 * kMiB);
  std::vector<char*> blocks;
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, kMiB, kMiB + 1, 3 * kMiB, 40 * kMiB}) {
    auto* block = static_cast<char*>(memory.allocate(bytes, 64));  // the last one does not fit: from operator new
    CHECK(reinterpret_cast<size_t>(block) % 64 == 0);
    for (size_t i = 0; i < bytes; i += 64) block[i] = static_cast<char>(blocks.size());
    blocks.push_back(block);
  }
  size_t i = 0;
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, kMiB, kMiB + 1, 3 * kMiB, 40 * kMiB}) {
    for (size_t at = 0; at < bytes; at += 64) CHECK_MESSAGE(blocks[i][at] == static_cast<char>(i), at);
    memory.deallocate(blocks[i++], bytes, 64);
  }
}

TEST_CASE("array memory: arrays allocate from the default resource and return their memory") {
  ArrayMemory memory(16 * kMiB);
  std::pmr::memory_resource* const before = std::pmr::set_default_resource(&memory);
  const float* first = nullptr;
  for (int i = 0; i < 3; ++i) {
    const Array<float> x({1024, 1024}), y = x;
    if (i == 0) first = x.data();
    CHECK(x.data() == first);
  }
  std::pmr::set_default_resource(before);
  CHECK(Array<float>({1024, 1024}).data() != first);
}
