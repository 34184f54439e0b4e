#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parallel.h"
#include "squeeze.h"
#include "telemetry.h"
#include "xmalloc.h"

#define AHEAD ((off_t)32 << 20) /* bytes that may be written before the disk is asked to take them */

struct vnp_output {
    char *path; /* NULL: stdout */
    char *temp; /* the temporary name; NULL while the file has none, or is written in place */
    int fd;
    int renames; /* a regular file, to be named at the end */
    bool sync_later;
    off_t written, asked;     /* bytes so far, and how many of them the disk was asked to take */
    struct vnp_squeeze *zstd; /* NULL: as is */
};

static const char *name_of(const struct vnp_output *o)
{
    return o->path != NULL ? o->path : "stdout";
}

char *vnp_name_beside(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const size_t most = NAME_MAX - strlen(suffix), n = strlen(name);
    return xasprintf("%.*s%s", (int)(name - path) + (int)(n < most ? n : most), path, suffix);
}

/* A temporary name beside `path`: with the process's number, and for all but the first try one of its own. */
static char *temporary_name(const char *path, int attempt)
{
    char suffix[48];
    if (attempt == 0)
        snprintf(suffix, sizeof suffix, ".%ld.tmp", (long)getpid());
    else
        snprintf(suffix, sizeof suffix, ".%ld%03d.tmp", (long)getpid(), attempt);
    return vnp_name_beside(path, suffix);
}

static int create(const struct vnp_output *o, const char *name)
{
    (void)o;
    return open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static int link_nameless(const struct vnp_output *o, const char *name)
{
    char proc[64];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", o->fd);
    return linkat(AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* make() under a temporary name that nothing has, which is o->temp then. What make() gives; on failure -1 and errno. */
static int make_temporary(struct vnp_output *o, int (*make)(const struct vnp_output *o, const char *name))
{
    for (int attempt = 0;; attempt++) {
        char *name = temporary_name(o->path, attempt);
        const int made = make(o, name), why = errno;
        if (made >= 0) {
            o->temp = name;
            return made;
        }
        free(name);
        errno = why;
        if (why != EEXIST || attempt == 999)
            return -1;
    }
}

/* A file without a name in the folder of `path`, or one under a temporary name where that can't be had. */
static int open_unfinished(struct vnp_output *o)
{
    char *folder = xstrdup(o->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder] = '\0';
    int fd = open(slash != NULL ? folder : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    free(folder);
    return fd >= 0 ? fd : make_temporary(o, create);
}

/* Where the link `at` leads, as its folder sees it; NULL when it is none. */
static char *next_of(const char *at)
{
    char to[PATH_MAX];
    const ssize_t n = readlink(at, to, sizeof to);
    const char *slash = n < 0 || to[0] == '/' ? NULL : strrchr(at, '/');
    return n < 0 ? NULL : xasprintf("%.*s%.*s", slash != NULL ? (int)(slash + 1 - at) : 0, at, (int)n, to);
}

/* The descriptor whose entry in this process's folder of them the path is, -1 for none. */
static int entry_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *digits = slash != NULL ? slash + 1 : path;
    int fd, n = 0;
    if (sscanf(digits, "%9d%n", &fd, &n) != 1 || digits[n] != '\0' || fd < 0)
        return -1;
    char *folder = xasprintf("%.*s.", (int)(digits - path), path);
    char *in = realpath(folder, NULL), *own = realpath("/proc/self/fd", NULL);
    const bool is = in != NULL && own != NULL && strcmp(in, own) == 0;
    free(folder);
    free(in);
    free(own);
    return is ? fd : -1;
}

/* The descriptor that the path names (/dev/fd/N, /dev/stdout, a link to these), -1 for none: what is behind it may be a
 * file, but not one to be renamed. */
static int descriptor_of(const char *path)
{
    char *at = xstrdup(path), *next;
    int fd;
    for (int links = 0; (fd = entry_of(at)) < 0 && links < 40 && (next = next_of(at)) != NULL; links++) { /* no loop */
        free(at);
        at = next;
    }
    free(at);
    return fd;
}

/* Where links lead that end at a file which is yet to be made. */
static char *missing_target(const char *path)
{
    char *at = xstrdup(path);
    for (char *next; (next = next_of(at)) != NULL; at = next) /* to an end: the kernel has followed them */
        free(at);
    return at;
}

/* The file that a path means: a link is followed, so that the rename at the end replaces the file and not the link. */
static char *target_of(const char *path)
{
    struct stat st;
    char *target = NULL;
    if (descriptor_of(path) < 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        if (stat(path, &st) == 0)
            target = realpath(path, NULL);
        else if (errno == ENOENT)
            target = missing_target(path);
    }
    return target != NULL ? target : xstrdup(path);
}

static int open_path(struct vnp_output *o)
{
    struct stat st;
    const int descriptor = descriptor_of(o->path);
    if (descriptor >= 0)
        return fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    const bool there = stat(o->path, &st) == 0;
    if (!there && errno != ENOENT)
        return -1; /* no name for a file: told now, and not when it shall get that name */
    o->renames = !there || S_ISREG(st.st_mode);
    return o->renames ? open_unfinished(o) : open(o->path, O_WRONLY | O_CLOEXEC);
}

static enum vnp_status open_fd(struct vnp_output *o, bool text, struct vnp_err *err)
{
    if (o->path == NULL) {
        o->fd = STDOUT_FILENO;
        if (!text && isatty(o->fd))
            return vnp_error(
                err, VNP_USAGE,
                "stdout is a terminal and this stream is binary; pipe it to the next stage, or use -o FILE");
        return VNP_OK;
    }
    if (o->path[0] == '\0')
        return vnp_error(err, VNP_CANTCREAT, "the output's name is empty: give -o FILE, or no -o for stdout");
    o->fd = open_path(o);
    if (o->fd < 0)
        return vnp_error(err, VNP_CANTCREAT, "%s: can't be created: %s", o->path, strerror(errno));
    return VNP_OK;
}

/* The disk takes a file while it is being made, so that its end need not wait for all of it. */
static void ask_disk(struct vnp_output *o)
{
    if (!o->renames || o->sync_later || o->written - o->asked < AHEAD)
        return;
    (void)sync_file_range(o->fd, o->asked, o->written - o->asked, SYNC_FILE_RANGE_WRITE); /* what fails, fsync tells */
    o->asked = o->written;
}

static enum vnp_status write_all(void *output, const void *data, size_t n, struct vnp_err *err)
{
    struct vnp_output *o = output;
    const char *p = data;
    while (n > 0) {
        size_t piece = n < (size_t)1 << 30 ? n : (size_t)1 << 30;
        vnp_telemetry_wait(VNP_OUT);
        ssize_t done = write(o->fd, p, piece);
        vnp_telemetry_waited(VNP_OUT, done);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return vnp_error(err, VNP_IO, "%s: can't be written: %s", name_of(o), strerror(errno));
        p += done;
        n -= (size_t)done;
        o->written += done;
    }
    ask_disk(o);
    return VNP_OK;
}

static enum vnp_status open_output(struct vnp_output **out, const char *path, int zstd_level, bool text,
                                   struct vnp_err *err)
{
    struct vnp_output *o = xcalloc(1, sizeof *o);
    *out = NULL;
    if (path != NULL && strcmp(path, "-") != 0)
        o->path = target_of(path);
    enum vnp_status st = open_fd(o, text, err);
    if (st != VNP_OK) {
        o->fd = -1;
        vnp_output_discard(o);
        return st;
    }
    if (zstd_level > 0) { /* what the next stage waits for is not held back by a frame on another thread */
        o->zstd = vnp_squeeze_open(zstd_level, o->renames ? vnp_cpu_count() : 1, write_all, o);
        if (o->zstd == NULL) {
            vnp_output_discard(o);
            return vnp_error(err, VNP_OS, "zstd can't start at level %d", zstd_level);
        }
    }
    *out = o;
    return VNP_OK;
}

enum vnp_status vnp_output_open(struct vnp_output **out, const char *path, int zstd_level, struct vnp_err *err)
{
    return open_output(out, path, zstd_level, false, err);
}

enum vnp_status vnp_output_open_text(struct vnp_output **out, const char *path, struct vnp_err *err)
{
    return open_output(out, path, 0, true, err);
}

enum vnp_status vnp_output_write(struct vnp_output *o, const struct iovec *parts, int n, struct vnp_err *err)
{
    if (o->zstd != NULL)
        return vnp_squeeze_put(o->zstd, parts, n, err);
    for (int i = 0; i < n; i++) {
        enum vnp_status st = write_all(o, parts[i].iov_base, parts[i].iov_len, err);
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

int vnp_pwrite(int fd, const void *data, size_t n, off_t offset)
{
    const char *p = data;
    while (n > 0) {
        const ssize_t done = pwrite(fd, p, n, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENOSPC;
        p += done;
        offset += done;
        n -= (size_t)done;
    }
    return 0;
}

enum vnp_status vnp_output_patch(struct vnp_output *o, off_t offset, const void *data, size_t n, struct vnp_err *err)
{
    const int why = vnp_pwrite(o->fd, data, n, offset);
    return why == 0 ? VNP_OK : vnp_error(err, VNP_IO, "%s: can't be written: %s", name_of(o), strerror(why));
}

/* Gives the finished file its name: link the nameless one under a temporary name, then rename, which replaces an older
 * file in one step. */
static enum vnp_status name_file(struct vnp_output *o, struct vnp_err *err)
{
    if (!o->sync_later && fsync(o->fd) != 0)
        return vnp_error(err, VNP_IO, "%s: can't be written: %s", o->path, strerror(errno));
    if (o->temp == NULL && make_temporary(o, link_nameless) < 0)
        return vnp_error(err, VNP_CANTCREAT, "%s: can't be created under a temporary name beside it: %s", o->path,
                         strerror(errno));
    if (rename(o->temp, o->path) != 0)
        return vnp_error(err, VNP_CANTCREAT, "%s: can't be created: %s", o->path, strerror(errno));
    free(o->temp);
    o->temp = NULL;
    return VNP_OK;
}

void vnp_output_sync_later(struct vnp_output *o)
{
    o->sync_later = true;
}

enum vnp_status vnp_output_commit(struct vnp_output *o, struct vnp_err *err)
{
    enum vnp_status st = o->zstd != NULL ? vnp_squeeze_finish(o->zstd, err) : VNP_OK;
    vnp_telemetry_wait(VNP_OUT);
    if (st == VNP_OK && o->renames)
        st = name_file(o, err);
    vnp_telemetry_waited(VNP_OUT, 0);
    if (st == VNP_OK) {
        int fd = o->fd;
        o->fd = -1;
        if (close(fd) != 0)
            st = vnp_error(err, VNP_IO, "%s: can't be written: %s", name_of(o), strerror(errno));
    }
    vnp_output_discard(o);
    return st;
}

void vnp_output_discard(struct vnp_output *o)
{
    if (o->temp != NULL)
        unlink(o->temp);
    if (o->fd >= 0 && o->path != NULL)
        close(o->fd);
    vnp_squeeze_close(o->zstd);
    free(o->temp);
    free(o->path);
    free(o);
}

int vnp_output_is_stream(const struct vnp_output *o)
{
    return !o->renames;
}

enum vnp_status vnp_stdout_write(const void *data, size_t n, struct vnp_err *err)
{
    vnp_telemetry_wait(VNP_OUT);
    const bool whole = fwrite(data, 1, n, stdout) == n && fflush(stdout) == 0;
    vnp_telemetry_waited(VNP_OUT, whole ? (ssize_t)n : -1);
    return whole ? VNP_OK : vnp_error(err, VNP_IO, "stdout: can't be written: %s", strerror(errno));
}

enum vnp_status vnp_stdout_close(struct vnp_err *err)
{
    if (!ferror(stdout) && fclose(stdout) == 0)
        return VNP_OK;
    return vnp_error(err, VNP_IO, "stdout: can't be written: %s", strerror(errno));
}

/* The name of a file in its folder; what comes before it goes into `folder`. */
static const char *split(const char *path, char *folder, size_t cap)
{
    const char *slash = strrchr(path, '/');
    snprintf(folder, cap, "%.*s", slash ? (int)(slash + 1 - path) : 1, slash ? path : ".");
    return slash ? slash + 1 : path;
}

bool vnp_same_file(const char *a, const char *b)
{
    struct stat x, y;
    const bool has_a = stat(a, &x) == 0, has_b = stat(b, &y) == 0;
    if (has_a || has_b)
        return has_a && has_b && S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    char in_a[PATH_MAX], in_b[PATH_MAX], *to_a = target_of(a), *to_b = target_of(b);
    const bool same = strcmp(a, "-") != 0 && strcmp(b, "-") != 0 &&
                      strcmp(split(to_a, in_a, sizeof in_a), split(to_b, in_b, sizeof in_b)) == 0 &&
                      stat(in_a, &x) == 0 && stat(in_b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    free(to_a);
    free(to_b);
    return same;
}

/* What an output is now; false when it is not there yet. */
static bool stat_output(const char *path, struct stat *st)
{
    return strcmp(path, "-") == 0 ? fstat(STDOUT_FILENO, st) == 0 : stat(path, st) == 0;
}

bool vnp_same_output(const char *a, const char *b)
{
    struct stat x, y, null;
    if (a == NULL || b == NULL)
        return false;
    if (!stat_output(a, &x) || !stat_output(b, &y))
        return strcmp(a, b) == 0 || (strcmp(a, "-") != 0 && strcmp(b, "-") != 0 && vnp_same_file(a, b));
    if (S_ISCHR(x.st_mode) && stat("/dev/null", &null) == 0 && x.st_rdev == null.st_rdev)
        return false; /* there nothing mixes */
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
