#include "ops/check/passes.h"

namespace orthoread {
namespace {

constexpr int kRoundings = 2;

/// x with every number one float epsilon, relative, larger or smaller.
Array<double> rounded(const Array<double>& x, RandomStream& random) {
  Array<double> y = x;
  double* to = y.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] *= random.uniform() < 0.5 ? 1 + kFloatEps : 1 - kFloatEps;
  return y;
}

}  // namespace

std::vector<double> moves_by_rounding(const Function<double>& f, const Arrays& x, const Array<double>& v,
                                      const Array<double>& y, const Arrays& grads, RandomStream& random) {
  std::vector<double> moves(x.size() + 1);
  for (int n = 0; n < kRoundings; ++n) {
    Arrays near_by;
    for (const Array<double>& input : x) near_by.push_back(rounded(input, random));
    const Pass<double> pass(f, near_by, rounded(v, random));
    for (size_t i = 0; i < x.size(); ++i) moves[i] = std::max(moves[i], largest(moved(pass.grads[i], grads[i], -1)));
    moves.back() = std::max(moves.back(), largest(moved(pass.y, y, -1)));
  }
  return moves;
}

}  // namespace orthoread
