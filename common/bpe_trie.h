/* Which tokens of a byte-pair vocabulary a text begins with, the longest first. */
#ifndef VNP_BPE_TRIE_H
#define VNP_BPE_TRIE_H

#include "bpe.h"

#define VNP_BPE_ALONE 255 /* the class of letters that no merge takes */

/* What a search needs of a token, in one place: that is what most of its time goes into. */
struct vnp_bpe_link {
    uint32_t length;  /* in letters; 0: no word comes to hold it */
    uint16_t shorter; /* the longest other token that it begins with, or VNP_BPE_NONE */
    uint16_t column;  /* in the table of neighbours, if there is one */
};

struct vnp_bpe_trie {
    uint8_t class[256]; /* of each byte's letter, from 0, or VNP_BPE_ALONE */
    int shift;          /* classes take so many bits */
    uint32_t *child;    /* [node << shift | class]; 0: none */
    uint16_t *longest;  /* [node]: token up to there */
    /* The same at once for the next `span` letters, [their classes, the first one highest]: VNP_BPE_NONE where more letters
     * may make a longer one. */
    uint16_t *begins;
    uint32_t span;
};

/* Makes a trie of the tokens whose link has a length, and fills in what is shorter. Fails with VNP_DATA when it would be
 * too large, VNP_OS when there is no memory. The caller closes *t, in any case. */
VNP_MUST_CHECK enum vnp_status vnp_bpe_trie_open(struct vnp_bpe_trie *t, const struct vnp_bpe_spec *spec,
                                                 struct vnp_bpe_link *link, struct vnp_err *err);
void vnp_bpe_trie_close(struct vnp_bpe_trie *t);

/* The longest token that a text of n letters begins with, all of which have a class; VNP_BPE_NONE for n = 0. */
static inline uint16_t vnp_bpe_trie_longest(const struct vnp_bpe_trie *t, const char *text, uint64_t n)
{
    if (n >= t->span) {
        uint32_t classes = 0;
        for (uint32_t i = 0; i < t->span; i++)
            classes = classes << t->shift | t->class[(unsigned char)text[i]];
        if (t->begins[classes] != VNP_BPE_NONE)
            return t->begins[classes];
    }
    uint32_t node = 0, next;
    for (uint64_t i = 0; i < n; i++, node = next)
        if ((next = t->child[node << t->shift | t->class[(unsigned char)text[i]]]) == 0)
            break;
    return t->longest[node];
}

#endif
