/* The tensors and settings of a file written by torch.save(), in the zip form or the one before version 1.6: a
 * state_dict (pytorch_model.bin), fair-esm's {"model": state_dict, "cfg" or "args": settings}, or a whole module
 * (.pth), whose tensors get the names that its state_dict would give them. */
#ifndef VNP_TORCHFILE_H
#define VNP_TORCHFILE_H

#include "model_config.h"
#include "stored.h"

/* Maps `path` and adds its tensors to the set (unsorted); fills *h from fair-esm's settings when there are any,
 * and s->modules from a whole module. Anything that does not fit is VNP_DATA. Nothing in the file is executed. */
VNP_MUST_CHECK enum vnp_status vnp_torchfile_read(struct vnp_stored_set *s, const char *path, struct vnp_hints *h,
                                                  struct vnp_err *err);

#endif
