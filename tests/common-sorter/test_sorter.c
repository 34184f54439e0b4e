/* The external sort against qsort: keys of all lengths, equal keys in order, records larger than the memory it may use,
 * and a temporary folder that is full or missing. */
#include "../lib.h"

#include <signal.h>
#include <sys/resource.h>

#include "sorter.h"

struct item {
    char key[24];
    uint32_t n_key, n_data;
    int number;
};

static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    const uint32_t n = x->n_key < y->n_key ? x->n_key : y->n_key;
    int order = memcmp(x->key, y->key, n);
    if (order == 0)
        order = (x->n_key > y->n_key) - (x->n_key < y->n_key);
    return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* The data of an item: its number, then the same byte. */
static uint8_t *data_of(const struct item *v)
{
    uint8_t *p = malloc(v->n_data);
    memset(p, v->number & 0xff, v->n_data);
    memcpy(p, &v->number, sizeof v->number);
    return p;
}

static void sort(int n, size_t memory, uint32_t largest, unsigned letters)
{
    struct item *v = calloc((size_t)n + 1, sizeof *v);
    struct vnp_sorter *s = vnp_sorter_new(memory);
    struct vnp_keyed r;
    struct vnp_err err = {.msg = ""};
    uint64_t seed = 17;
    for (int i = 0; i < n; i++) {
        v[i].number = i;
        v[i].n_key = (uint32_t)t_between(&seed, 0, sizeof v->key);
        v[i].n_data = (uint32_t)t_between(&seed, sizeof(int), largest);
        for (uint32_t k = 0; k < v[i].n_key; k++)
            v[i].key[k] = (char)(t_random(&seed) % letters + 256 - letters / 2);
        uint8_t *data = data_of(&v[i]);
        const struct vnp_keyed one = {v[i].key, v[i].n_key, data, v[i].n_data};
        if (vnp_sorter_add(s, &one, &err) != VNP_OK)
            fail_msg("%s", err.msg);
        free(data);
    }
    qsort(v, (size_t)n, sizeof *v, by_key);
    for (int i = 0; i < n; i++) {
        assert_int_equal(vnp_sorter_next(s, &r, &err), VNP_OK);
        assert_true(r.n_key == v[i].n_key && memcmp(r.key, v[i].key, r.n_key) == 0);
        uint8_t *data = data_of(&v[i]);
        assert_true(r.n_data == v[i].n_data && memcmp(r.data, data, r.n_data) == 0);
        free(data);
    }
    assert_int_equal(vnp_sorter_next(s, &r, &err), VNP_END);
    assert_int_equal(vnp_sorter_next(s, &r, &err), VNP_END);
    vnp_sorter_free(s);
    free(v);
}

static void test_in_memory(void **state)
{
    (void)state;
    sort(0, 0, 4, 2);
    sort(1, 0, 4, 2);
    sort(1000, 1 << 20, 30, 200);
}

static void test_spilled(void **state)
{
    (void)state;
    sort(30000, 65536, 40, 200);   /* some twenty runs */
    sort(30000, 65536, 40, 2);     /* most keys come often */
    sort(300, 65536, 100000, 100); /* records larger than a run, and than what is read at a time */
}

static void add_until_it_fails(enum vnp_status want)
{
    struct vnp_sorter *s = vnp_sorter_new(65536);
    struct vnp_err err = {.msg = ""};
    char data[1000] = "";
    const struct vnp_keyed one = {"key", 3, data, sizeof data};
    enum vnp_status st = VNP_OK;
    for (int i = 0; i < 5000 && st == VNP_OK; i++)
        st = vnp_sorter_add(s, &one, &err);
    assert_int_equal(st, want);
    assert_non_null(strstr(err.msg, "TMPDIR"));
    vnp_sorter_free(s);
}

static void test_no_folder(void **state)
{
    (void)state;
    const char *before = getenv("TMPDIR");
    char *kept = before != NULL ? strdup(before) : NULL;
    setenv("TMPDIR", "/nowhere/at/all", 1);
    add_until_it_fails(VNP_CANTCREAT);
    if (kept != NULL)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
}

static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit limit, before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    add_until_it_fails(VNP_IO);
    setrlimit(RLIMIT_FSIZE, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_memory), cmocka_unit_test(test_spilled),
                                       cmocka_unit_test(test_no_folder), cmocka_unit_test(test_full_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
