/* What every stage's main() shares: the common options, and how to fail so that the next stage learns the cause. */
#ifndef VNP_STAGE_H
#define VNP_STAGE_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "log.h"
#include "status.h"
#include "stream.h"

/* Long options that every stage takes; put VNP_COMMON_OPTIONS at the end of a stage's table, before the zeros, and
 * "hqvo:" (or "hqv" for a stage without -o) at the end of its short ones. */
enum { VNP_OPT_VERSION = 0x1000, VNP_OPT_LEVEL, VNP_OPT_PLAIN, VNP_OPT_OWN = 0x2000 /* a stage's own long-only options count from here */ };
#define VNP_COMMON_OPTIONS                                                                                            \
    {"help", no_argument, NULL, 'h'}, {"quiet", no_argument, NULL, 'q'}, {"verbose", no_argument, NULL, 'v'},         \
    {"version", no_argument, NULL, VNP_OPT_VERSION}, {"output", required_argument, NULL, 'o'}

/* Long options of a stage that writes a file of embeddings, compressed by default. */
#define VNP_ZSTD_OPTIONS {"level", required_argument, NULL, VNP_OPT_LEVEL}, {"plain", no_argument, NULL, VNP_OPT_PLAIN}
#define VNP_ZSTD_LEVEL 1

/* The lines of --help that say the same everywhere; a stage's own options are set in the same column. */
#define VNP_HELP_OUTPUT "  -o, --output FILE     write to FILE, which appears when it is whole (default: stdout)\n"
#define VNP_HELP_COMMON                                                                                               \
    "  -q, --quiet           errors only\n"                                                                           \
    "  -v, --verbose         more on stderr\n"                                                                        \
    "  -h, --help            this text\n"                                                                             \
    "      --version         version and build\n"

#define VNP_HELP_ZSTD                                                                                                 \
    "      --level N         zstd level, 1 to 19 (default: 1)\n"                                                      \
    "      --plain           no compression\n"

/* getopt_long() for a stage whose output is a stream of frames: with -o FILE an option that is wrong is not told to
 * stdout, whichever of the two comes first. */
int vnp_frames_option(int argc, char **argv, const char *letters, const struct option *table);

/* Takes -o, --level and --plain. False for any other option. */
bool vnp_writer_option(int c, struct vnp_writer_options *file);

/* Handles -h, -q, -v, --version and an unknown option ('?'); -h and --version exit 0, misuse exits 2 after `usage`.
 * Returns for anything it does not know (then the caller's switch was incomplete: a bug, status 70). */
void vnp_common_option(int c, void (*usage)(FILE *));

/* Exits 2 when the directory to be made is called "-", which is stdout. NULL: there is none. */
void vnp_refuse_stdout(const char *dir);

/* A whole decimal number in [lo, hi], or exit 2 with "option: not a number from lo to hi: text". */
int64_t vnp_option_int(const char *option, const char *text, int64_t lo, int64_t hi);
double vnp_option_double(const char *option, const char *text, double lo, double hi);
/* Of --threads: 1 to 1024. */
int64_t vnp_option_threads(const char *text);

/* The operands A and B of a stage that reads two streams, one of which may be "-"; or exit 2. Call it when the options
 * are read. */
void vnp_two_streams(const char *path[2], int argc, char **argv, void (*usage)(FILE *));

/* Exits 2 when the output `to` would take the place of the file of the log. */
void vnp_refuse_log(const char *to);

/* Exits 2 when it would take the place of the file `input`, or of the log's. NULL and "-" are stdout, and stdin. */
void vnp_refuse_input(const char *to, const char *input);

/* The same for `n` inputs; stdin where there are none. */
void vnp_refuse_inputs(const char *to, char *const *inputs, int n);

/* 1, true or yes in any case: the environment variables VirNucPro's users know. */
int vnp_env_true(const char *name);

/* Prints the error, passes it down the output stream (or removes the unfinished file), exits with its status.
 * Either of the two may be NULL. */
void vnp_stage_fail(struct vnp_writer *out, const struct vnp_err *err) __attribute__((noreturn));

/* Ends the stream: with the end frame, or with vnp_stage_fail() when `st`, what came of the work, is not VNP_OK or the
 * end can't be written. Returns what the stream holds. */
struct vnp_totals vnp_stage_finish(struct vnp_writer *out, enum vnp_status st, struct vnp_err *err);

/* Starts a stage: names it for messages, and makes stdout's state safe to rely on. */
void vnp_stage_init(const char *name);
/* The same for a stage whose output is a stream of frames: if it ends before it has opened its output (misuse, say), the
 * next stage of a pipe learns why, through stdout or the FIFO that -o names. */
void vnp_stage_init_frames(const char *name);

extern const char vnp_version[];     /* "0.1.0" */
extern const char vnp_build_flags[]; /* compiler and flags, for --version */

#endif
