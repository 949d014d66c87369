#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/splitmix.h"
#include "transport/stream_send.h"

enum { R = ED_WIRE_RELIABLE_ORDERED, U = ED_WIRE_UNRELIABLE };

static ed_counting_alloc counting;
static ed_pool *pool;
static ed_outbox outbox;
static uint64_t packet; /* the number of the next */

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    pool = ed_pool_create(&counting.allocator, 64 << 20);
    ed_outbox_init(&outbox, &counting.allocator);
    packet = 0;
    return pool != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ed_outbox_free(&outbox);
    size_t charged = ed_pool_charged(pool);
    ed_pool_destroy(pool);
    return charged == 0 && counting.live_count == 0 ? 0 : -1;
}

/** Pushes a message whose first four bytes, if any, are `mark`. @return how many it shed. */
static uint64_t push(uint8_t guarantee, uint8_t stream, uint32_t mark, size_t size)
{
    ed_block *block = ed_pool_take(pool, size);
    uint64_t shed = 99;

    CHECK("block", block != NULL);
    memset(block->data, 0, size);
    memcpy(block->data, &mark, ed_min_size(size, sizeof(mark)));
    CHECK_EQ("push", ed_outbox_push(&outbox, guarantee, stream, block, &shed), EDDY_OK);
    return shed;
}

static uint32_t mark_of(const ed_out *out)
{
    uint32_t mark = 0;
    memcpy(&mark, out->block->data, ed_min_size(out->block->size, sizeof(mark)));
    return mark;
}

struct sent {
    uint32_t mark;
    ed_sent_ref ref;
    uint64_t packet;
};

/** Sends the next message in a packet of its own. */
static struct sent send_next(void)
{
    ed_out *out = ed_outbox_next(&outbox);

    CHECK("something to send", out != NULL);
    CHECK("the same until it is sent", ed_outbox_next(&outbox) == out);
    struct sent sent = {.mark = mark_of(out),
                        .ref = {.slot = out->slot, .generation = out->generation},
                        .packet = packet};
    ed_outbox_on_sent(&outbox, out, packet++);
    return sent;
}

static void check_order(const char *name, const uint32_t *marks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(name, send_next().mark, marks[i]);
    CHECK("nothing more", ed_outbox_next(&outbox) == NULL);
}

/* ------------------------------------------------------------------------------------ order -- */

static void lanes_take_turns(void **state)
{
    static const struct {
        const char *name;
        struct {
            uint8_t guarantee;
            uint8_t stream;
            uint32_t mark;
        } push[6];
        uint32_t want[6];
        size_t count;
    } rows[] = {
        {"one lane keeps its order", {{R, 0, 1}, {R, 0, 2}, {R, 0, 3}}, {1, 2, 3}, 3},
        {"two streams alternate",
         {{R, 0, 1}, {R, 0, 2}, {R, 0, 3}, {R, 5, 4}, {R, 5, 5}, {R, 5, 6}},
         {1, 4, 2, 5, 3, 6},
         6},
        {"two guarantees of one stream alternate",
         {{R, 9, 1}, {R, 9, 2}, {U, 9, 3}, {U, 9, 4}},
         {1, 3, 2, 4},
         4},
        {"a short lane is not waited for",
         {{R, 0, 1}, {R, 0, 2}, {R, 0, 3}, {R, 255, 4}},
         {1, 4, 2, 3},
         4},
        {"three lanes",
         {{U, 0, 1}, {R, 1, 2}, {R, 2, 3}, {U, 0, 4}, {R, 1, 5}, {R, 2, 6}},
         {1, 2, 3, 4, 5, 6},
         6},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (size_t n = 0; n < rows[i].count; n++)
            push(rows[i].push[n].guarantee, rows[i].push[n].stream, rows[i].push[n].mark, 4);
        check_order(rows[i].name, rows[i].want, rows[i].count);
        teardown(state);
        setup(state);
    }
}

static void frames_say_where_it_belongs(void **state)
{
    (void)state;
    push(R, 7, 1, 10);
    push(U, 3, 2, 0);
    ed_message_frame reliable = ed_out_frame(ed_outbox_next(&outbox));
    CHECK_EQ("guarantee", reliable.guarantee, R);
    CHECK_EQ("stream", reliable.stream, 7);
    CHECK_EQ("sequence", reliable.sequence_bits, 16);
    CHECK_EQ("size", reliable.data.size, 10);
    send_next();
    ed_message_frame unreliable = ed_out_frame(ed_outbox_next(&outbox));
    CHECK_EQ("guarantee", unreliable.guarantee, U);
    CHECK_EQ("stream", unreliable.stream, 3);
    CHECK_EQ("no sequence", unreliable.sequence_bits, 0);
    CHECK_EQ("empty", unreliable.data.size, 0);
}

/** Each lane counts for itself; a message sent again keeps its number; 16 bits are told. */
static void sequences(void **state)
{
    struct sent kept = {0};

    (void)state;
    for (uint32_t n = 0; n < 70000; n++) {
        push(R, 1, n, 4);
        const ed_out *out = ed_outbox_next(&outbox);
        CHECK_EQ("sequence", ed_out_frame(out).sequence, n & 0xffff);
        struct sent sent = send_next();
        if (n % 8000 == 0)
            kept = sent; // stays outstanding while the lane goes on
        else
            CHECK("acked", ed_outbox_on_acked(&outbox, sent.ref));
        if (n % 8000 == 7999) {
            CHECK("lost", ed_outbox_on_lost(&outbox, kept.ref, kept.packet));
            CHECK_EQ("its own", ed_out_frame(ed_outbox_next(&outbox)).sequence,
                     (n - 7999) & 0xffff);
            CHECK("acked late", ed_outbox_on_acked(&outbox, kept.ref));
        }
    }
    push(R, 2, 5, 4);
    CHECK_EQ("another lane", ed_out_frame(ed_outbox_next(&outbox)).sequence, 0);
}

/* ----------------------------------------------------------------------------------- window -- */

/** Of a lane 8,192 messages from the oldest outstanding one may leave; others go on. */
static void the_window_closes_and_reopens(void **state)
{
    static struct sent sent[ED_LANE_WINDOW];

    (void)state;
    for (uint32_t n = 0; n < ED_LANE_WINDOW + 2; n++)
        push(R, 0, n, 4);
    for (size_t n = 0; n < ED_LANE_WINDOW; n++)
        sent[n] = send_next();
    CHECK("closed", ed_outbox_next(&outbox) == NULL);
    CHECK_EQ("waiting", outbox.fresh_count, 2);
    push(R, 1, 7777, 4);
    CHECK_EQ("another lane may", send_next().mark, 7777);
    push(R, 0, ED_LANE_WINDOW + 2, 4);
    CHECK("a push does not open it", ed_outbox_next(&outbox) == NULL);

    CHECK("not the oldest", ed_outbox_on_acked(&outbox, sent[1].ref));
    CHECK("still closed", ed_outbox_next(&outbox) == NULL);
    CHECK("the oldest", ed_outbox_on_acked(&outbox, sent[0].ref));
    CHECK_EQ("open by two", send_next().mark, ED_LANE_WINDOW);
    CHECK_EQ("open by two", send_next().mark, ED_LANE_WINDOW + 1);
    CHECK("closed again", ed_outbox_next(&outbox) == NULL);
    CHECK("lost", ed_outbox_on_lost(&outbox, sent[2].ref, sent[2].packet));
    CHECK_EQ("what was lost may leave", send_next().mark, 2);
    CHECK("closed as before", ed_outbox_next(&outbox) == NULL);
}

/* --------------------------------------------------------------------------------- shedding -- */

static void the_oldest_unreliable_gives_way(void **state)
{
    enum { SIZE = 1024, FIT = ED_UNRELIABLE_QUEUE_MAX / SIZE };

    (void)state;
    for (uint32_t n = 0; n < FIT; n++)
        CHECK_EQ("all fit", push(U, 0, n, SIZE), 0);
    CHECK_EQ("an empty one fits", push(U, 0, FIT, 0), 0);
    CHECK_EQ("one for one", push(U, 0, FIT + 1, SIZE), 1);
    CHECK_EQ("one for a small one", push(U, 0, FIT + 2, 4), 1);
    CHECK_EQ("then there is room", push(U, 0, FIT + 3, SIZE - 4), 0);
    CHECK_EQ("within the limit", outbox.unreliable_size <= ED_UNRELIABLE_QUEUE_MAX, true);
    CHECK_EQ("reliable ones are not counted", push(R, 0, 9999, SIZE), 0);
    CHECK_EQ("the oldest are gone", send_next().mark, 2);
    CHECK_EQ("the reliable one has its turn", send_next().mark, 9999);
    CHECK_EQ("room for what was sent", push(U, 0, FIT + 4, SIZE), 0);
    CHECK_EQ("in order", send_next().mark, 3);
}

/** Another lane's messages are not taken for it. */
static void a_lane_sheds_its_own(void **state)
{
    enum { SIZE = 1024, FIT = ED_UNRELIABLE_QUEUE_MAX / SIZE };

    (void)state;
    for (uint32_t n = 0; n < FIT; n++)
        push(U, 1, n, SIZE);
    CHECK_EQ("nothing of its own to shed", push(U, 2, 500, SIZE), 0);
    CHECK_EQ("now itself", push(U, 2, 501, SIZE), 1);
    CHECK_EQ("the other's are there", send_next().mark, 0);
    CHECK_EQ("the newer one", send_next().mark, 501);
    CHECK_EQ("count", outbox.fresh_count, FIT - 1);
}

static void unreliable_ones_are_sent_once(void **state)
{
    (void)state;
    push(U, 0, 1, 100);
    CHECK_EQ("not counted as reliable", outbox.reliable_count, 0);
    CHECK_EQ("bytes", outbox.unreliable_size, 100);
    send_next();
    CHECK_EQ("bytes", outbox.unreliable_size, 0);
    CHECK_EQ("its block is back", ed_pool_charged(pool), 0);
    CHECK("not in flight", ed_outbox_oldest(&outbox) == NULL);
}

/* --------------------------------------------------------------------------- lost and found -- */

static void lost_ones_go_first_by_age(void **state)
{
    static const size_t lost[] = {2, 4, 0, 3};
    struct sent sent[6];

    (void)state;
    for (uint32_t n = 0; n < ED_COUNT(sent); n++)
        push(R, (uint8_t)n, n, 4);
    for (size_t n = 0; n < ED_COUNT(sent); n++)
        sent[n] = send_next();
    push(R, 0, 100, 4);
    for (size_t i = 0; i < ED_COUNT(lost); i++)
        CHECK("lost", ed_outbox_on_lost(&outbox, sent[lost[i]].ref, sent[lost[i]].packet));
    check_order("before what is fresh", (const uint32_t[]){0, 2, 3, 4, 100}, 5);
    CHECK_EQ("unacknowledged", outbox.reliable_count, 7);
}

/** The oldest by its first packet, lost or not, however often it was sent since. */
static void the_oldest_unacknowledged(void **state)
{
    struct sent sent[4];

    (void)state;
    CHECK("none", ed_outbox_oldest(&outbox) == NULL);
    push(U, 0, 99, 4);
    push(R, 0, 0, 4);
    CHECK("none was sent", ed_outbox_oldest(&outbox) == NULL);
    send_next();
    CHECK("an unreliable one is no matter", ed_outbox_oldest(&outbox) == NULL);
    sent[0] = send_next();
    for (uint32_t n = 1; n < 4; n++) {
        push(R, n == 3 ? 0 : 200, n, 4); // on two streams: 0 and 3, 1 and 2
        sent[n] = send_next();
    }
    CHECK_EQ("the first", mark_of(ed_outbox_oldest(&outbox)), 0);
    CHECK_EQ("the next of its stream", mark_of(ed_out_next_oldest(ed_outbox_oldest(&outbox))), 3);
    CHECK("lost", ed_outbox_on_lost(&outbox, sent[0].ref, sent[0].packet));
    CHECK_EQ("lost or not", mark_of(ed_outbox_oldest(&outbox)), 0);
    send_next();
    CHECK_EQ("sent again or not", mark_of(ed_outbox_oldest(&outbox)), 0);
    for (size_t n = 0; n < 3; n++) {
        CHECK_EQ("in the order of sending", mark_of(ed_outbox_oldest(&outbox)), n);
        CHECK("acked", ed_outbox_on_acked(&outbox, sent[n].ref));
    }
    CHECK("the last of its stream", ed_out_next_oldest(ed_outbox_oldest(&outbox)) == NULL);
}

/** What an old packet's fate means once a newer one carries the message too. */
static void the_newest_packet_decides(void **state)
{
    (void)state;
    push(R, 0, 1, 4);
    struct sent first = send_next();
    ed_outbox_on_sent(&outbox, ed_outbox_oldest(&outbox), packet++); // a probe repeats it
    CHECK("the first copy", !ed_outbox_on_lost(&outbox, first.ref, first.packet));
    CHECK("nothing to send", ed_outbox_next(&outbox) == NULL);
    CHECK("the second copy", ed_outbox_on_lost(&outbox, first.ref, first.packet + 1));
    CHECK("is lost once", !ed_outbox_on_lost(&outbox, first.ref, first.packet + 1));
    CHECK_EQ("again", send_next().mark, 1);
}

/* Orders in which so many messages may be declared lost; see below. */
enum { CROWD = 100 * 1000, CROWD_LANES = 16, PACKET_MESSAGES = 128 };

static size_t oldest_first(size_t i)
{
    return i;
}

static size_t newest_first(size_t i)
{
    return CROWD - 1 - i;
}

static size_t newer_half_first(size_t i)
{
    return (i + CROWD / 2) % CROWD;
}

static size_t lane_by_lane(size_t i)
{
    return i % (CROWD / CROWD_LANES) * CROWD_LANES + i / (CROWD / CROWD_LANES);
}

/** Sends up to `count` messages, many to a packet. @return how many. */
static size_t send_packets(struct sent *sent, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ed_out *out = ed_outbox_next(&outbox);
        if (out == NULL)
            return i;
        sent[i] = (struct sent){.mark = mark_of(out),
                                .ref = {.slot = out->slot, .generation = out->generation},
                                .packet = packet + i / PACKET_MESSAGES};
        ed_outbox_on_sent(&outbox, out, sent[i].packet);
    }
    packet += count / PACKET_MESSAGES + 1;
    return count;
}

static void lose(const char *name, const struct sent *sent)
{
    CHECK(name, ed_outbox_on_lost(&outbox, sent->ref, sent->packet));
}

/**
 * After an outage all is lost at once, and the oldest may be lost again and again. Looking for the
 * place of each among all others would take minutes here, and the test would be ended.
 */
static void a_crowd_is_lost(void **state)
{
    static const struct {
        const char *name;
        size_t (*order)(size_t i);
    } rows[] = {
        {"oldest first", oldest_first},
        {"newest first", newest_first},
        {"newer half first", newer_half_first},
        {"lane by lane", lane_by_lane},
    };
    enum { ROUNDS = 400, AGAIN = 2 * PACKET_MESSAGES };
    static struct sent sent[CROWD];

    (void)state;
    for (uint32_t n = 0; n < CROWD; n++)
        push(R, (uint8_t)(n % CROWD_LANES), n, 4);
    CHECK_EQ("all", send_packets(sent, CROWD), CROWD);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (size_t n = 0; n < CROWD; n++)
            lose(rows[i].name, &sent[rows[i].order(n)]);
        CHECK_EQ(rows[i].name, send_packets(sent, CROWD), CROWD);
        for (size_t n = 1; n < CROWD; n++) // those of one packet in any order
            CHECK(rows[i].name,
                  sent[n].mark / PACKET_MESSAGES >= sent[n - 1].mark / PACKET_MESSAGES);
    }
    for (size_t n = 0; n < CROWD; n++)
        lose("again", &sent[n]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        CHECK_EQ("the oldest", send_packets(sent, AGAIN), AGAIN);
        CHECK("the oldest", sent[0].mark < PACKET_MESSAGES && sent[AGAIN - 1].mark < AGAIN);
        for (size_t n = 0; n < AGAIN; n++)
            lose("again and again", &sent[n]);
    }
}

static void lost_then_acked(void **state)
{
    (void)state;
    push(R, 0, 1, 4);
    push(R, 0, 2, 4);
    struct sent first = send_next(), second = send_next();
    CHECK("lost", ed_outbox_on_lost(&outbox, first.ref, first.packet));
    CHECK("it was only late", ed_outbox_on_acked(&outbox, first.ref));
    CHECK("not sent again", ed_outbox_next(&outbox) == NULL);
    CHECK("acked once", !ed_outbox_on_acked(&outbox, first.ref));
    CHECK("the other", ed_outbox_on_acked(&outbox, second.ref));
    CHECK_EQ("all acknowledged", outbox.reliable_count, 0);
    CHECK_EQ("all blocks back", ed_pool_charged(pool), 0);
}

/** A record is used again, and old references do not reach its new message. */
static void references_go_stale(void **state)
{
    (void)state;
    push(R, 0, 1, 4);
    struct sent old = send_next();
    CHECK("acked", ed_outbox_on_acked(&outbox, old.ref));
    push(R, 0, 2, 4);
    struct sent fresh = send_next();
    CHECK_EQ("the same place", fresh.ref.slot, old.ref.slot);
    CHECK("another generation", fresh.ref.generation != old.ref.generation);
    CHECK("stale ack", !ed_outbox_on_acked(&outbox, old.ref));
    CHECK("stale loss", !ed_outbox_on_lost(&outbox, old.ref, fresh.packet));
    CHECK_EQ("still in flight", mark_of(ed_outbox_oldest(&outbox)), 2);
}

/* ----------------------------------------------------------------------------------- memory -- */

static void out_of_memory_changes_nothing(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint32_t n = 0; n < 300; n++) {
        ed_block *block = ed_pool_take(pool, 4);
        uint64_t shed = 99;
        memcpy(block->data, &n, 4);
        for (uint64_t after = 0;; after++) {
            counting.fail_after = after;
            eddy_status status = ed_outbox_push(&outbox, R, (uint8_t)(n % 7), block, &shed);
            counting.fail_after = UINT64_MAX;
            if (status == EDDY_OK)
                break;
            CHECK_EQ("status", status, EDDY_ENOMEM);
            CHECK_EQ("nothing accepted", outbox.reliable_count, n);
            CHECK_EQ("nothing fresh", outbox.fresh_count, n);
            failures++;
        }
    }
    CHECK("failures were met", failures > 20);
    for (uint32_t n = 0; n < 300; n++)
        CHECK_EQ("all there, in turn", send_next().mark, n);
}

/** Any order of sending, loss, late and repeated news: every message ends exactly once. */
static void a_long_life(void **state)
{
    enum { KEPT = 256, ROUNDS = 200000 };
    static struct sent log[KEPT];
    uint64_t seed = 6;
    uint32_t pushed = 0, ended = 0;

    (void)state;
    packet = 1; // 0 marks an empty place in the log
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct sent *news = &log[splitmix_below(&seed, KEPT)];
        uint32_t what = splitmix_below(&seed, 4);
        if (what == 0 && pushed - ended < 1000)
            push(R, (uint8_t)splitmix_below(&seed, 3), pushed++, 4);
        if (what == 2 && news->packet != 0)
            ended += ed_outbox_on_acked(&outbox, news->ref) ? 1 : 0;
        // What is about to be forgotten here is declared lost before, so that it is sent again.
        if (what % 2 == 1 && news->packet != 0)
            (void)ed_outbox_on_lost(&outbox, news->ref, news->packet);
        if (what == 1 && ed_outbox_next(&outbox) != NULL)
            *news = send_next();
        CHECK_EQ("neither lost nor doubled", outbox.reliable_count, pushed - ended);
    }
    CHECK("it went on", ended > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lanes_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_say_where_it_belongs, setup, teardown),
        cmocka_unit_test_setup_teardown(sequences, setup, teardown),
        cmocka_unit_test_setup_teardown(the_window_closes_and_reopens, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_unreliable_gives_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lane_sheds_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(unreliable_ones_are_sent_once, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_ones_go_first_by_age, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_unacknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_packet_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crowd_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_then_acked, setup, teardown),
        cmocka_unit_test_setup_teardown(references_go_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_life, setup, teardown),
    };
    return cmocka_run_group_tests_name("stream_send", tests, NULL, NULL);
}
