/** Two connections joined by hand: what each says about paths, where to, and how much of it. */
#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "tests/support/conn_bed.h"
#include "transport/packet.h"

#define MS(n) ((n)*ED_NS_PER_MS)

enum { WINDOW = 123456, RTT_MS = 40 };

/** What the server's congestion control was told since the client connected. */
static struct {
    unsigned begun;
    unsigned lost;
    unsigned spurious;
} heard;

static ed_conn_bed bed;
static unsigned moves_logged;
static ed_conn client, server;
static uint64_t now_ns;
static uint8_t data[EDDY_DATAGRAM_SIZE_MAX];

static ed_path path_of(uint8_t host, uint16_t port)
{
    return (ed_path){.remote = ed_addr_ipv4(10, 0, 0, host, port),
                     .local = ed_addr_ipv4(192, 0, 2, 1, 4000)};
}

static eddy_datagram datagram_on(ed_path path, size_t size)
{
    return (eddy_datagram){.remote = path.remote, .local = path.local, .data = data, .size = size};
}

static void arrive(ed_conn *conn, ed_path path, size_t size)
{
    eddy_datagram datagram = datagram_on(path, size);

    ed_conn_receive(conn, &datagram, now_ns);
}

/** @return the size of what the connection sends, into `data`. */
static size_t take(ed_conn *conn, ed_path *path)
{
    return ed_conn_transmit(conn, path, data, now_ns);
}

/** The path on which the server sees the client at first. */
static ed_path home(void)
{
    return path_of(1, 1);
}

/** The path on which the client sees the server. */
static ed_path up(void)
{
    return (ed_path){.remote = ed_addr_ipv4(192, 0, 2, 1, 4000)};
}

/** Carries all that both have to say; the client is on `from`. */
static void settle(ed_path from)
{
    ed_path path;

    for (size_t size = 1; size > 0;) {
        size = take(&client, &path);
        if (size > 0)
            arrive(&server, from, size);
        size_t back = take(&server, &path);
        if (back > 0)
            arrive(&client, up(), back);
        size += back;
    }
}

static void take_line(void *context, eddy_log_level level, eddy_log_topic topic, const char *text)
{
    (void)context;
    moves_logged += level == EDDY_LOG_INFO && topic == EDDY_LOG_CONNECTION &&
                            strstr(text, "with 10.0.0.1:1: moved to 10.0.0.") != NULL
                        ? 1
                        : 0;
}

/* ------------------------------------------------------- congestion control that only listens --
 */

static void hear_init(ed_congestion *state, uint32_t datagram_size)
{
    (void)state, (void)datagram_size;
    heard.begun++;
}

static void hear_sent(ed_congestion *state, uint64_t size, uint64_t in_flight, uint64_t at_ns)
{
    (void)state, (void)size, (void)in_flight, (void)at_ns;
}

static void hear_acked(ed_congestion *state, const ed_congestion_ack *ack, const ed_rtt *rtt,
                       uint64_t at_ns)
{
    (void)state, (void)ack, (void)rtt, (void)at_ns;
}

static void hear_lost(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t at_ns)
{
    (void)state, (void)sent_ns, (void)size, (void)at_ns;
    heard.lost++;
}

static void hear_persistent(ed_congestion *state, uint64_t at_ns)
{
    (void)state, (void)at_ns;
    heard.lost++;
}

static void hear_spurious(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t at_ns)
{
    (void)state, (void)sent_ns, (void)size, (void)at_ns;
    heard.spurious++;
}

static uint64_t same_window(const ed_congestion *state)
{
    (void)state;
    return WINDOW;
}

static ed_congestion_path no_path(const ed_congestion *state, const ed_rtt *rtt)
{
    (void)state, (void)rtt;
    return (ed_congestion_path){0};
}

static uint64_t same_rate(const ed_congestion *state, const ed_rtt *rtt)
{
    (void)state;
    return ed_congestion_window_rate(WINDOW, rtt);
}

static const ed_congestion_ops listener = {
    .name = "listener",
    .init = hear_init,
    .on_sent = hear_sent,
    .on_acked = hear_acked,
    .on_lost = hear_lost,
    .on_persistent = hear_persistent,
    .on_spurious = hear_spurious,
    .window = same_window,
    .path = no_path,
    .pacing_rate = same_rate,
};

/* ------------------------------------------------------------------------------------- tests -- */

/** A client on its home path, connected; a round trip was measured. */
static int open_both(void **state)
{
    (void)state;
    ed_conn_bed_open(&bed, 2);
    moves_logged = 0;
    bed.log =
        (ed_log){.function = take_line, .level = EDDY_LOG_INFO, .topics = EDDY_LOG_ALL_TOPICS};
    now_ns = MS(1000);
    ed_path to = up(), from = home();
    ed_conn_bed_connect(&bed, &client, &server, &to, &from, now_ns);
    settle(home());
    now_ns += MS(500);
    ed_rtt_init(&server.rtt);
    ed_rtt_sample(&server.rtt, MS(RTT_MS), 0);
    server.congestion_ops = &listener;
    memset(&heard, 0, sizeof(heard));
    return server.state == ED_CONN_CONNECTED && client.state == ED_CONN_CONNECTED ? 0 : -1;
}

static int close_both(void **state)
{
    (void)state;
    ed_conn_free(&client);
    ed_conn_free(&server);
    ed_conn_bed_close(&bed);
    return 0;
}

/** Has a connection say frames of its own accord. @return the packet's size, in `data`. */
static size_t say(ed_conn *conn, const char *frames, size_t size)
{
    size_t got = ed_conn_write_aside(conn, (ed_span){.data = (const uint8_t *)frames, .size = size},
                                     ED_DATAGRAM_SIZE, data, now_ns);

    CHECK("said", got > 0);
    return got;
}

/** The frames of what the server has just sent, into `data`. */
static const uint8_t *opened(size_t size)
{
    ed_packet packet;

    CHECK("unmask", ed_keys_unmask(&client.secrets->keys, data, 1, size));
    CHECK_EQ("parse", ed_packet_parse(&packet, data, size), EDDY_OK);
    CHECK("open", ed_keys_open(&client.secrets->keys, packet.phase, server.sent.next - 1, data,
                               packet.header_size, size, 0, 0, now_ns));
    return data + packet.header_size;
}

/** The client says PING on a path. @return how many bytes arrived. */
static size_t ping_from(ed_path path)
{
    size_t size = say(&client, "\x01", 1);

    arrive(&server, path, size);
    return size;
}

/** Fails unless the server's next datagram takes this path. @return its size. */
static size_t want_on(const char *name, ed_path want)
{
    ed_path path;
    size_t size = take(&server, &path);

    CHECK(name, size > 0);
    CHECK(name, eddy_address_equal(&path.remote, &want.remote));
    CHECK(name, eddy_address_equal(&path.local, &want.local));
    return size;
}

/** The client takes what is in `data` and answers. @return the answer's size, in `data`. */
static size_t answer(size_t size)
{
    ed_path path;

    arrive(&client, up(), size);
    return take(&client, &path);
}

/* -------------------------------------------------------------------------------- the server -- */

static void both_paths_are_asked(void **state)
{
    ed_path path;

    (void)state;
    size_t size = ping_from(path_of(1, 2));
    want_on("the path in use", home());
    CHECK("as many bytes as came", want_on("the candidate", path_of(1, 2)) <= size);
    CHECK_EQ("asked", bed.stats.paths_challenged, 1);
    CHECK("not the same", server.paths->question[0].data != server.paths->question[1].data);
    now_ns += ED_ACK_DELAY_NS;
    want_on("all else goes where the client was", home());
    CHECK_EQ("nothing more", take(&server, &path), 0);
    CHECK("but not for ever", ed_conn_next_ns(&server) < now_ns + MS(1000));
}

static void the_answer_decides(void **state)
{
    static const struct {
        const char *name;
        ed_path_end answers; /* which question is answered */
        uint8_t host;        /* where the client is by now */
        uint16_t port;
        uint8_t from; /* on which host's path the answer comes */
        bool moves;
        bool keeps; /* what is known of the path */
    } rows[] = {
        {"another port", ED_PATH_CANDIDATE, 1, 2, 1, true, true},
        {"another host", ED_PATH_CANDIDATE, 2, 1, 2, true, false},
        {"another host, the answer from a third", ED_PATH_CANDIDATE, 2, 1, 3, true, false},
        {"the old path answers", ED_PATH_CURRENT, 1, 2, 1, false, true},
        {"the old path answers, from the new one", ED_PATH_CURRENT, 2, 2, 2, false, true},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, open_both(NULL), 0);
        ed_path there = path_of(rows[i].host, rows[i].port);
        ping_from(there);
        size_t size = want_on(rows[i].name, home());
        if (rows[i].answers == ED_PATH_CANDIDATE)
            size = want_on(rows[i].name, there);
        now_ns += MS(5);
        arrive(&server, path_of(rows[i].from, rows[i].port), answer(size));
        ed_path now = rows[i].moves ? there : home();
        CHECK(rows[i].name, ed_path_equal(ed_conn_path(&server), &now));
        CHECK_EQ(rows[i].name, server.moved_pending, rows[i].moves);
        CHECK_EQ(rows[i].name, bed.stats.paths_validated, rows[i].moves);
        CHECK_EQ(rows[i].name, bed.stats.paths_refused, !rows[i].moves);
        CHECK_EQ(rows[i].name, moves_logged, rows[i].moves);
        CHECK_EQ(rows[i].name, server.rtt.smoothed_ns, rows[i].keeps ? MS(RTT_MS) : MS(5));
        CHECK_EQ(rows[i].name, heard.begun, !rows[i].keeps);
        (void)close_both(NULL);
    }
}

/** What was in flight on the old path neither holds the window nor shrinks it. */
static void the_probe_leaves_at_once(void **state)
{
    enum { FULL = 10 };
    ed_path path;

    (void)state;
    for (int i = 0; i < FULL; i++) { // that nobody answers
        server.ping_pending = true;
        CHECK("sent", take(&server, &path) > 0);
    }
    CHECK("in flight", server.loss.in_flight > 0);
    ping_from(path_of(1, 2));
    want_on("the old path is asked", home());
    arrive(&server, path_of(1, 2), answer(want_on("challenge", path_of(1, 2))));
    CHECK_EQ("given up", server.loss.in_flight, 0);
    CHECK_EQ("counted", bed.stats.packets_lost, FULL);
    want_on("probe", path_of(1, 2));
    want_on("another", path_of(1, 2));
    CHECK_EQ("no third", take(&server, &path), 0);
    CHECK_EQ("which was no congestion", heard.lost, 0);
    CHECK_EQ("what is in flight is new", server.loss.ack_eliciting_in_flight, 2);
    CHECK("round trip", server.rtt.smoothed_ns == MS(RTT_MS));
}

/** A probe of the size that the old path took away is none that was refused. */
static void a_move_refuses_no_size(void **state)
{
    ed_path path;

    (void)state;
    CHECK("it begins", ed_mtu_on_full(&server.mtu, now_ns));
    CHECK_EQ("a probe", take(&server, &path), server.mtu.limit);
    ping_from(path_of(1, 2));
    want_on("the old path is asked", home());
    arrive(&server, path_of(1, 2), answer(want_on("challenge", path_of(1, 2))));
    CHECK_EQ("it is gone", server.mtu.probe_size, 0);
    CHECK_EQ("and counts for nothing", server.mtu.tries, 0);
    CHECK("the next comes in time",
          server.timers.at_ns[ED_TIMER_MTU] <= ed_mtu_next_ns(&server.mtu));
}

/** The client hears a question, then something on the old path; its one answer has acks of both. */
static void acks_of_the_old_path_say_nothing_of_the_new_one(void **state)
{
    static const struct {
        const char *name;
        uint8_t host;
        uint64_t rtt_ms;
        bool begins; /* congestion control, anew */
    } rows[] = {
        {"another port: all stays", 1, RTT_MS, false},
        {"another host: the question alone was measured", 2, 5, true},
    };
    uint8_t kept[EDDY_DATAGRAM_SIZE_MAX];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, open_both(NULL), 0);
        ed_path there = path_of(rows[i].host, 2);
        ping_from(there);
        want_on(rows[i].name, home());
        size_t size = want_on(rows[i].name, there);
        memcpy(kept, data, size);
        server.ping_pending = true;
        arrive(&client, up(), want_on(rows[i].name, home()));
        now_ns += MS(5);
        memcpy(data, kept, size);
        arrive(&server, there, answer(size));
        CHECK(rows[i].name, server.moved_pending);
        CHECK_EQ(rows[i].name, bed.stats.packets_spurious, 1); // given up, and turned up
        CHECK_EQ(rows[i].name, server.rtt.smoothed_ns, MS(rows[i].rtt_ms));
        CHECK_EQ(rows[i].name, heard.spurious, 0);
        CHECK_EQ(rows[i].name, heard.begun, rows[i].begins);
        (void)close_both(NULL);
    }
}

/** Of a question that was asked twice nobody knows which copy was answered. */
static void a_repeated_question_measures_nothing(void **state)
{
    ed_path there = path_of(2, 2);

    (void)state;
    ping_from(there);
    want_on("the old path is asked", home());
    want_on("the new path is asked", there);
    ping_from(there);
    now_ns = server.paths->deadline_ns;
    ed_conn_expire(&server, now_ns);
    want_on("again", home());
    size_t size = want_on("again", there);
    now_ns += MS(1);
    arrive(&server, there, answer(size));
    CHECK_EQ("moved", server.moved_pending, true);
    CHECK("nothing is known", !server.rtt.sampled);
}

/** Without memory a move waits; nothing is lost by it but time. */
static void without_memory_it_stays_where_it_is(void **state)
{
    ed_counting_alloc memory;
    ed_path there = path_of(2, 2);

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    bed.shared.allocator = &memory.allocator;
    memory.fail_after = 0;
    ping_from(there);
    CHECK_EQ("ignored", bed.stats.paths_ignored, 1);
    CHECK_EQ("nobody is asked", bed.stats.paths_challenged, 0);
    CHECK("it is where it was", ed_path_equal(ed_conn_path(&server), &server.path));
    memory.fail_after = UINT64_MAX;
    ping_from(there);
    CHECK_EQ("asked", bed.stats.paths_challenged, 1);
    CHECK_EQ("once", memory.live_count, 1);
    ed_conn_free_paths(&server);
    CHECK_EQ("given back", memory.live_count, 0);
    bed.shared.allocator = bed.config.allocator;
}

/** A move that there was no memory to tell of is not told after the last event. */
static void nothing_follows_the_end(void **state)
{
    ed_block *taken = NULL;
    ed_event_item item;

    (void)state;
    for (ed_block *block = ed_pool_take(bed.shared.notice_pool, 1); block != NULL;
         block = ed_pool_take(bed.shared.notice_pool, 1)) {
        block->next = taken;
        taken = block;
    }
    server.moved_pending = true;
    ed_conn_abandon(&server, EDDY_END_IDLE, now_ns);
    do {
        CHECK_EQ("an event", ed_conn_events(&server, &item, 1), 1);
        ed_event_drop(&item);
    } while (item.type != EDDY_DISCONNECTED);
    for (ed_block *next = NULL; taken != NULL; taken = next) {
        next = taken->next;
        taken->next = NULL;
        ed_pool_give(taken);
    }
    CHECK_EQ("it was the last", ed_conn_events(&server, &item, 1), 0);
    CHECK("it is over", ed_conn_is_over(&server));
}

/** A connection that ends is granted nothing more, and does not wait for it in the others' way. */
static void who_ends_waits_for_no_room(void **state)
{
    static const struct {
        const char *name;
        bool is_peers; /* it is the peer that closes */
    } rows[] = {{"closed here", false}, {"closed by the peer", true}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, open_both(NULL), 0);
        settle(home());
        ed_list_push_back(&bed.room.waiting, &server.inbox.credit.waiting);
        ed_conn *closing = rows[i].is_peers ? &client : &server;
        ed_conn_close(closing, 0, NULL, 0, now_ns);
        ed_conn_expire(closing, now_ns);
        settle(home());
        CHECK(rows[i].name, !ed_conn_is_open(&server));
        CHECK(rows[i].name, ed_list_empty(&bed.room.waiting));
        (void)close_both(NULL);
    }
}

/** A packet that was held up on a path which the client has left is no news. */
static void an_old_packet_moves_nobody(void **state)
{
    uint8_t kept[EDDY_DATAGRAM_SIZE_MAX];

    (void)state;
    size_t size = say(&client, "\x01", 1);
    memcpy(kept, data, size);
    ping_from(home());
    memcpy(data, kept, size);
    arrive(&server, path_of(2, 2), size);
    CHECK_EQ("taken", bed.stats.dropped_replayed, 0);
    CHECK_EQ("nobody is asked", bed.stats.paths_challenged, 0);
    ping_from(path_of(2, 2));
    CHECK_EQ("a newer one is news", bed.stats.paths_challenged, 1);
}

/** A packet of 25 bytes is too few for a challenge of 28; two are enough. */
static void a_challenge_waits_for_bytes(void **state)
{
    static const uint8_t short_frames[] = {0x01, 0x00};
    size_t came = 0, went = 0;
    ed_path path;

    (void)state;
    client.ack.received.count = 0; // nothing to add
    for (int i = 0; i < 40; i++) {
        size_t header = 0;
        ed_packet packet = {.from_client = true,
                            .id = client.id,
                            .number = client.sent.next++,
                            .number_size = ED_PACKET_NUMBER_SIZE_MIN};
        header = ed_packet_write(&packet, data);
        memcpy(data + header, short_frames, sizeof(short_frames));
        ed_keys_seal(&client.secrets->keys, packet.number, data, packet.number_at, header,
                     header + sizeof(short_frames));
        size_t size = header + sizeof(short_frames) + ED_TAG_SIZE;
        arrive(&server, path_of(2, 2), size);
        came += size;
        for (size_t sent = take(&server, &path); sent > 0; sent = take(&server, &path))
            went += path.remote.ip[3] == 2 ? sent : 0;
        CHECK("no more than came", went <= came);
        CHECK_EQ("from two packets on", went > 0, came >= 28);
        now_ns += MS(10);
        if (now_ns >= ed_conn_next_ns(&server))
            ed_conn_expire(&server, now_ns);
    }
}

/* ------------------------------------------------------------------------------- who answers -- */

static void the_answer_goes_where_the_challenge_came_from(void **state)
{
    static const struct {
        const char *name;
        uint8_t host;
        uint16_t port;
    } rows[] = {
        {"where the peer is", 1, 1},
        {"another port", 1, 9},
        {"another host", 9, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_path from = path_of(rows[i].host, rows[i].port), path;
        size_t size = say(&client,
                          "\x06"
                          "12345678",
                          9);
        arrive(&server, from, size);
        size_t answer_size = want_on(rows[i].name, from);
        CHECK(rows[i].name, answer_size <= size || i == 0);
        CHECK_BYTES(rows[i].name, opened(answer_size),
                    "\x07"
                    "12345678",
                    9);
        while (take(&server, &path) > 0)
            continue;
        now_ns += MS(500);
    }
}

/** Whoever asks much is answered little: once for each datagram, and two at a time. */
static void challenges_are_answered_within_limits(void **state)
{
    enum { FLOOD = 100 };
    size_t answers = 0;
    ed_path path;

    (void)state;
    arrive(&client, up(),
           say(&server,
               "\x06"
               "12345678"
               "\x06"
               "abcdefgh",
               18));
    CHECK_EQ("one", client.debts.count, 1);
    CHECK_EQ("the other is counted", bed.stats.paths_ignored, 1);
    for (int i = 0; i < FLOOD; i++)
        arrive(&client, up(),
               say(&server,
                   "\x06"
                   "12345678",
                   9));
    CHECK_EQ("kept", client.debts.count, ED_PATH_DEBTS_MAX);
    for (; client.debts.count > 0; answers++)
        CHECK_EQ("padded", take(&client, &path), ED_CLIENT_PACKET_SIZE_MIN);
    CHECK_EQ("answers", answers, ED_PATH_DEBTS_MAX);
}

/** A client stays with the address that it dialled, wherever packets come from. */
static void a_client_follows_nobody(void **state)
{
    ed_path elsewhere = path_of(3, 3);

    (void)state;
    arrive(&client, elsewhere, say(&server, "\x01", 1));
    CHECK("no candidate", client.paths == NULL);
    CHECK_EQ("nobody is asked", bed.stats.paths_challenged, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_paths_are_asked, open_both, close_both),
        cmocka_unit_test_setup_teardown(without_memory_it_stays_where_it_is, open_both, close_both),
        cmocka_unit_test(the_answer_decides),
        cmocka_unit_test_setup_teardown(the_probe_leaves_at_once, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_move_refuses_no_size, open_both, close_both),
        cmocka_unit_test(acks_of_the_old_path_say_nothing_of_the_new_one),
        cmocka_unit_test_setup_teardown(a_repeated_question_measures_nothing, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(nothing_follows_the_end, open_both, close_both),
        cmocka_unit_test(who_ends_waits_for_no_room),
        cmocka_unit_test_setup_teardown(an_old_packet_moves_nobody, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_challenge_waits_for_bytes, open_both, close_both),
        cmocka_unit_test_setup_teardown(the_answer_goes_where_the_challenge_came_from, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(challenges_are_answered_within_limits, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(a_client_follows_nobody, open_both, close_both),
    };
    return cmocka_run_group_tests_name("conn_path", tests, NULL, NULL);
}
