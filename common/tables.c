#include "tables.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "xmalloc.h"

#define FLUSH ((size_t)1 << 16)

struct vnp_tables {
    char *dir;
    bool made; /* the directory, by us */
    int n;
    struct {
        struct vnp_output *file;
        struct vnp_text text;
    } v[VNP_TABLES_MOST];
};

enum vnp_status vnp_tables_open(struct vnp_tables **out, const char *dir, struct vnp_err *err)
{
    struct stat st;
    const bool made = mkdir(dir, 0777) == 0;
    *out = NULL;
    if (!made && errno != EEXIST)
        return vnp_error(err, VNP_CANTCREAT, "%s: can't be created: %s", dir, strerror(errno));
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return vnp_error(err, VNP_CANTCREAT, "%s: is no directory", dir);
    *out = xcalloc(1, sizeof **out);
    (*out)->dir = xstrdup(dir);
    (*out)->made = made;
    return VNP_OK;
}

enum vnp_status vnp_tables_add(struct vnp_tables *t, const char *name, struct vnp_err *err)
{
    char *path = xasprintf("%s/%s", t->dir, name);
    enum vnp_status st = vnp_output_open(&t->v[t->n].file, path, 0, err);
    free(path);
    t->n += st == VNP_OK;
    return st;
}

struct vnp_text *vnp_tables_text(struct vnp_tables *t, int number)
{
    return &t->v[number].text;
}

enum vnp_status vnp_tables_flush(struct vnp_tables *t, int number, int all, struct vnp_err *err)
{
    struct vnp_text *text = &t->v[number].text;
    if (text->n == 0 || (!all && text->n < FLUSH))
        return VNP_OK;
    const struct iovec part = {text->p, text->n};
    text->n = 0;
    return vnp_output_write(t->v[number].file, &part, 1, err);
}

enum vnp_status vnp_tables_commit(struct vnp_tables *t, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    for (int i = 0; i < t->n && st == VNP_OK; i++)
        st = vnp_tables_flush(t, i, 1, err);
    for (int i = t->n - 1; i >= 0 && st == VNP_OK; i--) {
        st = vnp_output_commit(t->v[i].file, err);
        t->v[i].file = NULL;
    }
    if (st == VNP_OK)
        t->made = false;
    vnp_tables_discard(t);
    return st;
}

void vnp_tables_discard(struct vnp_tables *t)
{
    if (t == NULL)
        return;
    for (int i = 0; i < t->n; i++) {
        if (t->v[i].file != NULL)
            vnp_output_discard(t->v[i].file);
        free(t->v[i].text.p);
    }
    if (t->made)
        rmdir(t->dir); /* not when something of it was named already */
    free(t->dir);
    free(t);
}
