// Losses: their value for (output, target), and the gradient of the output.
//
// z is the output and y the target; what is summed is
//   squared_error          (z − y)²
//   sigmoid_squared_error  (σ(z) − y)²         document 001's adder
//   binary_cross_entropy   −y log σ(z) − (1 − y) log(1 − σ(z))
//   cross_entropy          −log softmax(z)_y
//   quantile               q·(y − z) where z <= y, else (q − 1)·(y − z): Koenker & Bassett 1978, (3.1)
//   emphasised_squared_error  (e_t − p·e_{t−1})² with e = z − y, and offset·n·(mean of e)² of each row of
//                          n steps: Wright et al. 2020, (9) and (10), before they are divided
// and multiplied by `scale`, which holds the factor and what the sum is divided by.
#pragma once

#include "activations.hpp"
#include "training.hpp"

namespace unrolled::LEVEL {

// log(1 + e) for 0 <= e <= 1, as 2 artanh(e / (2 + e)): small values keep their digits.
template <class T> UNROLLED_INLINE Vec<T> log1p_of(Vec<T> e) {
  constexpr int terms = sizeof(T) == 4 ? 8 : 17;  // of a series in s² <= 1/9
  const Vec<T> s = e / (e + T(2)), square = s * s;
  Vec<T> sum = all<T>(T(1) / T(2 * terms + 1));
#pragma GCC unroll 20
  for (int k = terms - 1; k >= 0; --k) sum = sum * square + T(1) / T(2 * k + 1);
  return s * sum * T(2);
}

// e^x for x <= 0.
template <class T> UNROLLED_INLINE Vec<T> exp_of(Vec<T> x) {
  Vec<T> n, p = reduced_expm1<T>(at_least<T>(x, -Exp<T>::sigmoid_end), n);
  return scaled<T>(p + T(1), n);
}

template <class T> UNROLLED_INLINE T sum_of(Vec<T> v, long n) {
  T sum = 0;
  for (long k = 0; k < n; ++k) sum += v[k];
  return sum;
}

// A vector of numbers of one of the first three; d: the gradient of z.
template <class T, Criterion C> UNROLLED_INLINE Vec<T> compare(Vec<T> z, Vec<T> y, T scale, Vec<T>& d) {
  if constexpr (C == Criterion::squared_error) {
    const Vec<T> e = z - y;
    d = e * (2 * scale);
    return e * e;
  } else if constexpr (C == Criterion::sigmoid_squared_error) {
    const Vec<T> s = sigmoid<T>(z), e = s - y;
    d = e * s * (T(1) - s) * (2 * scale);
    return e * e;
  } else {
    d = (sigmoid<T>(z) - y) * scale;
    // max(z, 0) − z·y + log(1 + e^−|z|)
    const Vec<T> above = z > T(0) ? z : Vec<T>{};
    return above - z * y + log1p_of<T>(exp_of<T>(minus_size<T>(z)));
  }
}

template <class T, Criterion C> static double compare_all(const T* output, const T* target, long count, T scale, T* d) {
  constexpr long L = lanes<T>;
  double sum = 0;
  for (long k = 0; k < count; k += L) {
    const long n = smaller(L, count - k);
    Vec<T> gradient;
    const Vec<T> value = compare<T, C>(load(output + k, n), load(target + k, n), scale, gradient);
    store(d + k, gradient, n);
    sum += double(sum_of<T>(value, n));
  }
  return sum;
}

// Of one row of O logits; `to` is the row of d.
template <class T> static double classify(const T* logits, long target, long O, T scale, T* to) {
  constexpr long L = lanes<T>;
  T most = logits[0];
  for (long o = 1; o < O; ++o) most = logits[o] > most ? logits[o] : most;
  T total = 0;
  for (long o = 0; o < O; o += L) {
    const long n = smaller(L, O - o);
    const Vec<T> e = exp_of<T>(load(logits + o, n) - most);
    store(to + o, e, n);
    total += sum_of<T>(e, n);
  }
  const T share = scale / total;
  for (long o = 0; o < O; ++o) to[o] *= share;
  to[target] -= scale;
  return __builtin_log(double(total)) - (double(logits[target]) - double(most));
}

// Of `count` targets, each with the outputs of all quantiles side by side.  A target that is NaN is
// not known, and does not count; `there` is how many outputs do.
template <class T>
static double at_quantiles(const Loss& loss, const T* z, const T* y, long count, T* d, long& there) {
  const long levels = loss.levels;
  double sum = 0;
  for (long k = 0; k < count; ++k) {
    const bool known = !__builtin_isnan(y[k]);
    there += known ? levels : 0;
    for (long l = 0; l < levels; ++l) {
      const T e = y[k] - z[k * levels + l];
      const T slope = T(loss.quantiles[l]) - (e >= T(0) ? T(0) : T(1));
      d[k * levels + l] = known ? -slope : T(0);
      sum += known ? double(slope * e) : 0.0;
    }
  }
  return sum;
}

// The same for rows that may not count.
template <class T, class Counts>
static double quantile_loss(const Loss& loss, const T* z, const T* y, long rows, long B, long O, T* d, Counts counts) {
  const long each = O / loss.levels;
  long there = 0;
  double sum = 0;
  for (long r = 0; r < rows; ++r) {
    if (counts(r))
      sum += at_quantiles<T>(loss, z + r * O, y + r * each, each, d + r * O, there);
    else
      __builtin_memset(d + r * O, 0, O * sizeof(T));
  }
  const double by = loss.over == Over::mean ? double(there ? there : 1) : loss.over == Over::rows ? double(B) : 1.0;
  const double scale = loss.factor / by;
  for (long k = 0; k < rows * O; ++k) d[k] *= T(scale);
  return sum * scale;
}

// Of `steps` steps of `wide` numbers each, the errors of which are those of as many filters.  A target
// that is NaN does not count: its error is 0 for the step after it.
template <class T, class Counts>
static double emphasised_loss(const Loss& loss, const T* z, const T* y, long steps, long wide, long B, long O, T* d,
                              Counts counts) {
  const T p = T(loss.emphasis);
  Buffer<T> before(wide, true);
  Buffer<double> total(wide, true), number(wide, true);
  const auto known = [&](long t, long j) { return counts(t * B + j / O) && y[t * wide + j] == y[t * wide + j]; };
  double sum = 0, there = 0;
  for (long t = 0; t < steps; ++t) {  // d holds e_t − p·e_{t−1}
    for (long j = 0; j < wide; ++j) {
      const long k = t * wide + j;
      const bool counted = known(t, j);
      const T e = counted ? z[k] - y[k] : T(0), r = counted ? e - p * before.at[j] : T(0);
      d[k] = r;
      before.at[j] = e;
      total.at[j] += double(e);
      number.at[j] += counted;
      sum += double(r) * double(r);
    }
  }
  for (long j = 0; j < wide; ++j) {
    there += number.at[j];
    if (number.at[j] == 0) continue;
    total.at[j] /= number.at[j];  // the mean from here on
    sum += loss.offset * number.at[j] * total.at[j] * total.at[j];
  }
  const double by = loss.over == Over::mean ? (there ? there : 1.0) : loss.over == Over::rows ? double(B) : 1.0;
  const T scale = T(2 * loss.factor / by);
  for (long t = 0; t < steps; ++t) {
    for (long j = 0; j < wide; ++j) {
      const long k = t * wide + j;
      const T after = t + 1 < steps ? d[k + wide] : T(0);
      d[k] = known(t, j) ? scale * (d[k] - p * after + T(loss.offset * total.at[j])) : T(0);
    }
  }
  return sum * loss.factor / by;
}

// The loss of `rows` rows of O numbers, and d.  inside: [rows] or null: 0 where a row does not count.
template <class T>
static double loss_of(const Loss& loss, const T* output, const void* target, const std::uint8_t* inside, long rows,
                      long B, long O, T* d) {
  const bool classes = loss.criterion == Criterion::cross_entropy;
  const auto* class_of = static_cast<const std::int64_t*>(target);
  const auto* numbers = static_cast<const T*>(target);
  const auto counts = [&](long r) {
    return (!inside || inside[r]) && !(classes && class_of[r] == loss.ignored);
  };
  if (loss.criterion == Criterion::quantile) return quantile_loss<T>(loss, output, numbers, rows, B, O, d, counts);
  if (loss.criterion == Criterion::emphasised_squared_error)
    return emphasised_loss<T>(loss, output, numbers, rows / B, B * O, B, O, d, counts);
  double scale = loss.factor;
  if (loss.over == Over::rows) scale /= double(B);
  if (loss.over == Over::mean) {
    long there = rows;
    if (inside || classes) {
      there = 0;
      for (long r = 0; r < rows; ++r) there += counts(r);
    }
    scale /= double(classes ? there : there * O);
  }
  double sum = 0;
  for (long r = 0; r < rows;) {
    if (!counts(r)) {
      __builtin_memset(d + r * O, 0, O * sizeof(T));
      ++r;
      continue;
    }
    if (classes) {
      sum += classify(output + r * O, class_of[r], O, T(scale), d + r * O);
      ++r;
      continue;
    }
    long end = r + 1;
    while (end < rows && counts(end)) ++end;
    const T *z = output + r * O, *y = numbers + r * O;
    const long count = (end - r) * O;
    if (loss.criterion == Criterion::squared_error)
      sum += compare_all<T, Criterion::squared_error>(z, y, count, T(scale), d + r * O);
    else if (loss.criterion == Criterion::sigmoid_squared_error)
      sum += compare_all<T, Criterion::sigmoid_squared_error>(z, y, count, T(scale), d + r * O);
    else
      sum += compare_all<T, Criterion::binary_cross_entropy>(z, y, count, T(scale), d + r * O);
    r = end;
  }
  return sum * scale;
}

}  // namespace unrolled::LEVEL
