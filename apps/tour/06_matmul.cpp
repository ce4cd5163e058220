// Stop 6: matmul's gradient from shapes alone.
#include "apps/tour/show.h"
#include "ops/gemm.h"

using namespace orthoread;

// Tries all products of dy with one of the factors, either way round, each as it is or transposed.
void look_for(const char* name, const Array<double>& grad, const Array<double>& dy, const char* other_name,
              const Array<double>& other) {
  fmt::print("d{} must be {}; dy is {}, {} is {}\n", name, grad.shape(), dy.shape(), other_name, other.shape());
  for (const bool dy_first : {true, false}) {
    for (const int transposed : {0, 1, 2, 3}) {
      const bool first = (transposed & 1) != 0, second = (transposed & 2) != 0;
      const std::string product = fmt::format("{}{} @ {}{}", dy_first ? "dy" : other_name, first ? "^T" : "",
                                              dy_first ? other_name : "dy", second ? "^T" : "");
      std::string verdict = "does not fit";
      try {
        const Array<double> y = dy_first ? matmul(dy, other, first, second) : matmul(other, dy, first, second);
        verdict = fmt::format("{}", y.shape());
        if (y.shape() == grad.shape())
          verdict +=
              std::equal(y.data(), y.data() + y.size(), grad.data()) ? " and equal to the gradient" : " but wrong";
      } catch (const ShapeError&) {
      }
      fmt::print("  {:<12} {}\n", product, verdict);
    }
  }
}

int main() {
  const auto a = Tensor<double>::leaf(Array<double>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto b = Tensor<double>::leaf(Array<double>({3, 4}, {1, 0, 2, 0, 0, 1, 0, 2, 1, 1, 0, 0}));
  const Array<double> dy({2, 4}, {1, 0, -1, 0, 2, 1, 0, 1});
  backward(matmul(a, b), dy);
  look_for("a", a.grad(), dy, "b", b.value());
  look_for("b", b.grad(), dy, "a", a.value());
}
