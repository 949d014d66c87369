/** A loss detector under test with its log, and what is done with them. */
#ifndef ED_TEST_LOSS_BED_H
#define ED_TEST_LOSS_BED_H

#include "tests/support/check.h"

#include "core/alloc.h"
#include "transport/loss.h"

#define MS(n) ((n)*ED_NS_PER_MS)

enum {
    SIZE = 100,
    DATA = ED_SENT_ACK_ELICITING | ED_SENT_PROMPT | ED_SENT_IN_FLIGHT,
    PATIENT = ED_SENT_ACK_ELICITING | ED_SENT_IN_FLIGHT,
    PADDED = ED_SENT_IN_FLIGHT,
    ACK_ONLY = ED_SENT_HAS_ACK,
};

/** A detector with its log, on a path of 80 ms: probe timeout 120 + 25 ms, loss delay 90 ms. */
struct bed {
    ed_loss loss;
    ed_sent_log log;
    ed_rtt rtt;
};

static inline void bed_init(struct bed *bed)
{
    ed_loss_init(&bed->loss);
    ed_sent_log_init(&bed->log, ed_alloc_default());
    bed->rtt = (ed_rtt){MS(80), MS(80), MS(10), MS(80), true};
}

static inline void check_valid(const char *name, const struct bed *bed)
{
    CHECK(name, ed_sent_log_valid(&bed->log));
    CHECK(name, ed_loss_valid(&bed->loss, &bed->log));
}

static inline void send(struct bed *bed, uint8_t flags, uint64_t now_ns)
{
    ed_sent packet = {.sent_ns = now_ns, .size = SIZE, .flags = flags};

    CHECK_EQ("push", ed_sent_push(&bed->log, &packet, NULL, 0), EDDY_OK);
    ed_loss_on_sent(&bed->loss, ed_sent_at(&bed->log, bed->log.next - 1));
}

/** What a range acknowledged. */
struct acked {
    eddy_status status;
    unsigned count, spurious_count;
    uint64_t newest, oldest;
};

static inline struct acked ack(struct bed *bed, uint64_t first, uint64_t last, uint64_t now_ns)
{
    struct acked acked = {.newest = 0};
    ed_sent *packet = NULL;
    ed_loss_acks acks = ed_loss_on_ack_range(&bed->loss, &bed->log, first, last, now_ns);

    while (ed_loss_next_acked(&acks, &packet)) {
        CHECK_EQ("state", packet->state, ED_SENT_ACKED);
        CHECK("from the newest down", acked.count == 0 || packet->number < acked.oldest);
        acked.newest = acked.count == 0 ? packet->number : acked.newest;
        acked.oldest = packet->number;
        acked.count++;
        acked.spurious_count += (packet->flags & ED_SENT_WAS_LOST) != 0;
    }
    acked.status = ed_loss_end_acks(&acks);
    return acked;
}

static inline unsigned detect(struct bed *bed, uint64_t now_ns)
{
    unsigned count = 0;
    uint64_t before = 0;
    ed_sent *packet = NULL;
    ed_loss_losses losses = ed_loss_detect(&bed->loss, &bed->log, &bed->rtt, now_ns);

    while (ed_loss_next_lost(&losses, &packet)) {
        CHECK_EQ("state", packet->state, ED_SENT_LOST);
        CHECK("from the oldest up", count == 0 || packet->number > before);
        before = packet->number;
        count++;
    }
    return count;
}

#endif
