// Stop 1: a number and its slope.
#include "core/real.h"

#include <fmt/format.h>

using namespace orthoread;

// Written once, for every kind of number.
template <Real T>
T f(T x) {
  return x / (T(1) + x * x);
}

template <Real T>
T area(T width, T height) {
  return width * height;
}

int main() {
  fmt::print("f(2) as a double      {}\n", f(2.0));
  const Dual y = f(Dual(2, 1));  // the value 2, which changes at the rate 1
  fmt::print("f(2) as a Dual        {}, slope {:.15f}\n", y.value, y.slope);
  fmt::print("f'(2) on paper        (1 - 4) / 25 = {:.15f}\n", (1.0 - 4.0) / 25.0);

  fmt::print("\nby a small step h instead of Dual:\n");
  for (const double h : {1e-1, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15}) {
    const double slope = (f(2 + h) - f(2.0)) / h;
    fmt::print("  h = {:5g}   slope {:.15f}   error {:.0e}\n", h, slope, std::abs(slope + 0.12));
  }

  fmt::print("\ntwo inputs, three directions:\n");
  fmt::print("  only the width grows   {}\n", area(Dual(3, 1), Dual(4, 0)).slope);
  fmt::print("  only the height grows  {}\n", area(Dual(3, 0), Dual(4, 1)).slope);
  fmt::print("  both grow              {}\n", area(Dual(3, 1), Dual(4, 1)).slope);
}
