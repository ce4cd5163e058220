// Threads. Ops work on batches, heads and rows in parallel by parallel_for; BLAS stays on one thread.
//
// The promise: results are bit-identical for any number of threads. A range is cut into chunks that depend on n and
// grain alone, each chunk is computed by one thread, and partial results are added in the order of the chunks.
#pragma once

#include <cstdint>
#include <functional>

namespace orthoread {

/// How many threads parallel_for may use, the calling one included. At first: the CPUs this process may use.
int threads();
void set_threads(int n);  // from 1 to 4096

/// Calls body(begin, end) for each chunk [0, grain), [grain, 2 grain), … of [0, n), on several threads, and returns
/// when all are done. Inside another parallel_for it runs on the calling thread. An exception is thrown again here.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

}  // namespace orthoread
