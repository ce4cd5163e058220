// The row kernels of one instruction set: see ops/rows/table.h for what each computes. They read each row once or twice
// while the first-level cache holds it.
#include "ops/rows/product.h"
#include "ops/rows/table.h"
#include "ops/simd/math.h"

namespace orthoread::ORTHOREAD_ISA {

/// Lane l of the result is lane d of l's quad, the four lanes that it is among.
template <int d, typename T, int... l>
ORTHOREAD_INLINE Pack<T> of_quad(Pack<T> x, std::integer_sequence<int, l...>) {
  return {__builtin_shufflevector(x.v, x.v, (l / 4 * 4 + d)...)};
}
template <int d, typename T>
ORTHOREAD_INLINE Pack<T> of_quad(Pack<T> x) {
  return of_quad<d>(x, std::make_integer_sequence<int, Pack<T>::lanes>{});
}

/// How many of the columns can be taken as packs of whole blocks: blocks of four, as in the published model.
template <typename T>
int64_t quad_columns(int64_t width, int64_t b) {
  return Pack<T>::lanes % 4 == 0 && b == 4 ? width / Pack<T>::lanes * Pack<T>::lanes : 0;
}

template <bool add, typename T>
void blockwise_rows(int64_t rows, int64_t width, int64_t b, const T* x, const T* w, T* y) {
  const int64_t quads = quad_columns<T>(width, b);
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    if constexpr (Pack<T>::lanes % 4 == 0) {
      for (int64_t at = 0; at < quads; at += Pack<T>::lanes) {
        const Pack<T> features = load(x + at), before = add ? load(y + at) : Pack<T>{};
        Pack<T> total = fma(of_quad<0>(features), load(w + at), before);
        total = fma(of_quad<1>(features), load(w + width + at), total);
        total = fma(of_quad<2>(features), load(w + 2 * width + at), total);
        store(y + at, fma(of_quad<3>(features), load(w + 3 * width + at), total));
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
void blockwise(int64_t rows, int64_t width, int64_t b, const T* x, const T* w, bool add, T* y) {
  add ? blockwise_rows<true>(rows, width, b, x, w, y) : blockwise_rows<false>(rows, width, b, x, w, y);
}

template <typename T>
void blockwise_dw(int64_t rows, int64_t width, int64_t b, const T* x, const T* dy, T* dw) {
  const int64_t quads = quad_columns<T>(width, b);
  if constexpr (Pack<T>::lanes % 4 == 0) {
    for (int64_t at = 0; at < quads; at += Pack<T>::lanes) {
      Pack<T> total[4];
      for (int d = 0; d < 4; ++d) total[d] = load(dw + d * width + at);
      for (int64_t row = 0; row < rows; ++row) {
        const Pack<T> features = load(x + row * width + at), g = load(dy + row * width + at);
        total[0] = fma(of_quad<0>(features), g, total[0]);
        total[1] = fma(of_quad<1>(features), g, total[1]);
        total[2] = fma(of_quad<2>(features), g, total[2]);
        total[3] = fma(of_quad<3>(features), g, total[3]);
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

/// The first tap that does not lie before the sequence.
inline int64_t first_tap(ConvShape shape, int64_t token) { return token < shape.taps - 1 ? shape.taps - 1 - token : 0; }

/// u at one token and pack of channels.
template <typename T, class Count>
ORTHOREAD_INLINE Pack<T> convolved(ConvShape shape, const T* x, const T* w, const T* bias, int64_t s, int64_t at,
                                   Count n) {
  Pack<T> u = load(bias + at, n);
  for (int64_t j = first_tap(shape, s); j < shape.taps; ++j) {
    const T* features = x + (s - (shape.taps - 1) + j) * shape.channels + at;
    u = fma(load(w + j * shape.channels + at, n), load(features, n), u);
  }
  return u;
}

template <typename T>
void conv_silu(ConvShape shape, const T* x, const T* w, const T* bias, T* y) {
  for (int64_t s = 0; s < shape.tokens; ++s) {
    each_part<T>(shape.channels, [&](int64_t at, auto n) {
      const Pack<T> u = convolved(shape, x, w, bias, s, at, n);
      store(y + s * shape.channels + at, u * logistic(u), n);
    });
  }
}

template <typename T>
void conv_silu_backward(ConvShape shape, const T* x, const T* w, const T* bias, const T* dy, T* du, T* dx, T* dw,
                        T* dbias) {
  const int64_t channels = shape.channels, before = shape.taps - 1;
  for (int64_t s = 0; s < shape.tokens; ++s) {
    each_part<T>(channels, [&](int64_t at, auto n) {
      const Pack<T> u = convolved(shape, x, w, bias, s, at, n), sigma = logistic(u), one = splat(T(1));
      // silu'(u) = sigma + u sigma (1 - sigma)
      const Pack<T> g = load(dy + s * channels + at, n) * sigma * fma(u, one - sigma, one);
      store(du + s * channels + at, g, n);
      store(dbias + at, g + load(dbias + at, n), n);
      for (int64_t j = first_tap(shape, s); j < shape.taps; ++j) {
        T* to = dw + j * channels + at;
        store(to, fma(g, load(x + (s - before + j) * channels + at, n), load(to, n)), n);
      }
    });
  }
  for (int64_t s = 0; s < shape.tokens; ++s) {  // x[s] was tap j of token s + (taps - 1) - j
    each_part<T>(channels, [&](int64_t at, auto n) {
      Pack<T> total = {};
      for (int64_t j = before; j >= 0 && s + before - j < shape.tokens; --j) {
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
void norm_rows(NormShape shape, T eps, const T* x, const T* weight, const NormGate<T>& gate, T* y, T* moments) {
  const int64_t size = shape.features / shape.groups;
  for (int64_t i = 0; i < shape.rows * shape.groups; ++i) {
    const int64_t row = i * size, column = i % shape.groups * size;
    Pack<T> total = {}, squares = {};
    each_part<T>(size, [&](int64_t at, auto n) { total = total + load(x + row + at, n); });
    const T mean = mean_over(total, size);
    each_part<T>(size, [&](int64_t at, auto n) {
      const Pack<T> centred = only(load(x + row + at, n) - splat(mean), n);
      squares = fma(centred, centred, squares);
    });
    const T r = T(1) / sqrt(mean_over(squares, size) + eps);
    moments[2 * i] = mean;
    moments[2 * i + 1] = r;
    each_part<T>(size, [&](int64_t at, auto n) {
      Pack<T> out = (load(x + row + at, n) - splat(mean)) * splat(r) * load(weight + column + at, n);
      if constexpr (gated) {
        const Pack<T> z = load(gate.z + row + at, n);
        out = fma(load(gate.skip + column + at, n), load(gate.c + row + at, n), out) * z * logistic(z);
      }
      store(y + row + at, out, n);
    });
  }
}

template <typename T>
void norm(NormShape shape, T eps, const T* x, const T* weight, const NormGate<T>& gate, T* y, T* moments) {
  gate.z == nullptr ? norm_rows<false>(shape, eps, x, weight, gate, y, moments)
                    : norm_rows<true>(shape, eps, x, weight, gate, y, moments);
}

template <bool gated, typename T>
void norm_rows_backward(NormShape shape, const T* x, const T* weight, const NormGate<T>& gate, const T* moments,
                        const T* dy, T* dx, T* dweight, const NormGateGradients<T>& to, T* y) {
  const int64_t size = shape.features / shape.groups;
  for (int64_t i = 0; i < shape.rows * shape.groups; ++i) {
    const int64_t row = i * size, column = i % shape.groups * size;
    const Pack<T> mean = splat(moments[2 * i]), r = splat(moments[2 * i + 1]), one = splat(T(1));
    Pack<T> sum_g = {}, sum_gx = {};
    each_part<T>(size, [&](int64_t at, auto n) {
      const Pack<T> unit = (load(x + row + at, n) - mean) * r, w = load(weight + column + at, n);
      Pack<T> d = load(dy + row + at, n), out = unit * w;  // d: the cotangent of what was normalised and weighted
      if constexpr (gated) {
        const Pack<T> z = load(gate.z + row + at, n), c = load(gate.c + row + at, n);
        const Pack<T> skip = load(gate.skip + column + at, n), sigma = logistic(z);
        const Pack<T> open = fma(skip, c, out);
        out = open * z * sigma;
        store(to.dz + row + at, d * open * sigma * fma(z, one - sigma, one), n);
        d = d * z * sigma;
        store(to.dc + row + at, d * skip, n);
        store(to.dskip + column + at, fma(d, c, load(to.dskip + column + at, n)), n);
      }
      if (y != nullptr) store(y + row + at, out, n);
      const Pack<T> g = d * w;
      store(dx + row + at, g, n);
      store(dweight + column + at, fma(d, unit, load(dweight + column + at, n)), n);
      sum_g = sum_g + g;
      sum_gx = fma(g, only(unit, n), sum_gx);
    });
    const Pack<T> mean_g = splat(mean_over(sum_g, size)), mean_gx = splat(mean_over(sum_gx, size));
    each_part<T>(size, [&](int64_t at, auto n) {
      const Pack<T> unit = (load(x + row + at, n) - mean) * r;
      store(dx + row + at, r * (load(dx + row + at, n) - mean_g - unit * mean_gx), n);
    });
  }
}

template <typename T>
void norm_backward(NormShape shape, const T* x, const T* weight, const NormGate<T>& gate, const T* moments, const T* dy,
                   T* dx, T* dweight, const NormGateGradients<T>& to, T* y) {
  gate.z == nullptr ? norm_rows_backward<false>(shape, x, weight, gate, moments, dy, dx, dweight, to, y)
                    : norm_rows_backward<true>(shape, x, weight, gate, moments, dy, dx, dweight, to, y);
}

/// The largest of x, or of no use if one of them is NaN: then the sum that follows is NaN, too.
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
void softmax_norms(int64_t rows, int64_t n_all, const T* x, T* norms) {
  for (int64_t row = 0; row < rows; ++row, x += n_all) {
    const T largest = largest_of(n_all, x);
    Pack<T> total = {};
    each_part<T>(n_all, [&](int64_t at, auto n) { total = total + only(exp(load(x + at, n) - splat(largest)), n); });
    norms[2 * row] = largest;
    norms[2 * row + 1] = log(sum(total));
  }
}

template <typename T>
void log_softmax(int64_t rows, int64_t n_all, const T* x, const T* norms, T* y) {
  for (int64_t row = 0; row < rows; ++row, x += n_all, y += n_all) {
    const Pack<T> largest = splat(norms[2 * row]), log_total = splat(norms[2 * row + 1]);
    each_part<T>(n_all, [&](int64_t at, auto n) { store(y + at, load(x + at, n) - largest - log_total, n); });
  }
}

template <typename T>
void scaled_softmax(int64_t n_all, T factor, const T* x, const T* norms, T* y) {
  const Pack<T> largest = splat(norms[0]), log_total = splat(norms[1]);
  each_part<T>(
      n_all, [&](int64_t at, auto n) { store(y + at, splat(factor) * exp(load(x + at, n) - largest - log_total), n); });
}

}  // namespace orthoread::ORTHOREAD_ISA

namespace orthoread {

template <>
const RowKernels<ORTHOREAD_NUMBER>& kernels_of<RowKernels<ORTHOREAD_NUMBER>, InstructionSet::ORTHOREAD_ISA>() {
  using namespace ORTHOREAD_ISA;
  static constexpr RowKernels<ORTHOREAD_NUMBER> kernels = {
      multiply, blockwise,     blockwise_dw,  conv_silu,   conv_silu_backward,
      norm,     norm_backward, softmax_norms, log_softmax, scaled_softmax};
  return kernels;
}

}  // namespace orthoread
