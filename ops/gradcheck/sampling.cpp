#include "ops/gradcheck/sampling.h"

namespace orthoread {
namespace {

constexpr int64_t kPart = 64;    // entries that a direction has at a time: one wrong entry shows among them,
constexpr int64_t kParts = 256;  // unless the input is so large that this many parts have more

}  // namespace

Arrays drawn(const std::vector<Input>& inputs, RandomStream& random) {
  Arrays x;
  for (const Input& input : inputs) {
    x.push_back(input.given.defined() ? input.given : uniform_array(input.shape, random.bits(), input.low, input.high));
  }
  return x;
}

Array<double> normal_array(const Shape& shape, double scale, RandomStream& random) {
  Array<double> x(shape);
  double* to = x.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] = scale * random.normal();
  return x;
}

Arrays rounded(const Arrays& x, double eps, RandomStream& random) {
  Arrays near_by = x;
  for (Array<double>& y : near_by) {
    double* to = y.edit();
    for (int64_t i = 0; i < y.size(); ++i) to[i] *= random.uniform() < 0.5 ? 1 + eps : 1 - eps;
  }
  return near_by;
}

Array<double> unit_vector(const Shape& shape, int64_t k) {
  Array<double> e(shape);
  e.edit()[k] = 1;
  return e;
}

Array<double> part_of(const Array<double>& u, int64_t begin, int64_t end) {
  Array<double> part(u.shape());
  std::copy(u.data() + begin, u.data() + end, part.edit() + begin);
  return part;
}

Arrays zeros_like(const Arrays& x) {
  Arrays zeros;
  for (const Array<double>& array : x) zeros.emplace_back(array.shape());
  return zeros;
}

Arrays only(const Arrays& x, size_t i, Array<double> u) {
  Arrays direction = zeros_like(x);
  direction[i] = std::move(u);
  return direction;
}

std::vector<int64_t> chosen(int64_t size, int64_t most, RandomStream& random) {
  const int64_t count = std::min(size, most);
  std::vector<int64_t> entries;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t begin = k * size / count, end = (k + 1) * size / count;
    entries.push_back(begin + static_cast<int64_t>(random.uniform() * static_cast<double>(end - begin)));
  }
  return entries;
}

std::optional<int64_t> first_wrong(
    const Shape& shape, double scale, int directions, RandomStream& random,
    const std::function<bool(const Array<double>& u, int64_t begin, int64_t end)>& agree) {
  const int64_t size = count(shape), length = std::max(kPart, (size + kParts - 1) / kParts);
  for (int n = 0; n < directions; ++n) {
    const Array<double> u = normal_array(shape, scale, random);
    for (int64_t begin = 0; begin < size; begin += length) {
      int64_t first = begin, end = std::min(size, begin + length);
      if (agree(u, first, end)) continue;
      while (end - first > 1) {
        const int64_t middle = first + (end - first) / 2;
        (agree(u, first, middle) ? first : end) = middle;
      }
      return first;
    }
  }
  return std::nullopt;
}

}  // namespace orthoread
