// Exercise 4: the gradient of layer_norm.
//
// Each row of x (R, D): n = (x - mean) / deviation, deviation = sqrt(mean of (x - mean)^2 + eps), y = n weight.
// For one row you have n, the deviation, and g, the gradient of n. Fill in dx. The mean and the deviation depend on
// every number of the row, which is the whole difficulty.
#include "apps/exercise/judge.h"

using namespace orthoread;

template <Real T>
Tensor<T> layer_norm_of(const Tensor<T>& x, const Tensor<T>& weight) {
  const int64_t R = x.dim(0), D = x.dim(1);
  const T size = number<T>(static_cast<double>(D));
  Array<T> n({R, D}), deviation({R}), y({R, D});
  const T* w = weight.value().data();
  for (int64_t r = 0; r < R; ++r) {
    const T* row = x.value().data() + r * D;
    T mean = T(0), variance = T(0);
    for (int64_t i = 0; i < D; ++i) mean += row[i] / size;
    for (int64_t i = 0; i < D; ++i) variance += (row[i] - mean) * (row[i] - mean) / size;
    deviation.edit()[r] = sqrt(variance + number<T>(1e-5));
    for (int64_t i = 0; i < D; ++i) n.edit()[r * D + i] = (row[i] - mean) / deviation.data()[r];
    for (int64_t i = 0; i < D; ++i) y.edit()[r * D + i] = n.data()[r * D + i] * w[i];
  }
  return record<T>("layer_norm_of", y, {x, weight},
                   [=, weight = weight.value()](const Array<T>& dy, const Want&) -> Grads<T> {
                     Array<T> dx({R, D}), dweight({D});
                     for (int64_t r = 0; r < R; ++r) {
                       const T* n_row = n.data() + r * D;
                       std::vector<T> g;
                       T mean_g = T(0), mean_gn = T(0);  // the means over the row of g, and of g times n
                       for (int64_t i = 0; i < D; ++i) {
                         g.push_back(dy.data()[r * D + i] * weight.data()[i]);
                         mean_g += g.back() / size;
                         mean_gn += g.back() * n_row[i] / size;
                         dweight.edit()[i] += dy.data()[r * D + i] * n_row[i];
                       }
                       for (int64_t i = 0; i < D; ++i) {
                         // >>> your turn
                         dx.edit()[r * D + i] = g[static_cast<size_t>(i)] / deviation.data()[r];
                         // <<<
                       }
                     }
                     return {dx, dweight};
                   });
}

int main() {
  Judge judge;
  const Array<double> x = uniform_array({2, 5}, 1);
  judge.gradient(
      "layer_norm_of", {Input(x, "x"), Input(uniform_array({5}, 2), "weight")},
      [](const auto& inputs) { return layer_norm_of(inputs[0], inputs[1]); },
      [&](const std::vector<Array<double>>& yours) -> std::string {
        if (yours.empty()) return "";
        double shifted = 0, scaled = 0;  // how y changes if the same is added to all of row 0, or if it is multiplied
        for (int64_t i = 0; i < 5; ++i) {
          shifted += yours[0].data()[i];
          scaled += yours[0].data()[i] * x.data()[i];
        }
        if (std::abs(shifted) > 1e-3)
          return fmt::format(
              "Adding the same number to a whole row of x does not change y. So the numbers of its dx must "
              "add up to 0, and yours add up to {:.3g} in row 0: look at the mean's part.",
              shifted);
        if (std::abs(scaled) > 1e-3)
          return fmt::format(
              "dx adds up to 0, as it must: the mean's part is right. Multiplying a whole row of x does not "
              "change y either. So the sum of dx[i] x[i] must be 0, and yours is {:.3g} in row 0: look at "
              "the deviation's part.",
              scaled);
        return "dx adds up to 0, and so does dx[i] x[i], as they must. Is all of it divided by the deviation?";
      });
  return judge.verdict();
}
