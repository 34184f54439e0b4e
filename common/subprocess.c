#include "subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND 127

/* In the child; never returns. */
static void become(const char *const argv[], int out, pid_t parent)
{
    const int null = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0)
        _exit(VNP_OS);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(errno == ENOENT ? NOT_FOUND : VNP_OS);
}

/* Keeps the last half of the buffer when it is full. */
static void keep(struct vnp_subprocess *p, const char *text, size_t n)
{
    const size_t room = sizeof p->output - 1;
    if (n > room / 2) {
        text += n - room / 2;
        n = room / 2;
    }
    if (p->n + n > room) {
        const size_t drop = p->n + n - room;
        memmove(p->output, p->output + drop, p->n - drop);
        p->n -= drop;
    }
    memcpy(p->output + p->n, text, n);
    p->n += n;
    p->output[p->n] = '\0';
}

static void collect(struct vnp_subprocess *p, int fd, void (*tick)(void *ctx), void *ctx)
{
    char text[1024];
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        const int n_ready = poll(&ready, 1, 200);
        if (tick != NULL)
            tick(ctx);
        if (n_ready == 0 || (n_ready < 0 && errno == EINTR))
            continue;
        const ssize_t n = read(fd, text, sizeof text);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return;
        if (n > 0)
            keep(p, text, (size_t)n);
    }
}

enum vnp_status vnp_subprocess_run(struct vnp_subprocess *p, const char *const argv[], const char *package,
                                   void (*tick)(void *ctx), void *ctx, struct vnp_err *err)
{
    int fds[2], status;
    *p = (struct vnp_subprocess){0};
    if (pipe2(fds, O_CLOEXEC) != 0)
        return vnp_error(err, VNP_OS, "%s: %s", argv[0], strerror(errno));
    const pid_t parent = getpid(), child = fork();
    if (child == 0)
        become(argv, fds[1], parent);
    close(fds[1]);
    if (child < 0) {
        close(fds[0]);
        return vnp_error(err, VNP_OS, "%s: %s", argv[0], strerror(errno));
    }
    collect(p, fds[0], tick, ctx);
    close(fds[0]);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return vnp_error(err, VNP_OS, "%s: %s", argv[0], strerror(errno));
    p->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (p->exit_status == NOT_FOUND)
        return vnp_error(err, VNP_UNAVAILABLE, "%s is not installed (package %s)", argv[0], package);
    return VNP_OK;
}
