#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/splitmix.h"
#include "transport/replay.h"
#include "transport/stream_receive.h"

enum { R = ED_WIRE_RELIABLE_ORDERED, U = ED_WIRE_UNRELIABLE, NONE = -1 };

static ed_counting_alloc counting;
static ed_pool *pool;
static ed_inbox inbox;

static void open_inbox(size_t budget)
{
    ed_counting_alloc_init(&counting, NULL);
    pool = ed_pool_create(&counting.allocator, budget);
    CHECK("pool", pool != NULL);
    ed_inbox_init(&inbox, &counting.allocator, pool);
}

static int setup(void **state)
{
    (void)state;
    open_inbox(64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ed_inbox_free(&inbox);
    size_t charged = ed_pool_charged(pool);
    ed_pool_destroy(pool);
    return charged == 0 && counting.live_count == 0 ? 0 : -1;
}

/** Receives the message of that sequence on stream 0, its bytes the sequence and then zeros. */
static eddy_status receive_sized(uint32_t sequence, size_t size)
{
    static uint8_t data[2048];
    ed_message_frame message = {.guarantee = R,
                                .sequence_bits = 16,
                                .sequence = sequence & 0xffff,
                                .data = {.data = data, .size = size}};

    memcpy(data, &sequence, sizeof(sequence));
    return ed_inbox_receive(&inbox, &message);
}

static eddy_status receive(uint32_t sequence)
{
    return receive_sized(sequence, 4);
}

/** The sequence of the next message to deliver, or NONE. */
static int64_t deliver(void)
{
    ed_block *block = ed_inbox_next(&inbox);
    uint32_t sequence = 0;

    if (block == NULL)
        return NONE;
    memcpy(&sequence, block->data, sizeof(sequence));
    ed_pool_give(block);
    return sequence;
}

/** One inbox over all rows. */
static void steps(void **state)
{
    static const struct {
        const char *name;
        uint32_t sequence;
        eddy_status want;
        int64_t deliver_first; /* NONE: nothing comes of it */
        int64_t deliver_last;
    } rows[] = {
        {"the first", 0, EDDY_OK, 0, 0},
        {"again", 0, EDDY_EEXIST, NONE, NONE},
        {"the next", 1, EDDY_OK, 1, 1},
        {"too early", 3, EDDY_OK, NONE, NONE},
        {"too early, again", 3, EDDY_EEXIST, NONE, NONE},
        {"earlier still", 5, EDDY_OK, NONE, NONE},
        {"fills one gap", 2, EDDY_OK, 2, 3},
        {"what was held has come", 3, EDDY_EEXIST, NONE, NONE},
        {"fills the other", 4, EDDY_OK, 4, 5},
        {"the edge of the smallest ring", 6 + 15, EDDY_OK, NONE, NONE},
        {"past it", 6 + 16, EDDY_OK, NONE, NONE},
        {"the last of the window", 6 + ED_LANE_WINDOW - 1, EDDY_OK, NONE, NONE},
        {"past the window", 6 + ED_LANE_WINDOW, EDDY_EPROTO, NONE, NONE},
        {"far past it", 6 + 32767, EDDY_EPROTO, NONE, NONE},
        {"half the space ahead, when there is none behind", 6 + 32769, EDDY_EPROTO, NONE, NONE},
        {"the expected one", 6, EDDY_OK, 6, 6},
        {"the window has moved", 7 + ED_LANE_WINDOW - 1, EDDY_OK, NONE, NONE},
        {"by one", 7 + ED_LANE_WINDOW, EDDY_EPROTO, NONE, NONE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, receive(rows[i].sequence), rows[i].want);
        for (int64_t n = rows[i].deliver_first; n != NONE && n <= rows[i].deliver_last; n++)
            CHECK_EQ(rows[i].name, deliver(), n);
        CHECK_EQ(rows[i].name, deliver(), NONE);
    }
}

/** Once the lane has counted on, what is half the space behind is old, not far ahead. */
static void old_is_not_early(void **state)
{
    static const struct {
        const char *name;
        uint32_t back; /* behind the expected one */
        eddy_status want;
    } rows[] = {
        {"the last one", 1, EDDY_EEXIST},
        {"a window back", ED_LANE_WINDOW, EDDY_EEXIST},
        {"half the space back, less one", 32767, EDDY_EEXIST},
        {"more than half the space back", 32769, EDDY_EEXIST},
        {"as far back as the stream is long", 40000, EDDY_EEXIST},
        {"before its beginning", 40001, EDDY_EPROTO},
    };

    (void)state;
    for (uint32_t n = 0; n < 40000; n++) {
        CHECK_EQ("in order", receive(n), EDDY_OK);
        CHECK_EQ("at once", deliver(), n);
    }
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, receive(40000 - rows[i].back), rows[i].want);
}

/** Only the window is ahead: a message that was held up in the network is old, however long. */
static void all_but_the_window_is_old(void **state)
{
    enum { LENGTH = 70 * 1000, SPACE = 1 << 16 };
    enum { LATEST = (ED_REPLAY_WINDOW - 1) * ED_LANE_BURST_MAX + ED_LANE_WINDOW };
    static const struct {
        const char *name;
        uint32_t back; /* behind the expected one */
        unsigned bits;
        eddy_status want;
    } rows[] = {
        {"the last one", 1, 16, EDDY_EEXIST},
        {"a window back", ED_LANE_WINDOW, 16, EDDY_EEXIST},
        {"half the space back", SPACE / 2, 16, EDDY_EEXIST},
        {"more than half", SPACE / 2 + 1, 16, EDDY_EEXIST},
        {"as far back as a packet may be late", LATEST, 16, EDDY_EEXIST},
        {"all but the window", SPACE - ED_LANE_WINDOW, 16, EDDY_EEXIST},
        {"one more, which is the last of the window", SPACE - ED_LANE_WINDOW + 1, 16, EDDY_OK},
        {"and has been here now", SPACE - ED_LANE_WINDOW + 1, 16, EDDY_EEXIST},
        {"four bytes, once around two", SPACE, 32, EDDY_EEXIST},
        {"four bytes, the first of all", LENGTH, 32, EDDY_EEXIST},
        {"four bytes, before it", LENGTH + 1, 32, EDDY_EPROTO},
    };

    (void)state;
    for (uint32_t n = 0; n < LENGTH; n++) {
        CHECK_EQ("in order", receive(n), EDDY_OK);
        CHECK_EQ("at once", deliver(), n);
    }
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint32_t mask = rows[i].bits == 16 ? SPACE - 1 : UINT32_MAX;
        ed_message_frame message = {.guarantee = R,
                                    .sequence_bits = (uint8_t)rows[i].bits,
                                    .sequence = (LENGTH - rows[i].back) & mask};
        CHECK_EQ(rows[i].name, ed_inbox_receive(&inbox, &message), rows[i].want);
        CHECK_EQ(rows[i].name, deliver(), NONE);
    }
}

/** Three times around the 16 bits, shuffled and doubled as far as a window allows. */
static void a_long_shuffled_life(void **state)
{
    enum { COUNT = 200 * 1000, SPREAD = ED_LANE_WINDOW / 2 };
    static uint32_t order[COUNT];
    uint64_t seed = 7;
    uint32_t delivered = 0;

    (void)state;
    for (uint32_t n = 0; n < COUNT; n++)
        order[n] = n;
    // Swaps within blocks: nothing moves further than a block, so the window always holds it.
    for (uint32_t n = 0; n < COUNT; n++) {
        uint32_t begin = n / SPREAD * SPREAD;
        uint32_t other = begin + splitmix_below(&seed, SPREAD);
        if (other < COUNT) {
            uint32_t kept = order[n];
            order[n] = order[other];
            order[other] = kept;
        }
    }
    for (uint32_t n = 0; n < COUNT; n++) {
        CHECK_EQ("new", receive(order[n]), EDDY_OK);
        CHECK_EQ("again", receive(order[n]), EDDY_EEXIST);
        for (int64_t got = deliver(); got != NONE; got = deliver())
            CHECK_EQ("in order", got, delivered++);
    }
    CHECK_EQ("all", delivered, COUNT);
    CHECK_EQ("nothing is held", inbox.held_size, 0);
    CHECK_EQ("nothing is out", ed_pool_charged(pool), 0);
}

static void lanes_do_not_wait_for_each_other(void **state)
{
    ed_message_frame message = {.guarantee = R, .sequence_bits = 16};

    (void)state;
    for (unsigned stream = 0; stream < ED_STREAM_COUNT; stream++) {
        message.stream = (uint8_t)stream;
        message.sequence = stream % 2; // every other one misses its first
        CHECK_EQ("received", ed_inbox_receive(&inbox, &message), EDDY_OK);
        ed_block *block = ed_inbox_next(&inbox);
        CHECK_EQ("the even ones come", block != NULL, stream % 2 == 0);
        if (block == NULL)
            continue;
        CHECK_EQ("guarantee", ed_block_guarantee(block), R);
        CHECK_EQ("stream", ed_block_stream(block), stream);
        ed_pool_give(block);
    }
}

static void unreliable_ones_come_as_they_are(void **state)
{
    ed_message_frame message = {
        .guarantee = U, .stream = 9, .data = {.data = (const uint8_t *)"ab", .size = 2}};

    (void)state;
    for (unsigned n = 0; n < 3; n++)
        CHECK_EQ("received", ed_inbox_receive(&inbox, &message), EDDY_OK);
    for (unsigned n = 0; n < 3; n++) {
        ed_block *block = ed_inbox_next(&inbox);
        CHECK("there", block != NULL);
        CHECK_EQ("size", block->size, 2);
        CHECK_BYTES("data", block->data, "ab", 2);
        CHECK_EQ("stream", ed_block_stream(block), 9);
        CHECK_EQ("guarantee", ed_block_guarantee(block), U);
        ed_pool_give(block);
    }
    CHECK("no more", ed_inbox_next(&inbox) == NULL);
}

static void what_may_not_be_sent(void **state)
{
    static const uint8_t data[EDDY_PIECE_SIZE_MAX + 1];
    static const struct {
        const char *name;
        ed_message_frame message;
        eddy_status want;
    } rows[] = {
        {"largest", {.guarantee = U, .data = {data, EDDY_PIECE_SIZE_MAX}}, EDDY_OK},
        {"too large", {.guarantee = U, .data = {data, EDDY_PIECE_SIZE_MAX + 1}}, EDDY_EPROTO},
        {"too large, reliable",
         {.guarantee = R, .sequence_bits = 16, .data = {data, EDDY_PIECE_SIZE_MAX + 1}},
         EDDY_EPROTO},
        {"empty", {.guarantee = R, .sequence_bits = 16}, EDDY_OK},
        {"wide", {.guarantee = R, .sequence_bits = 32, .sequence = 1}, EDDY_OK},
        {"wide, beyond the window",
         {.guarantee = R, .sequence_bits = 32, .sequence = 0x10001},
         EDDY_EPROTO},
        {"a fragment", {.guarantee = R, .sequence_bits = 16, .fragment = true}, EDDY_EPROTO},
        {"unreliable sequenced", {.guarantee = 1, .sequence_bits = 16}, EDDY_EPROTO},
        {"reliable unordered", {.guarantee = 2, .sequence_bits = 16}, EDDY_EPROTO},
        {"reliable sequenced", {.guarantee = 4, .sequence_bits = 16}, EDDY_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_inbox_receive(&inbox, &rows[i].message), rows[i].want);
}

/* ----------------------------------------------------------------------------------- limits -- */

/** A peer that leaves the first message out cannot make us hold more than the limit. */
static void the_held_limit(void **state)
{
    enum { SIZE = 1024, CHARGE = 1280, RING = 4096 * 8, RESERVE = 2 * RING / CHARGE };
    enum { FIT = ED_HELD_SIZE_MAX / CHARGE };
    uint32_t sequence = 1;

    (void)state;
    while (receive_sized(sequence, SIZE) == EDDY_OK)
        sequence++;
    CHECK("no more than fit by what they are charged", sequence - 1 <= FIT);
    CHECK("but for the ring, as many", sequence - 1 >= FIT - RESERVE);
    CHECK_EQ("status", receive_sized(sequence, SIZE), EDDY_ELIMIT);
    CHECK("within the limit", inbox.held_size <= ED_HELD_SIZE_MAX + RING);
    CHECK_EQ("the missing one is always taken", receive_sized(0, SIZE), EDDY_OK);
    for (uint32_t n = 0; n < sequence; n++)
        CHECK_EQ("all of them", deliver(), n);
    CHECK_EQ("nothing is held", inbox.held_size, 0);
    CHECK_EQ("and there is room again", receive_sized(sequence + 1, SIZE), EDDY_OK);
}

static void reopen_with(size_t budget)
{
    ed_inbox_free(&inbox);
    ed_pool_destroy(pool);
    open_inbox(budget);
}

/** What is held leaves room in the pool for the very message that it waits for. */
static void what_is_held_leaves_room(void **state)
{
    enum { BUDGET_SIZE = 64 * 1024, SIZE = 1000 };
    uint32_t sequence = 1;

    (void)state;
    reopen_with(BUDGET_SIZE);
    while (receive_sized(sequence, SIZE) == EDDY_OK)
        sequence++;
    CHECK_EQ("refused", receive_sized(sequence, SIZE), EDDY_ELIMIT);
    CHECK("as much as half may be held", inbox.held_size >= BUDGET_SIZE / 2 - 2048);
    CHECK("and a quarter is left", ed_pool_left(pool) + 2048 >= BUDGET_SIZE / 4);
    CHECK_EQ("there is room for what is missing", receive_sized(0, SIZE), EDDY_OK);
    for (uint32_t n = 0; n < sequence; n++)
        CHECK_EQ("then all come", deliver(), n);
}

/** A duplicate needs no room: to refuse it would have it sent for ever. */
static void a_duplicate_of_what_is_held_is_known(void **state)
{
    enum { SIZE = 1000 };
    uint32_t end = 1;

    (void)state;
    reopen_with(256 * 1024);
    while (receive_sized(end, SIZE) == EDDY_OK)
        end++;
    CHECK_EQ("no more", receive_sized(end, SIZE), EDDY_ELIMIT);
    for (uint32_t n = 1; n < end; n++)
        CHECK_EQ("held", receive_sized(n, SIZE), EDDY_EEXIST);
    CHECK_EQ("no more", receive_sized(end, SIZE), EDDY_ELIMIT);
}

/** Receives early messages until no more may be held. @return the bytes that are. */
static size_t hold_all(ed_inbox *some, size_t size)
{
    static const uint8_t data[EDDY_PIECE_SIZE_MAX];
    ed_message_frame message = {.guarantee = R, .sequence_bits = 16, .data = {data, size}};
    eddy_status status = EDDY_OK;

    for (message.sequence = 1; status == EDDY_OK; message.sequence++)
        status = ed_inbox_receive(some, &message);
    CHECK_EQ("until the limit", status, EDDY_ELIMIT);
    return some->held_size;
}

/** Others that hold half of the budget leave a share to each, down to a quarter of the budget. */
static void each_may_hold_a_share(void **state)
{
    enum { BUDGET = 4 << 20, SIZE = 1000, CHARGE = 2048, RING = 2048 * 8 };
    enum { MANY = 2 * (BUDGET / 4) / ED_HELD_SIZE_SHARE };
    static ed_inbox others[MANY];
    ed_message_frame missing = {.guarantee = R, .sequence_bits = 16};
    size_t shares = 0;

    (void)state;
    reopen_with(BUDGET);
    CHECK("one holds half", hold_all(&inbox, SIZE) + CHARGE + RING >= BUDGET / 2);
    for (size_t i = 0; i < MANY; i++) {
        ed_inbox_init(&others[i], &counting.allocator, pool);
        size_t held = hold_all(&others[i], SIZE);
        bool is_share = held + CHARGE >= ED_HELD_SIZE_SHARE;
        CHECK("no more than a share", held <= ED_HELD_SIZE_SHARE + CHARGE);
        CHECK("a share, until a quarter is left",
              is_share || ed_pool_left(pool) <= BUDGET / 4 + CHARGE);
        shares += is_share ? 1 : 0;
    }
    CHECK("a quarter makes many shares", shares >= MANY / 2 - 1 && shares < MANY);
    CHECK("a quarter is left", ed_pool_left(pool) + 2 * CHARGE >= BUDGET / 4);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQ("what is missing is taken", ed_inbox_receive(&others[i], &missing), EDDY_OK);
        ed_inbox_free(&others[i]);
    }
}

/** A message far ahead makes room for all before it; that counts like what is held. */
static void far_ahead_on_all_streams(void **state)
{
    enum { UNCHARGED_SIZE = 64 * 1024 }; /* for the lanes themselves, and what blocks cost */
    static const struct {
        const char *name;
        size_t budget;
    } rows[] = {
        {"the smallest budget", 64 * 1024},
        {"a small one", 1 << 20},
        {"more than one connection may hold", 64 << 20},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        reopen_with(rows[i].budget);
        uint64_t before_size = counting.live_size;
        size_t refused = 0;
        for (unsigned stream = 0; stream < ED_STREAM_COUNT; stream++) {
            ed_message_frame message = {.guarantee = R,
                                        .stream = (uint8_t)stream,
                                        .sequence_bits = 16,
                                        .sequence = ED_LANE_WINDOW - 1};
            eddy_status status = ed_inbox_receive(&inbox, &message);
            CHECK(rows[i].name,
                  status == EDDY_OK || status == EDDY_ELIMIT || status == EDDY_ENOMEM);
            refused += status == EDDY_OK ? 0 : 1;
            CHECK(rows[i].name, ed_pool_charged(pool) <= rows[i].budget);
            CHECK(rows[i].name,
                  counting.live_size - before_size <= ed_pool_charged(pool) + UNCHARGED_SIZE);
        }
        CHECK(rows[i].name, refused > 0);
        CHECK(rows[i].name, inbox.held_size <= ED_HELD_SIZE_MAX + ED_LANE_WINDOW * sizeof(void *) +
                                                   2 * ED_POOL_CLASS_SIZE_MIN);
        CHECK_EQ(rows[i].name, inbox.held_size, ed_pool_charged(pool));
        CHECK_EQ(rows[i].name, receive_sized(0, EDDY_PIECE_SIZE_MAX), EDDY_OK);
    }
}

/** What one stream's ring takes may not keep out what another stream waits for. */
static void ring_leaves_room(uint32_t budget)
{
    enum { SIZE = 1000 };
    const uint32_t held = budget / 2048;
    static const uint8_t data[EDDY_PIECE_SIZE_MAX];
    ed_message_frame far = {.guarantee = R, .stream = 1, .sequence_bits = 16};
    ed_message_frame missing = {
        .guarantee = R, .sequence_bits = 16, .data = {data, EDDY_PIECE_SIZE_MAX}};

    for (far.sequence = 1; far.sequence < ED_LANE_WINDOW; far.sequence *= 2)
        for (uint32_t at = 0; at < held; at++) {
            reopen_with(budget);
            for (uint32_t n = 0; n < held; n++) {
                eddy_status status =
                    n == at ? ed_inbox_receive(&inbox, &far) : receive_sized(n + 1, SIZE);
                CHECK("taken or not",
                      status == EDDY_OK || status == EDDY_ELIMIT || status == EDDY_ENOMEM);
            }
            CHECK_EQ("there is room for what is missing", ed_inbox_receive(&inbox, &missing),
                     EDDY_OK);
        }
}

static void a_ring_leaves_room_too(void **state)
{
    (void)state;
    for (uint32_t budget = 64 * 1024; budget <= 256 * 1024; budget *= 2)
        ring_leaves_room(budget);
}

/** Without room nothing changes: the same message is taken once there is. */
static void an_exhausted_pool(void **state)
{
    (void)state;
    reopen_with(65536);
    ed_block *all = ed_pool_take(pool, 65536 - sizeof(ed_block));
    CHECK("everything is taken", all != NULL);

    for (unsigned round = 0; round < 2; round++) {
        CHECK_EQ("in order", receive(0), EDDY_ENOMEM);
        CHECK_EQ("early", receive(5), EDDY_ELIMIT);
        CHECK_EQ("nothing came of it", deliver(), NONE);
        CHECK_EQ("nothing is held", inbox.held_size, 0);
    }
    ed_pool_give(all);
    CHECK_EQ("in order", receive(0), EDDY_OK);
    CHECK_EQ("delivered", deliver(), 0);
    CHECK_EQ("early", receive(5), EDDY_OK);
}

static void out_of_memory(void **state)
{
    static const uint32_t sequences[] = {1, 17, 100, 3000, 8191, 0};
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(sequences); i++) {
        eddy_status status = EDDY_ENOMEM;
        for (uint64_t after = 0; status != EDDY_OK; after++) {
            counting.fail_after = after;
            status = receive(sequences[i]);
            failures += status == EDDY_ENOMEM ? 1 : 0;
            CHECK("nothing else", status == EDDY_OK || status == EDDY_ENOMEM);
        }
        counting.fail_after = UINT64_MAX;
        CHECK_EQ("once", receive(sequences[i]), EDDY_EEXIST);
    }
    CHECK("failures were met", failures >= 8);
    CHECK_EQ("the first", deliver(), 0);
    CHECK_EQ("what was held", deliver(), 1);
    CHECK_EQ("the next is missing", deliver(), NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(steps, setup, teardown),
        cmocka_unit_test_setup_teardown(old_is_not_early, setup, teardown),
        cmocka_unit_test_setup_teardown(all_but_the_window_is_old, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_shuffled_life, setup, teardown),
        cmocka_unit_test_setup_teardown(lanes_do_not_wait_for_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(unreliable_ones_come_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(what_may_not_be_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(the_held_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_held_leaves_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_duplicate_of_what_is_held_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(each_may_hold_a_share, setup, teardown),
        cmocka_unit_test_setup_teardown(far_ahead_on_all_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ring_leaves_room_too, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exhausted_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("stream_receive", tests, NULL, NULL);
}
