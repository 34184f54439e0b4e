/* Reads a pipe ahead of who wants its bytes, by a thread, into memory: for a stage of two inputs that one process
 * feeds, where it would wait for the one while that process waits for room in the other. */
#ifndef VNP_AHEAD_H
#define VNP_AHEAD_H

#include <stddef.h>
#include <sys/types.h>

struct vnp_ahead;

/* From here on the descriptor is read by the thread alone, and up to `limit` bytes wait in memory. NULL when no thread
 * can be made. */
struct vnp_ahead *vnp_ahead_start(int fd, size_t limit);

/* As read(2), but that it is not interrupted. */
ssize_t vnp_ahead_read(struct vnp_ahead *a, void *buf, size_t cap);

/* Ends the thread, whatever it waits for; the descriptor stays open. NULL is allowed. */
void vnp_ahead_stop(struct vnp_ahead *a);

#endif
