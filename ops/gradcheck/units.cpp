#include "ops/gradcheck/units.h"

#include "ops/gradcheck/sampling.h"

namespace orthoread {

std::vector<double> moves_by_rounding(const Function<double>& f, const Arrays& x, const Array<double>& v,
                                      const Array<double>& y, const Arrays& grads, double eps, RandomStream& random) {
  constexpr int kRoundings = 8;
  std::vector<double> moves(x.size() + 1);
  for (int n = 0; n < kRoundings; ++n) {
    const Arrays near_by = rounded(x, eps, random);
    const Pass<double> pass(f, near_by, rounded({v}, eps, random)[0]);
    for (size_t i = 0; i < x.size(); ++i) moves[i] = std::max(moves[i], largest(moved(pass.grads[i], grads[i], -1)));
    moves.back() = std::max(moves.back(), largest(moved(pass.y, y, -1)));
  }
  return moves;
}

Units::Units(const Arrays& x, const Arrays& grads) : noise(x.size()) {
  for (size_t i = 0; i < x.size(); ++i) {
    const double most = largest(x[i]);
    scale.push_back(most > 0 ? most : 1);
    steepest.push_back(largest(grads[i]));
    magnitude = std::max(magnitude, steepest[i] * scale[i]);
  }
}

}  // namespace orthoread
