/* Caps what a test program may allocate, so that believing a claim of gigabytes fails. Include in one file of a program
 * and call cap_memory() first. */
#ifndef VNP_TEST_LIMITS_H
#define VNP_TEST_LIMITS_H

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CAP_MB = 256 };

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=256";
}
static inline void cap_memory(void)
{
}
#else
static inline void cap_memory(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%lu", &pages) != 1)
        return;
    fclose(f);
    struct rlimit limit = {.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)CAP_MB << 20),
                           .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
}
#endif

#endif
