/* What a kernel may use, known before it is launched. */
#ifndef VNP_TARGET_H
#define VNP_TARGET_H

#ifdef __cplusplus
extern "C" {
#endif

/* The compute capability that the current device's kernels may count on, 90 on Hopper: its own or, where the code for
 * it was compiled from PTX for an older one, that one's. 0 when there is no device. Asked of the driver once a device.
 */
int vnp_target(void);

#ifdef __cplusplus
}
#endif

#endif
