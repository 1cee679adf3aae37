// Optimisers, as torch.optim has them: the same formulas, in the same order, on the same state.
#pragma once

#include "product.hpp"
#include "training.hpp"

namespace unrolled::LEVEL {

template <class T> UNROLLED_INLINE Vec<T> root(Vec<T> v) {
#if defined(__AVX512F__) && VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_sqrt_ps((__m512)v);
  else return (Vec<T>)_mm512_sqrt_pd((__m512d)v);
#else
  for (long k = 0; k < lanes<T>; ++k) v[k] = sizeof(T) == 4 ? T(__builtin_sqrtf(float(v[k]))) : T(__builtin_sqrt(double(v[k])));
  return v;
#endif
}

// What of a rule is the same for every number of a parameter.
template <class T> struct Pace {
  T rate, decay, kept, momentum, taken, beta1, beta2, eps, root2;
};

template <class T> static Pace<T> pace(const Rule& rule, double steps) {
  Pace<T> p{};
  p.decay = T(rule.decay);
  p.momentum = T(rule.momentum);
  p.taken = T(1 - rule.dampening);
  p.beta1 = T(rule.beta1);
  p.beta2 = T(rule.beta2);
  p.eps = T(rule.eps);
  p.rate = T(rule.rate);
  if (rule.method == Method::adagrad) p.rate = T(rule.rate / (1 + (steps - 1) * rule.rate_decay));
  if (rule.method == Method::adam || rule.method == Method::adamw) {
    p.kept = T(1 - rule.rate * rule.decay);
    p.rate = T(rule.rate / (1 - __builtin_pow(rule.beta1, steps)));
    p.root2 = T(__builtin_sqrt(1 - __builtin_pow(rule.beta2, steps)));
  }
  return p;
}

// One vector: v is the parameter, g its gradient.  a, b, c: the state, read and replaced.
template <class T, Method M>
UNROLLED_INLINE Vec<T> moved(const Rule& rule, const Pace<T>& p, Vec<T> v, Vec<T> g, Vec<T>& a, Vec<T>& b, Vec<T>& c,
                             bool fresh) {
  if constexpr (M == Method::adamw)
    v *= p.kept;
  else if (rule.decay != 0)
    g += v * p.decay;
  if constexpr (M == Method::sgd) {
    if (rule.momentum != 0) {
      a = fresh ? g : a * p.momentum + g * p.taken;
      g = rule.nesterov ? g + a * p.momentum : a;
    }
    return v - g * p.rate;
  } else if constexpr (M == Method::adagrad) {
    a += g * g;
    return v - p.rate * (g / (root<T>(a) + p.eps));
  } else if constexpr (M == Method::rmsprop) {
    b = b * p.beta2 + (g * g) * (T(1) - p.beta2);
    Vec<T> size = b;
    if (rule.centered) {
      c += (g - c) * (T(1) - p.beta2);
      size -= c * c;
    }
    size = root<T>(size) + p.eps;
    if (rule.momentum == 0) return v - p.rate * (g / size);
    a = a * p.momentum + g / size;
    return v - a * p.rate;
  } else {
    a += (g - a) * (T(1) - p.beta1);
    b = b * p.beta2 + (g * g) * (T(1) - p.beta2);
    return v - p.rate * (a / (root<T>(b) / p.root2 + p.eps));
  }
}

template <class T, Method M> static void move(const Rule& rule, const Learned<T>& l, T scale) {
  constexpr long L = lanes<T>;
  const Pace<T> p = pace<T>(rule, l.step ? double(*l.step) : 0);
  for (long k = 0; k < l.count; k += L) {
    const long n = smaller(L, l.count - k);
    Vec<T> a = l.first ? load(l.first + k, n) : Vec<T>{};
    Vec<T> b = l.second ? load(l.second + k, n) : Vec<T>{};
    Vec<T> c = l.third ? load(l.third + k, n) : Vec<T>{};
    const Vec<T> v = load(l.value + k, n), g = load(l.gradient + k, n) * scale;
    store(l.value + k, moved<T, M>(rule, p, v, g, a, b, c, l.fresh), n);
    if (l.first) store(l.first + k, a, n);
    if (l.second) store(l.second + k, b, n);
    if (l.third) store(l.third + k, c, n);
  }
}

// An update of every parameter.  scale: what clipping leaves of the gradient.
template <class T> static void update(const Rule& rule, Learned<T>* learned, long count, T scale) {
  for (Learned<T>* l = learned; l < learned + count; ++l) {
    if (l->spent) continue;
    if (l->step) *l->step += 1;
    switch (rule.method) {
      case Method::sgd: move<T, Method::sgd>(rule, *l, scale); break;
      case Method::adagrad: move<T, Method::adagrad>(rule, *l, scale); break;
      case Method::adam: move<T, Method::adam>(rule, *l, scale); break;
      case Method::adamw: move<T, Method::adamw>(rule, *l, scale); break;
      case Method::rmsprop: move<T, Method::rmsprop>(rule, *l, scale); break;
    }
    l->fresh = false;
  }
}

// The norm of all gradients together.
template <class T> static double norm_of(const Learned<T>* learned, long count) {
  constexpr long L = lanes<T>;
  double total = 0;
  for (const Learned<T>* l = learned; l < learned + count; ++l) {
    Vec<T> sum{};
    for (long k = 0; k < l->count; k += L) {
      const Vec<T> g = load(l->gradient + k, smaller(L, l->count - k));
      sum += g * g;
    }
    for (long k = 0; k < L; ++k) total += double(sum[k]);
  }
  return __builtin_sqrt(total);
}

}  // namespace unrolled::LEVEL
