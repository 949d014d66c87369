/**
 * Two connections joined by a bad network, their packet numbers and sequences set right before each
 * boundary at which something on the wire grows or wraps: nothing may come of it.
 */
#include "tests/support/check.h"

#include "core/addr.h"
#include "tests/support/conn_bed.h"
#include "tests/support/splitmix.h"
#include "transport/packet.h"

enum {
    MESSAGES = 500, /* on each lane, both ways */
    BEFORE = 200,   /* messages or packets from a boundary */
    AT_ONCE = 10,
    STEP_MS = 5,
    FLIGHT_MAX = 512,
    SETTLE_STEPS = 400,
    STEPS_MAX = 20 * 1000,
    LOSS_PERCENT = 5,
    TWICE_PERCENT = 3,
    DELAY_STEPS = 4, /* drawn for each datagram, so that they overtake each other */
    LARGE_SIZE = 2500,
};

/** A datagram on its way. */
struct flight {
    size_t size; /* 0: none */
    uint64_t due_ns;
    bool up;
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
};

/** What one end has had of one lane. */
struct heard {
    uint64_t count;
    uint64_t next; /* sequenced, ordered: the lowest that may come */
    bool seen[MESSAGES];
};

static ed_conn_bed bed;
static ed_conn conns[2]; /* the client, the server */
static struct flight flights[FLIGHT_MAX];
static struct heard heard[2][ED_WIRE_GUARANTEE_COUNT];
static uint64_t now_ns;
static uint64_t random_state;
static const char *name;

static uint64_t draw(uint64_t below)
{
    return splitmix_next(&random_state) % below;
}

static ed_path path_of(bool up)
{
    return (ed_path){.remote = ed_addr_ipv4(10, 0, 0, up ? 1 : 2, 4000)};
}

/* ------------------------------------------------------------------------------- the network -- */

static void launch(const uint8_t *data, size_t size, bool up)
{
    for (size_t i = 0; i < FLIGHT_MAX; i++) {
        struct flight *flight = &flights[i];
        if (flight->size != 0)
            continue;
        *flight = (struct flight){
            .size = size, .up = up, .due_ns = now_ns + draw(DELAY_STEPS) * STEP_MS * ED_NS_PER_MS};
        memcpy(flight->data, data, size);
        return;
    }
}

static void take_out(bool up)
{
    ed_conn *conn = &conns[up ? 0 : 1];
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_path path;
    size_t size = 0;

    while ((size = ed_conn_transmit(conn, &path, data, now_ns)) > 0) {
        if (draw(100) >= LOSS_PERCENT)
            launch(data, size, up);
        if (draw(100) < TWICE_PERCENT)
            launch(data, size, up);
    }
}

static void land(void)
{
    for (size_t i = 0; i < FLIGHT_MAX; i++) {
        struct flight *flight = &flights[i];
        if (flight->size == 0 || flight->due_ns > now_ns)
            continue;
        ed_path path = path_of(flight->up);
        eddy_datagram datagram = {
            .remote = path.remote, .data = flight->data, .size = flight->size};
        ed_conn_receive(&conns[flight->up ? 1 : 0], &datagram, now_ns);
        flight->size = 0;
    }
}

/* -------------------------------------------------------------------------------- what comes -- */

static void hear(struct heard *lane, uint8_t guarantee, const ed_block *block)
{
    uint16_t index = 0;
    bool in_order = guarantee == ED_WIRE_RELIABLE_ORDERED;
    bool is_sequenced =
        guarantee == ED_WIRE_UNRELIABLE_SEQUENCED || guarantee == ED_WIRE_RELIABLE_SEQUENCED;

    CHECK(name, block->size >= sizeof(index));
    memcpy(&index, block->data, sizeof(index));
    CHECK(name, index < MESSAGES && !lane->seen[index]);
    CHECK(name, !in_order || index == lane->next);
    CHECK(name, !is_sequenced || index >= lane->next);
    for (size_t i = sizeof(index); i < block->size; i++)
        CHECK(name, block->data[i] == (uint8_t)(index + i));
    lane->seen[index] = true;
    lane->next = index + 1u;
    lane->count++;
}

static void read_events(size_t end)
{
    ed_event_item item;

    while (ed_conn_events(&conns[end], &item, 1) > 0) {
        if (item.type != EDDY_MESSAGE) {
            ed_pool_give(item.block);
            continue;
        }
        hear(&heard[end][item.guarantee], item.guarantee, item.block);
        (void)ed_conn_returned(&conns[end], item.block, now_ns);
    }
}

static void step(void)
{
    now_ns += STEP_MS * ED_NS_PER_MS;
    land();
    for (size_t end = 0; end < 2; end++) {
        if (ed_conn_next_ns(&conns[end]) <= now_ns)
            ed_conn_expire(&conns[end], now_ns);
        read_events(end);
        take_out(end == 0);
    }
}

/* -------------------------------------------------------------------------------- what leaves --
 */

static void send_one(ed_conn *conn, uint8_t guarantee, uint16_t index)
{
    size_t size = index % 50 == 7 ? LARGE_SIZE : sizeof(index) + index % 40u;
    ed_message message = {.block = ed_pool_take(bed.shared.receive_pool, size),
                          .guarantee = guarantee,
                          .expires_ns = ED_NEVER_NS};

    CHECK(name, message.block != NULL);
    for (size_t i = 0; i < size; i++)
        message.block->data[i] = (uint8_t)(index + i);
    memcpy(message.block->data, &index, sizeof(index));
    CHECK_EQ(name, ed_conn_send(conn, &message, 1, now_ns), EDDY_OK);
}

static bool all_came(void)
{
    for (size_t end = 0; end < 2; end++)
        if (heard[end][ED_WIRE_RELIABLE_ORDERED].count < MESSAGES ||
            heard[end][ED_WIRE_RELIABLE_UNORDERED].count < MESSAGES ||
            heard[end][ED_WIRE_RELIABLE_SEQUENCED].next < MESSAGES)
            return false;
    return true;
}

static void talk(void)
{
    for (uint16_t index = 0; index < MESSAGES; index++) {
        for (size_t end = 0; end < 2; end++)
            for (uint8_t g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++)
                send_one(&conns[end], g, index);
        if (index % AT_ONCE == 0)
            step();
    }
    for (int i = 0; i < STEPS_MAX && !all_came(); i++)
        step();
    CHECK(name, all_came());
    for (size_t end = 0; end < 2; end++)
        CHECK(name, heard[end][ED_WIRE_UNRELIABLE].count > MESSAGES / 2);
}

/* --------------------------------------------------------------------------------- the start -- */

/** Packet numbers of both go on from here. */
static void set_numbers(uint64_t number)
{
    for (size_t end = 0; end < 2; end++) {
        conns[end].sent.first = conns[end].sent.next = number;
        conns[end].secrets->keys.send_first = number;
        conns[1 - end].replay = (ed_replay){.next = number};
    }
}

/** Sequences of stream 0 of every guarantee, of both, go on from here. */
static void set_sequences(uint64_t sequence)
{
    bool made = false;

    for (size_t end = 0; end < 2; end++)
        for (uint8_t g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++) {
            ed_outbox *outbox = &conns[end].outbox;
            ed_outgoing none;
            send_one(&conns[end], g, 0); // makes the lane, as only the outbox can
            (void)ed_outbox_next(outbox, 0, 0, &none);
            ed_lane_out *lane = ed_lanes_find(&outbox->lanes, g, 0);
            ed_out_forget(outbox,
                          ED_CONTAINER(ed_list_first(&lane->fresh), ed_out, part.record.node));
            lane->next_sequence = sequence;
            ed_lane_in *in = ed_lanes_get(&conns[1 - end].inbox.lanes, g, 0, &made);
            in->expected = in->highest = sequence;
            in->newest = g == ED_WIRE_RELIABLE_SEQUENCED ? sequence : 0;
        }
}

/** The bed has one pool for both ways: what is sent is no more than what is received. */
static void open_both(const char *row, uint64_t seed)
{
    name = row;
    random_state = seed;
    now_ns = ED_NS_PER_S;
    memset(flights, 0, sizeof(flights));
    memset(heard, 0, sizeof(heard));
    ed_conn_bed_open(&bed, 2);
    ed_path to = path_of(false), from = path_of(true);
    ed_conn_bed_connect(&bed, &conns[0], &conns[1], &to, &from, now_ns);
    for (int i = 0; i < SETTLE_STEPS; i++)
        step();
    CHECK_EQ(name, conns[1].state, ED_CONN_CONNECTED);
    CHECK_EQ(name, conns[0].loss.in_flight + conns[1].loss.in_flight, 0);
}

static void close_both(void)
{
    for (size_t end = 0; end < 2; end++)
        ed_conn_free(&conns[end]);
    ed_conn_bed_close(&bed);
}

/* ------------------------------------------------------------------------------------- tests -- */

static void boundaries_are_crossed(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
        uint64_t sequence;
    } rows[] = {
        {"from nothing", 0, 0},
        {"a byte of number", UINT64_C(1) << 8, 0},
        {"numbers that ask for four bytes", UINT64_C(1) << 14, 0},
        {"two bytes of number", UINT64_C(1) << 16, 0},
        {"three bytes of number", UINT64_C(1) << 24, 0},
        {"four bytes of number", UINT64_C(1) << 32, 0},
        {"a large number", UINT64_C(1) << 48, 0},
        {"a byte of sequence", 0, UINT64_C(1) << 8},
        {"the lane window", 0, ED_LANE_WINDOW},
        {"2^14", 0, UINT64_C(1) << 14},
        {"half of a sequence", 0, UINT64_C(1) << 15},
        {"two bytes of sequence", 0, UINT64_C(1) << 16},
        {"four bytes of sequence", 0, UINT64_C(1) << 32},
        {"both at once", UINT64_C(1) << 16, UINT64_C(1) << 16},
        {"both at the wider one", UINT64_C(1) << 32, UINT64_C(1) << 32},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_both(rows[i].name, i + 1);
        if (rows[i].number > 0)
            set_numbers(rows[i].number - BEFORE);
        if (rows[i].sequence > 0)
            set_sequences(rows[i].sequence - BEFORE);
        talk();
        close_both();
    }
}

/** No number is used twice: a connection that has no more of them ends. */
static void the_last_number_is_the_last(void **state)
{
    (void)state;
    open_both("the last number", 99);
    set_numbers(ED_PACKET_NUMBER_LAST - BEFORE);
    for (uint16_t index = 0; index < MESSAGES && conns[0].state == ED_CONN_CONNECTED; index++) {
        send_one(&conns[0], ED_WIRE_RELIABLE_ORDERED, index);
        step();
    }
    CHECK_EQ(name, conns[0].state, ED_CONN_CLOSED);
    CHECK_EQ(name, conns[0].end, EDDY_END_PROTOCOL);
    CHECK(name, conns[0].sent.next <= ED_PACKET_NUMBER_LAST);
    CHECK(name, heard[1][ED_WIRE_RELIABLE_ORDERED].count > BEFORE / 2);
    close_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries_are_crossed),
        cmocka_unit_test(the_last_number_is_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
