// Vectors: the one header with anything that depends on an instruction set.
//
// A unit that includes this has defined LEVEL (the namespace) and VECTOR_BYTES.  Everything lives in
// that namespace and nothing of the C++ library is used below it: a template of the library that
// was instantiated for AVX-512 could be merged by the linker with one for an older machine.
#pragma once

#include <cstdint>

#if defined(__FMA__) && VECTOR_BYTES == 32
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__AVX512F__) && VECTOR_BYTES == 64
#include <immintrin.h>
#if !defined(__SANITIZE_ADDRESS__)  // which does not look into them
#define UNROLLED_MASKED_MOVES
#endif
#endif

#define UNROLLED_INLINE static inline __attribute__((always_inline))

namespace unrolled::LEVEL {

template <class T> struct VectorOf;
template <> struct VectorOf<float> {
  typedef float type __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::int32_t bits __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::uint32_t wrapping __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::int32_t bit;
};
template <> struct VectorOf<double> {
  typedef double type __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::int64_t bits __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::uint64_t wrapping __attribute__((vector_size(VECTOR_BYTES)));
  typedef std::int64_t bit;
};
template <class T> using Vec = typename VectorOf<T>::type;
template <class T> using Bits = typename VectorOf<T>::bits;
// For sums that overflow where the number was NaN: with a sign that would be undefined.
template <class T> using Wrapping = typename VectorOf<T>::wrapping;

// Numbers in a vector.
template <class T> constexpr long lanes = VECTOR_BYTES / long(sizeof(T));

// Vector registers, and how many sums a product keeps in them at once: the others are for the operands.
constexpr int registers = VECTOR_BYTES == 64 ? 32 : 16;
constexpr int held_sums = registers == 16 ? 12 : 24;

template <class T> UNROLLED_INLINE Vec<T> all(T value) { return value - Vec<T>{}; }

template <class T> UNROLLED_INLINE Vec<T> load(const T* from) {
  Vec<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class T> UNROLLED_INLINE void store(T* to, Vec<T> v) { __builtin_memcpy(to, &v, sizeof v); }

// The first n numbers, 0 <= n <= lanes; the others are 0, and are not touched in memory.
UNROLLED_INLINE Vec<float> load(const float* from, long n) {
#if defined(UNROLLED_MASKED_MOVES)
  return (Vec<float>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
#else
  Vec<float> v{};
  for (long k = 0; k < n; ++k) v[k] = from[k];
  return v;
#endif
}

UNROLLED_INLINE Vec<double> load(const double* from, long n) {
#if defined(UNROLLED_MASKED_MOVES)
  return (Vec<double>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), from);
#else
  Vec<double> v{};
  for (long k = 0; k < n; ++k) v[k] = from[k];
  return v;
#endif
}

UNROLLED_INLINE void store(float* to, Vec<float> v, long n) {
#if defined(UNROLLED_MASKED_MOVES)
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
#else
  for (long k = 0; k < n; ++k) to[k] = v[k];
#endif
}

UNROLLED_INLINE void store(double* to, Vec<double> v, long n) {
#if defined(UNROLLED_MASKED_MOVES)
  _mm512_mask_storeu_pd(to, (__mmask8)((1u << n) - 1), (__m512d)v);
#else
  for (long k = 0; k < n; ++k) to[k] = v[k];
#endif
}

// x, but no less than `least`; NaN stays NaN, which is why the operands stand in this order.
template <class T> UNROLLED_INLINE Vec<T> at_least(Vec<T> x, T least) {
  const Vec<T> low = all<T>(least);
#if defined(__AVX512F__) && VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_max_ps((__m512)low, (__m512)x);
  else return (Vec<T>)_mm512_max_pd((__m512d)low, (__m512d)x);
#else
  return low > x ? low : x;
#endif
}

// x, but no more than `most`.
template <class T> UNROLLED_INLINE Vec<T> at_most(Vec<T> x, T most) {
  const Vec<T> high = all<T>(most);
#if defined(__AVX512F__) && VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_min_ps((__m512)high, (__m512)x);
  else return (Vec<T>)_mm512_min_pd((__m512d)high, (__m512d)x);
#else
  return high < x ? high : x;
#endif
}

// -|x|
template <class T> UNROLLED_INLINE Vec<T> minus_size(Vec<T> x) {
  return (Vec<T>)((Bits<T>)x | (Bits<T>)all<T>(T(-0.0)));
}

// a·b + c, rounded once where the level can: of a·b + c·d, and across what a compiler moves, it would
// else choose which product is rounded first, and levels and compilers would differ in bits.
UNROLLED_INLINE Vec<float> fused(Vec<float> a, Vec<float> b, Vec<float> c) {
#if defined(__AVX512F__) && VECTOR_BYTES == 64
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && VECTOR_BYTES == 32
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
UNROLLED_INLINE Vec<double> fused(Vec<double> a, Vec<double> b, Vec<double> c) {
#if defined(__AVX512F__) && VECTOR_BYTES == 64
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__) && VECTOR_BYTES == 32
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

// v · 2^n for whole n, in one instruction, where there is one.
#if defined(__AVX512F__) && VECTOR_BYTES == 64
constexpr bool has_scale = true;
UNROLLED_INLINE Vec<float> scale(Vec<float> v, Vec<float> n) { return (Vec<float>)_mm512_scalef_ps((__m512)v, (__m512)n); }
UNROLLED_INLINE Vec<double> scale(Vec<double> v, Vec<double> n) { return (Vec<double>)_mm512_scalef_pd((__m512d)v, (__m512d)n); }
#else
constexpr bool has_scale = false;
template <class V> UNROLLED_INLINE V scale(V v, V) { return v; }
#endif

}  // namespace unrolled::LEVEL
