/** Unreliable messages: in one piece or in parts, sequenced or not, within their budgets. */
#include "tests/unit/inbox_bed.h"

#include "tests/support/splitmix.h"

enum { U = ED_WIRE_UNRELIABLE, US = ED_WIRE_UNRELIABLE_SEQUENCED, SIZE = 3000 };

/** A part in a packet of that number. */
static eddy_status part_in(uint64_t packet, uint8_t guarantee, uint8_t stream, uint32_t sequence,
                           size_t begin, size_t end)
{
    rx.packet = packet;
    return rx_part(guarantee, stream, sequence, SIZE, begin, end);
}

static size_t partial_count(void)
{
    uint64_t charge = rx.inbox.unreliable;

    CHECK_EQ("nothing else is charged", charge % ed_charge_of(SIZE), 0);
    return (size_t)(charge / ed_charge_of(SIZE));
}

static void pieces_come_as_they_are(void **state)
{
    static const size_t sizes[] = {0, 1, 100, EDDY_PIECE_SIZE_MAX};

    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < ED_COUNT(sizes); i++)
            CHECK_EQ("received", rx_piece(U, 9, i, sizes[i]), EDDY_OK);
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < ED_COUNT(sizes); i++) {
            ed_block *block = rx.inbox.first_ready;
            CHECK("there", block != NULL);
            CHECK_EQ("guarantee", ed_block_guarantee(block), U);
            CHECK_EQ("stream", ed_block_stream(block), 9);
            rx_expect("in order of arrival", (uint32_t)i, sizes[i], 0);
        }
    rx_expect_none("no more");
    CHECK_EQ("the account is empty", rx.inbox.unreliable, 0);
}

/** Never an older one after a newer one; the packet says which is which. One lane over all rows. */
static void a_sequenced_lane_goes_forward(void **state)
{
    static const struct {
        const char *name;
        uint64_t packet;
        uint8_t stream;
        bool want;
    } rows[] = {
        {"the first", 10, 0, true},
        {"older", 9, 0, false},
        {"newer", 12, 0, true},
        {"another of the same packet", 12, 0, true},
        {"between the two", 11, 0, false},
        {"another stream has its own", 11, 1, true},
        {"far ahead", UINT64_C(1) << 40, 0, true},
        {"before that", (UINT64_C(1) << 40) - 1, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t stale = rx.stats.messages_stale;
        rx.packet = rows[i].packet;
        CHECK_EQ(rows[i].name, rx_piece(US, rows[i].stream, i, 10), EDDY_OK);
        if (rows[i].want)
            rx_expect(rows[i].name, (uint32_t)i, 10, 0);
        rx_expect_none(rows[i].name);
        CHECK_EQ(rows[i].name, rx.stats.messages_stale - stale, !rows[i].want);
    }
}

/* ------------------------------------------------------------------------------------- parts -- */

static void parts_in_any_order(void **state)
{
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    (void)state;
    for (uint8_t guarantee = U; guarantee <= US; guarantee++)
        for (uint32_t i = 0; i < ED_COUNT(orders); i++) {
            for (size_t n = 0; n < 3; n++) {
                size_t begin = orders[i][n] * 1024;
                rx_expect_none("not yet");
                CHECK_EQ("part",
                         rx_part(guarantee, 5, i, SIZE, begin, ed_min_size(begin + 1024, SIZE)),
                         EDDY_OK);
            }
            CHECK_EQ("guarantee", ed_block_guarantee(rx.inbox.first_ready), guarantee);
            CHECK_EQ("stream", ed_block_stream(rx.inbox.first_ready), 5);
            rx_expect("whole", i, SIZE, 0);
            CHECK_EQ("the account is empty", rx.inbox.unreliable, 0);
        }
    CHECK_EQ("counted", rx.stats.messages_reassembled, 2 * ED_COUNT(orders));
}

/** Of several on their way no part goes to another. */
static void parts_find_their_message(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee, stream;
        uint32_t sequence;
        size_t size;
    } rows[] = {
        {"one", U, 0, 7, 3000},
        {"of another stream", U, 1, 7, 3000},
        {"of the other guarantee", US, 0, 7, 3000},
        {"of another sequence", U, 0, 8, 3000},
        {"of another size", U, 0, 7, 3001},
    };

    (void)state;
    for (size_t begin = 0; begin < 3000; begin += 1024)
        for (size_t i = 0; i < ED_COUNT(rows); i++)
            CHECK_EQ(rows[i].name,
                     rx_part(rows[i].guarantee, rows[i].stream, rows[i].sequence, rows[i].size,
                             begin, ed_min_size(begin + 1024, rows[i].size)),
                     EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        rx_expect(rows[i].name, rows[i].sequence, rows[i].size, 0);
    CHECK_EQ("none is left", rx.inbox.unreliable, 0);
}

/** Eight wait; for a ninth the oldest gives way. */
static void the_oldest_gives_way(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < ED_PARTIAL_MAX; n++)
        CHECK_EQ("begun", part_in(n, U, 0, n, 0, 1024), EDDY_OK);
    CHECK_EQ("eight", partial_count(), ED_PARTIAL_MAX);
    CHECK_EQ("none gave way", rx.stats.messages_incomplete, 0);
    for (uint32_t n = ED_PARTIAL_MAX; n < ED_PARTIAL_MAX + 3; n++) {
        CHECK_EQ("begun", part_in(n, U, 0, n, 0, 1024), EDDY_OK);
        CHECK_EQ("eight", partial_count(), ED_PARTIAL_MAX);
        CHECK_EQ("one gave way", rx.stats.messages_incomplete, n - ED_PARTIAL_MAX + 1);
    }
    for (uint32_t n = 3; n < ED_PARTIAL_MAX + 3; n++) {
        CHECK_EQ("the rest of it", part_in(20, U, 0, n, 1024, SIZE), EDDY_OK);
        rx_expect("those are here", n, SIZE, 0);
    }
}

/** Its 16 bits come again after 65,536 messages: far more than 32,768 packets later. */
static void sequences_come_round(void **state)
{
    static const struct {
        const char *name;
        uint64_t first, second; /* packets */
        bool want;              /* whether both parts are of one message */
    } rows[] = {
        {"the next packet", 100, 101, true},   {"the same", 100, 100, true},
        {"the one before", 101, 100, true},    {"as late as may be", 100, 100 + 32767, true},
        {"one more", 100, 100 + 32768, false}, {"as early as may be", 100 + 32767, 100, true},
        {"one more", 100 + 32768, 100, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, part_in(rows[i].first, U, 0, 7, 0, 1024), EDDY_OK);
        CHECK_EQ(rows[i].name, part_in(rows[i].second, U, 0, 7, 1024, SIZE), EDDY_OK);
        if (rows[i].want)
            rx_expect(rows[i].name, 7, SIZE, 0);
        rx_expect_none(rows[i].name);
        CHECK_EQ(rows[i].name, partial_count(), rows[i].want ? 0 : 2);
        rx_restart();
    }
}

/** Of a sequenced lane the newest packet that brought a part counts. */
static void sequenced_parts_go_forward(void **state)
{
    (void)state;
    CHECK_EQ("a part", part_in(10, US, 0, 0, 0, 1024), EDDY_OK);
    rx.packet = 11;
    CHECK_EQ("one in one piece passes by", rx_piece(US, 0, 50, 10), EDDY_OK);
    rx_expect("it comes", 50, 10, 0);
    CHECK_EQ("the rest is newer", part_in(12, US, 0, 0, 1024, SIZE), EDDY_OK);
    rx_expect("so it is", 0, SIZE, 0);
    CHECK_EQ("a part", part_in(20, US, 0, 1, 1024, SIZE), EDDY_OK);
    rx.packet = 21;
    CHECK_EQ("one in one piece passes by", rx_piece(US, 0, 51, 10), EDDY_OK);
    rx_expect("it comes", 51, 10, 0);
    CHECK_EQ("the rest came late", part_in(19, US, 0, 1, 0, 1024), EDDY_OK);
    rx_expect_none("never an older one after a newer one");
    CHECK_EQ("counted", rx.stats.messages_stale, 1);
    CHECK_EQ("the newer part first", part_in(32, US, 0, 2, 1024, SIZE), EDDY_OK);
    CHECK_EQ("then the older", part_in(30, US, 0, 2, 0, 1024), EDDY_OK);
    rx_expect("it is as new as its newest part", 2, SIZE, 0);
    rx.packet = 31;
    CHECK_EQ("one between the two", rx_piece(US, 0, 52, 10), EDDY_OK);
    rx_expect_none("is older");
}

/* ------------------------------------------------------------------------------------ expiry -- */

static void what_is_not_completed_expires(void **state)
{
    enum { LIFE_MS = 2000 };

    (void)state;
    CHECK_EQ("nothing to wait for", ed_inbox_expiry_ns(&rx.inbox), ED_NEVER_NS);
    for (uint32_t n = 0; n < 3; n++) {
        rx.now_ns = n * 100 * ED_NS_PER_MS;
        CHECK_EQ("begun", part_in(n, U, 0, n, 0, 1024), EDDY_OK);
    }
    rx.now_ns = 1000 * ED_NS_PER_MS;
    CHECK_EQ("more of the first", part_in(9, U, 0, 0, 1024, 2048), EDDY_OK);
    CHECK_EQ("by its beginning", ed_inbox_expiry_ns(&rx.inbox), LIFE_MS * ED_NS_PER_MS);
    CHECK_EQ("the second is completed", part_in(10, U, 0, 1, 1024, SIZE), EDDY_OK);
    rx_expect("it is", 1, SIZE, 0);
    ed_inbox_expire(&rx.inbox, (LIFE_MS * ED_NS_PER_MS) - 1);
    CHECK_EQ("not yet", partial_count(), 2);
    ed_inbox_expire(&rx.inbox, LIFE_MS * ED_NS_PER_MS);
    CHECK_EQ("the first", partial_count(), 1);
    CHECK_EQ("the third", ed_inbox_expiry_ns(&rx.inbox), (LIFE_MS + 200) * ED_NS_PER_MS);
    ed_inbox_expire(&rx.inbox, UINT64_MAX - 1);
    CHECK_EQ("all", partial_count(), 0);
    CHECK_EQ("counted", rx.stats.messages_incomplete, 2);
    CHECK_EQ("nothing is held", ed_pool_charged(rx.pool), 0);
    CHECK_EQ("nothing to wait for", ed_inbox_expiry_ns(&rx.inbox), ED_NEVER_NS);
}

/* ----------------------------------------------------------------------------------- budgets -- */

/** What the program does not read is dropped, beyond a budget, newest first, and counted. */
static void the_budget_of_a_connection(void **state)
{
    enum { CHARGE = 1000 + EDDY_MESSAGE_CHARGE, FIT = RX_UNRELIABLE / CHARGE };

    (void)state;
    for (uint32_t n = 0; n < FIT + 5; n++)
        CHECK_EQ("received", rx_piece(U, 0, n, 1000), EDDY_OK);
    CHECK_EQ("counted", rx.stats.messages_shed_received, 5);
    CHECK_EQ("a large one has no room", rx_part(U, 1, 0, SIZE, 0, 1024), EDDY_OK);
    CHECK_EQ("counted", rx.stats.messages_shed_received, 6);
    CHECK_EQ("reliable ones do not care", rx_piece(ED_WIRE_RELIABLE_ORDERED, 0, 0, 10), EDDY_OK);
    for (uint32_t n = 0; n < FIT; n++)
        rx_expect("the first", n, 1000, 0);
    rx_expect("the reliable one", 0, 10, 0);
    rx_expect_none("no more");
    CHECK_EQ("room again", rx_piece(U, 0, 5, 1000), EDDY_OK);
    rx_expect("it comes", 5, 1000, 0);
}

/** For one that has no room all the same none gives way; for one that has, with its, the oldest. */
static void none_gives_way_in_vain(void **state)
{
    enum { SMALL = 1200 };
    uint64_t small = ed_charge_of(SMALL);
    uint64_t large = ed_charge_of(EDDY_UNRELIABLE_SIZE_MAX);

    (void)state;
    for (unsigned fits = 0; fits < 2; fits++) {
        for (uint32_t n = 0; n < ED_PARTIAL_MAX; n++)
            CHECK_EQ("begun", rx_part(U, 0, n, SMALL, 0, 1024), EDDY_OK);
        rx.parts.unreliable_budget = (ED_PARTIAL_MAX - 1) * small + large - 1 + fits;
        CHECK_EQ("a large one", rx_part(U, 0, 99, EDDY_UNRELIABLE_SIZE_MAX, 0, 1024), EDDY_OK);
        CHECK_EQ("shed", rx.stats.messages_shed_received, 1 - fits);
        CHECK_EQ("gave way", rx.stats.messages_incomplete, fits);
        CHECK_EQ("the rest of the first", rx_part(U, 0, 0, SMALL, 1024, SMALL), EDDY_OK);
        if (fits)
            rx_expect_none("it is gone");
        else
            rx_expect("it was kept", 0, SMALL, 0);
        rx_restart();
    }
}

/** What is incomplete is charged whole. */
static void the_budget_counts_what_is_incomplete(void **state)
{
    uint64_t charge = ed_charge_of(EDDY_UNRELIABLE_SIZE_MAX);
    uint32_t fit = (uint32_t)(RX_UNRELIABLE / charge);

    (void)state;
    for (uint32_t n = 0; n < fit + 2; n++)
        CHECK_EQ("begun", rx_part(U, 0, n, EDDY_UNRELIABLE_SIZE_MAX, 0, 128), EDDY_OK);
    CHECK_EQ("charged", rx.inbox.unreliable, fit * charge);
    CHECK_EQ("counted", rx.stats.messages_shed_received, 2);
    ed_inbox_expire(&rx.inbox, UINT64_MAX - 1);
    CHECK_EQ("given back", rx.inbox.unreliable, 0);
}

static void the_budget_of_all(void **state)
{
    (void)state;
    rx.room.unreliable = rx.room.unreliable_max - 163;
    CHECK_EQ("a byte short", rx_piece(U, 0, 0, 100), EDDY_OK);
    CHECK_EQ("counted", rx.stats.messages_shed_received, 1);
    CHECK_EQ("one that fits", rx_piece(U, 0, 1, 99), EDDY_OK);
    rx_expect("it comes", 1, 99, 0);
    rx_expect_none("no more");
    rx.room.unreliable = 0;
}

/** Unreliable ones have a limit of their own, if that is the lower one. */
static void the_largest(void **state)
{
    static const struct {
        const char *name;
        size_t limit; /* of all */
        size_t largest;
    } rows[] = {
        {"far above", RX_LARGEST, EDDY_UNRELIABLE_SIZE_MAX},
        {"one above", EDDY_UNRELIABLE_SIZE_MAX + 1, EDDY_UNRELIABLE_SIZE_MAX},
        {"one below", EDDY_UNRELIABLE_SIZE_MAX - 1, EDDY_UNRELIABLE_SIZE_MAX - 1},
        {"far below", 2000, 2000},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ("nothing left", rx_teardown(state), 0);
        rx_open(RX_BUDGET, rows[i].limit);
        for (size_t at = 0; at < rows[i].largest; at += 1024)
            CHECK_EQ(
                rows[i].name,
                rx_part(US, 0, 3, rows[i].largest, at, ed_min_size(at + 1024, rows[i].largest)),
                EDDY_OK);
        rx_expect(rows[i].name, 3, rows[i].largest, 0);
        CHECK_EQ(rows[i].name, rx_part(U, 0, 4, rows[i].largest + 1, 0, 1024), EDDY_EPROTO);
    }
}

/* ------------------------------------------------------------------------------------ memory -- */

static void out_of_memory(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint32_t n = 0; n < 30; n++) {
        uint8_t guarantee = n % 2 == 0 ? U : US;
        bool in_parts = n % 3 == 0;
        for (uint64_t after = 0;; after++) {
            rx.counting.fail_after = after;
            eddy_status status = in_parts ? rx_part(guarantee, (uint8_t)n, n, SIZE, 0, SIZE)
                                          : rx_piece(guarantee, (uint8_t)n, n, 1000);
            rx.counting.fail_after = UINT64_MAX;
            if (status == EDDY_OK)
                break;
            CHECK_EQ("status", status, EDDY_ENOMEM);
            rx_expect_none("nothing came of it");
            failures++;
        }
        rx_expect("then it comes", n, in_parts ? SIZE : 1000, 0);
        ed_inbox_expire(&rx.inbox, UINT64_MAX - 1);
        CHECK_EQ("nothing is charged", rx.inbox.unreliable, 0);
    }
    CHECK("failures were met", failures > 30);
}

static void check_known(eddy_status status)
{
    CHECK("new or not", status == EDDY_OK || status == EDDY_EEXIST);
}

/** Anything in any order: the account says what there is, and memory follows it. */
static void a_long_life(void **state)
{
    enum { ROUNDS = 100 * 1000 };
    uint64_t seed = 9;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t sequence = splitmix_below(&seed, 12);
        size_t begin = splitmix_below(&seed, 3) * 1024u;
        uint8_t guarantee = (uint8_t)splitmix_below(&seed, 2);
        rx.packet += splitmix_below(&seed, 3);
        rx.packet -= ed_min_u64(rx.packet, splitmix_below(&seed, 3));
        rx.now_ns += splitmix_below(&seed, 10) * ED_NS_PER_MS;
        if (splitmix_below(&seed, 3) == 0)
            CHECK_EQ("piece", rx_piece(guarantee, 0, sequence, splitmix_below(&seed, 1000)),
                     EDDY_OK);
        else
            check_known(
                rx_part(guarantee, 0, sequence, SIZE, begin, ed_min_size(begin + 1024, SIZE)));
        ed_inbox_expire(&rx.inbox, rx.now_ns);
        if (splitmix_below(&seed, 2) == 0 && rx.inbox.first_ready != NULL) {
            ed_block *block = ed_inbox_next(&rx.inbox);
            CHECK("some message, whole", block->size <= SIZE);
            rx_return(block);
        }
        CHECK("within", rx.inbox.unreliable <= RX_UNRELIABLE);
        CHECK_EQ("both agree", rx.inbox.unreliable, rx.room.unreliable);
        CHECK("memory follows", ed_pool_charged(rx.pool) <= rx.inbox.unreliable * 3 / 2);
    }
    CHECK("it went on", rx.stats.messages_reassembled > 1000 && rx.stats.messages_incomplete > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_come_as_they_are, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(a_sequenced_lane_goes_forward, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(parts_in_any_order, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(parts_find_their_message, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(the_oldest_gives_way, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(sequences_come_round, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(sequenced_parts_go_forward, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_completed_expires, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(the_budget_of_a_connection, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(the_budget_counts_what_is_incomplete, rx_setup,
                                        rx_teardown),
        cmocka_unit_test_setup_teardown(none_gives_way_in_vain, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(the_budget_of_all, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(the_largest, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(a_long_life, rx_setup, rx_teardown),
    };
    return cmocka_run_group_tests_name("partial", tests, NULL, NULL);
}
