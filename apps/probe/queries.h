// The queries of a batch, and when and how often each key occurred before.
#pragma once

#include "data/noisy_recall.h"

#include <limits>

namespace orthoread {

struct Query {
  int64_t sequence, position;  // of the querying token in the batch
  int64_t age;                 // tokens since the last occurrence of its key
  int64_t times_seen;          // earlier occurrences of its key
  int64_t stored;              // the last occurrence of its key that is no query
  int64_t value;               // the answer

  bool operator==(const Query&) const = default;
};

/// All queries of a batch with evaluation targets, in order.
std::vector<Query> queries(const RecallBatch& batch);

/// An inclusive range of ages or of times seen.
struct QueryRange {
  int64_t from, to;

  bool bounded() const { return to != std::numeric_limits<int64_t>::max(); }
  bool holds(int64_t number) const { return from <= number && number <= to; }
};
/// Ages 2 to 3, 4 to 7, 8 to 15, … up to those possible in `tokens`.
std::vector<QueryRange> age_ranges(int64_t tokens);
/// 1, 2, 3, 4, and 5 or more.
std::vector<QueryRange> times_seen_ranges();

}  // namespace orthoread
