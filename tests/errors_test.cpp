// Provokes the mistakes of docs/errors.md. The page shows this code and the message.
#include "data/files.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/mlstm.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

const std::string kPage = read_file(std::string(ORTHOREAD_SOURCE_DIR) + "/docs/errors.md");

Tensor<double> zeros(const Shape& shape) { return Tensor<double>::leaf(Array<double>(shape)); }

/// An op whose backward does not sum the gradient of its broadcast second input.
Tensor<double> careless_add(const Tensor<double>& a, const Tensor<double>& b) {
  return record<double>("careless_add", add(a.value(), b.value()), {a, b},
                        [](const Array<double>& dy, const Want&) -> Grads<double> {
                          return {dy, dy};
                        });
}

// Checks that the page shows the statement and its message.
#define SHOWN(...)                                                                                     \
  {                                                                                                    \
    const std::string code = #__VA_ARGS__, message = thrown([&] { __VA_ARGS__; });                     \
    const std::string shown = "```cpp\n" + code + ";\n```\n\n```text\n" + message + "\n```\n";         \
    CHECK(message != "no error");                                                                      \
    CHECK_MESSAGE(kPage.find(shown) != std::string::npos, ("docs/errors.md does not show\n" + shown)); \
  }

}  // namespace

TEST_CASE("errors: gradients") {
  const Tensor<double> x = zeros({2, 3}), constant = Array<double>({2, 3});
  const Tensor<double> loss = sum(x * x);
  backward(loss);
  SHOWN(backward(x * x))
  SHOWN(backward(loss))
  SHOWN(zeros({}).grad().item())
  SHOWN(constant.grad())
  SHOWN((x * x).grad())
  SHOWN(backward(sum(constant)))
  SHOWN(const NoGrad off; backward(sum(x)))
  SHOWN(backward(x * x, Array<double>({3, 2})))
  SHOWN((x * x).edit())
  SHOWN(backward(sum(careless_add(x, zeros({3})))))
}

TEST_CASE("errors: shapes") {
  const Tensor<double> x = zeros({2, 3}), w = zeros({4, 3});
  SHOWN(x + zeros({2}))
  SHOWN(matmul(x, x))
  SHOWN(matmul(x, w))
  SHOWN(reshape(x, {4, 2}))
  SHOWN(sum(x, {2}))
  SHOWN(layer_norm(x, zeros({2})))
  SHOWN(concat<double>({x, w}, 1))
  SHOWN(cross_entropy(zeros({2, 5, 8}), Array<int64_t>({5, 2})))
  const Tensor<double> q = zeros({2, 5, 8}), gate = zeros({5, 2, 4});
  SHOWN(mlstm(q, q, q, gate, gate, MemoryRead::ns(5)))
}

TEST_CASE("errors: numbers") {
  const Tensor<double> x = zeros({2, 3});
  SHOWN(cross_entropy(x, Array<int64_t>({2}, {0, 3})))
  SHOWN(embedding(x, Array<int64_t>({1}, {2})))
  SHOWN(x.value().item())
}

TEST_CASE("errors: editing a tensor after its use is no error; the gradient is that of the numbers used") {
  Tensor<double> x = leaf({2}, {3, 4});
  const Tensor<double> loss = sum(x * x);
  x.edit()[0] = 100;
  backward(loss);
  CHECK(values(x.grad()) == Numbers{6, 8});
  CHECK(values(x.value()) == Numbers{100, 4});
}

TEST_CASE("errors: the page shows no other message, and all that the instructor's page quotes") {
  const auto occurrences = [](const std::string& text, const std::string& part) {
    int n = 0;
    for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  const std::string root = ORTHOREAD_SOURCE_DIR;
  CHECK(occurrences(kPage, "```cpp") == occurrences(read_file(root + "/tests/errors_test.cpp"), "\n  SHOWN("));
  const std::string page = read_file(root + "/docs/teaching.md");
  int quoted = 0;
  for (size_t at = page.find(": *"); at != page.npos; at = page.find(": *", at + 1), ++quoted) {
    const std::string message = page.substr(at + 3, page.find('*', at + 3) - at - 3);
    CHECK_MESSAGE(kPage.find(message) != kPage.npos, message);
  }
  CHECK(quoted == 4);
}
