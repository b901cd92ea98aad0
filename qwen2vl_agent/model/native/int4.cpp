/* Products of few rows with weights of 4 bits: rows are rounded to 8 bits group by group and multiplied as integers.
 *
 * A weight is scale * (n - 8) + zero, n of 0 to 15, with one scale and zero for each group of an output's inputs. So a
 * group adds  of_row * (scale * sum(n x) + (zero - 8 scale) * sum(x)),  x the row's 8-bit numbers, of_row their scale.
 *
 * Layout: outputs in blocks of 16, inputs in chunks of 8. A chunk is 64 bytes, four for each output: byte j has the
 * number of input j in its lower half and of input j + 4 in its upper. Factors are kept block by block, group by group,
 * as 16 pairs of bfloat16, the scale in the lower half of 32 bits and the zero in the upper.
 */

#include "vectors.h"

constexpr int MIDDLE = 8;
constexpr int CHUNK = 8, CHUNK_BYTES = 64;
constexpr int MOST_GROUP = 128;
constexpr int KEPT_BLOCK = 64; /* outputs that a checkpoint packs together */

typedef struct {
    int64_t outputs, inputs, group; /* outputs are whole blocks; a group is a multiple of 32 */
    const uint8_t *packed;
    const uint32_t *factors;
} Weights;

typedef int32_t numbers_of_4 __attribute__((may_alias, aligned(1))); /* four of a row's 8-bit numbers */

typedef struct {
    int8_t *numbers; /* [rows, inputs] */
    float *scales;   /* [rows, groups] */
    float *sums;     /* [rows, groups] of what numbers times scale add up to */
} Rounded;

static void round_row(const Weights *w, const void *x, int64_t half, int64_t row, Rounded rounded) {
    const int64_t groups = w->inputs / w->group;
    float values[MOST_GROUP];
    for (int64_t g = 0; g < groups; g++) {
        const int64_t first = row * w->inputs + g * w->group;
        float largest = 0, spoilt = 0;
        for (int64_t i = 0; i < w->group; i += LANES) {
            const floats some = load(x, first + i, half);
            memcpy(values + i, &some, sizeof some);
        }
        for (int64_t i = 0; i < w->group; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
        for (int64_t i = 0; i < w->group; i++) spoilt += 0 * values[i]; /* NaN where a value is none or infinite */
        const float times = largest > 0 ? 127 / largest : 0;
        int32_t sum = 0;
        for (int64_t i = 0; i < w->group; i++) {
            const int32_t number = (int32_t)rintf(values[i] * times);
            rounded.numbers[first + i] = (int8_t)number;
            sum += number;
        }
        rounded.scales[row * groups + g] = largest / 127 + spoilt;
        rounded.sums[row * groups + g] = rounded.scales[row * groups + g] * sum;
    }
}

/* sum(n x) of a group for 16 outputs and R rows. */
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
template <int R>
INLINE void group_sums(const uint8_t *packed, const int8_t *const *x, int64_t chunks, ints *sums) {
    const __m512i lower = _mm512_set1_epi8(15);
    __m512i low[R], high[R];
    for (int r = 0; r < R; r++) low[r] = high[r] = _mm512_setzero_si512();
    for (int64_t c = 0; c < chunks; c++) {
        const __m512i pairs = _mm512_loadu_si512(packed + c * CHUNK_BYTES);
        const __m512i first = _mm512_and_si512(pairs, lower);
        const __m512i second = _mm512_and_si512(_mm512_srli_epi16(pairs, 4), lower);
        for (int r = 0; r < R; r++) {
            const numbers_of_4 *fours = (const numbers_of_4 *)(x[r] + c * CHUNK);
            low[r] = _mm512_dpbusd_epi32(low[r], first, _mm512_set1_epi32(fours[0]));
            high[r] = _mm512_dpbusd_epi32(high[r], second, _mm512_set1_epi32(fours[1]));
        }
    }
    for (int r = 0; r < R; r++) sums[r] = (ints)_mm512_add_epi32(low[r], high[r]);
}
#else
/* Pairs of products stay below 2 * 15 * 127, so that four chunks of two fit 16 bits. */
template <int R>
INLINE void group_sums(const uint8_t *packed, const int8_t *const *x, int64_t chunks, ints *sums) {
    const __m256i lower = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    for (int part = 0; part < 2; part++) {
        __m256i total[R];
        for (int r = 0; r < R; r++) total[r] = _mm256_setzero_si256();
        for (int64_t c = 0; c < chunks; c += 4) {
            __m256i some[R];
            for (int r = 0; r < R; r++) some[r] = _mm256_setzero_si256();
            for (int64_t d = c; d < c + 4; d++) {
                const __m256i pairs = _mm256_loadu_si256((const __m256i_u *)(packed + d * CHUNK_BYTES + part * 32));
                const __m256i first = _mm256_and_si256(pairs, lower);
                const __m256i second = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), lower);
                for (int r = 0; r < R; r++) {
                    const numbers_of_4 *fours = (const numbers_of_4 *)(x[r] + d * CHUNK);
                    const __m256i low = _mm256_maddubs_epi16(first, _mm256_set1_epi32(fours[0]));
                    const __m256i high = _mm256_maddubs_epi16(second, _mm256_set1_epi32(fours[1]));
                    some[r] = _mm256_add_epi16(some[r], _mm256_add_epi16(low, high));
                }
            }
            for (int r = 0; r < R; r++) total[r] = _mm256_add_epi32(total[r], _mm256_madd_epi16(some[r], ones));
        }
        for (int r = 0; r < R; r++) memcpy((char *)&sums[r] + part * 32, &total[r], 32);
    }
}
#endif

INLINE void factors_of(const Weights *w, int64_t block, int64_t group, floats *scales, floats *zeros) {
    words pairs;
    memcpy(&pairs, w->factors + (block * (w->inputs / w->group) + group) * LANES, sizeof pairs);
    *scales = (floats)(pairs << 16);
    *zeros = (floats)(pairs & 0xffff0000u) - MIDDLE * *scales; /* what the number 0 means */
}

template <int R>
INLINE void some_rows(const Weights *w, Rounded rounded, int64_t row, int64_t block, void *out, int64_t half) {
    const int64_t groups = w->inputs / w->group, chunks = w->group / CHUNK;
    const uint8_t *packed = w->packed + block * (w->inputs / CHUNK) * CHUNK_BYTES;
    floats total[R];
    for (int r = 0; r < R; r++) total[r] = floats{};
    for (int64_t g = 0; g < groups; g++) {
        ints sums[R];
        const int8_t *x[R];
        floats scales, zeros;
        for (int r = 0; r < R; r++) x[r] = rounded.numbers + (row + r) * w->inputs + g * w->group;
        group_sums<R>(packed + g * chunks * CHUNK_BYTES, x, chunks, sums);
        factors_of(w, block, g, &scales, &zeros);
        for (int r = 0; r < R; r++) {
            const int64_t place = (row + r) * groups + g;
            const floats products = __builtin_convertvector(sums[r], floats);
            total[r] += rounded.scales[place] * scales * products + rounded.sums[place] * zeros;
        }
    }
    for (int r = 0; r < R; r++) store(out, (row + r) * w->outputs + block * LANES, total[r], half);
}

/* x [rows, inputs] and out [rows, outputs] in bfloat16 (half) or float32. Returns 0, or 1 without memory. */
extern "C" int int4_product(const Weights *w, int64_t rows, const void *x, void *out, int64_t half, int64_t threads) {
    const int64_t groups = w->inputs / w->group;
    char *memory = (char *)malloc(rows * (w->inputs + 2 * groups * sizeof(float)));
    if (!memory) return 1;
    Rounded rounded;
    rounded.scales = (float *)memory;
    rounded.sums = rounded.scales + rows * groups;
    rounded.numbers = (int8_t *)(rounded.sums + rows * groups);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) round_row(w, x, half, row, rounded);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < w->outputs / LANES; block++) {
            int64_t row = 0;
            for (; row + 8 <= rows; row += 8) some_rows<8>(w, rounded, row, block, out, half);
            for (; row + 2 <= rows; row += 2) some_rows<2>(w, rounded, row, block, out, half);
            if (row < rows) some_rows<1>(w, rounded, row, block, out, half);
        }
    }
    free(memory);
    return 0;
}

/* The weights of `count` outputs from `first` on, both in whole pairs of blocks, as numbers again: [inputs, count]. */
extern "C" void int4_turn_back(const Weights *w, int64_t first, int64_t count, void *out, int64_t half,
                               int64_t threads) {
    const int64_t chunks = w->inputs / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t pair = 0; pair < count / (2 * LANES); pair++) {
        floats scales[2], zeros[2];
        for (int64_t c = 0; c < chunks; c++) {
            words some[2];
            for (int b = 0; b < 2; b++) {
                const int64_t block = first / LANES + 2 * pair + b;
                memcpy(&some[b], w->packed + (block * chunks + c) * CHUNK_BYTES, sizeof some[b]);
                if (c * CHUNK % w->group == 0) factors_of(w, block, c * CHUNK / w->group, &scales[b], &zeros[b]);
            }
            for (int j = 0; j < CHUNK; j++)
                for (int b = 0; b < 2; b++) {
                    const words numbers = some[b] >> (8 * (j % 4) + 4 * (j / 4)) & 15;
                    const floats values = scales[b] * __builtin_convertvector((ints)numbers, floats) + zeros[b];
                    store(out, (c * CHUNK + j) * count + (2 * pair + b) * LANES, values, half);
                }
        }
    }
}

/* Between a checkpoint's layout and this one; outputs are whole blocks of `KEPT_BLOCK`. In a checkpoint each block and
 * input has 32 bytes: byte d has output d in its lower half and output d + 32 in its upper. */
INLINE int64_t kept_byte(int64_t inputs, int64_t output, int64_t input) {
    constexpr int64_t HALF = KEPT_BLOCK / 2;
    return (output / KEPT_BLOCK * inputs + input) * HALF + output % HALF;
}

INLINE int64_t packed_byte(int64_t inputs, int64_t output, int64_t chunk) {
    return (output / LANES * (inputs / CHUNK) + chunk) * CHUNK_BYTES + output % LANES * 4;
}

extern "C" void int4_pack(const uint8_t *kept, int64_t outputs, int64_t inputs, uint8_t *packed, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t block = 0; block < outputs / KEPT_BLOCK; block++)
        for (int64_t chunk = 0; chunk < inputs / CHUNK; chunk++)
            for (int64_t output = block * KEPT_BLOCK; output < (block + 1) * KEPT_BLOCK; output++) {
                const int shift = output % KEPT_BLOCK < KEPT_BLOCK / 2 ? 0 : 4;
                const uint8_t *from = kept + kept_byte(inputs, output, chunk * CHUNK);
                uint8_t *to = packed + packed_byte(inputs, output, chunk);
                for (int j = 0; j < 4; j++) {
                    const int first = from[j * (KEPT_BLOCK / 2)] >> shift & 15;
                    const int second = from[(j + 4) * (KEPT_BLOCK / 2)] >> shift & 15;
                    to[j] = first | second << 4;
                }
            }
}

extern "C" void int4_unpack(const uint8_t *packed, int64_t outputs, int64_t inputs, uint8_t *kept, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t block = 0; block < outputs / KEPT_BLOCK; block++)
        for (int64_t input = 0; input < inputs; input++)
            for (int64_t lane = 0; lane < KEPT_BLOCK / 2; lane++) {
                const int64_t output = block * KEPT_BLOCK + lane, place = input % CHUNK;
                const int shift = place < 4 ? 0 : 4;
                const uint8_t *lower = packed + packed_byte(inputs, output, input / CHUNK) + place % 4;
                const uint8_t *upper = packed + packed_byte(inputs, output + KEPT_BLOCK / 2, input / CHUNK) + place % 4;
                kept[kept_byte(inputs, output, input)] = (*lower >> shift & 15) | (*upper >> shift & 15) << 4;
            }
}
