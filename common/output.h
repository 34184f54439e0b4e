/* Where a stage's bytes go: stdout, or a file that appears under its name only when it is whole. Optionally zstd. */
#ifndef VNP_OUTPUT_H
#define VNP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "status.h"

struct vnp_output;

/* `path` NULL or "-": stdout, refused when it is a terminal (VNP_USAGE). A regular file is written without a name where
 * the file system can do that (so that even SIGKILL leaves nothing behind), else under a temporary name beside `path`;
 * devices, FIFOs and open descriptors (/dev/fd/N, /dev/stdout, links to these) are written in place. zstd_level 0: as
 * is. */
VNP_MUST_CHECK enum vnp_status vnp_output_open(struct vnp_output **out, const char *path, int zstd_level,
                                               struct vnp_err *err);

/* The same for text, as is, which a terminal may show. */
VNP_MUST_CHECK enum vnp_status vnp_output_open_text(struct vnp_output **out, const char *path, struct vnp_err *err);

/* Writes all the parts; with zstd, as one zstd frame with a checksum, which a regular file may get later (vnp_squeeze_put).
 * Survives EINTR and short writes. */
VNP_MUST_CHECK enum vnp_status vnp_output_write(struct vnp_output *o, const struct iovec *parts, int n,
                                                struct vnp_err *err);

/* Overwrites n bytes at `offset` of what has been written: for a header that counts what follows it. Only for a file
 * that is not a stream and not zstd. */
VNP_MUST_CHECK enum vnp_status vnp_output_patch(struct vnp_output *o, off_t offset, const void *data, size_t n,
                                                struct vnp_err *err);

/* The commit need not wait for the disk: the caller does so later, for many files at once. */
void vnp_output_sync_later(struct vnp_output *o);

/* Everything is on its way to the disk and under its name when this returns VNP_OK. The output is gone either way, and
 * so is the unfinished file on failure. */
VNP_MUST_CHECK enum vnp_status vnp_output_commit(struct vnp_output *o, struct vnp_err *err);

/* Removes the unfinished file; stdout is left as it is. */
void vnp_output_discard(struct vnp_output *o);

/* Writes text to the stdio stream stdout, and flushes it. VNP_IO. */
VNP_MUST_CHECK enum vnp_status vnp_stdout_write(const void *data, size_t n, struct vnp_err *err);

/* Closes the stdio stream stdout. VNP_IO when anything that went into it can't be written. */
VNP_MUST_CHECK enum vnp_status vnp_stdout_close(struct vnp_err *err);

/* A name for what becomes `path` when it is whole, in the same folder: with `suffix`, before which a long name is cut
 * short, so that what can be a file's name has one. Caller frees. */
char *vnp_name_beside(const char *path, const char *suffix);

/* pwrite() of all n bytes, which survives EINTR and short writes. 0, or what errno says. */
VNP_MUST_CHECK int vnp_pwrite(int fd, const void *data, size_t n, off_t offset);

/* Both paths name one regular file, there already or not yet: writing to the one would take the place of the other. */
bool vnp_same_file(const char *a, const char *b);

/* Two outputs are one, a file, a pipe or a terminal, by whatever names; "-" is stdout, NULL no output. */
bool vnp_same_output(const char *a, const char *b);

/* True when what is written is seen by the next stage at once (stdout, a FIFO), false for a file that can be removed. */
int vnp_output_is_stream(const struct vnp_output *o);

#endif
