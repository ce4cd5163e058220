// Properties that a comparison of results does not show. The kernels of a head stay inside the buffers they ask for,
// with every instruction set (the address sanitizer checks only the baseline; this test does not need it). And the
// bounds that choose a series hold (the code is compiled again here, as namespace head_test).
#include "ops/memory/head.h"

#define ORTHOREAD_ISA head_test
#include "ops/memory/block_forward.h"
#include "ops/memory/read_series.h"
#include "ops/simd/instruction_set.h"
#include "tests/fused_memory.h"

#include <numeric>

using namespace orthoread;
using head_test::Gram;

namespace {

/// `count` numbers, `shift` of them past an aligned address, surrounded by NaN. They also start as NaN, so that reading
/// outside the buffer, or before writing, gives NaN.
template <Real T>
class Guarded {
 public:
  Guarded(int64_t count, int64_t shift) : at_(kMargin + shift), numbers_({at_ + count + kMargin}), count_(count) {
    for (int64_t i = 0; i < numbers_.size(); ++i) numbers_.edit()[i] = T(kNaN);
  }
  static Guarded input(int64_t count, int64_t shift, double low, double high) {
    Guarded x(count, shift);
    const Array<double> drawn = uniform_array({count}, static_cast<uint64_t>(count), low, high);
    for (int64_t i = 0; i < count; ++i) x.data()[i] = number<T>(drawn.data()[i]);
    return x;
  }
  T* data() { return numbers_.edit() + at_; }

  bool untouched_outside() {
    for (int64_t i = 0; i < numbers_.size(); ++i)
      if ((i < at_ || i >= at_ + count_) && !std::isnan(value_of(numbers_.data()[i]))) return false;
    return true;
  }
  bool finite_inside() {
    return std::all_of(data(), data() + count_, [](T x) { return std::isfinite(value_of(x)); });
  }

 private:
  static constexpr int64_t kMargin = 64;  // several of the widest registers
  int64_t at_;
  Array<T> numbers_;
  int64_t count_;
};

template <Real T>
void run_between_canaries(const MemoryRead& read, int64_t d, int64_t S, int64_t shift, HeadPath path) {
  CAPTURE(name(instruction_set()));
  CAPTURE(read.name());
  CAPTURE(d);
  CAPTURE(S);
  CAPTURE(shift);
  CAPTURE(static_cast<int>(path));
  const HeadShape shape{S, d, d, 1, path};
  const auto features = [&] { return Guarded<T>::input(S * d, shift, -1, 1); };
  const auto empty = [&](int64_t count) { return Guarded<T>(count, shift); };
  Guarded<T> q = features(), k = features(), v = features(), dh = features();
  Guarded<T> input_gate = Guarded<T>::input(S, shift, -1, 1), log_forget = Guarded<T>::input(S, shift, -1, 0);
  Guarded<T> h = empty(S * d), dq = h, dk = h, dv = h, d_input_gate = empty(S), d_log_forget = d_input_gate;
  Guarded<T> checkpoints = empty(head_checkpoint_size<T>(read, shape));
  Guarded<T> forward_scratch = empty(head_forward_scratch_size<T>(read, shape));
  Guarded<T> backward_scratch = empty(head_backward_scratch_size<T>(read, shape)), stream_scratch = forward_scratch;

  const HeadInputs<T> x{q.data(), k.data(), v.data(), input_gate.data(), log_forget.data()};
  head_forward<T>(read, shape, x, {h.data(), checkpoints.data(), forward_scratch.data()});
  head_backward<T>(read, shape, x,
                   {dh.data(),
                    checkpoints.data(),
                    {dq.data(), dk.data(), dv.data(), d_input_gate.data(), d_log_forget.data()},
                    backward_scratch.data()});
  for (Guarded<T>* written : {&h, &dq, &dk, &dv, &d_input_gate, &d_log_forget}) CHECK(written->finite_inside());

  Guarded<T> streamed = empty(S * d);
  HeadState<Wide<T>> state;
  head_stream<T>(read, shape, x, streamed.data(), state, stream_scratch.data());
  CHECK(streamed.finite_inside());
  for (Guarded<T>* buffer : {&h, &dq, &dk, &dv, &d_input_gate, &d_log_forget, &checkpoints, &forward_scratch,
                             &backward_scratch, &stream_scratch, &streamed})
    CHECK(buffer->untouched_outside());
}

double power_sum(const std::vector<double>& x, int power) {
  return std::accumulate(x.begin(), x.end(), 0.0, [&](double sum, double at) { return sum + std::pow(at, power); });
}

/// A = C^T C, d x d, and the traces of A, A^2 and A^3.
struct Gramian {
  std::vector<double> A;
  double first, second, third;
};
Gramian gramian(size_t d, const double* C) {
  Gramian of{std::vector<double>(d * d), 0, 0, 0};
  for (size_t a = 0; a < d; ++a)
    for (size_t b = 0; b < d; ++b)
      for (size_t i = 0; i < d; ++i) of.A[a * d + b] += C[i * d + a] * C[i * d + b];
  for (size_t a = 0; a < d; ++a) {
    of.first += of.A[a * d + a];
    for (size_t b = 0; b < d; ++b) {
      of.second += of.A[a * d + b] * of.A[a * d + b];
      for (size_t c = 0; c < d; ++c) of.third += of.A[a * d + b] * of.A[b * d + c] * of.A[c * d + a];
    }
  }
  return of;
}

/// Eigenvalues with sum 1, in descending order.
std::vector<double> spectrum(int count, const std::function<double(int)>& of) {
  std::vector<double> x(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) x[static_cast<size_t>(i)] = of(i);
  std::sort(x.rbegin(), x.rend());
  const double sum = power_sum(x, 1);
  for (double& at : x) at /= sum;
  return x;
}

/// A head whose tokens are written block by block; none is read.
template <Real T>
class Blocks {
 public:
  explicit Blocks(int d)
      : d_(d),
        room_(
            static_cast<size_t>(head_test::measure<head_test::BlockForwardRoom<T>>(head_test::Scratch<T>(), d, plan_))),
        scratch_(room_.data()),
        forward_(d, plan_, scratch_) {
    start_base(plan_, forward_);
  }
  void write(const T* key, const T* value, T input_gate, T log_forget) {
    const uint8_t none = 0;
    std::vector<T> h(static_cast<size_t>(d_));
    const HeadShape shape{1, d_, d_, 1, HeadPath::blocks};
    run_blocks(plan_, shape, HeadInputs<T>{key, key, value, &input_gate, &log_forget, &none}, tokens_++, forward_,
               h.data(), head_test::Checkpoints<T>(d_, head_test::kBlockChunk, shape, true, nullptr));
  }
  const head_test::Block<T>& block() const { return forward_.block; }
  const head_test::Base<T>& base() const { return forward_.base; }

 private:
  static ReadPlan<T> plan() {
    ReadPlan<T> plan{};
    plan.orthogonalized = plan.gram = true;
    plan.precision = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
    return plan;
  }
  ReadPlan<T> plan_ = plan();
  int d_;
  int64_t tokens_ = 0;
  std::vector<T> room_;
  head_test::Scratch<T> scratch_;
  head_test::BlockForwardRoom<T> forward_;
};

}  // namespace

TEST_CASE("head: no eigenvalue exceeds the bound that chooses the series") {
  constexpr int n = 48;
  const Array<double> noise = uniform_array({n, n}, 5, -1, 1);
  const auto drawn = [&](int row, int i) { return noise.data()[row * n + i]; };
  const std::vector<std::vector<double>> spectra = {
      spectrum(n, [](int) { return 1; }),
      spectrum(n, [](int i) { return i < 2 ? 1 : 0; }),
      spectrum(n, [](int i) { return i == 0 ? 1 : 0.8 * (i < 5); }),
      spectrum(n, [](int i) { return i == 0 ? 20 : 1; }),
      spectrum(n, [](int i) { return i; }),
      spectrum(n, [](int i) { return std::pow(0.5, i); }),
      spectrum(n, [](int i) { return std::pow(0.9, i); }),
      spectrum(n, [&](int i) { return std::pow(drawn(0, i), 2); }),
      spectrum(n, [&](int i) { return (i == 0 ? 30 : 1) * std::pow(drawn(1, i), 4); }),
  };
  for (const std::vector<double>& x : spectra) {
    const head_test::PowerTraces of{n, 1, power_sum(x, 2), power_sum(x, 3), 0, 0};
    CAPTURE(x[0]);
    CAPTURE(x[1]);
    CHECK(of.bound(0) >= x[0] * (1 - 1e-12));
    CHECK(of.bound(0) <= 1.0 / n + std::sqrt((1 - 1.0 / n) * std::max(0.0, of.second - 1.0 / n)) + 1e-12);
    for (int row = 2; row < n; ++row) {
      for (const double tilt : {0.0, 0.01, 0.1, 1.0}) {  // w = e_1 + tilt noise, normalised
        double norm = 0, theta = 0, square = 0;
        for (int i = 0; i < n; ++i) {
          const double w = (i == 0 ? 1 : 0) + tilt * drawn(row, i), at = x[static_cast<size_t>(i)];
          norm += w * w;
          theta += at * w * w;
          square += at * at * w * w;
        }
        theta /= norm;
        CAPTURE(theta);
        CHECK(of.bound(theta, std::sqrt(std::max(0.0, square / norm - theta * theta))) >= x[1] * (1 - 1e-6) - 1e-12);
      }
    }
  }
  // With a single eigenvalue, rounding may leave a remainder below 0.
  constexpr double eps = 0x1p-23;
  for (int signs = 0; signs < 16; ++signs) {
    CAPTURE(signs);
    const auto about_one = [&](int bit) { return signs >> bit & 1 ? 1 + 2 * eps : 1 - 2 * eps; };
    const head_test::PowerTraces of{n, about_one(0), about_one(1), about_one(2), 10 * eps, 2 * eps};
    const double rest = of.bound(about_one(3), eps);
    CHECK(rest > 5 * eps);
    CHECK(rest < 0.01);
  }
  // The bound is sharp enough: these are the eigenvalues of a square normal matrix (Marchenko and Pastur).
  const std::vector<double> x =
      spectrum(n, [](int i) { return std::pow(std::sin((i + 0.5) / n * std::acos(0.0)), 2); });
  const head_test::PowerTraces of{n, 1, power_sum(x, 2), power_sum(x, 3), 0, 0};
  CHECK(of.bound(0) < 0.8 * (1.0 / n + std::sqrt((1 - 1.0 / n) * (of.second - 1.0 / n))));
}

TEST_CASE("head: an eigenvalue is deflated only if it lies beyond the series for the others") {
  // deflated_read.h divides by mu - x, for x on the whole interval of the series.
  constexpr int d = 16, steps = 8;
  const head_test::Width<d> width;
  std::vector<SeriesView<double>> series;
  for (const ReadSeries& of : read_series(steps, 0x1p-53))
    series.push_back({of.beta, static_cast<int>(of.coefficients.size()), nullptr, nullptr});
  ReadPlan<double> plan{};
  plan.precision = 0x1p-53;
  plan.intervals = static_cast<int>(series.size());
  plan.intervals_per_log = 1 / std::log(kIntervalRatio);
  plan.series = series.data();
  int deflated = 0;
  for (int draw = 0; draw < 4000; ++draw) {
    CAPTURE(draw);
    const Array<double> noise = uniform_array({d}, static_cast<uint64_t>(draw), 0, 1);
    const int large = 2 + draw % 5;  // eigenvalues below 1, but not far
    const std::vector<double> x = spectrum(d, [&](int i) {
      return i == 0 ? 1 : i < large ? 1 - 0.3 * noise.data()[i] : 0.1 * noise.data()[i];
    });
    std::vector<double> A(d * d), w(d), y(d, 1.0), room(3 * d);
    for (size_t i = 0; i < d; ++i) A[i * d + i] = x[i];
    w[0] = 1;
    head_test::Memory<double> memory;
    memory.A = A.data();
    memory.w = w.data();
    memory.trace = memory.error = memory.cube_error = 1;
    memory.square = power_sum(x, 2);
    memory.cube = power_sum(x, 3);
    const head_test::PowerTraces traces = head_test::power_traces(width, plan, memory, 1.0);
    if (!head_test::find_dominant(width, plan, memory, traces, 1.0, y.data(), room.data())) continue;
    deflated += 1;
    CHECK(x[0] > 1.01 * series[static_cast<size_t>(head_test::interval_for(plan, traces.bound(x[0])))].beta);
  }
  CHECK(deflated > 100);
}

TEST_CASE("head: C^T C and the traces of its powers are carried from token to token") {
  constexpr int d = 16, tokens = 30;
  const head_test::Width<d> width;
  ReadPlan<double> plan{};
  plan.orthogonalized = plan.gram = true;
  plan.precision = 0x1p-53;
  std::vector<double> room(4 * d * d + 16 * d);
  head_test::Scratch<double> scratch(room.data());
  head_test::Memory<double> memory(d, true, scratch);
  head_test::start_memory(width, plan, memory);
  head_test::Change<double> change{scratch.take(d), scratch.take(d), scratch.take(d), scratch.take(d), scratch.take(d)};
  const Array<double> numbers = uniform_array({tokens, 3, d}, 11, -1, 1);
  int carried = 0;
  for (int t = 0; t < tokens; ++t) {
    CAPTURE(t);
    const double* q = numbers.data() + t * 3 * d;
    const bool last_key_again = t == 20;  // with the opposite value, which cancels much of C
    std::vector<double> k(q + d, q + 2 * d), v(q + 2 * d, q + 3 * d);
    if (last_key_again) {
      std::copy_n(q - 2 * d, d, k.begin());
      std::transform(q - d, q, v.begin(), [](double x) { return -x; });
    }
    const head_test::Token<double> token{q, k.data(), v.data(), 0.1 * std::sin(t), t == 10 ? -3.0 : -0.05};
    head_test::write_token(width, plan, token, Gram::measured, memory, memory, change);
    carried += memory.error > memory.trace;

    const Gramian exact = gramian(d, memory.C);
    const double first = exact.first;
    double off = 0;
    for (size_t i = 0; i < d * d; ++i) off = std::max(off, std::abs(exact.A[i] - memory.A[i]));
    CHECK(off <= 1e-13 * first);
    CHECK(std::abs(memory.trace - first) <= 1e-13 * first);
    CHECK(std::abs(memory.square - exact.second) <= 1e-13 * first * first);
    CHECK(std::abs(memory.cube - exact.third) <= 1e-13 * first * first * first);
  }
  CHECK(carried > tokens / 2);
}

TEST_CASE("head: in blocks C^T C is carried from block to block, its traces from token to token") {
  constexpr int d = 20, tokens = 150;  // two chunks of four blocks, and more
  Blocks<double> head(d);
  const head_test::Block<double>& block = head.block();
  Array<double> numbers = uniform_array({tokens, 2, d}, 12, -1, 1), C({d, d});
  double m = 0;
  int cuts = 0, carried = 0, carried_bases = 0;
  for (int t = 0; t < tokens; ++t) {
    CAPTURE(t);
    double *k = numbers.edit() + 2 * t * d, *v = k + d;
    if (t == 40 || t == 50) {  // the last key again, with its value taken back: much of C is cancelled
      std::copy_n(k - 2 * d, d, k);
      std::transform(v - 2 * d, v - d, v, [](double x) { return -x; });
    }
    const double input_gate = 0.1 * std::sin(t), log_forget = t == 39 || t == 70 ? -kInfinity : t == 10 ? -3.0 : -0.05;
    head.write(k, v, input_gate, log_forget);
    const double kept = log_forget + m;
    m = std::max(kept, input_gate);
    for (int i = 0; i < d * d; ++i)
      C.edit()[i] = std::exp(kept - m) * C.data()[i] + std::exp(input_gate - m) * k[i / d] * v[i % d];

    const Gramian exact = gramian(d, C.data());
    const double first = exact.first;
    const head_test::BlockTraces<double>& of = block.traces[block.tokens - 1];
    CHECK(std::abs(of.trace - first) <= 2e-14 * first);
    CHECK(std::abs(of.square - exact.second) <= 2e-14 * first * first);
    CHECK(std::abs(of.cube - exact.third) <= 2e-14 * first * first * first);
    cuts += block.in_base && block.tokens == 1;
    carried += of.cube_error > 2 * first * first * first;
    if (block.tokens > 1 || block.in_base) continue;
    const head_test::Base<double>& base = head.base();
    const Gramian of_base = gramian(d, base.C);
    double off = 0;
    for (size_t i = 0; i < d * d; ++i) off = std::max(off, std::abs(of_base.A[i] - base.A[i]));
    CHECK(off <= 1e-14 * of_base.first);
    carried_bases += base.A_error > 1.01 * base.traces.trace;
  }
  CHECK(cuts == 1);
  CHECK(carried > tokens / 2);
  CHECK(carried_bases == 7);
}

TEST_CASE("head: where a carried C^T C would have lost many digits, a block computes it afresh") {
  // In each block one token takes back 0.45 of all that is stored. Then the trace is 0.55^2 of what it was, and the
  // rounding errors, which do not shrink, grow beside it: to 10.3 in the second block, where 1 is the trace, and to
  // 40.9 in the third.
  constexpr int d = 16, block_tokens = head_test::kBlockTokens;
  Blocks<double> head(d);
  double key[d] = {1}, value[d] = {1}, of_trace[4] = {};
  for (int t = 0; t <= 3 * block_tokens; ++t) {
    const bool takes_back = t > block_tokens && t % block_tokens == 8;
    if (takes_back) value[0] *= t < 2 * block_tokens ? -0.45 : 0.55;
    head.write(key, value, t == 0 || takes_back ? 0 : -kInfinity, 0);
    if (t % block_tokens == 0) of_trace[t / block_tokens] = head.base().A_error / head.base().traces.trace;
  }
  CHECK(of_trace[1] == doctest::Approx(1));
  CHECK(of_trace[2] == doctest::Approx(3.1025 / 0.3025));
  CHECK(of_trace[3] == 1);
}

TEST_CASE("head: a C^T C that has overflowed is not carried") {
  constexpr int d = 16, block_tokens = head_test::kBlockTokens;
  Blocks<float> head(d);
  float key[d] = {1}, other_key[d] = {0, 1}, value[d] = {2e19F}, small[d] = {0, 1};
  for (int t = 0; t <= 2 * block_tokens; ++t) {
    const bool large = t < block_tokens;  // then the memory is forgotten
    head.write(large ? key : other_key, large ? value : small, 0, t == block_tokens + 3 ? -kInfinity : 0);
    if (t == block_tokens) CHECK(!std::isfinite(head.base().A[0]));
  }
  const Gramian exact = gramian(d, std::vector<double>(head.base().C, head.base().C + d * d).data());
  for (size_t i = 0; i < d * d; ++i) CHECK(head.base().A[i] == doctest::Approx(exact.A[i]));
}

TEST_CASE("head: the bound holds in float when tokens cancel most of the memory") {
  // C is a sum of sqrt(R) k v^T and a rest of norm 1, followed by tokens (k, -sqrt(R) v) that cancel the first term.
  // The updated A, and even more its cube, keeps the rounding errors of the large terms. All eigenvalues of the rest
  // but the largest are equal, where the bound is exact.
  constexpr int d = 48;
  const head_test::Width<d> width;
  ReadPlan<float> plan{};
  plan.orthogonalized = plan.gram = true;
  plan.precision = 0x1p-24;
  std::vector<float> room(4 * d * d + 16 * d);
  int carried = 0;
  for (int draw = 0; draw < 20; ++draw) {
    for (const int tokens : {1, 2, 4, 6, 8, 10, 12, 16}) {  // each cancels so little that C^T C is updated
      CAPTURE(draw);
      CAPTURE(tokens);
      constexpr double R = 0.45;
      head_test::Scratch<float> scratch(room.data());
      head_test::Memory<float> memory(d, true, scratch);
      head_test::start_memory(width, plan, memory);
      head_test::Change<float> change{scratch.take(d), scratch.take(d), scratch.take(d), scratch.take(d),
                                      scratch.take(d)};
      const Array<double> axis = uniform_array({d}, static_cast<uint64_t>(2 * draw), -1, 1);
      const Array<double> pairs = uniform_array({tokens, 2, d}, static_cast<uint64_t>(2 * draw + 1), -1, 1);
      const auto norm = [](const double* x, int count) { return std::sqrt(std::inner_product(x, x + count, x, 0.0)); };
      const double share = 0.7, others = std::sqrt((1 - share) / (d - 1)), more = std::sqrt(share) - others;
      for (int i = 0; i < d * d; ++i)
        memory.C[i] =
            static_cast<float>(more * axis.data()[i / d] * axis.data()[i % d] / std::pow(norm(axis.data(), d), 2) +
                               (i % (d + 1) == 0 ? others : 0));
      std::vector<float> k, v;
      for (int t = 0; t < tokens; ++t) {
        const double *kt = pairs.data() + 2 * t * d, *vt = kt + d;
        for (int a = 0; a < d; ++a) {
          k.push_back(static_cast<float>(kt[a] / norm(kt, d)));
          v.push_back(static_cast<float>(-std::sqrt(R) * vt[a] / norm(vt, d)));
        }
        for (int i = 0; i < d * d; ++i) memory.C[i] -= k[size_t(t * d + i / d)] * v[size_t(t * d + i % d)];
      }
      for (int t = 0; t < tokens; ++t) {
        const float *kt = k.data() + t * d, *vt = v.data() + t * d;
        head_test::write_token(width, plan, {kt, kt, vt, 0.0F, 0.0F}, Gram::measured, memory, memory, change);
      }
      carried += memory.error != memory.trace;

      std::vector<double> x(k.begin(), k.begin() + d), next(d);  // a lower bound of the largest eigenvalue
      double most = 0;
      for (int product = 0; product < 100; ++product) {
        for (size_t a = 0; a < d; ++a) next[a] = std::inner_product(x.begin(), x.end(), memory.A + a * d, 0.0);
        most = norm(next.data(), d);
        std::transform(next.begin(), next.end(), x.begin(), [&](double at) { return at / most; });
      }
      const float rho2 = memory.trace;
      CHECK(head_test::power_traces(width, plan, memory, rho2).bound(0) >= most / static_cast<double>(rho2));
    }
  }
  CHECK(carried > 50);  // and not recomputed
}

TEST_CASE("head: C^T C is updated across a gap only up to a token that is read, within the chunk") {
  const uint8_t mask[] = {1, 0, 0, 0, 1};
  HeadInputs<double> x{};
  x.read_mask = mask;
  const auto needed = [&](int64_t t, int64_t end, int width, bool current = true) {
    return head_test::gram_needed(x, current, t, end, width);
  };
  CHECK(needed(0, 4, 64));
  CHECK(needed(0, 4, 64, false));
  CHECK(needed(1, 5, 64));
  CHECK_FALSE(needed(1, 5, 64, false));
  CHECK_FALSE(needed(1, 4, 64));  // token 4 is in the next chunk, or masked
  CHECK_FALSE(needed(3, 4, 64));
  CHECK(needed(1, 5, 12));  // updated over three tokens at width 12, not at width 8
  CHECK_FALSE(needed(1, 5, 8));
  CHECK(head_test::gram_needed(HeadInputs<double>{}, false, 3, 4, 64));
}

TEST_CASE("head: the bound of the other eigenvalues is neither 0 nor NaN, and never above 1") {
  // If rounding makes w.G w exceed the trace by more than its error bound, the others have a remainder of 0 or less.
  constexpr double noise = 0x1p-20;
  for (const double theta : {1 + noise, 1 + 2 * noise, 1 + 1e-3}) {
    const head_test::PowerTraces of{16, 1, 1, 1, noise, noise};
    CHECK(of.bound(theta) > 0);
    CHECK(of.bound(theta) < 1e-3);
  }
  CHECK(head_test::PowerTraces{16, 1, kInfinity, kInfinity, noise, noise}.bound(0) == 1);
  CHECK(head_test::PowerTraces{16, 1, 0.3, kInfinity, noise, kNaN}.bound(0) > 0.3);
  CHECK(head_test::PowerTraces{16, 1, 0.3, kNaN, noise, kNaN}.bound(0) <= 1);
}

TEST_CASE("head: an eigenvalue within the interval of the series is not deflated") {
  const SeriesView<double> series{0.5, 1, nullptr, nullptr};
  CHECK(head_test::is_beyond(0.51, series));
  CHECK_FALSE(head_test::is_beyond(0.5, series));
  CHECK_FALSE(head_test::is_beyond(kNaN, series));
}

TEST_CASE("head: the kernels stay inside their buffers") {
  const InstructionSet before = instruction_set();
  for (const InstructionSet set : tested_instruction_sets()) {
    set_instruction_set(set);
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(5, 0.5), MemoryRead::ns(8)}) {
      for (const int64_t d : {1, 5, 16, 17, 32, 48, 64, 96, 128, 130}) {
        for (const int64_t shift : {0, 1, 2}) {
          if (d > 64 && shift != 1) continue;  // slow
          for (const HeadPath path : {HeadPath::lanes, HeadPath::tokens, HeadPath::blocks, HeadPath::by_width}) {
            if (path == HeadPath::lanes && d > 17) continue;
            if (path == HeadPath::by_width && d < 96) continue;                  // one of the others
            const int64_t S = path != HeadPath::blocks ? 33 : d > 64 ? 17 : 65;  // a chunk or a block, and one token
            run_between_canaries<float>(read, d, S, shift, path);
            run_between_canaries<double>(read, d, S, shift, path);
          }
        }
        if (d >= 20 || set != InstructionSet::baseline) continue;
        for (const HeadPath path : {HeadPath::lanes, HeadPath::tokens, HeadPath::blocks})
          run_between_canaries<Dual>(read, d, path == HeadPath::blocks ? 65 : 33, 1, path);
      }
    }
  }
  set_instruction_set(before);
}

TEST_CASE("head: no series is longer than the kernels' buffer") {
  for (int steps = 0; steps <= kMostReadSteps; ++steps) {
    for (const double precision : {0x1p-24, 0x1p-53}) {
      for (const ReadSeries& series : read_series(steps, precision))
        CHECK(series.coefficients.size() <= kMostSeriesTerms);
    }
  }
}

TEST_CASE("head: instruction sets") {
  const InstructionSet before = instruction_set();
  CHECK(supported(InstructionSet::baseline));
  CHECK(supported(before));
  for (const InstructionSet set : kInstructionSets) {
    set_instruction_set(set);
    CHECK(instruction_set() == (supported(set) ? set : InstructionSet::baseline));
  }
  set_instruction_set(before);
}
