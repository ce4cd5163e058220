#include "core/parallel.h"
#include "core/check.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

namespace orthoread {
namespace {

thread_local bool inside_job = false;

/// One call of parallel_for. Threads draw the number of the next chunk from a shared counter.
struct Job {
  const std::function<void(int64_t, int64_t)>& body;
  int64_t n, grain;
  std::atomic<int64_t> next = 0;
  std::mutex mutex = {};
  std::exception_ptr error = nullptr;

  void work() {
    const bool outer = std::exchange(inside_job, true);
    for (int64_t begin; (begin = grain * next.fetch_add(1)) < n;) {
      try {
        body(begin, std::min(begin + grain, n));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (error == nullptr) error = std::current_exception();
      }
    }
    inside_job = outer;
  }
};

/// Waits until x is no longer `old`, and returns it. Most waits are short: sleeping and waking would take longer.
uint32_t changed(const std::atomic<uint32_t>& x, uint32_t old) {
  for (int i = 0; i < 100 && x == old; ++i) std::this_thread::yield();
  x.wait(old);
  return x;
}

/// Threads that wait for jobs and join them, one job at a time.
class Pool {
 public:
  Pool() = default;
  explicit Pool(int helpers) : Pool() {  // delegates, so that ~Pool ends those that began if one cannot
    for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this](const std::stop_token& end) { serve(end); });
  }
  ~Pool() {
    for (std::jthread& helper : helpers_) helper.request_stop();
    ++jobs_;
    jobs_.notify_all();
  }

  void run(Job& job) {
    job_ = &job;
    ++jobs_;
    jobs_.notify_all();
    job.work();
    job_ = nullptr;  // a helper that has not begun by now is not waited for
    for (uint32_t busy = busy_; busy != 0;) busy = changed(busy_, busy);
  }

 private:
  void serve(const std::stop_token& end) {
    for (uint32_t seen = changed(jobs_, 0); !end.stop_requested(); seen = changed(jobs_, seen)) {
      ++busy_;
      if (Job* job = job_) job->work();  // read after ++busy_, for run() reads busy_ after it has cleared job_
      if (--busy_ == 0) busy_.notify_all();
    }
  }

  std::atomic<Job*> job_ = nullptr;
  std::atomic<uint32_t> jobs_ = 0, busy_ = 0;  // jobs so far, helpers that may be at work
  std::vector<std::jthread> helpers_;
};

std::mutex pool_mutex;  // held while a job runs: a second thread that calls parallel_for meanwhile works alone
std::unique_ptr<Pool> pool;
std::atomic<int> thread_count = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));

}  // namespace

int threads() { return thread_count; }
void set_threads(int n) {
  check(n >= 1 && n <= 4096, "threads: from 1 to 4096 are allowed, not {}", n);
  const std::lock_guard lock(pool_mutex);
  pool = nullptr;
  thread_count = n;
}

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body) {
  check(grain > 0, "parallel_for: the grain must be positive, not {}", grain);
  Job job{body, n, grain};
  std::unique_lock lock(pool_mutex, std::defer_lock);
  if (n > grain && threads() > 1 && !inside_job && lock.try_lock()) {
    if (pool == nullptr) pool = std::make_unique<Pool>(threads() - 1);
    pool->run(job);
  } else {
    job.work();
  }
  if (job.error != nullptr) std::rethrow_exception(job.error);
}

}  // namespace orthoread
