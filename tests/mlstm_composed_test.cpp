#include "ops/mlstm_composed.h"

#include "tests/fused_memory.h"
#include "tests/gradient_check.h"

using namespace orthoread;

namespace {

Inputs<double> random_inputs(int64_t B, int64_t S, int64_t H, int64_t d) {
  return {uniform_array({B, S, H * d}, 1), uniform_array({B, S, H * d}, 2), uniform_array({B, S, H * d}, 3),
          uniform_array({B, S, H}, 4), uniform_array({B, S, H}, 5, -2, 0)};
}

Array<double> run(const Inputs<double>& x, const MemoryRead& read) {
  return mlstm_composed<double>(x[0], x[1], x[2], x[3], x[4], read).value();
}

/// The cubic Newton-Schulz iteration of a (d, d) matrix, by definition.
Numbers naive_newton_schulz(Numbers x, size_t d, int steps) {
  double norm = 0;
  for (const double number : x) norm = std::hypot(norm, number);
  for (double& number : x) number /= std::max(norm, 1e-6);
  for (int step = 0; step < steps; ++step) {
    Numbers gram(d * d), y(d * d);
    for (size_t i = 0; i < d * d * d; ++i)
      gram[i / d % d * d + i % d] += x[i / d / d * d + i / d % d] * x[i / d / d * d + i % d];
    for (size_t i = 0; i < d * d; ++i) y[i] = 1.5 * x[i];
    for (size_t i = 0; i < d * d * d; ++i)
      y[i / d / d * d + i % d] -= 0.5 * x[i / d / d * d + i / d % d] * gram[i / d % d * d + i % d];
    x = y;
  }
  return x;
}

/// The memory by definition, for each head and token in turn.
Array<double> naive(const Inputs<double>& x, const MemoryRead& read) {
  const auto B = x[0].dim(0), S = x[0].dim(1), H = x[3].dim(2), width = x[0].dim(2) / H;
  const auto d = static_cast<size_t>(width);
  Array<double> h(x[0].shape());
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t head = 0; head < H; ++head) {
      Numbers C(d * d), n(d);
      double m = read.orthogonalized ? 0 : -kInfinity;
      for (int64_t t = 0; t < S; ++t) {
        const int64_t at = (b * S + t) * H * width + head * width, gate = (b * S + t) * H + head;
        const double *q = x[0].data() + at, *k = x[1].data() + at, *v = x[2].data() + at;
        const double i = x[3].data()[gate], lf = x[4].data()[gate];
        const double m_new = std::max(lf + m, i), forget = std::exp(lf + m - m_new), input = std::exp(i - m_new);
        m = m_new;
        double qn = 0;
        for (size_t r = 0; r < d; ++r) {
          for (size_t c = 0; c < d; ++c) C[r * d + c] = forget * C[r * d + c] + input * k[r] * v[c];
          n[r] = forget * n[r] + input * k[r];
          qn += q[r] * n[r];
        }
        Numbers R = C;
        if (read.orthogonalized) {
          R = naive_newton_schulz(C, d, read.steps);
          for (size_t j = 0; j < d * d; ++j) R[j] = read.alpha * R[j] + (1 - read.alpha) * C[j];
        }
        for (size_t j = 0; j < d * d; ++j) h.edit()[at + static_cast<int64_t>(j % d)] += R[j] * q[j / d];
        for (int64_t c = 0; c < width; ++c) h.edit()[at + c] /= std::max(std::abs(qn), std::exp(-m)) + 1e-6;
      }
    }
  }
  return h;
}

const MemoryRead kComposedReads[] = {MemoryRead::raw(), MemoryRead::ns(0),      MemoryRead::ns(1),   MemoryRead::ns(3),
                                     MemoryRead::ns(5), MemoryRead::ns(5, 0.3), MemoryRead::ns(2, 0)};

}  // namespace

TEST_CASE("mlstm_composed: by a naive loop") {
  for (const auto& [B, S, H, d] : {std::array<int64_t, 4>{2, 7, 3, 4}, {1, 1, 1, 1}, {1, 1, 2, 3}, {3, 20, 1, 2}}) {
    const Inputs<double> x = random_inputs(B, S, H, d);
    for (const MemoryRead& read : kComposedReads) {
      CHECK_MESSAGE(relative_error(run(x, read), naive(x, read)) <= 1e-13, title(read));
    }
  }
  CHECK(run(random_inputs(2, 0, 1, 3), MemoryRead::ns(5)).shape() == Shape{2, 0, 3});
}

TEST_CASE("mlstm_composed: gradients, also of one token") {
  for (const MemoryRead& read : kComposedReads) {
    for (const int64_t S : {3, 1}) {
      const Input features({2, S, 4}), input_gate({2, S, 2}), log_forget(Shape{2, S, 2}, -2, -0.1);
      check_gradient("mlstm_composed, " + title(read), {features, features, features, input_gate, log_forget},
                     [&](const auto& x) { return mlstm_composed(x[0], x[1], x[2], x[3], x[4], read); });
    }
  }
}

TEST_CASE("mlstm_composed: outputs do not depend on other sequences, other heads or later tokens") {
  constexpr int64_t B = 2, S = 5, H = 2, d = 3;
  const Inputs<double> x = random_inputs(B, S, H, d);
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(3)}) {
    const Array<double> h = run(x, read);
    for (size_t changed = 0; changed < x.size(); ++changed) {  // head 1 of token 2 of sequence 0
      Inputs<double> y = x;
      const int64_t width = y[changed].dim(2) / H;
      for (int64_t i = 0; i < width; ++i) y[changed].edit()[(2 * H + 1) * width + i] -= 0.5 + static_cast<double>(i);
      const Array<double> g = run(y, read);
      for (int64_t i = 0; i < h.size(); ++i) {
        const int64_t b = i / (S * H * d), t = i / (H * d) % S, head = i / d % H;
        const bool may_change = b == 0 && head == 1 && (changed == 0 ? t == 2 : t >= 2);
        CHECK((h.data()[i] == g.data()[i]) == !may_change);
      }
    }
  }
}

TEST_CASE("mlstm_composed: a log forget gate of minus infinity starts a new sequence") {
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)}) {
    Inputs<double> x = random_inputs(1, 6, 2, 3);
    for (int64_t head = 0; head < 2; ++head) x[4].edit()[3 * 2 + head] = -kInfinity;
    // For ns reads the stabiliser m starts at 0, not at minus infinity. So the new sequence has m = i, while a fresh
    // one has max(lf, i): equal for the gates chosen here.
    for (int64_t head = 0; head < 2; ++head) x[3].edit()[3 * 2 + head] = 1;
    Inputs<double> tail;  // only tokens 3 … 5
    for (const Array<double>& a : x) {
      tail.emplace_back(Shape{1, 3, a.dim(2)}, Numbers(a.data() + 3 * a.dim(2), a.data() + a.size()));
    }
    const Array<double> h = run(x, read), h_of_tail({1, 3, 6}, Numbers(h.data() + 18, h.data() + 36));
    CHECK(relative_error(h, naive(x, read)) <= 1e-13);
    CHECK(relative_error(h_of_tail, run(tail, read)) <= 1e-13);

    std::vector<Tensor<double>> leaves;
    for (const Array<double>& a : x) leaves.push_back(Tensor<double>::leaf(a));
    const Tensor<double> y = mlstm_composed(leaves[0], leaves[1], leaves[2], leaves[3], leaves[4], read);
    Array<double> late({1, 6, 6});  // a cotangent for the tokens after the new start
    std::fill_n(late.edit() + 18, 18, 1.0);
    backward(y, late);
    for (const Tensor<double>& leaf_ : leaves) {
      const int64_t row = leaf_.dim(2);
      for (int64_t i = 0; i < leaf_.value().size(); ++i) {
        CHECK(std::isfinite(leaf_.grad().data()[i]));
        if (i < 3 * row) CHECK(leaf_.grad().data()[i] == 0);
      }
    }
  }
}

TEST_CASE("mlstm_composed: gates of any size stay finite") {
  Inputs<double> x = random_inputs(1, 4, 1, 2);
  x[3] = Array<double>({1, 4, 1}, {-800, 900, -1000, 950});
  x[4] = Array<double>({1, 4, 1}, {-0.1, -700, -1e-9, -900});
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)}) {
    for (const double number : values(run(x, read))) CHECK(std::isfinite(number));
  }
}

TEST_CASE("mlstm_composed: gradients stay finite where exp(-m) overflows") {
  Inputs<double> x = random_inputs(1, 3, 1, 2);
  x[3] = Array<double>({1, 3, 1}, {-800, -5000, -709.5});
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)}) {
    std::vector<Tensor<double>> leaves;
    for (const Array<double>& a : x) leaves.push_back(Tensor<double>::leaf(a));
    const Tensor<double> h = mlstm_composed(leaves[0], leaves[1], leaves[2], leaves[3], leaves[4], read);
    backward(h, uniform_array(h.shape(), 9));
    for (const Tensor<double>& leaf_ : leaves)
      for (const double number : values(leaf_.grad())) CHECK(std::isfinite(number));
  }
}

TEST_CASE("mlstm_composed: names of reads") {
  CHECK(MemoryRead::parse("raw").name() == "raw");
  CHECK(MemoryRead::parse("ns0").name() == "ns0");
  CHECK(MemoryRead::parse("ns10").steps == 10);
  for (const char* bad : {"", "ns", "ns11", "ns-1", "ns5 ", "ns5x", "NS5", "rawx", "5", "ns99999999999"}) {
    CHECK(thrown([&] { MemoryRead::parse(bad); }) ==
          fmt::format("read: raw and ns<k> with k from 0 to 10 are allowed, not '{}'", bad));
  }
}

TEST_CASE("mlstm_composed: errors") {
  Inputs<double> x = random_inputs(1, 2, 3, 4);
  x[3] = Array<double>({1, 2, 5});
  CHECK(thrown([&] { run(x, MemoryRead::raw()); }) ==
        "mlstm_composed: query, key and value must be (B, S, H d), the gates (B, S, H): query is [1, 2, 12], key "
        "[1, 2, 12], value [1, 2, 12], input gate [1, 2, 5], log forget gate [1, 2, 3]");
  x[3] = x[4] = Array<double>({2, 1, 3});
  CHECK(thrown([&] { run(x, MemoryRead::raw()); })
            .ends_with("log forget gate [2, 1, 3]; batch and time are exchanged in one of them: permute brings axis 1 "
                       "to the front"));
  for (size_t i = 0; i < x.size(); ++i) {
    Inputs<double> y = random_inputs(1, 2, 3, 4);
    y[i] = Array<double>({1, 3, y[i].dim(2)});
    CHECK_THROWS_AS(run(y, MemoryRead::raw()), ShapeError);
  }
}
