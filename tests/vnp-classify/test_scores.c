/* The classifier against PyTorch: every kind of file, scores in float32 and float64, and the same bytes whatever the
 * batch. */
#include "../lib.h"

#include <float.h>

#include "classifier.h"
#include "classifier_write.h"
#include "golden.h"

#define FOLDER "tests/golden/classifier/"

static void *read_all(const char *name, size_t *n)
{
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s", name);
    void *p = t_slurp(path, n);
    assert_non_null(p);
    return p;
}

static float *make_inputs(int64_t rows, int width)
{
    float *x = malloc((size_t)rows * (size_t)width * sizeof *x);
    for (int64_t i = 0; i < rows * width; i++)
        x[i] = golden_input((uint64_t)i);
    return x;
}

static struct vnp_classifier *open_path(const char *path)
{
    struct vnp_classifier *c;
    struct vnp_err err = {.msg = ""};
    if (vnp_classifier_open(&c, path, &err) != VNP_OK)
        fail_msg("%s", err.msg);
    return c;
}

static struct vnp_classifier *open_golden(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s", name);
    return open_path(path);
}

/* Scores beside PyTorch's in float64: what rounding to float32 does, and no more. */
static void compare(const float *scores, const char *exact_name)
{
    size_t n;
    double *exact = read_all(exact_name, &n);
    double worst = 0;
    n /= sizeof *exact;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(scores[i] - exact[i]), bound = exact[i] * (FLT_EPSILON / 2 + 1e-11) + 1e-45;
        if (!(d <= bound))
            fail_msg("%s: score %zu is %.9g, not %.9g", exact_name, i, scores[i], exact[i]);
        worst = d / exact[i] > worst ? d / exact[i] : worst;
    }
    print_message("# %s: largest relative difference %.3g\n", exact_name, worst);
    free(exact);
}

static void score_file(const char *name, const char *exact_name)
{
    struct vnp_classifier *c = open_golden(name);
    struct vnp_cpu_threads *threads = vnp_cpu_threads_new(2);
    size_t n;
    free(read_all(exact_name, &n));
    const int64_t rows = (int64_t)(n / sizeof(double) / 2);
    float *x = make_inputs(rows, c->width), *scores = malloc((size_t)rows * 2 * sizeof *scores);
    assert_int_equal(c->width, 48);
    assert_int_equal(c->hidden, 16);
    vnp_classifier_scores(c, threads, x, rows, scores);
    compare(scores, exact_name);
    free(x);
    free(scores);
    vnp_cpu_threads_free(threads);
    vnp_classifier_close(c);
}

static void test_every_kind(void **state)
{
    (void)state;
    static const char *const names[] = {"zip.pth",   "legacy.pth",       "zip-protocol4.pth", "old.pth",
                                        "state.pth", "state-legacy.pth", "checkpoint.pth",    "state.safetensors"};
    struct vnp_classifier *first = open_golden(names[0]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct vnp_classifier *c = open_golden(names[i]);
        assert_string_equal(c->fingerprint, first->fingerprint);
        assert_true(c->eps == 1e-5);
        vnp_classifier_close(c);
        score_file(names[i], "small-f64.scores");
    }
    vnp_classifier_close(first);
}

static void test_eps(void **state)
{
    (void)state;
    struct vnp_classifier *c = open_golden("eps.pth");
    assert_true(c->eps == 0.01);
    vnp_classifier_close(c);
    score_file("eps.pth", "eps-f64.scores");
}

/* Weights rounded to half: near, and not the same. */
static void test_half(void **state)
{
    (void)state;
    struct vnp_classifier *a = open_golden("half.pth"), *b = open_golden("zip.pth");
    assert_string_not_equal(a->fingerprint, b->fingerprint);
    for (int i = 0; i < a->width * a->hidden; i++)
        assert_true(fabsf(a->tensor[VNP_HIDDEN_W][i] - b->tensor[VNP_HIDDEN_W][i]) <= 1e-3f);
    vnp_classifier_close(a);
    vnp_classifier_close(b);
}

/* The published width, with weights that vnp-model makes; and no farther from PyTorch's float32 than that is from
 * float64. */
static void test_full_width(void **state)
{
    (void)state;
    char *folder = t_folder(), *dir = t_path(folder, "m");
    struct vnp_err err;
    uint64_t bytes;
    size_t n, n64;
    assert_int_equal(vnp_classifier_synth(dir, 3328, 512, 9, &bytes, &err), VNP_OK);
    struct vnp_classifier *c = open_path(dir);
    struct vnp_cpu_threads *threads = vnp_cpu_threads_new(2);
    float *torch = read_all("full-f32.scores", &n);
    double *exact = read_all("full-f64.scores", &n64), torch_worst = 0, worst = 0;
    const int64_t rows = (int64_t)(n / sizeof *torch / 2);
    float *x = make_inputs(rows, c->width), *scores = malloc(n);
    assert_int_equal(rows, 70);
    vnp_classifier_scores(c, threads, x, rows, scores);
    compare(scores, "full-f64.scores");
    for (int64_t i = 0; i < 2 * rows; i++) {
        torch_worst = fmax(torch_worst, fabs(torch[i] - exact[i]));
        worst = fmax(worst, fabs(scores[i] - exact[i]));
        assert_true(fabsf(scores[i] - torch[i]) <= 2e-6f);
    }
    print_message("# farthest from float64: PyTorch %.3g, here %.3g\n", torch_worst, worst);
    assert_true(worst <= torch_worst);
    free(torch);
    free(exact);
    free(x);
    free(scores);
    vnp_cpu_threads_free(threads);
    vnp_classifier_close(c);
    t_remove(folder);
    free(dir);
}

/* Alone, in other company, at another place, with other numbers of threads: the same bytes. */
static void test_invariance(void **state)
{
    (void)state;
    struct vnp_classifier *c = open_golden("zip.pth");
    enum { ROWS = 200 };
    float *x = make_inputs(ROWS, c->width), together[ROWS][2], other[ROWS][2];
    uint64_t seed = 3;
    for (int n = 1; n <= 3; n += 2) {
        struct vnp_cpu_threads *threads = vnp_cpu_threads_new(n);
        vnp_classifier_scores(c, threads, x, ROWS, n == 1 ? together[0] : other[0]);
        for (int64_t at = 0; at < ROWS;) {
            const int64_t count = t_between(&seed, 1, ROWS - at < 70 ? ROWS - at : 70);
            vnp_classifier_scores(c, threads, x + at * c->width, count, other[at]);
            at += count;
        }
        assert_memory_equal(together, other, sizeof together);
        vnp_cpu_threads_free(threads);
    }
    free(x);
    vnp_classifier_close(c);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct vnp_classifier *c = open_golden("zip.pth");
    struct vnp_cpu_threads *threads = vnp_cpu_threads_new(1);
    float *x = make_inputs(3, c->width), scores[3][2], before[3][2];
    vnp_classifier_scores(c, threads, x, 3, before[0]);
    x[c->width + 5] = NAN;
    vnp_classifier_scores(c, threads, x, 3, scores[0]);
    assert_true(isnan(scores[1][0]) && isnan(scores[1][1]));
    assert_memory_equal(scores[0], before[0], sizeof scores[0]);
    assert_memory_equal(scores[2], before[2], sizeof scores[2]);
    free(x);
    vnp_cpu_threads_free(threads);
    vnp_classifier_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_kind), cmocka_unit_test(test_eps),
                                       cmocka_unit_test(test_half),       cmocka_unit_test(test_full_width),
                                       cmocka_unit_test(test_invariance), cmocka_unit_test(test_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
