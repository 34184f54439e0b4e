#include "telemetry.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jsonout.h"
#include "log.h"

#define LOG_BEGIN "{\"t\":" /* of each line, and so of the file */

/* Where time goes; the first two are enum vnp_flow. */
enum { BUSY = 2, SPENT };

static struct {
    const char *stage, *path;
    int fd;
    bool writes;    /* frames: they are what counts */
    int64_t budget; /* tokens of a batch; 0: unknown, or these are no batches */
    char device[256];
    double begin, last;   /* seconds on vnp_now()'s clock: the start, and up to where time is accounted for */
    double spent[SPENT];  /* seconds so far */
    double before[SPENT]; /* the same when the previous batch was through */
    int waiting[2];       /* threads that are blocked */
    int working;
    uint64_t batches, bytes[2];
    struct vnp_totals all;
    struct vnp_text line;
} now = {.fd = -1};

atomic_bool vnp_telemetry_on;

/* Recursive: who runs out of memory in here comes back on the way out of the process. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void vnp_telemetry_init(const char *stage)
{
    now.stage = stage;
    now.path = getenv("VNP_LOG_JSON");
    if (now.path != NULL && now.path[0] == '\0')
        now.path = NULL;
    now.begin = now.last = vnp_now();
    vnp_telemetry_on = now.path != NULL;
}

const char *vnp_telemetry_path(void)
{
    return now.path;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Books the time since the last call under what went on; every second is booked once. */
static void book(void)
{
    const double t = vnp_now();
    const int what = now.working > 0            ? BUSY
                     : now.waiting[VNP_OUT] > 0 ? VNP_OUT
                     : now.waiting[VNP_IN] > 0  ? VNP_IN
                                                : BUSY;
    now.spent[what] += t - now.last;
    now.last = t;
}

void vnp_telemetry_begin_wait(enum vnp_flow way)
{
    pthread_mutex_lock(&lock);
    book();
    now.waiting[way]++;
    pthread_mutex_unlock(&lock);
}

void vnp_telemetry_end_wait(enum vnp_flow way, ssize_t bytes)
{
    pthread_mutex_lock(&lock);
    book();
    now.waiting[way]--;
    now.bytes[way] += bytes > 0 ? (uint64_t)bytes : 0;
    pthread_mutex_unlock(&lock);
}

void vnp_telemetry_change_work(int by)
{
    pthread_mutex_lock(&lock);
    book();
    now.working += by;
    pthread_mutex_unlock(&lock);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static void give_up(const char *why, const char *error)
{
    vnp_telemetry_on = false;
    if (now.fd >= 0)
        close(now.fd);
    now.fd = -1;
    vnp_warn("VNP_LOG_JSON: %s: %s%s; going on without", now.path, why, error);
}

/* write(2), held back from ending the process when the log is a pipe that nobody reads any more. */
static ssize_t write_quietly(const void *data, size_t n)
{
    sigset_t broken, before;
    ssize_t done;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    do
        done = write(now.fd, data, n);
    while (done < 0 && errno == EINTR);
    const int error = errno;
    if (done < 0 && error == EPIPE)
        sigtimedwait(&broken, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return done;
}

static void put_string(const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    vnp_text_printf(&now.line, ",\"%s\":", key);
    vnp_text_json(&now.line, value, strlen(value));
}

static void begin_line(const char *what)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    now.line.n = 0;
    vnp_text_printf(&now.line, LOG_BEGIN "%lld.%03ld", (long long)t.tv_sec, t.tv_nsec / 1000000);
    put_string("stage", now.stage);
    put_string("what", what);
}

/* One write(2), so that the lines of stages that share the file don't mix. */
static void end_line(void)
{
    put_string("block", getenv("VNP_BLOCK"));
    put_string("slot", getenv("VNP_SLOT"));
    vnp_text_str(&now.line, "}\n");
    const ssize_t done = write_quietly(now.line.p, now.line.n);
    if (done == (ssize_t)now.line.n)
        return;
    give_up("can't be written: ", strerror(done >= 0 ? ENOSPC : errno));
}

static double rate(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void put_batch(const struct vnp_totals *more, uint32_t longest)
{
    double ms[SPENT], all = 0;
    book();
    for (int i = 0; i < SPENT; i++) {
        ms[i] = 1e3 * (now.spent[i] - now.before[i]);
        all += ms[i];
        now.before[i] = now.spent[i];
    }
    now.all.sequences += more->sequences;
    now.all.tokens += more->tokens;
    begin_line("batch");
    vnp_text_printf(&now.line, ",\"n\":%llu,\"sequences\":%llu,\"tokens\":%llu,\"longest\":%u",
                    (unsigned long long)now.batches++, (unsigned long long)more->sequences,
                    (unsigned long long)more->tokens, longest);
    if (now.budget > 0)
        vnp_text_printf(&now.line, ",\"efficiency\":%.4f", (double)more->tokens / (double)now.budget);
    vnp_text_printf(&now.line,
                    ",\"wait_in_ms\":%.3f,\"busy_ms\":%.3f,\"wait_out_ms\":%.3f,\"tokens_per_s\":%.0f,"
                    "\"all_sequences\":%llu,\"all_tokens\":%llu",
                    ms[VNP_IN], ms[BUSY], ms[VNP_OUT], rate(more->tokens, 1e-3 * all),
                    (unsigned long long)now.all.sequences, (unsigned long long)now.all.tokens);
    end_line();
}

static void put_summary(int status, void *unused)
{
    (void)unused;
    struct timespec cpu;
    pthread_mutex_lock(&lock);
    if (now.fd >= 0) {
        book();
        const double seconds = now.last - now.begin;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
        begin_line("summary");
        vnp_text_printf(&now.line, ",\"status\":%d,\"seconds\":%.6f,\"wait_in_s\":%.6f,\"busy_s\":%.6f", status,
                        seconds, now.spent[VNP_IN], now.spent[BUSY]);
        vnp_text_printf(&now.line, ",\"wait_out_s\":%.6f,\"cpu_s\":%.6f,\"batches\":%llu", now.spent[VNP_OUT],
                        (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec, (unsigned long long)now.batches);
        vnp_text_printf(&now.line, ",\"sequences\":%llu,\"tokens\":%llu,\"tokens_per_s\":%.0f",
                        (unsigned long long)now.all.sequences, (unsigned long long)now.all.tokens,
                        rate(now.all.tokens, seconds));
        vnp_text_printf(&now.line, ",\"bytes_in\":%llu,\"bytes_out\":%llu", (unsigned long long)now.bytes[VNP_IN],
                        (unsigned long long)now.bytes[VNP_OUT]);
        put_string("device", now.device);
        end_line();
        vnp_telemetry_on = false;
    }
    if (now.fd >= 0)
        close(now.fd);
    now.fd = -1; /* another thread may be at a batch still */
    free(now.line.p);
    now.line = (struct vnp_text){0};
    pthread_mutex_unlock(&lock);
}

/* A file that holds something else, as a model or the input, would be damaged. */
static bool is_log(void)
{
    struct stat st, err;
    char begin[sizeof LOG_BEGIN - 1];
    if (fstat(now.fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return true;
    if (fstat(STDERR_FILENO, &err) == 0 && err.st_dev == st.st_dev && err.st_ino == st.st_ino)
        return true;                                     /* also a block's own, where messages come between */
    const int fd = open(now.path, O_RDONLY | O_CLOEXEC); /* not readable: no input either */
    const bool is =
        fd < 0 || (read(fd, begin, sizeof begin) == sizeof begin && memcmp(begin, LOG_BEGIN, sizeof begin) == 0);
    if (fd >= 0)
        close(fd);
    return is;
}

/* --- what is counted ---------------------------------------------------------------------------------------------- */

void vnp_telemetry_open(enum vnp_flow way)
{
    if (!vnp_telemetry_active())
        return;
    pthread_mutex_lock(&lock);
    /* What opens its output behind its first block, or opens several, is counted by what it reads. */
    now.writes |= way == VNP_OUT && now.batches == 0;
    if (now.fd < 0) {
        /* O_NONBLOCK: a FIFO that nobody reads would be waited for; whoever is to read it has two seconds to come. */
        for (int tries = 0; tries < 40; tries++) {
            now.fd = open(now.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
            if (now.fd >= 0 || errno != ENXIO)
                break;
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        }
        if (now.fd < 0 || fcntl(now.fd, F_SETFL, O_APPEND) != 0)
            give_up("can't be opened: ", strerror(errno));
        else if (!is_log())
            give_up("is a file of another kind, and not added to", "");
        else
            on_exit(put_summary, NULL);
    }
    pthread_mutex_unlock(&lock);
}

static bool counted(enum vnp_flow way)
{
    return vnp_telemetry_active() && now.writes == (way == VNP_OUT);
}

/* vnp-pool's blocks are no batches, though its head names the budget of those that it was given. */
void vnp_telemetry_head(enum vnp_flow way, const struct vnp_head *head)
{
    if (!counted(way))
        return;
    const bool batches = head->kind != VNP_TOKENS && !(head->kind == VNP_EMBEDDINGS && head->ordered);
    pthread_mutex_lock(&lock);
    now.budget = batches ? vnp_head_budget(head) : 0;
    pthread_mutex_unlock(&lock);
}

void vnp_telemetry_block(enum vnp_flow way, const struct vnp_block *b)
{
    struct vnp_totals more = {0};
    uint32_t longest = 0;
    if (!counted(way))
        return;
    vnp_totals_add(&more, b);
    for (int64_t i = 0; i < b->n; i++)
        longest = b->tokens[i] > longest ? b->tokens[i] : longest;
    pthread_mutex_lock(&lock);
    if (now.fd >= 0)
        put_batch(&more, longest);
    pthread_mutex_unlock(&lock);
}

void vnp_telemetry_sequences(uint64_t all)
{
    if (!vnp_telemetry_active())
        return;
    pthread_mutex_lock(&lock);
    if (now.fd >= 0 && all > now.all.sequences)
        put_batch(&(struct vnp_totals){.sequences = all - now.all.sequences}, 0);
    pthread_mutex_unlock(&lock);
}

void vnp_telemetry_device(const char *name)
{
    pthread_mutex_lock(&lock);
    snprintf(now.device, sizeof now.device, "%s", name);
    pthread_mutex_unlock(&lock);
}
