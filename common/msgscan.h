/* A look over a msgpack message before msgpack-c sees it: msgpack-c allocates an array or map by the count its header
 * claims, so a five-byte message could ask for 100 GB. */
#ifndef VNP_MSGSCAN_H
#define VNP_MSGSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VNP_MSG_DEPTH 8 /* containers within containers; the format needs 4 */

/* True when `p` holds exactly one message of n bytes, every length and count fits the bytes that are there, containers
 * nest no deeper than VNP_MSG_DEPTH, and hold at most n / 16 + 1024 messages in all: a row is one (its id) in 29 bytes
 * or more, and msgpack-c makes 24 bytes and more of each message. Takes constant memory. */
bool vnp_msg_plausible(const uint8_t *p, size_t n);

#endif
