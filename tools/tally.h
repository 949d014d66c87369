/**
 * Stamps the messages that a client sends, and judges what comes back: whether each came, once,
 * undamaged, after which others, and how late. Zeroed, it has sent nothing.
 */
#ifndef ED_TOOL_TALLY_H
#define ED_TOOL_TALLY_H

#include "core/eddy.h"
#include "tools/latency.h"
#include "tools/promise.h"
#include "transport/replay.h"

enum {
    ED_TALLY_STREAMS = 4, /* of each guarantee, used in turn, */
    ED_TALLY_RUN = 8,     /* so many messages each time, so that some overtake others */
    /* The smallest message: sequence 6, stream 1, guarantee 1, time of sending 8, then filling. */
    ED_STAMP_SIZE = 16,
    /* Every so many messages share a window, so that one is known when it comes very late. */
    ED_TALLY_WINDOWS = 128,
};

/** What became of the messages of one guarantee. A plain value. */
typedef struct ed_flow {
    uint64_t sent;
    uint64_t answered;
    uint64_t twice;          /* came again */
    uint64_t late;           /* came after a newer one of its stream */
    uint64_t damaged;        /* no message that we ever sent, or not on this stream */
    uint64_t newest_missing; /* streams whose newest message has not come */
    ed_latency round_trip;
} ed_flow;

/** One stream of one guarantee. */
typedef struct ed_tally_stream {
    uint64_t sent;
    uint64_t next; /* one above the newest that came */
    ed_replay seen[ED_TALLY_WINDOWS];
} ed_tally_stream;

typedef struct ed_tally {
    ed_flow flows[ED_GUARANTEE_COUNT];
    ed_tally_stream streams[ED_GUARANTEE_COUNT][ED_TALLY_STREAMS];
} ed_tally;

/**
 * Fills in the next message of a guarantee, of at least ED_STAMP_SIZE bytes. It counts only with
 * ed_tally_sent. @return the stream to send it on.
 */
uint8_t ed_tally_stamp(const ed_tally *tally, eddy_guarantee guarantee, uint8_t *data, size_t size,
                       uint64_t now_ns);

/** The message stamped last was accepted. */
void ed_tally_sent(ed_tally *tally, eddy_guarantee guarantee);

/** A message came back. What it says is checked, not believed. */
void ed_tally_answered(ed_tally *tally, const eddy_event_message *message, uint64_t now_ns);

/** Whether what was promised has not come yet: something to wait for. */
bool ed_flow_is_owed(const ed_flow *flow, eddy_guarantee guarantee);

/** Whether all that was promised holds, now that nothing more will come. */
bool ed_flow_is_kept(const ed_flow *flow, eddy_guarantee guarantee);

/** Adds the counts of another client. */
void ed_flow_merge(ed_flow *into, const ed_flow *from);

#endif
