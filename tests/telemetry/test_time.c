/* Where a stage's time is booked when several threads read, write and compute at once, as in vnp-gpu-forward; and the
 * budget that a head names. */
#include <jansson.h>
#include <pthread.h>

#include "../lib.h"
#include "../stream/samples.h"
#include "telemetry.h"

#define STEP 0.1 /* seconds that something takes here */

static void pause_one_step(void)
{
    usleep((useconds_t)(1e6 * STEP));
}

static void *blocked(void *way)
{
    vnp_telemetry_wait(*(enum vnp_flow *)way);
    pause_one_step();
    vnp_telemetry_waited(*(enum vnp_flow *)way, 3);
    return NULL;
}

/* Threads that are blocked for a step: one that reads, one that writes or both, while the rest does nothing. */
static void block(bool in, bool out)
{
    static enum vnp_flow ways[] = {VNP_IN, VNP_OUT};
    pthread_t reader, writer;
    if (in)
        assert_int_equal(pthread_create(&reader, NULL, blocked, &ways[0]), 0);
    if (out)
        assert_int_equal(pthread_create(&writer, NULL, blocked, &ways[1]), 0);
    if (in)
        pthread_join(reader, NULL);
    if (out)
        pthread_join(writer, NULL);
}

/* Runs `body` in a process that ends with `status` and returns the last line of its log; the caller frees it. */
static json_t *summary_of(void (*body)(void), int status)
{
    char *folder = t_folder(), *path = t_path(folder, "log");
    int ended;
    size_t n;
    const pid_t child = fork();
    if (child == 0) {
        setenv("VNP_LOG_JSON", path, 1);
        vnp_telemetry_init("vnp-test");
        vnp_telemetry_open(VNP_OUT);
        body();
        exit(status);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == status);
    char *text = t_slurp(path, &n), *last;
    assert_non_null(text);
    assert_true(n > 1 && text[n - 1] == '\n');
    text[n - 1] = '\0';
    last = strrchr(text, '\n');
    json_t *summary = json_loads(last != NULL ? last + 1 : text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(summary);
    assert_string_equal(json_string_value(json_object_get(summary, "what")), "summary");
    assert_int_equal(json_integer_value(json_object_get(summary, "status")), status);
    free(text);
    free(path);
    t_remove(folder);
    return summary;
}

/* The seconds of `key`, in steps. What is too long by half a step may be a busy machine; too short is wrong. */
static void takes(const json_t *summary, const char *key, int steps)
{
    const double s = json_real_value(json_object_get(summary, key)) / STEP;
    if (!(s >= steps - 0.05 && (steps == 0 ? s <= 0.5 : s <= 4 * steps)))
        fail_msg("%s: %.3f steps, not %d", key, s, steps);
}

static void check_times(json_t *summary, int in, int busy, int out)
{
    const double all = json_real_value(json_object_get(summary, "seconds"));
    double sum = 0;
    takes(summary, "wait_in_s", in);
    takes(summary, "busy_s", busy);
    takes(summary, "wait_out_s", out);
    for (int i = 0; i < 3; i++)
        sum += json_real_value(json_object_get(summary, (const char *[]){"wait_in_s", "busy_s", "wait_out_s"}[i]));
    assert_true(fabs(sum - all) <= 1e-5);
    json_decref(summary);
}

static void read_for_two(void)
{
    block(true, false);
    block(true, false);
}
static void write_for_one(void)
{
    block(false, true);
}
static void compute_for_one(void)
{
    pause_one_step();
}
static void read_and_write(void)
{
    block(true, true);
}
/* Two batches on the device; whoever is blocked meanwhile holds nothing up. */
static void work_while_blocked(void)
{
    vnp_telemetry_work(+1);
    vnp_telemetry_work(+1);
    block(true, true);
    vnp_telemetry_work(-1);
    block(false, true);
    vnp_telemetry_work(-1);
    block(true, false);
}

static void test_one_thread(void **state)
{
    (void)state;
    check_times(summary_of(read_for_two, 0), 2, 0, 0);
    check_times(summary_of(write_for_one, 65), 0, 0, 1);
    check_times(summary_of(compute_for_one, 74), 0, 1, 0);
}

static void test_threads(void **state)
{
    (void)state;
    check_times(summary_of(read_and_write, 0), 0, 0, 1);
    check_times(summary_of(work_while_blocked, 0), 1, 2, 0);
}

enum { TURNS = 2000, ROWS_OF_ALL = 2 * TURNS * SAMPLE_ROWS };

static void *write_many(void *block)
{
    for (int i = 0; i < TURNS; i++) {
        vnp_telemetry_wait(VNP_OUT);
        vnp_telemetry_waited(VNP_OUT, 7);
        vnp_telemetry_block(VNP_OUT, block);
        vnp_telemetry_block(VNP_IN, block); /* not what a stage that writes counts */
    }
    return NULL;
}
static void two_writers(void)
{
    struct vnp_head head = sample_head(VNP_TOKENS, "");
    struct vnp_block b = sample_block_of(&head, false, 0);
    pthread_t one, two;
    if (pthread_create(&one, NULL, write_many, &b) != 0 || pthread_create(&two, NULL, write_many, &b) != 0)
        abort();
    for (int i = 0; i < TURNS; i++) {
        vnp_telemetry_wait(VNP_IN);
        vnp_telemetry_waited(VNP_IN, i % 2 ? 5 : -1);
    }
    pthread_join(one, NULL);
    pthread_join(two, NULL);
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    json_t *summary = summary_of(two_writers, 0);
    assert_int_equal(json_integer_value(json_object_get(summary, "batches")), 2 * TURNS);
    assert_int_equal(json_integer_value(json_object_get(summary, "sequences")), ROWS_OF_ALL);
    assert_int_equal(json_integer_value(json_object_get(summary, "bytes_out")), 2 * TURNS * 7);
    assert_int_equal(json_integer_value(json_object_get(summary, "bytes_in")), TURNS / 2 * 5);
    json_decref(summary);
}

static void test_budget(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t budget;
    } said[] = {{"8192", 8192}, {"512", 512}, {"-5", 0}, {"many", 0}, {"", 0}};
    struct vnp_head head = sample_head(VNP_TOKENS, "");
    assert_int_equal(vnp_head_budget(&head), 0);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) { /* the last that says so counts */
        vnp_producer_param(vnp_head_add_stage(&head, "vnp-pack"), "budget", "%s", said[i].value);
        assert_int_equal(vnp_head_budget(&head), said[i].budget);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests_name("telemetry", tests, NULL, NULL);
}
