/* The CPU forward pass against references in float64 (tests/golden): Hugging Face EsmModel and fair-esm for ESM-2, the
 * model's specification in PyTorch for DNABERT-S. Every head dimension, with and without massive channels, each
 * sequence alone and all of them in one batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net_cpu.h"
#include "pool.h"

#define MAX_SEQUENCES 32
#define MAX_MODELS 16
#define MAX_LAYERS 8

/* Agreement that the design asks for; ESM-2's references themselves differ by up to 5e-6 (README of tests/golden). */
#define TOLERANCE 2e-5
#define MIN_COSINE 0.999999

struct sequence {
    char name[32];
    uint32_t tokens;
    uint16_t *ids;
};

/* An index file: sequences and, for each model, what is known of them. */
struct index {
    const char *folder, *file;
    struct sequence sequences[MAX_SEQUENCES];
    int n_sequences;
};

struct golden {
    const struct index *index;
    char name[64], fingerprint[32], synth[160];
    int layers, width;
    long lines; /* offset of its first line in the index */
};

static struct index indexes[] = {{.folder = "tests/golden/", .file = "esm2.txt"},
                                 {.folder = "tests/golden/dnabert/", .file = "dnabert.txt"}};
static struct golden models[MAX_MODELS];
static int n_models;

static FILE *open_file(const struct index *x, const char *name, const char *extension)
{
    char path[192];
    snprintf(path, sizeof path, "%s%s%s", x->folder, name, extension);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: can't be read (run from the repository's root)\n", path);
        exit(1);
    }
    return f;
}

static void read_ids(FILE *f, struct index *x)
{
    struct sequence *s = &x->sequences[x->n_sequences++];
    assert_true(x->n_sequences <= MAX_SEQUENCES);
    assert_int_equal(fscanf(f, "%31s %u", s->name, &s->tokens), 2);
    s->ids = test_malloc(s->tokens * sizeof *s->ids);
    for (uint32_t i = 0; i < s->tokens; i++) {
        unsigned id;
        assert_int_equal(fscanf(f, "%u", &id), 1);
        s->ids[i] = (uint16_t)id;
    }
}

static void read_model(FILE *f, const struct index *x)
{
    struct golden *g = &models[n_models++];
    assert_true(n_models <= MAX_MODELS);
    g->index = x;
    assert_int_equal(fscanf(f, "%63s %31s %d %d %159[^\n]", g->name, g->fingerprint, &g->layers, &g->width, g->synth),
                     5);
    g->lines = ftell(f);
}

static void read_index(struct index *x)
{
    FILE *f = open_file(x, x->file, "");
    const int before = n_models;
    char word[32];
    while (fscanf(f, "%31s", word) == 1) {
        if (!strcmp(word, "ids"))
            read_ids(f, x);
        else if (!strcmp(word, "model"))
            read_model(f, x);
        else
            (void)!fscanf(f, "%*[^\n]");
    }
    fclose(f);
    assert_true(x->n_sequences > 0 && n_models > before);
}

static int sequence_of(const struct index *x, const char *name)
{
    for (int s = 0; s < x->n_sequences; s++)
        if (!strcmp(x->sequences[s].name, name))
            return s;
    fail_msg("no such sequence: %s", name);
    return -1;
}

/* --- our side ----------------------------------------------------------------------------------------------------- */

struct ours {
    const struct index *index;
    struct vnp_model *model;
    struct vnp_cpu_threads *threads;
    struct vnp_cpu_net *net;
    float *hidden[MAX_LAYERS + 1][MAX_SEQUENCES]; /* each sequence alone; NULL until asked for */
};

static void open_ours(struct ours *o, const struct golden *g)
{
    char dir[] = "/tmp/vnp-test.XXXXXX", command[1024];
    struct vnp_err err = {0};
    const char *build = getenv("VNP_BUILD");
    o->index = g->index;
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "'%s'/bin/vnp-model synth %s -q -o %s/model", build ? build : "build", g->synth,
             dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/model", dir);
    if (vnp_model_open(&o->model, command, &err) != VNP_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(vnp_model_config(o->model)->fingerprint, g->fingerprint);
    o->threads = vnp_cpu_threads_new(2);
    assert_non_null(o->threads);
    assert_int_equal(vnp_cpu_net_open(&o->net, o->model, o->threads, &err), VNP_OK);
    snprintf(command, sizeof command, "rm -rf %s", dir); /* it is mapped */
    assert_int_equal(system(command), 0);
}

static void close_ours(struct ours *o)
{
    for (int l = 0; l <= MAX_LAYERS; l++)
        for (int s = 0; s < MAX_SEQUENCES; s++)
            if (o->hidden[l][s])
                test_free(o->hidden[l][s]);
    vnp_cpu_net_close(o->net);
    vnp_cpu_threads_free(o->threads);
    vnp_model_close(o->model);
}

static const float *alone(struct ours *o, int layer, int s)
{
    const struct sequence *q = &o->index->sequences[s];
    const size_t bytes = (size_t)q->tokens * (size_t)vnp_model_config(o->model)->width * sizeof(float);
    const float *hidden;
    struct vnp_err err;
    if (o->hidden[layer][s])
        return o->hidden[layer][s];
    const int narrow = vnp_model_config(o->model)->vocab <= 256; /* one byte a token, where it will do */
    uint8_t *ids = test_malloc(q->tokens);
    for (uint32_t i = 0; i < q->tokens; i++)
        ids[i] = (uint8_t)q->ids[i];
    const struct vnp_cpu_batch batch = {1, &q->tokens, narrow ? (const void *)ids : q->ids, narrow ? 1 : 2};
    assert_int_equal(vnp_cpu_net_forward(o->net, &batch, layer, &hidden, &err), VNP_OK);
    o->hidden[layer][s] = test_malloc(bytes);
    memcpy(o->hidden[layer][s], hidden, bytes);
    test_free(ids);
    return o->hidden[layer][s];
}

/* All sequences in one batch, forwards or backwards, as two-byte ids: the bytes of each alone. */
static void check_packed(struct ours *o, int layer, int backwards)
{
    const struct index *x = o->index;
    const int n = x->n_sequences;
    uint32_t tokens[MAX_SEQUENCES];
    size_t total = 0, at = 0;
    for (int i = 0; i < n; i++)
        total += tokens[i] = x->sequences[backwards ? n - 1 - i : i].tokens;
    uint16_t *ids = test_malloc(total * sizeof *ids);
    for (int i = 0; i < n; i++) {
        const struct sequence *q = &x->sequences[backwards ? n - 1 - i : i];
        memcpy(ids + at, q->ids, q->tokens * sizeof *ids);
        at += q->tokens;
    }
    const size_t width = (size_t)vnp_model_config(o->model)->width;
    const struct vnp_cpu_batch batch = {n, tokens, ids, 2};
    const float *hidden;
    struct vnp_err err;
    assert_int_equal(vnp_cpu_net_forward(o->net, &batch, layer, &hidden, &err), VNP_OK);
    float *packed = test_malloc(total * width * sizeof *packed); /* the next forward reuses `hidden` */
    memcpy(packed, hidden, total * width * sizeof *packed);
    at = 0;
    for (int i = 0; i < n; i++) {
        const int s = backwards ? n - 1 - i : i;
        assert_memory_equal(packed + at * width, alone(o, layer, s), tokens[i] * width * sizeof(float));
        at += tokens[i];
    }
    test_free(packed);
    test_free(ids);
}

/* --- comparison --------------------------------------------------------------------------------------------------- */

struct worst {
    double difference, cosine; /* largest share of a row's largest value; smallest */
};

static void compare(const float *got, const float *want, int width, const char *what, struct worst *worst)
{
    double largest = 0, difference = 0, gw = 0, gg = 0, ww = 0;
    for (int i = 0; i < width; i++) {
        const double g = (double)got[i], w = (double)want[i];
        largest = fmax(largest, fabs(w));
        if (!(fabs(g - w) <= difference))
            difference = fabs(g - w);
        gw += g * w;
        gg += g * g;
        ww += w * w;
    }
    const double share = difference / largest, cosine = gw / sqrt(gg * ww);
    /* A row of zeros (<mask>, layer 0) has to be zeros. */
    if (largest > 0 ? !(share <= TOLERANCE) || !(cosine >= MIN_COSINE) : !(difference == 0))
        fail_msg("%s: difference %.3g of the row's largest, cosine %.9f", what, share, cosine);
    if (largest > 0) {
        worst->difference = fmax(worst->difference, share);
        worst->cosine = fmin(worst->cosine, cosine);
    }
}

static void read_vector(FILE *data, float *v, int width)
{
    assert_int_equal(fread(v, sizeof *v, (size_t)width, data), width); /* little-endian, as every host we build for */
}

static void check_rows(FILE *index, FILE *data, struct ours *o, const struct golden *g, struct worst *worst,
                       float *want)
{
    char source[16], name[32], what[192];
    int layer, step, count;
    assert_int_equal(fscanf(index, "%15s %d %31s %d %d", source, &layer, name, &step, &count), 5);
    const float *x = alone(o, layer, sequence_of(g->index, name));
    for (int r = 0; r < count; r++) {
        snprintf(what, sizeof what, "%s, %s, layer %d, row %d of %s", g->name, source, layer, r * step, name);
        read_vector(data, want, g->width);
        compare(x + (size_t)r * (size_t)step * (size_t)g->width, want, g->width, what, worst);
    }
}

static void check_pool(FILE *index, FILE *data, struct ours *o, const struct golden *g, struct worst *worst,
                       float *want)
{
    char pool_name[16], name[32], what[192];
    int layer;
    enum vnp_pool pool;
    int64_t first, count;
    const struct vnp_head head = {.prefix = 1, .suffix = 1};
    assert_int_equal(fscanf(index, "%15s %d %31s", pool_name, &layer, name), 3);
    snprintf(what, sizeof what, "%s, layer %d, %s of %s", g->name, layer, pool_name, name);
    char *all = strstr(pool_name, "-all");
    if (all)
        *all = '\0';
    assert_true(vnp_pool_parse(pool_name, &pool));
    const int s = sequence_of(g->index, name);
    float *got = test_malloc((size_t)g->width * sizeof *got);
    vnp_pool_span(&head, pool, all != NULL, g->index->sequences[s].tokens, &first, &count);
    vnp_pool_vectors(pool, VNP_F32, alone(o, layer, s) + first * g->width, count, g->width, got);
    read_vector(data, want, g->width);
    compare(got, want, g->width, what, worst);
    test_free(got);
}

static void test_model(void **state)
{
    const struct golden *g = *state;
    struct ours o = {0};
    struct worst worst = {0, 1};
    char word[16];
    int checks = 0;
    open_ours(&o, g);
    FILE *index = open_file(g->index, g->index->file, ""), *data = open_file(g->index, g->name, ".f32");
    assert_int_equal(fseek(index, g->lines, SEEK_SET), 0);
    float *want = test_malloc((size_t)g->width * sizeof *want);
    while (fscanf(index, "%15s", word) == 1 && strcmp(word, "model")) {
        if (!strcmp(word, "rows"))
            check_rows(index, data, &o, g, &worst, want);
        else
            check_pool(index, data, &o, g, &worst, want);
        checks++;
    }
    assert_true(checks > g->index->n_sequences);
    assert_int_equal(fgetc(data), EOF);
    for (int backwards = 0; backwards < 2; backwards++)
        check_packed(&o, g->layers, backwards);
    print_message("# %s: largest difference %.2g of the row's largest, smallest cosine %.9f\n", g->name,
                  worst.difference, worst.cosine);
    test_free(want);
    fclose(data);
    fclose(index);
    close_ours(&o);
}

int main(void)
{
    struct CMUnitTest tests[MAX_MODELS];
    for (int x = 0; x < 2; x++)
        read_index(&indexes[x]);
    for (int i = 0; i < n_models; i++)
        tests[i] = (struct CMUnitTest){models[i].name, test_model, NULL, NULL, &models[i]};
    const int failed = _cmocka_run_group_tests("golden", tests, (size_t)n_models, NULL, NULL);
    for (int x = 0; x < 2; x++)
        for (int s = 0; s < indexes[x].n_sequences; s++)
            test_free(indexes[x].sequences[s].ids);
    return failed;
}
