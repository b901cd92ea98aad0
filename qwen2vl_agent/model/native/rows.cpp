/* Products of few rows with several bfloat16 matrices at once, whose weights are read once; sums are in float32. */

#include "vectors.h"

#ifndef __AVX512BF16__
#error "needs AVX-512 with bfloat16"
#endif

constexpr int WIDTH = 32;        /* bfloat16 numbers of a vector */
constexpr int OUTPUTS = 4;       /* whose weights are read side by side */
constexpr int64_t AHEAD = 1024;  /* bytes of a weight's row that are asked for before they are needed */

typedef struct {
    const bf16 *weights, *bias; /* [outputs, inputs], [outputs] or NULL */
    bf16 *out;                  /* [rows, outputs] */
    int64_t outputs;            /* a multiple of OUTPUTS */
} Part;

template <int R>
INLINE void some_outputs(const Part *p, const bf16 *x, int64_t inputs, int64_t row, int64_t output) {
    const bf16 *weights = p->weights + output * inputs;
    __m512 sums[OUTPUTS][R];
    for (int o = 0; o < OUTPUTS; o++)
        for (int r = 0; r < R; r++) sums[o][r] = _mm512_setzero_ps();
    for (int64_t i = 0; i < inputs; i += WIDTH) {
        __m512bh some[R];
        for (int r = 0; r < R; r++) some[r] = (__m512bh)_mm512_loadu_si512(x + (row + r) * inputs + i);
        for (int o = 0; o < OUTPUTS; o++) {
            const bf16 *from = weights + o * inputs + i;
            if (R > 1) _mm_prefetch((const char *)from + AHEAD, _MM_HINT_T0);
            const __m512bh weight = (__m512bh)_mm512_loadu_si512(from);
            for (int r = 0; r < R; r++) sums[o][r] = _mm512_dpbf16_ps(sums[o][r], weight, some[r]);
        }
    }
    for (int r = 0; r < R; r++) {
        floats four = {};
        for (int o = 0; o < OUTPUTS; o++) four[o] = _mm512_reduce_add_ps(sums[o][r]);
        if (p->bias) four += load_some(p->bias, output, OUTPUTS, true);
        store_some(p->out, (row + r) * p->outputs + output, four, OUTPUTS);
    }
}

/* x [rows, inputs] with each part; inputs a multiple of WIDTH. */
extern "C" void rows_product(const bf16 *x, int64_t rows, int64_t inputs, const Part *parts, int64_t count,
                             int64_t threads) {
    int64_t total = 0;
    for (int64_t part = 0; part < count; part++) total += parts[part].outputs / OUTPUTS;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t some = 0; some < total; some++) {
        const Part *p = parts;
        int64_t output = some * OUTPUTS, row = 0;
        while (output >= p->outputs) output -= p++->outputs;
        for (; row + 6 <= rows; row += 6) some_outputs<6>(p, x, inputs, row, output);
        for (; row + 2 <= rows; row += 2) some_outputs<2>(p, x, inputs, row, output);
        if (row < rows) some_outputs<1>(p, x, inputs, row, output);
    }
}
