// What a check draws: inputs, cotangents, directions, roundings and the entries that are looked at one by one.
#pragma once

#include "ops/gradcheck/passes.h"

namespace orthoread {

/// The numbers of the inputs: the given ones, or drawn from their ranges.
Arrays drawn(const std::vector<Input>& inputs, RandomStream& random);

/// Independent normal numbers, times `scale`.
Array<double> normal_array(const Shape& shape, double scale, RandomStream& random);

/// x with every number larger or smaller by `eps` of it.
Arrays rounded(const Arrays& x, double eps, RandomStream& random);

/// 1 at k, 0 elsewhere.
Array<double> unit_vector(const Shape& shape, int64_t k);

/// Entries begin … end - 1 of u, 0 elsewhere.
Array<double> part_of(const Array<double>& u, int64_t begin, int64_t end);

/// Zeros of the shapes of x.
Arrays zeros_like(const Arrays& x);

/// A direction in all of x: u in x[i], 0 in the others.
Arrays only(const Arrays& x, size_t i, Array<double> u);

/// Of `size` entries `most` at most: all, or one from each of as many equal parts.
std::vector<int64_t> chosen(int64_t size, int64_t most, RandomStream& random);

/// Goes along random directions u in one input, a part of it at a time. The first part that does not agree is halved
/// until one entry is left. agree(u, begin, end) compares for the entries begin … end - 1 of u.
std::optional<int64_t> first_wrong(
    const Shape& shape, double scale, int directions, RandomStream& random,
    const std::function<bool(const Array<double>& u, int64_t begin, int64_t end)>& agree);

}  // namespace orthoread
