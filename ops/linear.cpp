#include "ops/linear.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/layout.h"
#include "ops/reduce.h"
#include "ops/rows/blockwise.h"
#include "ops/rows/dense.h"

namespace orthoread {
namespace {

template <Real T>
DenseWeight<T> all_rows(const Array<T>& W) {
  return {.W = W.data(), .outputs = W.dim(0), .features = W.dim(1)};
}

/// dx = dy W, dW = dy^T x, dbias = the sum of dy's rows.
template <Real T>
struct LinearBackward {
  Array<T> x, weight;
  bool bias;

  Grads<T> operator()(const Array<T>& dy, const Want& want) const {
    const int64_t O = weight.dim(0), D = weight.dim(1), rows = x.size() / D;
    const DenseBackward<T> map(all_rows(weight), rows, want[1]);
    const PartSums<T> dbias = bias && want[2] ? PartSums<T>(rows, {O}) : PartSums<T>();
    auto dx = want[0] ? Array<T>::uninitialized(x.shape()) : Array<T>();
    T* dx_to = want[0] ? dx.edit() : nullptr;
    parallel_for(rows, kSummedRows, [&](int64_t begin, int64_t end) {
      each_chunk(begin, end, [&](int64_t row, int64_t n) {
        const T* g = dy.data() + row * O;
        if (dx_to) map.dx(Store::replace, n, g, dx_to + row * D);
        map.add_dW(row, n, g, x.data() + row * D);
        if (dbias.wanted()) add_rows(n, O, g, dbias.of(row));
      });
    });
    Grads<T> grads = {dx, want[1] ? sum(map.dW_sums(), {0}) : Array<T>()};
    if (bias) grads.push_back(want[2] ? sum(dbias.sums(), {0}) : Array<T>());
    return grads;
  }
};

/// y = x W^T + bias; bias is empty or one tensor.
template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const std::vector<Tensor<T>>& bias) {
  check_shape(
      weight.value().rank() == 2 && x.value().rank() >= 1 && x.dim(-1) == weight.dim(1) && weight.value().size() > 0,
      "linear: x must be (..., D) and weight (O, D) with O, D >= 1: x is {}, weight is {}", x.shape(), weight.shape());
  const int64_t O = weight.dim(0), D = weight.dim(1);
  const DenseForward<T> map(all_rows(weight.value()));
  Shape shape = x.shape();
  shape.back() = O;
  auto y = Array<T>::uninitialized(shape);
  T* to = y.edit();
  parallel_for(x.value().size() / D, kCachedRows, [&](int64_t begin, int64_t end) {
    if (!bias.empty()) repeat_row(end - begin, O, bias[0].value().data(), to + begin * O);
    map(bias.empty() ? Store::replace : Store::add, end - begin, x.value().data() + begin * D, to + begin * O);
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

template <Real T>
void check_blocks(const char* op, const Tensor<T>& x, const Tensor<T>& weight) {
  const bool fits = weight.value().rank() == 3 && weight.dim(1) == weight.dim(2) && x.value().rank() >= 1 &&
                    x.dim(-1) == weight.dim(0) * weight.dim(1) && x.dim(-1) > 0;
  check_shape(fits, "{}: x must be (..., n b) and weight (n, b, b): x is {}, weight is {}", op, x.shape(),
              weight.shape());
}

/// dx is the sum of what the maps give, blockwise ones first and the dense one, if there is one, last. An output that
/// no one has used has no dy.
template <Real T>
struct LinearMapsBackward {
  Array<T> x;
  std::vector<Array<T>> blocks;
  Array<T> dense;  // or none

  Grads<T> operator()(const std::vector<Array<T>>& dys, const Want& want) const {
    const int64_t width = x.dim(-1), rows = x.size() / width;
    std::vector<BlockwiseBackward<T>> maps;
    for (size_t i = 0; i < blocks.size(); ++i) maps.emplace_back(blocks[i], rows, want[i + 1]);
    std::vector<DenseBackward<T>> last;
    if (dense.defined()) last.emplace_back(all_rows(dense), rows, want.back());
    auto dx = want[0] ? Array<T>::uninitialized(x.shape()) : Array<T>();
    T* dx_to = want[0] ? dx.edit() : nullptr;
    parallel_for(rows, kSummedRows, [&](int64_t begin, int64_t end) {
      each_chunk(begin, end, [&](int64_t row, int64_t n) {
        Store store = Store::replace;  // for the first map that is used
        const auto go_back = [&](const auto& map, const Array<T>& dy) {
          if (!dy.defined()) return;
          const T* g = dy.data() + row * dy.dim(-1);
          if (dx_to) map.dx(store, n, g, dx_to + row * width);
          map.add_dW(row, n, g, x.data() + row * width);
          store = Store::add;
        };
        for (size_t i = 0; i < maps.size(); ++i) go_back(maps[i], dys[i]);
        if (!last.empty()) go_back(last[0], dys.back());
      });
    });
    Grads<T> grads = {dx};
    for (size_t i = 0; i < maps.size(); ++i) {
      grads.push_back(want[i + 1] ? permute(sum(maps[i].dW_sums(), {0}), {1, 2, 0}) : Array<T>());
    }
    if (!last.empty()) grads.push_back(want.back() ? sum(last[0].dW_sums(), {0}) : Array<T>());
    return grads;
  }
};

/// dense is empty or one tensor.
template <Real T>
std::vector<Tensor<T>> linear_maps(const char* op, const Tensor<T>& x, const std::vector<Tensor<T>>& blocks,
                                   const std::vector<Tensor<T>>& dense) {
  const int64_t width = x.dim(-1);
  LinearMapsBackward<T> backward = {x.value(), {}, dense.empty() ? Array<T>() : dense[0].value()};
  std::vector<Tensor<T>> inputs = {x};
  std::vector<Array<T>> ys;
  std::vector<BlockwiseForward<T>> maps;
  for (const Tensor<T>& weight : blocks) {
    check_blocks(op, x, weight);
    inputs.push_back(weight);
    backward.blocks.push_back(weight.value());
    maps.emplace_back(weight.value());
    ys.push_back(Array<T>::uninitialized(x.shape()));
  }
  std::vector<DenseForward<T>> last;
  if (!dense.empty()) {
    const Array<T>& weight = dense[0].value();
    check_shape(weight.rank() == 2 && weight.dim(1) == width && weight.size() > 0,
                "{}: x must be (..., D) and the dense weight (O, D) with O, D >= 1: x is {}, weight is {}", op,
                x.shape(), weight.shape());
    inputs.push_back(dense[0]);
    last.emplace_back(all_rows(weight));
    Shape shape = x.shape();
    shape.back() = weight.dim(0);
    ys.push_back(Array<T>::uninitialized(shape));
  }
  std::vector<T*> to;
  for (Array<T>& y : ys) to.push_back(y.edit());
  parallel_for(x.value().size() / width, kCachedRows, [&](int64_t row, int64_t end) {
    const T* features = x.value().data() + row * width;
    for (size_t i = 0; i < maps.size(); ++i) maps[i](Store::replace, end - row, features, to[i] + row * width);
    if (!last.empty()) last[0](Store::replace, end - row, features, to.back() + row * dense[0].dim(0));
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
#undef INSTANTIATE

}  // namespace orthoread
