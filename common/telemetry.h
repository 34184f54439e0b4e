/* Telemetry: where $VNP_LOG_JSON names a file, what a stage did with each block and with its time, as JSON lines.
 * vnp(7) has the fields. source.c, output.c and stream.c report what they do; a stage has to speak only of what they
 * can't see. Every function may be called from any thread and costs a branch when there is no such file. None fails: a
 * file that can't be written gets one warning, and the stage goes on. */
#ifndef VNP_TELEMETRY_H
#define VNP_TELEMETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "block.h"

enum vnp_flow { VNP_IN, VNP_OUT };

/* Whether there is anything to do. The variable is for this function alone. */
extern atomic_bool vnp_telemetry_on;
static inline bool vnp_telemetry_active(void)
{
    return atomic_load_explicit(&vnp_telemetry_on, memory_order_relaxed);
}

/* Once, as the stage starts: the clock begins. `stage` is borrowed for ever. */
void vnp_telemetry_init(const char *stage);

/* The file that $VNP_LOG_JSON names, or NULL. */
const char *vnp_telemetry_path(void);

/* A stream of sequences is about to be opened: from now on the stage is in the log, with a summary when it exits. A
 * stage that opens a stream to write before the first block comes counts what it writes, any other what it reads. */
void vnp_telemetry_open(enum vnp_flow way);

/* The head of what comes in or goes out, which may name the budget of its batches. */
void vnp_telemetry_head(enum vnp_flow way, const struct vnp_head *head);

/* A block has come in, or is out. */
void vnp_telemetry_block(enum vnp_flow way, const struct vnp_block *b);

/* For a stage whose output is no frames: so many sequences are out, in all. */
void vnp_telemetry_sequences(uint64_t all);

/* What the stage computes on, for its summary. Copied. */
void vnp_telemetry_device(const char *name);

void vnp_telemetry_begin_wait(enum vnp_flow way);
void vnp_telemetry_end_wait(enum vnp_flow way, ssize_t bytes);
void vnp_telemetry_change_work(int by);

/* Around a call that may block: `bytes` have come or gone (nothing is counted for -1, an error). */
static inline void vnp_telemetry_wait(enum vnp_flow way)
{
    if (vnp_telemetry_active())
        vnp_telemetry_begin_wait(way);
}
static inline void vnp_telemetry_waited(enum vnp_flow way, ssize_t bytes)
{
    if (vnp_telemetry_active())
        vnp_telemetry_end_wait(way, bytes);
}

/* Work that goes on while other threads read and write begins (+1) or ends (-1): as long as there is any, the stage is
 * busy, whoever else may be blocked. */
static inline void vnp_telemetry_work(int by)
{
    if (vnp_telemetry_active())
        vnp_telemetry_change_work(by);
}

#endif
