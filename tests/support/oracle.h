/**
 * What a program may expect of its events, checked event by event, for all guarantees on all
 * streams. Each end of a connection writes down what it sends (ledger.h), and the other end's
 * events are held against it. Which end is whose is learnt from the first message that says so; up
 * to then messages that are too small to say it are kept.
 */
#ifndef ED_TEST_ORACLE_H
#define ED_TEST_ORACLE_H

#include "tests/support/ledger.h"

enum {
    ED_ORACLE_STREAMS = 4, /* that simple tests use */
    ED_ORACLE_ENDPOINTS_MAX = 4096,
    ED_BROADCAST_STREAM = 255, /* carries broadcasts, and nothing else */
};

#define ED_SIZE_DRAWN SIZE_MAX /* as a size: drawn from the endpoint's sizes */

/** How large the messages of a test are. */
typedef struct ed_sizes {
    size_t min;
    size_t max;
} ed_sizes;

/** A message that is to be sent. */
typedef struct ed_parcel {
    eddy_guarantee guarantee;
    uint8_t stream;
    size_t size;
    uint32_t expire_ms;
    bool now_or_never;
    bool with_receipt;
    bool quiet_receipt; /* it has one that is no event */
} ed_parcel;

struct ed_endpoint;

/** All ends of all connections of a test, by the tag in their messages. */
typedef struct ed_oracle {
    const char *name; /* in front of every complaint */
    size_t count;
    struct ed_endpoint *endpoints[ED_ORACLE_ENDPOINTS_MAX];
} ed_oracle;

struct ed_early;

/** One end of a connection, as its program sees it. */
typedef struct ed_endpoint {
    ed_oracle *oracle;
    const char *name; /* in front of every complaint */
    eddy_connection handle;
    uint32_t node; /* whose it is */
    bool incoming;
    bool asked; /* the program was, about it */
    bool connected;
    bool disconnected;
    bool awaits_writable; /* was refused, and not told of room since */
    uint64_t connected_ns;
    uint64_t disconnected_ns;
    eddy_event_disconnected end;
    uint64_t moves; /* of the peer */
    eddy_address moved_to;
    ed_sizes sizes;
    struct ed_endpoint *peer; /* NULL: not known yet */
    ed_ledger ledger;         /* what it has sent */
    struct ed_early *early;   /* what came before its peer was known */
    uint64_t owed;            /* sent, must come, and has not: not of sequenced streams */
    uint64_t reliable_sent;
    uint64_t reliable_received;
    uint64_t unreliable_sent;
    uint64_t unreliable_received;
    uint64_t receipts_wanted;
    uint64_t receipts_told;
    uint64_t outcomes[EDDY_OUTCOME_TOO_BIG + 1];
    uint64_t refusals;
    uint64_t writables;
} ed_endpoint;

/** @param node its number; the nodes' are below 256. */
void ed_endpoint_init(ed_endpoint *endpoint, ed_oracle *oracle, uint32_t node,
                      eddy_connection handle, bool incoming, ed_sizes sizes);
void ed_endpoint_free(ed_endpoint *endpoint);

/** The note of the next message of that kind. It counts as sent when the caller says so. */
ed_note ed_endpoint_next_note(const ed_endpoint *endpoint, const ed_parcel *parcel);

/** The options that go with it. */
eddy_send_options ed_endpoint_options(const ed_endpoint *endpoint, const ed_parcel *parcel,
                                      const ed_note *note);

/** The note of a message by its receipt; NULL if there is none. */
const ed_note *ed_endpoint_note_of(const ed_endpoint *endpoint, uint64_t receipt);

/** It was accepted. */
void ed_endpoint_on_sent(ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream,
                         const ed_note *note);

/** A send was told EDDY_EAGAIN. */
void ed_endpoint_on_refused(ed_endpoint *endpoint);

/** Checks an event of this endpoint, and fails the test if it may not come now. */
void ed_endpoint_take(ed_endpoint *endpoint, const eddy_event *event, uint64_t now_ns);

/** Whether a reliable message that must come has not; the newest of a sequenced stream must. */
bool ed_endpoint_owes(const ed_endpoint *endpoint);

/** Messages that were said to have arrived and were not delivered, as the guarantee allows. */
typedef struct ed_unheard {
    uint64_t sequenced;
    uint64_t unreliable;
} ed_unheard;

/**
 * All is quiet, and both ends are still there: every receipt has been told, and is true; what was
 * skipped is what has expired; who was refused has been told of room. Adds to `unheard`.
 */
void ed_endpoint_check_settled(const ed_endpoint *endpoint, ed_unheard *unheard);

/** Reliable messages, over all streams. */
uint64_t ed_endpoint_sent(const ed_endpoint *endpoint);
uint64_t ed_endpoint_received(const ed_endpoint *endpoint);

#endif
