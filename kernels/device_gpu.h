/* The CUDA device: is there one that will do, and what is it. */
#ifndef VNP_DEVICE_GPU_H
#define VNP_DEVICE_GPU_H

#include <stdint.h>

#include "status.h"

struct vnp_device {
    int index;
    char name[128];
    int major, minor;    /* compute capability */
    int driver, runtime; /* CUDA versions, 1000 major + 10 minor */
    int64_t total_bytes;
};

/* Makes device `index` the calling thread's. VNP_UNAVAILABLE, with the reason and the way out: no driver, one older
 * than this program's CUDA, no such device, one below compute capability 8.0, one that doesn't answer. */
VNP_MUST_CHECK enum vnp_status vnp_device_open(struct vnp_device *d, int index, struct vnp_err *err);

/* Bytes that are free on the calling thread's device at this moment. */
int64_t vnp_device_free(void);

#endif
