/* A stream of bytes from a file or stdin; gzip (multi-member, BGZF) and zstd are told by content and undone on the way. */
#ifndef VNP_SOURCE_H
#define VNP_SOURCE_H

#include <stddef.h>
#include <sys/types.h>

#include "status.h"

struct vnp_source;

/* Opens `path` ("-" or NULL: stdin). The caller closes *out. Fails with VNP_NOINPUT when the file can't be opened. */
VNP_MUST_CHECK enum vnp_status vnp_source_open(struct vnp_source **out, const char *path, struct vnp_err *err);

/* Reads up to `cap` decompressed bytes into `buf`: at least 1 unless at the end. Plain input goes straight into `buf`.
 * Returns the count, 0 at a clean end, -1 on an error (VNP_IO, or VNP_DATA for damaged or truncated compressed input). */
ssize_t vnp_source_read(struct vnp_source *s, void *buf, size_t cap, struct vnp_err *err);

/* From here on a pipe is read ahead, up to `limit` bytes (see ahead.h); a file has no need of that. */
void vnp_source_read_ahead(struct vnp_source *s, size_t limit);

/* The path as given, or "stdin". Borrowed until the source is closed. */
const char *vnp_source_name(const struct vnp_source *s);

/* NULL is allowed. */
void vnp_source_close(struct vnp_source *s);

#endif
