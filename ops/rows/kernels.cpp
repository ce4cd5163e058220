// The kernels of ops/rows/table.h for one instruction set. They read each row once or twice, while it is in the L1
// cache.
#include "ops/rows/table.h"
#include "ops/simd/math.h"
#include "ops/simd/product.h"

namespace orthoread::ORTHOREAD_ISA {

/// Within each quad of four lanes, broadcasts lane d: lane l of the result is x[l / 4 * 4 + d].
template <int d, typename T, int... l>
ORTHOREAD_INLINE Pack<T> broadcast_in_quads(Pack<T> x, std::integer_sequence<int, l...>) {
  return {__builtin_shufflevector(x.v, x.v, (l / 4 * 4 + d)...)};
}
template <int d, typename T>
ORTHOREAD_INLINE Pack<T> broadcast_in_quads(Pack<T> x) {
  return broadcast_in_quads<d>(x, std::make_integer_sequence<int, Pack<T>::lanes>{});
}

/// How many columns are processed in packs of whole blocks. Only blocks of four, as in the published model, are.
template <typename T>
int64_t quad_columns(int64_t width, int64_t b) {
  return Pack<T>::lanes % 4 == 0 && b == 4 ? width / Pack<T>::lanes * Pack<T>::lanes : 0;
}

template <Store store_as, typename T>
void blockwise_rows(const BlockwiseProduct<T>& product) {
  const int64_t rows = product.rows, width = product.width, b = product.block, quads = quad_columns<T>(width, b);
  const T *x = product.x, *w = product.w;
  T* y = product.y;
  constexpr bool add = store_as == Store::add;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    if constexpr (Pack<T>::lanes % 4 == 0) {
      for (int64_t at = 0; at < quads; at += Pack<T>::lanes) {
        const Pack<T> features = load(x + at), before = add ? load(y + at) : Pack<T>{};
        Pack<T> total = fma(broadcast_in_quads<0>(features), load(w + at), before);
        total = fma(broadcast_in_quads<1>(features), load(w + width + at), total);
        total = fma(broadcast_in_quads<2>(features), load(w + 2 * width + at), total);
        store(y + at, fma(broadcast_in_quads<3>(features), load(w + 3 * width + at), total));
      }
    }
    for (int64_t j = quads; j < width; ++j) {
      T total = add ? y[j] : T(0);
      for (int64_t d = 0; d < b; ++d) total += x[j / b * b + d] * w[d * width + j];
      y[j] = total;
    }
  }
}

template <typename T>
void blockwise(const BlockwiseProduct<T>& product) {
  product.store == Store::add ? blockwise_rows<Store::add>(product) : blockwise_rows<Store::replace>(product);
}

template <typename T>
void blockwise_dw(const BlockwiseSum<T>& sum) {
  const int64_t rows = sum.rows, width = sum.width, b = sum.block, quads = quad_columns<T>(width, b);
  const T *x = sum.x, *dy = sum.dy;
  T* dw = sum.dw;
  if constexpr (Pack<T>::lanes % 4 == 0) {
    for (int64_t at = 0; at < quads; at += Pack<T>::lanes) {
      Pack<T> total[4];
      for (int d = 0; d < 4; ++d) total[d] = load(dw + d * width + at);
      for (int64_t row = 0; row < rows; ++row) {
        const Pack<T> features = load(x + row * width + at), g = load(dy + row * width + at);
        total[0] = fma(broadcast_in_quads<0>(features), g, total[0]);
        total[1] = fma(broadcast_in_quads<1>(features), g, total[1]);
        total[2] = fma(broadcast_in_quads<2>(features), g, total[2]);
        total[3] = fma(broadcast_in_quads<3>(features), g, total[3]);
      }
      for (int d = 0; d < 4; ++d) store(dw + d * width + at, total[d]);
    }
  }
  for (int64_t row = 0; row < rows; ++row, x += width, dy += width) {
    for (int64_t j = quads; j < width; ++j) {
      for (int64_t d = 0; d < b; ++d) dw[d * width + j] += x[j / b * b + d] * dy[j];
    }
  }
}

/// The first tap that reads a token of the sequence, not one before it.
inline int64_t first_tap(int64_t taps, int64_t token) { return token < taps - 1 ? taps - 1 - token : 0; }

/// u at one token and pack of channels.
template <typename T, class Count>
ORTHOREAD_INLINE Pack<T> convolved(const ConvInput<T>& input, int64_t s, int64_t at, Count n) {
  const int64_t taps = input.taps, channels = input.channels;
  Pack<T> u = load(input.bias + at, n);
  for (int64_t j = first_tap(taps, s); j < taps; ++j) {
    const T* features = input.x + (s - (taps - 1) + j) * channels + at;
    u = fma(load(input.w + j * channels + at, n), load(features, n), u);
  }
  return u;
}

template <typename T>
void conv_silu(const ConvInput<T>& input, T* y) {
  for (int64_t s = 0; s < input.tokens; ++s) {
    each_part<T>(input.channels, [&](int64_t at, auto n) {
      const Pack<T> u = convolved(input, s, at, n);
      store(y + s * input.channels + at, u * logistic(u), n);
    });
  }
}

template <typename T>
void conv_silu_backward(const ConvInput<T>& given, const T* dy, const ConvGradients<T>& to) {
  const ConvInput<T> input = given;
  const int64_t tokens = input.tokens, channels = input.channels, taps = input.taps, before = taps - 1;
  const T *x = input.x, *w = input.w;
  T *dx = to.dx, *dw = to.dw, *dbias = to.dbias, *du = to.du;
  for (int64_t s = 0; s < tokens; ++s) {
    each_part<T>(channels, [&](int64_t at, auto n) {
      const Pack<T> u = convolved(input, s, at, n), sigma = logistic(u), one = splat(T(1));
      // silu'(u) = sigma + u sigma (1 - sigma)
      const Pack<T> g = load(dy + s * channels + at, n) * sigma * fma(u, one - sigma, one);
      store(du + s * channels + at, g, n);
      store(dbias + at, g + load(dbias + at, n), n);
      for (int64_t j = first_tap(taps, s); j < taps; ++j) {
        T* dw_to = dw + j * channels + at;
        store(dw_to, fma(g, load(x + (s - before + j) * channels + at, n), load(dw_to, n)), n);
      }
    });
  }
  for (int64_t s = 0; s < tokens; ++s) {  // x[s] is read by tap j of token s + (taps - 1) - j
    each_part<T>(channels, [&](int64_t at, auto n) {
      Pack<T> total = {};
      for (int64_t j = before; j >= 0 && s + before - j < tokens; --j) {
        total = fma(load(w + j * channels + at, n), load(du + (s + before - j) * channels + at, n), total);
      }
      store(dx + s * channels + at, total, n);
    });
  }
}

template <typename T>
T mean_over(Pack<T> total, int64_t n) {
  return sum(total) / number<T>(static_cast<double>(n));
}

template <bool gated, typename T>
void norm_forward(const NormInput<T>& given, T eps, T* y, T* statistics) {
  const NormInput<T> input = given;
  const int64_t size = input.features / input.groups;
  const T *x = input.x, *weight = input.weight;
  for (int64_t i = 0; i < input.rows * input.groups; ++i) {
    const int64_t row = i * size, column = i % input.groups * size;
    Pack<T> total = {}, squares = {};
    each_part<T>(size, [&](int64_t at, auto n) { total = total + load(x + row + at, n); });
    const T mean = mean_over(total, size);
    each_part<T>(size, [&](int64_t at, auto n) {
      const Pack<T> centred = only(load(x + row + at, n) - splat(mean), n);
      squares = fma(centred, centred, squares);
    });
    const T r = T(1) / sqrt(mean_over(squares, size) + eps);
    statistics[2 * i] = mean;
    statistics[2 * i + 1] = r;
    each_part<T>(size, [&](int64_t at, auto n) {
      Pack<T> out = (load(x + row + at, n) - splat(mean)) * splat(r) * load(weight + column + at, n);
      if constexpr (gated) {
        const Pack<T> z = load(input.z + row + at, n);
        out = fma(load(input.skip + column + at, n), load(input.c + row + at, n), out) * z * logistic(z);
      }
      store(y + row + at, out, n);
    });
  }
}

/// Formulas: ops/rows/norm.h. With a gate, u = unit weight + skip c and y = u silu(z).
template <bool gated, typename T>
void norm_backward(const NormInput<T>& given, const T* statistics, const T* dy, const NormGradients<T>& gradients,
                   T* y) {
  const NormInput<T> input = given;
  const NormGradients<T> to = gradients;
  const int64_t size = input.features / input.groups;
  const T *x = input.x, *weight = input.weight;
  T *dx = to.dx, *dweight = to.dweight;
  for (int64_t i = 0; i < input.rows * input.groups; ++i) {
    const int64_t row = i * size, column = i % input.groups * size;
    const Pack<T> mean = splat(statistics[2 * i]), r = splat(statistics[2 * i + 1]), one = splat(T(1));
    Pack<T> sum_g = {}, sum_g_unit = {};
    each_part<T>(size, [&](int64_t at, auto n) {
      const Pack<T> unit = (load(x + row + at, n) - mean) * r, w = load(weight + column + at, n);
      Pack<T> du = load(dy + row + at, n), out = unit * w;  // without a gate, u = y
      if constexpr (gated) {
        const Pack<T> z = load(input.z + row + at, n), c = load(input.c + row + at, n);
        const Pack<T> skip = load(input.skip + column + at, n), sigma = logistic(z);
        const Pack<T> u = fma(skip, c, out);
        out = u * z * sigma;
        store(to.dz + row + at, du * u * sigma * fma(z, one - sigma, one), n);
        du = du * z * sigma;
        store(to.dc + row + at, du * skip, n);
        store(to.dskip + column + at, fma(du, c, load(to.dskip + column + at, n)), n);
      }
      if (y != nullptr) store(y + row + at, out, n);
      const Pack<T> g = du * w;
      store(dx + row + at, g, n);
      store(dweight + column + at, fma(du, unit, load(dweight + column + at, n)), n);
      sum_g = sum_g + g;
      sum_g_unit = fma(g, only(unit, n), sum_g_unit);
    });
    const Pack<T> mean_g = splat(mean_over(sum_g, size)), mean_g_unit = splat(mean_over(sum_g_unit, size));
    each_part<T>(size, [&](int64_t at, auto n) {
      const Pack<T> unit = (load(x + row + at, n) - mean) * r;
      store(dx + row + at, r * (load(dx + row + at, n) - mean_g - unit * mean_g_unit), n);
    });
  }
}

/// The largest number of x. Arbitrary if x holds a NaN, but the sum that follows is then NaN.
template <typename T>
T largest_of(int64_t n_all, const T* x) {
  const auto larger = [](T a, T b) { return a > b ? a : b; };
  Pack<T> packs = splat(x[0]);
  T largest = x[0];
  each_part<T>(n_all, [&](int64_t at, auto n) {
    if constexpr (std::is_same_v<decltype(n), int>) {
      for (int i = 0; i < n; ++i) largest = larger(x[at + i], largest);
    } else {
      const Pack<T> part = load(x + at);
      packs = {part.v > packs.v ? part.v : packs.v};
    }
  });
  T lanes[Pack<T>::lanes];
  store(lanes, packs);
  for (const T lane : lanes) largest = larger(lane, largest);
  return largest;
}

template <typename T>
void softmax_normalizers(const SoftmaxInput<T>& given, T* normalizers) {
  const SoftmaxInput<T> input = given;
  const T* x = input.x;
  for (int64_t row = 0; row < input.rows; ++row, x += input.n) {
    const T largest = largest_of(input.n, x);
    Pack<T> total = {};
    each_part<T>(input.n, [&](int64_t at, auto n) { total = total + only(exp(load(x + at, n) - splat(largest)), n); });
    normalizers[2 * row] = largest;
    normalizers[2 * row + 1] = log(sum(total));
  }
}

template <typename T>
void log_softmax(const SoftmaxInput<T>& given, const T* normalizers, T* y) {
  const SoftmaxInput<T> input = given;
  const T* x = input.x;
  for (int64_t row = 0; row < input.rows; ++row, x += input.n, y += input.n) {
    const Pack<T> largest = splat(normalizers[2 * row]), log_total = splat(normalizers[2 * row + 1]);
    each_part<T>(input.n, [&](int64_t at, auto n) { store(y + at, load(x + at, n) - largest - log_total, n); });
  }
}

template <typename T>
void scaled_softmax(const SoftmaxInput<T>& given, const T* normalizers, T factor, T* y) {
  const SoftmaxInput<T> input = given;
  const T* x = input.x;
  for (int64_t row = 0; row < input.rows; ++row, x += input.n, y += input.n) {
    const Pack<T> largest = splat(normalizers[2 * row]), log_total = splat(normalizers[2 * row + 1]);
    each_part<T>(input.n, [&](int64_t at, auto n) {
      store(y + at, splat(factor) * exp(load(x + at, n) - largest - log_total), n);
    });
  }
}

}  // namespace orthoread::ORTHOREAD_ISA

namespace orthoread {

template <>
const RowKernels<ORTHOREAD_NUMBER>& kernels_of<RowKernels<ORTHOREAD_NUMBER>, InstructionSet::ORTHOREAD_ISA>() {
  using namespace ORTHOREAD_ISA;
  static constexpr RowKernels<ORTHOREAD_NUMBER> kernels = {.multiply = multiply,
                                                           .blockwise = blockwise,
                                                           .blockwise_dw = blockwise_dw,
                                                           .conv_silu = conv_silu,
                                                           .conv_silu_backward = conv_silu_backward,
                                                           .norm = norm_forward<false>,
                                                           .gated_norm = norm_forward<true>,
                                                           .norm_backward = norm_backward<false>,
                                                           .gated_norm_backward = norm_backward<true>,
                                                           .softmax_normalizers = softmax_normalizers,
                                                           .log_softmax = log_softmax,
                                                           .scaled_softmax = scaled_softmax};
  return kernels;
}

}  // namespace orthoread
