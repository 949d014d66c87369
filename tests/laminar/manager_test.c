/** laminar's tests of its manager, 1 to 17: README.md says which is which. */
#include "core/budget.h"
#include "tests/laminar/bed.h"

#include "sim/random.h"

static struct bed the_bed;

static const eddy_guarantee reliable_ones[] = {EDDY_RELIABLE_UNORDERED, EDDY_RELIABLE_ORDERED,
                                               EDDY_RELIABLE_SEQUENCED};

enum {
    LARGE = 1000, /* a message that a thief tells from acks and pings */
    SMALL = 8,
    REPAIR_LIMIT_MS = 130, /* a first probe after 27 ms of round trip: see laminar_sins_test.c */
};

/* -------------------------------------------------------------------------------------- 2, 5 -- */

static void a_lost_first_message_is_sent_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(reliable_ones); i++) {
        struct bed_thief thief = {.size_min = LARGE, .count = 1};

        bed_open_pair(&the_bed, "lost first", i);
        struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
        bed_watch(client, &thief);
        bed_send(client, reliable_ones[i], 0, LARGE, 1);
        bed_run_ms(&the_bed, 10);
        CHECK_EQ("it is lost", server->count[EDDY_MESSAGE], 0);
        bed_run_ms(&the_bed, REPAIR_LIMIT_MS);
        bed_check_in_order("then it comes", server, 1);
        bed_run_ms(&the_bed, 5000);
        bed_check_in_order("once", server, 1);
        bed_close(&the_bed);
    }
}

static void a_lost_ordered_message_is_sent_again_and_waited_for(void **state)
{
    const struct {
        const char *name;
        uint32_t lost; /* of five */
    } rows[] = {{"the first", 0}, {"in the middle", 2}, {"the last", 4}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed_thief thief = {.size_min = LARGE, .first = rows[i].lost, .count = 1};

        bed_open_pair(&the_bed, rows[i].name, i);
        const struct bed_node *server = &the_bed.node[0];
        bed_watch(&the_bed.node[1], &thief);
        bed_send(&the_bed.node[1], EDDY_RELIABLE_ORDERED, 0, LARGE, 5);
        bed_run_ms(&the_bed, 2); // a way and a half: nothing can have come again
        CHECK_EQ(rows[i].name, server->count[EDDY_MESSAGE], rows[i].lost);
        bed_run_ms(&the_bed, REPAIR_LIMIT_MS);
        bed_check_in_order(rows[i].name, server, 5);
        CHECK_EQ(rows[i].name, bed_stats(&the_bed.node[1]).messages_resent, 1);
        bed_close(&the_bed);
    }
}

/* ----------------------------------------------------------------------------------------- 3 -- */

enum { STRANGERS = 10, PLACES = 4 };

static void dial_all(struct bed_node *server)
{
    for (size_t i = 1; i <= STRANGERS; i++) {
        struct bed_node *client = bed_add(&the_bed, bed_client_config());
        bed_dial(client, server);
        bed_send(client, EDDY_RELIABLE_ORDERED, (uint8_t)i, SMALL, 1);
        client->next_number = 0;
    }
}

/** laminar delivers what strangers send, and forgets them. Here nothing counts before an answer. */
static void nothing_is_delivered_before_a_validated_handshake(void **state)
{
    eddy_config config = bed_server_config();
    size_t connected = 0;

    (void)state;
    config.max_connections = PLACES;
    bed_open(&the_bed, "strangers", 1);
    struct bed_node *server = bed_add(&the_bed, config);
    // What the server answers is lost, so nobody proves that he receives at his address.
    CHECK_EQ("block", ed_world_block(the_bed.world, &server->address, NULL, true), EDDY_OK);
    dial_all(server);
    bed_run_ms(&the_bed, 2000);
    CHECK_EQ("no event", server->event_count, 0);

    CHECK_EQ("mend", ed_world_block(the_bed.world, &server->address, NULL, false), EDDY_OK);
    bed_run_ms(&the_bed, 5000);
    CHECK_EQ("places", server->count[EDDY_CONNECTED], PLACES);
    CHECK_EQ("their messages", server->count[EDDY_MESSAGE], PLACES);
    for (size_t i = 1; i <= STRANGERS; i++) {
        const struct bed_node *client = &the_bed.node[i];
        connected += client->count[EDDY_CONNECTED];
        CHECK_EQ("each is told", client->event_count, 1);
        if (client->count[EDDY_CONNECTED] == 1)
            continue;
        CHECK_EQ("refused", client->end.end, EDDY_END_REFUSED);
        CHECK_EQ("and what was not delivered", client->end.undelivered, 1);
    }
    CHECK_EQ("places", connected, PLACES);

    bed_send(server, EDDY_RELIABLE_ORDERED, 0, SMALL, 10);
    bed_run_ms(&the_bed, 1000);
    CHECK_EQ("sending adds none", server->count[EDDY_CONNECTED], PLACES);
    bed_close(&the_bed);
}

/* ----------------------------------------------------------------------------------- 4, 6, 7 -- */

static void a_lost_sequenced_message_does_not_follow_newer_ones(void **state)
{
    enum { MESSAGES = 6 };
    const struct {
        const char *name;
        uint32_t first; /* lost, of six */
        uint32_t count;
        uint32_t delivered;
    } rows[] = {
        {"the first", 0, 1, 5},
        {"in the middle", 2, 2, 4},
        {"all but the last", 0, 5, 1},
        {"the last, which nothing supersedes", 5, 1, 6},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed_thief thief = {
            .size_min = LARGE, .first = rows[i].first, .count = rows[i].count};

        bed_open_pair(&the_bed, rows[i].name, i);
        const struct bed_node *server = &the_bed.node[0];
        bed_watch(&the_bed.node[1], &thief);
        bed_send(&the_bed.node[1], EDDY_RELIABLE_SEQUENCED, 0, LARGE, MESSAGES);
        bed_run_ms(&the_bed, 5000);
        bed_check_in_order(rows[i].name, server, rows[i].delivered);
        CHECK_EQ(rows[i].name, server->reach[0], MESSAGES);
        CHECK_EQ(rows[i].name, bed_stats(&the_bed.node[1]).messages_superseded,
                 MESSAGES - rows[i].delivered);
        bed_close(&the_bed);
    }
}

static void a_hundred_sequenced_messages_come_once_and_all(void **state)
{
    (void)state;
    for (uint32_t every_ms = 0; every_ms <= 10; every_ms += 5) {
        bed_open_pair(&the_bed, "a hundred", every_ms);
        for (uint32_t n = 0; n < 100; n++) {
            bed_send(&the_bed.node[1], EDDY_RELIABLE_SEQUENCED, 0, SMALL, 1);
            bed_run_ms(&the_bed, every_ms);
        }
        bed_run_ms(&the_bed, 1000);
        bed_check_in_order("a hundred", &the_bed.node[0], 100);
        bed_close(&the_bed);
    }
}

static void sequenced_messages_come_across_the_wrap_of_16_bits(void **state)
{
    enum { MESSAGES = 65636 };

    (void)state;
    bed_open_pair(&the_bed, "65,636", 1);
    for (uint32_t n = 0; n < MESSAGES; n++) {
        bed_send(&the_bed.node[1], EDDY_UNRELIABLE_SEQUENCED, 0, SMALL, 1);
        bed_run_ms(&the_bed, 1);
    }
    bed_run_ms(&the_bed, 100);
    bed_check_in_order("65,636", &the_bed.node[0], MESSAGES);
    CHECK_EQ("none is called old", bed_stats(&the_bed.node[0]).messages_stale, 0);
    bed_close(&the_bed);
}

/* ----------------------------------------------------------------------------------------- 8 -- */

enum { ROOM = 100 };

static struct bed_node *open_with_room(void)
{
    eddy_config config = bed_client_config();

    config.max_message_size = EDDY_PIECE_SIZE_MAX;
    config.connection_send_budget = ROOM * ed_send_cost(SMALL);
    bed_open(&the_bed, "room for a hundred", 1);
    const struct bed_node *server = bed_add(&the_bed, bed_server_config());
    struct bed_node *client = bed_add(&the_bed, config);
    bed_dial(client, server);
    bed_run_ms(&the_bed, BED_SETTLE_MS);
    return client;
}

/** laminar kills the connection at message 100. Here the sender waits, and goes on. */
static void too_many_in_flight_make_the_sender_wait(void **state)
{
    (void)state;
    struct bed_node *client = open_with_room();
    const struct bed_node *server = &the_bed.node[0];
    CHECK_EQ("cut", ed_world_block(the_bed.world, NULL, NULL, true), EDDY_OK);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, ROOM);
    for (uint32_t again = 0; again < 3; again++)
        CHECK_EQ("message 100", bed_try_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL), EDDY_EAGAIN);
    bed_run_ms(&the_bed, 2000);
    CHECK_EQ("the connection stands", client->event_count, 1);
    CHECK_EQ("there is still no room", bed_try_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL),
             EDDY_EAGAIN);

    CHECK_EQ("mend", ed_world_block(the_bed.world, NULL, NULL, false), EDDY_OK);
    bed_run_ms(&the_bed, 2000);
    CHECK_EQ("told once", client->count[EDDY_WRITABLE], 1);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, ROOM);
    bed_run_ms(&the_bed, 2000);
    bed_check_in_order("all that was accepted", server, 2 * ROOM);
    CHECK_EQ("nobody was disconnected",
             client->count[EDDY_DISCONNECTED] + server->count[EDDY_DISCONNECTED], 0);
    bed_close(&the_bed);
}

/* ------------------------------------------------------------------------------------- 9, 10 -- */

static size_t take_in_a_batch(struct bed_node *node, eddy_event *events, size_t count)
{
    return eddy_next_batch(node->manager, events, count);
}

static size_t take_one_by_one(struct bed_node *node, eddy_event *events, size_t count)
{
    size_t taken = 0;

    while (taken < count && eddy_next(node->manager, &events[taken], 0) == EDDY_OK)
        taken++;
    return taken;
}

/** All three leave in one poll of the sender, and arrive in one poll of the receiver. */
static void three_messages_take_one_poll_of_each_side(void **state)
{
    static size_t (*const takes[])(struct bed_node * node, eddy_event * events,
                                   size_t count) = {take_in_a_batch, take_one_by_one};
    eddy_event events[4];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(takes); i++) {
        bed_open_pair(&the_bed, "three", i);
        struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
        server->is_reading = false;
        ed_world_attach(the_bed.world, server->host, NULL, NULL);
        ed_world_attach(the_bed.world, client->host, NULL, NULL);
        bed_send(client, EDDY_UNRELIABLE, 0, LARGE, 3);
        (void)eddy_poll(client->manager, ed_world_now_ns(the_bed.world));
        bed_run_ms(&the_bed, 10);
        CHECK_EQ("before the poll", takes[i](server, events, 4), 0);
        (void)eddy_poll(server->manager, ed_world_now_ns(the_bed.world));
        CHECK_EQ("after it", takes[i](server, events, 4), 3);
        for (size_t e = 0; e < 3; e++)
            bed_take(server, &events[e]);
        bed_check_in_order("three", server, 3);
        bed_close(&the_bed);
    }
}

/* ---------------------------------------------------------------------------------------- 11 -- */

/** laminar's replier gets the first packet before it is told of the connection. */
static void connected_is_the_first_event_on_both_sides(void **state)
{
    (void)state;
    bed_open(&the_bed, "connected", 1);
    struct bed_node *server = bed_add(&the_bed, bed_server_config());
    struct bed_node *client = bed_add(&the_bed, bed_client_config());
    bed_dial(client, server);
    bed_send(client, EDDY_UNRELIABLE, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    bed_send(server, EDDY_UNRELIABLE, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    for (size_t n = 0; n < 2; n++) {
        const struct bed_node *node = &the_bed.node[n];
        CHECK_EQ("events", node->event_count, 2);
        CHECK_EQ("first", node->log[0].type, EDDY_CONNECTED);
        CHECK_EQ("second", node->log[1].type, EDDY_MESSAGE);
        CHECK_EQ("of the same", node->log[0].connection, node->log[1].connection);
    }
    bed_close(&the_bed);
}

/** A connection is one when the peer has answered; having sent something is not enough. */
static void nobody_is_connected_to_a_peer_that_never_answers(void **state)
{
    (void)state;
    bed_open(&the_bed, "no answer", 1);
    struct bed_node *silent = bed_add(&the_bed, bed_client_config()); // accepts nobody
    struct bed_node *client = bed_add(&the_bed, bed_client_config());
    bed_dial(client, silent);
    bed_send(client, EDDY_UNRELIABLE, 0, SMALL, 10);
    bed_run_ms(&the_bed, client->config.handshake_timeout_ms);
    CHECK_EQ("one event", client->event_count, 1);
    CHECK_EQ("which", client->log[0].type, EDDY_DISCONNECTED);
    CHECK_EQ("why", client->end.end, EDDY_END_NO_ANSWER);
    CHECK_EQ("the other", silent->event_count, 0);
    bed_close(&the_bed);
}

/* ------------------------------------------------------------------------------------ 13, 18 -- */

static void keepalives_keep_a_connection_and_are_no_events(void **state)
{
    (void)state;
    bed_open_pair(&the_bed, "keepalives", 1);
    bed_run_ms(&the_bed, 10 * (uint64_t)the_bed.node[0].config.idle_timeout_ms);
    for (size_t n = 0; n < 2; n++)
        CHECK_EQ("connected, and nothing more", the_bed.node[n].event_count, 1);
    CHECK("pings kept it", bed_stats(&the_bed.node[0]).keepalives_sent +
                                   bed_stats(&the_bed.node[1]).keepalives_sent >
                               20);
    bed_send(&the_bed.node[1], EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 5);
    bed_check_in_order("it works", &the_bed.node[0], 1);
    bed_close(&the_bed);
}

/* ------------------------------------------------------------------------------------ 14, 16 -- */

static void unreliable_messages_are_not_sent_again_for_an_ack(void **state)
{
    (void)state;
    bed_open_pair(&the_bed, "35 unreliable", 1);
    struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
    bed_send(client, EDDY_RELIABLE_UNORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 50);
    for (uint32_t n = 0; n < 35; n++) {
        bed_send(client, EDDY_UNRELIABLE, 0, SMALL, 1);
        bed_run_ms(&the_bed, 1);
    }
    bed_send(server, EDDY_RELIABLE_UNORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 50);
    bed_check_in_order("36 up", server, 36);
    bed_check_in_order("one down", client, 1);
    bed_send(client, EDDY_RELIABLE_UNORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 5000);
    bed_check_in_order("the next comes alone", server, 37);
    CHECK_EQ("resent", bed_stats(client).messages_resent, 0);
    bed_close(&the_bed);
}

static void a_message_in_parts_is_acknowledged_and_not_sent_again(void **state)
{
    (void)state;
    const eddy_stream_options options = {.no_copies = true};
    bed_open_pair(&the_bed, "in parts", 1);
    struct bed_node *client = &the_bed.node[1];
    CHECK_EQ("stream", eddy_set_stream(client->manager, client->connection, 0, &options), EDDY_OK);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, 5000, 1);
    bed_run_ms(&the_bed, 50);
    bed_check_in_order("it came", &the_bed.node[0], 1);
    for (uint32_t n = 0; n < 34; n++) {
        bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
        bed_run_ms(&the_bed, 10);
    }
    bed_run_ms(&the_bed, 5000);
    bed_check_in_order("and 34 others", &the_bed.node[0], 35);
    CHECK_EQ("resent", bed_stats(client).messages_resent, 0);
    CHECK_EQ("duplicates", bed_stats(&the_bed.node[0]).messages_duplicate, 0);
    CHECK_EQ("probes", bed_stats(client).probes_sent, 0);
    bed_close(&the_bed);
}

/* ---------------------------------------------------------------------------------------- 15 -- */

/** Of ten datagrams nine are lost, each way; each message comes in the end, once. */
static void ninety_percent_loss_delays_and_loses_nothing(void **state)
{
    enum { IDS = 100, LIMIT_S = 600 };
    ed_link_config link = ed_link_config_default();

    (void)state;
    bed_open(&the_bed, "90 % loss", 1);
    eddy_config server_config = bed_server_config(), client_config = bed_client_config();
    server_config.idle_timeout_ms = client_config.idle_timeout_ms = 0;
    const struct bed_node *server = bed_add(&the_bed, server_config);
    struct bed_node *client = bed_add(&the_bed, client_config);
    bed_dial(client, server);
    bed_run_ms(&the_bed, BED_SETTLE_MS);
    link.delay_ns = ED_NS_PER_MS;
    link.loss_ppm = 900 * 1000;
    bed_set_link(&the_bed, link);
    for (uint32_t n = 0; n < IDS; n++) {
        bed_send(client, EDDY_RELIABLE_UNORDERED, 0, SMALL, 1);
        bed_run_ms(&the_bed, 16);
    }
    bed_await(server, IDS, LIMIT_S * 1000);
    bed_run_ms(&the_bed, 60 * 1000);
    bed_check_unique("each once", server, IDS);
    bed_close(&the_bed);
}

/* ---------------------------------------------------------------------------------------- 17 -- */

/** Half of them begin like something of eddy's, with the id of a packet that was seen. */
static size_t make_noise(ed_rng *rng, const struct bed_thief *thief, uint8_t *data)
{
    static const uint8_t begins[] = {0xe1, 0xe2, 0xe3, 0xe4, 0x40, 0x41, 0x61, 0x63};
    size_t size = 1 + (size_t)ed_rng_below(rng, ED_DATAGRAM_SIZE);

    ed_rng_fill(rng, data, size);
    if (ed_rng_below(rng, 2) == 0)
        data[0] = begins[ed_rng_below(rng, ED_COUNT(begins))];
    if (ed_rng_below(rng, 2) == 0)
        memcpy(data, thief->data, ed_min_size(size, 1 + ed_rng_below(rng, 12)));
    return size;
}

static void arbitrary_bytes_change_nothing(void **state)
{
    enum { DATAGRAMS = 20000, PER_MS = 20 };
    ed_rng rng = ed_rng_of(17);
    uint8_t data[ED_DATAGRAM_SIZE];
    struct bed_thief thief = {.size_min = 1};

    (void)state;
    bed_open_pair(&the_bed, "noise", 1);
    struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
    bed_watch(client, &thief);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    ed_world_observe(the_bed.world, NULL, NULL);
    uint64_t before = bed_stats(server).dropped_unknown;
    for (uint32_t n = 0; n < DATAGRAMS; n++) {
        bed_inject(client, server, data, make_noise(&rng, &thief, data));
        bed_inject(server, client, data, make_noise(&rng, &thief, data));
        bed_run_ms(&the_bed, n % PER_MS == 0 ? 1 : 0);
    }
    CHECK("it was looked at", bed_stats(server).dropped_unknown > before + DATAGRAMS / 4);
    CHECK("also closely", bed_stats(server).dropped_forged > DATAGRAMS / 40);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    bed_check_in_order("it goes on", server, 2);
    CHECK_EQ("no event but these", server->event_count + client->event_count, 4);
    bed_close(&the_bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_first_message_is_sent_again),
        cmocka_unit_test(a_lost_ordered_message_is_sent_again_and_waited_for),
        cmocka_unit_test(nothing_is_delivered_before_a_validated_handshake),
        cmocka_unit_test(a_lost_sequenced_message_does_not_follow_newer_ones),
        cmocka_unit_test(a_hundred_sequenced_messages_come_once_and_all),
        cmocka_unit_test(sequenced_messages_come_across_the_wrap_of_16_bits),
        cmocka_unit_test(too_many_in_flight_make_the_sender_wait),
        cmocka_unit_test(three_messages_take_one_poll_of_each_side),
        cmocka_unit_test(connected_is_the_first_event_on_both_sides),
        cmocka_unit_test(nobody_is_connected_to_a_peer_that_never_answers),
        cmocka_unit_test(keepalives_keep_a_connection_and_are_no_events),
        cmocka_unit_test(unreliable_messages_are_not_sent_again_for_an_ack),
        cmocka_unit_test(a_message_in_parts_is_acknowledged_and_not_sent_again),
        cmocka_unit_test(ninety_percent_loss_delays_and_loses_nothing),
        cmocka_unit_test(arbitrary_bytes_change_nothing),
    };

    return cmocka_run_group_tests_name("laminar manager", tests, NULL, NULL);
}
