/** What a connection puts into its packets, where the size of them matters. */
#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/conn_bed.h"

enum { MS = 1000 * 1000 };

static ed_counting_alloc memory;
static ed_conn_bed bed;
static ed_conn client, server;
static ed_pool *pool;
static uint64_t now_ns;

static int setup(void **state)
{
    ed_path to = {.remote = ed_addr_ipv4(10, 0, 0, 1, 1)};
    ed_path from = {.remote = ed_addr_ipv4(10, 0, 0, 2, 2)};
    eddy_config config = eddy_config_default();

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    config.allocator = &memory.allocator;
    config.entropy = ed_entropy_system();
    ed_conn_bed_open_with(&bed, 2, &config);
    pool = ed_pool_create(bed.shared.allocator, 8 << 20);
    now_ns = ED_NS_PER_S;
    ed_conn_bed_connect(&bed, &client, &server, &to, &from, now_ns);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ed_conn_free(&client);
    ed_conn_free(&server);
    ed_conn_bed_close(&bed);
    ed_pool_destroy(pool);
    return 0;
}

static size_t transmit(ed_conn *conn)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_path path;

    return ed_conn_transmit(conn, &path, data, now_ns);
}

/** Lets time pass on one end. @return the size of the next packet. */
static size_t transmit_later(ed_conn *conn, unsigned ms)
{
    now_ns += (uint64_t)ms * MS;
    ed_conn_expire(conn, now_ns);
    return transmit(conn);
}

/** A client's packet that wants an answer and has no message is longer than a reset. */
static void small_packets_of_a_client(void **state)
{
    ed_block *block = ed_pool_take(pool, 4);
    ed_message message = {.block = block,
                          .guarantee = ED_WIRE_RELIABLE_ORDERED,
                          .expires_ns = now_ns + 10 * (uint64_t)MS};

    (void)state;
    memset(block->data, 0, 4);
    CHECK_EQ("a PING", transmit(&client), ED_CLIENT_PACKET_SIZE_MIN);
    CHECK_EQ("accepted", ed_conn_send(&client, &message, 1, now_ns), EDDY_OK);
    CHECK_EQ("a message may be shorter", transmit(&client), 7 + 3 + 4 + ED_TAG_SIZE);
    CHECK_EQ("a SKIP", transmit_later(&client, 10), ED_CLIENT_PACKET_SIZE_MIN);
    client.inbox.credit.pending = true;
    CHECK_EQ("a CREDIT", transmit(&client), ED_CLIENT_PACKET_SIZE_MIN);
}

static void send_until(uint8_t guarantee, uint8_t stream, size_t size, uint64_t expires_ns)
{
    ed_block *block = ed_pool_take(pool, size);
    ed_message message = {
        .block = block, .guarantee = guarantee, .stream = stream, .expires_ns = expires_ns};

    memset(block->data, 0, size);
    CHECK_EQ("accepted", ed_conn_send(&client, &message, 1, now_ns), EDDY_OK);
}

static void send(uint8_t guarantee, uint8_t stream, size_t size)
{
    send_until(guarantee, stream, size, ED_NEVER_NS);
}

/** Also where nobody looks at the deadlines, as in a flush, or while a socket has no room. */
static void nothing_leaves_past_its_time(void **state)
{
    enum { EXPIRE_MS = 10 };
    static const struct {
        const char *name;
        uint8_t guarantee;
        unsigned after_ms;
        bool leaves;
    } rows[] = {
        {"unreliable, in time", ED_WIRE_UNRELIABLE, EXPIRE_MS - 1, true},
        {"unreliable, too late", ED_WIRE_UNRELIABLE, EXPIRE_MS, false},
        {"sequenced, too late", ED_WIRE_UNRELIABLE_SEQUENCED, EXPIRE_MS, false},
        {"reliable, in time", ED_WIRE_RELIABLE_ORDERED, EXPIRE_MS - 1, true},
        {"reliable, too late", ED_WIRE_RELIABLE_ORDERED, EXPIRE_MS, false},
        {"reliable, long too late", ED_WIRE_RELIABLE_ORDERED, 50 * EXPIRE_MS, false},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        (void)setup(state);
        CHECK("a PING", transmit(&client) > 0);
        send_until(rows[i].guarantee, 0, 4, now_ns + EXPIRE_MS * (uint64_t)MS);
        now_ns += rows[i].after_ms * (uint64_t)MS;
        CHECK_EQ(rows[i].name, transmit(&client) > 0, rows[i].leaves);
        CHECK_EQ(rows[i].name, bed.stats.messages_expired, rows[i].leaves ? 0 : 1);
        (void)teardown(state);
    }
}

/** The client's next packet. @return how many events the server has to tell for it. */
static size_t arrive(uint64_t fail_after)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_event_item items[4];
    ed_path path;
    size_t size = ed_conn_transmit(&client, &path, data, now_ns);
    eddy_datagram datagram = {.remote = ed_addr_ipv4(10, 0, 0, 2, 2), .data = data, .size = size};

    CHECK("a packet", size > 0);
    memory.fail_after = fail_after;
    ed_conn_receive(&server, &datagram, now_ns);
    memory.fail_after = UINT64_MAX;
    size_t count = ed_conn_events(&server, items, 4);
    for (size_t i = 0; i < count; i++)
        ed_pool_give(items[i].block);
    return count;
}

/** There is no memory for a message: one behind it, for which there is, comes but once. */
static void what_cannot_be_kept_costs_nothing_behind_it(void **state)
{
    (void)state;
    send(ED_WIRE_UNRELIABLE, 1, 4);
    CHECK_EQ("connected, a message", arrive(UINT64_MAX), 2); // there is a place of that size now
    ed_conn_set_stream(&client, 1, &(eddy_stream_options){.priority = 7}, now_ns);
    send(ED_WIRE_RELIABLE_ORDERED, 0, 600);
    send(ED_WIRE_UNRELIABLE, 1, 4);
    CHECK_EQ("the small one", arrive(0), 1);
    CHECK_EQ("counted", bed.stats.dropped_memory, 1);
}

/** Of several packets with the newest grant one has come: those that have not tell it again. */
static void a_grant_that_is_known_is_not_told_again(void **state)
{
    (void)state;
    client.inbox.credit.pending = true;
    uint64_t first = client.sent.next;
    CHECK("first", transmit(&client) > 0);
    const ed_sent *packet = ed_sent_at(&client.sent, first);
    CHECK("a grant", (packet->flags & ED_SENT_HAS_CREDIT) != 0);
    ed_conn_on_packet_lost(&client, packet, now_ns);
    CHECK("told again", client.inbox.credit.pending);
    client.inbox.credit.pending = false;
    client.credit_is_known = true; // by a later packet
    ed_conn_on_packet_lost(&client, packet, now_ns);
    CHECK("not any more", !client.inbox.credit.pending);
}

/** The last part of a message fills its packet, and is lost while a grant is told in each. */
static void a_grant_leaves_room_for_what_is_lost(void **state)
{
    enum { PARTS_MAX = 4 };
    uint64_t first = client.sent.next;

    (void)state;
    for (size_t size = 1152 + 1150; size <= 1152 + 1180; size++) {
        (void)teardown(state);
        (void)setup(state);
        client.message_max = 1 << 20;
        ed_outbox_on_credit(&client.outbox, 1 << 20);
        first = client.sent.next;
        send(ED_WIRE_RELIABLE_ORDERED, 0, size);
        for (int n = 0; n < PARTS_MAX; n++)
            (void)transmit(&client);
        for (uint64_t n = first; n < client.sent.next; n++)
            if (ed_sent_at(&client.sent, n)->state == ED_SENT_OUTSTANDING)
                ed_conn_on_packet_lost(&client, ed_sent_at(&client.sent, n), now_ns);
        client.credit_is_known = false;
        now_ns += ED_NS_PER_S;
        for (int n = 0; n < PARTS_MAX; n++)
            (void)transmit(&client);
        CHECK_EQ("all left", ed_list_empty(&client.outbox.lost), true);
    }
}

static void transmit_all(void)
{
    while (transmit(&client) > 0)
        continue;
}

/** A bulk that goes last fills the window, and more of it waits. */
static void fill_window(void)
{
    enum { BULK = 100, LONG_MS = 1000 }; /* for the pacer */

    ed_conn_set_stream(&client, 1, &(eddy_stream_options){.priority = 7}, now_ns);
    for (unsigned i = 0; i < BULK; i++)
        send(ED_WIRE_UNRELIABLE, 1, 1000);
    transmit_all();
    now_ns += LONG_MS * (uint64_t)MS;
    transmit_all();
    CHECK("full", client.outbox.fresh_count > 0);
}

/** Small messages that go first. @return packets. */
static uint64_t send_urgent(unsigned count, bool time_passes)
{
    enum { STEP_MS = 2 };
    uint64_t before = client.sent.next;

    for (unsigned i = 0; i < count; i++) {
        now_ns += STEP_MS * (uint64_t)MS;
        if (time_passes)
            ed_conn_expire(&client, now_ns);
        send(ED_WIRE_UNRELIABLE, 0, 50);
        transmit_all();
    }
    return client.sent.next - before;
}

/** However many go past a full window, acknowledgements and probes find a place behind them. */
static void urgent_messages_leave_places(void **state)
{
    enum { PLACES = 64 };

    (void)state;
    fill_window();
    CHECK("they go", send_urgent(ED_SENT_MAX, false) > ED_SENT_MAX / 2);
    CHECK("not all", ed_sent_count(&client.sent) <= ED_SENT_MAX - PLACES);
}

/** Who hears nothing sends no more for what is urgent than for anything else. */
static void urgent_messages_heed_silence(void **state)
{
    enum { LASTS_MS = 8000, EARLY_MS = 5000, TICK_MS = 10, FEW = 200 };

    (void)state;
    client.timers.at_ns[ED_TIMER_IDLE] = ED_NEVER_NS;
    fill_window();
    CHECK("packets", send_urgent(LASTS_MS / 2, true) < EARLY_MS / TICK_MS + FEW);
}

/** As many go into a packet as there is memory to remember, and the others later. */
static void urgent_messages_without_memory_wait(void **state)
{
    enum { COUNT = 20 };

    (void)state;
    fill_window();
    for (unsigned i = 0; i < COUNT; i++)
        send(ED_WIRE_RELIABLE_UNORDERED, (uint8_t)(2 + i), 20); // no two of them are a run
    uint64_t before = client.outbox.fresh_count;
    memory.fail_after = 0;
    now_ns += 10 * (uint64_t)MS;
    CHECK("some leave", transmit(&client) > 0);
    CHECK("not all", client.outbox.fresh_count > before - COUNT);
    CHECK("but some", client.outbox.fresh_count < before);
    memory.fail_after = UINT64_MAX;
    now_ns += 10 * (uint64_t)MS;
    transmit_all();
    CHECK_EQ("the others", client.outbox.fresh_count, before - COUNT);
}

/** @return how many packets leave at once; not more than is too many. */
static unsigned transmit_count(void)
{
    enum { TOO_MANY = 5 };
    unsigned count = 0;

    while (count < TOO_MANY && transmit(&client) > 0)
        count++;
    return count;
}

/** They repeat parts cut for a larger datagram, and there is no memory to cut them again. */
static void packets_of_a_silence_without_memory_are_pings(void **state)
{
    enum { TWO_PARTS = 2700, TICK_MS = 10, EARLIER = 3 };

    (void)state;
    ed_conn_init_mtu(&client, EDDY_DATAGRAM_SIZE_MAX);
    client.mtu.size = EDDY_DATAGRAM_SIZE_MAX;
    ed_outbox_set_datagram_size(&client.outbox, client.mtu.size);
    for (size_t i = 0; i < EARLIER; i++) { // of so many packets the log has places for more
        send(ED_WIRE_UNRELIABLE, 0, 4);
        transmit_all();
    }
    send(ED_WIRE_RELIABLE_ORDERED, 0, TWO_PARTS);
    transmit_all();
    CHECK_EQ("all has left", client.outbox.fresh_count, 0);
    ed_conn_restart_mtu(&client);
    send(ED_WIRE_RELIABLE_ORDERED, 0, TWO_PARTS);
    memory.fail_after = 0;
    now_ns = client.timers.at_ns[ED_TIMER_RECOVERY];
    ed_conn_expire(&client, now_ns);
    CHECK_EQ("a probe", client.probes, 1);
    CHECK_EQ("one packet", transmit_count(), 1);
    CHECK_EQ("is it", client.counts.probes_sent, 1);
    now_ns += TICK_MS * (uint64_t)MS;
    CHECK_EQ("one for what waits", transmit_count(), 1);
    memory.fail_after = UINT64_MAX;
    now_ns += TICK_MS * (uint64_t)MS;
    CHECK("it leaves", transmit_count() > 0);
    CHECK_EQ("it has left", client.outbox.fresh_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_packets_of_a_client, setup, teardown),
        cmocka_unit_test(nothing_leaves_past_its_time),
        cmocka_unit_test_setup_teardown(what_cannot_be_kept_costs_nothing_behind_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_grant_that_is_known_is_not_told_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grant_leaves_room_for_what_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(urgent_messages_leave_places, setup, teardown),
        cmocka_unit_test_setup_teardown(urgent_messages_heed_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(urgent_messages_without_memory_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_of_a_silence_without_memory_are_pings, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("conn_send", tests, NULL, NULL);
}
