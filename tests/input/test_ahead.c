/* common/ahead.c: the same bytes, however they come and are asked for; no more of them in memory than allowed; errors,
 * the end, and being stopped while it waits. */
#include "../lib.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "ahead.h"

#define TOTAL 3000000

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void *feed(void *ctx)
{
    const int fd = *(int *)ctx;
    uint8_t part[9000];
    size_t at = 0;
    for (size_t n = 1; at < TOTAL; n = n * 7 % 8999 + 1) {
        if (n > TOTAL - at)
            n = TOTAL - at;
        for (size_t i = 0; i < n; i++)
            part[i] = byte_at(at + i);
        if (write(fd, part, n) != (ssize_t)n)
            break;
        at += n;
    }
    close(fd);
    return NULL;
}

static void test_same_bytes(void **state)
{
    (void)state;
    static const struct {
        size_t limit, cap;
    } c[] = {{977, 1 << 20}, {1000, 333}, {1 << 18, 100000}, {1 << 20, 7001}, {1 << 28, 1 << 20}};
    uint8_t *got = malloc(1 << 20);
    assert_non_null(got);
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        int p[2];
        pthread_t feeder;
        size_t at = 0;
        ssize_t n;
        assert_int_equal(pipe(p), 0);
        assert_int_equal(pthread_create(&feeder, NULL, feed, &p[1]), 0);
        struct vnp_ahead *a = vnp_ahead_start(p[0], c[k].limit);
        assert_non_null(a);
        while ((n = vnp_ahead_read(a, got, c[k].cap)) > 0) {
            for (ssize_t i = 0; i < n; i++)
                if (got[i] != byte_at(at + (size_t)i))
                    fail_msg("limit %zu: byte %zu differs", c[k].limit, at + (size_t)i);
            at += (size_t)n;
        }
        assert_int_equal(n, 0);
        assert_int_equal(at, TOTAL);
        assert_int_equal(vnp_ahead_read(a, got, 1), 0);
        vnp_ahead_stop(a);
        pthread_join(feeder, NULL);
        close(p[0]);
    }
    free(got);
}

/* What the pipe took until it took nothing for a tenth of a second. */
static size_t fill(int fd)
{
    static const uint8_t part[4096];
    size_t n = 0;
    for (int idle = 0; idle < 100;) {
        const ssize_t done = write(fd, part, sizeof part);
        if (done > 0) {
            n += (size_t)done;
            idle = 0;
        } else {
            assert_int_equal(errno, EAGAIN);
            idle++;
            usleep(1000);
        }
    }
    return n;
}

static void test_limit(void **state)
{
    (void)state;
    const size_t limit = 700000;
    int p[2];
    uint8_t got[100000];
    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    const size_t pipe_holds = fill(p[1]);
    struct vnp_ahead *a = vnp_ahead_start(p[0], limit);
    const size_t more = fill(p[1]);
    assert_true(more > limit - 8192 && more <= limit + 4096);
    assert_int_equal(vnp_ahead_read(a, got, sizeof got), sizeof got);
    const size_t again = fill(p[1]);
    assert_true(again > sizeof got - 8192 && again <= sizeof got + 4096);
    vnp_ahead_stop(a); /* while it waits for room */
    close(p[0]);
    close(p[1]);
    assert_true(pipe_holds > 0);
}

static void test_stopped_while_it_reads(void **state)
{
    (void)state;
    int p[2];
    uint8_t got[4];
    assert_int_equal(pipe(p), 0);
    struct vnp_ahead *a = vnp_ahead_start(p[0], 100);
    assert_int_equal(write(p[1], "abc", 3), 3);
    assert_int_equal(vnp_ahead_read(a, got, 1), 1);
    assert_int_equal(got[0], 'a');
    vnp_ahead_stop(a);
    close(p[0]);
    close(p[1]);
    vnp_ahead_stop(NULL);
}

static void test_error(void **state)
{
    (void)state;
    uint8_t got[4];
    const int fd = open("/", O_RDONLY);
    struct vnp_ahead *a = vnp_ahead_start(fd, 100);
    for (int i = 0; i < 2; i++) {
        errno = 0;
        assert_int_equal(vnp_ahead_read(a, got, 1), -1);
        assert_int_equal(errno, EISDIR);
    }
    vnp_ahead_stop(a);
    close(fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_stopped_while_it_reads),
        cmocka_unit_test(test_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
