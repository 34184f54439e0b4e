#include "census.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the sample is full, every other one is dropped and half as many are taken from there on. */
static void sample(struct vnp_census *c, uint32_t tokens)
{
    if (tokens == 0) /* there is nothing to compute */
        return;
    const uint64_t row = c->filled++;
    if (c->stride == 0)
        c->stride = 1;
    if (row % c->stride != 0)
        return;
    if (c->n_sample == VNP_CENSUS_SAMPLE) {
        c->n_sample /= 2;
        for (int64_t i = 0; i < c->n_sample; i++)
            c->sample[i] = c->sample[2 * i];
        c->stride *= 2;
        if (row % c->stride != 0)
            return;
    }
    c->sample[c->n_sample++] = tokens;
}

static void add_record(struct vnp_census *c, uint64_t total, uint32_t id_bytes)
{
    c->shortest = c->records == 0 || total < c->shortest ? total : c->shortest;
    c->longest = larger(c->longest, total);
    c->residues += total;
    c->id_bytes += id_bytes;
    c->records++;
}

static void add_row(struct vnp_census *c, const struct vnp_block *b, int64_t i)
{
    const uint32_t window = b->window ? b->window[i] : 0, windows = b->windows ? b->windows[i] : 1;
    sample(c, b->tokens[i]);
    if (window == 0) {
        add_record(c, b->total[i], b->id[i].n);
        c->windowed += windows > 1;
    }
    if (window + 1 == windows) /* where the last window ends, the record does */
        c->kept += (b->start ? b->start[i] : 0) + b->residues[i];
    c->truncated += (b->flags[i] & VNP_TRUNCATED) != 0;
    c->empty += (b->flags[i] & VNP_EMPTY) != 0;
    c->untrained += b->residues[i] > VNP_ESM2_TRAINED;
    c->longest_row = larger(c->longest_row, b->tokens[i]);
    c->rows++;
}

void vnp_census_add(struct vnp_census *c, const struct vnp_block *batch, uint64_t budget)
{
    const uint64_t tokens = vnp_sum(batch->tokens, batch->n);
    for (int64_t i = 0; i < batch->n; i++)
        add_row(c, batch, i);
    c->tokens += tokens;
    c->largest_batch = larger(c->largest_batch, tokens);
    if (tokens > budget) {
        c->oversize++;
    } else {
        c->batches++;
        c->packed_tokens += tokens;
    }
}

uint32_t vnp_census_sampled(const struct vnp_census *c, int64_t i)
{
    /* Both are prime, and no sample is a multiple of both: the one is prime to its size, and steps through all of it. */
    const int64_t step = c->n_sample % 97 != 0 ? 97 : 101;
    _Static_assert(VNP_CENSUS_SAMPLE < 97 * 101, "another step is wanted");
    return c->sample[i * step % c->n_sample];
}

double vnp_census_used(const struct vnp_census *c, uint64_t budget)
{
    return c->batches ? (double)c->packed_tokens / ((double)c->batches * (double)budget) : 1;
}
