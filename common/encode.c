/* The layout of frames, outgoing. Its twin is decode.c; both follow schemas/frames.cddl. */
#include <msgpack.h>
#include <string.h>

#include "block.h"
#include "log.h"

static int append(void *data, const char *bytes, size_t n)
{
    struct vnp_buf *b = data;
    if (b->n + n > b->cap && !vnp_buf_reserve(b, 2 * (b->n + n) + 256))
        vnp_die(VNP_OS, "out of memory while a frame of %zu bytes was put together", b->n + n);
    memcpy(b->p + b->n, bytes, n);
    b->n += n;
    return 0;
}

static void put_str(msgpack_packer *pk, const char *s)
{
    size_t n = strlen(s);
    msgpack_pack_str(pk, n);
    msgpack_pack_str_body(pk, s, n);
}

static void put_text(msgpack_packer *pk, const char *key, const char *value)
{
    put_str(pk, key);
    put_str(pk, value);
}

static void put_uint(msgpack_packer *pk, const char *key, uint64_t value)
{
    put_str(pk, key);
    msgpack_pack_uint64(pk, value);
}

static void put_column(msgpack_packer *pk, const char *key, const void *data, size_t bytes)
{
    put_str(pk, key);
    msgpack_pack_bin(pk, bytes);
    msgpack_pack_bin_body(pk, data, bytes);
}

/* Leaves room for the length; frame_close() fills it in, counting `more` bytes that the caller writes behind. */
static void frame_open(struct vnp_buf *b, msgpack_packer *pk, uint32_t fields)
{
    b->n = 0;
    append(b, "\0\0\0", 4);
    msgpack_packer_init(pk, b, append);
    msgpack_pack_map(pk, fields);
}

static void frame_close(struct vnp_buf *b, uint64_t more)
{
    uint32_t length = (uint32_t)(b->n - 4 + more);
    memcpy(b->p, &length, 4);
}

static void put_producers(msgpack_packer *pk, const struct vnp_head *head)
{
    put_str(pk, "by");
    msgpack_pack_array(pk, (size_t)head->n_by);
    for (int i = 0; i < head->n_by; i++) {
        const struct vnp_producer *p = &head->by[i];
        msgpack_pack_map(pk, 3);
        put_text(pk, "stage", p->stage);
        put_text(pk, "version", p->version);
        put_str(pk, "params");
        msgpack_pack_map(pk, (size_t)p->n_params);
        for (int j = 0; j < p->n_params; j++)
            put_text(pk, p->params[j].key, p->params[j].value);
    }
}

void vnp_encode_head(struct vnp_buf *b, const struct vnp_head *head)
{
    msgpack_packer pk;
    const bool vectors = vnp_kind_vectors(head->kind), unique = head->unique[0] != '\0';
    frame_open(b, &pk, 5 + (vectors ? 4 : 0) + (head->kind == VNP_EMBEDDINGS ? 2 : 0) + (head->first > 0) + unique);
    put_text(&pk, "t", "head");
    put_str(&pk, "v");
    msgpack_pack_array(&pk, 2);
    msgpack_pack_uint64(&pk, VNP_FORMAT_MAJOR);
    msgpack_pack_uint64(&pk, VNP_FORMAT_MINOR);
    put_text(&pk, "kind", vnp_kind_name(head->kind));
    if (head->first > 0)
        put_uint(&pk, "first", head->first);
    put_producers(&pk, head);
    put_str(&pk, "vocab");
    msgpack_pack_map(&pk, 5);
    put_text(&pk, "name", head->vocab);
    put_uint(&pk, "size", (uint64_t)head->vocab_size);
    put_uint(&pk, "prefix", (uint64_t)head->prefix);
    put_uint(&pk, "suffix", (uint64_t)head->suffix);
    put_uint(&pk, "bytes", (uint64_t)head->token_bytes);
    if (vectors) {
        put_str(&pk, "model");
        msgpack_pack_map(&pk, 2);
        put_text(&pk, "name", head->model);
        put_text(&pk, "fingerprint", head->fingerprint);
        put_uint(&pk, "layer", (uint64_t)head->layer);
        put_text(&pk, "dtype", vnp_dtype_name(head->dtype));
        put_uint(&pk, "width", (uint64_t)head->width);
    }
    if (head->kind == VNP_EMBEDDINGS) {
        put_text(&pk, "pool", head->pool);
        put_str(&pk, "ordered");
        (head->ordered ? msgpack_pack_true : msgpack_pack_false)(&pk);
    }
    if (unique)
        put_text(&pk, "unique", head->unique);
    frame_close(b, 0);
}

static void put_ids(msgpack_packer *pk, const struct vnp_block *block)
{
    put_str(pk, "id");
    msgpack_pack_array(pk, (size_t)block->n);
    for (int64_t i = 0; i < block->n; i++) {
        msgpack_pack_str(pk, block->id[i].n);
        msgpack_pack_str_body(pk, block->id[i].s, block->id[i].n);
    }
}

/* Zeros, so many that the bulk starts at a multiple of 64 bytes from the start of the payload: a reader whose buffer is
 * aligned then has aligned vectors without moving them. */
static void put_pad(struct vnp_buf *b, msgpack_packer *pk, const char *bulk_key, uint64_t bulk_bytes)
{
    static const char zeros[64];
    size_t bulk_header = bulk_bytes < 256 ? 2 : bulk_bytes < 65536 ? 3 : 5;
    size_t pad_header = strlen("?pad") + 2;
    size_t at = b->n - 4 + pad_header + 1 + strlen(bulk_key) + bulk_header;
    put_column(pk, "pad", zeros, (64 - at % 64) % 64);
}

enum vnp_status vnp_encode_block(struct vnp_buf *b, const struct vnp_head *head, const struct vnp_block *block,
                                 uint64_t limit, struct vnp_err *err)
{
    const char *bulk_key = vnp_bulk_key(head->kind);
    size_t n = (size_t)block->n;
    uint64_t bulk_bytes = (uint64_t)block->bulk_bytes;
    if (bulk_bytes <= limit) {
        msgpack_packer pk;
        frame_open(b, &pk, block->window != NULL ? 13 : 10);
        put_text(&pk, "t", vnp_frame_names[head->kind]);
        put_uint(&pk, "n", n);
        put_column(&pk, "ord", block->ordinal, 8 * n);
        put_ids(&pk, block);
        put_column(&pk, "len", block->residues, 4 * n);
        put_column(&pk, "total", block->total, 8 * n);
        put_column(&pk, "flags", block->flags, 4 * n);
        put_column(&pk, "ntok", block->tokens, 4 * n);
        if (block->window != NULL) {
            put_column(&pk, "win", block->window, 4 * n);
            put_column(&pk, "wins", block->windows, 4 * n);
            put_column(&pk, "start", block->start, 8 * n);
        }
        put_pad(b, &pk, bulk_key, bulk_bytes);
        put_str(&pk, bulk_key);
        msgpack_pack_bin(&pk, bulk_bytes);
    }
    if (bulk_bytes > limit || b->n - 4 + bulk_bytes > limit)
        return vnp_error(
            err, VNP_DATA,
            "record %llu (%.*s): its frame of %s would take %llu bytes, over the limit of %llu; split long "
            "records with vnp-fasta2tok --window, or pool on the way",
            (unsigned long long)block->ordinal[0], VNP_SHOWN(block->id[0]), vnp_kind_noun(head->kind),
            (unsigned long long)bulk_bytes, (unsigned long long)limit);
    frame_close(b, bulk_bytes);
    return VNP_OK;
}

void vnp_encode_end(struct vnp_buf *b, const struct vnp_totals *totals, uint32_t crc)
{
    msgpack_packer pk;
    frame_open(b, &pk, 8);
    put_text(&pk, "t", "end");
    put_uint(&pk, "sequences", totals->sequences);
    put_uint(&pk, "rows", totals->rows);
    put_uint(&pk, "tokens", totals->tokens);
    put_uint(&pk, "truncated", totals->truncated);
    put_uint(&pk, "redone", totals->redone);
    put_uint(&pk, "nonfinite", totals->nonfinite);
    put_uint(&pk, "crc32", crc);
    frame_close(b, 0);
}

void vnp_encode_err(struct vnp_buf *b, const char *stage, const struct vnp_err *err)
{
    msgpack_packer pk;
    frame_open(b, &pk, 4);
    put_text(&pk, "t", "err");
    put_text(&pk, "stage", err->stage[0] != '\0' ? err->stage : stage);
    put_uint(&pk, "status", (uint64_t)err->status);
    put_text(&pk, "message", err->msg);
    frame_close(b, 0);
}
