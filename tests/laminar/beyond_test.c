/** What laminar's tests do not cover, and laminar does not do: README.md says where the rest is. */
#include "tests/laminar/bed.h"
#include "tests/laminar/inbox_bed.h"

#include "sim/random.h"
#include "transport/handshake.h"
#include "transport/packet.h"

static struct bed the_bed;

enum {
    LARGE = 1000, /* a message that a thief tells from acks and pings */
    SMALL = 8,
    FRAME_MS = 16,
};

static bool is_reliable(eddy_guarantee guarantee)
{
    return guarantee >= EDDY_RELIABLE_UNORDERED;
}

static bool has_order(eddy_guarantee guarantee)
{
    return guarantee != EDDY_UNRELIABLE && guarantee != EDDY_RELIABLE_UNORDERED;
}

/* ---------------------------------------------------------- acknowledgements without traffic -- */

static void send_with_receipt(struct bed_node *node, eddy_guarantee guarantee)
{
    eddy_send_options options = {.receipt = 1};

    CHECK_EQ("send",
             eddy_send_with(node->manager, node->connection, guarantee, 0, "1234", 4, &options),
             EDDY_OK);
    bed_touch(node);
}

/** laminar acknowledges in reliable messages that go the other way. Here nobody says a word. */
static void acknowledgements_need_no_word_from_the_program(void **state)
{
    enum { RELIABLE_MS = 25, UNRELIABLE_MS = 100 }; /* an acknowledgement waits so for company */

    (void)state;
    bed_open_pair(&the_bed, "receipts", 1);
    for (size_t n = 0; n < 2; n++)
        for (uint32_t g = 0; g <= EDDY_RELIABLE_SEQUENCED; g++) {
            struct bed_node *node = &the_bed.node[n];
            uint32_t before = node->event_count;
            uint64_t sent_ns = ed_world_now_ns(the_bed.world);

            send_with_receipt(node, (eddy_guarantee)g);
            bed_run_ms(&the_bed, 1000);
            CHECK_EQ("one receipt", node->event_count, before + 1);
            CHECK_EQ("is it", node->log[before].type, EDDY_RECEIPT);
            CHECK_EQ("it arrived", node->log[before].number, EDDY_OUTCOME_ACKED);
            uint32_t wait_ms = g >= EDDY_RELIABLE_UNORDERED ? RELIABLE_MS : UNRELIABLE_MS;
            uint32_t limit_ms = 2 * ED_WORLD_DELAY_MS + wait_ms;
            CHECK("soon", node->log[before].at_ns <= sent_ns + limit_ms * ED_NS_PER_MS);
        }
    bed_close(&the_bed);
}

/** laminar drops who is not answered every 5 s, and begins anew at sequence 0. */
static void a_sender_that_nobody_answers_goes_on(void **state)
{
    enum { SECONDS = 30, RATE_HZ = 60 };

    (void)state;
    bed_open_pair(&the_bed, "60 Hz", 1);
    for (uint32_t second = 0; second < SECONDS; second++) {
        for (uint32_t n = 0; n < RATE_HZ; n++) {
            bed_send(&the_bed.node[1], EDDY_UNRELIABLE_SEQUENCED, 0, SMALL, 1);
            ed_world_run_until(the_bed.world,
                               ed_world_now_ns(the_bed.world) + ED_NS_PER_S / RATE_HZ);
        }
        bed_check_in_order("each second", &the_bed.node[0], (second + 1) * RATE_HZ);
    }
    CHECK_EQ("one connection", the_bed.node[0].count[EDDY_CONNECTED], 1);
    bed_close(&the_bed);
}

/* ------------------------------------------------------------------ many packets in one poll -- */

/** A receiver that looks 60 times a second; laminar acknowledges 33 packets of each look. */
static void many_packets_in_one_poll_are_sent_once(void **state)
{
    enum { POLLS = 60 };
    static const uint32_t rows[] = {32, 48, 100, 250}; // of one datagram each, sent in a frame

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t before = 0, most = 0;

        bed_open_pair(&the_bed, "many", i);
        struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
        server->tick_ns = FRAME_MS * ED_NS_PER_MS;
        for (uint32_t n = 0; n < POLLS; n++) {
            before = bed_stats(server).received_datagrams;
            bed_send(client, EDDY_RELIABLE_UNORDERED, 0, LARGE, rows[i]);
            bed_run_ms(&the_bed, FRAME_MS);
            most = ed_max_u64(most, bed_stats(server).received_datagrams - before);
        }
        bed_run_ms(&the_bed, 5000);
        bed_check_unique("many", server, rows[i] * POLLS);
        CHECK("in one poll", most >= rows[i]);
        CHECK_EQ("resent", bed_stats(client).messages_resent, 0);
        CHECK_EQ("duplicates", bed_stats(server).messages_duplicate, 0);
        CHECK_EQ("lost", bed_stats(client).packets_lost, 0);
        bed_close(&the_bed);
    }
}

/* -------------------------------------------------------------------------------- duplicates -- */

static const struct fault {
    const char *name;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm;
    uint32_t loss_ppm;
} faults[] = {
    {"no fault", 0, 0, 0},
    {"everything twice", 1000 * 1000, 0, 0},
    {"everything twice, and shuffled", 1000 * 1000, 500 * 1000, 0},
    {"some twice, shuffled and lost", 500 * 1000, 300 * 1000, 200 * 1000},
};

static void open_with_fault(const struct fault *fault, uint64_t seed)
{
    ed_link_config link = ed_link_config_default();

    bed_open_pair(&the_bed, fault->name, seed);
    link.delay_ns = 20 * ED_NS_PER_MS;
    link.duplicate_ppm = fault->duplicate_ppm;
    link.reorder_ppm = fault->reorder_ppm;
    link.reorder_extra_ns = 50 * ED_NS_PER_MS; // longer than until a packet is called lost
    link.loss_ppm = fault->loss_ppm;
    bed_set_link(&the_bed, link);
}

/** What each guarantee promises, of messages that were sent with pauses. */
static void check_promise(const struct fault *fault, eddy_guarantee guarantee, uint32_t messages)
{
    const struct bed_node *server = &the_bed.node[0];
    bool all_may_come = fault->loss_ppm == 0 && fault->reorder_ppm == 0;
    uint32_t came = server->count[EDDY_MESSAGE];

    CHECK_EQ(fault->name, server->guarantees[guarantee], came);
    if (all_may_come || guarantee == EDDY_RELIABLE_UNORDERED || guarantee == EDDY_RELIABLE_ORDERED)
        CHECK_EQ(fault->name, came, messages);
    CHECK(fault->name, came > messages / 20);
    bed_check_unique(fault->name, server, came);
    if (has_order(guarantee))
        CHECK_EQ(fault->name, server->backwards, 0);
    if (is_reliable(guarantee))
        CHECK_EQ(fault->name, server->reach[0], messages);
}

static void check_faults(size_t size, uint32_t bursts, uint32_t burst)
{
    for (size_t f = 0; f < ED_COUNT(faults); f++)
        for (uint32_t g = 0; g <= EDDY_RELIABLE_SEQUENCED; g++) {
            open_with_fault(&faults[f], g);
            for (uint32_t n = 0; n < bursts; n++) {
                bed_send(&the_bed.node[1], (eddy_guarantee)g, 0, size, burst);
                bed_run_ms(&the_bed, 100);
            }
            bed_run_ms(&the_bed, 60 * 1000);
            check_promise(&faults[f], (eddy_guarantee)g, bursts * burst);
            bed_close(&the_bed);
        }
}

static void nothing_is_delivered_twice(void **state)
{
    (void)state;
    check_faults(SMALL, 20, 100);
}

/* ------------------------------------------------------------------------- messages in parts -- */

static void parts_in_any_order_and_number_make_the_message(void **state)
{
    (void)state;
    check_faults(3000, 200, 2);
}

/** laminar gives parts no order: 92 of 4,999 were out of it. */
static void messages_in_parts_keep_their_order(void **state)
{
    enum { MESSAGES = 4999, LOSS_PPM = 10 * 1000 };
    static const struct fault one_percent = {"1 % loss", 0, LOSS_PPM, LOSS_PPM};

    (void)state;
    open_with_fault(&one_percent, 1);
    struct bed_node *client = &the_bed.node[1];
    for (uint32_t n = 0; n < MESSAGES; n++) {
        bed_send(client, EDDY_RELIABLE_ORDERED, 0, n % 5 == 0 ? SMALL : 2000, 1);
        bed_run_ms(&the_bed, FRAME_MS);
    }
    bed_run_ms(&the_bed, 10 * 1000);
    bed_check_in_order("1 % loss", &the_bed.node[0], MESSAGES);
    bed_close(&the_bed);
}

enum { UNIT = ED_FRAGMENT_UNIT, PART = 9 * UNIT };

/** A part of a message of two; each has the bytes of its own message. */
static ed_message_frame part_of(uint8_t guarantee, uint32_t number, uint32_t index)
{
    static uint8_t data[PART];

    for (uint32_t i = 0; i < PART; i++)
        data[i] = bed_byte(number, index * PART + i);
    return (ed_message_frame){.guarantee = guarantee,
                              .sequence_bits = 16,
                              .sequence = (uint16_t)number,
                              .fragment = true,
                              .whole_size = 2 * PART,
                              .fragment_index = index * 9,
                              .data = {.data = data, .size = PART}};
}

static struct inbox_bed inbox;

static void receive_part(uint8_t guarantee, uint32_t number, uint32_t index)
{
    ed_message_frame frame = part_of(guarantee, number, index);

    CHECK_EQ("a part", inbox_frame(&inbox, &frame), EDDY_OK);
}

/**
 * The second part of message 0 is lost. When the sequence has come round, laminar completes it with
 * the second part of message 65,536.
 */
static void parts_of_different_messages_are_never_joined(void **state)
{
    static const uint8_t unreliable[] = {ED_WIRE_UNRELIABLE, ED_WIRE_UNRELIABLE_SEQUENCED};

    (void)state;
    for (size_t g = 0; g < ED_COUNT(unreliable); g++) {
        inbox_open(&inbox, "unreliable");
        receive_part(unreliable[g], 0, 0);
        // Two packets for each message between; no other is kept, so nothing pushes the old out.
        inbox.packet += 2 * UINT64_C(65535);
        receive_part(unreliable[g], 65536, 1);
        CHECK_EQ("not the two", inbox.taken_count, 0);
        receive_part(unreliable[g], 65536, 0);
        CHECK_EQ("the new one", inbox.taken_count, 1);
        CHECK_EQ("whose first bytes are its own", inbox.taken[0], 65536);
        inbox_close(&inbox);
    }
}

/** A reliable sequence may come round only when all before it has arrived. */
static void a_reliable_part_that_is_late_by_a_wrap_is_refused(void **state)
{
    (void)state;
    inbox_open(&inbox, "reliable");
    receive_part(ED_WIRE_RELIABLE_ORDERED, 0, 0);
    receive_part(ED_WIRE_RELIABLE_ORDERED, 0, 1);
    for (uint32_t s = 1; s < 65536; s++)
        CHECK_EQ("between", inbox_receive(&inbox, ED_WIRE_RELIABLE_ORDERED, 0, s), EDDY_OK);
    receive_part(ED_WIRE_RELIABLE_ORDERED, 65536, 1);
    ed_message_frame late = part_of(ED_WIRE_RELIABLE_ORDERED, 65535, 0);
    CHECK_EQ("had", inbox_frame(&inbox, &late), EDDY_EEXIST);
    receive_part(ED_WIRE_RELIABLE_ORDERED, 65536, 0);
    CHECK_EQ("all", inbox.taken_count, 65537);
    CHECK_EQ("the last", inbox.last, 65536);
    inbox_close(&inbox);
}

/* ----------------------------------------------------------------------------------- restart -- */

/** laminar's client goes on for ever, and nothing arrives. */
static void a_restarted_server_is_noticed(void **state)
{
    enum { UNHEARD = 50 };

    (void)state;
    bed_open_pair(&the_bed, "restart", 1);
    struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 5);
    bed_run_ms(&the_bed, 1000);
    bed_crash(server);
    bed_start(server);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, UNHEARD);
    bed_run_ms(&the_bed, 1000); // far less than the idle timeout
    CHECK_EQ("told", client->count[EDDY_DISCONNECTED], 1);
    CHECK_EQ("why", client->end.end, EDDY_END_FORGOTTEN);
    CHECK_EQ("and what did not arrive", client->end.undelivered, UNHEARD);
    bed_check_in_order("the new server has none of it", server, 5);

    bed_dial(client, server);
    client->next_number = 5;
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, UNHEARD);
    bed_run_ms(&the_bed, 1000);
    bed_check_in_order("connected anew, all arrives", server, 5 + UNHEARD);
    CHECK_EQ("twice", server->count[EDDY_CONNECTED], 2);
    bed_close(&the_bed);
}

/* ----------------------------------------------------------------------------------- forgery -- */

/** A packet as its sender would make it, but for the tag, which is made up. */
static size_t forge(const struct bed_thief *seen, uint64_t number, const uint8_t *frames,
                    size_t frames_size, uint8_t *data)
{
    ed_rng rng = ed_rng_of(number);
    ed_packet packet = {.number = number, .number_size = 2};

    CHECK_EQ("seen", ed_packet_peek_id(seen->data, seen->size, &packet.from_client, &packet.id),
             EDDY_OK);
    size_t size = ed_packet_write(&packet, data);
    memcpy(data + size, frames, frames_size);
    ed_rng_fill(&rng, data + size + frames_size, ED_TAG_SIZE);
    return size + frames_size + ED_TAG_SIZE;
}

enum { FORGERIES = 64, FORGED_NUMBER = 100 };

/** Without the key for the header a forger does not even know what number he says. */
static uint64_t dropped(const struct bed_node *node)
{
    eddy_stats stats = bed_stats(node);

    return stats.dropped_forged + stats.dropped_malformed + stats.dropped_replayed;
}

static void send_forgeries(const struct bed_node *from, const struct bed_node *to,
                           const struct bed_thief *seen, const uint8_t *frames, size_t size)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    uint64_t before = dropped(to);

    for (uint64_t n = 0; n < FORGERIES; n++)
        bed_inject(from, to, data, forge(seen, FORGED_NUMBER + n, frames, size, data));
    bed_run_ms(&the_bed, 2);
    CHECK_EQ("dropped", dropped(to), before + FORGERIES);
}

/** One of them stops laminar's ordered stream for ever. */
static void a_forged_acknowledgement_settles_nothing(void **state)
{
    static const uint8_t ack_of_all[] = {ED_FRAME_ACK, 10 << 2, 0, 0, 10 << 2}; // 0 to 10
    struct bed_thief seen = {.size_min = 1};
    struct bed_thief thief = {.size_min = LARGE, .count = 3};

    (void)state;
    bed_open_pair(&the_bed, "forged ack", 1);
    struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
    bed_watch(server, &seen);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    bed_watch(client, &thief);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, LARGE, 1);
    bed_run_ms(&the_bed, 10);
    send_forgeries(server, client, &seen, ack_of_all, sizeof(ack_of_all));
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 5000);
    bed_check_in_order("all the same", server, 3);
    bed_close(&the_bed);
}

static void forged_messages_are_not_delivered(void **state)
{
    static const uint8_t message[] = {0xb0, 1, 0, 'e', 'v', 'i', 'l'}; // ordered, sequence 1
    struct bed_thief seen = {.size_min = 1};

    (void)state;
    bed_open_pair(&the_bed, "forged data", 1);
    struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
    bed_watch(client, &seen);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    send_forgeries(client, server, &seen, message, sizeof(message));
    bed_check_in_order("nothing", server, 1);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 1);
    bed_run_ms(&the_bed, 100);
    bed_check_in_order("only what is real", server, 2);
    CHECK_EQ("and nothing else", server->event_count, 3);
    bed_close(&the_bed);
}

/* ------------------------------------------------------------------------------------ floods -- */

static size_t make_byte(uint8_t *data, ed_rng *rng)
{
    ed_rng_fill(rng, data, 1);
    return 1;
}

static size_t make_noise(uint8_t *data, ed_rng *rng)
{
    ed_rng_fill(rng, data, ED_DATAGRAM_SIZE);
    return ED_DATAGRAM_SIZE;
}

/** laminar's own: version 2, a packet, reliable and ordered, sequence 0 of stream 0. */
static size_t make_laminar(uint8_t *data, ed_rng *rng)
{
    static const uint8_t head[] = {0, 2, 0, 1, 2, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0};

    memcpy(data, head, sizeof(head));
    ed_rng_fill(rng, data + sizeof(head), 8);
    return sizeof(head) + 8;
}

static size_t make_packet(uint8_t *data, ed_rng *rng)
{
    ed_packet packet = {.from_client = true, .id = (uint32_t)ed_rng_next(rng), .number_size = 2};
    size_t size = ed_packet_write(&packet, data);

    ed_rng_fill(rng, data + size, 40);
    return size + 40;
}

static size_t make_initiate(uint8_t *data, ed_rng *rng)
{
    ed_rng_fill(rng, data, ED_INITIATE_SIZE);
    memset(data, 0, 16);
    data[0] = ED_FORM_INITIATE;
    data[1] = ED_PROTOCOL_VERSION;
    data[5] = ED_MODE_PINNED;
    data[6] = 1 << ED_AEAD_CHACHA20;
    return ED_INITIATE_SIZE;
}

static void flood(struct bed_node *server, size_t (*make)(uint8_t *data, ed_rng *rng))
{
    enum { SPOOFED = 10000, PER_MS = 10 };
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_rng rng = ed_rng_of(1);
    eddy_socket socket;
    eddy_address at = ed_addr_ipv4(172, 16, 0, 0, 999);
    ed_host *host = ed_world_socket(the_bed.world, &at, &socket);

    CHECK("host", host != NULL);
    for (uint32_t i = 0; i < SPOOFED; i++) {
        at = ed_addr_ipv4(172, 16, (uint8_t)(i >> 8), (uint8_t)i, (uint16_t)(1024 + i));
        eddy_datagram datagram = {
            .remote = server->address, .data = data, .size = make(data, &rng)};
        CHECK_EQ("move", ed_world_move(the_bed.world, host, &at), EDDY_OK);
        CHECK_EQ("send", socket.send(socket.context, &datagram, 1), 1);
        bed_run_ms(&the_bed, i % PER_MS == 0 ? 1 : 0);
    }
    bed_run_ms(&the_bed, 100);
    CHECK_EQ("all came", bed_stats(server).received_datagrams, SPOOFED);
}

/** In laminar each has a place, its message is delivered, and who comes later is not served. */
static void a_flood_from_made_up_addresses_leaves_nothing_behind(void **state)
{
    static const struct {
        const char *name;
        size_t (*make)(uint8_t *data, ed_rng *rng);
        uint64_t times; /* more must come than go back */
    } rows[] = {
        {"one byte", make_byte, 20},
        {"noise", make_noise, 20},
        {"laminar", make_laminar, 20},
        {"packets of no connection", make_packet, 1}, // a reset is shorter than its cause
        {"cookies of nobody", make_initiate, 20},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bed_open(&the_bed, rows[i].name, i);
        struct bed_node *server = bed_add(&the_bed, bed_server_config());
        bed_run_ms(&the_bed, 1);
        uint64_t calls = server->memory.calls;
        flood(server, rows[i].make);
        CHECK_EQ(rows[i].name, server->memory.calls, calls);
        CHECK_EQ(rows[i].name, server->event_count, 0);
        CHECK(rows[i].name,
              bed_stats(server).sent_bytes * rows[i].times < bed_stats(server).received_bytes);

        struct bed_node *client = bed_add(&the_bed, bed_client_config());
        bed_dial(client, server);
        bed_send(client, EDDY_RELIABLE_ORDERED, 0, SMALL, 60);
        bed_run_ms(&the_bed, 1000);
        bed_check_in_order(rows[i].name, server, 60);
        bed_close(&the_bed);
    }
}

/* ------------------------------------------------------------------------------------- sizes -- */

/** laminar cuts, loses or panics above 1,447, 16,384 and 65,535 bytes, and tells nobody. */
static void every_size_arrives_whole_or_is_refused(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   EDDY_PIECE_SIZE_MAX - 1,
                                   EDDY_PIECE_SIZE_MAX,
                                   EDDY_PIECE_SIZE_MAX + 1,
                                   1447,
                                   1448,
                                   1452,
                                   1453,
                                   EDDY_UNRELIABLE_SIZE_MAX,
                                   EDDY_UNRELIABLE_SIZE_MAX + 1,
                                   17000,
                                   65000,
                                   65535,
                                   65536,
                                   67560,
                                   70000};

    (void)state;
    for (uint32_t g = 0; g <= EDDY_RELIABLE_SEQUENCED; g++) {
        uint32_t sent = 0;

        bed_open_pair(&the_bed, "sizes", g);
        struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
        for (size_t i = 0; i < ED_COUNT(sizes); i++) {
            bool fits = is_reliable((eddy_guarantee)g) || sizes[i] <= EDDY_UNRELIABLE_SIZE_MAX;
            client->next_number = 0; // one byte cannot say more
            CHECK_EQ("send", bed_try_send(client, (eddy_guarantee)g, 0, sizes[i]),
                     fits ? EDDY_OK : EDDY_ETOOBIG);
            sent += fits ? 1 : 0;
            bed_run_ms(&the_bed, 1000);
            CHECK_EQ("arrived", server->count[EDDY_MESSAGE], sent);
            CHECK_EQ("whole", server->damaged, 0);
            CHECK("of its size", server->log[sent].size == sizes[i] || !fits);
        }
        bed_close(&the_bed);
    }
}

/* ------------------------------------------------------------------------------------- order -- */

enum { PEERS = 6, RUNS = 4 };

/** Six connections end in the same nanosecond. @return the server's events. */
static const struct bed_node *end_six_at_once(void)
{
    bed_open(&the_bed, "six", 1);
    struct bed_node *server = bed_add(&the_bed, bed_server_config());
    for (size_t i = 0; i < PEERS; i++)
        bed_dial(bed_add(&the_bed, bed_client_config()), server);
    bed_run_ms(&the_bed, BED_SETTLE_MS);
    for (size_t i = 0; i < PEERS; i++)
        bed_send(&the_bed.node[PEERS - i], EDDY_UNRELIABLE, 0, SMALL, 1);
    bed_run_ms(&the_bed, 2);
    CHECK_EQ("cut", ed_world_block(the_bed.world, NULL, NULL, true), EDDY_OK);
    bed_run_ms(&the_bed, server->config.idle_timeout_ms);
    return server;
}

/** laminar's came in another order in each of four runs: it walks through a random hash map. */
static void simultaneous_events_have_an_order(void **state)
{
    struct bed_entry first[3 * PEERS];

    (void)state;
    for (size_t r = 0; r < RUNS; r++) {
        const struct bed_node *server = end_six_at_once();
        const struct bed_entry *ends = &server->log[2 * PEERS];

        CHECK_EQ("events", server->event_count, ED_COUNT(first));
        for (size_t i = 0; i < PEERS; i++) {
            CHECK_EQ("an end", ends[i].type, EDDY_DISCONNECTED);
            CHECK_EQ("at once", ends[i].at_ns, ends[0].at_ns);
            CHECK_EQ("as they came", ends[i].connection, server->log[i].connection);
        }
        for (size_t i = 0; r > 0 && i < ED_COUNT(first); i++) {
            CHECK_EQ("the same", first[i].type, server->log[i].type);
            CHECK_EQ("the same", first[i].connection, server->log[i].connection);
            CHECK_EQ("the same", first[i].at_ns, server->log[i].at_ns);
        }
        memcpy(first, server->log, sizeof(first));
        bed_close(&the_bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledgements_need_no_word_from_the_program),
        cmocka_unit_test(a_sender_that_nobody_answers_goes_on),
        cmocka_unit_test(many_packets_in_one_poll_are_sent_once),
        cmocka_unit_test(nothing_is_delivered_twice),
        cmocka_unit_test(parts_in_any_order_and_number_make_the_message),
        cmocka_unit_test(messages_in_parts_keep_their_order),
        cmocka_unit_test(parts_of_different_messages_are_never_joined),
        cmocka_unit_test(a_reliable_part_that_is_late_by_a_wrap_is_refused),
        cmocka_unit_test(a_restarted_server_is_noticed),
        cmocka_unit_test(a_forged_acknowledgement_settles_nothing),
        cmocka_unit_test(forged_messages_are_not_delivered),
        cmocka_unit_test(a_flood_from_made_up_addresses_leaves_nothing_behind),
        cmocka_unit_test(every_size_arrives_whole_or_is_refused),
        cmocka_unit_test(simultaneous_events_have_an_order),
    };

    return cmocka_run_group_tests_name("laminar beyond", tests, NULL, NULL);
}
