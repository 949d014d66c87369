/**
 * An inbox that is told anything: messages, parts of them and skips, on a few lanes, near the
 * sequences that it expects; a program that gives messages back or does not; memory that fails.
 *
 * Each reliable message is delivered once, whole, and in order where that is promised; credit stays
 * in order, and memory within one and a half of what was charged for it.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/reader.h"
#include "transport/partial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    BUDGET = 1 << 20,
    LARGEST = 64 << 10,
    UNRELIABLE = 32 << 10,
    ORDERS_MAX = 256,
    STREAMS = 2,
    SEQUENCES_MAX = 4096, /* of which is remembered what came of them */
    HELD_MAX = 4,
    LATE = 5,     /* packets, if late at all */
    SIZE_MIN = 2, /* a message says its sequence */
    STEP = 37,    /* from each byte of a message to the next */
};

#define LONG_NS (200 * ED_NS_PER_S)

static struct {
    ed_counting_alloc memory;
    ed_pool *pool;
    ed_credit_pool room;
    eddy_stats stats;
    ed_inbox_parts parts;
    ed_inbox inbox;
    uint64_t newest; /* packet */
    uint64_t packet; /* that is said now */
    uint64_t now_ns;
    ed_block *held[HELD_MAX];
    uint8_t seen[ED_WIRE_GUARANTEE_COUNT][STREAMS][SEQUENCES_MAX / 8];
    uint32_t ordered_end[ED_WIRE_GUARANTEE_COUNT][STREAMS]; /* above the newest delivered */
} run;

/* ------------------------------------------------------------------------------ what is said -- */

/** Bytes `begin` to `end` of the message of a sequence. */
static ed_span content(uint32_t sequence, size_t begin, size_t end)
{
    static uint8_t data[LARGEST];

    for (size_t i = begin; i < end; i++)
        data[i - begin] = (uint8_t)((sequence >> (i % 2 * 8)) + i * STEP);
    return (ed_span){.data = data, .size = end - begin};
}

/** Near what the lane expects, mostly ahead of it. */
static uint32_t read_sequence(ed_reader *r, uint8_t guarantee, uint8_t stream)
{
    const ed_lane_in *lane = ed_lanes_find(&run.inbox.lanes, guarantee, stream);
    int8_t offset = (int8_t)ed_read_u8(r);
    uint32_t expected = lane == NULL ? 0 : (uint32_t)lane->expected;

    return offset < -32 ? (uint32_t)ed_read_u16(r) : (uint32_t)((int64_t)expected + offset);
}

static eddy_status say_piece(ed_message_frame *message, ed_reader *r)
{
    bool reliable = message->guarantee >= ED_WIRE_RELIABLE_UNORDERED;
    size_t size = SIZE_MIN + ed_read_u16(r) % (EDDY_PIECE_SIZE_MAX - SIZE_MIN + 1u);

    message->sequence_bits = reliable ? 16 : 0;
    message->data = content(message->sequence, 0, size);
    return ed_inbox_receive(&run.inbox, message, run.packet, run.now_ns);
}

static eddy_status say_part(ed_message_frame *message, ed_reader *r)
{
    size_t whole = EDDY_PIECE_SIZE_MAX + 1u + ed_read_u16(r) % LARGEST;
    size_t units = (whole + ED_FRAGMENT_UNIT - 1) / ED_FRAGMENT_UNIT;
    size_t first = ed_read_u8(r) % units;
    size_t end = ed_min_size(first + 1u + ed_read_u8(r) % 10u, units);

    message->sequence_bits = 16;
    message->fragment = true;
    message->whole_size = whole;
    message->fragment_index = first;
    message->data = content(message->sequence, first * ED_FRAGMENT_UNIT,
                            ed_min_size(end * ED_FRAGMENT_UNIT, whole));
    return ed_inbox_receive(&run.inbox, message, run.packet, run.now_ns);
}

static eddy_status say_skip(const ed_message_frame *of, ed_reader *r)
{
    ed_skip_frame skip = {.guarantee = of->guarantee,
                          .stream = of->stream,
                          .sequence = of->sequence,
                          .charge = 1u + ed_read_u16(r)};

    if (of->guarantee < ED_WIRE_RELIABLE_UNORDERED)
        return EDDY_OK; // does not parse
    return ed_inbox_skip(&run.inbox, &skip);
}

/* -------------------------------------------------------------------------- what comes of it -- */

/** The sequence that a message says, which it must say in every byte. */
static uint32_t sequence_of(const ed_block *block)
{
    ED_ASSERT(block->size >= SIZE_MIN);
    uint8_t low = block->data[0], high = (uint8_t)(block->data[1] - STEP);

    for (size_t i = 0; i < block->size; i++)
        ED_ASSERT(block->data[i] == (uint8_t)((i % 2 == 0 ? low : high) + i * STEP));
    return (uint32_t)low | (uint32_t)high << 8;
}

static void check_delivered(const ed_block *block)
{
    uint8_t guarantee = ed_block_guarantee(block), stream = ed_block_stream(block);
    uint32_t sequence = sequence_of(block);

    ED_ASSERT(guarantee < ED_WIRE_GUARANTEE_COUNT && stream < STREAMS);
    if (guarantee < ED_WIRE_RELIABLE_UNORDERED || sequence >= SEQUENCES_MAX)
        return;
    uint8_t *seen = &run.seen[guarantee][stream][sequence / 8];
    ED_ASSERT((*seen >> sequence % 8 & 1) == 0);
    *seen = (uint8_t)(*seen | 1u << sequence % 8);
    uint32_t *end = &run.ordered_end[guarantee][stream];
    if (guarantee == ED_WIRE_RELIABLE_ORDERED)
        ED_ASSERT(sequence == *end + ed_block_skipped(block));
    else
        ED_ASSERT(ed_block_skipped(block) == 0);
    if (guarantee == ED_WIRE_RELIABLE_SEQUENCED)
        ED_ASSERT(sequence >= *end);
    *end = sequence + 1;
}

static void give_back(ed_block **place)
{
    if (*place == NULL)
        return;
    ed_inbox_returned(&run.inbox, ed_block_guarantee(*place) >= ED_WIRE_RELIABLE_UNORDERED,
                      ed_charge_of((*place)->size));
    ed_pool_give(*place);
    *place = NULL;
}

/** The program takes what there is, and holds what was taken last. */
static void take_messages(void)
{
    for (size_t i = 0; run.inbox.first_ready != NULL; i = (i + 1) % HELD_MAX) {
        give_back(&run.held[i]);
        run.held[i] = ed_inbox_next(&run.inbox);
        check_delivered(run.held[i]);
    }
}

static void check_accounts(void)
{
    const ed_credit_in *credit = &run.inbox.credit;
    uint64_t charge = credit->claimed - credit->consumed + run.inbox.unreliable;

    ED_ASSERT(ed_credit_valid(credit));
    ED_ASSERT(run.room.unreliable == run.inbox.unreliable);
    ED_ASSERT(run.inbox.unreliable <= UNRELIABLE);
    ED_ASSERT(run.inbox.kept_rings_size <= ED_KEPT_RINGS_SIZE_MAX);
    ED_ASSERT(ed_pool_charged(run.pool) <= charge * 3 / 2 + run.inbox.kept_rings_size);
}

/* -------------------------------------------------------------------------------- the orders -- */

enum order { PIECE, PART, MORE_PARTS, SKIP, READ, GIVE_BACK, TIME, NO_MEMORY, ORDER_COUNT };

static eddy_status say(enum order order, uint8_t what, ed_reader *r)
{
    ed_message_frame message = {.guarantee = (what >> 3 & 7) % ED_WIRE_GUARANTEE_COUNT,
                                .stream = what >> 6 & (STREAMS - 1)};

    message.sequence = read_sequence(r, message.guarantee, message.stream);
    if (order != SKIP)
        message.sequence &= UINT16_MAX;
    return order == PIECE  ? say_piece(&message, r)
           : order == SKIP ? say_skip(&message, r)
                           : say_part(&message, r);
}

static void act(enum order order, uint8_t value)
{
    if (order == READ)
        take_messages();
    if (order == GIVE_BACK)
        give_back(&run.held[value % HELD_MAX]);
    if (order == TIME)
        run.now_ns += value == UINT8_MAX ? LONG_NS : value * 10 * ED_NS_PER_MS;
    if (order == NO_MEMORY)
        run.memory.fail_after = value % 8;
    ed_inbox_expire(&run.inbox, run.now_ns);
    ed_credit_update(&run.inbox.credit, 50 * ED_NS_PER_MS, run.now_ns);
    ed_inbox_on_granted(&run.inbox, run.now_ns);
    ED_ASSERT(!ed_inbox_is_overdue(&run.inbox, run.now_ns)); // nobody else waits for room
    ED_ASSERT(ed_inbox_expiry_ns(&run.inbox) > run.now_ns);
}

/** @return false if the connection is over. */
static bool obey(ed_reader *r)
{
    uint8_t what = ed_read_u8(r);
    enum order order = (enum order)(what % ORDER_COUNT);
    eddy_status status = EDDY_OK;

    if (order > SKIP) {
        act(order, ed_read_u8(r));
    } else {
        run.newest += 1;
        run.packet = run.newest - (what >> 7 == 0 ? 0 : ed_min_u64(run.newest, LATE));
        status = say(order, what, r);
        run.memory.fail_after = UINT64_MAX;
    }
    if (status == EDDY_EPROTO)
        return false;
    check_accounts();
    return true;
}

static void begin(void)
{
    memset(&run, 0, sizeof(run));
    ed_counting_alloc_init(&run.memory, NULL);
    run.pool = ed_pool_create(&run.memory.allocator, BUDGET);
    ed_credit_pool_init(&run.room, BUDGET, LARGEST, 2);
    run.parts = (ed_inbox_parts){.allocator = &run.memory.allocator,
                                 .pool = run.pool,
                                 .room = &run.room,
                                 .stats = &run.stats,
                                 .max_message_size = LARGEST,
                                 .unreliable_budget = UNRELIABLE};
    bool has_room = ed_inbox_init(&run.inbox, &run.parts, 0);
    ED_ASSERT(run.pool != NULL && has_room);
}

static void end(void)
{
    take_messages();
    for (size_t i = 0; i < HELD_MAX; i++)
        give_back(&run.held[i]);
    ed_inbox_free(&run.inbox);
    ED_ASSERT(run.room.windows == 0 && run.room.demands == 0 && run.room.orphans == 0);
    ED_ASSERT(run.room.unreliable == 0 && ed_pool_charged(run.pool) == 0);
    ed_pool_destroy(run.pool);
    ED_ASSERT(run.memory.live_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    begin();
    for (unsigned count = 0; ed_reader_left(&r) > 0 && count < ORDERS_MAX; count++)
        if (!obey(&r))
            break;
    end();
    return 0;
}
