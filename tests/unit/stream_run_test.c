/** Messages that are received in runs: nobody can tell but by the time that it takes. */
#include "tests/unit/inbox_bed.h"

#include "tests/support/splitmix.h"

enum {
    STREAMS = 2,
    LANES = ED_WIRE_GUARANTEE_COUNT * STREAMS,
    RUN_SIZE_MAX = 20,
    EVENTS_MAX = 64 * 1024,
    PLENTY = 1 << 30, /* of credit */
    ALL = 1 << 20,
};

static const uint8_t payload[2 * EDDY_PIECE_SIZE_MAX] = {1, 2, 3};

static ed_message_run run_of(uint8_t guarantee, uint8_t stream, uint64_t sequence, size_t count,
                             size_t size)
{
    bool has_sequence = ed_frame_has_sequence(guarantee, false);
    ed_message_run run = {.count = count};

    for (size_t i = 0; i < count; i++) {
        run.sizes[i] = size;
        run.data[i] = payload + i;
    }
    run.first = (ed_message_frame){.guarantee = guarantee,
                                   .stream = stream,
                                   .sequence_bits = has_sequence ? 16 : 0,
                                   .sequence = has_sequence ? (uint16_t)sequence : 0,
                                   .data = {.data = payload, .size = size}};
    return run;
}

/* ------------------------------------------------------------------------------------- rows -- */

struct row {
    const char *name;
    uint64_t sequence; /* of the first; the lane expects 100 */
    uint64_t credit;   /* of which there is so much beyond what is granted at first */
    size_t size;
    size_t held; /* of those messages beyond the run that came before, in one piece */
    size_t budget_blocks;
    size_t taken; /* of ten */
    eddy_status next;
};

static void take_row(const struct row *row, uint8_t guarantee)
{
    ed_message_run run = run_of(guarantee, 0, row->sequence, 10, row->size);
    ed_lane_in *lane = rx_start_lane_at(guarantee, 0, 100);
    uint64_t left = rx.inbox.credit.limit - rx.inbox.credit.claimed;

    rx.inbox.credit.claimed += left - ed_min_u64(left, row->credit);
    rx.inbox.credit.consumed = rx.inbox.credit.claimed;
    for (size_t i = 0; i < row->held; i++)
        CHECK_EQ(row->name, rx_piece(guarantee, 0, 115 + i, 1), EDDY_OK);
    rx.counting.fail_after = row->budget_blocks == ALL ? UINT64_MAX : row->budget_blocks;
    size_t taken = ed_inbox_receive_run(&rx.inbox, &run, rx.packet);
    rx.counting.fail_after = row->budget_blocks == ALL ? UINT64_MAX : 0;
    CHECK_EQ(row->name, taken, row->taken);
    CHECK_EQ(row->name, lane->expected, 100 + taken);
    CHECK_EQ(row->name, lane->delivered,
             taken + (guarantee == ED_WIRE_RELIABLE_ORDERED ? 0 : row->held));
    CHECK("valid", ed_credit_valid(&rx.inbox.credit));
    if (taken == 10)
        return;
    ed_message_frame next = ed_message_of_run(&run, taken);
    CHECK_EQ(row->name, ed_inbox_receive(&rx.inbox, &next, rx.packet, 0), row->next);
}

static void what_is_not_in_its_turn_is_left(void **state)
{
    enum { CHARGE = 10 + EDDY_MESSAGE_CHARGE };
    static const struct row rows[] = {
        {"in its turn", 100, ALL, 10, 0, ALL, 10, EDDY_OK},
        {"empty ones", 100, ALL, 0, 0, ALL, 10, EDDY_OK},
        {"the largest in one piece", 100, ALL, EDDY_PIECE_SIZE_MAX, 0, ALL, 10, EDDY_OK},
        {"larger", 100, ALL, EDDY_PIECE_SIZE_MAX + 1, 0, ALL, 0, EDDY_EPROTO},
        {"one too early", 101, ALL, 10, 0, ALL, 0, EDDY_OK},
        {"one that has come before", 99, ALL, 10, 0, ALL, 0, EDDY_EEXIST},
        {"of long before the first", 100 + ED_LANE_WINDOW, ALL, 10, 0, ALL, 0, EDDY_EPROTO},
        {"a later one is held", 100, ALL, 10, 1, ALL, 0, EDDY_OK},
        {"credit for all", 100, 10 * CHARGE, 10, 0, ALL, 10, EDDY_OK},
        {"credit for nine", 100, 10 * CHARGE - 1, 10, 0, ALL, 9, EDDY_EPROTO},
        {"credit for none", 100, CHARGE - 1, 10, 0, ALL, 0, EDDY_EPROTO},
        {"memory for four", 100, ALL, 10, 0, 4, 4, EDDY_ENOMEM},
        {"no memory", 100, ALL, 10, 0, 0, 0, EDDY_ENOMEM},
    };

    (void)state;
    for (uint8_t guarantee = ED_WIRE_RELIABLE_UNORDERED; guarantee < ED_WIRE_GUARANTEE_COUNT;
         guarantee++)
        for (size_t i = 0; i < ED_COUNT(rows); i++) {
            rx_grant(rows[i].credit == ALL ? PLENTY : 0);
            take_row(&rows[i], guarantee);
            rx.counting.fail_after = UINT64_MAX;
            rx_restart();
        }
}

static void unreliable_ones_have_their_account(void **state)
{
    enum { CHARGE = 10 + EDDY_MESSAGE_CHARGE };
    ed_message_run run = run_of(ED_WIRE_UNRELIABLE_SEQUENCED, 0, 0, 10, 10);

    (void)state;
    CHECK_EQ("the lane is made by the first", ed_inbox_receive_run(&rx.inbox, &run, 5), 0);
    rx_start_lane_at(ED_WIRE_UNRELIABLE_SEQUENCED, 0, 0);
    CHECK_EQ("all", ed_inbox_receive_run(&rx.inbox, &run, 5), 10);
    CHECK_EQ("again in the same packet", ed_inbox_receive_run(&rx.inbox, &run, 5), 10);
    CHECK_EQ("an older packet", ed_inbox_receive_run(&rx.inbox, &run, 4), 0);
    CHECK_EQ("charged", rx.inbox.unreliable, 20 * CHARGE);
    CHECK_EQ("of all", rx.room.unreliable, 20 * CHARGE);
    rx.parts.unreliable_budget = 27 * CHARGE - 1;
    CHECK_EQ("no more than there is room for", ed_inbox_receive_run(&rx.inbox, &run, 6), 6);
    rx.parts.unreliable_budget = RX_UNRELIABLE;
    rx.room.unreliable_max = 28 * CHARGE;
    CHECK_EQ("nor of all", ed_inbox_receive_run(&rx.inbox, &run, 6), 2);
}

/* ---------------------------------------------------------------------- beside one by one -- */

/** What can be seen of an inbox, in the order that it was seen. */
struct seen {
    uint64_t events[EVENTS_MAX];
    size_t count;
};

static void note(struct seen *seen, uint64_t event)
{
    CHECK("room", seen->count < EVENTS_MAX);
    seen->events[seen->count++] = event;
}

static void note_ready(struct seen *seen)
{
    for (ed_block *block = ed_inbox_next(&rx.inbox); block != NULL;
         block = ed_inbox_next(&rx.inbox)) {
        note(seen, block->note);
        note(seen, block->size);
        note(seen, block->size == 0 ? 0 : block->data[0]);
        rx_return(block);
    }
}

static void note_counts(struct seen *seen)
{
    const ed_credit_in *credit = &rx.inbox.credit;
    const uint64_t *stats = (const uint64_t *)(const void *)&rx.stats;

    note(seen, credit->claimed);
    note(seen, credit->consumed);
    note(seen, rx.inbox.unreturned);
    note(seen, rx.inbox.unreliable);
    note(seen, rx.room.unreliable);
    for (size_t i = 0; i < sizeof(rx.stats) / sizeof(*stats); i++)
        note(seen, stats[i]);
}

/** Mostly the next messages of the lane, else some that are early or late. */
static ed_message_run draw_run(uint64_t next[LANES], uint64_t *seed)
{
    uint8_t guarantee = (uint8_t)splitmix_below(seed, ED_WIRE_GUARANTEE_COUNT);
    uint8_t stream = (uint8_t)splitmix_below(seed, STREAMS);
    uint64_t *at = &next[guarantee * STREAMS + stream];
    uint64_t sequence = *at;
    size_t count = 1 + splitmix_below(seed, RUN_SIZE_MAX);

    if (splitmix_below(seed, 4) == 0)
        sequence += splitmix_below(seed, 12);
    else if (splitmix_below(seed, 4) == 0)
        sequence -= ed_min_u64(sequence, splitmix_below(seed, 12));
    if (sequence == *at)
        *at += count;
    ed_message_run run = run_of(guarantee, stream, sequence, count, 0);
    for (size_t i = 0; i < count; i++)
        run.sizes[i] = splitmix_below(seed, 40);
    if (splitmix_below(seed, 500) == 0)
        run.sizes[count / 2] = EDDY_PIECE_SIZE_MAX + 1;
    return run;
}

/** @return false where the connection would end. */
static bool take_run(const ed_message_run *run, bool at_once, struct seen *seen)
{
    size_t done = at_once ? ed_inbox_receive_run(&rx.inbox, run, rx.packet) : 0;

    for (size_t i = 0; i < done; i++)
        note(seen, (uint64_t)EDDY_OK);
    for (size_t i = done; i < run->count; i++) {
        ed_message_frame message = ed_message_of_run(run, i);
        eddy_status status = ed_inbox_receive(&rx.inbox, &message, rx.packet, 0);
        note(seen, (uint64_t)status);
        if (status != EDDY_OK && status != EDDY_EEXIST)
            return false;
    }
    return true;
}

/** One of a lane is given up, mostly the next one. */
static bool take_skip(uint64_t next[LANES], uint64_t *seed, struct seen *seen)
{
    ed_skip_frame skip = {.guarantee =
                              (uint8_t)(ED_WIRE_RELIABLE_UNORDERED + splitmix_below(seed, 3)),
                          .stream = (uint8_t)splitmix_below(seed, STREAMS),
                          .charge = EDDY_MESSAGE_CHARGE};
    uint64_t *at = &next[skip.guarantee * STREAMS + skip.stream];

    skip.sequence = (uint32_t)*at;
    *at += splitmix_below(seed, 4) == 0 ? 0 : 1;
    eddy_status status = ed_inbox_skip(&rx.inbox, &skip);
    note(seen, (uint64_t)status);
    return status == EDDY_OK || status == EDDY_EEXIST;
}

static void live(uint64_t seed, bool at_once, struct seen *seen)
{
    enum { ROUNDS = 400 };
    uint64_t next[LANES] = {0};
    bool goes_on = true;

    seen->count = 0;
    rx.packet = 1000;
    rx_grant(splitmix_below(&seed, 400 * 1000));
    for (unsigned round = 0; round < ROUNDS && goes_on; round++) {
        ed_message_run run = draw_run(next, &seed);
        goes_on = take_run(&run, at_once, seen);
        if (splitmix_below(&seed, 8) == 0)
            goes_on = goes_on && take_skip(next, &seed, seen);
        rx.packet += splitmix_below(&seed, 8) == 0 ? UINT64_MAX : 1; // one comes late
        if (splitmix_below(&seed, 4) == 0)
            note_ready(seen);
    }
    note_ready(seen);
    note_counts(seen);
    rx_restart();
}

static void runs_are_as_one_by_one(void **state)
{
    enum { SEEDS = 200 };
    static struct seen alone, together;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        live(seed, false, &alone);
        live(seed, true, &together);
        CHECK_EQ("events", together.count, alone.count);
        CHECK_BYTES("what is seen", together.events, alone.events, alone.count * sizeof(uint64_t));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_in_its_turn_is_left, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(unreliable_ones_have_their_account, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(runs_are_as_one_by_one, rx_setup, rx_teardown),
    };

    return cmocka_run_group_tests_name("stream_run", tests, NULL, NULL);
}
