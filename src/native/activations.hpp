// Sigmoid and tanh: finite for any finite input, NaN for NaN.
#pragma once

#include "vectors.hpp"

namespace unrolled::LEVEL {

template <class T> struct Exp;
template <> struct Exp<float> {
  static constexpr int degree = 7;              // of the Taylor series, odd: 0.35^8 / 8! is 5e-9
  static constexpr float round = 12582912.0f;   // 1.5 · 2^23: adding it rounds to a whole number
  static constexpr int shift = 23;
  static constexpr std::uint32_t one = 0x3f800000;
  static constexpr float ln2_high = 0.693145751953125f;  // its last bits are 0, so n · it is exact
  static constexpr float ln2_low = 1.428606765330187e-06f;
  static constexpr float sigmoid_end = 104.0f;  // e^-104 is the smallest float there is
  static constexpr float tanh_end = 9.02f;      // tanh rounds to 1 from here on
};
template <> struct Exp<double> {
  static constexpr int degree = 13;             // odd; 0.35^14 / 14! is 5e-18
  static constexpr double round = 6755399441055744.0;  // 1.5 · 2^52
  static constexpr int shift = 52;
  static constexpr std::uint64_t one = 0x3ff0000000000000;
  static constexpr double ln2_high = 0.69314718036912381649;
  static constexpr double ln2_low = 1.9082149292705877e-10;
  static constexpr double sigmoid_end = 745.0;
  static constexpr double tanh_end = 19.1;
};

constexpr double one_over_factorial(int k) {
  double product = 1;
  for (int i = 2; i <= k; ++i) product *= i;
  return 1 / product;
}

// x = n ln 2 + r with n whole and |r| <= ln 2 / 2: returns e^r - 1, and n.
// Two sums side by side, of r's even and odd powers: where few units are at hand, what counts is how
// long one number waits for another.
template <class T> UNROLLED_INLINE Vec<T> reduced_expm1(Vec<T> x, Vec<T>& n) {
  using E = Exp<T>;
  n = (x * T(1.44269504088896340736) + E::round) - E::round;
  Vec<T> r = x - n * E::ln2_high;
  r = r - n * E::ln2_low;
  const Vec<T> square = r * r;
  Vec<T> q{};
#pragma GCC unroll 16
  for (int k = E::degree - 1; k >= 2; k -= 2) {
    const Vec<T> pair = r * T(one_over_factorial(k + 1)) + T(one_over_factorial(k));
    q = k == E::degree - 1 ? pair : q * square + pair;
  }
  return q * square + r;
}

// v · 2^n for whole n, also where 2^n or the result is below the normal numbers.
template <class T> UNROLLED_INLINE Vec<T> scaled(Vec<T> v, Vec<T> n) {
  if constexpr (has_scale) return scale(v, n);
  // Of NaN the bits are any, and sums of them may wrap.
  const Bits<T> whole = (Bits<T>)((Wrapping<T>)(n + Exp<T>::round) - (Wrapping<T>)all<T>(Exp<T>::round));
  const Bits<T> half = whole >> 1;
  const auto power = [](Bits<T> k) { return (Vec<T>)(((Wrapping<T>)k << Exp<T>::shift) + Exp<T>::one); };
  return v * power(half) * power((Bits<T>)((Wrapping<T>)whole - (Wrapping<T>)half));
}

// 1 / (1 + e^-x), from e^-|x| so that nothing overflows and small values keep their digits.
template <class T> UNROLLED_INLINE Vec<T> sigmoid(Vec<T> x) {
  Vec<T> n, p = reduced_expm1<T>(at_least<T>(minus_size<T>(x), -Exp<T>::sigmoid_end), n);
  const Vec<T> e = scaled<T>(p + T(1), n);
  return (x < T(0) ? e : all<T>(T(1))) / (e + T(1));
}

// e / (e + 2) with e = e^2x - 1.
template <class T> UNROLLED_INLINE Vec<T> tanh(Vec<T> x) {
  x = at_most<T>(at_least<T>(x, -Exp<T>::tanh_end), Exp<T>::tanh_end);
  Vec<T> n, p = reduced_expm1<T>(x + x, n);
  const Vec<T> s = scaled<T>(all<T>(T(1)), n), e = s * p + (s - T(1));
  return e / (e + T(2));
}

}  // namespace unrolled::LEVEL
