/* zstd frames, one after the other, compressed on several threads. The bytes are the same for any number of them. */
#ifndef VNP_SQUEEZE_H
#define VNP_SQUEEZE_H

#include <stddef.h>
#include <sys/uio.h>

#include "status.h"

struct vnp_squeeze;

/* Where compressed bytes go, in order, on the caller's thread. */
typedef enum vnp_status (*vnp_squeeze_sink)(void *ctx, const void *data, size_t n, struct vnp_err *err);

/* Level 1 to 19; threads 1: in the calls themselves. NULL when zstd can't start. */
struct vnp_squeeze *vnp_squeeze_open(int level, int threads, vnp_squeeze_sink sink, void *ctx);

/* The parts as one frame with a checksum. It is compressed now or later, and later calls may be the ones that pass it
 * to the sink: an error may be that of an earlier frame. The parts may change after the call. With one thread, the
 * frame is with the sink on return. */
VNP_MUST_CHECK enum vnp_status vnp_squeeze_put(struct vnp_squeeze *s, const struct iovec *parts, int n,
                                               struct vnp_err *err);

/* All frames are with the sink when this returns VNP_OK. */
VNP_MUST_CHECK enum vnp_status vnp_squeeze_finish(struct vnp_squeeze *s, struct vnp_err *err);

/* What is not with the sink by now is dropped. NULL is allowed. */
void vnp_squeeze_close(struct vnp_squeeze *s);

#endif
