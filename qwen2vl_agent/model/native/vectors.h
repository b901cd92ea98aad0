/* Vectors of sixteen numbers and what becomes of them in bfloat16. */

#ifndef VECTORS_H
#define VECTORS_H

#include <immintrin.h>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifndef __AVX2__
#error "these kernels are written for AVX2 and AVX-512"
#endif

#define INLINE static inline __attribute__((always_inline))

constexpr int LANES = 16;

typedef uint16_t bf16;
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef bf16 halves __attribute__((vector_size(2 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));

/* Rounded to the nearest, ties to even; NaN stays NaN. */
INLINE halves to_bf16(floats numbers) {
    const words bits = (words)numbers, rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const words none = (words)(numbers != numbers);
    return __builtin_convertvector((rounded & ~none) | (0x7fc0 & none), halves);
}

/* Sixteen numbers from `index` on, of bfloat16 (half) or float32. */
INLINE floats load(const void *values, int64_t index, int64_t half) {
    floats some;
    if (half) {
        halves bits;
        memcpy(&bits, (const bf16 *)values + index, sizeof bits);
        return (floats)(__builtin_convertvector(bits, words) << 16);
    }
    memcpy(&some, (const float *)values + index, sizeof some);
    return some;
}

/* The same of sixteen or fewer, the rest zeros. */
INLINE floats load_some(const void *values, int64_t index, int64_t count, int64_t half) {
    if (count == LANES) return load(values, index, half);
    const int64_t size = half ? sizeof(bf16) : sizeof(float);
    floats room = {};
    memcpy(&room, (const char *)values + index * size, count * size);
    return load(&room, 0, half);
}

INLINE void store(void *values, int64_t index, floats some, int64_t half) {
    if (half) {
        const halves bits = to_bf16(some);
        memcpy((bf16 *)values + index, &bits, sizeof bits);
    } else {
        memcpy((float *)values + index, &some, sizeof some);
    }
}

/* Sixteen or fewer, to bfloat16. */
INLINE void store_some(bf16 *values, int64_t index, floats some, int64_t count) {
    const halves bits = to_bf16(some);
    if (count == LANES) memcpy(values + index, &bits, sizeof bits);
    else memcpy(values + index, &bits, count * sizeof(bf16));
}

#ifdef __AVX512F__
/* 2^x within 5e-5 of its size, infinite from 128, nearly 0 below -126. NaN stays NaN. */
INLINE __m512 power_of_two(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-126), x);
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_sub_ps(x, whole);
    __m512 sum = _mm512_set1_ps(0.009618129f);
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(0.05550411f));
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(0.24022651f));
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(0.69314718f));
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1));
    return _mm512_scalef_ps(sum, whole);
}
#endif

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
