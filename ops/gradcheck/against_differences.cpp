// Backward against central differences of L (ops/gradcheck/differences.h), which know neither it nor Dual.
#include "ops/gradcheck/sampling.h"
#include "ops/gradcheck/ways.h"

namespace orthoread {
namespace {

constexpr size_t kWorst = 3;  // entries of an input in the report

double median(std::vector<double> x) {
  if (x.empty()) return 0;
  const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  std::nth_element(x.begin(), middle, x.end());
  return *middle;
}

/// The entries of an input that are looked at one by one, and what the report says of all of them.
struct Compared {
  InputReport& input;
  std::vector<double> by_dual = {}, by_differences = {};  // relative errors
  std::vector<double> orders2 = {}, orders4 = {};         // observed

  void add(const EntryReport& entry, double difference_error, const Slope& numeric) {
    by_dual.push_back(entry.relative);
    by_differences.push_back(difference_error);
    input.worst.push_back(entry);
    if (numeric.moves2[1] > 0) orders2.push_back(std::log2(numeric.moves2[0] / numeric.moves2[1]));
    if (numeric.moves4[1] > 0) orders4.push_back(std::log2(numeric.moves4[0] / numeric.moves4[1]));
  }

  void sum_up() {
    input.compared = static_cast<int64_t>(by_dual.size());
    input.dual_median = median(by_dual), input.difference_median = median(by_differences);
    for (const double error : by_dual) input.dual_most = std::max(input.dual_most, error);
    for (const double error : by_differences) input.difference_most = std::max(input.difference_most, error);
    if (!orders2.empty()) input.order2 = median(orders2);
    if (!orders4.empty()) input.order4 = median(orders4);
    std::stable_sort(input.worst.begin(), input.worst.end(),
                     [](const EntryReport& a, const EntryReport& b) { return a.absolute > b.absolute; });
    if (input.worst.size() > kWorst) input.worst.erase(input.worst.begin() + kWorst, input.worst.end());
  }
};

void check_entries(Subject& s, Findings& found, size_t i) {
  Compared compared{found.report.inputs[i]};
  bool failed = false;
  for (const int64_t k : chosen(s.x[i].size(), s.limits.entries, s.random)) {
    const Slope numeric = s.slope(i, k);
    const double analytic = s.grads[i].data()[k];
    switch (numeric.verdict) {
      case Slope::Verdict::agrees:
        break;
      case Slope::Verdict::kink:
        found.kink("{}: a kink: slope {} on the left and {} on the right, within {}: choose an input away from it",
                   s.where(i, k), numeric.left, numeric.right, numeric.step);
        continue;  // where there is no gradient to be wrong
      case Slope::Verdict::disagrees:
      case Slope::Verdict::rough:
        if (!failed) {
          found.fail("{}: analytic {}, numeric {} by differences{}", s.where(i, k), analytic, numeric.numeric,
                     numeric.verdict == Slope::Verdict::rough ? ", which do not converge" : "");
        }
        failed = true;
    }
    const double by_a_unit = s.f.dual ? s.partial(i, k) : numeric.numeric, error = std::abs(analytic - by_a_unit);
    const double difference = std::abs(analytic - numeric.numeric), unit = s.units.of(i);
    compared.add({index_text(s.x[i].shape(), k), analytic, by_a_unit, numeric.numeric, error, relative(error, unit)},
                 relative(difference, unit), numeric);
    found.seen(s.limits.difference * relative(difference, numeric.allowed));
  }
  compared.sum_up();
}

/// Without Dual: entries that are not looked at one by one, along a random direction.
void check_directions(Subject& s, Findings& found, size_t i) {
  if (s.x[i].size() <= s.limits.entries) return;
  const auto agree = [&](const Array<double>& u, int64_t begin, int64_t end) {
    const Sum sum = dot(s.grads[i], u, begin, end);
    const Slope numeric = s.slope(only(s.x, i, part_of(u, begin, end)), sum.total, sum.terms * s.inputs[i].slack, 1);
    found.seen(s.limits.difference * relative(std::abs(sum.total - numeric.numeric), numeric.allowed));
    return numeric.verdict == Slope::Verdict::agrees || numeric.verdict == Slope::Verdict::kink;
  };
  const std::optional<int64_t> wrong = first_wrong(s.x[i].shape(), s.units.scale[i], 1, s.random, agree);
  if (!wrong) return;
  found.fail("{}: analytic {}, numeric {} by differences", s.where(i, *wrong), s.grads[i].data()[*wrong],
             s.slope(i, *wrong).numeric);
}

}  // namespace

void check_differences(Subject& s, Findings& found) {
  if (!found.takes(Way::differences, s.limits.difference)) return;
  for (size_t i = 0; i < s.x.size(); ++i) check_entries(s, found, i);
  for (size_t i = 0; i < s.x.size() && !s.f.dual; ++i) check_directions(s, found, i);
}

}  // namespace orthoread
