/* Streams of frames: a reader that trusts nothing and a writer that ends with proof. See vnp-frames(5). */
#ifndef VNP_STREAM_H
#define VNP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "status.h"

#define VNP_FRAME_LIMIT ((uint64_t)1 << 30) /* bytes of a frame's payload; a 4-byte length allows 4 GiB - 1 */

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct vnp_reader;

/* Opens `path` ("-" or NULL: stdin), plain or zstd, and reads the head. On failure *out is NULL and `err` says why; when
 * an earlier stage failed, its own message, with its name. */
VNP_MUST_CHECK enum vnp_status vnp_reader_open(struct vnp_reader **out, const char *path, struct vnp_err *err);

/* Refuses a stream of another kind: VNP_DATA, with what would produce the right one. */
VNP_MUST_CHECK enum vnp_status vnp_reader_expect(const struct vnp_reader *r, enum vnp_kind kind, struct vnp_err *err);

/* Refuses embeddings in batch order, as a forward stage with --pool writes them: VNP_DATA, with the way out. */
VNP_MUST_CHECK enum vnp_status vnp_reader_expect_order(const struct vnp_reader *r, struct vnp_err *err);

/* vnp_reader_open() for embeddings: refuses what they are not and, if they must be `ordered`, those in batch order. */
VNP_MUST_CHECK enum vnp_status vnp_reader_open_embeddings(struct vnp_reader **out, const char *path, bool ordered,
                                                          struct vnp_err *err);

/* From here on a pipe is read ahead of vnp_reader_next(), up to `limit` bytes: see ahead.h. */
void vnp_reader_read_ahead(struct vnp_reader *r, size_t limit);

/* The stream's head; and its name for messages, "stdin" or the path. Borrowed while the reader is open. */
const struct vnp_head *vnp_reader_head(const struct vnp_reader *r);
const char *vnp_reader_name(const struct vnp_reader *r);

/* The next block: VNP_OK with *block borrowed until the next call; VNP_END after an end frame whose counts and checksum
 * agree with what came and behind which nothing follows; else an error. Tokens, and embeddings whose head says so, come
 * in input order: ordinals that count up by one, windows that make up their records (see order.h). */
VNP_MUST_CHECK enum vnp_status vnp_reader_next(struct vnp_reader *r, struct vnp_block *block, struct vnp_err *err);

/* What has been read so far; after VNP_END, what the whole stream holds. */
const struct vnp_totals *vnp_reader_totals(const struct vnp_reader *r);
/* Frames and uncompressed bytes so far, and after VNP_END the checksum. */
uint64_t vnp_reader_frames(const struct vnp_reader *r);
uint64_t vnp_reader_bytes(const struct vnp_reader *r);
uint32_t vnp_reader_crc(const struct vnp_reader *r);

/* NULL is allowed. */
void vnp_reader_close(struct vnp_reader *r);

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct vnp_writer;

struct vnp_writer_options {
    const char *path; /* NULL or "-": stdout. A file is written beside its name and renamed when it is whole */
    int zstd_level;   /* 0: plain; 1..19: each frame of the stream in a zstd frame of its own */
    bool sync_later; /* vnp_writer_finish() need not wait for the disk: the caller does, for many files at once */
};

/* Refuses to write frames to a terminal (VNP_USAGE). */
VNP_MUST_CHECK enum vnp_status vnp_writer_open(struct vnp_writer **out, const struct vnp_writer_options *opt,
                                               struct vnp_err *err);
/* Once, first. The head is copied. */
VNP_MUST_CHECK enum vnp_status vnp_writer_head(struct vnp_writer *w, const struct vnp_head *head, struct vnp_err *err);
VNP_MUST_CHECK enum vnp_status vnp_writer_block(struct vnp_writer *w, const struct vnp_block *block,
                                                struct vnp_err *err);
const struct vnp_totals *vnp_writer_totals(const struct vnp_writer *w);
/* The checksum of what has been written: what an end frame, coming next, will carry. */
uint32_t vnp_writer_crc(const struct vnp_writer *w);

/* The end frame, flushed, synced to a name if there is one; then the writer is gone whatever the outcome. */
VNP_MUST_CHECK enum vnp_status vnp_writer_finish(struct vnp_writer *w, struct vnp_err *err);

/* Tells the next stage why there is no end (an err frame), or removes the unfinished file. NULL is allowed. */
void vnp_writer_abort(struct vnp_writer *w, const struct vnp_err *why);

#endif
