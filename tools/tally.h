/**
 * Stamps the messages that a client sends, and judges what comes back: whether each came, once, in
 * order, undamaged, and how late. Zeroed, it has sent nothing.
 */
#ifndef ED_TOOL_TALLY_H
#define ED_TOOL_TALLY_H

#include "core/eddy.h"
#include "tools/latency.h"
#include "transport/replay.h"

/** The two guarantees that are compared. */
typedef enum ed_kind {
    ED_KIND_RELIABLE = 0,
    ED_KIND_UNRELIABLE = 1,
} ed_kind;

enum {
    ED_KIND_COUNT = 2,
    ED_TALLY_STREAMS = 4, /* of each kind, used in turn */
    ED_STAMP_SIZE = 16,   /* the smallest message: sequence 8, time of sending 8, then filling */
};

/** What became of the messages of one kind. A plain value. */
typedef struct ed_flow {
    uint64_t sent;
    uint64_t answered;
    uint64_t twice; /* came again */
    uint64_t wrong; /* reliable and not in order, or no message that we ever sent */
    ed_latency round_trip;
} ed_flow;

/** One stream of one kind. */
typedef struct ed_tally_stream {
    uint64_t sent;
    uint64_t next; /* the sequence that must come next if the kind keeps order */
    ed_replay seen;
} ed_tally_stream;

typedef struct ed_tally {
    ed_flow flows[ED_KIND_COUNT];
    ed_tally_stream streams[ED_KIND_COUNT][ED_TALLY_STREAMS];
} ed_tally;

eddy_guarantee ed_kind_guarantee(ed_kind kind);

/**
 * Fills in the next message of a kind, of at least ED_STAMP_SIZE bytes. It counts only with
 * ed_tally_sent. @return the stream to send it on.
 */
uint8_t ed_tally_stamp(const ed_tally *tally, ed_kind kind, uint8_t *data, size_t size,
                       uint64_t now_ns);

/** The message stamped last was accepted. */
void ed_tally_sent(ed_tally *tally, ed_kind kind);

/** A message came back. What it says is checked, not believed. */
void ed_tally_answered(ed_tally *tally, const eddy_event_message *message, uint64_t now_ns);

/** Whether every message came back exactly once, undamaged, and in order if it had to be. */
bool ed_flow_is_exact(const ed_flow *flow);

/** Adds the counts of another client. */
void ed_flow_merge(ed_flow *into, const ed_flow *from);

#endif
