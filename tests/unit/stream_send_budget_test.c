/** What there is no room for, or no memory: what is dropped, and what is refused. */
#include "tests/unit/outbox_bed.h"

/* ---------------------------------------------------------------------------------- shedding -- */

enum { KIB = 1024, FIT = ED_UNRELIABLE_QUEUE_MAX / KIB };

static uint64_t push_shed(uint8_t guarantee, uint8_t stream, uint32_t mark, size_t size)
{
    uint64_t before = bed.stats.messages_shed;

    push(guarantee, stream, mark, size);
    CHECK("within the limit", bed.outbox.unreliable_size <= ED_UNRELIABLE_QUEUE_MAX);
    return bed.stats.messages_shed - before;
}

static void the_oldest_unreliable_gives_way(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < FIT; n++)
        CHECK_EQ("all fit", push_shed(U, 0, n, KIB), 0);
    CHECK_EQ("an empty one fits", push_shed(U, 0, FIT, 0), 0);
    CHECK_EQ("one for one", push_shed(U, 0, FIT + 1, KIB), 1);
    CHECK_EQ("one for a small one", push_shed(U, 0, FIT + 2, 4), 1);
    CHECK_EQ("then there is room", push_shed(U, 0, FIT + 3, KIB - 4), 0);
    CHECK_EQ("reliable ones are not counted", push_shed(RO, 0, 9999, TURN), 0);
    CHECK_EQ("as many as it takes", push_shed(U, 0, FIT + 4, 16 * KIB), 16);
    CHECK_EQ("the oldest are gone", send_next().mark, 18);
    CHECK_EQ("the reliable one has its turn", send_next().mark, 9999);
    CHECK_EQ("room for what was sent", push_shed(U, 0, FIT + 5, KIB), 0);
    CHECK_EQ("in order", send_next().mark, 19);
}

/** The oldest of any lane goes, and a lane of which the last one goes has no turn any more. */
static void the_oldest_of_all_lanes(void **state)
{
    (void)state;
    push(U, 1, 1, KIB);
    push(US, 2, 2, KIB);
    for (uint32_t n = 2; n < FIT; n++)
        push(U, 3, n + 1, KIB);
    CHECK_EQ("the two", push_shed(U, 3, 500, 2 * KIB), 2);
    CHECK_EQ("those of one lane are left", send_next().mark, 3);
    CHECK("in parts, when it is their turn", has_next());
    push(U, 1, 501, 10);
    push(US, 2, 502, 10);
    bool seen[2] = {false};
    for (unsigned n = 0; n < 6; n++) {
        uint32_t mark = send_next().mark;
        seen[0] |= mark == 501;
        seen[1] |= mark == 502;
    }
    CHECK("they may come back", seen[0] && seen[1]);
}

/** Of a sequenced lane only the newest is worth keeping, once there is no room. */
static void a_sequenced_lane_sheds_its_own(void **state)
{
    (void)state;
    push(U, 0, 1, KIB);
    for (uint32_t n = 1; n < FIT; n++)
        CHECK_EQ("all fit", push_shed(US, 0, n + 1, KIB), 0);
    CHECK_EQ("all of its own", push_shed(US, 0, 5000, KIB), FIT - 1);
    check_order("the other's, and the newest", (const uint32_t[]){1, 5000}, 2);
}

static void unreliable_ones_are_sent_once(void **state)
{
    (void)state;
    push(U, 0, 1, 100);
    CHECK_EQ("not counted as reliable", bed.outbox.reliable_count, 0);
    CHECK_EQ("bytes", bed.outbox.unreliable_size, 100);
    CHECK("nothing is heard of it", !send_next().has_ref);
    CHECK_EQ("bytes", bed.outbox.unreliable_size, 0);
    CHECK_EQ("its block is back", bed_charged(), 0);
    CHECK("not in flight", ed_outbox_oldest(&bed.outbox) == NULL);
    CHECK("nothing waits", ed_outbox_is_flushed(&bed.outbox));
}

/** What has begun to leave in parts may be shed, too; nothing of it is left behind. */
static void a_begun_one_is_shed(void **state)
{
    (void)state;
    push_with((ed_message){.guarantee = U, .receipt = make_receipt(1)}, 1, 16 * KIB);
    (void)send_next();
    for (uint32_t n = 0; n < FIT; n++)
        push(U, 1, n + 10, KIB);
    CHECK_EQ("it went first", bed.stats.messages_shed, 1);
    CHECK("and is told", bed_charged() > 0);
    CHECK_EQ("another lane's turn", send_next().mark, 10);
}

static void now_or_never(void **state)
{
    (void)state;
    push_with((ed_message){.guarantee = U, .now_or_never = true}, 1, TURN);
    push_with((ed_message){.guarantee = US, .now_or_never = true}, 2, TURN);
    push(U, 0, 3, TURN);
    CHECK_EQ("one leaves", send_next().mark, 1);
    ed_outbox_drop_hasty(&bed.outbox);
    CHECK_EQ("one is dropped", bed.stats.messages_shed, 1);
    check_order("what may wait is still there", (const uint32_t[]){3}, 1);
    ed_outbox_drop_hasty(&bed.outbox);
    CHECK_EQ("nothing to drop", bed.stats.messages_shed, 1);
    CHECK_EQ("none is counted", bed.outbox.hasty_count, 0);
}

/* ----------------------------------------------------------------------------------- budgets -- */

static void half_of_every_budget_must_be_free(void **state)
{
    enum { SIZE = 1000, COST = 1280 + ED_SEND_HOLDER + SIZE / ED_POOL_HOLDER_SHARE };
    static const struct {
        const char *name;
        size_t count[2]; /* of messages on streams 0 and 1 */
        uint64_t budget;
        size_t own; /* budget of stream 1 */
        bool want;
    } rows[] = {
        {"nothing is queued", {0, 0}, 1, 0, true},
        {"half of it", {1, 2}, 6 * COST, 0, true},
        {"a byte more", {1, 2}, 6 * COST - 1, 0, false},
        {"half of the stream's", {1, 1}, 6 * COST, 2 * COST, true},
        {"a byte more of the stream's", {1, 1}, 6 * COST, 2 * COST - 1, false},
        {"another stream is not asked", {1, 1}, 4 * COST, 2 * COST, true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        set_stream(1, 0, 0, rows[i].own);
        for (uint8_t s = 0; s < 2; s++)
            for (size_t n = 0; n < rows[i].count[s]; n++)
                push(RO, s, 1, SIZE);
        CHECK_EQ(rows[i].name, ed_outbox_is_half_free(&bed.outbox, rows[i].budget), rows[i].want);
        bed_restart();
    }
}

/** Every account has its charge back when the message is settled, not when it is sent. */
static void accounts_are_paid_when_it_is_settled(void **state)
{
    (void)state;
    push(RO, 0, 1, 100);
    push(RO, 0, 2, 5000);
    push(U, 0, 3, 100);
    uint64_t both = ed_send_cost(100) + ed_send_cost(5000);
    CHECK_EQ("queued", bed.outbox.queued_size, both + ed_send_cost(100));
    CHECK_EQ("of the manager", bed.queued_cost,
             ed_send_cost(100) + ed_send_cost(5000) + ed_send_cost(100));
    CHECK_EQ("the callers'", bed.account.used, both + ed_send_cost(100));
    struct sent sent[8];
    size_t count = 0;
    while (has_next())
        sent[count++] = send_next();
    CHECK_EQ("reliable ones are queued", bed.outbox.queued_size, both);
    for (size_t i = 0; i < count; i++)
        if (sent[i].has_ref)
            acked(&sent[i]);
    CHECK_EQ("the manager knows", ed_account_used(&bed.account), 0);
    CHECK_EQ("its callers do not yet", bed.account.used, both + ed_send_cost(100));
    CHECK_EQ("the blocks are back", bed_charged(), 0);
    CHECK("nothing is queued", bed.queued_cost == 0 && bed.account.used == 0);
}

/* ------------------------------------------------------------------------------------ memory -- */

static void out_of_memory_accepts_nothing(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint32_t n = 0; n < 300; n++) {
        ed_message message = {.block = make_block(n, 4),
                              .guarantee = RO,
                              .stream = (uint8_t)(n % 7),
                              .expires_ns = n % 3 == 0 ? 1000 : ED_NEVER_NS};
        bed.account.used += (size_t)ed_send_cost(4);
        for (uint64_t after = 0;; after++) {
            bed.counting.fail_after = after;
            size_t pushed = ed_outbox_push(&bed.outbox, &message, 1, 0);
            bed.counting.fail_after = UINT64_MAX;
            if (pushed == 1)
                break;
            CHECK_EQ("nothing accepted", bed.outbox.reliable_count, n);
            CHECK_EQ("nothing fresh", bed.outbox.fresh_count, n);
            failures++;
        }
    }
    CHECK("failures were met", failures > 20);
    for (uint32_t n = 0; n < 300; n++)
        (void)send_next();
    CHECK("all of them", !has_next());
}

/** Without memory to remember what was sent, nothing leaves; later it does. */
static void out_of_memory_sends_nothing(void **state)
{
    ed_outgoing next;

    (void)state;
    for (uint32_t n = 0; n < 40; n++)
        push(RO, 0, n, 4);
    for (uint32_t n = 0; n < 40; n++) {
        bed.counting.fail_after = 0;
        if (!ed_outbox_next(&bed.outbox, BED_ROOM, bed.packet, &next))
            CHECK("it says why", bed.outbox.is_out_of_memory);
        bed.counting.fail_after = UINT64_MAX;
        CHECK_EQ("in order", send_next().mark, n);
        CHECK("it has gone by", !bed.outbox.is_out_of_memory);
    }
}

static void streams_without_memory(void **state)
{
    eddy_stream_options options = {.priority = 1};

    (void)state;
    bed.counting.fail_after = 0;
    CHECK_EQ("status", ed_outbox_set_stream(&bed.outbox, 1, &options), EDDY_ENOMEM);
    bed.counting.fail_after = UINT64_MAX;
    CHECK_EQ("later", ed_outbox_set_stream(&bed.outbox, 1, &options), EDDY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_oldest_unreliable_gives_way, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(the_oldest_of_all_lanes, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_sequenced_lane_sheds_its_own, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(unreliable_ones_are_sent_once, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_begun_one_is_shed, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(now_or_never, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(half_of_every_budget_must_be_free, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(accounts_are_paid_when_it_is_settled, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory_accepts_nothing, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory_sends_nothing, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(streams_without_memory, bed_setup, bed_teardown),
    };
    return cmocka_run_group_tests_name("stream_send_budget", tests, NULL, NULL);
}
