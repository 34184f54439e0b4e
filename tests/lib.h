/* What unit tests share: repeatable random numbers, and running a stage of the build under test. */
#ifndef VNP_TESTS_LIB_H
#define VNP_TESTS_LIB_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* xorshift64: any seed but 0. */
static inline uint64_t t_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* In [lo, hi]. */
static inline int64_t t_between(uint64_t *state, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(t_random(state) >> 11) % (hi - lo + 1);
}

/* In (0, 1]. */
static inline double t_uniform(uint64_t *state)
{
    return (double)((t_random(state) >> 11) + 1) * 0x1p-53;
}

/* Log-normal lengths around `median`, clipped to [lo, hi]: proteins, roughly. */
static inline uint32_t t_length(uint64_t *state, double median, double sigma, double lo, double hi)
{
    double gauss = sqrt(-2 * log(t_uniform(state))) * cos(6.283185307179586 * t_uniform(state));
    double n = median * exp(sigma * gauss);
    return (uint32_t)(n < lo ? lo : n > hi ? hi : n);
}

/* A new file's path in the scratch folder; the caller frees it. */
static inline char *t_path(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

/* Makes a scratch folder; t_remove() takes it away with all that is in it. */
static inline char *t_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    char *path = t_path(tmp != NULL && *tmp ? tmp : "/tmp", "vnp-test.XXXXXX");
    if (mkdtemp(path) == NULL)
        abort();
    return path;
}

/* Runs a shell command with the binaries of the build under test in PATH; returns the exit status. */
__attribute__((format(printf, 1, 2))) static inline int t_run(const char *fmt, ...)
{
    char *text = NULL, *command = NULL;
    const char *build = getenv("VNP_BUILD");
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0 ||
        asprintf(&command, "PATH='%s/bin':$PATH; %s", build != NULL ? build : "build", text) < 0)
        abort();
    va_end(ap);
    int rc = system(command);
    free(text);
    free(command);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 255;
}

static inline void t_remove(char *folder)
{
    t_run("rm -rf '%s'", folder);
    free(folder);
}

/* A whole file; the caller frees it. *n bytes, and a NUL behind them. */
static inline char *t_slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    *n = 0;
    if (f == NULL)
        return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    text = malloc(*n + 1);
    if (text == NULL || fread(text, 1, *n, f) != *n)
        abort();
    text[*n] = '\0';
    fclose(f);
    return text;
}

static inline void t_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        abort();
}

#endif
