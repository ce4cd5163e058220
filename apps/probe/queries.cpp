#include "apps/probe/queries.h"

#include <map>

namespace orthoread {

std::vector<Query> queries(const RecallBatch& batch) {
  struct Key {
    int64_t last, stored, times;
  };
  std::vector<Query> found;
  for (int64_t b = 0; b < batch.inputs.dim(0); ++b) {
    const int64_t tokens = batch.inputs.dim(1);
    const int64_t *input = batch.inputs.data() + b * tokens, *target = batch.targets.data() + b * tokens;
    std::map<int64_t, Key> keys;  // includes values and noise, which are never queried
    for (int64_t t = 0; t < tokens; ++t) {
      auto [key, is_new] = keys.try_emplace(input[t], Key{t, t, 0});
      if (target[t] != kIgnoredTarget) {
        check(!is_new, "queries: position {} of sequence {} asks for a key that was not there before", t, b);
        found.push_back({b, t, t - key->second.last, key->second.times, key->second.stored, target[t]});
      } else {
        key->second.stored = t;
      }
      key->second.last = t;
      ++key->second.times;
    }
  }
  return found;
}

std::vector<QueryRange> age_ranges(int64_t tokens) {
  std::vector<QueryRange> ranges;
  for (int64_t from = 2; from < tokens; from *= 2) ranges.push_back({from, 2 * from - 1});
  return ranges;
}

std::vector<QueryRange> times_seen_ranges() {
  return {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, std::numeric_limits<int64_t>::max()}};
}

}  // namespace orthoread
