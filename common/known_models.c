#include "known_models.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define VOCAB " vocab.txt 93 0b82cc0a7c7cf9e567b1e5892d793285b9fbae822c964ca48696f7db44598e03\n"
#define R8M "esm2_t6_8M_UR50D facebook/esm2_t6_8M_UR50D c731040fcd8d73dceaa04b0a8e6329b345b0f5df"
#define R35M "esm2_t12_35M_UR50D facebook/esm2_t12_35M_UR50D 6fbf070e65b0b7291e7bbcd451118c216cff79d8"
#define R150M "esm2_t30_150M_UR50D facebook/esm2_t30_150M_UR50D a695f6045e2e32885fa60af20c13cb35398ce30c"
#define R650M "esm2_t33_650M_UR50D facebook/esm2_t33_650M_UR50D 08e4846e537177426273712802403f7ba8261b6c"
#define R3B "esm2_t36_3B_UR50D facebook/esm2_t36_3B_UR50D 476b639933c8baad5ad09a60ac1a87f987b656fc"

/* Weights: the SHA-256 of Hugging Face's git-lfs pointers, each seen in two public repositories that pin them.
 * config.json and vocab.txt: contents that give both the SHA-256 and the git blob ids published for them. 15B is not
 * here: no public source of its hashes was found. */
const char vnp_known_models[] = R8M
    " config.json 775 facb9355e8252149f6f99dff5fd1e32e890c3c655362b261d0c81cd6b5839c85\n" R8M VOCAB R8M
    " model.safetensors 31384292 24c5fa474c48f3b754b86efe752d5f189d2bcd88190fa2270fc92b2ef3034189\n" R35M
    " config.json 778 ae07364efa51e0fa1d81da3fe608f6d948abdbbb69785ba6e1df379a458e58ee\n" R35M VOCAB R35M
    " model.safetensors 136008798 e35647818e0e064351d4531ed480d225a002567b4b2b93ad3a9246d753150fc0\n" R150M
    " config.json 779 e512f68ec444d99477703a9806639ca83da3dbc19f6c5fe428d6e5b7460972dc\n" R150M VOCAB R150M
    " model.safetensors 595257706 c3f1da8aea53bddd32c246c86168c23b9fd72341fb9db9a94436f855f5053566\n" R650M
    " config.json 724 539095c22efc52a09d6147074ba4ca119f76a890df5901213b2b55f7d2f96b2b\n" R650M VOCAB R650M
    " model.safetensors 2609506392 a08adabb949fa67ad3c14b509d04fd60368b35007b0095e3358f81200c4f4db0\n" R3B
    " config.json 779 ca75d7053d1dcf2da6f0f5e4f2ff87d8929a7c39089e72ffbb0b5ddd4abf3a27\n" R3B VOCAB R3B
    " pytorch_model-00001-of-00002.bin 9976735419 "
    "0f971f11c449d21422aa982b791619c10351972992c735f4c3cd43fe09790412\n" R3B
    " pytorch_model-00002-of-00002.bin 1390347055 7560b46fc383c691fb74b915b7d4bcef40d3df181447f16ba4b298845e308d0c\n";

/* A name that is one part of a path. */
static bool is_plain(const char *name)
{
    return name[0] != '.' && strchr(name, '/') == NULL;
}

static bool parse_line(const char *line, struct vnp_known_file *f)
{
    int end = 0;
    if (sscanf(line, "%63s %95s %63s %95s %" SCNu64 " %64[0-9a-f] %n", f->model, f->repository, f->revision, f->file,
               &f->bytes, f->sha256, &end) != 6 ||
        end == 0 || line[end] != '\0')
        return false;
    return strlen(f->sha256) == 64 && is_plain(f->model) && is_plain(f->revision) && is_plain(f->file) &&
           strstr(f->repository, "..") == NULL && f->bytes > 0;
}

enum vnp_status vnp_known_find(const char *text, const char *source, const char *model, struct vnp_known_file **files,
                               size_t *n, struct vnp_err *err)
{
    char names[512] = "";
    struct vnp_known_file *v = NULL, f, last = {.model = ""};
    *n = 0;
    for (int line = 1; *text != '\0'; line++) {
        const size_t length = strcspn(text, "\n");
        char *copy = xasprintf("%.*s", (int)length, text);
        text += length + (text[length] == '\n');
        copy[strcspn(copy, "#")] = '\0';
        const bool blank = copy[strspn(copy, " \t\r")] == '\0', good = blank || parse_line(copy, &f);
        free(copy);
        if (!good) {
            free(v);
            return vnp_error(err, VNP_DATA, "%s:%d: not 'model repository revision file bytes sha256'", source, line);
        }
        if (blank)
            continue;
        if (strcmp(f.model, last.model) != 0 && strlen(names) + strlen(f.model) + 3 < sizeof names)
            sprintf(names + strlen(names), "%s%s", names[0] ? ", " : "", f.model);
        last = f;
        if (strcmp(f.model, model) != 0)
            continue;
        v = xreallocarray(v, *n + 1, sizeof *v);
        v[(*n)++] = f;
    }
    *files = v;
    if (*n == 0)
        return vnp_error(err, VNP_NOINPUT, "%.100s: not in %s, which has %s", model, source, names);
    return VNP_OK;
}
