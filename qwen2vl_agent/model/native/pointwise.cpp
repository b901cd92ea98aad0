/* Steps between products in bfloat16, each in one pass over memory: computed in float32, rounded once. */

#include "vectors.h"

#ifndef __AVX512BF16__
#error "needs AVX-512 with bfloat16"
#endif

constexpr int64_t WORTH_THREADS = 1 << 15; /* numbers from which a second thread pays */

/* x sigmoid(factor x) */
INLINE floats sigmoid_weighted(floats x, float factor) {
    const floats powers = x * (-1.44269504f * factor);
    const __m512 power = _mm512_min_ps((__m512)powers, _mm512_set1_ps(1000)); /* 2^1000 is infinite */
    return x / (1 + (floats)power_of_two(power));
}

/* Rows [rows, width] over their root mean square, rounded, times the weight [width]; width in whole vectors. */
extern "C" void rms_norm(const bf16 *x, int64_t distance, const bf16 *weight, int64_t rows, int64_t width, float eps,
                         bf16 *out, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * width >= WORTH_THREADS)
    for (int64_t row = 0; row < rows; row++) {
        const bf16 *from = x + row * distance;
        floats squares = {};
        for (int64_t i = 0; i < width; i += LANES) {
            const floats some = load(from, i, true);
            squares += some * some;
        }
        const float scale = 1 / sqrtf(_mm512_reduce_add_ps((__m512)squares) / width + eps);
        for (int64_t i = 0; i < width; i += LANES) {
            const halves normed = to_bf16(load(from, i, true) * scale);
            store(out, row * width + i, load(&normed, 0, true) * load(weight, i, true), true);
        }
    }
}

/* silu(gate) * up, rows of both `distance` apart. */
extern "C" void gated(const bf16 *gate, const bf16 *up, int64_t distance, int64_t rows, int64_t width, bf16 *out,
                      int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * width >= WORTH_THREADS)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < width; i += LANES) {
            const floats opened = sigmoid_weighted(load(gate, row * distance + i, true), 1);
            store(out, row * width + i, opened * load(up, row * distance + i, true), true);
        }
}

/* QuickGELU of `count` numbers in whole vectors, in place. */
extern "C" void quick_gelu(bf16 *x, int64_t count, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (count >= WORTH_THREADS)
    for (int64_t i = 0; i < count; i += LANES) store(x, i, sigmoid_weighted(load(x, i, true), 1.702f), true);
}

/* Each head's halves (a, b) become (a cos - b sin, b cos + a sin); x [tokens, heads, 2 half], angles [tokens, half]. */
extern "C" void turned(const bf16 *x, int64_t of_token, int64_t of_head, const void *cosines, const void *sines,
                       int64_t angles_in_half, int64_t tokens, int64_t heads, int64_t half, bf16 *out,
                       int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (tokens * heads * half >= WORTH_THREADS)
    for (int64_t token = 0; token < tokens; token++)
        for (int64_t i = 0; i < half; i += LANES) {
            const int64_t count = smaller(LANES, half - i), angle = token * half + i;
            const floats cosine = load_some(cosines, angle, count, angles_in_half);
            const floats sine = load_some(sines, angle, count, angles_in_half);
            for (int64_t head = 0; head < heads; head++) {
                const int64_t place = token * of_token + head * of_head + i;
                const int64_t to = (token * heads + head) * 2 * half + i;
                const floats a = load_some(x, place, count, true), b = load_some(x, place + half, count, true);
                store_some(out, to, a * cosine - b * sine, count);
                store_some(out, to + half, b * cosine + a * sine, count);
            }
        }
}

/* Rows [rows, width] as 8-bit numbers from 1 to 255, whose middle is 128, and the largest of each; width in whole
 * vectors. Of a row with numbers that are none or infinite the largest is none. */
extern "C" void rounded(const bf16 *x, int64_t distance, int64_t rows, int64_t width, uint8_t *numbers, float *largest,
                        int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * width >= WORTH_THREADS)
    for (int64_t row = 0; row < rows; row++) {
        const bf16 *from = x + row * distance;
        floats most = {}, spoilt = {};
        for (int64_t i = 0; i < width; i += LANES) {
            const floats some = load(from, i, true);
            most = (floats)_mm512_max_ps((__m512)most, _mm512_abs_ps((__m512)some));
            spoilt += 0 * some;
        }
        const float found = fmaxf(_mm512_reduce_max_ps((__m512)most), 1e-12f);
        for (int64_t i = 0; i < width; i += LANES) {
            const __m512i some = _mm512_cvtps_epi32((__m512)(load(from, i, true) * (127 / found)));
            const __m128i bytes = _mm512_cvtusepi32_epi8(_mm512_add_epi32(some, _mm512_set1_epi32(128)));
            _mm_storeu_si128((__m128i *)(numbers + row * width + i), bytes);
        }
        largest[row] = found + _mm512_reduce_add_ps((__m512)spoilt);
    }
}
