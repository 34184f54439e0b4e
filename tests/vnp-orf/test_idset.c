/* Ids seen before: each found again with its number, and no other. */
#include "../lib.h"
#include "idset.h"

static enum vnp_status add(struct vnp_idset *s, const char *id, size_t n, uint64_t number, uint64_t *earlier)
{
    struct vnp_err err;
    return vnp_idset_add(s, (struct vnp_str){id, (uint32_t)n}, number, earlier, &err);
}

static void many(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct vnp_idset *s = vnp_idset_new(MANY);
    char id[32];
    uint64_t earlier;
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(add(s, id, (size_t)sprintf(id, "k141_%llu", (unsigned long long)i), i, &earlier), VNP_OK);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(add(s, id, (size_t)sprintf(id, "k141_%llu", (unsigned long long)i), MANY, &earlier), VNP_DATA);
        assert_int_equal(earlier, i);
    }
    vnp_idset_free(s);
}

/* Every prefix of a text, the empty one too, is an id of its own. */
static void prefixes(void **state)
{
    (void)state;
    static const char text[] = "NODE_1_length_41093_cov_17.336911_and_more_of_it";
    struct vnp_idset *s = vnp_idset_new(VNP_IDSET_MOST);
    uint64_t earlier;
    const uint64_t largest = ((uint64_t)1 << 40) - 2;
    for (size_t n = 0; n < sizeof text; n++)
        assert_int_equal(add(s, text, n, largest - n, &earlier), VNP_OK);
    for (size_t n = 0; n < sizeof text; n++) {
        assert_int_equal(add(s, text, n, 0, &earlier), VNP_DATA);
        assert_int_equal(earlier, largest - n);
    }
    vnp_idset_free(s);
    vnp_idset_free(NULL);
}

/* More than the table may hold: those in it are known at once, the others at the end. */
static void more_than_the_table(void **state)
{
    (void)state;
    enum { MANY = 5000, MOST = 700 };
    for (int doubled = 0; doubled < 2; doubled++) {
        struct vnp_idset *s = vnp_idset_new(MOST);
        struct vnp_err err;
        char id[32];
        uint64_t earlier, number;
        for (uint64_t i = 0; i < MANY; i++)
            assert_int_equal(add(s, id, (size_t)sprintf(id, "c%llu", (unsigned long long)i), i, &earlier), VNP_OK);
        assert_int_equal(add(s, "c699", 4, MANY, &earlier), VNP_DATA);
        assert_int_equal(earlier, 699);
        if (doubled)
            assert_int_equal(add(s, "c700", 4, MANY, &earlier), VNP_OK);
        assert_int_equal(vnp_idset_check(s, &earlier, &number, &err), doubled ? VNP_DATA : VNP_OK);
        if (doubled) {
            assert_int_equal(earlier, 700);
            assert_int_equal(number, MANY);
        }
        vnp_idset_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(more_than_the_table),
    };
    return cmocka_run_group_tests_name("vnp-orf ids", tests, NULL, NULL);
}
