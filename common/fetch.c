#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "known_models.h"
#include "log.h"
#include "mapfile.h"
#include "model_find.h"
#include "subprocess.h"
#include "xmalloc.h"

#define CURL_NO_RANGES 33 /* CURLE_RANGE_ERROR: the server can't continue a file */

/* Bytes of a file; 0 when there is none. */
static uint64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* The path is not empty. */
static enum vnp_status make_dirs(const char *path, struct vnp_err *err)
{
    char *copy = xstrdup(path);
    enum vnp_status st = VNP_OK;
    for (char *p = copy + 1; st == VNP_OK; p++) {
        const char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            st = vnp_error(err, VNP_CANTCREAT, "%s: %s", copy, strerror(errno));
        *p = c;
        if (c == '\0')
            break;
    }
    free(copy);
    return st;
}

/* --- hashes ------------------------------------------------------------------------------------------------------ */

static enum vnp_status check_hash(const struct vnp_known_file *f, const char *path, bool *right, struct vnp_err *err)
{
    struct vnp_subprocess p;
    const char *const argv[] = {"sha256sum", "--", path, NULL};
    enum vnp_status st = vnp_subprocess_run(&p, argv, "coreutils", NULL, NULL, err);
    if (st != VNP_OK)
        return st;
    const char *hex = p.output + (p.output[0] == '\\'); /* a file name with odd characters is marked so */
    if (p.exit_status != 0 || strlen(hex) < 64)
        return vnp_error(err, VNP_IO, "sha256sum: %.200s", p.output);
    *right = size_of(path) == f->bytes && memcmp(hex, f->sha256, 64) == 0;
    return VNP_OK;
}

/* --- one file ---------------------------------------------------------------------------------------------------- */

struct progress {
    const struct vnp_known_file *file;
    const char *part;
    double start;
    uint64_t had;
};

static void show_progress(void *ctx)
{
    const struct progress *p = ctx;
    const double seconds = vnp_now() - p->start;
    const uint64_t have = size_of(p->part);
    const double rate = have > p->had && seconds > 0 ? (double)(have - p->had) / seconds : 0;
    vnp_progress("%s: %.1f of %.1f MB, %.1f MB/s", p->file->file, (double)have / 1e6, (double)p->file->bytes / 1e6,
                 rate / 1e6);
}

/* The last line of a text, without its end. */
static const char *last_line(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = '\0';
    const char *eol = strrchr(text, '\n');
    return eol != NULL ? eol + 1 : text;
}

static enum vnp_status run_curl(const struct vnp_known_file *f, const char *url, const char *part, struct vnp_err *err)
{
    const char *const argv[] = {"curl",
                                "--fail",
                                "--location",
                                "--silent",
                                "--show-error",
                                "--proto",
                                "=http,https",
                                "--retry",
                                "3",
                                "--connect-timeout",
                                "30",
                                "--speed-limit",
                                "1000",
                                "--speed-time",
                                "60",
                                "--continue-at",
                                "-",
                                "--output",
                                part,
                                "--",
                                url,
                                NULL};
    struct progress progress = {f, part, vnp_now(), size_of(part)};
    struct vnp_subprocess p;
    enum vnp_status st = vnp_subprocess_run(&p, argv, "curl", show_progress, &progress, err);
    if (st == VNP_OK && p.exit_status == CURL_NO_RANGES && truncate(part, 0) == 0)
        st = vnp_subprocess_run(&p, argv, "curl", show_progress, &progress, err);
    vnp_progress_end();
    if (st != VNP_OK || p.exit_status == 0)
        return st;
    return vnp_error(err, VNP_UNAVAILABLE, "%s: %.300s%s", url, last_line(p.output),
                     size_of(part) > 0 ? " (what has come is kept: try again to continue)" : "");
}

static enum vnp_status download(const struct vnp_known_file *f, const char *base, const char *part, struct vnp_err *err)
{
    if (size_of(part) > f->bytes && truncate(part, 0) != 0)
        return vnp_error(err, VNP_CANTCREAT, "%s: %s", part, strerror(errno));
    if (size_of(part) == f->bytes)
        return VNP_OK;
    char *url = xasprintf("%s/%s/resolve/%s/%s", base, f->repository, f->revision, f->file);
    enum vnp_status st = run_curl(f, url, part, err);
    free(url);
    return st;
}

/* FILE.part to FILE if its hash is right, else to FILE.bad. */
static enum vnp_status accept_part(const struct vnp_known_file *f, const char *part, const char *path,
                                   struct vnp_err *err)
{
    bool right;
    enum vnp_status st = check_hash(f, part, &right, err);
    if (st != VNP_OK)
        return st;
    if (right) {
        if (rename(part, path) != 0)
            return vnp_error(err, VNP_CANTCREAT, "%s: %s", path, strerror(errno));
        return VNP_OK;
    }
    char *bad = xasprintf("%s.bad", path);
    const uint64_t bytes = size_of(part);
    const bool kept = rename(part, bad) == 0;
    st = vnp_error(err, VNP_DATA, "%s: not the published file: %" PRIu64 " bytes of %" PRIu64 ", wrong SHA-256%s%s",
                   path, bytes, f->bytes, kept ? "; kept as " : "", kept ? bad : "");
    free(bad);
    return st;
}

static enum vnp_status fetch_locked(const struct vnp_known_file *f, const char *base, const char *part,
                                    const char *path, struct vnp_err *err)
{
    bool right;
    if (access(path, F_OK) == 0) {
        enum vnp_status st = check_hash(f, path, &right, err);
        if (st == VNP_OK && !right)
            st = vnp_error(err, VNP_DATA, "%s: is there, but is not the published file: remove it to fetch it anew",
                           path);
        if (st == VNP_OK)
            vnp_info("%s: there already", path);
        return st;
    }
    enum vnp_status st = download(f, base, part, err);
    return st == VNP_OK ? accept_part(f, part, path, err) : st;
}

static enum vnp_status fetch_file(const struct vnp_known_file *f, const char *base, const char *dir,
                                  struct vnp_err *err)
{
    char *path = xasprintf("%s/%s", dir, f->file), *part = xasprintf("%s.part", path);
    enum vnp_status st;
    const int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        st = vnp_error(err, VNP_CANTCREAT, "%s: %s", part, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        st = vnp_error(err, VNP_CANTCREAT, "%s: another fetch is at work on it", part);
    } else {
        st = fetch_locked(f, base, part, path, err);
        if (size_of(part) == 0) /* nothing to continue: not worth leaving behind */
            unlink(part);
    }
    if (fd >= 0)
        close(fd);
    free(path);
    free(part);
    return st;
}

/* --- a model ----------------------------------------------------------------------------------------------------- */

/* Whether a file of one line says so. */
static bool names(const char *path, const char *revision)
{
    char line[128] = "";
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    if (fgets(line, sizeof line, f) == NULL)
        line[0] = '\0';
    fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, revision) == 0;
}

/* Hugging Face looks for the commit of a model in refs/main; one that is there is the user's own choice, and stays. It
 * gets its name when it is whole. */
static enum vnp_status write_ref(const char *cache, const char *revision, struct vnp_err *err)
{
    char *dir = xasprintf("%s/refs", cache), *path = xasprintf("%s/main", dir);
    char *part = xasprintf("%s.%ld.tmp", path, (long)getpid());
    enum vnp_status st = make_dirs(dir, err);
    if (st == VNP_OK && size_of(path) == 0) { /* empty: of a fetch that found no room */
        FILE *to = fopen(part, "we");
        const bool written = to != NULL && fputs(revision, to) >= 0;
        if (to == NULL || fclose(to) != 0 || !written || rename(part, path) != 0) {
            st = vnp_error(err, VNP_CANTCREAT, "%s: can't be written: %s", path, strerror(errno));
            unlink(part);
        }
    }
    if (st == VNP_OK && !names(path, revision))
        vnp_warn("%s: names another revision, and stays: give --model the folder below, not the name", path);
    free(dir);
    free(path);
    free(part);
    return st;
}

static enum vnp_status fetch_files(const struct vnp_fetch *f, const struct vnp_known_file *files, size_t n, char **path,
                                   struct vnp_err *err)
{
    char *cache = f->dir == NULL ? vnp_model_cache(files[0].model) : NULL;
    if (f->dir == NULL && cache == NULL)
        return vnp_error(err, VNP_CANTCREAT,
                         "no cache to put the model in: give --dir DIR, or set HF_HOME, XDG_CACHE_HOME or HOME");
    if (f->dir != NULL && f->dir[0] == '\0')
        return vnp_error(err, VNP_CANTCREAT,
                         "the name of the directory to fetch to is empty: give --dir DIR, or no --dir for the cache");
    *path = f->dir != NULL ? xstrdup(f->dir) : xasprintf("%s/snapshots/%s", cache, files[0].revision);
    enum vnp_status st = make_dirs(*path, err);
    for (size_t i = 0; i < n && st == VNP_OK; i++)
        st = fetch_file(&files[i], f->base, *path, err);
    if (st == VNP_OK && cache != NULL)
        st = write_ref(cache, files[0].revision, err);
    free(cache);
    return st;
}

enum vnp_status vnp_fetch_model(const struct vnp_fetch *f, char **path, struct vnp_err *err)
{
    struct vnp_known_file *files = NULL;
    size_t n = 0;
    enum vnp_status st;
    *path = NULL;
    if (f->list != NULL) {
        struct vnp_map map;
        if ((st = vnp_map_open(&map, f->list, err)) != VNP_OK)
            return st;
        char *text = xasprintf("%.*s", map.n > 1 << 20 ? 1 << 20 : (int)map.n, (const char *)map.p);
        st = vnp_known_find(text, f->list, f->model, &files, &n, err);
        free(text);
        vnp_map_close(&map);
    } else {
        st = vnp_known_find(vnp_known_models, "the built-in list", f->model, &files, &n, err);
    }
    if (st == VNP_OK)
        st = fetch_files(f, files, n, path, err);
    free(files);
    if (st != VNP_OK) {
        free(*path);
        *path = NULL;
    }
    return st;
}
