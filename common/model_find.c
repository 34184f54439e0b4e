#include "model_find.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mapfile.h"
#include "xmalloc.h"

#define MAX_SHARDS 4096
#define MAX_INDEX (64u << 20) /* bytes of a shard index; that of ESM-2 15B has under 100 kB */

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* dir/name when it exists, for the caller to free; else NULL. */
static char *existing(const char *dir, const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void strip_extension(char *name)
{
    static const char *const extensions[] = {".safetensors", ".pt", ".pth", ".bin"};
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        const size_t e = strlen(extensions[i]);
        if (n > e && strcmp(name + n - e, extensions[i]) == 0) {
            name[n - e] = '\0';
            return;
        }
    }
}

/* The last part of the path that says something: of a file that always has the same name, its directory's; of a
 * snapshot in the Hugging Face cache, the model it is of. */
static void name_of(char *name, size_t cap, const char *path)
{
    char real[PATH_MAX], *dir = xstrdup(path), *slash = strrchr(dir, '/');
    const char *const file = slash ? slash + 1 : dir;
    if (is_dir(path) || strncmp(file, "model.", 6) == 0 || strncmp(file, "pytorch_model", 13) == 0) {
        if (!is_dir(path) && slash != NULL)
            *slash = '\0';
        const char *p = realpath(is_dir(path) || slash != NULL ? dir : ".", real) != NULL ? real : dir,
                   *last = strrchr(p, '/');
        const char *cached = strstr(p, "/models--"), *snapshot = cached ? strstr(cached, "/snapshots/") : NULL;
        snprintf(name, cap, "%.*s", (int)cap - 1, last ? last + 1 : p);
        if (snapshot != NULL) {
            const char *begin = cached + strlen("/models--");
            for (const char *s = begin; s + 1 < snapshot; s++)
                if (s[0] == '-' && s[1] == '-')
                    begin = s + 2;
            snprintf(name, cap, "%.*s", (int)(snapshot - begin), begin);
        }
    } else {
        snprintf(name, cap, "%.*s", (int)cap - 1, file);
        strip_extension(name);
    }
    free(dir);
}

/* --- caches ------------------------------------------------------------------------------------------------------ */

/* $VARIABLE, or `fallback` in $XDG_CACHE_HOME or ~/.cache; NULL when none of these is set. */
static char *cache_root(const char *variable, const char *fallback)
{
    const char *dir = getenv(variable);
    if (dir != NULL && dir[0] != '\0')
        return xstrdup(dir);
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg != NULL && xdg[0] != '\0')
        return xasprintf("%s/%s", xdg, fallback);
    return home != NULL && home[0] != '\0' ? xasprintf("%s/.cache/%s", home, fallback) : NULL;
}

/* The folder of OWNER/NAME in the Hugging Face cache; NULL as above. */
static char *hf_cache(const char *owner, const char *name)
{
    char *root = cache_root("HF_HOME", "huggingface");
    char *dir = root != NULL ? xasprintf("%s/hub/models--%s--%s", root, owner, name) : NULL;
    free(root);
    return dir;
}

char *vnp_model_cache(const char *name)
{
    return hf_cache("facebook", name);
}

/* The snapshot that refs/main of a cached repository points at. */
static char *hf_snapshot(const char *cache)
{
    char *ref_path = xasprintf("%s/refs/main", cache), ref[128] = "";
    FILE *f = fopen(ref_path, "re");
    free(ref_path);
    if (f == NULL)
        return NULL;
    const bool read = fgets(ref, sizeof ref, f) != NULL;
    fclose(f);
    ref[strcspn(ref, "\r\n")] = '\0';
    if (!read || ref[0] == '\0' || strchr(ref, '/') != NULL)
        return NULL;
    char *dir = xasprintf("%s/snapshots/%s", cache, ref);
    if (is_dir(dir))
        return dir;
    free(dir);
    return NULL;
}

static char *hf_cached(const char *owner, const char *name)
{
    char *hf = hf_cache(owner, name), *found = hf ? hf_snapshot(hf) : NULL;
    free(hf);
    return found;
}

/* NAME, which one of those who publish these models has, or OWNER/NAME. */
static char *find_cached(const char *name)
{
    const char *slash = strchr(name, '/');
    if (name[0] == '\0' || name[0] == '.' || (slash != NULL && (slash[1] == '\0' || strchr(slash + 1, '/') != NULL)))
        return NULL;
    if (slash != NULL) {
        char *owner = xasprintf("%.*s", (int)(slash - name), name), *of_owner = hf_cached(owner, slash + 1);
        free(owner);
        return of_owner;
    }
    char *found = hf_cached("facebook", name), *torch = cache_root("TORCH_HOME", "torch");
    if (found == NULL)
        found = hf_cached("zhihan1996", name); /* DNABERT-S */
    if (found == NULL && torch != NULL) {
        char *pt = xasprintf("%s/hub/checkpoints/%s.pt", torch, name);
        if (access(pt, R_OK) == 0)
            found = pt;
        else
            free(pt);
    }
    free(torch);
    return found;
}

/* --- weights ----------------------------------------------------------------------------------------------------- */

static void add_weights(struct vnp_model_files *f, char *path)
{
    f->weights = xreallocarray(f->weights, (size_t)f->n_weights + 1, sizeof *f->weights);
    f->weights[f->n_weights++] = path;
}

static enum vnp_status add_shard(struct vnp_model_files *f, const char *dir, const json_t *shard, const char *index,
                                 struct vnp_err *err)
{
    const char *file = json_string_value(shard);
    if (file == NULL || file[0] == '\0' || strchr(file, '/') != NULL)
        return vnp_error(err, VNP_DATA, "%s: a shard's name is not that of a file beside it", index);
    char *path = xasprintf("%s/%s", dir, file);
    for (int i = 0; i < f->n_weights; i++)
        if (strcmp(f->weights[i], path) == 0) {
            free(path);
            return VNP_OK;
        }
    if (f->n_weights == MAX_SHARDS) {
        free(path);
        return vnp_error(err, VNP_DATA, "%s: over %d shards", index, MAX_SHARDS);
    }
    add_weights(f, path);
    if (access(path, F_OK) != 0)
        return vnp_error(err, VNP_DATA, "%s: shard %.200s is missing: %s", index, file, strerror(errno));
    return VNP_OK;
}

static enum vnp_status read_index(struct vnp_model_files *f, const char *dir, struct vnp_err *err)
{
    struct vnp_map map;
    enum vnp_status st = vnp_map_open(&map, f->index, err);
    if (st != VNP_OK)
        return st;
    json_error_t je = {.text = "too large"};
    json_t *o = map.n > MAX_INDEX ? NULL : json_loadb((const char *)map.p, (size_t)map.n, JSON_REJECT_DUPLICATES, &je);
    const json_t *weights = json_object_get(o, "weight_map");
    if (o == NULL)
        st = vnp_error(err, VNP_DATA, "%s: not JSON: %.160s", f->index, je.text);
    else if (!json_is_object(weights) || json_object_size(weights) == 0)
        st = vnp_error(err, VNP_DATA, "%s: no weight_map", f->index);
    const char *name;
    json_t *shard;
    json_object_foreach((json_t *)(uintptr_t)weights, name, shard) if (st == VNP_OK) st =
        add_shard(f, dir, shard, f->index, err);
    json_decref(o);
    vnp_map_close(&map);
    return st;
}

/* Shards without an index: STEM-00001-of-0000N.EXTENSION, all N. False when the directory has no first one. */
static bool find_shards(struct vnp_model_files *f, const char *dir, enum vnp_status *st, struct vnp_err *err)
{
    static const struct {
        const char *stem, *extension;
    } kinds[] = {{"model", "safetensors"}, {"pytorch_model", "bin"}};
    DIR *d = opendir(dir);
    int kind = -1, count = 0, n, end;
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        for (int k = 0; k < 2; k++) {
            char *format = xasprintf("%s-00001-of-%%5d.%s%%n", kinds[k].stem, kinds[k].extension);
            end = 0;
            if (sscanf(e->d_name, format, &n, &end) == 1 && end > 0 && e->d_name[end] == '\0' &&
                (kind < 0 || k < kind)) {
                kind = k;
                count = n;
            }
            free(format);
        }
    if (d != NULL)
        closedir(d);
    *st =
        kind >= 0 && (count < 1 || count > MAX_SHARDS) ? vnp_error(err, VNP_DATA, "%s: %d shards", dir, count) : VNP_OK;
    for (int i = 1; i <= count && *st == VNP_OK; i++) {
        char *name = xasprintf("%s-%05d-of-%05d.%s", kinds[kind].stem, i, count, kinds[kind].extension);
        char *path = existing(dir, name);
        if (path != NULL)
            add_weights(f, path);
        else
            *st = vnp_error(err, VNP_DATA, "%s: shard %s is missing", dir, name);
        free(name);
    }
    return kind >= 0;
}

static enum vnp_status find_in_dir(struct vnp_model_files *f, const char *dir, struct vnp_err *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};
    for (int i = 0; i < 4; i++) {
        char *path = existing(dir, names[i]);
        if (path == NULL)
            continue;
        if (i % 2 == 0) {
            add_weights(f, path);
            return VNP_OK;
        }
        f->index = path;
        return read_index(f, dir, err);
    }
    enum vnp_status st;
    if (find_shards(f, dir, &st, err))
        return st;
    return vnp_error(err, VNP_NOINPUT,
                     "%s: no model.safetensors, pytorch_model.bin or an index of either in this directory", dir);
}

/* A safetensors header's length can look like the beginning of a pickle, so what comes behind it is looked at first.
 * What is neither is left to the reader of safetensors, which will say so. */
static enum vnp_weights_kind kind_of(const struct vnp_map *map)
{
    uint64_t n_header = 0;
    for (int i = 0; i < 8 && map->n > 8; i++)
        n_header |= (uint64_t)map->p[i] << (8 * i);
    if (map->n > 8 && n_header <= map->n - 8 && map->p[8] == '{')
        return VNP_WEIGHTS_SAFETENSORS;
    const bool zip = map->n >= 4 && memcmp(map->p, "PK\3\4", 4) == 0;
    const bool pickle = map->n >= 2 && map->p[0] == 0x80 && map->p[1] >= 2 && map->p[1] <= 5;
    return zip || pickle ? VNP_WEIGHTS_TORCH : VNP_WEIGHTS_SAFETENSORS;
}

static enum vnp_status tell_kind(struct vnp_model_files *f, struct vnp_err *err)
{
    for (int i = 0; i < f->n_weights; i++) {
        struct vnp_map map;
        enum vnp_status st = vnp_map_open(&map, f->weights[i], err);
        if (st != VNP_OK)
            return st;
        const enum vnp_weights_kind kind = kind_of(&map);
        vnp_map_close(&map);
        if (i > 0 && kind != f->kind)
            return vnp_error(err, VNP_DATA, "%s: not the same kind of file as the other shards", f->weights[i]);
        f->kind = kind;
    }
    return VNP_OK;
}

enum vnp_status vnp_model_find(struct vnp_model_files *f, const char *path, struct vnp_err *err)
{
    *f = (struct vnp_model_files){0};
    if (path == NULL)
        path = getenv("VNP_MODEL");
    if (path == NULL || path[0] == '\0')
        return vnp_error(err, VNP_USAGE, "no model: give --model PATH or set VNP_MODEL");
    char *found = access(path, F_OK) == 0 ? xstrdup(path) : find_cached(path);
    if (found == NULL)
        return vnp_error(err, VNP_NOINPUT,
                         "%s: no such file or directory, nor a model of that name in the caches of Hugging "
                         "Face or torch: vnp-model fetch gets those of ESM-2",
                         path);
    name_of(f->name, sizeof f->name, found);
    enum vnp_status st = VNP_OK;
    if (is_dir(found)) {
        f->config = existing(found, "config.json");
        f->vocab = existing(found, "vocab.txt");
        f->tokenizer = existing(found, "tokenizer.json");
        st = find_in_dir(f, found, err);
    } else {
        char *slash = strrchr(found, '/');
        char *dir = slash ? xasprintf("%.*s", (int)(slash - found), found) : xstrdup(".");
        f->config = existing(dir, "config.json");
        f->vocab = existing(dir, "vocab.txt");
        f->tokenizer = existing(dir, "tokenizer.json");
        add_weights(f, xstrdup(found));
        free(dir);
    }
    if (st == VNP_OK)
        st = tell_kind(f, err);
    free(found);
    if (st != VNP_OK)
        vnp_model_files_free(f);
    return st;
}

const char *vnp_model_file(const struct vnp_model_files *f, int i)
{
    const char *const beside[] = {f->index, f->config, f->vocab, f->tokenizer};
    if (i < f->n_weights)
        return f->weights[i];
    i -= f->n_weights;
    for (int k = 0; k < 4; k++)
        if (beside[k] != NULL && i-- == 0)
            return beside[k];
    return NULL;
}

void vnp_model_files_free(struct vnp_model_files *f)
{
    for (int i = 0; i < f->n_weights; i++)
        free(f->weights[i]);
    free(f->weights);
    free(f->config);
    free(f->vocab);
    free(f->tokenizer);
    free(f->index);
    *f = (struct vnp_model_files){0};
}
