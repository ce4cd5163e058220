// What a batch of the task asks for: each query, and when and how often its key was there before.
#pragma once

#include "data/noisy_recall.h"

#include <limits>

namespace orthoread {

struct Query {
  int64_t sequence, position;  // in the batch: the token that asks
  int64_t age;                 // tokens since its key was there last
  int64_t times_seen;          // how often its key was there before
  int64_t stored;              // where its key was there last without asking: the pair that taught it
  int64_t value;               // the answer

  bool operator==(const Query&) const = default;
};

/// All queries of a batch with evaluation targets, in order.
std::vector<Query> queries(const RecallBatch& batch);

/// Queries from a number to a number, both included, of an age or of times seen.
struct QueryRange {
  int64_t from, to;

  bool bounded() const { return to != std::numeric_limits<int64_t>::max(); }
  bool holds(int64_t number) const { return from <= number && number <= to; }
};
/// 2 to 3, 4 to 7, 8 to 15, … tokens, up to those of the longest sequence.
std::vector<QueryRange> age_ranges(int64_t tokens);
/// 1, 2, 3, 4, and 5 or more.
std::vector<QueryRange> times_seen_ranges();

}  // namespace orthoread
