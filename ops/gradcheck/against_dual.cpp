// Backward against the forward on Dual, which knows nothing of it.
#include "ops/gradcheck/sampling.h"
#include "ops/gradcheck/ways.h"

namespace orthoread {
namespace {

constexpr int kDirections = 3;  // random ones, for each input

/// How far <v, J u> and <J^T v, u> are apart for this u in entries begin … end - 1 of input i.
double dual_error(const Subject& s, size_t i, const Array<double>& u, int64_t begin, int64_t end) {
  const Sum numeric = dot(s.v, s.along(s.x, only(s.x, i, part_of(u, begin, end))));
  const Sum analytic = dot(s.grads[i], u, begin, end);
  return relative(std::abs(analytic.total - numeric.total),
                  analytic.terms + numeric.terms + s.units.floor(i) * s.units.scale[i]);
}

}  // namespace

void check_value(Subject& s, Findings& found) {
  if (!found.takes(Way::value, s.limits.on_dual)) return;
  const Array<Dual> y = s.forward_on_dual(s.x, s.random_direction());
  if (y.shape() != s.y.shape())
    return found.fail("on Dual the output has shape {} instead of {}", y.shape(), s.y.shape());
  int64_t first = 0;
  for (const Shape& shape : s.shapes) {
    const int64_t end = first + count(shape);
    double most = 0;
    for (int64_t k = first; k < end; ++k) most = std::max(most, std::abs(s.y.data()[k]));
    for (int64_t k = first; k < end; ++k) {
      const double now = y.data()[k].value, before = s.y.data()[k];
      const double error = relative(std::abs(now - before), most);
      found.seen(error);
      if (error <= s.limits.on_dual) continue;
      return found.fail("{}: on Dual it has another value: {} instead of {}", s.where_in_output(k), now, before);
    }
    first = end;
  }
}

void check_dual(Subject& s, Findings& found) {
  if (!found.takes(Way::dual, s.limits.dual)) return;
  for (size_t i = 0; i < s.x.size(); ++i) {
    const auto agree = [&](const Array<double>& u, int64_t begin, int64_t end) {
      return found.agrees(i, dual_error(s, i, u, begin, end));
    };
    const auto wrong = first_wrong(s.x[i].shape(), s.units.scale[i], kDirections, s.random, agree);
    if (!wrong || s.has_kink(i, *wrong)) continue;  // check_differences says so
    found.fail("{}: analytic {}, numeric {} by Dual", s.where(i, *wrong), s.grads[i].data()[*wrong],
               s.partial(i, *wrong));
  }
}

void check_jacobian(const Subject& s, Findings& found) {
  int64_t inputs = 0;
  for (const Array<double>& x : s.x) inputs += x.size();
  if (inputs == 0 || s.y.size() == 0 || inputs + s.y.size() > s.limits.jacobian) return;
  if (!found.takes(Way::jacobian, s.limits.dual)) return;
  std::vector<Arrays> rows;
  for (int64_t j = 0; j < s.y.size(); ++j)
    rows.push_back(Pass<double>(s.f.f64, s.x, unit_vector(s.y.shape(), j)).grads);
  for (size_t i = 0; i < s.x.size(); ++i) {
    double most = 0;  // of the Jacobian's part that belongs to this input
    for (const Arrays& row : rows) most = std::max(most, largest(row[i]));
    for (int64_t k = 0; k < s.x[i].size(); ++k) {
      const Array<double> column = s.along(s.x, only(s.x, i, unit_vector(s.x[i].shape(), k)));
      for (int64_t j = 0; j < s.y.size(); ++j) {
        const double analytic = rows[static_cast<size_t>(j)][i].data()[k], numeric = column.data()[j];
        const double error = relative(std::abs(analytic - numeric), s.units.of(i, most));
        if (found.agrees(i, error) || s.has_kink(i, k)) continue;
        return found.fail("{}: Jacobian, {}: analytic {}, numeric {} by Dual", s.where(i, k), s.where_in_output(j),
                          analytic, numeric);
      }
    }
  }
}

}  // namespace orthoread
