#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "telemetry.h"

/* Opens /dev/null where one of the three standard descriptors is closed, so that no file gets its number; in the wrong
 * direction, so that using it still fails. */
static void fill_closed_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(VNP_OS);
}

void vnp_stage_init(const char *name)
{
    vnp_log_init(name);
    vnp_telemetry_init(name);
    fill_closed_descriptors();
    signal(SIGXFSZ, SIG_IGN); /* ulimit -f: a write fails, and its error is told like any other */
    signal(SIGPIPE, SIG_DFL); /* systemd starts services with it ignored: what lost its reader, which knows why, is silent */
#ifdef F_SETPIPE_SZ
    /* Fewer switches between the stages of a pipeline; where it is refused the default serves. */
    (void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, 1 << 20);
    (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 1 << 20);
#endif
}

static const char *output; /* where the frames will go; NULL or "-": stdout */

static void tell_next_stage(const struct vnp_err *why)
{
    struct vnp_writer *out;
    struct vnp_err ignored;
    struct stat st;
    const bool to_stdout = output == NULL || strcmp(output, "-") == 0;
    if ((to_stdout ? fstat(STDOUT_FILENO, &st) : stat(output, &st)) == 0 && S_ISFIFO(st.st_mode) &&
        vnp_writer_open(&out, &(struct vnp_writer_options){.path = output}, &ignored) == VNP_OK)
        vnp_writer_abort(out, why);
}

void vnp_stage_init_frames(const char *name)
{
    vnp_stage_init(name);
    vnp_log_on_die(tell_next_stage);
}

/* Reads all options without a word: -o may come behind the one that is wrong. */
static void find_output(int argc, char **argv, const char *letters, const struct option *table)
{
    const int speak = opterr;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, letters, table, NULL)) != -1;)
        if (c == 'o')
            output = optarg;
    opterr = speak;
    optind = 0; /* from the beginning again */
}

int vnp_frames_option(int argc, char **argv, const char *letters, const struct option *table)
{
    static bool found;
    if (!found)
        find_output(argc, argv, letters, table);
    found = true;
    return getopt_long(argc, argv, letters, table, NULL);
}

static void close_stdout(void)
{
    struct vnp_err err;
    if (vnp_stdout_close(&err) != VNP_OK)
        vnp_die(err.status, "%s", err.msg);
}

void vnp_common_option(int c, void (*usage)(FILE *))
{
    switch (c) {
    case 'h':
        usage(stdout);
        close_stdout();
        exit(VNP_OK);
    case VNP_OPT_VERSION:
        printf("%s %s\n%s\n", vnp_log_stage(), vnp_version, vnp_build_flags);
        close_stdout();
        exit(VNP_OK);
    case 'q':
        vnp_log_set_level(VNP_LOG_ERROR);
        return;
    case 'v':
        vnp_log_set_level(VNP_LOG_DEBUG);
        return;
    case '?':
        usage(stderr);
        vnp_die(VNP_USAGE, "the command line is wrong; the options are above");
    default:
        vnp_die(VNP_SOFTWARE, "option %d is in the table but not in the program", c);
    }
}

bool vnp_writer_option(int c, struct vnp_writer_options *file)
{
    if (c == 'o')
        file->path = optarg;
    else if (c == VNP_OPT_LEVEL)
        file->zstd_level = (int)vnp_option_int("--level", optarg, 1, 19);
    else if (c == VNP_OPT_PLAIN)
        file->zstd_level = 0;
    else
        return false;
    return true;
}

int64_t vnp_option_int(const char *option, const char *text, int64_t lo, int64_t hi)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < lo || v > hi)
        vnp_die(VNP_USAGE, "%s: not a whole number from %lld to %lld: %s", option, (long long)lo, (long long)hi, text);
    return v;
}

int64_t vnp_option_threads(const char *text)
{
    return vnp_option_int("--threads", text, 1, 1024);
}

double vnp_option_double(const char *option, const char *text, double lo, double hi)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(v >= lo && v <= hi))
        vnp_die(VNP_USAGE, "%s: not a number from %g to %g: %s", option, lo, hi, text);
    return v;
}

void vnp_two_streams(const char *path[2], int argc, char **argv, void (*usage)(FILE *))
{
    if (argc - optind != 2) {
        usage(stderr);
        vnp_die(VNP_USAGE, "wants two streams, A and B, not %d", argc - optind);
    }
    path[0] = argv[optind];
    path[1] = argv[optind + 1];
    if (strcmp(path[0], "-") == 0 && strcmp(path[1], "-") == 0)
        vnp_die(VNP_USAGE, "A and B can't both be stdin");
}

void vnp_refuse_stdout(const char *dir)
{
    if (dir != NULL && strcmp(dir, "-") == 0)
        vnp_die(VNP_USAGE, "-o -: is stdout, and a directory is wanted; ./- is one of that name");
}

void vnp_refuse_log(const char *to)
{
    const char *log = vnp_telemetry_path();
    if (to != NULL && strcmp(to, "-") != 0 && log != NULL && vnp_same_file(to, log))
        vnp_die(VNP_USAGE, "%s: is the file of VNP_LOG_JSON; choose another name for the output", to);
}

void vnp_refuse_input(const char *to, const char *input)
{
    if (input == NULL || strcmp(input, "-") == 0)
        input = "/dev/stdin"; /* which may be a file, by the shell's < */
    if (to != NULL && strcmp(to, "-") != 0 && vnp_same_file(to, input))
        vnp_die(VNP_USAGE, "%s: is the input; choose another name for the output", to);
    vnp_refuse_log(to);
}

void vnp_refuse_inputs(const char *to, char *const *inputs, int n)
{
    for (int i = 0; i < n; i++)
        vnp_refuse_input(to, inputs[i]);
    if (n == 0)
        vnp_refuse_input(to, NULL);
}

int vnp_env_true(const char *name)
{
    const char *v = getenv(name);
    return v != NULL && (strcmp(v, "1") == 0 || strcasecmp(v, "true") == 0 || strcasecmp(v, "yes") == 0);
}

void vnp_stage_fail(struct vnp_writer *out, const struct vnp_err *err)
{
    if (err->stage[0] != '\0')
        vnp_log(VNP_LOG_ERROR, "stopped: %s: %s", err->stage, err->msg);
    else
        vnp_log(VNP_LOG_ERROR, "%s", err->msg);
    vnp_writer_abort(out, err);
    exit(err->status);
}

struct vnp_totals vnp_stage_finish(struct vnp_writer *out, enum vnp_status st, struct vnp_err *err)
{
    if (st != VNP_OK)
        vnp_stage_fail(out, err);
    const struct vnp_totals totals = *vnp_writer_totals(out);
    if (vnp_writer_finish(out, err) != VNP_OK)
        vnp_stage_fail(NULL, err);
    return totals;
}
