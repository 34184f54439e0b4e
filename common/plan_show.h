/* What vnp-plan prints. */
#ifndef VNP_PLAN_SHOW_H
#define VNP_PLAN_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "census.h"
#include "jsonout.h"
#include "model.h"
#include "pool.h"

#define VNP_PLAN_WARNINGS 6

/* A device: its memory in bytes, and the time to expect in seconds. Negative where it is not known. */
struct vnp_plan_device {
    bool shown;
    int64_t weights, batches, other;
    double tflops, seconds;
    double given_tflops, given_seconds; /* at --tflops; seconds negative without */
};

struct vnp_plan {
    const struct vnp_census *census;
    uint64_t budget; /* tokens of a batch */
    const struct vnp_model_config *model;
    int layer;
    double flops;
    struct vnp_plan_device gpu, cpu;
    const char *numbers; /* on the GPU: "fp16" */
    int64_t gpu_tokens;  /* of a batch that its memory is for */
    int gpus, threads;
    enum vnp_pool pool;
    enum vnp_dtype dtype; /* of the output */
    bool zstd;
    bool on_disk;                    /* the output is kept in a file */
    double output_bytes;             /* about */
    double token_bytes, block_bytes; /* what a run that can be resumed keeps beside it */
    int64_t free_bytes;              /* where the output goes; negative: not asked for */
    int n_warnings;
    char warning[VNP_PLAN_WARNINGS][256];
};

/* Aligned lines for people. */
void vnp_plan_show(struct vnp_text *out, const struct vnp_plan *p);

/* One object on one line. */
void vnp_plan_show_json(struct vnp_text *out, const struct vnp_plan *p);

/* "6.28 GB"; "3 h 20 min". Into `text`, which is returned. */
#define VNP_PLAN_TEXT 32
const char *vnp_plan_bytes(char text[VNP_PLAN_TEXT], double bytes);
const char *vnp_plan_time(char text[VNP_PLAN_TEXT], double seconds);

#endif
