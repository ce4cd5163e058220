// Inputs of the memory, and what makes a memory hard to orthogonalize or to carry from token to token.
#pragma once

#include "tests/fused_memory.h"

namespace orthoread {

/// Numbers of the size that a model has: a key of norm 1, a forget gate near 0.98. Other draws for another `draw`.
inline Inputs<double> plain(int64_t B, int64_t S, int64_t H, int64_t d, uint64_t draw = 0) {
  const double k = std::sqrt(3 / static_cast<double>(d));
  const uint64_t seed = 10 * draw;
  return {uniform_array({B, S, H * d}, seed + 1), uniform_array({B, S, H * d}, seed + 2, -k, k),
          uniform_array({B, S, H * d}, seed + 3), uniform_array({B, S, H}, seed + 4),
          uniform_array({B, S, H}, seed + 5, -0.04, 0)};
}

/// Array `input` of x, each number replaced by change(number, token, column).
template <class Change>
void edit(Inputs<double>& x, size_t input, const Change& change) {
  const int64_t S = x[input].dim(1), row = x[input].dim(2);
  double* to = x[input].edit();
  for (int64_t i = 0; i < x[input].size(); ++i) to[i] = change(to[i], i / row % S, i % row);
}

/// Every second token takes back what the one before has stored, but for this part.
inline void take_back(Inputs<double>& x, double part) {
  edit(x, key, [](auto, int64_t t, int64_t c) { return std::sin(double(1 + t / 2 * 13 + 7 * c)); });
  edit(x, value, [&](double v, int64_t t, int64_t c) {
    return part * v + (t % 2 ? -1 : 1) * std::sin(double(2 + t / 2 * 11 + 5 * c));
  });
  edit(x, input_gate, [](auto...) { return 0.0; });
  edit(x, log_forget, [](auto...) { return -1e-3; });
}

/// Adds what the tokens of these inputs share, or of tokens t % `kinds` alike.
inline void make_alike(Inputs<double>& x, std::initializer_list<size_t> inputs, double scatter = 1, int64_t kinds = 1) {
  for (const size_t input : inputs)
    edit(x, input,
         [&](double a, int64_t t, int64_t c) { return scatter * a + std::sin(double(1 + t % kinds * 11 + 7 * c)); });
}

/// Removes from the queries what make_alike adds.
inline void turn_queries_away(Inputs<double>& x) {
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
struct MemoryKind {
  const char* name;
  std::function<void(Inputs<double>&)> make;
  bool lasting = false;  // compared in wide heads and long sequences too
  double limit = 2;      // of the errors in float, in units of the composed form's
};

inline const std::vector<MemoryKind> kMemoryKinds = {
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
     false, 2.8},
    {"keys and values alike: C^T C has a dominant eigenpair, which is deflated",
     [](auto& x) {
       make_alike(x, {key, value});
     },
     true},
};

inline Inputs<double> make(const MemoryKind& kind, int64_t B, int64_t S, int64_t H, int64_t d, uint64_t draw = 0) {
  Inputs<double> x = plain(B, S, H, d, draw);
  kind.make(x);
  return x;
}

/// Every branch of a read: raw, no step, few, many in float and in double, blends.
inline const MemoryRead kReads[] = {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(1),      MemoryRead::ns(3),
                                    MemoryRead::ns(5), MemoryRead::ns(8), MemoryRead::ns(5, 0.3), MemoryRead::ns(2, 0)};

/// A cotangent for the outputs of x.
inline Array<double> cotangent(const Inputs<double>& x) { return uniform_array(x[query].shape(), 9, -1, 1); }

/// The numbers of tokens [begin, end).
template <Real T>
Array<T> tokens(const Array<T>& x, int64_t begin, int64_t end) {
  Array<T> part({x.dim(0), end - begin, x.dim(2)});
  for (int64_t b = 0; b < x.dim(0); ++b)
    std::copy_n(x.data() + (b * x.dim(1) + begin) * x.dim(2), part.size() / x.dim(0),
                part.edit() + b * part.size() / x.dim(0));
  return part;
}

}  // namespace orthoread
