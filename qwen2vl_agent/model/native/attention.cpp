/* Scaled dot-product attention in bfloat16, forward: softmax(q k' / sqrt(width)) v, scores and sums in float32.
 *
 * As in FlashAttention (arXiv 2205.14135) no row of scores is ever whole: rows go in tiles over blocks of keys, with a
 * running maximum and sum of each row. The queries of all heads that share keys are rows side by side: row 13 of groups
 * of 6 is query 2 of head 1. Keys and values are first packed as the instruction for products of pairs wants them: of
 * each 64 keys, pair by pair of a head's numbers, all keys' pairs; of each 2 keys, number by number, both values.
 */

#include "vectors.h"

#ifndef __AVX512BF16__
#error "needs AVX-512 with bfloat16"
#endif

constexpr int ROWS = 48;    /* of a tile */
constexpr int KEYS = 128;   /* of a block */
constexpr int STRIP = 64;   /* keys whose scores are in registers together */
constexpr int MOST_WIDTH = 128;

typedef struct {
    int64_t queries, keys, heads, kv_heads, width; /* heads: of queries; width: a multiple of 16, at most MOST_WIDTH */
    int64_t causal;                                /* queries are the last of the keys, and see none after their own */
    const bf16 *q, *k, *v;                         /* [queries, heads, width], [keys, kv_heads, width] twice */
    int64_t q_token, q_head, k_token, k_head, v_token, v_head; /* distances, in numbers */
    bf16 *out;                                                 /* [queries, heads, width], without gaps */
} Attention;

typedef struct {
    float scores[ROWS][KEYS] __attribute__((aligned(64)));
    bf16 weights[ROWS][KEYS] __attribute__((aligned(64)));
    float out[ROWS][MOST_WIDTH] __attribute__((aligned(64)));
    uint32_t q[ROWS][MOST_WIDTH / 2] __attribute__((aligned(64)));
    float largest[ROWS], sum[ROWS];
} Tile;

INLINE __m512bh pairs_at(const uint32_t *address) {
    return (__m512bh)_mm512_loadu_si512(address);
}

INLINE __m512bh pair_everywhere(const uint32_t *address) {
    return (__m512bh)_mm512_set1_epi32(*(const int32_t *)address);
}

/* Sixteen rows of sixteen 32-bit words become columns: four rounds of exchanges between rows 1, 2, 4 and 8 apart. */
INLINE void transpose(__m512i *rows) {
    __m512i some[16];
    for (int r = 0; r < 16; r += 2) {
        some[r] = _mm512_unpacklo_epi32(rows[r], rows[r + 1]);
        some[r + 1] = _mm512_unpackhi_epi32(rows[r], rows[r + 1]);
    }
    for (int r = 0; r < 16; r += 4) {
        rows[r] = _mm512_unpacklo_epi64(some[r], some[r + 2]);
        rows[r + 1] = _mm512_unpackhi_epi64(some[r], some[r + 2]);
        rows[r + 2] = _mm512_unpacklo_epi64(some[r + 1], some[r + 3]);
        rows[r + 3] = _mm512_unpackhi_epi64(some[r + 1], some[r + 3]);
    }
    for (int r = 0; r < 16; r += 8)
        for (int c = 0; c < 4; c++) {
            some[r + c] = _mm512_shuffle_i32x4(rows[r + c], rows[r + c + 4], 0x88);
            some[r + c + 4] = _mm512_shuffle_i32x4(rows[r + c], rows[r + c + 4], 0xdd);
        }
    for (int c = 0; c < 8; c++) {
        rows[c] = _mm512_shuffle_i32x4(some[c], some[c + 8], 0x88);
        rows[c + 8] = _mm512_shuffle_i32x4(some[c], some[c + 8], 0xdd);
    }
}

INLINE words widened(const bf16 *values) {
    halves some;
    memcpy(&some, values, sizeof some);
    return __builtin_convertvector(some, words);
}

/* Sixteen keys from `first` on as columns of a strip. */
INLINE void pack_keys(const Attention *a, int64_t head, int64_t first, uint32_t *packed) {
    const int64_t pairs = a->width / 2;
    for (int64_t pair = 0; pair < pairs; pair += LANES) {
        const int64_t count = smaller(LANES, pairs - pair);
        const __mmask16 inside = (1u << count) - 1;
        __m512i rows[LANES];
        for (int64_t lane = 0; lane < LANES; lane++) {
            const bf16 *from = a->k + (first + lane) * a->k_token + head * a->k_head + 2 * pair;
            rows[lane] = first + lane < a->keys ? _mm512_maskz_loadu_epi32(inside, from) : _mm512_setzero_si512();
        }
        transpose(rows);
        for (int64_t c = 0; c < count; c++) _mm512_storeu_si512(packed + (pair + c) * STRIP, rows[c]);
    }
}

/* The values of sixteen keys from `first` on. */
INLINE void pack_values(const Attention *a, int64_t head, int64_t first, uint32_t *packed) {
    for (int64_t key = first; key < first + LANES; key += 2)
        for (int64_t i = 0; i < a->width; i += LANES) {
            const bf16 *from = a->v + key * a->v_token + head * a->v_head + i;
            const words one = key < a->keys ? widened(from) : words{};
            const words two = key + 1 < a->keys ? widened(from + a->v_token) : words{};
            const words pairs = one | two << 16;
            memcpy(packed + (key - first) / 2 * a->width + i, &pairs, sizeof pairs);
        }
}

/* Scores of R rows from `row` on with a strip of keys. */
template <int R>
INLINE void strip_scores(Tile *tile, int row, const uint32_t *keys, int64_t pairs, int column) {
    __m512 sums[R][4];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < 4; c++) sums[r][c] = _mm512_setzero_ps();
    for (int64_t pair = 0; pair < pairs; pair++) {
        __m512bh some[4];
        for (int c = 0; c < 4; c++) some[c] = pairs_at(keys + pair * STRIP + c * LANES);
        for (int r = 0; r < R; r++) {
            const __m512bh q = pair_everywhere(&tile->q[row + r][pair]);
            for (int c = 0; c < 4; c++) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], q, some[c]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < 4; c++) _mm512_store_ps(&tile->scores[row + r][column + c * LANES], sums[r][c]);
}

/* Turns a row of scores into weights; what was summed up under a smaller maximum is scaled down. */
INLINE void weigh(Tile *tile, int row, int columns, int seen, int64_t width, float scale) {
    float *scores = tile->scores[row];
    for (int c = seen; c < columns; c++) scores[c] = -INFINITY;
    __m512 most = _mm512_load_ps(scores);
    for (int c = LANES; c < columns; c += LANES) most = _mm512_max_ps(most, _mm512_load_ps(scores + c));
    const float before = tile->largest[row], largest = fmaxf(before, _mm512_reduce_max_ps(most) * scale);
    const __m512 shift = _mm512_set1_ps(-largest), scales = _mm512_set1_ps(scale);
    __m512 sum = _mm512_setzero_ps();
    for (int c = 0; c < columns; c += 2 * LANES) {
        const __m512 one = power_of_two(_mm512_fmadd_ps(_mm512_load_ps(scores + c), scales, shift));
        const __m512 two = power_of_two(_mm512_fmadd_ps(_mm512_load_ps(scores + c + LANES), scales, shift));
        sum = _mm512_add_ps(sum, _mm512_add_ps(one, two));
        _mm512_store_si512(&tile->weights[row][c], (__m512i)_mm512_cvtne2ps_pbh(two, one));
    }
    const float less = exp2f(before - largest);
    tile->sum[row] = tile->sum[row] * less + _mm512_reduce_add_ps(sum);
    tile->largest[row] = largest;
    if (less == 1) return;
    for (int64_t i = 0; i < width; i += LANES) {
        float *out = tile->out[row] + i;
        _mm512_store_ps(out, _mm512_mul_ps(_mm512_load_ps(out), _mm512_set1_ps(less)));
    }
}

/* Adds the weighted values of a block to R rows, C vectors of a head's numbers at a time. */
template <int R, int C>
INLINE void add_values(Tile *tile, int row, const uint32_t *values, int columns, int64_t width, int64_t from) {
    __m512 sums[R][C];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sums[r][c] = _mm512_load_ps(&tile->out[row + r][from + c * LANES]);
    for (int two = 0; two < columns / 2; two++) {
        __m512bh some[C];
        for (int c = 0; c < C; c++) some[c] = pairs_at(values + two * width + from + c * LANES);
        for (int r = 0; r < R; r++) {
            const __m512bh weights = pair_everywhere((const uint32_t *)tile->weights[row + r] + two);
            for (int c = 0; c < C; c++) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], weights, some[c]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) _mm512_store_ps(&tile->out[row + r][from + c * LANES], sums[r][c]);
}

static void block_values(Tile *tile, int rows, const uint32_t *values, int columns, int64_t width) {
    int64_t from = 0;
    for (; from + 5 * LANES <= width; from += 5 * LANES)
        for (int row = 0; row < rows; row += 4) add_values<4, 5>(tile, row, values, columns, width, from);
    for (; from + 3 * LANES <= width; from += 3 * LANES)
        for (int row = 0; row < rows; row += 6) add_values<6, 3>(tile, row, values, columns, width, from);
    for (; from < width; from += LANES)
        for (int row = 0; row < rows; row += 12) add_values<12, 1>(tile, row, values, columns, width, from);
}

/* Reads a block's keys and values line by line: packing meets them in an order that no processor foresees. */
INLINE void touch(const Attention *a, int64_t head, int64_t block) {
    __m256i seen = _mm256_setzero_si256();
    for (int64_t key = block; key < smaller(block + KEYS, a->keys); key++)
        for (int64_t i = 0; i < a->width; i += 32) {
            const bf16 *k = a->k + key * a->k_token + head * a->k_head + i;
            const bf16 *v = a->v + key * a->v_token + head * a->v_head + i;
            seen = _mm256_or_si256(seen, _mm256_loadu_si256((const __m256i_u *)k));
            seen = _mm256_or_si256(seen, _mm256_loadu_si256((const __m256i_u *)v));
        }
    asm volatile("" : : "x"(seen)); /* or nothing would be read */
}

/* A tile's rows from `first` on; without packed keys and values it packs them itself, block by block. */
static void attend_tile(const Attention *a, int64_t kv_head, int64_t first, const uint32_t *keys,
                        const uint32_t *values) {
    const int64_t group = a->heads / a->kv_heads, earlier = a->keys - a->queries, pairs = a->width / 2;
    const int rows = (int)smaller(ROWS, a->queries * group - first);
    const int64_t end = a->causal ? earlier + (first + rows - 1) / group + 1 : a->keys;
    const float scale = 1.44269504f / sqrtf(a->width); /* powers of two instead of e */
    uint32_t some_keys[KEYS / 2 * MOST_WIDTH], some_values[KEYS / 2 * MOST_WIDTH];
    Tile tile;
    memset(tile.q, 0, sizeof tile.q);
    memset(tile.out, 0, sizeof tile.out);
    for (int row = 0; row < rows; row++) {
        const int64_t query = (first + row) / group, head = kv_head * group + (first + row) % group;
        memcpy(tile.q[row], a->q + query * a->q_token + head * a->q_head, pairs * sizeof(uint32_t));
        tile.largest[row] = -INFINITY;
        tile.sum[row] = 0;
    }
    for (int64_t block = 0; block < end; block += KEYS) {
        const int columns = end - block > STRIP ? KEYS : STRIP;
        const uint32_t *k = some_keys, *v = some_values;
        if (keys) {
            k = keys + block * pairs, v = values + block * pairs;
        } else {
            touch(a, kv_head, block);
            for (int column = 0; column < columns; column += LANES) {
                const int strip = column / STRIP * STRIP;
                pack_keys(a, kv_head, block + column, some_keys + strip * pairs + column % STRIP);
                pack_values(a, kv_head, block + column, some_values + column * pairs);
            }
        }
        for (int column = 0; column < columns; column += STRIP)
            for (int row = 0; row < rows; row += 6) strip_scores<6>(&tile, row, k + column * pairs, pairs, column);
        for (int row = 0; row < rows; row++) {
            const int64_t seen = (a->causal ? earlier + (first + row) / group + 1 : a->keys) - block;
            weigh(&tile, row, columns, seen < 0 ? 0 : (int)smaller(seen, columns), a->width, scale);
        }
        block_values(&tile, rows, v, columns, a->width);
    }
    for (int row = 0; row < rows; row++) {
        const int64_t query = (first + row) / group, head = kv_head * group + (first + row) % group;
        bf16 *out = a->out + (query * a->heads + head) * a->width;
        for (int64_t i = 0; i < a->width; i += LANES)
            store(out, i, load(tile.out[row], i, false) / tile.sum[row], true);
    }
}

/* Returns 0, or 1 without memory. */
extern "C" int attend(const Attention *a, int64_t threads) {
    const int64_t strips = (a->keys + KEYS - 1) / KEYS * (KEYS / STRIP), size = strips * STRIP * a->width / 2;
    const int64_t tiles = (a->queries * (a->heads / a->kv_heads) + ROWS - 1) / ROWS;
    if (tiles == 1) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t head = 0; head < a->kv_heads; head++) attend_tile(a, head, 0, NULL, NULL);
        return 0;
    }
    uint32_t *keys = (uint32_t *)aligned_alloc(64, 2 * a->kv_heads * size * sizeof *keys);
    if (!keys) return 1;
    uint32_t *values = keys + a->kv_heads * size;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t part = 0; part < a->kv_heads * strips; part++)
            for (int64_t column = 0; column < STRIP; column += LANES) {
                const int64_t head = part / strips, strip = part % strips * STRIP;
                const int64_t place = head * size + strip * a->width / 2;
                pack_keys(a, head, strip + column, keys + place + column);
                pack_values(a, head, strip + column, values + place + column * a->width / 2);
            }
#pragma omp for schedule(dynamic)
        for (int64_t part = 0; part < a->kv_heads * tiles; part++) {
            const int64_t head = part / tiles, tile = tiles - 1 - part % tiles; /* causal: the longest first */
            attend_tile(a, head, tile * ROWS, keys + head * size, values + head * size);
        }
    }
    free(keys);
    return 0;
}
