// What the fused memory makes of a sequence's tokens: some are not read, they come in pieces, one forgets all before
// it, one holds a NaN.
#include "tests/memory_inputs.h"

using namespace orthoread;

TEST_CASE("mlstm: outputs of tokens that are not read are 0 and change nothing") {
  constexpr int64_t B = 2, S = 70, H = 2;
  for (const int64_t d : {6, 16}) {
    const Inputs<double> x = plain(B, S, H, d);
    for (const int64_t every : {1, 2, 20, 1000}) {  // all, half, too far apart for C^T C to be carried along, none
      CAPTURE(d);
      CAPTURE(every);
      ReadMask mask({B, S});
      Array<double> zeroed = cotangent(x), ignored = zeroed;
      for (int64_t i = 0; i < B * S; ++i) {
        const bool is_read = (i % S + i / S) % every == every / 2;  // not the same tokens of each sequence
        mask.edit()[i] = is_read ? 1 : 0;
        if (is_read) continue;
        std::fill_n(zeroed.edit() + i * H * d, H * d, 0.0);
        std::fill_n(ignored.edit() + i * H * d, H * d, kNaN);  // not even looked at
      }
      for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(5, 0.6)}) {
        CAPTURE(title(read));
        with_each_instruction_set([&] {
          const Results<double> masked = fused<double>(x, read, ignored, mask);
          Results<double> all = fused<double>(x, read, zeroed);
          double* h = all[0].edit();
          for (int64_t i = 0; i < all[0].size(); ++i) h[i] = mask.data()[i / (H * d)] ? h[i] : 0;
          check_close(x, zeroed, masked, all, 1e-13);
          if (d == 6) CHECK(same_bits(masked[0], all[0]));  // whatever tokens are in the lanes beside it
        });
      }
      const MemoryRead in_double = MemoryRead::ns(8);  // also of floats
      Results<double> all = twin<double>(x, in_double, zeroed);
      for (int64_t i = 0; i < all[0].size(); ++i) all[0].edit()[i] *= mask.data()[i / (H * d)];
      check_close(x, zeroed, fused<float>(x, in_double, ignored, mask), all, 1e-6);
    }
  }
}

TEST_CASE_TEMPLATE("mlstm_stream: the same bits in pieces of any size", T, float, double) {
  constexpr int64_t B = 2, S = 75, H = 2;
  for (const int64_t d : {5, 48, 96}) {  // the first-level cache does not hold the matrices of 96
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

TEST_CASE_TEMPLATE("mlstm: a forget gate of minus infinity begins a new sequence", T, float, double) {
  constexpr int64_t S = 40, start = 35, H = 2;
  constexpr double limit = std::same_as<T, float> ? 1e-5 : 1e-13;
  for (const int64_t d : {6, 12}) {
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
        const Results<T> results = fused<T>(x, read, dh);
        Results<T> late;
        for (const Array<T>& result : results) late.push_back(tokens(result, start, S));
        check_close(tail, dh_tail, late, expected, limit);
        for (size_t r = 1; r < results.size(); ++r)
          for (const T number : values(tokens(results[r], 0, start))) CHECK(number == 0);
      });
    }
  }
}

TEST_CASE("mlstm: a NaN spoils what depends on it and nothing else") {
  constexpr int64_t S = 40, H = 2, bad = 3;
  for (const int64_t d : {5, 12}) {
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
}
