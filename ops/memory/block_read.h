// The reads of a block's tokens: rows of read.h's and deflated_read.h's recurrences, one for each token, so that what
// they say of A_t's products with vectors becomes products of matrices. Each row has its own interval, series and
// deflation, and no number of it depends on the other rows: a token is read with the same bits however its sequence is
// cut.
#pragma once

#include "ops/memory/block.h"
#include "ops/memory/deflated_read.h"

namespace orthoread::ORTHOREAD_ISA {

/// to = x o y.
template <typename T, class W>
ORTHOREAD_INLINE void times(W width, const T* x, const T* y, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, load(x + c) * load(y + c)); });
}

/// Tokens that are read together.
struct ReadGroup {
  int count = 0;
  int row[kBlockTokens];  // where they are in the block
};

/// A record keeps of a row x of the recurrences: x, A x, V x, U x and M p, with p = W_t o (V x). Here is where each
/// begins.
struct RecordShape {
  static constexpr int c = kBlockTokens;
  int d;
  int size() const { return 2 * d + 3 * c; }
  int Ax() const { return d; }
  int Vx() const { return 2 * d; }
  int Ux() const { return 2 * d + c; }
  int Mp() const { return 2 * d + 2 * c; }
};

/// Records for each term of some tokens' series, and the room to make them.
template <typename T>
struct Records {
  RecordShape shape;
  int per_term;  // rows
  T* numbers;
  T *P, *L, *products;  // per_term rows of c, 2c and d numbers

  Records(RecordShape of, int rows, int64_t terms, Scratch<T>& scratch)
      : shape(of),
        per_term(rows),
        numbers(scratch.take(terms * rows * of.size())),
        P(scratch.take(rows * of.c)),
        L(scratch.take(2 * rows * of.c)),
        products(scratch.take(rows * of.d)) {}
  T* at(int term, int row) const { return numbers + (static_cast<int64_t>(term) * per_term + row) * shape.size(); }
};

/// L = (g p, g r + W_t o (M p)), r = W_t o (U x), from the record of x: A_t x = g^2 A x + X^T L.
template <typename T>
ORTHOREAD_INLINE void left_row(const Block<T>& b, int token, const T* record, const RecordShape& at, const T* p, T* L) {
  const T g = b.g[token], *w = b.w_of(token);
  scale(kTokens, g, p, L);
  each_pack<T>(kTokens, [&](int i) {
    store(L + at.c + i, load(w + i) * fma(splat(g), load(record + at.Ux() + i), load(record + at.Mp() + i)));
  });
}

/// Completes the records of one term, of which x is there, and sets records.products to A_t x. Row i is of the group's
/// token i % count.
template <typename T>
void apply(const Block<T>& b, const ReadGroup& group, int rows, int term, const Records<T>& records) {
  const RecordShape& at = records.shape;
  const int d = at.d, c = at.c, size = at.size();
  T* first = records.at(term, 0);
  product<T>({rows, 2 * c, d}, {first, size}, {b.V_U_K, 3 * c}, {first + at.Vx(), size});
  for (int i = 0; i < rows; ++i)
    times(kTokens, b.w_of(group.row[i % group.count]), records.at(term, i) + at.Vx(), records.P + i * c);
  product<T>({rows, c, c}, {records.P, c}, {b.M, c}, {first + at.Mp(), size});
  for (int i = 0; i < rows; ++i)
    left_row(b, group.row[i % group.count], records.at(term, i), at, records.P + i * c, records.L + i * 2 * c);
  product<T>({rows, d, d}, {first, size}, {b.base->A, d}, {first + at.Ax(), size});
  product<T>({rows, d, 2 * c}, {records.L, 2 * c}, {b.X, d}, {records.products, d});
  for (int i = 0; i < rows; ++i) {
    const T g = b.g[group.row[i % group.count]];
    add(b.width(), g * g, records.at(term, i) + at.Ax(), records.products + i * d);
  }
}

/// to_i = g to_i + side^T W_t others x_i, for the group's tokens. `others` is transposed, one of V_U_K's.
template <typename T>
void add_rows_of_memory(const Block<T>& b, const ReadGroup& group, const T* side, const T* others, const T* x, T* small,
                        T* to) {
  const int d = b.d, c = b.c;
  product<T>({group.count, c, d}, {x, d}, {others, 3 * c}, {small, c});
  for (int i = 0; i < group.count; ++i) {
    times(kTokens, b.w_of(group.row[i]), small + i * c, small + i * c);
    scale(b.width(), b.g[group.row[i]], to + i * d, to + i * d);
  }
  product<T>({group.count, d, c}, {small, c}, {side, d}, {to, d}, Store::add);
}
/// to_i = C_t^T x_i.
template <typename T>
void transposed_memory_times(const Block<T>& b, const ReadGroup& group, const T* x, T* small, T* to) {
  product<T>({group.count, b.d, b.d}, {x, b.d}, {b.base->C, b.d}, {to, b.d});
  add_rows_of_memory<T>(b, group, b.V(), b.V_U_K + 2 * b.c, x, small, to);
}
/// to_i = C_t x_i.
template <typename T>
void memory_times(const Block<T>& b, const ReadGroup& group, const T* x, T* small, T* to) {
  matrix_times(b, group.count, x, b.base->C, to);
  add_rows_of_memory<T>(b, group, b.K, b.V_U_K, x, small, to);
}

/// The rows of a group's reads.
template <typename T>
struct GroupRows {
  T *q, *raw, *y, *w, *a, *rest_of_q, *r;  // kBlockTokens rows of d each; raw is C_t^T q
  T* small;                                // kBlockTokens rows of as many
  Scaling<T> s[kBlockTokens];
  SplitQuery<T> split[kBlockTokens];
  Denominator<T> den[kBlockTokens];

  GroupRows(int64_t d, Scratch<T>& scratch) {
    for (T** rows : {&q, &raw, &y, &w, &a, &rest_of_q, &r}) *rows = scratch.take(kBlockTokens * d);
    small = scratch.take(kBlockTokens * kBlockTokens);
  }
};

/// The group's queries, C_t^T q and denominators.
template <typename T>
void load_reads(const Block<T>& b, const HeadShape& shape, const HeadInputs<T>& x, int64_t first,
                const ReadGroup& group, GroupRows<T>& rows) {
  for (int i = 0; i < group.count; ++i) {
    T* q = rows.q + i * b.d;
    copy_in(b.width(), shape.width, x.q + (first + group.row[i]) * shape.row_stride, q);
    rows.den[i] = denominator<T>(b.width(), q, b.n_of(group.row[i]), b.m_of[group.row[i]]);
  }
  transposed_memory_times(b, group, rows.q, rows.small, rows.raw);
}

/// find_dominant (spectrum.h) for a group: refines rows.w, which hold guesses or 0, and says which rows deflation pays
/// for.
template <typename T>
void find_dominants(const Block<T>& b, const ReadPlan<T>& plan, const ReadGroup& group, const PowerTraces* traces,
                    GroupRows<T>& rows, const Records<T>& records, bool* deflate) {
  const Width<0> width = b.width();
  const int d = b.d, count = group.count;
  bool any = false;
  double bound[kBlockTokens], theta[kBlockTokens], rest[kBlockTokens], sine[kBlockTokens];
  for (int i = 0; i < count; ++i) {
    T* w = rows.w + i * d;
    bound[i] = traces[i].bound(0);
    sine[i] = 1;
    deflate[i] = plan.gram && !std::same_as<T, Dual> && !rows.s[i].clamped && bound[i] > kDeflateFrom;
    if (deflate[i] && !(dot(width, w, w) > T(0))) deflate[i] = normalise<T>(width, rows.y + i * d, w);
    any = any || deflate[i];
  }
  if (!any) return;

  const auto unsure = [&](int i) { return deflate[i] && !(sine[i] < 0.5); };
  for (int attempt = 0; attempt < 2; ++attempt) {
    bool again = false;
    for (int i = 0; i < count; ++i) again = again || unsure(i);
    if (!again) break;
    for (int i = 0; i < count; ++i) {
      if (attempt > 0 && unsure(i)) deflate[i] = normalise<T>(width, records.products + i * d, rows.w + i * d);
      scale(width, T(1), rows.w + i * d, records.at(0, i));
    }
    apply(b, group, count, 0, records);
    for (int i = 0; i < count; ++i) {
      if (!deflate[i]) continue;
      const T *next = records.products + i * d, *w = rows.w + i * d;
      T* off = records.at(1, i);
      const T product = dot(width, w, next), rho2 = rows.s[i].rho2;
      combine(width, T(1), next, -product, w, off);
      theta[i] = value_of(product / rho2);
      const double h = __builtin_sqrt(value_of(dot(width, off, off))) / value_of(rho2);
      rest[i] = traces[i].bound(theta[i], h);
      sine[i] = theta[i] > rest[i] ? h / (theta[i] - rest[i]) : 1.0;
    }
  }
  int products[kBlockTokens] = {}, most = 0;
  T factor[kBlockTokens];
  for (int i = 0; i < count; ++i) {
    if (!deflate[i]) continue;
    T *w = rows.w + i * d, *next = records.products + i * d;
    if (!(sine[i] < 0.5)) {
      normalise<T>(width, next, w);
      deflate[i] = false;
      continue;
    }
    products[i] = refining_products(plan, theta[i], rest[i], sine[i]);
    deflate[i] = deflation_pays(plan, bound[i], theta[i], rest[i], products[i]);
    if (!deflate[i]) continue;
    factor[i] = T(2 / rest[i]) / rows.s[i].rho2;
    combine(width, factor[i], next, T(-1), w, records.at(1, i));
    if (products[i] > most) most = products[i];
  }
  // Term n % 3 of the records holds the n-th vector; for rows that need no more products, their last one.
  for (int n = 1; n < most; ++n) {
    for (int i = 0; i < count; ++i)
      if (!deflate[i]) zero(width, records.at(n % 3, i));
    apply(b, group, count, n % 3, records);
    for (int i = 0; i < count; ++i) {
      if (!deflate[i]) continue;
      const T *now = records.at(n % 3, i), *last = records.at((n + 2) % 3, i), *product = records.products + i * d;
      T* next = records.at((n + 1) % 3, i);
      if (n >= products[i]) {
        scale(width, T(1), now, next);
        continue;
      }
      each_pack<T>(width, [&](int c) {
        const Pack<T> half = fma(splat(factor[i]), load(product + c), Pack<T>{} - load(now + c));
        store(next + c, half + half - load(last + c));
      });
    }
  }
  for (int i = 0; i < count; ++i)
    if (deflate[i]) deflate[i] = normalise<T>(width, records.at(most % 3, i), rows.w + i * d);
}

/// T_j(S) of the rows in term 0 of the records, up to the most terms of any row. Rows i and i + count are of token i.
/// Where an eigenpair is deflated, S is that of the others.
template <typename T>
void advance_rows(const Block<T>& b, const ReadGroup& group, int rows, int terms, const GroupRows<T>& of,
                  const Records<T>& records) {
  const int d = b.d;
  for (int j = 0; j + 1 < terms; ++j) {
    apply(b, group, rows, j, records);
    const T weight = T(j == 0 ? 1 : 2);
    for (int i = 0; i < rows; ++i) {
      const Scaling<T>& s = of.s[i % group.count];
      const T *x = records.at(j, i), *before = j == 0 ? nullptr : records.at(j - 1, i);
      T *product = records.products + i * d, *next = records.at(j + 1, i);
      if (s.mu > T(0)) {
        const T* w = of.w + i % group.count * d;
        add(b.width(), -s.mu * s.rho2 * dot(b.width(), w, x), w, product);
      }
      each_pack<T>(b.width(), [&](int c) {
        const Pack<T> rest = before == nullptr ? Pack<T>{} : Pack<T>{} - load(before + c);
        store(next + c, advance(weight, s.slope, load(product + c), load(x + c), rest));
      });
    }
  }
}

/// to = sum_j weights[j] x_j over the records of a row.
template <typename T>
void weigh_records(const Records<T>& records, int terms, int row, const T* weights, T* to) {
  const Width<0> width{records.shape.d};
  zero(width, to);
  for (int j = terms - 1; j >= 0; --j) add(width, weights[j], records.at(j, row), to);
}

/// split_query with a = C_t w, which is there.
template <typename T>
void split_row(const Block<T>& b, int i, GroupRows<T>& rows) {
  rows.split[i] =
      split_along<T>(b.width(), rows.s[i].rho2, rows.q + i * b.d, rows.a + i * b.d, rows.rest_of_q + i * b.d);
}

/// Sets the series of each row and, where it is deflated, w, a, q' and y'.
template <typename T>
void choose_series(const Block<T>& b, const ReadPlan<T>& plan, const ReadGroup& group, GroupRows<T>& rows,
                   const Records<T>& records) {
  const Width<0> width = b.width();
  const int d = b.d;
  PowerTraces power[kBlockTokens];
  bool deflate[kBlockTokens];
  for (int i = 0; i < group.count; ++i) {
    const BlockTraces<T>& of = b.traces[group.row[i]];
    rows.s[i] = scaling(static_cast<T>(of.trace));
    power[i] = power_traces(width, plan, of, Wide<T>(rows.s[i].rho2));
    scale(width, T(1) / sqrt(rows.s[i].rho2), rows.raw + i * d, rows.y + i * d);
    scale(width, T(1), b.w, rows.w + i * d);
  }
  find_dominants(b, plan, group, power, rows, records, deflate);
  bool any = false;
  for (int i = 0; i < group.count; ++i) any = any || deflate[i];
  if (any) {
    memory_times(b, group, rows.w, rows.small, rows.a);
    for (int i = 0; i < group.count; ++i) split_row(b, i, rows);
    for (int i = 0; i < group.count; ++i) {
      if (!deflate[i]) continue;
      const Wide<T> mu = rows.split[i].mu;
      set_series(plan, static_cast<T>(mu), interval_for(plan, power[i].bound(value_of(mu))), rows.s[i]);
      deflate[i] = is_beyond(mu, rows.s[i].series);
    }
    transposed_memory_times(b, group, rows.rest_of_q, rows.small, rows.r);
  }
  for (int i = 0; i < group.count; ++i) {
    if (deflate[i]) {
      scale(width, T(1) / sqrt(rows.s[i].rho2), rows.r + i * d, rows.y + i * d);
      project(width, rows.w + i * d, rows.y + i * d);
    } else {
      set_series(plan, T(0), plan.gram ? interval_for(plan, power[i].bound(0)) : 0, rows.s[i]);
    }
  }
}

template <typename T>
int most_terms(const ReadGroup& group, const GroupRows<T>& rows) {
  int most = 1;
  for (int i = 0; i < group.count; ++i)
    if (rows.s[i].series.terms > most) most = rows.s[i].series.terms;
  return most;
}

/// r_t = NS_k(C_t)^T q_t into rows.r.
template <typename T>
void read_rows(const Block<T>& b, const ReadPlan<T>& plan, const ReadGroup& group, GroupRows<T>& rows,
               const Records<T>& records) {
  const int d = b.d;
  choose_series(b, plan, group, rows, records);
  for (int i = 0; i < group.count; ++i) scale(b.width(), T(1), rows.y + i * d, records.at(0, i));
  advance_rows(b, group, group.count, most_terms(group, rows), rows, records);
  for (int i = 0; i < group.count; ++i) {
    const Scaling<T>& s = rows.s[i];
    weigh_records(records, s.series.terms, i, s.series.coefficients, rows.r + i * d);
    if (s.mu > T(0))
      add(b.width(), read_at(plan.steps, s.mu).g * static_cast<T>(rows.split[i].eta), rows.w + i * d, rows.r + i * d);
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
