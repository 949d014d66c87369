/**
 * Two connections that talk to each other, both ours and both honest, in virtual time. The input
 * decides what their programs send, read, give back and close, and what becomes of each datagram:
 * it comes, late, twice, damaged, from another address or never, as those that are too large for
 * the path of the moment; and time.
 *
 * Neither end may ever say that the other broke the protocol; no message may come twice, damaged,
 * or out of order; when the network has calmed down, all that was promised must have come; and what
 * an end says at last of messages and receipts must be so.
 */
#include "core/base.h"
#include "core/reader.h"
#include "tests/support/pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ORDERS_MAX = 300,
    CALM_MS = 60 * 1000,
    FLUSH_MS = 1000,
};

/* ------------------------------------------------------------------------------ the network -- */

/** It stays on its way, too. */
static void arrive_twice(ed_pair_end *end, size_t i)
{
    ed_pair_flying copy = *ed_pair_at(&end->flight, i);

    ed_pair_arrive(end, &copy);
}

/* ---------------------------------------------------------------------------- the programs -- */

static void send_message(ed_pair_end *end, uint8_t what, uint16_t size)
{
    eddy_send_options options;
    ed_said said = ed_talk_choose(what, size, &options);
    ed_message message = {.expires_ns = ED_NEVER_NS,
                          .guarantee = said.guarantee,
                          .stream = said.stream,
                          .now_or_never = options.now_or_never};

    if (!ed_pair_is_open(end) || !ed_talk_has_room(&end->talk))
        return;
    message.block = ed_pool_take(ed_pair.send_pool, said.size);
    if (message.block == NULL)
        return; // the budget is used up
    ed_talk_write(&end->talk, &said, message.block->data);
    if (said.expires)
        message.expires_ns = ed_pair.now_ns + options.expire_ms * ED_NS_PER_MS;
    ed_receipt receipt = {.event.receipt = end->talk.count + 1, .is_quiet = (size & 16) != 0};
    if ((size & 8) != 0)
        message.receipt = ed_pool_take(ed_pair.send_pool, sizeof(receipt));
    said.wants_receipt = message.receipt != NULL && !receipt.is_quiet;
    if (message.receipt != NULL)
        memcpy(message.receipt->data, &receipt, sizeof(receipt));
    ed_talk_on_sent(&end->talk, &said);
    eddy_status status = ed_conn_send(end->conn, &message, 1, ed_pair.now_ns);
    ED_ASSERT(status == EDDY_OK);
}

/** A few small ones; seldom more than one packet takes of a lane. */
static void send_many(ed_pair_end *end, uint8_t what, uint8_t count)
{
    for (unsigned n = count < 0xf0 ? count % 8u : ED_LANE_BURST_MAX + 4; n > 0; n--)
        send_message(end, what, (uint16_t)(n * 4 + 1));
}

static void set_stream(ed_pair_end *end, uint8_t what)
{
    eddy_stream_options options = {.priority = what & 7, .weight = what};

    options.priority %= EDDY_PRIORITY_COUNT;
    ed_conn_set_stream(end->conn, what >> 7, &options, ed_pair.now_ns);
}

static void on_disconnected(ed_pair_end *end, const eddy_event_disconnected *last)
{
    ED_ASSERT(!end->is_over);
    ED_ASSERT(last->end == EDDY_END_CLOSED_LOCAL || last->end == EDDY_END_CLOSED_REMOTE ||
              last->end == EDDY_END_IDLE);
    end->is_over = true;
    end->undelivered = last->undelivered;
}

/** @return whether the block is held by the program. */
static bool on_event(ed_pair_end *end, const ed_event_item *item)
{
    eddy_event event;

    ED_ASSERT(!end->is_over); // nothing follows the last
    ed_event_read(item, &event);
    if (event.type == EDDY_RECEIPT)
        ed_talk_on_receipt(&end->talk, &event.receipt);
    if (event.type == EDDY_DISCONNECTED)
        on_disconnected(end, &event.disconnected);
    if (event.type == EDDY_MESSAGE)
        ed_talk_on_heard(&ed_pair_other(end)->talk, &event.message);
    return event.type == EDDY_MESSAGE;
}

static void read_events(ed_pair_end *end, uint8_t place)
{
    ed_event_item item;

    while (ed_conn_events(end->conn, &item, 1) > 0) {
        if (!on_event(end, &item)) {
            ed_pool_give(item.block);
            continue;
        }
        ed_block **held = &end->held[place++ % ED_PAIR_HELD_MAX];
        ed_pair_release(end, held);
        *held = item.block;
    }
}

static void release_all(ed_pair_end *end)
{
    for (size_t i = 0; i < ED_PAIR_HELD_MAX; i++)
        ed_pair_release(end, &end->held[i]);
}

static void close_end(ed_pair_end *end, uint8_t value)
{
    ed_conn_close(end->conn, value, NULL, (value & 1) != 0 ? FLUSH_MS * ED_NS_PER_MS : 0,
                  ed_pair.now_ns);
}

/* ------------------------------------------------------------------------------------ time -- */

/* ------------------------------------------------------------------------------ the orders -- */

enum order {
    COME,   /* the first few come */
    OTHERS, /* one from the middle comes, or a copy of it */
    LOSE,
    DAMAGE,
    SEND,
    SEND_MANY,
    READ,
    RELEASE,
    STREAM,
    TIME,
    END, /* seldom: close; else the client's address changes, or what the path takes, or nothing */
    ORDER_COUNT
};

static void damage(ed_pair_end *end, uint8_t value, uint16_t place)
{
    if (end->flight.count == 0)
        return;
    ed_pair_flying *flying = ed_pair_at(&end->flight, value % end->flight.count);
    flying->data[place % flying->size] ^= (uint8_t)(value | 1);
}

static void disturb(ed_pair_end *end, enum order order, uint8_t value, ed_reader *r)
{
    ed_pair_flight *flight = &end->flight;
    size_t some = flight->count == 0 ? 0 : value % flight->count;

    if (order == COME)
        for (unsigned n = value % 8u + 1; n > 0 && flight->count > 0; n--)
            ed_pair_arrive(end, ed_pair_take(flight, 0));
    if (order == OTHERS && flight->count > 0 && (value & 0x80) != 0)
        arrive_twice(end, some);
    else if (order == OTHERS && flight->count > 0)
        ed_pair_arrive(end, ed_pair_take(flight, some));
    if (order == LOSE)
        for (unsigned n = value >> 6; n > 0 && some < flight->count; n--)
            (void)ed_pair_take(flight, some);
    if (order == DAMAGE)
        damage(end, value, ed_read_u16(r));
}

static void use(ed_pair_end *end, enum order order, uint8_t value, ed_reader *r)
{
    if (order == SEND)
        send_message(end, value, ed_read_u16(r));
    if (order == SEND_MANY)
        send_many(end, value, ed_read_u8(r));
    if (order == READ)
        read_events(end, value);
    if (order == RELEASE)
        ed_pair_release(end, &end->held[value % ED_PAIR_HELD_MAX]);
    if (order == STREAM)
        set_stream(end, value);
    if (order == TIME)
        ed_pair_advance(ed_pair.now_ns + (uint64_t)value * value * ED_NS_PER_MS / 50);
    if (order == END && value >= 0xf0)
        close_end(end, value);
    if (order == END && value < 0x40)
        ed_pair_ends[0].port = (uint16_t)(ED_PAIR_PORT + value % 4);
    if (order == END && value >= 0x40 && value < 0x80)
        end->takes = value % 2 == 0 ? EDDY_DATAGRAM_SIZE_MAX : ED_DATAGRAM_SIZE + value % 64u * 4;
}

static void obey(ed_reader *r)
{
    for (unsigned count = 0; ed_reader_left(r) > 0 && count < ORDERS_MAX; count++) {
        uint8_t what = ed_read_u8(r), value = ed_read_u8(r);
        ed_pair_end *end = &ed_pair_ends[what >> 7];
        enum order order = (enum order)((what & 0x3f) % ORDER_COUNT);
        if (order <= DAMAGE)
            disturb(end, order, value, r);
        else
            use(end, order, value, r);
        if ((what & 0x40) == 0)
            ed_pair_serve(end);
    }
}

/* -------------------------------------------------------------------------- begin and end -- */

/** Whether all that was promised has come, or the end of a connection has kept it back. */
static bool is_at_rest(void)
{
    return ed_talk_missing(&ed_pair_ends[0].talk) + ed_talk_missing(&ed_pair_ends[1].talk) == 0 ||
           !ed_pair_is_open(&ed_pair_ends[0]) || !ed_pair_is_open(&ed_pair_ends[1]);
}

static void read_all(void)
{
    for (size_t i = 0; i < ED_PAIR_ENDS; i++) {
        read_events(&ed_pair_ends[i], 0);
        release_all(&ed_pair_ends[i]);
        ed_pair_serve(&ed_pair_ends[i]);
    }
}

/** The network calms down, and the programs read. */
static void come_to_rest(void)
{
    uint64_t until_ns = ed_pair.now_ns + CALM_MS * ED_NS_PER_MS;

    for (;;) {
        ed_pair_let_all_come();
        read_all();
        if (ed_pair_flying_count() > 0)
            continue;
        if (is_at_rest())
            return;
        ED_ASSERT(ed_pair.now_ns < until_ns); // else something that was promised never came
        ed_pair_advance(ed_min_u64(ed_pair_next_ns(), until_ns));
    }
}

/** One end says goodbye, and both are over. */
static void say_goodbye(uint8_t value)
{
    uint64_t until_ns = ed_pair.now_ns + CALM_MS * ED_NS_PER_MS;

    close_end(&ed_pair_ends[value >> 7], value);
    while (!ed_pair_ends[0].is_over || !ed_pair_ends[1].is_over) {
        ed_pair_serve_all();
        ed_pair_let_all_come();
        read_all();
        ED_ASSERT(ed_pair.now_ns < until_ns);
        if (ed_pair_flying_count() == 0)
            ed_pair_advance(ed_min_u64(ed_pair_next_ns(), until_ns));
    }
}

static void check_last_words(void)
{
    for (size_t i = 0; i < ED_PAIR_ENDS; i++)
        ed_talk_check_over(&ed_pair_ends[i].talk, ed_pair_ends[i].undelivered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    ed_pair_begin();
    obey(&r);
    come_to_rest();
    say_goodbye(size == 0 ? 0 : data[0]);
    check_last_words();
    ed_pair_end_all();
    return 0;
}
