/* What a file that is not what was expected looks like, in words, for an error message. */
#ifndef VNP_GUESS_H
#define VNP_GUESS_H

#include <stddef.h>

/* Judges by the first `n` bytes (64 tell all; fewer will do). Returns a phrase with the way out, such as "bzip2 data
 * (bzip2 -dc FILE |)", or NULL for text that looks like nothing in particular. */
const char *vnp_guess_format(const void *first, size_t n);

/* The same where sequences were not expected either: they, and plain text, have phrases too. NULL for no bytes. */
const char *vnp_guess_any(const void *first, size_t n);

#endif
