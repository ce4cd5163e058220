// Stop 3: what a node keeps, in bytes, and what it forgets.
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/reduce.h"

#include <functional>

using namespace orthoread;

// Arrays take their memory from here while it is installed, so that we can count.
struct Counter : std::pmr::memory_resource {
  int64_t live = 0;

  void* do_allocate(size_t bytes, size_t alignment) override {
    live += static_cast<int64_t>(bytes);
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    live -= static_cast<int64_t>(bytes);
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};
Counter counter;

// Keeps the node that an op makes and lets go of its result: the bytes that stay are the node's.
void show_kept(const char* name, const std::function<Tensor<double>()>& op) {
  const int64_t before = counter.live;
  const Edge<double> edge = op().edge();
  fmt::print("{:<14} keeps {:>5} bytes: node {} has {} inputs\n", name, counter.live - before, edge.node->number,
             edge.node->inputs.size());
}

int main() {
  std::pmr::set_default_resource(&counter);
  const auto x = Tensor<double>::leaf(Array<double>({10, 100}));
  const auto w = Tensor<double>::leaf(Array<double>({100, 5}));
  fmt::print("x is {} bytes, w {}\n", x.value().size() * 8, w.value().size() * 8);
  show_kept("x + x", [&] { return x + x; });
  show_kept("x * x", [&] { return x * x; });
  show_kept("exp(x)", [&] { return exp(x); });
  show_kept("sum(x)", [&] { return sum(x); });
  show_kept("x @ w", [&] { return matmul(x, w); });
  show_kept("exp(x) + x", [&] { return exp(x) + x; });
  show_kept("exp(x) * x", [&] { return exp(x) * x; });

  const int64_t before = counter.live;
  const Tensor<double> loss = sum(exp(matmul(x, w)));
  fmt::print("\nloss = sum(exp(x @ w)) keeps {} bytes, 8 of them the loss\n", counter.live - before);
  backward(loss);
  fmt::print("after backward               {} bytes: the loss and the two gradients\n", counter.live - before);
}
