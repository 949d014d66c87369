/**
 * One large message, in parts, that its receiver acknowledges with a checksum, because sending it
 * back would take as long again. Its stream waits for all others, so that it disturbs no game.
 */
#ifndef ED_TOOL_LARGE_H
#define ED_TOOL_LARGE_H

#include "core/eddy.h"

enum {
    ED_LARGE_STREAM = 255, /* what comes on it is answered by its checksum, not by itself */
    ED_LARGE_PRIORITY = EDDY_PRIORITY_COUNT - 1,
    ED_CHECKSUM_SIZE = 16,
    ED_LARGE_SIZE_DEFAULT = 1024 * 1024,
};

#define ED_LARGE_GUARANTEE EDDY_RELIABLE_ORDERED

/** What became of it. A plain value; zeroed, none is sent. */
typedef struct ed_large {
    uint64_t size;
    uint64_t sent;
    uint64_t arrived; /* acknowledged with the right checksum */
    uint64_t damaged; /* with another one, or more than once */
    uint64_t sent_ns;
    uint64_t time_ns; /* until it was acknowledged */
} ed_large;

/** BLAKE2b of 16 bytes. */
void ed_checksum(uint8_t checksum[ED_CHECKSUM_SIZE], const void *data, size_t size);

/** Fills in the message; no two parts of it are the same. */
void ed_large_fill(uint8_t *data, size_t size);

/** The message `data` was accepted. */
void ed_large_sent(ed_large *large, const uint8_t *data, size_t size, uint64_t now_ns,
                   uint8_t checksum[ED_CHECKSUM_SIZE]);

/** An answer came on its stream; `checksum` is what ed_large_sent gave. */
void ed_large_answered(ed_large *large, const eddy_event_message *message,
                       const uint8_t checksum[ED_CHECKSUM_SIZE], uint64_t now_ns);

/** Whether it was sent and has not come yet. */
bool ed_large_is_owed(const ed_large *large);

/** Whether it came whole, once, if there was one to send. */
bool ed_large_is_kept(const ed_large *large);

/** Bits a second; 0 if it did not arrive. */
uint64_t ed_large_bits_per_s(const ed_large *large);

/** How far it is, to stand at the end of a line; "" if there is none. Static text. */
const char *ed_large_news(const ed_large *large);

/** Adds what another client has sent. */
void ed_large_merge(ed_large *into, const ed_large *from);

/** Allows messages of `size` bytes, and makes room for them. */
void ed_large_allow(eddy_config *config, size_t size);

#endif
