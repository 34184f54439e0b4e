#include "tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "xmalloc.h"

struct vnp_tempdir {
    char *path, *target;
    int fd;
};

static const int fatal_signals[] = {SIGINT, SIGTERM, SIGHUP};
/* What the handler removes. Whoever takes it from here, the handler or what ends the directory's making, has it alone. */
static _Atomic(struct vnp_tempdir *) unfinished;
static volatile sig_atomic_t held_back; /* a signal that came when it had been taken */

/* Called from the handler too: system calls alone, so no readdir(). A pass may miss what others remove or add
 * meanwhile. */
static void remove_all(const struct vnp_tempdir *t)
{
    _Alignas(struct dirent64) char entries[4096];
    ssize_t n;
    for (bool removed = true; removed;) {
        removed = false;
        lseek(t->fd, 0, SEEK_SET);
        while ((n = getdents64(t->fd, entries, sizeof entries)) > 0)
            for (ssize_t at = 0; at < n;) {
                const struct dirent64 *e = (const void *)(entries + at);
                removed |= unlinkat(t->fd, e->d_name, 0) == 0; /* . and .. can't be */
                at += e->d_reclen;
            }
    }
    rmdir(t->path);
}

static void on_signal(int sig)
{
    const struct vnp_tempdir *t = atomic_exchange(&unfinished, NULL);
    if (t == NULL) {
        held_back = sig;
        return;
    }
    remove_all(t);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void watch_signals(bool on)
{
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
        struct sigaction old, act = {.sa_handler = on ? on_signal : SIG_DFL};
        /* what the caller ignores (nohup) stays ignored */
        if (sigaction(fatal_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(fatal_signals[i], &act, NULL);
    }
}

/* In this thread; a stage has no other when it opens its output. */
static void block_signals(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++)
        sigaddset(&set, fatal_signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, before);
}

static bool is_empty_dir(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL)
        return false;
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n <= 2;
}

static bool same_dir(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_mount_point(const char *path)
{
    struct stat it, above;
    char *parent = xasprintf("%s/..", path);
    const bool is = stat(path, &it) == 0 && stat(parent, &above) == 0 && it.st_dev != above.st_dev;
    free(parent);
    return is;
}

/* Why the directory can't take the place of what is there, or NULL. */
static const char *obstacle(const char *path)
{
    if (!is_empty_dir(path))
        return "already exists and is not an empty directory";
    if (same_dir(path, ".")) /* the shell would be left in one that is no more */
        return "is the current directory, whose place the finished one takes: give another name, or run this elsewhere";
    if (is_mount_point(path))
        return "is the root of a file system: give the name of a directory in it";
    return NULL;
}

/* The name to rename to, in *out, which the caller frees: of a directory that is there its own, as rename() follows no
 * symbolic link and takes no dot. */
static enum vnp_status real_target(char **out, const char *target, struct vnp_err *err)
{
    struct stat there;
    size_t n = strlen(target);
    while (n > 1 && target[n - 1] == '/')
        n--;
    if (n == 0)
        return vnp_error(err, VNP_CANTCREAT, "the name of the directory to write is empty");
    *out = xasprintf("%.*s", (int)n, target);
    if (lstat(*out, &there) != 0) {
        if (errno == ENOENT)
            return VNP_OK;
        /* No name for a directory: told now, and not when it shall get that name. */
        vnp_error(err, VNP_CANTCREAT, "%s: can't be made: %s", target, strerror(errno));
        free(*out);
        return VNP_CANTCREAT;
    }
    const char *why = obstacle(*out);
    char *real = why == NULL ? realpath(*out, NULL) : NULL;
    if (why == NULL && real == NULL)
        why = strerror(errno);
    free(*out);
    *out = real;
    return why == NULL ? VNP_OK : vnp_error(err, VNP_CANTCREAT, "%s: %s", target, why);
}

enum vnp_status vnp_tempdir_open(struct vnp_tempdir **out, const char *target, struct vnp_err *err)
{
    char *real = NULL;
    *out = NULL;
    enum vnp_status st = real_target(&real, target, err);
    if (st != VNP_OK)
        return st;
    struct vnp_tempdir *t = xcalloc(1, sizeof *t);
    t->target = real;
    t->path = vnp_name_beside(t->target, ".tmp.XXXXXX");
    sigset_t before;
    block_signals(&before); /* until the handler knows what to remove */
    const mode_t mask = umask(0); /* mkdtemp() makes it private; it shall have the user's usual mode */
    umask(mask);
    if (mkdtemp(t->path) == NULL)
        st = vnp_error(err, VNP_CANTCREAT, "%s: can't be made: %s", target, strerror(errno));
    else if ((t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fchmod(t->fd, 0777 & ~mask) != 0)
        st = vnp_error(err, VNP_CANTCREAT, "%s: %s", t->path, strerror(errno));
    if (st == VNP_OK) {
        unfinished = t;
        watch_signals(true);
        *out = t;
    } else {
        rmdir(t->path);
        free(t->path);
        free(t->target);
        free(t);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}

const char *vnp_tempdir_path(const struct vnp_tempdir *t)
{
    return t->path;
}

static void take(void)
{
    if (atomic_exchange(&unfinished, NULL) == NULL)
        for (;;)
            pause(); /* the handler has it, in another thread, and ends the process */
}

static void forget(struct vnp_tempdir *t)
{
    watch_signals(false);
    close(t->fd);
    free(t->path);
    free(t->target);
    free(t);
    if (held_back != 0)
        raise(held_back);
}

enum vnp_status vnp_tempdir_sync(struct vnp_tempdir *t, struct vnp_err *err)
{
    if (syncfs(t->fd) == 0)
        return VNP_OK;
    return vnp_error(err, VNP_IO, "%s: can't be written: %s", t->path, strerror(errno));
}

enum vnp_status vnp_tempdir_commit(struct vnp_tempdir *t, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    if (fsync(t->fd) != 0 && errno != EINVAL)
        st = vnp_error(err, VNP_IO, "%s: can't be written: %s", t->path, strerror(errno));
    take();
    if (st == VNP_OK && rename(t->path, t->target) != 0)
        st = vnp_error(err, VNP_CANTCREAT, "%s: can't be renamed to %s: %s", t->path, t->target, strerror(errno));
    if (st != VNP_OK)
        remove_all(t);
    forget(t);
    return st;
}

void vnp_tempdir_discard(struct vnp_tempdir *t)
{
    take();
    remove_all(t);
    forget(t);
}
