/** An inbox under test: frames are given to it by hand, and what it delivers is looked at. */
#ifndef ED_TEST_INBOX_BED_H
#define ED_TEST_INBOX_BED_H

#include "tests/support/check.h"

#include "core/alloc.h"
#include "transport/partial.h"

enum {
    RX_BUDGET = 8 << 20,
    RX_LARGEST = 256 << 10,
    RX_UNRELIABLE = 64 << 10,
    RX_NONE = -1,
};

struct rx {
    ed_counting_alloc counting;
    ed_pool *pool;
    ed_credit_pool room;
    eddy_stats stats;
    ed_inbox_parts parts;
    ed_inbox inbox;
    uint64_t packet; /* the number of the next */
    uint64_t now_ns;
};

static struct rx rx;

static inline void rx_open(size_t budget, size_t largest)
{
    memset(&rx, 0, sizeof(rx));
    ed_counting_alloc_init(&rx.counting, NULL);
    rx.pool = ed_pool_create(&rx.counting.allocator, budget);
    CHECK("pool", rx.pool != NULL);
    ed_credit_pool_init(&rx.room, budget, largest, 4);
    rx.parts = (ed_inbox_parts){.allocator = &rx.counting.allocator,
                                .pool = rx.pool,
                                .room = &rx.room,
                                .stats = &rx.stats,
                                .max_message_size = largest,
                                .unreliable_budget = RX_UNRELIABLE};
    CHECK("inbox", ed_inbox_init(&rx.inbox, &rx.parts, 0));
}

static inline int rx_setup(void **state)
{
    (void)state;
    rx_open(RX_BUDGET, RX_LARGEST);
    return 0;
}

/** What is held, but for the rings that are kept for the next gap. */
static inline size_t rx_charged(void)
{
    CHECK("kept rings", rx.inbox.kept_rings_size <= ED_KEPT_RINGS_SIZE_MAX);
    return ed_pool_charged(rx.pool) - rx.inbox.kept_rings_size;
}

/** Nothing may be left: no block, no memory, nothing reserved. */
static inline int rx_teardown(void **state)
{
    (void)state;
    ed_inbox_free(&rx.inbox);
    size_t charged = ed_pool_charged(rx.pool);
    ed_pool_destroy(rx.pool);
    bool is_clean = charged == 0 && rx.counting.live_count == 0 && rx.room.windows == 0 &&
                    rx.room.demands == 0 && rx.room.orphans == 0 && rx.room.lanes == 0 &&
                    rx.room.unreliable == 0 && ed_list_empty(&rx.room.waiting);
    return is_clean ? 0 : -1;
}

static inline void rx_restart(void)
{
    CHECK_EQ("nothing left", rx_teardown(NULL), 0);
    rx_open(RX_BUDGET, RX_LARGEST);
}

/** Grants as much as anyone may want, for tests of other things. */
static inline void rx_grant(uint64_t charge)
{
    rx.room.windows += charge;
    rx.inbox.credit.window += charge;
    rx.inbox.credit.limit += charge;
}

/** The bytes from `at` on of the message with this mark: no two places and no two marks agree. */
static inline void rx_fill(uint32_t mark, size_t at, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t x = ((uint64_t)mark << 32 | (at + i)) * UINT64_C(0x9e3779b97f4a7c15);
        data[i] = (uint8_t)(x >> 56);
    }
}

static inline bool rx_is_message(uint32_t mark, const uint8_t *data, size_t size)
{
    static uint8_t want[RX_LARGEST];

    rx_fill(mark, 0, want, size);
    return memcmp(data, want, size) == 0;
}

static inline eddy_status rx_frame(const ed_message_frame *message)
{
    return ed_inbox_receive(&rx.inbox, message, rx.packet++, rx.now_ns);
}

/** A message in one piece; its mark is its sequence. */
static inline eddy_status rx_piece(uint8_t guarantee, uint8_t stream, uint64_t sequence,
                                   size_t size)
{
    static uint8_t data[EDDY_UNRELIABLE_SIZE_MAX];
    bool has_sequence = ed_frame_has_sequence(guarantee, false);
    ed_message_frame message = {.guarantee = guarantee,
                                .stream = stream,
                                .sequence_bits = has_sequence ? 16 : 0,
                                .sequence = has_sequence ? (uint16_t)sequence : 0,
                                .data = {.data = data, .size = size}};

    rx_fill((uint32_t)sequence, 0, data, size);
    return rx_frame(&message);
}

/** The bytes from `begin` to `end` of a message of `whole` bytes. */
static inline eddy_status rx_part(uint8_t guarantee, uint8_t stream, uint64_t sequence,
                                  size_t whole, size_t begin, size_t end)
{
    static uint8_t data[RX_LARGEST];
    ed_message_frame message = {.guarantee = guarantee,
                                .stream = stream,
                                .sequence_bits = 16,
                                .sequence = (uint16_t)sequence,
                                .fragment = true,
                                .whole_size = whole,
                                .fragment_index = begin / ED_FRAGMENT_UNIT,
                                .data = {.data = data, .size = end - begin}};

    rx_fill((uint32_t)sequence, begin, data, end - begin);
    return rx_frame(&message);
}

static inline eddy_status rx_skip(uint8_t guarantee, uint8_t stream, uint64_t sequence,
                                  uint64_t charge)
{
    ed_skip_frame skip = {
        .guarantee = guarantee, .stream = stream, .sequence = (uint32_t)sequence, .charge = charge};

    return ed_inbox_skip(&rx.inbox, &skip);
}

static inline bool rx_is_reliable(const ed_block *block)
{
    return ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED;
}

/** The program gives a message back. */
static inline void rx_return(ed_block *block)
{
    ed_inbox_returned(&rx.inbox, rx_is_reliable(block), ed_charge_of(block->size));
    ed_pool_give(block);
}

/** Takes the next message, which must be that of `mark`, whole, and gives it back at once. */
static inline void rx_expect(const char *name, uint32_t mark, size_t size, uint32_t skipped)
{
    ed_block *block = ed_inbox_next(&rx.inbox);

    CHECK(name, block != NULL);
    CHECK_EQ(name, block->size, size);
    CHECK(name, rx_is_message(mark, block->data, size));
    CHECK_EQ(name, ed_block_skipped(block), skipped);
    rx_return(block);
}

static inline void rx_expect_none(const char *name)
{
    CHECK(name, ed_inbox_next(&rx.inbox) == NULL);
}

/** As if so many messages of a lane had come and gone. */
static inline ed_lane_in *rx_start_lane_at(uint8_t guarantee, uint8_t stream, uint64_t sequence)
{
    bool made = false;
    ed_lane_in *lane = ed_lanes_get(&rx.inbox.lanes, guarantee, stream, &made);

    CHECK("new", lane != NULL && made);
    lane->expected = sequence;
    lane->highest = sequence;
    lane->newest = sequence;
    return lane;
}

#endif
