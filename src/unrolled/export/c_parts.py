"""The pieces of C that the .h and the .c file are made of; what is in ${} is filled in."""

__all__ = [
    "ACTIVATIONS",
    "CELL",
    "CLOSING",
    "HEAD",
    "HEADER",
    "HEAD_INT8",
    "OPENING",
    "STEP",
    "SUMS",
    "SUMS_INT8",
]

HEADER = """\
/* ${stem}.h and ${stem}.c: a trained network, written by unrolled export. C99, nothing but the
 * standard library's headers, no allocation, no global that changes.
 *
 * ${about}
 *
 * Of one layer, with the numbers of the equations in unrolled (* is elementwise):
 *
 *   ${equations}
 *
 * A state takes ${state} bytes, and a call less than ${stack} bytes of the stack. Any number of
 * states may be at work at the same time, each in a thread of its own.
 *
 * The same bits as unrolled's stepper, for h and c, where both have fused multiply-add: compile
 * with it (x86-64: -mfma or -march=native; arm64 and Cortex-M4F have it) and with
 * -ffp-contract=off, and without -ffast-math. Otherwise the same within rounding. For speed: -O3.
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stddef.h>

#define ${NAME}_MARK 0x${mark}u /* the .h and the .c file of one export have the same */

enum {
  ${NAME}_INPUTS = ${inputs},  /* numbers in x */
  ${NAME}_OUTPUTS = ${outputs}, /* numbers in y */
  ${NAME}_UNITS = ${units},
  ${NAME}_LAYERS = ${layers}
};

typedef struct {
  float h[${NAME}_LAYERS][${NAME}_UNITS];
  float c[${NAME}_LAYERS][${NAME}_UNITS];
} ${name}_state;

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the state zero: before the first step, and wherever a sequence begins. */
void ${name}_reset(${name}_state *state);

/* Takes a step: reads x, changes the state, writes y, which is ${y}. y may be x. */
void ${name}_step(${name}_state *state, const float *x, float *y);

/* Takes so many steps: x holds INPUTS numbers for each, y OUTPUTS. Where y is x, or overlaps it, no
 * step may have more numbers out than in. */
void ${name}_run(${name}_state *state, const float *x, float *y, size_t steps);

#ifdef __cplusplus
}
#endif

#endif
"""

OPENING = """\
/* Written by unrolled export; ${stem}.h says what it is and how it is compiled. */
#include "${stem}.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if ${NAME}_MARK != 0x${mark}u
#error "${stem}.h and ${stem}.c are of two exports: take both of one"
#endif

/* a * b + c, rounded once where the machine does that at once. */
#if defined(FP_FAST_FMAF) || defined(__FP_FAST_FMAF) || defined(__FMA__) || \\
    (defined(__ARM_FEATURE_FMA) && defined(__ARM_FP) && (__ARM_FP & 4))
#define ${NAME}_FMA(a, b, c) fmaf((a), (b), (c))
#else
#define ${NAME}_FMA(a, b, c) ((a) * (b) + (c))
#endif

"""

ACTIVATIONS = """\
/* x = n ln 2 + r with n whole: gives e^r - 1, and n. */
static inline float ${name}_reduced(float x, float *n)
{
  float r, square, q;
  *n = ${NAME}_FMA(x, 1.44269502f, 12582912.0f) - 12582912.0f; /* 1.5 * 2^23 rounds */
  r = ${NAME}_FMA(-*n, 0.693145752f, x);
  r = ${NAME}_FMA(-*n, 1.42860677e-06f, r);
  square = r * r;
  q = ${NAME}_FMA(r, 0.000198412701f, 0.00138888892f);
  q = ${NAME}_FMA(q, square, ${NAME}_FMA(r, 0.00833333377f, 0.0416666679f));
  q = ${NAME}_FMA(q, square, ${NAME}_FMA(r, 0.166666672f, 0.5f));
  return ${NAME}_FMA(q, square, r);
}

static inline uint32_t ${name}_bits(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float ${name}_float(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* a where it is said, else b: no branch, which would keep a loop from being made of vectors. */
static inline float ${name}_pick(int said, float a, float b)
{
  const uint32_t mask = 0u - (uint32_t)said;
  return ${name}_float((${name}_bits(a) & mask) | (${name}_bits(b) & ~mask));
}

/* 2^n for n from -126 to 127, of which the number is given plus 127. */
static inline float ${name}_power(uint32_t biased)
{
  return ${name}_float(biased << 23);
}

/* n as a whole number plus 1024, so that none is below 0. */
static inline uint32_t ${name}_whole(float n)
{
  return ${name}_bits(n + 12582912.0f) - 0x4b400000u + 1024u;
}

/* 1 / (1 + e^-x), from e^-|x|, so that nothing overflows; NaN for NaN. */
static inline float ${name}_sigmoid(float x)
{
  const float size = -fabsf(x);
  float n;
  const float p = ${name}_reduced(${name}_pick(size < -104.0f, -104.0f, size), &n);
  const uint32_t whole = ${name}_whole(n), half = whole >> 1;
  /* In two halves: e^-104 is no normal number. */
  const float e = (p + 1.0f) * ${name}_power(half - 512u + 127u)
                  * ${name}_power(whole - half - 512u + 127u);
  return ${name}_pick(x < 0.0f, e, 1.0f) / (e + 1.0f);
}

/* e / (e + 2) with e = e^2x - 1; 9.02 gives 1. */
static inline float ${name}_tanh(float x)
{
  const float low = ${name}_pick(x < -9.02f, -9.02f, x);
  const float held = ${name}_pick(low > 9.02f, 9.02f, low);
  float n;
  const float p = ${name}_reduced(held + held, &n);
  const float s = ${name}_power(${name}_whole(n) - 1024u + 127u);
  const float e = ${NAME}_FMA(s, p, s - 1.0f);
  return e / (e + 2.0f);
}
"""

# The first and the last product stand alone: of a loop that only copies a compiler makes a memcpy,
# whose pieces then are no whole vectors.
SUMS = """\
/* a = b + W_ih x + W_hh h for ${width} pre-activations: each sum a chain, in this order. */
static void ${name}_sums_${width}(const float *restrict w, const float *restrict b,
    const float *restrict x, size_t inputs, const float *restrict h, float *restrict a)
{
  float sum[${width}];
  size_t j, k;
  for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA(w[j], x[0], b[j]);
  w += ${width};
  for (k = 1; k < inputs; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA(w[j], x[k], sum[j]);
  for (k = 0; k + 1 < ${NAME}_UNITS; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA(w[j], h[k], sum[j]);
  for (j = 0; j < ${width}; ++j) a[j] = ${NAME}_FMA(w[j], h[${NAME}_UNITS - 1], sum[j]);
}
"""

SUMS_INT8 = """\
/* a = b + scale_x * (W_ih x) + scale_h * (W_hh h) for ${width} pre-activations. */
static void ${name}_sums_${width}(const int8_t *restrict w, const float *restrict b,
    const float *restrict scale_x, const float *restrict scale_h,
    const float *restrict x, size_t inputs, const float *restrict h, float *restrict a)
{
  float sum[${width}], with_x[${width}];
  size_t j, k;
  for (j = 0; j < ${width}; ++j) sum[j] = (float)w[j] * x[0];
  w += ${width};
  for (k = 1; k < inputs; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA((float)w[j], x[k], sum[j]);
  for (j = 0; j < ${width}; ++j) with_x[j] = ${NAME}_FMA(scale_x[j], sum[j], b[j]);
  for (j = 0; j < ${width}; ++j) sum[j] = (float)w[j] * h[0];
  w += ${width};
  for (k = 1; k < ${NAME}_UNITS; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA((float)w[j], h[k], sum[j]);
  for (j = 0; j < ${width}; ++j) a[j] = ${NAME}_FMA(scale_h[j], sum[j], with_x[j]);
}
"""

HEAD = """\
/* y = b + W h for ${width} outputs. */
static void ${name}_head_${width}(const float *restrict w, const float *restrict b,
    const float *restrict h, float *restrict y)
{
  float sum[${width}];
  size_t j, k;
  for (j = 0; j < ${width}; ++j) sum[j] = w[j] * h[0];
  for (k = 1, w += ${width}; k < ${NAME}_UNITS; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA(w[j], h[k], sum[j]);
  for (j = 0; j < ${width}; ++j) y[j] = sum[j] + b[j];
}
"""

HEAD_INT8 = """\
/* y = b + scale * (W h) for ${width} outputs. */
static void ${name}_head_${width}(const int8_t *restrict w, const float *restrict b,
    const float *restrict scale, const float *restrict h, float *restrict y)
{
  float sum[${width}];
  size_t j, k;
  for (j = 0; j < ${width}; ++j) sum[j] = (float)w[j] * h[0];
  for (k = 1, w += ${width}; k < ${NAME}_UNITS; ++k, w += ${width})
    for (j = 0; j < ${width}; ++j) sum[j] = ${NAME}_FMA((float)w[j], h[k], sum[j]);
  for (j = 0; j < ${width}; ++j) y[j] = ${NAME}_FMA(scale[j], sum[j], b[j]);
}
"""

CELL = """\
/* E1 to E8 for each unit of a layer, from the pre-activations of the gates, side by side. */
static void ${name}_cell(const float *restrict a${p}, float *restrict h, float *restrict c)
{
  size_t u;
  for (u = 0; u < ${NAME}_UNITS; ++u) {
    ${lines}
  }
}
"""

STEP = """\
void ${name}_step(${name}_state *state, const float *x, float *y)
{
  float a[${sums}];
  ${lines}
}
"""

CLOSING = """\
void ${name}_reset(${name}_state *state)
{
  memset(state, 0, sizeof *state);
}

void ${name}_run(${name}_state *state, const float *x, float *y, size_t steps)
{
  for (; steps; --steps, x += ${NAME}_INPUTS, y += ${NAME}_OUTPUTS) ${name}_step(state, x, y);
}
"""
