#include "core/parallel.h"

#include "tests/support.h"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

using namespace orthoread;

namespace {

/// Restores the number of threads at the end.
struct KeepThreads {
  KeepThreads() = default;
  KeepThreads(const KeepThreads&) = delete;
  KeepThreads& operator=(const KeepThreads&) = delete;
  ~KeepThreads() { set_threads(before); }

  const int before = threads();
};

using Chunks = std::set<std::pair<int64_t, int64_t>>;

Chunks chunks_of(int64_t n, int64_t grain) {
  Chunks chunks;
  std::mutex mutex;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    CHECK(chunks.emplace(begin, end).second);  // each chunk once
  });
  return chunks;
}

/// Counts changes in its own stack frame, which lies where that of the last parallel_for was.
__attribute__((noinline)) int64_t changes_on_the_stack() {
  std::array<std::atomic<int64_t>, 256> room;
  for (auto& x : room) x.store(0, std::memory_order_relaxed);
  std::this_thread::yield();
  return std::count_if(room.begin(), room.end(), [](const auto& x) { return x.load(std::memory_order_relaxed) != 0; });
}

}  // namespace

TEST_CASE("parallel: chunks depend only on n and the grain") {
  const KeepThreads keep;
  for (const int n : {1, 2, 3, 8}) {
    set_threads(n);
    CHECK(threads() == n);
    CHECK(chunks_of(10, 4) == Chunks{{0, 4}, {4, 8}, {8, 10}});
    CHECK(chunks_of(8, 4) == Chunks{{0, 4}, {4, 8}});
    CHECK(chunks_of(3, 100) == Chunks{{0, 3}});
    CHECK(chunks_of(0, 4).empty());
    CHECK(chunks_of(1000, 1).size() == 1000);
  }
}

TEST_CASE("parallel: sums of chunks have the same bits for 1, 2, 3 and 8 threads") {
  const KeepThreads keep;
  const Array<float> x = cast<float>(uniform_array({100000}, 1));
  const auto total = [&] {
    std::vector<float> parts(100);
    parallel_for(x.size(), 1000, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) parts[static_cast<size_t>(begin / 1000)] += x.data()[i];
    });
    float sum = 0;
    for (const float part : parts) sum += part;
    return sum;
  };
  set_threads(1);
  const float expected = total();
  for (const int n : {2, 3, 8}) {
    set_threads(n);
    for (int repeat = 0; repeat < 20; ++repeat) CHECK(total() == expected);
  }
}

TEST_CASE("parallel: an exception reaches the caller, and the threads continue") {
  const KeepThreads keep;
  for (const int n : {1, 4}) {
    set_threads(n);
    const auto fail_at_7 = [](int64_t begin, int64_t) { check(begin != 7, "chunk {} failed", begin); };
    for (int repeat = 0; repeat < 20; ++repeat) {
      CHECK(thrown([&] { parallel_for(20, 1, fail_at_7); }) == "chunk 7 failed");
    }
    CHECK(chunks_of(5, 1).size() == 5);
  }
}

TEST_CASE("parallel: of several exceptions the first one reaches the caller") {
  const KeepThreads keep;
  set_threads(1);
  CHECK(thrown([] {
          parallel_for(5, 1, [](int64_t begin, int64_t) { check(begin < 2, "chunk {} failed", begin); });
        }) == "chunk 2 failed");
}

TEST_CASE("parallel: as many threads take part as are set") {
  const KeepThreads keep;
  for (const int n : {4, 2, 3, 1}) {
    set_threads(n);
    std::atomic<int> begun = 0;
    parallel_for(n, 1, [&](int64_t, int64_t) {  // no chunk ends before all have begun, so each has its own thread
      const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
      for (++begun; begun < n && std::chrono::steady_clock::now() < give_up;) std::this_thread::yield();
      CHECK(begun == n);
    });
    std::mutex mutex;
    std::set<std::thread::id> ids;
    parallel_for(20, 1, [&](int64_t, int64_t) {
      std::this_thread::sleep_for(
          std::chrono::milliseconds(1));  // time for surplus threads to take part, if there are any
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    });
    CHECK(ids.size() <= static_cast<size_t>(n));
  }
}

TEST_CASE("parallel: nested calls run on the thread that makes them") {
  const KeepThreads keep;
  set_threads(4);
  std::atomic<int> calls = 0, elsewhere = 0;
  parallel_for(8, 1, [&](int64_t, int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(10, 3, [&](int64_t, int64_t) {
      ++calls;
      elsewhere += std::this_thread::get_id() != self;
    });
  });
  CHECK(calls == 8 * 4);
  CHECK(elsewhere == 0);
}

TEST_CASE("parallel: several threads may call at once") {
  const KeepThreads keep;
  set_threads(3);
  std::atomic<int64_t> sum = 0;
  const auto work = [&] {
    for (int repeat = 0; repeat < 200; ++repeat) {
      parallel_for(10, 1, [&](int64_t begin, int64_t) { sum += begin; });
    }
  };
  {
    const std::jthread a(work), b(work);
    work();
  }
  CHECK(sum == 3 * 200 * 45);
}

TEST_CASE("parallel: short jobs in succession, with helpers that come too late for some") {
  const KeepThreads keep;
  int64_t changes = 0;
  for (const int n : {2, 8, 32}) {
    set_threads(n);
    std::array<int64_t, 8> calls = {};
    int64_t jobs = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);  // the processors may be busy
    for (; jobs < 10000 && std::chrono::steady_clock::now() < end; ++jobs) {
      parallel_for(8, 1, [&](int64_t begin, int64_t) { ++calls[static_cast<size_t>(begin)]; });
      changes += changes_on_the_stack();
    }
    for (const int64_t count : calls) CHECK(count == jobs);
  }
  CHECK(changes == 0);  // no helper counts chunks of a finished job
}

TEST_CASE("parallel: errors") {
  CHECK(thrown([] { set_threads(0); }) == "threads: from 1 to 4096 are allowed, not 0");
  CHECK(thrown([] { set_threads(5000); }) == "threads: from 1 to 4096 are allowed, not 5000");
  CHECK(thrown([] { parallel_for(1, 0, [](int64_t, int64_t) {}); }) ==
        "parallel_for: the grain must be positive, not 0");
}
