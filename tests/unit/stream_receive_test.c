/** Reliable messages: each is delivered once, in the order that its guarantee asks for. */
#include "tests/unit/inbox_bed.h"

#include "tests/support/splitmix.h"
#include "transport/replay.h"

enum {
    RU = ED_WIRE_RELIABLE_UNORDERED,
    RO = ED_WIRE_RELIABLE_ORDERED,
    RS = ED_WIRE_RELIABLE_SEQUENCED,
    PLENTY = 1 << 30, /* of credit */
    BEYOND = 1,       /* no status: EDDY_EPROTO, or what was once */
};

/* Where lanes begin, so that sequences go round in each size of number. */
static const uint64_t starts[] = {
    0, (1 << 8) - 20, (1 << 14) - 20, (1 << 16) - 20, (UINT64_C(1) << 32) - 20,
};

static eddy_status receive(uint64_t sequence)
{
    return rx_piece(RO, 0, sequence, 4);
}

/* ---------------------------------------------------------------------------------- in order -- */

/** One inbox over all rows. */
static void steps(void **state)
{
    static const struct {
        const char *name;
        uint32_t sequence;
        int want;              /* eddy_status, or BEYOND */
        int64_t deliver_first; /* RX_NONE: nothing comes of it */
        int64_t deliver_last;
    } rows[] = {
        {"the first", 0, EDDY_OK, 0, 0},
        {"again", 0, EDDY_EEXIST, RX_NONE, RX_NONE},
        {"the next", 1, EDDY_OK, 1, 1},
        {"too early", 3, EDDY_OK, RX_NONE, RX_NONE},
        {"too early, again", 3, EDDY_EEXIST, RX_NONE, RX_NONE},
        {"earlier still", 5, EDDY_OK, RX_NONE, RX_NONE},
        {"fills one gap", 2, EDDY_OK, 2, 3},
        {"what was held has come", 3, EDDY_EEXIST, RX_NONE, RX_NONE},
        {"fills the other", 4, EDDY_OK, 4, 5},
        {"the edge of the smallest ring", 6 + 15, EDDY_OK, RX_NONE, RX_NONE},
        {"past it", 6 + 16, EDDY_OK, RX_NONE, RX_NONE},
        {"the last of the window", 6 + ED_LANE_WINDOW - 1, EDDY_OK, RX_NONE, RX_NONE},
        {"past the window", 6 + ED_LANE_WINDOW, BEYOND, RX_NONE, RX_NONE},
        {"the expected one", 6, EDDY_OK, 6, 6},
        {"the window has moved", 7 + ED_LANE_WINDOW - 1, EDDY_OK, RX_NONE, RX_NONE},
        {"by one", 7 + ED_LANE_WINDOW, BEYOND, RX_NONE, RX_NONE},
    };

    (void)state;
    for (size_t s = 0; s < ED_COUNT(starts); s++) {
        rx_grant(PLENTY);
        rx_start_lane_at(RO, 0, starts[s]);
        for (size_t i = 0; i < ED_COUNT(rows); i++) {
            // What is past the window was before the first message, or was a message once.
            int beyond = starts[s] + ED_LANE_WINDOW >= 1 << 16 ? EDDY_EEXIST : EDDY_EPROTO;
            int want = rows[i].want == BEYOND ? beyond : rows[i].want;
            CHECK_EQ(rows[i].name, receive(starts[s] + rows[i].sequence), want);
            for (int64_t n = rows[i].deliver_first; n != RX_NONE && n <= rows[i].deliver_last; n++)
                rx_expect(rows[i].name, (uint32_t)(starts[s] + (uint64_t)n), 4, 0);
            rx_expect_none(rows[i].name);
        }
        rx_restart();
    }
}

/** Only the window is ahead: a message that was held up in the network is old, however long. */
static void all_but_the_window_is_old(void **state)
{
    enum { LENGTH = 70 * 1000, SPACE = 1 << 16 };
    enum { LATEST = (ED_REPLAY_WINDOW - 1) * ED_LANE_BURST_MAX + ED_LANE_WINDOW };
    static const struct {
        const char *name;
        uint32_t length; /* of the lane so far */
        uint32_t back;   /* behind the expected one */
        unsigned bits;
        eddy_status want;
    } rows[] = {
        {"the last one", LENGTH, 1, 16, EDDY_EEXIST},
        {"a window back", LENGTH, ED_LANE_WINDOW, 16, EDDY_EEXIST},
        {"half the space back", LENGTH, SPACE / 2, 16, EDDY_EEXIST},
        {"more than half", LENGTH, SPACE / 2 + 1, 16, EDDY_EEXIST},
        {"as far back as a packet may be late", LENGTH, LATEST, 16, EDDY_EEXIST},
        {"all but the window", LENGTH, SPACE - ED_LANE_WINDOW, 16, EDDY_EEXIST},
        {"one more, which is the last of the window", LENGTH, SPACE - ED_LANE_WINDOW + 1, 16,
         EDDY_OK},
        {"four bytes, once around two", LENGTH, SPACE, 32, EDDY_EEXIST},
        {"four bytes, the first of all", LENGTH, LENGTH, 32, EDDY_EEXIST},
        {"four bytes, before it", LENGTH, LENGTH + 1, 32, EDDY_EPROTO},
        {"a short lane, its first", 40000, 40000, 16, EDDY_EEXIST},
        {"a short lane, before it", 40000, 40001, 16, EDDY_EPROTO},
        {"a new lane, before its first", 0, 1, 16, EDDY_EPROTO},
        {"a new lane, half the space ahead", 0, SPACE / 2, 16, EDDY_EPROTO},
        {"a new lane, just past the window", 0, SPACE - ED_LANE_WINDOW, 16, EDDY_EPROTO},
        {"a new lane, the last of the window", 0, SPACE - ED_LANE_WINDOW + 1, 16, EDDY_OK},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (uint8_t guarantee = RU; guarantee <= RS; guarantee++) {
            uint32_t mask = rows[i].bits == 16 ? SPACE - 1 : UINT32_MAX;
            ed_message_frame message = {.guarantee = guarantee,
                                        .sequence_bits = (uint8_t)rows[i].bits,
                                        .sequence = (rows[i].length - rows[i].back) & mask};
            rx_grant(PLENTY);
            rx_start_lane_at(guarantee, 0, rows[i].length);
            CHECK_EQ(rows[i].name, rx_frame(&message), rows[i].want);
            rx_restart();
        }
}

/** Shuffled and doubled as far as a window allows: one of each, in order if that is wanted. */
static void shuffled_life(uint8_t guarantee, uint64_t start)
{
    enum { COUNT = 20 * 1000, SPREAD = ED_LANE_WINDOW / 2 };
    static uint32_t order[COUNT];
    static bool seen[COUNT];
    uint64_t seed = 7;
    uint32_t delivered = 0;

    rx_grant(PLENTY);
    rx_start_lane_at(guarantee, 0, start);
    memset(seen, 0, sizeof(seen));
    for (uint32_t n = 0; n < COUNT; n++)
        order[n] = n;
    // Swaps within blocks: nothing moves further than a block, so the window always holds it.
    for (uint32_t n = 0; n < COUNT; n++) {
        uint32_t other = n / SPREAD * SPREAD + splitmix_below(&seed, SPREAD);
        uint32_t kept = order[n];
        if (other >= COUNT)
            continue;
        order[n] = order[other];
        order[other] = kept;
    }
    for (uint32_t n = 0; n < COUNT; n++) {
        CHECK_EQ("new", rx_piece(guarantee, 0, start + order[n], 4), EDDY_OK);
        CHECK_EQ("again", rx_piece(guarantee, 0, start + order[n], 4), EDDY_EEXIST);
        for (; rx.inbox.first_ready != NULL; delivered++) {
            uint32_t want = guarantee == RO ? delivered : order[n];
            CHECK("once", !seen[want]);
            seen[want] = true;
            rx_expect("it", (uint32_t)(start + want), 4, 0);
        }
    }
    CHECK_EQ("all", delivered, COUNT);
    CHECK_EQ("nothing is out", rx_charged(), 0);
    CHECK_EQ("all is consumed", rx.inbox.credit.consumed, rx.inbox.credit.claimed);
}

static void a_long_shuffled_life(void **state)
{
    (void)state;
    for (size_t s = 0; s < ED_COUNT(starts); s++)
        for (uint8_t guarantee = RU; guarantee <= RO; guarantee++) {
            shuffled_life(guarantee, starts[s]);
            rx_restart();
        }
}

/* ------------------------------------------------------------------------------ by guarantee -- */

/** The same arrivals mean something else to each guarantee. */
static void what_comes_of_arrivals(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        uint32_t arrive[6]; /* sequences */
        uint32_t want[6];
        size_t count, delivered;
    } rows[] = {
        {"unordered: as they come", RU, {2, 0, 3, 1}, {2, 0, 3, 1}, 4, 4},
        {"ordered: in order", RO, {2, 0, 3, 1}, {0, 1, 2, 3}, 4, 4},
        {"ordered: what follows a gap waits", RO, {0, 2, 3, 5}, {0}, 4, 1},
        {"sequenced: never backwards", RS, {2, 0, 3, 1}, {2, 3}, 4, 2},
        {"sequenced: gaps are no matter", RS, {0, 2, 5, 9}, {0, 2, 5, 9}, 4, 4},
        {"sequenced: the newest first", RS, {4, 3, 2, 1, 0, 5}, {4, 5}, 6, 2},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (size_t s = 0; s < ED_COUNT(starts); s++) {
            rx_start_lane_at(rows[i].guarantee, 7, starts[s]);
            for (size_t n = 0; n < rows[i].count; n++) {
                uint64_t sequence = starts[s] + rows[i].arrive[n];
                CHECK_EQ(rows[i].name, rx_piece(rows[i].guarantee, 7, sequence, 9), EDDY_OK);
                CHECK_EQ("once", rx_piece(rows[i].guarantee, 7, sequence, 9), EDDY_EEXIST);
            }
            for (size_t n = 0; n < rows[i].delivered; n++) {
                CHECK_EQ(rows[i].name, ed_block_stream(rx.inbox.first_ready), 7);
                CHECK_EQ(rows[i].name, ed_block_guarantee(rx.inbox.first_ready), rows[i].guarantee);
                rx_expect(rows[i].name, (uint32_t)(starts[s] + rows[i].want[n]), 9, 0);
            }
            rx_expect_none(rows[i].name);
            CHECK_EQ(rows[i].name, rx.stats.messages_stale,
                     rows[i].guarantee == RS ? rows[i].count - rows[i].delivered : 0);
            rx_restart();
        }
}

static void lanes_do_not_wait_for_each_other(void **state)
{
    (void)state;
    rx_grant(PLENTY);
    for (unsigned stream = 0; stream < ED_STREAM_COUNT; stream++) {
        // Every other one misses its first.
        CHECK_EQ("received", rx_piece(RO, (uint8_t)stream, stream % 2, 10), EDDY_OK);
        CHECK_EQ("the even ones come", rx.inbox.first_ready != NULL, stream % 2 == 0);
        if (stream % 2 == 0)
            rx_expect("it", 0, 10, 0);
    }
}

static void what_may_not_be_sent(void **state)
{
    static const uint8_t data[EDDY_PIECE_SIZE_MAX + 1];
    static const struct {
        const char *name;
        ed_message_frame message;
        eddy_status want;
    } rows[] = {
        {"largest piece", {.guarantee = 0, .data = {data, EDDY_PIECE_SIZE_MAX}}, EDDY_OK},
        {"larger", {.guarantee = 0, .data = {data, EDDY_PIECE_SIZE_MAX + 1}}, EDDY_EPROTO},
        {"larger, reliable",
         {.guarantee = RO, .sequence_bits = 16, .data = {data, EDDY_PIECE_SIZE_MAX + 1}},
         EDDY_EPROTO},
        {"empty", {.guarantee = RO, .sequence_bits = 16}, EDDY_OK},
        {"wide", {.guarantee = RO, .sequence_bits = 32, .sequence = 1}, EDDY_OK},
        {"wide, beyond the window",
         {.guarantee = RO, .sequence_bits = 32, .sequence = 0x10001},
         EDDY_EPROTO},
        {"in parts, and so small",
         {.guarantee = RO,
          .sequence_bits = 16,
          .fragment = true,
          .whole_size = EDDY_PIECE_SIZE_MAX,
          .data = {data, EDDY_PIECE_SIZE_MAX}},
         EDDY_EPROTO},
        {"the smallest in parts",
         {.guarantee = RO,
          .sequence_bits = 16,
          .sequence = 2,
          .fragment = true,
          .whole_size = EDDY_PIECE_SIZE_MAX + 1,
          .data = {data, EDDY_PIECE_SIZE_MAX + 1}},
         EDDY_OK},
        {"larger than we take",
         {.guarantee = RO,
          .sequence_bits = 16,
          .sequence = 3,
          .fragment = true,
          .whole_size = RX_LARGEST + 1,
          .data = {data, 1024}},
         EDDY_EPROTO},
        {"absurd",
         {.guarantee = RU,
          .sequence_bits = 16,
          .sequence = 3,
          .fragment = true,
          .whole_size = UINT64_MAX / 4,
          .data = {data, 1024}},
         EDDY_EPROTO},
        {"unreliable, larger than those may be",
         {.guarantee = 1,
          .sequence_bits = 16,
          .fragment = true,
          .whole_size = EDDY_UNRELIABLE_SIZE_MAX + 1,
          .data = {data, 1024}},
         EDDY_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, rx_frame(&rows[i].message), rows[i].want);
}

/* ------------------------------------------------------------------------------------- parts -- */

enum { WHOLE = 5000 };

/** Sends all parts of a message but those from the `missing`th on. */
static void receive_parts(uint8_t guarantee, uint64_t sequence, size_t missing)
{
    for (size_t at = 0; at < WHOLE && at / 1024 < missing; at += 1024)
        CHECK_EQ("part", rx_part(guarantee, 0, sequence, WHOLE, at, ed_min_size(at + 1024, WHOLE)),
                 EDDY_OK);
}

static void a_message_in_parts_is_one(void **state)
{
    (void)state;
    for (uint8_t guarantee = RU; guarantee <= RS; guarantee++) {
        receive_parts(guarantee, 1, 4); // all but the last
        CHECK_EQ("the one before it", rx_piece(guarantee, 0, 0, 10), EDDY_OK);
        rx_expect("comes", 0, 10, 0);
        CHECK_EQ("and one after it", rx_piece(guarantee, 0, 2, 10), EDDY_OK);
        if (guarantee != RO)
            rx_expect("which waits only for its turn", 2, 10, 0);
        rx_expect_none("nothing more yet");
        CHECK_EQ("a part again", rx_part(guarantee, 0, 1, WHOLE, 1024, 2048), EDDY_EEXIST);
        CHECK_EQ("the last", rx_part(guarantee, 0, 1, WHOLE, 4096, WHOLE), EDDY_OK);
        if (guarantee != RS)
            rx_expect("whole", 1, WHOLE, 0);
        if (guarantee == RO)
            rx_expect("then the next", 2, 10, 0);
        rx_expect_none("no more");
        CHECK_EQ("a part, late", rx_part(guarantee, 0, 1, WHOLE, 1024, 2048), EDDY_EEXIST);
        CHECK_EQ("all given back", rx.inbox.credit.consumed, rx.inbox.credit.claimed);
        CHECK_EQ("no demand", rx.inbox.credit.demand, 0);
        CHECK_EQ("no memory", rx_charged(), 0);
        rx_restart();
    }
}

static void parts_that_disagree(void **state)
{
    (void)state;
    receive_parts(RO, 1, 2);
    CHECK_EQ("another size", rx_part(RO, 0, 1, WHOLE + 1, 2048, 3072), EDDY_EPROTO);
    CHECK_EQ("in one piece", rx_piece(RO, 0, 1, 10), EDDY_EPROTO);
    CHECK_EQ("another lane is another message", rx_part(RU, 0, 1, WHOLE + 1, 0, 1024), EDDY_OK);
}

/* ------------------------------------------------------------------------------------ credit -- */

/** Each row in an inbox of its own, with so much granted. */
static void claims_end_where_the_grant_does(void **state)
{
    static const struct {
        const char *name;
        uint64_t granted;
        uint32_t sequence;
        size_t size, begin, end; /* begin and end: of a part; 0: one piece */
        eddy_status want;
    } rows[] = {
        {"empty", 64, 0, 0, 0, 0, EDDY_OK},
        {"empty, a byte short", 63, 0, 0, 0, 0, EDDY_EPROTO},
        {"small", 164, 0, 100, 0, 0, EDDY_OK},
        {"small, a byte short", 163, 0, 100, 0, 0, EDDY_EPROTO},
        {"a gap of ten costs ten", 10 * 64 + 164, 10, 100, 0, 0, EDDY_OK},
        {"a gap of ten, a byte short", 10 * 64 + 163, 10, 100, 0, 0, EDDY_EPROTO},
        {"far ahead", 8192 * 64, 8191, 0, 0, 0, EDDY_OK},
        {"far ahead, a byte short", 8192 * 64 - 1, 8191, 0, 0, 0, EDDY_EPROTO},
        {"a first part", 1152, 0, 5000, 0, 1024, EDDY_OK},
        {"a first part, a byte short", 1151, 0, 5000, 0, 1024, EDDY_EPROTO},
        {"a part claims all before it", 128 + 3072, 0, 5000, 2048, 3072, EDDY_OK},
        {"a part claims all, a byte short", 128 + 3071, 0, 5000, 2048, 3072, EDDY_EPROTO},
        {"the last of many", 128 + 262144, 0, 262144, 262016, 262144, EDDY_OK},
        {"the last of many, a byte short", 128 + 262143, 0, 262144, 262016, 262144, EDDY_EPROTO},
        {"a gap and a part", 3 * 64 + 1152, 3, 5000, 0, 1024, EDDY_OK},
        {"a gap and a part, a byte short", 3 * 64 + 1151, 3, 5000, 0, 1024, EDDY_EPROTO},
    };

    (void)state;
    for (uint8_t guarantee = RU; guarantee <= RS; guarantee++)
        for (size_t i = 0; i < ED_COUNT(rows); i++) {
            rx_grant(rows[i].granted);
            rx.inbox.credit.limit = rows[i].granted;
            eddy_status got = rows[i].end == 0
                                  ? rx_piece(guarantee, 0, rows[i].sequence, rows[i].size)
                                  : rx_part(guarantee, 0, rows[i].sequence, rows[i].size,
                                            rows[i].begin, rows[i].end);
            CHECK_EQ(rows[i].name, got, rows[i].want);
            if (got == EDDY_OK)
                CHECK_EQ(rows[i].name, rx.inbox.credit.claimed, rows[i].granted);
            rx_restart();
        }
}

/** What was claimed with a gap is not claimed again as the gap fills. */
static void a_gap_is_claimed_once(void **state)
{
    (void)state;
    CHECK_EQ("far", rx_piece(RU, 0, 9, 100), EDDY_OK);
    CHECK_EQ("ten and its bytes", rx.inbox.credit.claimed, 10 * 64 + 100);
    CHECK_EQ("before it", rx_piece(RU, 0, 4, 50), EDDY_OK);
    CHECK_EQ("its bytes", rx.inbox.credit.claimed, 10 * 64 + 150);
    CHECK_EQ("a part", rx_part(RU, 0, 3, 5000, 1024, 2048), EDDY_OK);
    CHECK_EQ("up to its end", rx.inbox.credit.claimed, 10 * 64 + 150 + 64 + 2048);
    CHECK_EQ("the part before", rx_part(RU, 0, 3, 5000, 0, 1024), EDDY_OK);
    CHECK_EQ("nothing new", rx.inbox.credit.claimed, 10 * 64 + 150 + 64 + 2048);
    CHECK_EQ("again", rx_piece(RU, 0, 4, 50), EDDY_EEXIST);
    CHECK_EQ("nothing new", rx.inbox.credit.claimed, 10 * 64 + 150 + 64 + 2048);
    CHECK_EQ("whole ones are consumed as they are given back", rx.inbox.credit.consumed, 0);
}

/** What the program still holds of a connection that is over is the manager's to remember. */
static void what_is_held_at_the_end(void **state)
{
    (void)state;
    CHECK_EQ("reliable", rx_piece(RO, 0, 0, 100), EDDY_OK);
    CHECK_EQ("unreliable", rx_piece(0, 0, 0, 50), EDDY_OK);
    CHECK_EQ("not taken", rx_piece(RO, 0, 1, 100), EDDY_OK);
    CHECK_EQ("not in order", rx_piece(RO, 0, 3, 100), EDDY_OK);
    ed_block *reliable = ed_inbox_next(&rx.inbox), *unreliable = ed_inbox_next(&rx.inbox);
    ed_inbox_free(&rx.inbox);
    CHECK_EQ("reliable", rx.room.orphans, 164);
    CHECK_EQ("unreliable", rx.room.unreliable, 114);
    CHECK_EQ("nothing else", rx_charged(), ed_block_charge(reliable) + ed_block_charge(unreliable));
    CHECK_EQ("no window", rx.room.windows, 0);
    ed_inbox_returned_late(&rx.room, true, ed_charge_of(reliable->size));
    ed_inbox_returned_late(&rx.room, false, ed_charge_of(unreliable->size));
    ed_pool_give(reliable);
    ed_pool_give(unreliable);
    CHECK("all is back", rx.room.orphans == 0 && rx.room.unreliable == 0);
    CHECK("for the end of the test", ed_inbox_init(&rx.inbox, rx.inbox.parts, 0));
}

/* -------------------------------------------------------------------------------------- SKIP -- */

enum { CHARGE = 164 };

/** One ordered lane over all rows. */
static void skip_steps(void **state)
{
    static const struct {
        const char *name;
        bool is_skip;
        uint32_t sequence;
        eddy_status want;
        int64_t deliver_first; /* RX_NONE: nothing comes of it */
        int64_t deliver_last;
        uint32_t skipped; /* before the first of these */
    } rows[] = {
        {"the expected one", true, 0, EDDY_OK, RX_NONE, RX_NONE, 0},
        {"again", true, 0, EDDY_EEXIST, RX_NONE, RX_NONE, 0},
        {"it comes late", false, 0, EDDY_EEXIST, RX_NONE, RX_NONE, 0},
        {"the next tells of it", false, 1, EDDY_OK, 1, 1, 1},
        {"too early", false, 4, EDDY_OK, RX_NONE, RX_NONE, 0},
        {"one before it", true, 3, EDDY_OK, RX_NONE, RX_NONE, 0},
        {"it comes late", false, 3, EDDY_EEXIST, RX_NONE, RX_NONE, 0},
        {"what is here cannot be skipped", true, 4, EDDY_EEXIST, RX_NONE, RX_NONE, 0},
        {"and fills the gap", true, 2, EDDY_OK, 4, 4, 2},
        {"what was delivered cannot be skipped", true, 4, EDDY_EEXIST, RX_NONE, RX_NONE, 0},
        {"two of a gap", true, 6, EDDY_OK, RX_NONE, RX_NONE, 0},
        {"the other", true, 5, EDDY_OK, RX_NONE, RX_NONE, 0},
        {"and one that comes, but not first", false, 8, EDDY_OK, RX_NONE, RX_NONE, 0},
        {"the first comes", false, 7, EDDY_OK, 7, 8, 2},
        {"past the window", true, 9 + ED_LANE_WINDOW, EDDY_EPROTO, RX_NONE, RX_NONE, 0},
    };

    (void)state;
    for (size_t s = 0; s < ED_COUNT(starts); s++) {
        rx_start_lane_at(RO, 0, starts[s]);
        rx_grant(PLENTY);
        for (size_t i = 0; i < ED_COUNT(rows); i++) {
            uint64_t sequence = starts[s] + rows[i].sequence;
            // A SKIP tells 32 bits: past the window of a lane as long as that is what was once.
            bool was_once = starts[s] + 20 > UINT32_MAX && rows[i].want == EDDY_EPROTO;
            CHECK_EQ(rows[i].name,
                     rows[i].is_skip ? rx_skip(RO, 0, sequence, CHARGE)
                                     : rx_piece(RO, 0, sequence, 100),
                     was_once ? EDDY_EEXIST : rows[i].want);
            for (int64_t n = rows[i].deliver_first; n != RX_NONE && n <= rows[i].deliver_last; n++)
                rx_expect(rows[i].name, (uint32_t)(starts[s] + (uint64_t)n), 100,
                          n == rows[i].deliver_first ? rows[i].skipped : 0);
            rx_expect_none(rows[i].name);
        }
        CHECK_EQ("counted", rx.stats.messages_skipped, 5);
        CHECK_EQ("all is given back", rx.inbox.credit.consumed, rx.inbox.credit.claimed);
        CHECK_EQ("nothing is held", rx_charged(), 0);
        rx_restart();
    }
}

/** Where there is no order nobody is told of what was skipped. */
static void skips_without_an_order(void **state)
{
    (void)state;
    for (uint8_t guarantee = RU; guarantee <= RS; guarantee++) {
        if (guarantee == RO)
            continue;
        CHECK_EQ("the first", rx_skip(guarantee, 0, 0, CHARGE), EDDY_OK);
        CHECK_EQ("ahead", rx_skip(guarantee, 0, 2, CHARGE), EDDY_OK);
        CHECK_EQ("between", rx_piece(guarantee, 0, 1, 10), EDDY_OK);
        rx_expect("not told", 1, 10, 0);
        CHECK_EQ("after", rx_piece(guarantee, 0, 3, 10), EDDY_OK);
        rx_expect("not told", 3, 10, 0);
        rx_restart();
    }
}

/** What a SKIP says was charged, and what is known to have been. */
static void the_charge_of_a_skip(void **state)
{
    static const struct {
        const char *name;
        uint32_t sequence;
        size_t parts; /* of a message of 5,000 bytes that came before */
        uint64_t charge;
        uint64_t granted;
        eddy_status want;
        uint64_t claimed; /* after it */
    } rows[] = {
        {"the least", 0, 0, 64, 64, EDDY_OK, 64},
        {"less", 0, 0, 63, 1000, EDDY_EPROTO, 64},
        {"a byte", 0, 0, 1, 1000, EDDY_EPROTO, 64},
        {"to the byte", 0, 0, 1214, 1214, EDDY_OK, 1214},
        {"a byte short", 0, 0, 1214, 1213, EDDY_EPROTO, 64},
        {"a gap before it", 5, 0, 100, 5 * 64 + 100, EDDY_OK, 5 * 64 + 100},
        {"a gap, a byte short", 5, 0, 100, 5 * 64 + 99, EDDY_EPROTO, 6 * 64},
        {"absurd", 0, 0, UINT64_MAX / 4, 100000, EDDY_EPROTO, 64},
        {"of one that has begun", 0, 2, 128 + 2048, 10000, EDDY_OK, 128 + 2048},
        {"more of it is on its way", 0, 2, 128 + 4096, 10000, EDDY_OK, 128 + 4096},
        {"less than has come", 0, 2, 128 + 2047, 10000, EDDY_EPROTO, 128 + 2048},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        rx_grant(rows[i].granted);
        rx.inbox.credit.limit = rows[i].granted;
        receive_parts(RO, rows[i].sequence, rows[i].parts);
        CHECK_EQ(rows[i].name, rx_skip(RO, 0, rows[i].sequence, rows[i].charge), rows[i].want);
        CHECK_EQ(rows[i].name, rx.inbox.credit.claimed, rows[i].claimed);
        if (rows[i].want == EDDY_OK) {
            CHECK_EQ(rows[i].name, rx.inbox.credit.demand, 0);
            CHECK_EQ(rows[i].name, rx_part(RO, 0, rows[i].sequence, 5000, 3072, 4096), EDDY_EEXIST);
        }
        rx_restart();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(steps, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(all_but_the_window_is_old, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(a_long_shuffled_life, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(what_comes_of_arrivals, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(lanes_do_not_wait_for_each_other, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(what_may_not_be_sent, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(a_message_in_parts_is_one, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(parts_that_disagree, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(claims_end_where_the_grant_does, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(a_gap_is_claimed_once, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(what_is_held_at_the_end, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(skip_steps, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(skips_without_an_order, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(the_charge_of_a_skip, rx_setup, rx_teardown),
    };
    return cmocka_run_group_tests_name("stream_receive", tests, NULL, NULL);
}
