// The engine: record, backward, NoGrad.
#include "core/tensor.h"

#include "core/parameters.h"
#include "tests/support.h"

#include <pthread.h>

using namespace orthoread;

namespace {

/// y = factor x; `visits` counts its visits by backward.
Tensor<double> times(const Tensor<double>& x, double factor, int* visits = nullptr) {
  Array<double> y = x.value();
  for (int64_t i = 0; i < y.size(); ++i) y.edit()[i] *= factor;
  return record<double>("times", y, {x}, [factor, visits](const Array<double>& dy, const Want&) -> Grads<double> {
    if (visits != nullptr) ++*visits;
    Array<double> dx = dy;
    for (int64_t i = 0; i < dx.size(); ++i) dx.edit()[i] *= factor;
    return {dx};
  });
}

/// a + b, whose backward sends the same array to both.
Tensor<double> plus(const Tensor<double>& a, const Tensor<double>& b, int* visits = nullptr) {
  Array<double> y = a.value();
  for (int64_t i = 0; i < y.size(); ++i) y.edit()[i] += b.value().data()[i];
  return record<double>("plus", y, {a, b}, [visits](const Array<double>& dy, const Want&) -> Grads<double> {
    if (visits != nullptr) ++*visits;
    return {dy, dy};
  });
}

/// Both halves of a pair, as outputs of one node.
std::vector<Tensor<double>> halves(const Tensor<double>& x) {
  const double* v = x.value().data();
  return record_many<double>(
      "halves", {Array<double>({}, {v[0]}), Array<double>({}, {v[1]})}, {x},
      [](const std::vector<Array<double>>& dys, const Want&) -> Grads<double> {
        return {Array<double>({2}, {dys[0].defined() ? dys[0].item() : 0, dys[1].defined() ? dys[1].item() : 0})};
      });
}

const Array<double> kOne({}, {1});

/// Runs `body` on a thread with a stack of 128 KiB: recursion over a long chain overflows it.
template <class Body>
void on_a_small_stack(Body body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 1 << 17) == 0);
  pthread_t thread;
  const auto start = [](void* argument) -> void* {
    (*static_cast<Body*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, start, &body) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

Tensor<double> chain(Tensor<double> x, int length) {
  for (int i = 0; i < length; ++i) x = times(x, 1);
  return x;
}

}  // namespace

TEST_CASE("tensor: b = a + a, c = b + b visits b once") {
  const auto a = leaf({}, {3});
  int b_visits = 0;
  const Tensor<double> b = plus(a, a, &b_visits), c = plus(b, b);
  backward(c);
  CHECK(c.value().item() == 12);
  CHECK(a.grad().item() == 4);
  CHECK(b_visits == 1);
}

TEST_CASE("tensor: fifty doublings are fifty visits, not 2^50") {
  const auto a = leaf({}, {1});
  int visits = 0;
  Tensor<double> x = a;
  for (int i = 0; i < 50; ++i) x = plus(x, x, &visits);
  backward(x);
  CHECK(a.grad().item() == 0x1p50);
  CHECK(visits == 50);
}

TEST_CASE("tensor: a diamond with sides of different length") {
  const auto a = leaf({}, {1});
  int visits = 0;
  const Tensor<double> top = times(a, 2, &visits);
  backward(plus(chain(times(top, 3), 5), top));
  CHECK(a.grad().item() == 8);
  CHECK(visits == 1);
}

TEST_CASE("tensor: leaves accumulate gradients until they are cleared, as in PyTorch") {
  Tensor<double> a = leaf({}, {1});
  CHECK(!a.grad().defined());
  const std::string none =
      "array: it is undefined, without numbers; a leaf has a gradient once backward(loss) has reached it";
  CHECK(thrown([&] { a.grad().item(); }) == none);
  CHECK(thrown([&] { a.grad().data(); }) == none);
  backward(times(a, 2));
  const Array<double> first = a.grad();
  backward(times(a, 3));
  CHECK(a.grad().item() == 5);
  CHECK(first.item() == 2);  // a gradient read earlier does not change
  const Parameters<double> parameters = {{"a", &a}};
  CHECK(count(parameters) == 1);
  clear_grads(parameters);
  CHECK(!a.grad().defined());
  backward(times(a, 3));
  CHECK(a.grad().item() == 3);
}

TEST_CASE("tensor: every number of a long gradient is added") {
  constexpr int64_t kLong = 100'000;  // several chunks
  const auto a = Tensor<double>::leaf(Array<double>({kLong}));
  Array<double> cotangent({kLong}), twice({kLong});
  for (int64_t i = 0; i < kLong; ++i) {
    cotangent.edit()[i] = static_cast<double>(i);
    twice.edit()[i] = static_cast<double>(2 * i);
  }
  backward(plus(a, a), cotangent);
  CHECK(same_bits(a.grad(), twice));
}

TEST_CASE("tensor: gradients that share a buffer do not affect each other") {
  const auto a = leaf({}, {1}), b = leaf({}, {1});
  const Tensor<double> y = plus(a, b);  // sends one array to both
  backward(plus(y, a));
  CHECK(a.grad().item() == 2);
  CHECK(b.grad().item() == 1);
}

TEST_CASE("tensor: a leaf can be the result, and be edited") {
  Tensor<double> a = leaf({2}, {1, 2});
  backward(a, Array<double>({2}, {3, 4}));
  CHECK(values(a.grad()) == Numbers{3, 4});
  backward(a, Array<double>({2}, {10, 20}));
  CHECK(values(a.grad()) == Numbers{13, 24});
  const Tensor<double> before = a;
  a.edit()[0] = 9;
  CHECK(values(a.value()) == Numbers{9, 2});
  CHECK(values(before.value()) == Numbers{1, 2});
}

TEST_CASE("tensor: a graph serves one pass") {
  const std::string message =
      "backward: a graph serves one pass, and times was in an earlier one; run the forward pass again";
  const auto a = leaf({}, {1});
  const Tensor<double> shared = times(a, 2), y = times(shared, 3), z = times(shared, 5);
  backward(y);
  CHECK(a.grad().item() == 6);
  CHECK(thrown([&] { backward(y); }) == message);
  CHECK(thrown([&] { backward(z); }) == message);  // reaches `shared` again
  CHECK(a.grad().item() == 6);
}

TEST_CASE("tensor: backward releases the saved arrays") {
  const auto kept = std::make_shared<int>(0);
  const auto a = leaf({}, {1});
  const Tensor<double> y =
      record<double>("op", kOne, {a}, [kept](const Array<double>& dy, const Want&) -> Grads<double> { return {dy}; });
  CHECK(kept.use_count() == 2);
  CHECK(a.edge().node.use_count() == 2);
  backward(y);
  CHECK(kept.use_count() == 1);
  CHECK(a.edge().node.use_count() == 1);
  CHECK(!y.edge().node->grads[0].defined());
}

TEST_CASE("tensor: forward, backward and destruction of a chain of a million nodes do not overflow the stack" *
          doctest::test_suite("long")) {
  constexpr int kMillion = 1'000'000;
  on_a_small_stack([] {
    const auto a = leaf({}, {3});
    backward(chain(a, kMillion));
    CHECK(a.grad().item() == 1);
  });
  on_a_small_stack([] { chain(leaf({}, {3}), kMillion); });  // destroyed without backward
  on_a_small_stack([] {
    Tensor<double> x = leaf({}, {0});
    for (int i = 0; i < kMillion / 10; ++i) x = plus(x, x);  // two edges each
  });
}

TEST_CASE("tensor: destroying one user of a graph keeps it for the others") {
  const auto a = leaf({}, {1});
  Tensor<double> middle = times(a, 2);
  { const Tensor<double> dropped = chain(middle, 10); }
  const Tensor<double> y = times(middle, 3);
  middle = kOne;
  backward(y);
  CHECK(a.grad().item() == 6);
}

TEST_CASE("tensor: several outputs, some unused") {
  const auto x = leaf({2}, {5, 7});
  backward(halves(x)[1]);
  CHECK(values(x.grad()) == Numbers{0, 1});
  const auto both = halves(x);
  backward(plus(times(both[0], 2), plus(both[1], both[0])));
  CHECK(values(x.grad()) == Numbers{3, 2});
}

TEST_CASE("tensor: constants") {
  const Tensor<double> c = kOne;
  const auto a = leaf({}, {2});
  CHECK(!c.needs_grad());
  CHECK(!times(c, 2).needs_grad());  // nothing to record
  CHECK(plus(c, a).needs_grad());
  Want wanted;
  const Tensor<double> y = record<double>("op", kOne, {c, a}, [&](const Array<double>& dy, const Want& want) {
    wanted = want;
    return Grads<double>{{}, dy};
  });
  backward(y);
  CHECK(wanted == Want{false, true});
  CHECK(a.grad().item() == 1);
  backward(plus(c, a));  // the gradient of a constant is dropped
  CHECK(a.grad().item() == 2);
  CHECK(thrown([&] { backward(c); }) ==
        "backward: the result depends on no leaf (made by Tensor::leaf, used without NoGrad)");
}

TEST_CASE("tensor: NoGrad records nothing on its thread while it exists") {
  const auto a = leaf({}, {1});
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      CHECK(!times(a, 2).needs_grad());
    }
    CHECK(!times(a, 2).needs_grad());
    on_a_small_stack([&] { CHECK(times(a, 2).needs_grad()); });
  }
  CHECK(times(a, 2).needs_grad());
  try {
    const NoGrad gone;
    throw Error("on the way out");
  } catch (const Error&) {
  }
  CHECK(times(a, 2).needs_grad());
}

TEST_CASE("tensor: wrong gradients are refused by name and shape") {
  const auto a = leaf({2}, {1, 2});
  const auto with = [&](Grads<double> grads) {
    return record<double>("bad", kOne, {a}, [grads](const Array<double>&, const Want&) { return grads; });
  };
  CHECK(thrown([&] { backward(with({Array<double>({3})})); }) ==
        "backward of bad: the gradient of input 0 must have the input's shape [2], it has [3]");
  CHECK(thrown([&] { backward(with({})); }) == "backward of bad: 0 gradients for 1 inputs");
  CHECK(thrown([&] { backward(a); }) == "backward: the loss must be one number, not [2]; take its mean or sum");
  CHECK(thrown([&] { backward(a, kOne); }) == "backward: the cotangent must have the result's shape [2], it has []");
}

TEST_CASE("tensor: errors of functions for leaves") {
  const auto a = leaf({}, {1});
  Tensor<double> y = times(a, 2), c = kOne;
  const std::string constant = ": this is a constant; make a parameter with Tensor::leaf";
  const std::string result = ": this is a result of times; only leaves have a gradient and can be written";
  CHECK(thrown([&] { y.grad(); }) == "grad" + result);
  CHECK(thrown([&] { y.edit(); }) == "edit" + result);
  CHECK(thrown([&] { c.grad(); }) == "grad" + constant);
  CHECK(thrown([&] { c.set_grad(kOne); }) == "set_grad" + constant);
  backward(y);
  CHECK(thrown([&] { y.grad(); }) == "grad" + result);
}

TEST_CASE("tensor: an observer sees each visit twice, before and after the release") {
  const auto kept = std::make_shared<int>(0);
  const auto a = leaf({}, {1});
  const Tensor<double> twice = times(a, 2);
  const Tensor<double> y =
      record<double>("op", kOne, {twice}, [kept](const Array<double>& dy, const Want&) { return Grads<double>{dy}; });
  std::vector<std::string> seen;
  backward_observer<double> = [&](const Node<double>& node, const Grads<double>& grads) {
    seen.push_back(node.spent ? fmt::format("{} keeps {}", node.op, node.backward ? "more" : "nothing")
                              : fmt::format("{}: {} -> {}, {} users of what it keeps", node.op, node.grads[0].item(),
                                            grads[0].item(), kept.use_count()));
  };
  backward(y, Array<double>({}, {3}));
  backward_observer<double> = nullptr;
  CHECK(seen == std::vector<std::string>{"op: 3 -> 3, 2 users of what it keeps", "op keeps nothing",
                                         "times: 3 -> 6, 1 users of what it keeps", "times keeps nothing"});
  backward(times(a, 2));
  CHECK(seen.size() == 4);
}
