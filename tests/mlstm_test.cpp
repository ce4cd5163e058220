// The fused memory against its twin, the composed one, which is the definition.
#include "tests/fused_memory.h"
#include "tests/gradient_check.h"

#include <map>

using namespace orthoread;

namespace {

/// Numbers of the size that a model has: a key of norm 1, a forget gate near 0.98.
Inputs<double> plain(int64_t B, int64_t S, int64_t H, int64_t d) {
  const double key = std::sqrt(3 / static_cast<double>(d));
  return {uniform_array({B, S, H * d}, 1), uniform_array({B, S, H * d}, 2, -key, key), uniform_array({B, S, H * d}, 3),
          uniform_array({B, S, H}, 4), uniform_array({B, S, H}, 5, -0.04, 0)};
}

/// Array `input` of x, each number replaced by change(number, token, column).
template <class Change>
void edit(Inputs<double>& x, size_t input, const Change& change) {
  const int64_t S = x[input].dim(1), row = x[input].dim(2);
  double* to = x[input].edit();
  for (int64_t i = 0; i < x[input].size(); ++i) to[i] = change(to[i], i / row % S, i % row);
}

/// Every second token takes back what the one before has stored, but for this part.
void take_back(Inputs<double>& x, double part) {
  edit(x, key, [](auto, int64_t t, int64_t c) { return std::sin(double(1 + t / 2 * 13 + 7 * c)); });
  edit(x, value, [&](double v, int64_t t, int64_t c) {
    return part * v + (t % 2 ? -1 : 1) * std::sin(double(2 + t / 2 * 11 + 5 * c));
  });
  edit(x, input_gate, [](auto...) { return 0.0; });
  edit(x, log_forget, [](auto...) { return -1e-3; });
}

/// Adds what the tokens of these inputs share, or of tokens t % `kinds` alike.
void make_alike(Inputs<double>& x, std::initializer_list<size_t> inputs, double scatter = 1, int64_t kinds = 1) {
  for (const size_t input : inputs)
    edit(x, input,
         [&](double a, int64_t t, int64_t c) { return scatter * a + std::sin(double(1 + t % kinds * 11 + 7 * c)); });
}

/// Takes out of the queries what make_alike adds.
void turn_queries_away(Inputs<double>& x) {
  const int64_t d = x[query].dim(2);
  double* q = x[query].edit();
  for (int64_t i = 0; i < x[query].size(); i += d) {
    double along = 0, size = 0;
    for (int64_t c = 0; c < d; ++c) {
      along += q[i + c] * std::sin(double(1 + 7 * c));
      size += std::pow(std::sin(double(1 + 7 * c)), 2);
    }
    for (int64_t c = 0; c < d; ++c) q[i + c] -= along / size * std::sin(double(1 + 7 * c));
  }
}

/// What makes memories that are hard to orthogonalize, or to carry from token to token.
struct Kind {
  const char* name;
  std::function<void(Inputs<double>&)> make;
  bool lasting = false;  // compared in wide heads and long sequences too
  double limit = 2;      // of the errors in float, in units of the composed form's
};

const std::vector<Kind> kKinds = {
    {"plain", [](auto&) {}, true},
    {"strong forgetting", [](auto& x) { edit(x, log_forget, [](double f, auto...) { return 100 * f - 1; }); }},
    {"no forgetting", [](auto& x) { edit(x, log_forget, [](auto...) { return 0.0; }); }},
    {"strong input gates", [](auto& x) { edit(x, input_gate, [](double i, auto...) { return 30 * i; }); }},
    {"weak input gates", [](auto& x) { edit(x, input_gate, [](double i, auto...) { return i - 9; }); }},
    {"gates at a tie",  // lf + m = i at every token: half of the gradient each
     [](auto& x) {
       for (const size_t gate : {input_gate, log_forget}) edit(x, gate, [](auto...) { return 0.0; });
     }},
    {"repeated keys",
     [](auto& x) { edit(x, key, [](auto, int64_t t, int64_t c) { return std::sin(double(1 + t % 3 + 7 * c)); }); },
     true},
    {"one key and one value: rank one",
     [](auto& x) {
       for (const size_t input : {key, value})
         edit(x, input, [](auto, auto, int64_t c) { return std::sin(double(1 + 7 * c)); });
     }},
    {"every second token takes back what the one before has stored: C^T C cancels", [](auto& x) { take_back(x, 1e-3); },
     true},
    {"every second token takes back most of what the one before has stored", [](auto& x) { take_back(x, 0.1); }, true},
    {"zero keys at first", [](auto& x) { edit(x, key, [](double k, int64_t t, auto) { return t < 5 ? 0 : k; }); }},
    {"a zero memory at the first token",
     [](auto& x) { edit(x, value, [](double v, int64_t t, auto) { return t == 0 ? 0 : v; }); }},
    {"zero keys", [](auto& x) { edit(x, key, [](auto...) { return 0.0; }); }},
    {"|C| below eps", [](auto& x) { edit(x, key, [](double k, auto...) { return 1e-8 * k; }); }},
    {"|C| far below eps", [](auto& x) { edit(x, key, [](double k, auto...) { return 1e-20 * k; }); }},
    {"a denominator at a tie",  // |q.n| = exp(-m) = 1 at every token: half of the gradient each
     [](auto& x) {
       for (const size_t gate : {input_gate, log_forget}) edit(x, gate, [](auto...) { return 0.0; });
       edit(x, key, [](auto, int64_t t, int64_t c) { return t == 0 && c == 0 ? 1.0 : 0.0; });
       edit(x, query, [](double q, int64_t t, int64_t c) { return c > 0 ? q : t % 2 ? -1.0 : 1.0; });
     }},
    {"queries and keys alike, as in training: gradients cancel along the largest singular vector of C",
     [](auto& x) {
       make_alike(x, {query, key});
     },
     true},
    {"queries, keys and values alike",
     [](auto& x) {
       make_alike(x, {query, key, value});
     },
     true},
    {"queries, keys and values nearly the same",
     [](auto& x) {
       make_alike(x, {query, key, value}, 0.3);
     }},
    {"queries orthogonal to what keys have in common",
     [](auto& x) {
       make_alike(x, {key, value}, 0.3);
       turn_queries_away(x);
     },
     true},
    {"keys and values of two directions: two large eigenvalues",
     [](auto& x) {
       make_alike(x, {key, value}, 0.3, 2);
     },
     true},
    {"keys and values along two axes: the composed form's products have few terms, and so few roundings",
     [](auto& x) {
       for (const size_t input : {key, value})
         edit(x, input, [](double a, int64_t t, int64_t c) { return 0.03 * a + (c == t % 2 ? 2 : 0); });
       for (const size_t gate : {input_gate, log_forget}) edit(x, gate, [](auto...) { return 0.0; });
     },
     false, 2.6},
    {"keys and values alike: C^T C has a dominant eigenpair, which is deflated",
     [](auto& x) {
       make_alike(x, {key, value});
     },
     true},
};

Inputs<double> make(const Kind& kind, int64_t B, int64_t S, int64_t H, int64_t d) {
  Inputs<double> x = plain(B, S, H, d);
  kind.make(x);
  return x;
}

const MemoryRead kReads[] = {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(1),      MemoryRead::ns(3),
                             MemoryRead::ns(5), MemoryRead::ns(8), MemoryRead::ns(5, 0.3), MemoryRead::ns(2, 0)};

/// A cotangent for the outputs of x.
Array<double> cotangent(const Inputs<double>& x) { return uniform_array(x[query].shape(), 9, -1, 1); }

/// Checks the results against expected ones, with errors relative to the sizes above.
template <Real T>
void check_close(const Inputs<double>& x, const Array<double>& dh, const Results<T>& actual,
                 const Results<double>& expected, double limit) {
  const std::vector<double> size = sizes(x, dh, expected);
  for (size_t r = 0; r < expected.size(); ++r) {
    REQUIRE(actual[r].shape() == expected[r].shape());
    double worst = 0;
    for (int64_t i = 0; i < expected[r].size(); ++i) {
      const double error = std::abs(value_of(actual[r].data()[i]) - expected[r].data()[i]);
      if (!(error <= worst || std::isnan(worst))) worst = error;  // a NaN stays
    }
    if (worst == 0) continue;  // a size may be 0, too
    CHECK_MESSAGE(worst / size[r] <= limit, fmt::format("{} is off by {:.1e}", kNames[r], worst / size[r]));
  }
}

/// Errors of the fused memory in float, in units of the composed one's.
///
/// Where q.n is nearly 0 an output and its gradients grow, and their errors with them: a sequence's error is the root
/// mean square over its numbers, and ratios of those scatter so much that only their geometric mean over many sequences
/// means something.
class FloatErrors {
 public:
  /// B sequences of S tokens, one head of width d.
  void compare(const Kind& kind, const MemoryRead& read, int64_t B, int64_t S, int64_t d) {
    CAPTURE(std::string(kind.name));
    CAPTURE(title(read));
    CAPTURE(S);
    CAPTURE(d);
    Inputs<double> x;
    for (const Array<double>& a : make(kind, B, S, 1, d)) x.push_back(cast<double>(cast<float>(a)));
    const Array<double> dh = cotangent(x);
    const Results<double> exact = twin<double>(x, read, dh);
    const auto errors = [&](const Results<float>& results, size_t r) {
      const int64_t size = exact[r].size() / B;
      Numbers sums(static_cast<size_t>(B));
      for (int64_t i = 0; i < exact[r].size(); ++i)
        sums[static_cast<size_t>(i / size)] += std::pow(value_of(results[r].data()[i]) - exact[r].data()[i], 2);
      return sums;
    };
    const Results<float> composed = twin<float>(x, read, dh);
    with_each_instruction_set([&] {
      const Results<float> ours = fused<float>(x, read, dh);
      for (size_t r = 0; r < ours.size(); ++r) {
        const Numbers error = errors(ours, r), allowed = errors(composed, r);
        double logs = 0;
        for (size_t b = 0; b < error.size(); ++b)
          if (error[b] != 0) logs += std::log(error[b] / allowed[b]) / 2;  // no error counts as much as the twin's
        const double ratio = std::exp(logs / static_cast<double>(B));
        CHECK_MESSAGE(ratio <= kind.limit, fmt::format("{}: {:.2f} times the error", kNames[r], ratio));
        Mean& mean = means_[fmt::format("{}, {}, {}", title(read), name(instruction_set()), kNames[r])];
        mean.logs += logs;
        mean.count += static_cast<double>(B);
      }
    });
  }

  /// Of each read, instruction set and result, over all sequences that were compared.
  void check_means() const {
    for (const auto& of : means_) {
      const double ratio = std::exp(of.second.logs / of.second.count);
      CHECK_MESSAGE(ratio <= 1.5, fmt::format("{}: {:.2f} times the error", of.first, ratio));
    }
  }

 private:
  struct Mean {
    double logs = 0, count = 0;
  };
  std::map<std::string, Mean> means_;
};

/// The numbers of tokens [begin, end).
template <Real T>
Array<T> tokens(const Array<T>& x, int64_t begin, int64_t end) {
  Array<T> part({x.dim(0), end - begin, x.dim(2)});
  for (int64_t b = 0; b < x.dim(0); ++b)
    std::copy_n(x.data() + (b * x.dim(1) + begin) * x.dim(2), part.size() / x.dim(0),
                part.edit() + b * part.size() / x.dim(0));
  return part;
}

}  // namespace

TEST_CASE("mlstm: value and gradients are those of the composed form") {
  for (const Kind& kind : kKinds) {
    CAPTURE(std::string(kind.name));
    const Inputs<double> x = make(kind, 2, 37, 1, 16);  // a chunk has 32 tokens
    const Array<double> dh = cotangent(x);
    for (const MemoryRead& read : kReads) {
      CAPTURE(title(read));
      const Results<double> expected = twin<double>(x, read, dh);
      with_each_instruction_set([&] { check_close(x, dh, fused<double>(x, read, dh), expected, 1e-11); });
    }
  }
}

TEST_CASE("mlstm: any number of tokens") {
  for (const int64_t S : {1, 2, 20, 32, 64, 70}) {  // a chunk has 32
    CAPTURE(S);
    const Inputs<double> x = plain(1, S, 2, 6);
    const Array<double> dh = cotangent(x);
    for (const MemoryRead& read : kReads) {
      CAPTURE(title(read));
      const Results<double> expected = twin<double>(x, read, dh);
      with_each_instruction_set([&] { check_close(x, dh, fused<double>(x, read, dh), expected, 1e-11); });
    }
  }
  CHECK(fused<double>(plain(2, 0, 1, 3), MemoryRead::ns(5), Array<double>({2, 0, 3}))[0].shape() == Shape{2, 0, 3});
}

TEST_CASE("mlstm: every width, those compiled as constants and others") {
  for (const int64_t d : {1, 5, 16, 17, 32, 48, 64, 96, 128}) {
    CAPTURE(d);
    // The widest have chunks of 16 tokens. There are two heads, as the rows of one are then not the rows of the arrays.
    for (const bool deflated : {false, true}) {
      const Kind& kind = deflated ? kKinds.back() : kKinds.front();
      CAPTURE(std::string(kind.name));
      const double limit32 = deflated ? 1e-4 : 2e-5;  // where keys are alike q.n is nearly 0 more often
      const Inputs<double> x = make(kind, 1, d <= 48 ? 34 : 18, d <= 48 ? 2 : 1, d);
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

TEST_CASE("mlstm: in float, at most twice the errors of the composed form") {
  FloatErrors errors;
  for (const Kind& kind : kKinds) {
    for (const MemoryRead& read : kReads)
      if (read.steps <= 5) errors.compare(kind, read, 16, 40, 32);
    for (const int steps : {6, 7, 8}) errors.compare(kind, MemoryRead::ns(steps), 4, 40, 32);  // computed in double
  }
  errors.check_means();
}

TEST_CASE("mlstm: in float, at most twice the errors of the composed form, in wide heads and long sequences") {
  FloatErrors errors;
  for (const Kind& kind : kKinds) {
    if (!kind.lasting) continue;
    errors.compare(kind, MemoryRead::ns(5), 16, 34, 48);
    errors.compare(kind, MemoryRead::ns(5), 16, 24, 64);
    errors.compare(kind, MemoryRead::ns(5), 16, 128, 32);
  }
  errors.check_means();
}

TEST_CASE("mlstm: in float, reads of more than five steps are exact but for the rounding of what is returned") {
  Inputs<double> x;
  for (const Array<double>& a : make(kKinds.back(), 2, 40, 1, 32)) x.push_back(cast<double>(cast<float>(a)));
  const Array<double> dh = cotangent(x);
  for (const int steps : {6, 7, 10}) {
    CAPTURE(steps);
    check_close(x, dh, fused<float>(x, MemoryRead::ns(steps), dh), twin<double>(x, MemoryRead::ns(steps), dh), 0x1p-24);
  }
}

TEST_CASE("mlstm: gradients") {
  const Input features({2, 3, 4}), input_gates({2, 3, 2}), log_forgets(Shape{2, 3, 2}, -2, -0.1);
  const std::vector<Input> inputs = {features, features, features, input_gates, log_forgets};
  for (const MemoryRead& read : kReads) {
    check_gradient("mlstm, " + title(read), inputs,
                   [&](const auto& x) { return mlstm(x[0], x[1], x[2], x[3], x[4], read); });
  }
  const ReadMask wanted({2, 3}, {0, 1, 1, 1, 0, 0});
  check_gradient("mlstm, wanted", inputs,
                 [&](const auto& x) { return mlstm(x[0], x[1], x[2], x[3], x[4], MemoryRead::ns(5), wanted); });
}

TEST_CASE("mlstm: outputs that are not wanted are 0 and change nothing") {
  constexpr int64_t B = 2, S = 70, H = 2, d = 16;
  const Inputs<double> x = plain(B, S, H, d);
  for (const int64_t every : {1, 2, 20, 1000}) {  // all, half, too far apart for C^T C to be carried along, none
    CAPTURE(every);
    ReadMask wanted({B, S});
    Array<double> zeroed = cotangent(x), ignored = zeroed;
    for (int64_t i = 0; i < B * S; ++i) {
      const bool is_wanted = (i % S + i / S) % every == every / 2;  // not the same tokens of each sequence
      wanted.edit()[i] = is_wanted ? 1 : 0;
      if (is_wanted) continue;
      std::fill_n(zeroed.edit() + i * H * d, H * d, 0.0);
      std::fill_n(ignored.edit() + i * H * d, H * d, kNaN);  // not even looked at
    }
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(5, 0.6)}) {
      CAPTURE(title(read));
      with_each_instruction_set([&] {
        const Results<double> masked = fused<double>(x, read, ignored, wanted);
        Results<double> all = fused<double>(x, read, zeroed);
        double* h = all[0].edit();
        for (int64_t i = 0; i < all[0].size(); ++i) h[i] *= wanted.data()[i / (H * d)];
        check_close(x, zeroed, masked, all, 1e-13);
      });
    }
    const MemoryRead in_double = MemoryRead::ns(8);  // also of floats
    Results<double> all = twin<double>(x, in_double, zeroed);
    for (int64_t i = 0; i < all[0].size(); ++i) all[0].edit()[i] *= wanted.data()[i / (H * d)];
    check_close(x, zeroed, fused<float>(x, in_double, ignored, wanted), all, 1e-6);
  }
}

TEST_CASE_TEMPLATE("mlstm_stream: the same bits in pieces of any size", T, float, double) {
  constexpr int64_t B = 2, S = 75, H = 2;
  for (const int64_t d : {5, 48}) {
    CAPTURE(d);
    const Inputs<double> inputs = plain(B, S, H, d);
    Inputs<T> x;
    for (const Array<double>& a : inputs) x.push_back(cast<T>(a));
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(5), MemoryRead::ns(8, 0.5)}) {
      CAPTURE(title(read));
      with_each_instruction_set([&] {
        const Array<T> whole = mlstm<T>(x[0], x[1], x[2], x[3], x[4], read).value();
        MlstmState<T> state;
        int64_t begin = 0;
        size_t kept = 0;
        for (const int64_t piece : {1, 1, 3, 32, 1, 20, 17}) {
          Inputs<T> part;
          for (const Array<T>& a : x) part.push_back(tokens(a, begin, begin + piece));
          const Array<T> h = mlstm_stream<T>(part[0], part[1], part[2], part[3], part[4], read, state);
          CHECK(same_bits(h, tokens(whole, begin, begin + piece)));
          begin += piece;
          if (kept == 0) kept = state[0].numbers.size();
          CHECK(state[0].numbers.size() == kept);  // constant memory
        }
        CHECK(begin == S);
      });
    }
  }
}

TEST_CASE_TEMPLATE("mlstm: the same bits on any number of threads, and without a history", T, float, double) {
  const Inputs<double> x = plain(3, 40, 2, 17);
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

TEST_CASE("mlstm: a forget gate of minus infinity begins a new sequence") {
  constexpr int64_t S = 40, start = 35, H = 2, d = 6;
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)}) {
    Inputs<double> x = plain(1, S, H, d);
    edit(x, log_forget, [](double f, int64_t t, auto) { return t == start ? -kInfinity : f; });
    // An ns read's stabiliser starts at 0, not at minus infinity: with this gate the new sequence has the same m.
    edit(x, input_gate, [](double i, int64_t t, auto) { return t == start ? 1 : i; });
    Inputs<double> tail;
    for (const Array<double>& a : x) tail.push_back(tokens(a, start, S));
    const Array<double> dh_tail = cotangent(tail);
    Array<double> dh({1, S, H * d});
    std::copy_n(dh_tail.data(), dh_tail.size(), dh.edit() + start * H * d);

    const Results<double> expected = fused<double>(tail, read, dh_tail);
    with_each_instruction_set([&] {
      const Results<double> results = fused<double>(x, read, dh);
      Results<double> late;
      for (const Array<double>& result : results) late.push_back(tokens(result, start, S));
      check_close(tail, dh_tail, late, expected, 1e-13);
      for (size_t r = 1; r < results.size(); ++r)
        for (const double number : values(tokens(results[r], 0, start))) CHECK(number == 0);
    });
  }
}

TEST_CASE("mlstm: gates of any size stay finite") {
  Inputs<double> x = plain(1, 4, 1, 5);
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

TEST_CASE("mlstm: a NaN spoils what depends on it and nothing else") {
  constexpr int64_t S = 40, H = 2, d = 5, bad = 3;
  const Inputs<double> good = plain(1, S, H, d);
  const Array<double> dh = cotangent(good);
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5), MemoryRead::ns(8)}) {
    CAPTURE(title(read));
    for (size_t input = 0; input < good.size(); ++input) {
      CAPTURE(input);
      Inputs<double> x = good;
      edit(x, input, [](double a, int64_t t, int64_t c) { return t == bad && c == 0 ? kNaN : a; });  // head 0
      const Array<double> expected = twin<double>(x, read, dh)[0];
      with_each_instruction_set([&] {
        for (const bool single : {false, true}) {
          const Array<double> h = single ? cast<double>(fused<float>(x, read, dh)[0]) : fused<double>(x, read, dh)[0];
          CHECK(relative_error(h, expected) <= (single ? 1e-4 : 1e-11));  // NaN where the twin has one
        }
      });
    }
  }
}

TEST_CASE("mlstm: what does not fit") {
  const auto run_with = [](const Inputs<double>& x, const MemoryRead& read, const ReadMask& wanted = {}) {
    return thrown([&] { mlstm<double>(x[0], x[1], x[2], x[3], x[4], read, wanted); });
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
