/** T12: a bit of something turned over, or more than one: nothing is taken, and nothing changes. */
#include "core/addr.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/conn_bed.h"
#include "tests/support/initiate.h"
#include "tests/support/keys.h"
#include "tests/support/splitmix.h"
#include "tests/support/wire.h"

/* --------------------------------------------------------------------------------- handshakes --
 */

static ed_wire wire;
static ed_wire_host *server, *client;
static ed_form held_form; /* does not arrive until it is let go */
static ed_wire_copy held;
static bool holds_answers; /* what is said about altered ones does not arrive either */
static uint64_t answers;   /* of the victim to what was altered */

static bool hold(void *context, eddy_datagram *datagram)
{
    (void)context;
    if (holds_answers) {
        // What no longer looks like a handshake is a packet of nobody, and gets a reset.
        answers += ed_form_of(datagram->data, datagram->size) != ED_FORM_PACKET;
        return false;
    }
    if (held_form != ED_FORM_UNKNOWN && ed_form_of(datagram->data, datagram->size) == held_form) {
        held.datagram = *datagram;
        held.datagram.data = held.data;
        memcpy(held.data, datagram->data, datagram->size);
        return false;
    }
    return true;
}

typedef struct tampering {
    const char *name;
    ed_form form;
    bool at_server;
    eddy_check check;
    size_t checked_from; /* bits from this byte on are the check's to notice */
    size_t checked_to;
    size_t quick_step;
    bool knows_key; /* the mac is made right again; he alters what the check is for alone */
} tampering;

static void begin(const tampering *t)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    server_config.reply_rate = server_config.handshake_rate = server_config.connect_rate = 0;
    ed_wire_open(&wire, t->name, 12);
    wire.tap = hold;
    held = (ed_wire_copy){.datagram.size = 0};
    held_form = t->form;
    holds_answers = false;
    answers = 0;
    server = ed_wire_add(&wire, &server_config, &here);
    client = ed_wire_add(&wire, &client_config, &there);
    ed_wire_run_for(&wire, 0);
    CHECK_EQ("dial", ed_wire_connect(client, &here, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 20 * ED_NS_PER_MS);
    CHECK("held", held.datagram.size > 0);
}

static void put_altered(const tampering *t, size_t bit)
{
    ed_greeting_key key = ed_greeting_key_of(ed_test_public()->bytes);
    ed_wire_copy altered = held;

    altered.datagram.data = altered.data;
    altered.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    if (t->knows_key)
        ed_request_sign(altered.data, &key);
    ed_wire_put(&wire, &altered.datagram);
    ed_wire_run_for(&wire, 0);
}

/** Every bit of one datagram, one at a time, and then the datagram itself. */
static bool notices_every_bit(const void *context)
{
    const tampering *t = context;

    begin(t);
    ed_wire_host *victim = t->at_server ? server : client;
    uint64_t calls = victim->memory.calls, events = victim->events;
    uint64_t refused = ed_wire_refusals(victim, t->check), wanted = refused;
    size_t step = (size_t)ed_attack_count(t->quick_step, 1), count = 0;
    holds_answers = true;
    size_t begin_at = t->knows_key ? t->checked_from : 0;
    size_t end = t->knows_key ? t->checked_to : held.datagram.size;
    for (size_t bit = 8 * begin_at; bit < 8 * end; bit += step, count++) {
        wanted += bit / 8 >= t->checked_from && bit / 8 < t->checked_to;
        put_altered(t, bit);
    }
    bool held_out = victim->memory.calls == calls && victim->events == events && answers == 0 &&
                    ed_wire_newest(&wire, ED_FORM_ACCEPT)->datagram.size ==
                        (t->form == ED_FORM_ACCEPT ? (size_t)ED_ACCEPT_SIZE : 0) &&
                    ed_wire_refusals(victim, t->check) >= wanted;
    holds_answers = false;
    held_form = ED_FORM_UNKNOWN;
    ed_wire_put(&wire, &held.datagram);
    held_out = ed_wire_await_connected(&wire, server, 1, ED_NS_PER_S) && held_out;
    ed_attack_figure("T12: %s: %zu bits, taken 0, and then it is taken itself", t->name, count);
    ed_wire_close(&wire);
    return held_out;
}

/* ------------------------------------------------------------------------------------ packets --
 */

static ed_conn_bed bed;
static ed_conn ends[2]; /* client, server */
static ed_pool *pool;
static uint64_t now_ns, seed;
static const ed_path paths[2] = {{.remote = {.family = 4, .ip = {10, 0, 0, 1}, .port = 1}},
                                 {.remote = {.family = 4, .ip = {10, 0, 0, 2}, .port = 2}}};

/** All of a connection that a packet could change. */
static struct snapshot {
    ed_conn conn;
    ed_secrets secrets;
    uint64_t queued_size;
    uint64_t receive_used;
} before, after;

static void take_snapshot(struct snapshot *snapshot, const ed_conn *conn)
{
    memset(snapshot, 0, sizeof(*snapshot));
    memcpy(&snapshot->conn, conn, sizeof(*conn));
    memcpy(&snapshot->secrets, conn->secrets, sizeof(*conn->secrets));
    snapshot->secrets.keys.forged_count = 0; // which is meant to count them
    snapshot->queued_size = ed_pool_charged(pool);
    snapshot->receive_used = ed_pool_charged(bed.shared.receive_pool);
}

static bool is_unchanged(const ed_conn *conn)
{
    take_snapshot(&after, conn);
    return memcmp(&before, &after, sizeof(before)) == 0;
}

static void deliver(size_t to, const uint8_t *data, size_t size)
{
    uint8_t copy[EDDY_DATAGRAM_SIZE_MAX];
    eddy_datagram datagram = {.remote = paths[to].remote, .data = copy, .size = size};

    memcpy(copy, data, size);
    ed_conn_receive(&ends[to], &datagram, now_ns);
}

static void drain(void)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_event_item item;
    ed_path path;

    for (size_t end = 0; end < 2; end++) {
        while (ed_conn_events(&ends[end], &item, 1) > 0)
            ed_event_drop(&item);
        ed_settled_give_back(&bed.settled);
        for (size_t size = 1; size > 0;) {
            if (ed_conn_next_ns(&ends[end]) <= now_ns)
                ed_conn_expire(&ends[end], now_ns);
            size = ed_conn_transmit(&ends[end], &path, data, now_ns);
            if (size > 0)
                deliver(1 - end, data, size);
        }
    }
}

/** The next packet of an end, with a message in it. */
static size_t next_packet(size_t from, uint8_t *data)
{
    ed_path path;
    size_t message_size = splitmix_below(&seed, 60);
    ed_block *block = ed_pool_take(pool, message_size);
    ed_message message = {
        .block = block, .guarantee = ED_WIRE_RELIABLE_ORDERED, .expires_ns = UINT64_MAX};

    CHECK("block", block != NULL);
    memset(block->data, 7, message_size);
    now_ns += 10 * ED_NS_PER_MS;
    CHECK_EQ("send", ed_conn_send(&ends[from], &message, 1, now_ns), EDDY_OK);
    size_t size = ed_conn_transmit(&ends[from], &path, data, now_ns);
    CHECK("packet", size > message_size);
    return size;
}

static void open_bed(void)
{
    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    ed_conn_bed_open(&bed, 2);
    pool = ed_pool_create(bed.shared.allocator, 1 << 20);
    now_ns = ED_NS_PER_S;
    seed = 12;
    ed_conn_bed_connect(&bed, &ends[0], &ends[1], &paths[0], &paths[1], now_ns);
    drain();
}

static void close_bed(void)
{
    ed_conn_free(&ends[0]);
    ed_conn_free(&ends[1]);
    ed_conn_bed_close(&bed);
    ed_pool_destroy(pool);
}

static bool notices_all_bits_of(size_t to, const uint8_t *data, size_t size)
{
    uint8_t altered[EDDY_DATAGRAM_SIZE_MAX];
    bool held_out = true;

    memcpy(altered, data, size);
    take_snapshot(&before, &ends[to]);
    for (size_t bit = 0; bit < 8 * size && held_out; bit++) {
        altered[bit / 8] ^= (uint8_t)(1 << bit % 8);
        deliver(to, altered, size);
        altered[bit / 8] ^= (uint8_t)(1 << bit % 8);
        held_out = is_unchanged(&ends[to]);
    }
    return held_out;
}

/** Some bytes altered, and some of its end or another's, cut or added. */
static bool notices_corruptions_of(size_t to, const uint8_t *data, size_t size, uint64_t count)
{
    uint8_t altered[EDDY_DATAGRAM_SIZE_MAX];
    bool held_out = true;

    take_snapshot(&before, &ends[to]);
    for (uint64_t i = 0; i < count && held_out; i++) {
        size_t altered_size = size;
        memcpy(altered, data, size);
        for (uint32_t n = 1 + splitmix_below(&seed, 4); n > 0; n--)
            altered[splitmix_below(&seed, (uint32_t)size)] ^=
                (uint8_t)(1 + splitmix_below(&seed, 255));
        if (splitmix_below(&seed, 4) == 0)
            altered_size = 1 + splitmix_below(&seed, (uint32_t)size + 20);
        if (altered_size == size && memcmp(altered, data, size) == 0)
            continue; // the same byte twice, and back
        deliver(to, altered, altered_size);
        held_out = is_unchanged(&ends[to]);
    }
    return held_out;
}

static bool notices_altered_packets(const void *context)
{
    uint64_t packets = ed_attack_count(500, 10 * 1000);
    uint64_t corruptions = ed_attack_count(500, 10 * 1000);
    uint64_t bits = 0;
    bool held_out = true;

    (void)context;
    open_bed();
    for (uint64_t i = 0; i < packets && held_out; i++) {
        uint8_t data[EDDY_DATAGRAM_SIZE_MAX] = {0};
        size_t from = i % 2, size = next_packet(from, data);
        held_out = notices_all_bits_of(1 - from, data, size) &&
                   notices_corruptions_of(1 - from, data, size, corruptions);
        deliver(1 - from, data, size);
        CHECK("itself", !held_out || !is_unchanged(&ends[1 - from]));
        drain();
        bits += 8 * size;
    }
    if (held_out)
        ed_attack_figure("T12: %llu packets: %llu bits and %llu corruptions, taken 0, state "
                         "unchanged",
                         (unsigned long long)packets, (unsigned long long)bits,
                         (unsigned long long)(packets * corruptions));
    close_bed();
    return held_out;
}

static void t12_nothing_altered_is_taken(void **state)
{
    static const tampering handshakes[] = {
        {"HELLO", ED_FORM_HELLO, true, EDDY_CHECK_HELLO_MAC, 5, ED_HELLO_SIZE, 1, false},
        {"RETRY", ED_FORM_RETRY, false, EDDY_CHECK_ANSWER_MAC, 8, ED_RETRY_SIZE, 1, false},
        {"INITIATE", ED_FORM_INITIATE, true, EDDY_CHECK_INITIATE_MAC, 8, ED_INITIATE_SIZE, 1,
         false},
        {"INITIATE, by who has the server's public key", ED_FORM_INITIATE, true,
         EDDY_CHECK_INITIATE_SEAL, ED_INITIATE_CLEAR_SIZE, ED_INITIATE_PADDING_AT, 5, true},
        {"ACCEPT", ED_FORM_ACCEPT, false, EDDY_CHECK_ACCEPT_SEAL, 20, ED_ACCEPT_SIZE, 5, false},
    };
    const ed_attack packets = {.name = "T12 packets",
                               .mount = notices_altered_packets,
                               .checks = {EDDY_CHECK_PACKET_SEAL}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(handshakes); i++) {
        const ed_attack attack = {.name = handshakes[i].name,
                                  .mount = notices_every_bit,
                                  .context = &handshakes[i],
                                  .checks = {handshakes[i].check}};
        ed_attack_run(&attack);
    }
    ed_attack_run(&packets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t12_nothing_altered_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
