/** What became of what was sent: acknowledged, lost, expired, overtaken, told. */
#include "tests/unit/outbox_bed.h"

#include "tests/support/splitmix.h"

/* ---------------------------------------------------------------------------- lost and found -- */

static void lost_ones_go_first_by_age(void **state)
{
    static const size_t order[] = {2, 4, 0, 3};
    static const uint32_t want[] = {0, 2, 3, 4, 100};
    struct sent sent[6];

    (void)state;
    for (uint32_t n = 0; n < ED_COUNT(sent); n++)
        push(RO, (uint8_t)n, n, 4);
    for (size_t n = 0; n < ED_COUNT(sent); n++)
        sent[n] = send_next();
    push(RO, 0, 100, 4);
    for (size_t i = 0; i < ED_COUNT(order); i++)
        lost(&sent[order[i]]);
    for (size_t i = 0; i < ED_COUNT(want); i++)
        CHECK_EQ("before what is fresh", send_next().mark, want[i]);
    CHECK("no more", !has_next());
    CHECK_EQ("unacknowledged", bed.outbox.reliable_count, 7);
}

/** Parts are lost one by one, and sent again with what stood in them. */
static void only_the_lost_part_is_sent_again(void **state)
{
    struct sent sent[5];

    (void)state;
    push(RO, 3, 1, 5000);
    for (size_t n = 0; n < ED_COUNT(sent); n++)
        sent[n] = send_next();
    lost(&sent[3]);
    lost(&sent[1]);
    for (size_t n = 1; n <= 3; n += 2) {
        struct sent again = send_next();
        CHECK("again", again.is_again);
        CHECK_EQ("its place", again.message.fragment_index, sent[n].message.fragment_index);
        CHECK_EQ("its size", again.message.data.size, sent[n].message.data.size);
        CHECK_EQ("its message", again.message.sequence, sent[n].message.sequence);
        sent[n] = again;
    }
    CHECK("no more", !has_next());
    for (size_t n = 0; n < ED_COUNT(sent); n++) {
        CHECK_EQ("not before the last", bed.outbox.reliable_count, 1);
        acked(&sent[n]);
    }
    CHECK_EQ("all of it", bed.outbox.reliable_count, 0);
}

/** The oldest by its first packet, lost or not, however often it was sent since. */
static void the_oldest_unacknowledged(void **state)
{
    struct sent sent[4];
    uint32_t sequences[] = {0, 0, 1, 1};

    (void)state;
    CHECK("none", ed_outbox_oldest(&bed.outbox) == NULL);
    push(U, 0, 99, 4);
    push(RO, 0, 0, 4);
    CHECK("none was sent", ed_outbox_oldest(&bed.outbox) == NULL);
    (void)send_next();
    CHECK("an unreliable one is no matter", ed_outbox_oldest(&bed.outbox) == NULL);
    sent[0] = send_next();
    for (uint32_t n = 1; n < 4; n++) {
        push(RU, n == 3 ? 7 : 200, n, 4);
        sent[n] = send_next();
    }
    CHECK_EQ("the first", ed_outbox_oldest(&bed.outbox)->lane->guarantee, RO);
    lost(&sent[0]);
    CHECK_EQ("lost or not", ed_outbox_oldest(&bed.outbox)->lane->guarantee, RO);
    (void)send_next();
    CHECK_EQ("sent again or not", ed_outbox_oldest(&bed.outbox)->lane->guarantee, RO);
    acked(&sent[0]);
    const ed_out *oldest = ed_outbox_oldest(&bed.outbox);
    CHECK_EQ("in the order of sending", oldest->lane->stream, 200);
    CHECK_EQ("the next of its lane", ed_out_next_oldest(oldest)->sequence, sequences[2]);
    CHECK("the last of its lane", ed_out_next_oldest(ed_out_next_oldest(oldest)) == NULL);
    acked(&sent[1]);
    acked(&sent[2]);
    CHECK_EQ("at last", ed_outbox_oldest(&bed.outbox)->lane->stream, 7);
    acked(&sent[3]);
    CHECK("none", ed_outbox_oldest(&bed.outbox) == NULL);
}

/** What an old packet's fate means once a newer one carries the message too. */
static void the_newest_packet_decides(void **state)
{
    ed_outgoing next;
    ed_sent_ref ref;

    (void)state;
    push(RO, 0, 1, 4);
    struct sent first = send_next();
    ed_part *part = ed_out_first_part(ed_outbox_oldest(&bed.outbox));
    CHECK("a probe repeats it", ed_outbox_again(&bed.outbox, part, BED_ROOM, &next));
    CHECK("not in too little room", !ed_outbox_again(&bed.outbox, next.part, 7, &next));
    CHECK("by the same name",
          ed_outbox_on_sent(&bed.outbox, &next, bed.packet, &ref) && ref.stamp == first.ref.stamp);
    lost(&first);
    CHECK("the first copy: nothing to send", !has_next());
    struct sent second = first;
    second.packet = bed.packet;
    lost(&second);
    lost(&second);
    CHECK_EQ("the second: again", send_next().mark, 1);
    CHECK("once", !has_next());
}

static void lost_then_acked(void **state)
{
    (void)state;
    push(RO, 0, 1, 4);
    push(RO, 0, 2, 4);
    struct sent first = send_next(), second = send_next();
    lost(&first);
    acked(&first);
    CHECK("it was only late: not sent again", !has_next());
    acked(&first);
    CHECK_EQ("acked once", bed.outbox.reliable_count, 1);
    acked(&second);
    CHECK_EQ("all acknowledged", bed.outbox.reliable_count, 0);
    CHECK_EQ("all blocks back", bed_charged(), 0);
}

/** A record is used again, and old references do not reach what stands there now. */
static void references_go_stale(void **state)
{
    (void)state;
    push(RO, 0, 1, 4);
    struct sent old = send_next();
    acked(&old);
    push(RO, 0, 2, 4);
    struct sent fresh = send_next();
    CHECK("another name", fresh.ref.stamp != old.ref.stamp);
    acked(&old);
    old.packet = fresh.packet;
    lost(&old);
    CHECK("not sent again", !has_next());
    CHECK_EQ("still in flight", bed.outbox.reliable_count, 1);
}

/* --------------------------------------------------------------------------------- giving up -- */

static void push_expiring(uint8_t guarantee, uint8_t stream, uint64_t expires_ns, size_t size)
{
    push_with((ed_message){.guarantee = guarantee, .stream = stream, .expires_ns = expires_ns}, 1,
              size);
}

static void deadlines_are_kept(void **state)
{
    (void)state;
    CHECK_EQ("none", ed_outbox_expiry_ns(&bed.outbox), ED_NEVER_NS);
    push(RO, 0, 1, 4);
    CHECK_EQ("none", ed_outbox_expiry_ns(&bed.outbox), ED_NEVER_NS);
    push_expiring(RO, 0, 200, 4);
    push_expiring(U, 0, 100, 4);
    CHECK_EQ("the nearest", ed_outbox_expiry_ns(&bed.outbox), 100);
    ed_outbox_expire(&bed.outbox, 99);
    CHECK_EQ("not yet", bed.stats.messages_expired, 0);
    ed_outbox_expire(&bed.outbox, 100);
    CHECK_EQ("the unreliable one", bed.stats.messages_expired, 1);
    CHECK_EQ("the next", ed_outbox_expiry_ns(&bed.outbox), 200);
    ed_outbox_expire(&bed.outbox, 1000);
    CHECK_EQ("the other", bed.stats.messages_expired, 2);
    CHECK_EQ("none", ed_outbox_expiry_ns(&bed.outbox), ED_NEVER_NS);
    (void)send_next();
    CHECK("one without is left", !has_next());
    CHECK("it took no sequence", ed_outbox_oldest(&bed.outbox)->sequence == 0);
}

/** Messages with and without a deadline stand side by side, however many come. */
static void many_without_a_deadline(void **state)
{
    struct sent sent;

    (void)state;
    push_expiring(RO, 0, 100, 4);
    for (uint32_t n = 0; n < 500; n++) {
        push(RO, 0, n, 4);
        if (n % 100 == 50)
            push_expiring(RO, 1, 50, 4);
    }
    while (try_send(&sent, BED_ROOM, bed.packet++))
        acked(&sent);
    CHECK_EQ("all", bed.outbox.reliable_count, 0);
    CHECK_EQ("no deadline is left", ed_outbox_expiry_ns(&bed.outbox), ED_NEVER_NS);
}

/** What may have been heard of is skipped, with what was charged for it. */
static void what_was_begun_is_skipped(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        uint8_t stream;
        size_t size;
        uint64_t start;
        unsigned parts; /* sent before it expires */
        uint64_t charge;
    } rows[] = {
        {"a small one", RO, 0, 100, 0, 1, 164},
        {"an empty one", RU, 255, 0, 0, 1, 64},
        {"32 bits are told", RS, 1, 10, 0x123456789, 1, 74},
        {"one part of a large one", RO, 1, 50000, 3, 1, 128 + 1152},
        {"three parts", RO, 1, 50000, 0, 3, 128 + (3 * 1152)},
        {"all", RO, 1, 5000, 0, 5, 128 + 5000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        push_expiring(rows[i].guarantee, rows[i].stream, 100, rows[i].size);
        start_lane_at(rows[i].guarantee, rows[i].stream, rows[i].start);
        for (unsigned n = 0; n < rows[i].parts; n++)
            (void)send_next();
        CHECK_EQ(rows[i].name, bed.outbox.credit_used, rows[i].charge);
        ed_outbox_expire(&bed.outbox, 100);
        CHECK_EQ(rows[i].name, bed_charged(), 0);
        struct sent skip = send_next();
        CHECK(rows[i].name, skip.is_skip && !has_next());
        CHECK_EQ(rows[i].name, skip.skip.guarantee, rows[i].guarantee);
        CHECK_EQ(rows[i].name, skip.skip.stream, rows[i].stream);
        CHECK_EQ(rows[i].name, skip.skip.sequence, (uint32_t)rows[i].start);
        CHECK_EQ(rows[i].name, skip.skip.charge, rows[i].charge);
        CHECK(rows[i].name, !ed_outbox_is_flushed(&bed.outbox));
        lost(&skip);
        skip = send_next();
        CHECK(rows[i].name, skip.is_skip && skip.skip.charge == rows[i].charge);
        acked(&skip);
        CHECK(rows[i].name, ed_outbox_is_flushed(&bed.outbox));
        CHECK_EQ(rows[i].name, bed.stats.messages_expired, 1);
        bed_restart();
    }
}

/** News of what was sent before says nothing about the SKIP. */
static void old_news_of_what_is_skipped(void **state)
{
    (void)state;
    push_expiring(RO, 0, 100, 3000);
    struct sent parts[3] = {send_next(), send_next(), send_next()};
    lost(&parts[1]);
    ed_outbox_expire(&bed.outbox, 100);
    for (size_t n = 0; n < 3; n++)
        acked(&parts[n]);
    CHECK_EQ("still to be told", bed.outbox.skip_count, 1);
    struct sent skip = send_next();
    CHECK("it is", skip.is_skip);
    lost(&parts[2]);
    CHECK("nothing but that", !has_next());
    acked(&skip);
    CHECK_EQ("done", bed.outbox.skip_count, 0);
}

/** A large message that is given up half sent makes way for the next. */
static void a_half_sent_one_makes_way(void **state)
{
    (void)state;
    push_expiring(RO, 0, 100, 50000);
    push(RO, 1, 2, 50000);
    for (unsigned n = 0; n < 5; n++)
        CHECK_EQ("the first alone", send_next().message.stream, 0);
    ed_outbox_expire(&bed.outbox, 100);
    CHECK("skipped", send_next().is_skip);
    CHECK_EQ("the second's turn", send_next().message.stream, 1);
    CHECK_EQ("one", bed.outbox.started_count, 1);
}

/** Without memory to say so, a message is given up a little later. */
static void giving_up_waits_for_memory(void **state)
{
    struct sent sent[20];
    unsigned expired = 0;

    (void)state;
    for (size_t n = 0; n < ED_COUNT(sent); n++)
        push_expiring(RO, (uint8_t)n, 100, 5000);
    for (size_t n = 0; n < ED_COUNT(sent); n++) {
        sent[n] = send_next();
        acked(&sent[n]); // the first part: no record stands for the rest
        for (unsigned part = 1; part < 4; part++) {
            struct sent other = send_next();
            acked(&other);
        }
        (void)send_next();
    }
    // All but the last parts are acknowledged; those are in flight, and have a record each.
    bed.counting.fail_after = 0;
    ed_outbox_expire(&bed.outbox, 100);
    bed.counting.fail_after = UINT64_MAX;
    for (uint64_t at_ns = ed_outbox_expiry_ns(&bed.outbox); at_ns != ED_NEVER_NS;
         at_ns = ed_outbox_expiry_ns(&bed.outbox)) {
        CHECK("later", at_ns > 100);
        ed_outbox_expire(&bed.outbox, at_ns);
        expired++;
    }
    CHECK_EQ("all", bed.stats.messages_expired, ED_COUNT(sent));
    CHECK_EQ("all are to be told", bed.outbox.skip_count, ED_COUNT(sent));
    (void)expired;
}

/** The same where nothing of a message is in flight: then a record is wanted. */
static void a_record_is_wanted(void **state)
{
    (void)state;
    push_expiring(RO, 0, 100, 50000);
    struct sent part = send_next();
    acked(&part);
    while (!ed_list_empty(&bed.outbox.pieces.unused))
        (void)ed_records_take(&bed.outbox.pieces);
    bed.counting.fail_after = 0;
    ed_outbox_expire(&bed.outbox, 100);
    bed.counting.fail_after = UINT64_MAX;
    CHECK_EQ("not yet", bed.stats.messages_expired, 0);
    uint64_t at_ns = ed_outbox_expiry_ns(&bed.outbox);
    CHECK("a little later", at_ns > 100 && at_ns != ED_NEVER_NS);
    ed_outbox_expire(&bed.outbox, at_ns);
    CHECK_EQ("now", bed.stats.messages_expired, 1);
    CHECK("told", send_next().is_skip);
}

/** Of a sequenced lane what is lost is not sent again, once there is something newer. */
static void only_the_newest_is_sent_again(void **state)
{
    struct sent sent[3];

    (void)state;
    for (uint32_t n = 0; n < 3; n++) {
        push(RS, 0, n, 4);
        sent[n] = send_next();
    }
    lost(&sent[0]);
    CHECK("skipped instead", send_next().is_skip);
    lost(&sent[2]);
    struct sent again = send_next();
    CHECK("the newest is", !again.is_skip && again.is_again && again.mark == 2);
    acked(&sent[1]);
    lost(&again);
    push(RS, 0, 3, 4);
    CHECK_EQ("what waits to be sent again goes first", send_next().mark, 2);
    CHECK_EQ("counted", bed.stats.messages_superseded, 1);
    CHECK_EQ("nothing newer has left: not overtaken", bed.outbox.skip_count, 1);
}

/* ---------------------------------------------------------------------------------- receipts -- */

/** Takes all receipts. @return how many; the last in `*event`. */
static size_t take_receipts(eddy_event_receipt *event)
{
    size_t count = 0;

    for (ed_block *block = ed_outbox_next_receipt(&bed.outbox); block != NULL;
         block = ed_outbox_next_receipt(&bed.outbox)) {
        memcpy(event, block->data, sizeof(*event));
        ed_pool_give(block);
        count++;
    }
    return count;
}

/* What is done to a message. */
enum deed { NOTHING, SEND, ACK, LOSE, EXPIRE, END, SHED, DROP_LARGER, SEND_NEWER };

static void act(enum deed deed, uint8_t guarantee, struct sent *sent)
{
    switch (deed) {
    case SEND:
    case SEND_NEWER:
        if (deed == SEND_NEWER)
            push(guarantee, 0, 2, 4);
        for (struct sent other; try_send(&other, BED_ROOM, bed.packet++);)
            *sent = deed == SEND ? other : *sent;
        return;
    case ACK:
        acked(sent);
        return;
    case LOSE:
        lost(sent);
        return;
    case EXPIRE:
        ed_outbox_expire(&bed.outbox, 100);
        return;
    case END:
        ed_outbox_end(&bed.outbox);
        return;
    case SHED:
        ed_outbox_drop_hasty(&bed.outbox);
        return;
    case DROP_LARGER:
        (void)ed_outbox_drop_larger(&bed.outbox, 10);
        return;
    case NOTHING:
        return;
    }
}

static void receipts_say_what_became_of_it(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        enum deed deeds[4];
        int want; /* 0: nothing yet */
    } rows[] = {
        {"accepted", RO, {NOTHING}, 0},
        {"sent", RO, {SEND}, 0},
        {"acknowledged", RO, {SEND, ACK}, EDDY_OUTCOME_ACKED},
        {"lost: it is sent again", RO, {SEND, LOSE}, 0},
        {"and arrives", RO, {SEND, LOSE, SEND, ACK}, EDDY_OUTCOME_ACKED},
        {"its time is over, unsent", RO, {EXPIRE}, EDDY_OUTCOME_LOST},
        {"its time is over, on its way", RO, {SEND, EXPIRE}, EDDY_OUTCOME_EXPIRED},
        {"the end, unsent", RU, {END}, EDDY_OUTCOME_LOST},
        {"the end, on its way", RU, {SEND, END}, EDDY_OUTCOME_EXPIRED},
        {"too large for the peer", RO, {DROP_LARGER}, EDDY_OUTCOME_TOO_BIG},
        {"overtaken", RS, {SEND, SEND_NEWER, LOSE}, EDDY_OUTCOME_LOST},
        {"the newest", RS, {SEND, LOSE}, 0},
        {"unreliable, sent", U, {SEND}, 0},
        {"unreliable, acknowledged", U, {SEND, ACK}, EDDY_OUTCOME_ACKED},
        {"unreliable, lost", US, {SEND, LOSE}, EDDY_OUTCOME_LOST},
        {"unreliable, its time is over, unsent", U, {EXPIRE}, EDDY_OUTCOME_LOST},
        {"unreliable, its time is over, on its way", U, {SEND, EXPIRE}, EDDY_OUTCOME_EXPIRED},
        {"unreliable, dropped", US, {SHED}, EDDY_OUTCOME_LOST},
        {"unreliable, too large for the peer", U, {DROP_LARGER}, EDDY_OUTCOME_TOO_BIG},
        {"unreliable, the end", U, {END}, EDDY_OUTCOME_LOST},
        {"acknowledged, then the end", RO, {SEND, ACK, END}, EDDY_OUTCOME_ACKED},
        {"expired, then the end", RO, {SEND, EXPIRE, END}, EDDY_OUTCOME_EXPIRED},
        {"expired, then the SKIP arrives", RO, {SEND, EXPIRE, SEND, ACK}, EDDY_OUTCOME_EXPIRED},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ED_COUNT(rows); i++) {
        bool is_quiet = i % 2 == 1;
        const char *name = rows[i / 2].name;
        uint8_t guarantee = rows[i / 2].guarantee;
        int want = is_quiet ? 0 : rows[i / 2].want;
        struct sent sent = {0};
        eddy_event_receipt event = {0};
        ed_block *receipt = make_receipt(77 + i);
        ed_receipt_of(receipt)->is_quiet = is_quiet;
        push_with((ed_message){.guarantee = guarantee,
                               .receipt = receipt,
                               .expires_ns = 100,
                               .now_or_never = guarantee <= US},
                  1, 100);
        for (size_t n = 0; n < ED_COUNT(rows[i / 2].deeds); n++)
            act(rows[i / 2].deeds[n], guarantee, &sent);
        CHECK_EQ(name, take_receipts(&event), want != 0);
        CHECK_EQ(name, event.outcome, want);
        CHECK_EQ(name, event.receipt, want != 0 ? 77 + i : 0);
        const ed_lane_out *lane = ed_lanes_find(&bed.outbox.lanes, guarantee, 0);
        CHECK_EQ(name, lane->newest_receipt, rows[i / 2].want == EDDY_OUTCOME_ACKED ? 77 + i : 0);
        bed_restart();
    }
}

/** What is acknowledged in any order: the highest number counts. */
static void the_newest_receipt_is_the_highest(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {1, 0, 2}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(orders); i++) {
        struct sent sent[3];
        uint64_t highest = 0;
        for (unsigned n = 0; n < 3; n++) {
            push_with((ed_message){.guarantee = U, .receipt = make_receipt(n + 1)}, n, 100);
            sent[n] = send_next();
        }
        for (unsigned n = 0; n < 3; n++) {
            eddy_event_receipt event;
            acked(&sent[orders[i][n]]);
            highest = ed_max_u64(highest, orders[i][n] + 1);
            CHECK_EQ("newest",
                     ((const ed_lane_out *)ed_lanes_find(&bed.outbox.lanes, U, 0))->newest_receipt,
                     highest);
            CHECK_EQ("told", take_receipts(&event), 1);
        }
        bed_restart();
    }
}

/** An unreliable message in parts arrives if all of them do; the first loss is its end. */
static void receipts_of_unreliable_parts(void **state)
{
    eddy_event_receipt event = {0};

    (void)state;
    for (unsigned lose = 0; lose < 4; lose++) {
        struct sent sent[3];
        push_with((ed_message){.guarantee = U, .receipt = make_receipt(5)}, 1, 3000);
        for (unsigned n = 0; n < 3; n++)
            sent[n] = send_next();
        for (unsigned n = 0; n < 3; n++) {
            CHECK_EQ("not before", take_receipts(&event), n > lose && n - lose == 1);
            n == lose ? lost(&sent[n]) : acked(&sent[n]);
        }
        CHECK_EQ("by then", take_receipts(&event), lose >= 2);
        CHECK_EQ("outcome", event.outcome, lose < 3 ? EDDY_OUTCOME_LOST : EDDY_OUTCOME_ACKED);
        CHECK_EQ("nothing is left", bed.outbox.queued_size, 0);
    }
}

/** A part may be lost before the last has left; then the last does not leave. */
static void lost_before_all_has_left(void **state)
{
    eddy_event_receipt event = {0};

    (void)state;
    push_with((ed_message){.guarantee = U, .receipt = make_receipt(5)}, 1, 3000);
    struct sent first = send_next();
    lost(&first);
    CHECK_EQ("told", take_receipts(&event), 1);
    CHECK_EQ("lost", event.outcome, EDDY_OUTCOME_LOST);
    CHECK("nothing more of it", !has_next());
    CHECK_EQ("nothing waits", bed.outbox.fresh_count, 0);
}

/** Receipts come in the order in which the news did. */
static void receipts_stand_in_line(void **state)
{
    struct sent sent[3];
    eddy_event_receipt event = {0};

    (void)state;
    for (uint64_t n = 0; n < 3; n++) {
        push_with((ed_message){.guarantee = RU, .receipt = make_receipt(n + 1)}, 1, 4);
        sent[n] = send_next();
    }
    acked(&sent[2]);
    acked(&sent[0]);
    ed_block *block = ed_outbox_next_receipt(&bed.outbox);
    memcpy(&event, block->data, sizeof(event));
    ed_pool_give(block);
    CHECK_EQ("the first", event.receipt, 3);
    acked(&sent[1]);
    CHECK_EQ("both", take_receipts(&event), 2);
    CHECK_EQ("the last", event.receipt, 2);
}

/* --------------------------------------------------------------------------------- too large -- */

static void what_is_too_large_for_the_peer_is_dropped(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        size_t size;
        bool stays;
    } rows[] = {
        {"as large as it may be", RO, 5000, true},
        {"one more", RO, 5001, false},
        {"unordered", RU, 50000, false},
        {"sequenced", RS, 5001, false},
        {"small", RU, 10, true},
        {"unreliable, as large as it may be", U, 5000, true},
        {"unreliable, one more", U, 5001, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        push(rows[i].guarantee, (uint8_t)i, (uint32_t)i, rows[i].size);
    CHECK_EQ("those", ed_outbox_drop_larger(&bed.outbox, 5000), 3);
    CHECK_EQ("the unreliable one", bed.outbox.shed_count, 1);
    CHECK_EQ("no SKIP is owed", bed.outbox.skip_count, 0);
    bool left[ED_COUNT(rows)] = {false};
    for (struct sent sent; try_send(&sent, BED_ROOM, bed.packet++);)
        left[sent.message.stream] = true;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, left[i], rows[i].stays);
}

/* --------------------------------------------------------------------------------- long life -- */

/** Any order of sending, loss, late and repeated news: every message ends exactly once. */
static void a_long_life(void **state)
{
    enum { KEPT = 256, ROUNDS = 200000 };
    static struct sent log[KEPT];
    uint64_t seed = 6;
    uint32_t pushed = 0;

    (void)state;
    memset(log, 0, sizeof(log));
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct sent *news = &log[splitmix_below(&seed, KEPT)];
        uint32_t what = splitmix_below(&seed, 4);
        if (what == 0 && pushed - bed.outbox.reliable_count < 1000000 &&
            bed.outbox.reliable_count < 1000)
            push(RU, (uint8_t)splitmix_below(&seed, 3), pushed++,
                 splitmix_below(&seed, 20) == 0 ? 3000 : 4);
        if (what == 2 && news->has_ref)
            acked(news);
        // What is about to be forgotten here is declared lost before, so that it is sent again.
        if (what % 2 == 1 && news->has_ref)
            lost(news);
        if (what == 1 && has_next())
            *news = send_next();
    }
    CHECK("it went on", pushed - bed.outbox.reliable_count > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lost_ones_go_first_by_age, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(only_the_lost_part_is_sent_again, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(the_oldest_unacknowledged, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(the_newest_packet_decides, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(lost_then_acked, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(references_go_stale, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(deadlines_are_kept, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(many_without_a_deadline, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(what_was_begun_is_skipped, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(old_news_of_what_is_skipped, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_half_sent_one_makes_way, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(giving_up_waits_for_memory, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_record_is_wanted, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(only_the_newest_is_sent_again, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(receipts_say_what_became_of_it, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(the_newest_receipt_is_the_highest, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(receipts_of_unreliable_parts, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(lost_before_all_has_left, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(receipts_stand_in_line, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(what_is_too_large_for_the_peer_is_dropped, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(a_long_life, bed_setup, bed_teardown),
    };
    return cmocka_run_group_tests_name("stream_repair", tests, NULL, NULL);
}
