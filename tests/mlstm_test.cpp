// The fused memory against its twin, the composed one, which is the definition. (In float: mlstm_float_test.cpp. What
// one token does to another: mlstm_tokens_test.cpp.)
#include "tests/gradient_check.h"
#include "tests/memory_inputs.h"

using namespace orthoread;

namespace {

void check_all_kinds(const std::vector<MemoryRead>& reads) {
  for (const MemoryKind& kind : kMemoryKinds) {
    CAPTURE(std::string(kind.name));
    for (const int64_t d : {2, 5, 16}) {  // up to 10 in lanes (ops/memory/narrow.h)
      CAPTURE(d);
      const Inputs<double> x = make(kind, 2, 37, 1, d);  // a chunk has 32 tokens
      const Array<double> dh = cotangent(x);
      for (const MemoryRead& read : reads) {
        CAPTURE(title(read));
        const Results<double> expected = twin<double>(x, read, dh);
        with_each_instruction_set([&] { check_close(x, dh, fused<double>(x, read, dh), expected, 1e-11); });
      }
    }
  }
}

}  // namespace

TEST_CASE("mlstm: value and gradients are those of the composed form") {
  check_all_kinds({MemoryRead::raw(), MemoryRead::ns(5, 0.3)});
}

TEST_CASE("mlstm: value and gradients are those of the composed form, for every read" * doctest::test_suite("long")) {
  check_all_kinds({std::begin(kReads), std::end(kReads)});
}

TEST_CASE("mlstm: any number of tokens" * doctest::test_suite("one thread")) {
  for (const int64_t S : {1, 2, 20, 32, 64, 70}) {  // a chunk has 32
    CAPTURE(S);
    for (const int64_t d : {6, 12}) {
      CAPTURE(d);
      const Inputs<double> x = plain(1, S, 2, d);
      const Array<double> dh = cotangent(x);
      for (const MemoryRead& read : kReads) {
        CAPTURE(title(read));
        const Results<double> expected = twin<double>(x, read, dh);
        with_each_instruction_set([&] { check_close(x, dh, fused<double>(x, read, dh), expected, 1e-11); });
      }
    }
  }
  CHECK(fused<double>(plain(2, 0, 1, 3), MemoryRead::ns(5), Array<double>({2, 0, 3}))[0].shape() == Shape{2, 0, 3});
}

TEST_CASE("mlstm: every width, those compiled as constants and others" * doctest::test_suite("one thread")) {
  for (const int64_t d : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 32, 48, 64, 96, 128}) {
    CAPTURE(d);
    // 34 tokens are more than a chunk. There are two heads where that is not too slow, as the rows of one are then not
    // the rows of the arrays.
    for (const bool deflated : {false, true}) {
      const MemoryKind& kind = deflated ? kMemoryKinds.back() : kMemoryKinds.front();
      CAPTURE(std::string(kind.name));
      const double limit32 = deflated ? 1e-4 : 2e-5;  // where keys are alike q.n is nearly 0 more often
      const Inputs<double> x = make(kind, 1, 34, d <= 48 ? 2 : 1, d);
      const Array<double> dh = cotangent(x);
      for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(3, 0.7)}) {
        CAPTURE(title(read));
        const Results<double> expected = twin<double>(x, read, dh);
        with_each_instruction_set([&] {
          check_close(x, dh, fused<double>(x, read, dh), expected, 1e-11);
          // At d = 1 there is nothing to check in float: q.n is one product, and as often as not nearly 0.
          if (d > 1) check_close(x, dh, fused<float>(x, read, dh), expected, limit32);
        });
      }
    }
  }
}

TEST_CASE("mlstm: an eigenpair deflated where the read of its singular value has a slope") {
  // The larger the eigenvalue, the nearer to 0 is the slope p'(s) that ops/memory/deflated_read.h speaks of, and small
  // eigenvalues are only deflated where the others are all alike. Keys and values here are nearly unit vectors, the
  // first one longer, so that its eigenvalue falls to 0.31 of the trace and the others have 1/52 each.
  Inputs<double> x = plain(1, 37, 1, 48);
  edit(x, key, [](double a, int64_t t, int64_t c) { return 0.02 * a + (c == t ? 1 : 0); });
  edit(x, value, [](double a, int64_t t, int64_t c) { return 0.02 * a + (c == t ? t == 0 ? 4 : 1 : 0); });
  edit(x, input_gate, [](double a, int64_t, int64_t) { return 0.1 * a; });
  const Array<double> dh = cotangent(x);
  for (const MemoryRead& read : {MemoryRead::ns(4), MemoryRead::ns(4, 0.5), MemoryRead::ns(5)}) {
    CAPTURE(title(read));
    const Results<double> expected = twin<double>(x, read, dh);
    with_each_instruction_set([&] { check_close(x, dh, fused<double>(x, read, dh), expected, 1e-12); });
  }
}

TEST_CASE("mlstm: gradients") {
  const Input features({2, 3, 4}), input_gates({2, 3, 2}), log_forgets(Shape{2, 3, 2}, -2, -0.1);
  const std::vector<Input> inputs = {features, features, features, input_gates, log_forgets};
  for (const MemoryRead& read : kReads) {
    check_gradient("mlstm, " + title(read), inputs,
                   [&](const auto& x) { return mlstm(x[0], x[1], x[2], x[3], x[4], read); });
  }
  const ReadMask mask({2, 3}, {0, 1, 1, 1, 0, 0});
  check_gradient("mlstm, masked", inputs,
                 [&](const auto& x) { return mlstm(x[0], x[1], x[2], x[3], x[4], MemoryRead::ns(5), mask); });
}

TEST_CASE_TEMPLATE("mlstm: the same bits on any number of threads, and without a history", T, float, double) {
  for (const int64_t d : {6, 17}) {
    const Inputs<double> x = plain(3, 40, 2, d);
    const Array<double> dh = cotangent(x);
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)}) {
      with_each_instruction_set([&] {
        set_threads(1);
        const Results<T> one = fused<T>(x, read, dh);
        for (const int n : {2, 3}) {
          set_threads(n);
          const Results<T> several = fused<T>(x, read, dh);
          for (size_t r = 0; r < one.size(); ++r) CHECK_MESSAGE(same_bits(one[r], several[r]), kNames[r]);
        }
        const NoGrad no_grad;
        const auto constant = [&](size_t i) { return Tensor<T>::leaf(cast<T>(x[i])); };
        const Tensor<T> h = mlstm(constant(0), constant(1), constant(2), constant(3), constant(4), read);
        CHECK(!h.needs_grad());
        CHECK(same_bits(h.value(), one[0]));
      });
    }
  }
}

TEST_CASE("mlstm: gates of any size stay finite" * doctest::test_suite("one thread")) {
  for (const int64_t d : {5, 12}) {
    Inputs<double> x = plain(1, 4, 1, d);
    x[input_gate] = Array<double>({1, 4, 1}, {-700, 900, -1000, 950});
    x[log_forget] = Array<double>({1, 4, 1}, {-0.1, -700, -1e-9, -900});
    Inputs<double> beyond = x;  // exp(-m) is infinite at the first token
    beyond[input_gate].edit()[0] = -800;
    const Array<double> dh = cotangent(x);
    const auto check_finite = []<Real T>(const Results<T>& results) {
      for (const Array<T>& result : results)
        for (const T number : values(result)) CHECK(std::isfinite(number));
    };
    for (const MemoryRead& read : kReads) {
      CAPTURE(title(read));
      const Results<double> expected = twin<double>(x, read, dh);
      with_each_instruction_set([&] {
        check_close(x, dh, fused<double>(x, read, dh), expected, 1e-11);
        check_finite(fused<float>(x, read, dh));
        check_finite(fused<double>(beyond, read, dh));
      });
    }
  }
}

TEST_CASE("mlstm: what does not fit") {
  const auto run_with = [](const Inputs<double>& x, const MemoryRead& read, const ReadMask& mask = {}) {
    return thrown([&] { mlstm<double>(x[0], x[1], x[2], x[3], x[4], read, mask); });
  };
  const Inputs<double> x = plain(1, 2, 3, 4);
  Inputs<double> y = x;
  y[input_gate] = Array<double>({1, 2, 5});
  CHECK(run_with(y, MemoryRead::raw()) ==
        "mlstm: query, key and value must be (B, S, H d), the gates (B, S, H): query is [1, 2, 12], key [1, 2, 12], "
        "value [1, 2, 12], input gate [1, 2, 5], log forget gate [1, 2, 3]");
  CHECK(run_with(x, MemoryRead::ns(5), ReadMask({2, 1})) ==
        "mlstm: the mask must be (B, S): the mask is [2, 1], query is [1, 2, 12]");
  for (const int steps : {-1, 11})
    CHECK(run_with(x, MemoryRead::ns(steps)) ==
          fmt::format("mlstm: from 0 to 10 Newton-Schulz steps are possible, not {}", steps));

  MlstmState<double> state(2);
  CHECK(thrown([&] { mlstm_stream<double>(x[0], x[1], x[2], x[3], x[4], MemoryRead::ns(5), state); }) ==
        "mlstm_stream: 2 memories for 3 heads of [1, 2, 12]");
}
