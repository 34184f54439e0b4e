/* What a stream carries: a head that says what is in it, and blocks of sequences. The format is vnp-frames(5) and
 * schemas/frames.cddl; this is its shape in C, and the only code that knows how it is laid out in msgpack. */
#ifndef VNP_BLOCK_H
#define VNP_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "status.h"

#define VNP_FORMAT_MAJOR 1
#define VNP_FORMAT_MINOR 0

enum vnp_kind {
    VNP_TOKENS,    /* token ids of each sequence, in input order */
    VNP_BATCHES,   /* the same, grouped: a block is one batch for the model */
    VNP_HIDDEN,    /* one vector a token */
    VNP_EMBEDDINGS, /* one vector a sequence or, with pool "none", a residue */
    VNP_COPIES      /* which of the unique records, that a stream was reduced to, each record equals */
};

enum vnp_dtype { VNP_F32, VNP_F16, VNP_BF16 };

enum vnp_flag {
    VNP_TRUNCATED = 1, /* residues were cut off at the C-terminal end (--max-len) */
    VNP_EMPTY = 2,     /* a record without residues */
    VNP_REDONE = 4,    /* not finite at first, computed again in FP32 */
    VNP_NONFINITE = 8  /* holds NaN or Inf, kept on request */
};

/* A name/value pair of the head: an option that shaped the stream. Longer text is cut. */
struct vnp_param {
    char key[32], value[96];
};

/* One stage that the stream came through. */
struct vnp_producer {
    char stage[32], version[32];
    int n_params;
    struct vnp_param params[12];
};

struct vnp_head {
    enum vnp_kind kind;
    uint64_t first; /* ordinal of the first record: 0, but where the stream is a part of an input */
    int n_by; /* stages so far, the producer of this stream last */
    struct vnp_producer by[12];
    /* Vocabulary: "esm2", or the name a tokenizer file goes by; a sequence is `prefix` special tokens, the residues'
     * tokens, `suffix` special tokens; ids are < vocab_size and take token_bytes (1 or 2) bytes each. */
    char vocab[64];
    int vocab_size, prefix, suffix, token_bytes;
    /* Model, from the forward stage on; model[0] == 0 before it. */
    char model[128], fingerprint[32];
    int layer;        /* the representation: 0 the embedding, n the output of layer n */
    enum vnp_dtype dtype; /* of `data`: hidden states and embeddings */
    int width;        /* floats a vector: hidden states and embeddings */
    char pool[8];     /* embeddings only: mean, cls, max or none */
    bool ordered;     /* embeddings only: whole records in input order, as vnp-pool makes them; else in any order */
    char unique[20];  /* a digest of all records, when this stream is of the unique ones among them or, copies, says
                         which were equal; else empty */
};

/* Text that is not NUL-terminated. Borrowed. */
struct vnp_str {
    const char *s;
    uint32_t n;
};

static inline bool vnp_str_equal(struct vnp_str a, struct vnp_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

/* For "%.*s" in messages: an id, or its first 200 bytes. */
#define VNP_SHOWN(id) VNP_SHOWN_BYTES((id).s, (id).n)
#define VNP_SHOWN_BYTES(p, n) (int)((n) < 200 ? (n) : 200), (const char *)(p)

/* What copies say of each record. */
struct vnp_copy {
    uint64_t of;   /* the unique record that it equals, counted from 0 in the order in which they first come */
    uint64_t slot; /* 0: no other record equals it; from 1: which of those that are wanted more than once */
};

/* A block of sequences (rows). Arrays of n unless it says otherwise. Borrowed by whoever is handed a block. */
struct vnp_block {
    int64_t n;
    const uint64_t *ordinal;  /* position of the record in the input, from 0 */
    const struct vnp_str *id; /* first word of the header; need not be unique */
    const uint32_t *residues; /* residues (or bases) of this row */
    const uint64_t *total;    /* residues of the whole record, before truncation or windows */
    const uint32_t *flags;    /* enum vnp_flag, or'ed */
    const uint32_t *tokens;   /* tokens of this row, special ones included */
    /* Windows of long records: all three are NULL when every row of the block is a whole record. */
    const uint32_t *window;  /* which window of the record, from 0 */
    const uint32_t *windows; /* of how many */
    const uint64_t *start;   /* its first residue in the record, from 0 */
    /* The bulk, aligned to 64 bytes: token ids (tokens, batches: sum of `tokens`, head.token_bytes each, little-endian)
     * or vectors of head.width elements of head.dtype (hidden: sum of `tokens` rows; embeddings: n rows, or with pool
     * "none" the sum of `residues`), or struct vnp_copy (copies: n). */
    const void *bulk;
    int64_t bulk_bytes;
};

/* Their names in the format: of kinds of streams, of the frames with their rows, and of dtypes. */
enum { VNP_KINDS = 5, VNP_DTYPES = 3 };
extern const char *const vnp_kind_names[VNP_KINDS], *const vnp_frame_names[VNP_KINDS], *const vnp_dtype_names[VNP_DTYPES];

/* Bytes of one element; its name in the format ("f32", "f16", "bf16"). */
size_t vnp_dtype_bytes(enum vnp_dtype dtype);
const char *vnp_dtype_name(enum vnp_dtype dtype);
const char *vnp_kind_name(enum vnp_kind kind);
/* The same for messages: "hidden states", not "hidden". */
const char *vnp_kind_noun(enum vnp_kind kind);

/* What a kind's bulk is: token ids, vectors, or (copies) neither. */
static inline bool vnp_kind_tokens(enum vnp_kind kind)
{
    return kind == VNP_TOKENS || kind == VNP_BATCHES;
}
static inline bool vnp_kind_vectors(enum vnp_kind kind)
{
    return kind == VNP_HIDDEN || kind == VNP_EMBEDDINGS;
}

/* Sum of a u32 column. */
uint64_t vnp_sum(const uint32_t *v, int64_t n);

/* Token id i of a bulk of `bytes`-wide ids. */
static inline uint32_t vnp_token(const void *bulk, int bytes, int64_t i)
{
    return bytes == 1 ? ((const uint8_t *)bulk)[i] : ((const uint16_t *)bulk)[i];
}

/* Adds `stage` (this program) with no parameters to the end of the head's chain and returns it; NULL when it is full. */
struct vnp_producer *vnp_head_add_stage(struct vnp_head *head, const char *stage);
/* What to say then, and VNP_DATA. `name`: the stream's. */
VNP_MUST_CHECK enum vnp_status vnp_head_full(const struct vnp_head *head, const char *name, struct vnp_err *err);
/* Tokens of a batch at most, as the last stage to pack them says; 0 where none does. */
int64_t vnp_head_budget(const struct vnp_head *head);
/* Adds a parameter. Values must be what shaped the bytes, never a path, a host or a time: equal work, equal bytes. */
void vnp_producer_param(struct vnp_producer *p, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- encoding and decoding; used by stream.c, by tests, and by nothing else -------------------------------------- */

/* The totals that the end frame carries. */
struct vnp_totals {
    uint64_t sequences; /* records: rows whose window is 0 */
    uint64_t rows;
    uint64_t tokens;
    uint64_t truncated, redone, nonfinite; /* rows with those flags */
};
/* Adds a block's rows to the totals. */
void vnp_totals_add(struct vnp_totals *t, const struct vnp_block *b);
/* As many sequences, rows and tokens. */
bool vnp_totals_match(const struct vnp_totals *a, const struct vnp_totals *b);
/* What a stage says whose output does not hold what its input, `name`, held: VNP_SOFTWARE, with both counts. */
VNP_MUST_CHECK enum vnp_status vnp_totals_differ(const char *name, const struct vnp_totals *in,
                                                 const struct vnp_totals *out, struct vnp_err *err);

/* A growing buffer whose start is 64-byte aligned: encoded bytes, a payload, a decoder's scratch. Zero-initialised is
 * empty. */
struct vnp_buf {
    uint8_t *p;
    size_t n, cap;
};
/* Makes room for `cap` bytes in all, keeping the n that are there. False when memory is out; *b is then unchanged. */
VNP_MUST_CHECK bool vnp_buf_reserve(struct vnp_buf *b, size_t cap);
void vnp_buf_free(struct vnp_buf *b);

enum vnp_frame { VNP_FRAME_HEAD, VNP_FRAME_BLOCK, VNP_FRAME_END, VNP_FRAME_ERR };

/* What one frame said. Block pointers are borrowed from the payload and the decoder's scratch. */
struct vnp_decoded {
    enum vnp_frame frame;
    struct vnp_head head;     /* HEAD */
    struct vnp_block block;   /* BLOCK */
    struct vnp_totals totals; /* END */
    uint32_t crc;             /* END: CRC-32 of all bytes before the end frame */
    struct vnp_err err;       /* ERR: why, and in err.stage who */
};

/* Each writes the 4-byte length and the map. A block's bulk is left out: *b ends where it must follow, so that the
 * caller writes b, then block->bulk, and nothing is copied. */
void vnp_encode_head(struct vnp_buf *b, const struct vnp_head *head);
enum vnp_status vnp_encode_block(struct vnp_buf *b, const struct vnp_head *head, const struct vnp_block *block,
                                 uint64_t limit, struct vnp_err *err) VNP_MUST_CHECK;
void vnp_encode_end(struct vnp_buf *b, const struct vnp_totals *totals, uint32_t crc);
/* Speaks for err->stage when it is set, else for `stage`. */
void vnp_encode_err(struct vnp_buf *b, const char *stage, const struct vnp_err *err);

/* The bulk's key in a block. */
const char *vnp_bulk_key(enum vnp_kind kind);

/* Decodes one payload (the map, without its length). `head` is the stream's head, NULL while none has come: then only a
 * head or an err frame will do. `payload` must be 64-byte aligned when a block is to be read without a copy. Every
 * count, type and size is checked; VNP_DATA says what is wrong. `scratch` must live as long as the block. */
VNP_MUST_CHECK enum vnp_status vnp_decode(const uint8_t *payload, size_t n, const struct vnp_head *head,
                                          struct vnp_buf *scratch, struct vnp_decoded *out, struct vnp_err *err);

#endif
