#include "ops/linear.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/layout.h"
#include "ops/reduce.h"
#include "ops/row_products.h"

namespace orthoread {
namespace {

template <Real T>
struct LinearBackward {
  Array<T> x, weight;
  bool bias;

  Grads<T> operator()(const Array<T>& dy, const Want& want) const {
    const int64_t O = weight.dim(0), D = weight.dim(1), rows = x.size() / D;
    const Array<T> by_output = factor(weight.data(), O, D);
    auto dx = want[0] ? Array<T>::uninitialized(x.shape()) : Array<T>();
    auto dweight = want[1] ? row_sums<T>(rows, {O, D}) : Array<T>();
    auto dbias = bias && want[2] ? row_sums<T>(rows, {O}) : Array<T>();
    T *dx_to = dx.edit(), *dweight_to = dweight.edit(), *dbias_to = dbias.edit();
    parallel_for(rows, kSummedRows, [&](int64_t begin, int64_t end) {
      const int64_t part = begin / kSummedRows;
      auto padding = Array<T>::uninitialized({kCachedRows, padded(D)});
      for (int64_t row = begin; row < end; row += kCachedRows) {
        const int64_t n = std::min(kCachedRows, end - row);
        const T* g = dy.data() + row * O;
        if (dx_to) multiply_rows(n, D, g, by_output, false, dx_to + row * D);
        if (dweight_to) {
          multiply_transposed(n, O, D, g, x.data() + row * D, padding.edit(), true, dweight_to + part * O * D);
        }
        if (dbias_to) add_rows(n, O, g, dbias_to + part * O);
      }
    });
    Grads<T> grads = {dx, want[1] ? sum(dweight, {0}) : dweight};
    if (bias) grads.push_back(want[2] ? sum(dbias, {0}) : dbias);
    return grads;
  }
};

/// bias is empty or one tensor.
template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const std::vector<Tensor<T>>& bias) {
  check_shape(
      weight.value().rank() == 2 && x.value().rank() >= 1 && x.dim(-1) == weight.dim(1) && weight.value().size() > 0,
      "linear: x must be (..., D) and weight (O, D) with O, D >= 1: x is {}, weight is {}", x.shape(), weight.shape());
  const int64_t O = weight.dim(0), D = weight.dim(1);
  const Array<T> by_input = transposed_factor(weight.value().data(), O, D);
  Shape shape = x.shape();
  shape.back() = O;
  auto y = Array<T>::uninitialized(shape);
  T* to = y.edit();
  parallel_for(x.value().size() / D, kCachedRows, [&](int64_t begin, int64_t end) {
    if (!bias.empty()) repeat_row(end - begin, O, bias[0].value().data(), to + begin * O);
    multiply_rows(end - begin, O, x.value().data() + begin * D, by_input, !bias.empty(), to + begin * O);
  });
  std::vector<Tensor<T>> inputs = {x, weight};
  inputs.insert(inputs.end(), bias.begin(), bias.end());
  return record<T>("linear", y, inputs, LinearBackward<T>{x.value(), weight.value(), !bias.empty()});
}

}  // namespace

template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight) {
  return linear(x, weight, std::vector<Tensor<T>>());
}

template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias) {
  check_shape(bias.value().rank() == 1 && weight.value().rank() == 2 && bias.dim(0) == weight.dim(0),
              "linear: weight must be (O, D) and bias (O): weight is {}, bias is {}", weight.shape(), bias.shape());
  return linear(x, weight, std::vector<Tensor<T>>{bias});
}

namespace {

/// Weights of blocks (n, b, b) as the kernels want them, (b, n b): for y from x, and for dx from dy.
template <Real T>
Array<T> blocks_by_input(const Array<T>& weight) {  // [d][n b + o]
  return permute(weight, {2, 0, 1}).reshaped({weight.dim(1), weight.dim(0) * weight.dim(1)});
}
template <Real T>
Array<T> blocks_by_output(const Array<T>& weight) {  // [o][n b + d]
  return permute(weight, {1, 0, 2}).reshaped({weight.dim(1), weight.dim(0) * weight.dim(1)});
}

template <Real T>
void check_blocks(const char* op, const Tensor<T>& x, const Tensor<T>& weight) {
  const bool fits = weight.value().rank() == 3 && weight.dim(1) == weight.dim(2) && x.value().rank() >= 1 &&
                    x.dim(-1) == weight.dim(0) * weight.dim(1) && x.dim(-1) > 0;
  check_shape(fits, "{}: x must be (..., n b) and weight (n, b, b): x is {}, weight is {}", op, x.shape(),
              weight.shape());
}

/// dx = sum_i dy_i W_i with dx[n, d] = sum_o dy[n, o] W[n, o, d] for weights of blocks and dx = dy W for the dense one,
/// which comes last if there is one; dW[n, o, d] = sum over rows of dy[n, o] x[n, d], and dW = dy^T x.
template <Real T>
struct LinearMapsBackward {
  Array<T> x;
  std::vector<Array<T>> blocks;
  Array<T> dense;  // or none

  Grads<T> operator()(const std::vector<Array<T>>& dys, const Want& want) const {
    const int64_t width = x.dim(-1), rows = x.size() / width, outputs = dense.defined() ? dense.dim(0) : 0;
    const Array<T> by_output = dense.defined() ? factor(dense.data(), outputs, width) : Array<T>();
    const Array<T> dy_dense = dense.defined() ? dys.back() : Array<T>();
    auto dx = want[0] ? Array<T>::uninitialized(x.shape()) : Array<T>();
    auto ddense = dense.defined() && want.back() ? row_sums<T>(rows, {outputs, width}) : Array<T>();
    std::vector<Array<T>> dblocks(blocks.size());
    std::vector<T*> dblocks_to(blocks.size());
    std::vector<Array<T>> blocks_of_output;
    for (size_t i = 0; i < blocks.size(); ++i) {
      blocks_of_output.push_back(blocks_by_output(blocks[i]));
      if (want[i + 1]) dblocks[i] = row_sums<T>(rows, {blocks[i].size()});
      dblocks_to[i] = dblocks[i].edit();
    }
    T *dx_to = dx.edit(), *ddense_to = ddense.edit();
    parallel_for(rows, kSummedRows, [&](int64_t begin, int64_t end) {
      const int64_t part = begin / kSummedRows;
      const RowKernels<T>& kernels = row_kernels<T>();
      auto padding = Array<T>::uninitialized({kCachedRows, padded(width)});
      for (int64_t row = begin; row < end; row += kCachedRows) {
        const int64_t n = std::min(kCachedRows, end - row);
        const T* features = x.data() + row * width;
        bool add = false;
        for (size_t i = 0; i < blocks.size(); ++i) {
          if (!dys[i].defined()) continue;
          const T* g = dys[i].data() + row * width;
          const int64_t b = blocks[i].dim(1);
          if (dx_to) kernels.blockwise(n, width, b, g, blocks_of_output[i].data(), add, dx_to + row * width);
          if (dblocks_to[i]) kernels.blockwise_dw(n, width, b, features, g, dblocks_to[i] + part * blocks[i].size());
          add = true;
        }
        if (!dy_dense.defined()) continue;
        const T* g = dy_dense.data() + row * outputs;
        if (dx_to) multiply_rows(n, width, g, by_output, add, dx_to + row * width);
        if (ddense_to) {
          multiply_transposed(n, outputs, width, g, features, padding.edit(), true, ddense_to + part * dense.size());
        }
      }
    });
    Grads<T> grads = {dx};
    for (size_t i = 0; i < blocks.size(); ++i) {
      const int64_t b = blocks[i].dim(1);
      grads.push_back(want[i + 1] ? permute(sum(dblocks[i], {0}).reshaped({b, width / b, b}), {1, 2, 0}) : Array<T>());
    }
    if (dense.defined()) grads.push_back(want.back() ? sum(ddense, {0}) : Array<T>());
    return grads;
  }
};

/// All maps of a chunk of rows while the cache holds it; dense is empty or one tensor.
template <Real T>
std::vector<Tensor<T>> linear_maps(const char* op, const Tensor<T>& x, const std::vector<Tensor<T>>& blocks,
                                   const std::vector<Tensor<T>>& dense) {
  const int64_t width = x.dim(-1);
  LinearMapsBackward<T> backward = {x.value(), {}, dense.empty() ? Array<T>() : dense[0].value()};
  std::vector<Tensor<T>> inputs = {x};
  std::vector<Array<T>> ys, by_input;
  for (const Tensor<T>& weight : blocks) {
    check_blocks(op, x, weight);
    inputs.push_back(weight);
    backward.blocks.push_back(weight.value());
    by_input.push_back(blocks_by_input(weight.value()));
    ys.push_back(Array<T>::uninitialized(x.shape()));
  }
  if (!dense.empty()) {
    const Array<T>& weight = dense[0].value();
    check_shape(weight.rank() == 2 && weight.dim(1) == width && weight.size() > 0,
                "{}: x must be (..., D) and the dense weight (O, D) with O, D >= 1: x is {}, weight is {}", op,
                x.shape(), weight.shape());
    inputs.push_back(dense[0]);
    by_input.push_back(transposed_factor(weight.data(), weight.dim(0), width));
    Shape shape = x.shape();
    shape.back() = weight.dim(0);
    ys.push_back(Array<T>::uninitialized(shape));
  }
  std::vector<T*> to;
  for (Array<T>& y : ys) to.push_back(y.edit());
  parallel_for(x.value().size() / width, kCachedRows, [&](int64_t begin, int64_t end) {
    const T* features = x.value().data() + begin * width;
    for (size_t i = 0; i < blocks.size(); ++i) {
      row_kernels<T>().blockwise(end - begin, width, blocks[i].dim(1), features, by_input[i].data(), false,
                                 to[i] + begin * width);
    }
    if (dense.empty()) return;
    const int64_t outputs = dense[0].dim(0);
    multiply_rows(end - begin, outputs, features, by_input.back(), false, to.back() + begin * outputs);
  });
  return record_many<T>(op, std::move(ys), inputs, std::move(backward));
}

}  // namespace

template <Real T>
Tensor<T> blockwise_linear(const Tensor<T>& x, const Tensor<T>& weight) {
  check_blocks("blockwise_linear", x, weight);
  return linear_maps<T>("blockwise_linear", x, {weight}, {})[0];
}

template <Real T>
std::vector<Tensor<T>> linear_maps(const Tensor<T>& x, const std::vector<Tensor<T>>& blockwise,
                                   const Tensor<T>& dense) {
  check_shape(x.value().rank() >= 1, "linear_maps: x must be (..., n b), it is {}", x.shape());
  return linear_maps<T>("linear_maps", x, blockwise, {dense});
}

#define INSTANTIATE(T)                                                             \
  template Tensor<T> linear(const Tensor<T>&, const Tensor<T>&);                   \
  template Tensor<T> linear(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&); \
  template Tensor<T> blockwise_linear(const Tensor<T>&, const Tensor<T>&);         \
  template std::vector<Tensor<T>> linear_maps(const Tensor<T>&, const std::vector<Tensor<T>>&, const Tensor<T>&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)

}  // namespace orthoread
