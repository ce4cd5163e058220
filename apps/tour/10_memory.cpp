// Stop 10: the memory and its two reads.
#include "apps/tour/show.h"
#include "ops/mlstm.h"
#include "ops/mlstm_composed.h"

using namespace orthoread;

constexpr int64_t kWidth = 5;  // of the one head

int main() {
  // Five pairs: key i is the i-th unit vector, its value the one after it. Pair 0 is written nine times, the others
  // once.
  std::vector<int64_t> pairs(9, 0);
  for (const int64_t pair : {1, 2, 3, 4}) pairs.push_back(pair);
  const auto S = static_cast<int64_t>(pairs.size()) + 1;  // and a token that only asks: its key is 0
  Array<double> query({1, S, kWidth}), key({1, S, kWidth}), value({1, S, kWidth}), C({kWidth, kWidth});
  for (size_t t = 0; t < pairs.size(); ++t) {
    const int64_t row = static_cast<int64_t>(t) * kWidth, to = (pairs[t] + 1) % kWidth;
    key.edit()[row + pairs[t]] = 1;
    value.edit()[row + to] = 1;
    C.edit()[pairs[t] * kWidth + to] += 1;
  }
  fmt::print("C = sum of k v^T {}\n", show(C));

  // The question: key 4, blurred with a little of key 0.
  query.edit()[(S - 1) * kWidth + 4] = 1;
  query.edit()[(S - 1) * kWidth + 0] = 0.2;
  const Array<double> gate({1, S, 1});  // input gate and log forget gate 0: write at strength 1, forget nothing
  fmt::print("q = key 4 + 0.2 key 0; the answer should be value 4, which is the unit vector 0\n\n");

  for (const char* name : {"raw", "ns1", "ns3", "ns5", "ns8"}) {
    const MemoryRead read = MemoryRead::parse(name);
    const Array<double> h = mlstm<double>(query, key, value, gate, gate, read).value();
    const Array<double> twin = mlstm_composed<double>(query, key, value, gate, gate, read).value();
    const double* last = h.data() + (S - 1) * kWidth;
    double difference = 0;
    for (int64_t i = 0; i < kWidth; ++i)
      difference = std::max(difference, std::abs(last[i] - twin.data()[(S - 1) * kWidth + i]));
    fmt::print("{}   h = {:.3f} {:.3f} {:.3f} {:.3f} {:.3f}   says unit vector {}   the definition agrees: {}\n", name,
               std::abs(last[0]), std::abs(last[1]), std::abs(last[2]), std::abs(last[3]), std::abs(last[4]),
               std::max_element(last, last + kWidth) - last, difference < 1e-12);
  }
}
