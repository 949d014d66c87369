/** The unreliable messages that arrive, in one piece or in parts. Internal to the inbox. */
#ifndef ED_PARTIAL_H
#define ED_PARTIAL_H

#include "transport/stream_receive.h"

/** As ed_inbox_receive, for an unreliable guarantee. */
EDDY_MUST_CHECK eddy_status ed_inbox_receive_unreliable(ed_inbox *inbox,
                                                        const ed_message_frame *message,
                                                        uint64_t packet, uint64_t now_ns);

/** Gives back all that waits for parts. */
void ed_partials_free(ed_inbox *inbox);

/* The inbox's own, of stream_receive.c. */

/** Copies a message in one piece. @return NULL out of memory. */
ed_block *ed_inbox_keep(const ed_inbox *inbox, const ed_message_frame *message);

/**
 * The lane, made if there was none. @return EDDY_OK, EDDY_ENOMEM, or EDDY_ELIMIT: there is no room
 * for one more.
 */
EDDY_MUST_CHECK eddy_status ed_inbox_get_lane(ed_inbox *inbox, uint8_t guarantee, uint8_t stream,
                                              ed_lane_in **lane);

/** What a block says of the message in it; stream_receive.h reads it. */
static inline uint64_t ed_block_note(uint8_t guarantee, uint8_t stream, uint32_t skipped)
{
    return guarantee | (uint64_t)stream << 8 | (uint64_t)skipped << 16;
}

/** Queues blocks with their notes for the program, from the first to the last, which has no next.
 */
void ed_inbox_append(ed_inbox *inbox, ed_block *first, ed_block *last);

/** Queues a message for the program. */
void ed_inbox_make_ready(ed_inbox *inbox, ed_block *block, uint8_t guarantee, uint8_t stream,
                         uint32_t skipped);

#endif
