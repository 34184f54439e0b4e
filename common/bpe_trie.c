#include "bpe_trie.h"

#include <stdlib.h>
#include <string.h>

#define NONE VNP_BPE_NONE
#define ALONE VNP_BPE_ALONE
#define TRIE_LIMIT (1u << 26) /* cells: 256 MiB */
#define SPAN_BITS 16          /* classes of so many bits are looked up at once: 128 KiB */

/* Numbers the letters that merge, the commonest in tokens first: one class for all bytes that are the same token. */
static int make_classes(struct vnp_bpe_trie *t, const struct vnp_bpe_spec *spec, const struct vnp_bpe_link *link)
{
    uint64_t uses[256] = {0};
    int n = 0;
    for (uint32_t id = 0; id < spec->n_ids; id++)
        for (uint32_t i = 0; link[id].length > 1 && i < link[id].length; i++)
            uses[(unsigned char)spec->text[id].s[i]]++;
    memset(t->class, ALONE, sizeof t->class);
    for (;; n++) {
        int best = 0;
        for (int c = 1; c < 256; c++)
            if (uses[c] > uses[best])
                best = c;
        if (uses[best] == 0)
            return n;
        uses[best] = 0;
        for (int c = 0; c < 256; c++)
            if (spec->letter[c] == spec->letter[best])
                t->class[c] = (uint8_t)n;
    }
}

/* Adds the tokens' texts; `parent` and `node` say where they came to be. */
static void add_texts(struct vnp_bpe_trie *t, const struct vnp_bpe_spec *spec, const struct vnp_bpe_link *link,
                          uint32_t *parent, uint32_t *node)
{
    uint32_t nodes = 1;
    for (uint32_t id = 0; id < spec->n_ids; id++) {
        const bool alone = link[id].length == 1 && t->class[(unsigned char)spec->text[id].s[0]] == ALONE;
        uint32_t at = 0;
        for (uint32_t i = 0; !alone && i < link[id].length; i++) {
            uint32_t *next = &t->child[at << t->shift | t->class[(unsigned char)spec->text[id].s[i]]];
            if (*next == 0) {
                parent[nodes] = at;
                *next = nodes++;
            }
            at = *next;
        }
        node[id] = at;
        if (at != 0)
            t->longest[at] = (uint16_t)id;
    }
    for (uint32_t i = 1; i < nodes; i++)
        if (t->longest[i] == NONE)
            t->longest[i] = t->longest[parent[i]];
}

/* Fills in what texts begin with whose first `depth` letters have these classes and lead to `node`. */
static void fill_begins(struct vnp_bpe_trie *t, uint32_t node, uint32_t depth, uint32_t classes)
{
    const uint32_t *const child = t->child + ((size_t)node << t->shift), width = 1u << t->shift;
    if (depth == t->span) {
        t->begins[classes] = t->longest[node];
        for (uint32_t c = 0; c < width; c++)
            if (child[c] != 0)
                t->begins[classes] = NONE;
        return;
    }
    for (uint32_t c = 0; c < width; c++) {
        const uint32_t below = (t->span - depth - 1) * (uint32_t)t->shift, next = classes << t->shift | c;
        if (child[c] != 0)
            fill_begins(t, child[c], depth + 1, next);
        else /* whatever follows */
            for (uint32_t i = 0; i < 1u << below; i++)
                t->begins[next << below | i] = t->longest[node];
    }
}

enum vnp_status vnp_bpe_trie_open(struct vnp_bpe_trie *t, const struct vnp_bpe_spec *spec, struct vnp_bpe_link *link,
                                  struct vnp_err *err)
{
    const int classes = make_classes(t, spec, link);
    uint64_t most = 1;
    while (1 << t->shift < classes)
        t->shift++;
    for (uint32_t id = 0; id < spec->n_ids; id++)
        most += link[id].length;
    if (most > TRIE_LIMIT >> t->shift)
        return vnp_error(err, VNP_DATA, "too large: its merges make tokens of %llu letters in all",
                         (unsigned long long)most - 1);
    uint32_t *parent = calloc(most, sizeof *parent), *node = calloc(spec->n_ids, sizeof *node);
    t->child = calloc(most << t->shift, sizeof *t->child);
    t->longest = malloc(most * sizeof *t->longest);
    t->span = SPAN_BITS / (t->shift > 0 ? (uint32_t)t->shift : 1);
    t->begins = malloc(sizeof *t->begins << t->span * (uint32_t)t->shift);
    const bool ok = parent != NULL && node != NULL && t->child != NULL && t->longest != NULL && t->begins != NULL;
    if (ok) {
        memset(t->longest, 0xff, most * sizeof *t->longest);
        add_texts(t, spec, link, parent, node);
        for (uint32_t id = 0; id < spec->n_ids; id++)
            link[id].shorter = t->longest[parent[node[id]]];
        fill_begins(t, 0, 0, 0);
    }
    free(parent);
    free(node);
    return ok ? VNP_OK : vnp_error(err, VNP_OS, "out of memory for its tokens");
}

void vnp_bpe_trie_close(struct vnp_bpe_trie *t)
{
    free(t->child);
    free(t->longest);
    free(t->begins);
    memset(t, 0, sizeof *t);
}
