// The fused memory in float: its errors beside those of the composed form in float.
#include "tests/memory_inputs.h"

#include <map>

using namespace orthoread;

namespace {

/// Errors of the fused memory in float, in units of the composed one's.
///
/// Where q.n is nearly 0 an output and its gradients grow, and their errors with them: a sequence's error is the root
/// mean square over its numbers, and ratios of those scatter so much that only their geometric mean over many sequences
/// means something.
class FloatErrors {
 public:
  /// B sequences of S tokens, one head of width d.
  void compare(const MemoryKind& kind, const MemoryRead& read, int64_t B, int64_t S, int64_t d) {
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

}  // namespace

TEST_CASE("mlstm: in float, at most twice the errors of the composed form" * doctest::test_suite("long")) {
  FloatErrors errors;
  for (const MemoryKind& kind : kMemoryKinds) {
    for (const MemoryRead& read : kReads)
      if (read.steps <= 5) errors.compare(kind, read, 16, 40, 32);
    for (const int steps : {6, 7, 8}) errors.compare(kind, MemoryRead::ns(steps), 4, 40, 32);  // computed in double
  }
  errors.check_means();
}

TEST_CASE("mlstm: in float, at most twice the errors of the composed form, in wide heads and long sequences" *
          doctest::test_suite("long")) {
  FloatErrors errors;
  for (const MemoryKind& kind : kMemoryKinds) {
    if (!kind.lasting) continue;
    errors.compare(kind, MemoryRead::ns(5), 16, 34, 48);
    errors.compare(kind, MemoryRead::ns(5), 16, 24, 64);
    errors.compare(kind, MemoryRead::ns(5), 16, 128, 32);
  }
  errors.check_means();
}

TEST_CASE("mlstm: in float, at most twice the errors of the composed form, in narrow heads" *
          doctest::test_suite("long")) {
  FloatErrors errors;
  for (const MemoryKind& kind : kMemoryKinds)
    for (const int64_t d : {2, 4, 8})
      for (const MemoryRead& read : kReads)
        if (read.steps <= 5) errors.compare(kind, read, 16, 40, d);
  errors.check_means();
}

TEST_CASE("mlstm: in float, reads of more than five steps are exact but for the rounding of what is returned") {
  Inputs<double> x;
  for (const Array<double>& a : make(kMemoryKinds.back(), 2, 40, 1, 32)) x.push_back(cast<double>(cast<float>(a)));
  const Array<double> dh = cotangent(x);
  for (const int steps : {6, 7, 10}) {
    CAPTURE(steps);
    check_close(x, dh, fused<float>(x, MemoryRead::ns(steps), dh), twin<double>(x, MemoryRead::ns(steps), dh), 0x1p-24);
  }
}
