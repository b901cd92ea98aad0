/* Products of few rows with several bfloat16 matrices at once, whose weights are read once, in the order in which they
 * lie in memory; sums are in float32. */

#include "vectors.h"

#ifndef __AVX512BF16__
#error "needs AVX-512 with bfloat16"
#endif

constexpr int WIDTH = 32; /* bfloat16 numbers of a vector */
constexpr int CHAINS = 4; /* sums of a row, none of which waits for another; as many for any number of rows */

typedef struct {
    const bf16 *weights, *bias; /* [outputs, inputs], [outputs] or NULL */
    bf16 *out;                  /* [rows, outputs] */
    int64_t outputs;
} Part;

INLINE __m512bh vector_at(const bf16 *values) { return (__m512bh)_mm512_loadu_si512(values); }

template <int R>
INLINE void one_output(const Part *p, const bf16 *x, int64_t inputs, int64_t row, int64_t output) {
    const bf16 *weights = p->weights + output * inputs;
    __m512 sums[R][CHAINS];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < CHAINS; c++) sums[r][c] = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + CHAINS * WIDTH <= inputs; i += CHAINS * WIDTH)
        for (int c = 0; c < CHAINS; c++) {
            const __m512bh some = vector_at(weights + i + c * WIDTH);
            for (int r = 0; r < R; r++)
                sums[r][c] = _mm512_dpbf16_ps(sums[r][c], some, vector_at(x + (row + r) * inputs + i + c * WIDTH));
        }
    for (; i < inputs; i += WIDTH)
        for (int r = 0; r < R; r++)
            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], vector_at(weights + i), vector_at(x + (row + r) * inputs + i));
    for (int r = 0; r < R; r++) {
        for (int c = 1; c < CHAINS; c++) sums[r][0] = _mm512_add_ps(sums[r][0], sums[r][c]);
        floats sum = {_mm512_reduce_add_ps(sums[r][0])};
        if (p->bias) sum += load_some(p->bias, output, 1, true);
        store_some(p->out, (row + r) * p->outputs + output, sum, 1);
    }
}

/* x [rows, inputs] with each part; inputs a multiple of WIDTH. */
extern "C" void rows_product(const bf16 *x, int64_t rows, int64_t inputs, const Part *parts, int64_t count,
                             int64_t threads) {
    int64_t total = 0;
    for (int64_t part = 0; part < count; part++) total += parts[part].outputs;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t some = 0; some < total; some++) {
        const Part *p = parts;
        int64_t output = some, row = 0;
        while (output >= p->outputs) output -= p++->outputs;
        for (; row + 4 <= rows; row += 4) one_output<4>(p, x, inputs, row, output);
        for (; row + 2 <= rows; row += 2) one_output<2>(p, x, inputs, row, output);
        if (row < rows) one_output<1>(p, x, inputs, row, output);
    }
}
