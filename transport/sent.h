/**
 * What was sent and what became of it: a ring of packets indexed by packet number, and beside it a
 * ring of references to the messages that each packet carried. Both double as they fill, allocate
 * nothing once they are large enough, and are given back when a connection rests.
 */
#ifndef ED_SENT_H
#define ED_SENT_H

#include "core/eddy.h"

enum {
    ED_SENT_MIN = 2,           /* packets at first */
    ED_SENT_MAX = 16384,       /* packets at most */
    ED_SENT_REFS_MIN = 2,      /* references at first */
    ED_SENT_REFS_MAX = 131072, /* references at most, over all packets */
    ED_SENT_QUIET = 4,         /* packets in ED_REST_NS of a connection that says nothing */
    /* A number is left out after 2^n to 2^(n+1) others, n between these and one more each time. */
    ED_SENT_GAP_LOG2_MIN = 6,
    ED_SENT_GAP_LOG2_MAX = 10,
};

typedef enum ed_sent_flag {
    ED_SENT_ACK_ELICITING = 1,
    ED_SENT_IN_FLIGHT = 2, /* counts for congestion control; every ack-eliciting packet does */
    ED_SENT_HAS_ACK = 4,   /* carried an ACK */
    ED_SENT_PROBE = 8,
    ED_SENT_SIZE_PROBE = 16, /* larger than what is known to pass: its loss says nothing else */
    ED_SENT_WAS_LOST = 32,   /* was declared lost; if acknowledged since, that was wrong */
    ED_SENT_HAS_CREDIT = 64,
    ED_SENT_PROMPT = 128, /* ack-eliciting, and by more than unreliable messages: ack.h */
} ed_sent_flag;

typedef enum ed_sent_state {
    ED_SENT_NONE = 0,
    ED_SENT_OUTSTANDING = 1,
    ED_SENT_ACKED = 2,
    ED_SENT_LOST = 3,
    ED_SENT_SKIPPED = 4, /* the number was left out on purpose: nobody can have received it */
} ed_sent_state;

typedef struct ed_sent {
    uint64_t number;
    uint64_t sent_ns;
    uint32_t ack_low;   /* ED_SENT_HAS_ACK: the low bits of the largest number in it */
    uint32_t ref_first; /* where its references are; the log's own */
    uint16_t size;      /* bytes of the whole packet */
    uint16_t acked_run; /* acked: this number and so many less one below it are; loss.c's own */
    uint16_t ref_count;
    uint8_t flags; /* ed_sent_flag bits */
    uint8_t state; /* ed_sent_state */
} ed_sent;

/**
 * The largest number of the ACK that a packet carried. Nobody acknowledges what has not come, so it
 * is at most the newest that came; and less than 2^32 below that, or taken for one that is.
 */
static inline uint64_t ed_sent_ack_largest(const ed_sent *packet, uint64_t newest)
{
    return newest - (uint32_t)((uint32_t)newest - packet->ack_low);
}

/** What a packet carried: whole messages of a lane, one after the other, or a piece of one. */
typedef struct ed_sent_ref {
    uint32_t slot;  /* of the piece */
    uint32_t stamp; /* the end of the first's sequence, or the piece's generation */
    uint8_t count;  /* of the messages; 0: it is a piece */
    uint8_t guarantee;
    uint8_t stream;
} ed_sent_ref;

/** Lets a run of messages stand for those of `ref` as well. @return false: they do not follow. */
static inline bool ed_sent_ref_join(ed_sent_ref *run, const ed_sent_ref *ref)
{
    if (run->count == 0 || ref->count == 0 || ref->stamp - run->stamp != run->count ||
        ref->guarantee != run->guarantee || ref->stream != run->stream ||
        ref->count > UINT8_MAX - run->count)
        return false;
    run->count = (uint8_t)(run->count + ref->count);
    return true;
}

typedef struct ed_sent_log {
    const eddy_allocator *allocator;
    ed_sent *packets;
    ed_sent_ref *refs;
    uint64_t first;    /* the oldest number held; equal to `next` when there is none */
    uint64_t next;     /* the number that the next packet takes */
    uint32_t capacity; /* of packets: 0 or a power of two */
    uint32_t ref_capacity;
    uint32_t ref_first; /* references are counted on and on and wrap; these bound those held */
    uint32_t ref_next;
    uint64_t rest_from; /* the number that was next when it was last asked to rest */
    uint64_t gap_at;    /* the number to leave out, or the first above it; 0: not decided yet */
    uint32_t gap_log2;  /* how far that is above the one before: at least 2 to the power of this */
    uint32_t gap_count; /* numbers left out so far */
} ed_sent_log;

/** An empty log; memory is taken with the first packet. `allocator` must outlive it. */
void ed_sent_log_init(ed_sent_log *log, const eddy_allocator *allocator);

/** Gives the memory back; the log is empty and may be used again. */
void ed_sent_log_free(ed_sent_log *log);

/** Whether it has grown beyond what a connection needs that says nothing. */
bool ed_sent_log_is_large(const ed_sent_log *log);

/**
 * Gives all memory back if nothing is held, and not more packets were added since this was last
 * asked than ED_SENT_QUIET. Numbers go on. @return whether it did.
 */
bool ed_sent_log_rest(ed_sent_log *log);

/**
 * Makes room for one more packet with `ref_count` references, so that the next ed_sent_push of at
 * most so many cannot fail: for asking before a packet is sealed.
 * @return EDDY_OK; EDDY_EAGAIN if the log is at its limit; EDDY_ENOMEM. Nothing changed then.
 */
EDDY_MUST_CHECK eddy_status ed_sent_reserve(ed_sent_log *log, size_t ref_count);

/** Whether ed_sent_reserve has nothing to do: there is room already. */
static inline bool ed_sent_has_room(const ed_sent_log *log, size_t ref_count)
{
    return log->next - log->first < log->capacity &&
           (uint32_t)(log->ref_next - log->ref_first) + ref_count <= log->ref_capacity;
}

/**
 * Records the packet that takes the number `log->next`, as outstanding.
 * @param packet sent_ns, size, flags and ack_low count; the rest is filled in.
 * @param refs `ref_count` of them, at most UINT16_MAX; copied. NULL if there are none.
 * @return as ed_sent_reserve.
 */
EDDY_MUST_CHECK eddy_status ed_sent_push(ed_sent_log *log, const ed_sent *packet,
                                         const ed_sent_ref *refs, size_t ref_count);

/** Leaves the number `log->next` out, and remembers that. @return as ed_sent_reserve. */
EDDY_MUST_CHECK eddy_status ed_sent_skip(ed_sent_log *log, uint64_t now_ns);

/**
 * Decides which number is left out next. Who acknowledges what it has not received, so that more is
 * sent than the path can carry, will name it.
 * @param draw nobody else knows it.
 */
void ed_sent_plan_gap(ed_sent_log *log, uint64_t draw);

/** @return the packet of this number, or NULL if it is not held. Valid until the next push. */
ed_sent *ed_sent_at(const ed_sent_log *log, uint64_t number);

/** The `i`th reference of a packet that is held. */
ed_sent_ref ed_sent_refs(const ed_sent_log *log, const ed_sent *packet, size_t i);

/** The oldest packet held, or NULL. */
ed_sent *ed_sent_first(const ed_sent_log *log);

/** How many numbers are held. */
uint32_t ed_sent_count(const ed_sent_log *log);

/**
 * Drops from the old end what is done with: acknowledged packets; and lost ones, skipped numbers
 * and packets that were never in flight once their number is below `below` or they were sent before
 * `before_ns`. Stops at the first packet that stays.
 */
void ed_sent_trim(ed_sent_log *log, uint64_t below, uint64_t before_ns);

/** How many references are held. */
uint32_t ed_sent_ref_count(const ed_sent_log *log);

/** Whether numbers, references, states and runs are as promised. Looks at every packet. */
bool ed_sent_log_valid(const ed_sent_log *log);

#endif
