#include "ops/conv.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/layout.h"
#include "ops/reduce.h"
#include "ops/rows/chunks.h"
#include "ops/rows/table.h"

namespace orthoread {
namespace {

/// dx[s] = sum_j weight[j] dy[s + (K - 1) - j], dweight[j] = sum_s dy[s] x[s - (K - 1) + j], dbias = sum_s dy[s], for
/// each channel and sequence. The weight is held as (K, C), so that the inner loops run over channels.
template <Real T>
struct CausalConvBackward {
  Array<T> x, weight_by_tap;
  Shape weight_shape;

  Grads<T> operator()(const Array<T>& dy, const Want&) const {
    const int64_t batch = x.dim(0), tokens = x.dim(1), channels = x.dim(2), taps = weight_by_tap.dim(0);
    Array<T> dx(x.shape()), dweight({batch, taps, channels}), dbias({batch, channels});
    T *dx_all = dx.edit(), *dweight_all = dweight.edit(), *dbias_all = dbias.edit();
    parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        for (int64_t s = 0; s < tokens; ++s) {
          const T* g = dy.data() + (b * tokens + s) * channels;
          T* bias_to = dbias_all + b * channels;
          for (int64_t c = 0; c < channels; ++c) bias_to[c] += g[c];
          for (int64_t j = std::max<int64_t>(0, taps - 1 - s); j < taps; ++j) {
            const int64_t at = (b * tokens + s - (taps - 1) + j) * channels;
            const T *in = x.data() + at, *w = weight_by_tap.data() + j * channels;
            T *to = dx_all + at, *weight_to = dweight_all + (b * taps + j) * channels;
            for (int64_t c = 0; c < channels; ++c) {
              to[c] += w[c] * g[c];
              weight_to[c] += in[c] * g[c];
            }
          }
        }
      }
    });
    return {dx, permute(sum(dweight, {0}), {1, 0}).reshaped(weight_shape), sum(dbias, {0})};
  }
};

template <Real T>
void check_conv(const char* op, const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias) {
  const bool fits = x.value().rank() == 3 && weight.value().rank() == 3 && bias.value().rank() == 1 &&
                    weight.dim(0) == x.dim(2) && weight.dim(1) == 1 && weight.dim(2) >= 1 && bias.dim(0) == x.dim(2);
  check_shape(fits, "{}: x must be (B, S, C), weight (C, 1, K), bias (C): x is {}, weight is {}, bias is {}", op,
              x.shape(), weight.shape(), bias.shape());
}

/// The weight as (K, C), so that loops run over channels.
template <Real T>
Array<T> by_tap(const Array<T>& weight) {
  return permute(weight.reshaped({weight.dim(0), weight.dim(2)}), {1, 0});
}

/// The convolution as its kernels see it, and its sequences.
template <Real T>
struct ConvSiluInputs {
  Array<T> x, weight_by_tap, bias;

  int64_t sequences() const { return x.dim(0); }
  int64_t taps() const { return weight_by_tap.dim(0); }
  int64_t at(int64_t sequence) const { return sequence * x.dim(1) * x.dim(2); }
  ConvInput<T> input(int64_t sequence) const {
    return {.tokens = x.dim(1),
            .channels = x.dim(2),
            .taps = taps(),
            .x = x.data() + at(sequence),
            .w = weight_by_tap.data(),
            .bias = bias.data()};
  }
};

/// With u for the convolution: du = dy silu'(u), and then as for the convolution alone. u is computed again, not kept.
template <Real T>
struct CausalConvSiluBackward {
  ConvSiluInputs<T> inputs;
  Shape weight_shape;

  Grads<T> operator()(const Array<T>& dy, const Want&) const {
    const Array<T>& x = inputs.x;
    auto dx = Array<T>::uninitialized(x.shape());
    const PartSums<T> dweight(inputs.sequences(), {inputs.taps(), x.dim(2)}, 1),
        dbias(inputs.sequences(), {x.dim(2)}, 1);
    T* dx_to = dx.edit();
    parallel_for(inputs.sequences(), 1, [&](int64_t begin, int64_t end) {
      auto du = Array<T>::uninitialized({x.dim(1), x.dim(2)});
      for (int64_t b = begin; b < end; ++b) {
        const int64_t at = inputs.at(b);
        row_kernels<T>().conv_silu_backward(
            inputs.input(b), dy.data() + at,
            {.dx = dx_to + at, .dw = dweight.of(b), .dbias = dbias.of(b), .du = du.edit()});
      }
    });
    return {dx, permute(sum(dweight.sums(), {0}), {1, 0}).reshaped(weight_shape), sum(dbias.sums(), {0})};
  }
};

}  // namespace

template <Real T>
Tensor<T> causal_conv(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias) {
  check_conv("causal_conv", x, weight, bias);
  const int64_t batch = x.dim(0), tokens = x.dim(1), channels = x.dim(2), taps = weight.dim(2);
  const Array<T> taps_of = by_tap(weight.value());
  auto y = Array<T>::uninitialized(x.shape());
  T* out = y.edit();
  constexpr int64_t kTokens = 64;  // in one chunk of work
  parallel_for(batch * tokens, kTokens, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* to = out + i * channels;
      std::copy_n(bias.value().data(), channels, to);
      for (int64_t j = std::max<int64_t>(0, taps - 1 - i % tokens); j < taps; ++j) {
        const T *in = x.value().data() + (i - (taps - 1) + j) * channels, *w = taps_of.data() + j * channels;
        for (int64_t c = 0; c < channels; ++c) to[c] += w[c] * in[c];
      }
    }
  });
  return record<T>("causal_conv", y, {x, weight, bias}, CausalConvBackward<T>{x.value(), taps_of, weight.shape()});
}

template <Real T>
Tensor<T> causal_conv_silu(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias) {
  check_conv("causal_conv_silu", x, weight, bias);
  const ConvSiluInputs<T> inputs = {x.value(), by_tap(weight.value()), bias.value()};
  auto y = Array<T>::uninitialized(x.shape());
  T* out = y.edit();
  parallel_for(inputs.sequences(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) row_kernels<T>().conv_silu(inputs.input(b), out + inputs.at(b));
  });
  return record<T>("causal_conv_silu", y, {x, weight, bias}, CausalConvSiluBackward<T>{inputs, weight.shape()});
}

#define INSTANTIATE(T)                                                                  \
  template Tensor<T> causal_conv(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&); \
  template Tensor<T> causal_conv_silu(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
