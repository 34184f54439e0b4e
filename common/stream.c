#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "guess.h"
#include "log.h"
#include "order.h"
#include "output.h"
#include "source.h"
#include "telemetry.h"
#include "xmalloc.h"

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct vnp_reader {
    struct vnp_source *source;
    struct vnp_head head;
    struct vnp_totals totals;
    struct vnp_order order; /* kept where the head promises one */
    struct vnp_buf payload, scratch;
    uint64_t frames, bytes;
    uint32_t crc, crc_before; /* with and without the newest frame */
};

static enum vnp_status in_frame(const struct vnp_reader *r, struct vnp_err *err)
{
    return vnp_error_in(err, "%s: frame %llu", vnp_source_name(r->source), (unsigned long long)r->frames);
}

static enum vnp_status cut_short(const struct vnp_reader *r, struct vnp_err *err)
{
    if (r->frames == 0 && r->bytes == 0)
        return vnp_error(err, VNP_DATA, "%s: is empty: no stream came; see what the stage before this one said",
                         vnp_source_name(r->source));
    return vnp_error(err, VNP_DATA, "%s: ends after %llu whole frames without an end frame: the stage before this one died, or the file was cut",
                     vnp_source_name(r->source), (unsigned long long)r->frames);
}

/* Reads exactly n bytes to the end of *b, which grows as they come and not as they are promised. */
static enum vnp_status read_exactly(struct vnp_reader *r, struct vnp_buf *b, size_t n, struct vnp_err *err)
{
    while (n > 0) {
        size_t piece = n;
        if (b->n + piece > b->cap) {
            size_t cap = b->cap * 2 > (1 << 20) ? b->cap * 2 : 1 << 20;
            cap = cap < b->n + n ? cap : b->n + n;
            if (b->n == b->cap && !vnp_buf_reserve(b, cap))
                return vnp_error(err, VNP_OS, "%s: out of memory for a frame of %zu bytes", vnp_source_name(r->source), b->n + n);
            piece = b->cap - b->n;
        }
        ssize_t got = vnp_source_read(r->source, b->p + b->n, piece, err);
        if (got < 0) {
            r->frames++;
            enum vnp_status st = in_frame(r, err);
            r->frames--;
            return st;
        }
        if (got == 0)
            return cut_short(r, err);
        b->n += (size_t)got;
        r->bytes += (size_t)got;
        n -= (size_t)got;
    }
    return VNP_OK;
}

/* The first 5 bytes of a stream are a length and a msgpack map's beginning. What else they are is worth a guess: a FASTA
 * file given to the wrong stage is the commonest slip. */
static enum vnp_status check_beginning(struct vnp_reader *r, uint32_t length, struct vnp_err *err)
{
    struct vnp_buf *b = &r->payload;
    if (length == 0)
        return VNP_OK;
    if (!vnp_buf_reserve(b, 64))
        return vnp_error(err, VNP_OS, "%s: out of memory", vnp_source_name(r->source));
    enum vnp_status st = read_exactly(r, b, 1, err);
    if (st != VNP_OK || (b->p[4] & 0xf0) == 0x80 || b->p[4] == 0xde || b->p[4] == 0xdf)
        return st;
    for (ssize_t got = 1; b->n < 64 && got > 0; b->n += (size_t)got)
        if ((got = vnp_source_read(r->source, b->p + b->n, 64 - b->n, err)) < 0)
            return err->status;
    return vnp_error(err, VNP_DATA, "%s: is no stream of frames: looks like %s", vnp_source_name(r->source),
                     vnp_guess_any(b->p, b->n));
}

/* Reads and decodes one frame. */
static enum vnp_status next_frame(struct vnp_reader *r, struct vnp_decoded *d, struct vnp_err *err)
{
    struct vnp_buf *b = &r->payload;
    uint32_t length;
    b->n = 0;
    enum vnp_status st = read_exactly(r, b, 4, err);
    if (st != VNP_OK)
        return st;
    memcpy(&length, b->p, 4);
    r->crc_before = r->crc;
    r->crc = (uint32_t)crc32_z(r->crc, b->p, 4);
    if (r->frames == 0 && (st = check_beginning(r, length, err)) != VNP_OK)
        return st;
    if (length > VNP_FRAME_LIMIT) {
        r->frames++;
        vnp_error(err, VNP_DATA, "claims %u bytes, over the limit of %llu: not a stream of vnp, or a damaged one", length,
                  (unsigned long long)VNP_FRAME_LIMIT);
        return in_frame(r, err);
    }
    /* The byte that check_beginning() looked at is the payload's first. */
    if (b->n == 5)
        b->p[0] = b->p[4];
    b->n -= 4;
    st = read_exactly(r, b, length - b->n, err);
    if (st != VNP_OK)
        return st;
    r->crc = (uint32_t)crc32_z(r->crc, b->p, length);
    r->frames++;
    st = vnp_decode(b->p, length, r->frames == 1 ? NULL : &r->head, &r->scratch, d, err);
    return st == VNP_OK ? VNP_OK : in_frame(r, err);
}

static enum vnp_status check_end(struct vnp_reader *r, const struct vnp_decoded *d, struct vnp_err *err)
{
    char byte;
    r->crc = r->crc_before;
    if (d->crc != r->crc)
        vnp_error(err, VNP_DATA, "checksum %08x, but what came before has %08x: the stream is damaged", d->crc, r->crc);
    else if (memcmp(&d->totals, &r->totals, sizeof r->totals) != 0)
        vnp_error(err, VNP_DATA, "the end counts %llu sequences, %llu rows, %llu tokens, but %llu, %llu, %llu came (or their flags differ)",
                  (unsigned long long)d->totals.sequences, (unsigned long long)d->totals.rows,
                  (unsigned long long)d->totals.tokens, (unsigned long long)r->totals.sequences,
                  (unsigned long long)r->totals.rows, (unsigned long long)r->totals.tokens);
    else if (vnp_order_end(&r->order, err) == VNP_OK) {
        ssize_t more = vnp_source_read(r->source, &byte, 1, err);
        if (more == 0)
            return VNP_END;
        if (more > 0)
            vnp_error(err, VNP_DATA, "more bytes follow the end frame");
    }
    return in_frame(r, err);
}

enum vnp_status vnp_reader_open(struct vnp_reader **out, const char *path, struct vnp_err *err)
{
    struct vnp_reader *r = xcalloc(1, sizeof *r);
    struct vnp_decoded d;
    *out = NULL;
    vnp_telemetry_open(VNP_IN);
    enum vnp_status st = vnp_source_open(&r->source, path, err);
    if (st == VNP_OK)
        st = next_frame(r, &d, err);
    if (st == VNP_OK && d.frame == VNP_FRAME_ERR) {
        *err = d.err;
        st = err->status;
    }
    if (st != VNP_OK) {
        vnp_reader_close(r);
        return st;
    }
    r->head = d.head;
    vnp_telemetry_head(VNP_IN, &r->head);
    *out = r;
    return VNP_OK;
}

enum vnp_status vnp_reader_expect(const struct vnp_reader *r, enum vnp_kind kind, struct vnp_err *err)
{
    static const char *const makers[] = {"vnp-fasta2tok", "vnp-pack", "vnp-gpu-forward or vnp-cpu-forward", "vnp-pool",
                                         "vnp-dedup"};
    if (r->head.kind == kind)
        return VNP_OK;
    return vnp_error(err, VNP_DATA, "%s: holds %s, but %s are wanted here: put %s before this stage",
                     vnp_source_name(r->source), vnp_kind_noun(r->head.kind), vnp_kind_noun(kind), makers[kind]);
}

enum vnp_status vnp_reader_expect_order(const struct vnp_reader *r, struct vnp_err *err)
{
    if (r->head.kind != VNP_EMBEDDINGS || r->head.ordered)
        return VNP_OK;
    return vnp_error(err, VNP_DATA, "%s: embeddings in the order of the batches: put vnp-pool before this stage, which "
                     "gives them in input order", vnp_source_name(r->source));
}

enum vnp_status vnp_reader_open_embeddings(struct vnp_reader **out, const char *path, bool ordered, struct vnp_err *err)
{
    enum vnp_status st = vnp_reader_open(out, path, err);
    if (st == VNP_OK)
        st = vnp_reader_expect(*out, VNP_EMBEDDINGS, err);
    if (st == VNP_OK && ordered)
        st = vnp_reader_expect_order(*out, err);
    if (st != VNP_OK) {
        vnp_reader_close(*out);
        *out = NULL;
    }
    return st;
}

void vnp_reader_read_ahead(struct vnp_reader *r, size_t limit)
{
    vnp_source_read_ahead(r->source, limit);
}

const struct vnp_head *vnp_reader_head(const struct vnp_reader *r)
{
    return &r->head;
}

const char *vnp_reader_name(const struct vnp_reader *r)
{
    return vnp_source_name(r->source);
}

enum vnp_status vnp_reader_next(struct vnp_reader *r, struct vnp_block *block, struct vnp_err *err)
{
    struct vnp_decoded d;
    enum vnp_status st = next_frame(r, &d, err);
    if (st != VNP_OK)
        return st;
    switch (d.frame) {
    case VNP_FRAME_BLOCK:
        if (vnp_head_ordered(&r->head) && vnp_order_block(&r->order, &r->head, &d.block, err) != VNP_OK)
            return in_frame(r, err);
        vnp_totals_add(&r->totals, &d.block);
        vnp_telemetry_block(VNP_IN, &d.block);
        *block = d.block;
        return VNP_OK;
    case VNP_FRAME_ERR:
        *err = d.err;
        return err->status;
    default: /* an end: the decoder lets no second head through */
        return check_end(r, &d, err);
    }
}

const struct vnp_totals *vnp_reader_totals(const struct vnp_reader *r)
{
    return &r->totals;
}

uint64_t vnp_reader_frames(const struct vnp_reader *r)
{
    return r->frames;
}

uint64_t vnp_reader_bytes(const struct vnp_reader *r)
{
    return r->bytes;
}

uint32_t vnp_reader_crc(const struct vnp_reader *r)
{
    return r->crc;
}

void vnp_reader_close(struct vnp_reader *r)
{
    if (r == NULL)
        return;
    vnp_source_close(r->source);
    vnp_order_free(&r->order);
    vnp_buf_free(&r->payload);
    vnp_buf_free(&r->scratch);
    free(r);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct vnp_writer {
    struct vnp_output *output;
    struct vnp_head head;
    struct vnp_totals totals;
    struct vnp_buf buf;
    uint32_t crc;
    bool broken; /* a write failed: what is out there may end in the middle of a frame */
};

static struct vnp_writer *open_writer; /* the one that vnp_die() speaks through */

static void abort_open_writer(const struct vnp_err *why)
{
    vnp_writer_abort(open_writer, why);
}

enum vnp_status vnp_writer_open(struct vnp_writer **out, const struct vnp_writer_options *opt, struct vnp_err *err)
{
    struct vnp_writer *w = xcalloc(1, sizeof *w);
    *out = NULL;
    vnp_telemetry_open(VNP_OUT);
    enum vnp_status st = vnp_output_open(&w->output, opt->path, opt->zstd_level, err);
    if (st != VNP_OK) {
        free(w);
        return st;
    }
    if (opt->sync_later)
        vnp_output_sync_later(w->output);
    open_writer = *out = w;
    vnp_log_on_die(abort_open_writer);
    return VNP_OK;
}

/* Sends what is in w->buf and, behind it, the bulk. */
static enum vnp_status send(struct vnp_writer *w, const void *bulk, size_t bulk_bytes, struct vnp_err *err)
{
    struct iovec parts[2] = {{w->buf.p, w->buf.n}, {(void *)(uintptr_t)bulk, bulk_bytes}};
    w->crc = (uint32_t)crc32_z(w->crc, w->buf.p, w->buf.n);
    if (bulk_bytes > 0)
        w->crc = (uint32_t)crc32_z(w->crc, bulk, bulk_bytes);
    enum vnp_status st = vnp_output_write(w->output, parts, bulk_bytes > 0 ? 2 : 1, err);
    w->broken |= st != VNP_OK;
    return st;
}

enum vnp_status vnp_writer_head(struct vnp_writer *w, const struct vnp_head *head, struct vnp_err *err)
{
    w->head = *head;
    vnp_telemetry_head(VNP_OUT, head);
    vnp_encode_head(&w->buf, head);
    return send(w, NULL, 0, err);
}

enum vnp_status vnp_writer_block(struct vnp_writer *w, const struct vnp_block *block, struct vnp_err *err)
{
    enum vnp_status st = vnp_encode_block(&w->buf, &w->head, block, VNP_FRAME_LIMIT, err);
    if (st != VNP_OK)
        return st;
    vnp_totals_add(&w->totals, block);
    st = send(w, block->bulk, (size_t)block->bulk_bytes, err);
    if (st == VNP_OK && w->head.kind != VNP_COPIES) /* not copies: the unique records beside them count */
        vnp_telemetry_block(VNP_OUT, block);
    return st;
}

const struct vnp_totals *vnp_writer_totals(const struct vnp_writer *w)
{
    return &w->totals;
}

uint32_t vnp_writer_crc(const struct vnp_writer *w)
{
    return w->crc;
}

static void free_writer(struct vnp_writer *w)
{
    if (w == open_writer)
        open_writer = NULL;
    vnp_buf_free(&w->buf);
    free(w);
}

enum vnp_status vnp_writer_finish(struct vnp_writer *w, struct vnp_err *err)
{
    vnp_encode_end(&w->buf, &w->totals, w->crc);
    enum vnp_status st = send(w, NULL, 0, err);
    if (st == VNP_OK)
        st = vnp_output_commit(w->output, err);
    else
        vnp_output_discard(w->output);
    free_writer(w);
    return st;
}

void vnp_writer_abort(struct vnp_writer *w, const struct vnp_err *why)
{
    struct vnp_err ignored;
    if (w == NULL)
        return;
    if (vnp_output_is_stream(w->output) && !w->broken) {
        vnp_encode_err(&w->buf, vnp_log_stage(), why);
        if (send(w, NULL, 0, &ignored) != VNP_OK)
            vnp_log(VNP_LOG_DEBUG, "the next stage could not be told: %s", ignored.msg);
    }
    vnp_output_discard(w->output);
    free_writer(w);
}
