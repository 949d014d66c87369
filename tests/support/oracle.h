/**
 * What a program may expect of its events, checked event by event. Every message follows from its
 * flow (one direction of one connection), guarantee, stream and index, so that the receiver's side
 * knows what must come without having seen what was sent.
 */
#ifndef ED_TEST_ORACLE_H
#define ED_TEST_ORACLE_H

#include "core/eddy.h"

enum {
    ED_ORACLE_STREAMS = 4,
    ED_ORACLE_UNRELIABLE_SIZE_MIN = 4, /* an unreliable message carries its index */
    ED_ORACLE_SEEN_BITS = 1 << 15,     /* unreliable messages that are remembered */
};

/** How large the messages of a test are. */
typedef struct ed_sizes {
    size_t min;
    size_t max;
} ed_sizes;

/** One end of a connection, as its program sees it. */
typedef struct ed_endpoint {
    const char *name; /* in front of every complaint */
    eddy_connection handle;
    bool incoming;
    bool connected;
    bool disconnected;
    uint64_t connected_ns;
    uint64_t disconnected_ns;
    eddy_event_disconnected end;
    uint64_t moves; /* of the peer */
    eddy_address moved_to;
    ed_sizes sizes;
    uint64_t flow_out;
    uint64_t flow_in;
    uint64_t sent[ED_ORACLE_STREAMS]; /* reliable, accepted by eddy_send */
    uint64_t received[ED_ORACLE_STREAMS];
    uint64_t unreliable_sent;
    uint64_t unreliable_received;
    uint64_t seen_end; /* one above the highest index that came */
    uint64_t seen[ED_ORACLE_SEEN_BITS / 64];
} ed_endpoint;

/** @param dialler the address of the end that connected; it names both flows. */
void ed_endpoint_init(ed_endpoint *endpoint, const char *name, eddy_connection handle,
                      const eddy_address *dialler, bool incoming, ed_sizes sizes);

/**
 * Writes the next message of a guarantee and stream. It counts as sent when the caller says so.
 * @param data EDDY_PIECE_SIZE_MAX bytes. @return its size.
 */
size_t ed_endpoint_next_message(const ed_endpoint *endpoint, eddy_guarantee guarantee,
                                uint8_t stream, uint8_t *data);
void ed_endpoint_on_sent(ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream);

/** Checks an event of this endpoint, and fails the test if it may not come now. */
void ed_endpoint_take(ed_endpoint *endpoint, const eddy_event *event, uint64_t now_ns);

/** Reliable messages, over all streams. */
uint64_t ed_endpoint_sent(const ed_endpoint *endpoint);
uint64_t ed_endpoint_received(const ed_endpoint *endpoint);

#endif
