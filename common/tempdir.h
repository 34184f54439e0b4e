/* A directory that appears under its name only when it is whole. */
#ifndef VNP_TEMPDIR_H
#define VNP_TEMPDIR_H

#include "status.h"

struct vnp_tempdir;

/* Makes a directory beside `target`, for any number of files, but no directories. `target` must not exist, or be an empty
 * directory or a symbolic link to one, but neither the current one nor a mount point (VNP_CANTCREAT). Until it is
 * renamed a signal that ends the process (SIGINT, SIGTERM, SIGHUP) removes it and them first. One at a time. */
VNP_MUST_CHECK enum vnp_status vnp_tempdir_open(struct vnp_tempdir **out, const char *target, struct vnp_err *err);

/* Borrowed until the end. */
const char *vnp_tempdir_path(const struct vnp_tempdir *t);

/* Waits until its files are on the disk, where they were closed without that (sync_later). VNP_IO when they can't be.
 */
VNP_MUST_CHECK enum vnp_status vnp_tempdir_sync(struct vnp_tempdir *t, struct vnp_err *err);

/* Renames it to its target. On failure it is removed. It is gone either way. */
VNP_MUST_CHECK enum vnp_status vnp_tempdir_commit(struct vnp_tempdir *t, struct vnp_err *err);

/* Removes it with its files. */
void vnp_tempdir_discard(struct vnp_tempdir *t);

#endif
