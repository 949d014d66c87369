/** The manager: what it hands on, in which order, and when. */
#include "tests/unit/manager_bed.h"

#include "tests/support/splitmix.h"

/* ------------------------------------------------------------------- datagrams and commands -- */

static void each_datagram_is_an_event(void **state)
{
    enum { PEERS = 3, ROUNDS = 50 };
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});
    eddy_connection handles[PEERS] = {0};

    (void)state;
    for (uint32_t n = 0; n < PEERS * ROUNDS; n++)
        arrive(bed, n % PEERS, n);
    CHECK_EQ("nothing more to do", poll_at(bed, 1), ED_NEVER_NS);
    CHECK_EQ("connections", ed_manager_connection_count(bed->manager), PEERS);
    for (uint32_t p = 0; p < PEERS; p++) {
        for (uint32_t n = p; n < PEERS * ROUNDS; n += PEERS) {
            struct fake_event event = want_event(bed, "event", FAKE_DATAGRAM);
            handles[p] = n == p ? event.connection : handles[p];
            CHECK_EQ("of one connection", event.connection, handles[p]);
            CHECK_EQ("in order", event.value, n);
        }
    }
    (void)want_event(bed, "no more", FAKE_NONE);
    CHECK_EQ("counted", bed->stats.received_datagrams, PEERS * ROUNDS);
    CHECK_EQ("bytes", bed->stats.received_bytes, PEERS * ROUNDS * 4);
    bed_close(bed);
}

static void each_command_is_a_datagram(void **state)
{
    enum { PEERS = 3, ROUNDS = 100 };
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});
    eddy_connection handles[PEERS];

    (void)state;
    for (uint32_t p = 0; p < PEERS; p++)
        handles[p] = meet(bed, p, 1);
    for (uint32_t n = 0; n < PEERS * ROUNDS; n++)
        order(bed, handles[n % PEERS], FAKE_SEND, n);
    poll_at(bed, 2);
    CHECK_EQ("all", bed->wire.out_count, PEERS * ROUNDS);
    CHECK_EQ("before anything is reckoned", bed->fake.sent_before, PEERS * ROUNDS);
    CHECK_EQ("counted", bed->stats.sent_datagrams, PEERS * ROUNDS);
    uint32_t next[PEERS] = {0, 1, 2};
    for (size_t i = 0; i < bed->wire.out_count; i++) {
        uint32_t p = bed->wire.out[i].value % PEERS;
        eddy_address to = peer(p);
        CHECK_EQ("in order", bed->wire.out[i].value, next[p]);
        CHECK("to its peer", eddy_address_equal(&bed->wire.out[i].remote, &to));
        next[p] += PEERS;
    }
    bed_close(bed);
}

/** More datagrams than one poll takes, however many a call of the socket gives. */
static void a_flood_is_taken_in_parts(void **state)
{
    enum { COUNT = ED_MANAGER_RECEIVE_MAX + 100, PEERS = 100 };
    static const struct {
        const char *name;
        size_t call_max;
    } rows[] = {{"whole batches", 0}, {"odd ones", ED_MANAGER_BATCH - 1}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});
        bed->wire.call_max = rows[i].call_max;
        for (uint32_t n = 0; n < COUNT; n++)
            arrive(bed, n % PEERS, n);
        CHECK_EQ(rows[i].name, poll_at(bed, 1), ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, bed->wire.in_taken, ED_MANAGER_RECEIVE_MAX);
        CHECK_EQ(rows[i].name, poll_at(bed, 1), ED_NEVER_NS);
        CHECK_EQ(rows[i].name, ed_channel_length(bed->events), COUNT);
        bed_close(bed);
    }
}

/** The same of commands: the first is alone when it is taken. */
static void commands_are_taken_in_parts(void **state)
{
    enum { MORE = 100 };
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});

    (void)state;
    eddy_connection handle = meet(bed, 1, 1);
    bed->fake.commands = bed->commands;
    bed->fake.late_commands = ED_MANAGER_COMMAND_MAX - 1 + MORE;
    order(bed, handle, FAKE_SEND, 0);
    CHECK_EQ("there is more", poll_at(bed, 1), ED_NS_PER_MS);
    CHECK_EQ("so many at once", ed_channel_length(bed->commands), MORE);
    CHECK_EQ("that was all", poll_at(bed, 1), ED_NEVER_NS);
    CHECK_EQ("none is left", ed_channel_length(bed->commands), 0);
    bed_close(bed);
}

/* ------------------------------------------------------------------------------------- cost -- */

/** With 10,000 connections only the one that has something is looked at. */
static void idle_connections_cost_nothing(void **state)
{
    enum { PEERS = 10000 };
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});

    (void)state;
    for (uint32_t p = 0; p < PEERS; p++)
        arrive(bed, p, WORD_DEADLINE | 1000000);
    while (poll_at(bed, 1) == ED_NS_PER_MS)
        continue;
    CHECK_EQ("connections", ed_manager_connection_count(bed->manager), PEERS);

    bed->fake.calls = (struct fake_calls){0};
    CHECK_EQ("the deadline stands", poll_at(bed, 2), 1000000 * ED_NS_PER_MS);
    static const struct fake_calls none = {0};
    CHECK("an empty poll asks nobody", memcmp(&bed->fake.calls, &none, sizeof(none)) == 0);

    arrive(bed, PEERS / 2, 7);
    poll_at(bed, 3);
    CHECK_EQ("receive", bed->fake.calls.receive, 1);
    CHECK_EQ("transmit", bed->fake.calls.transmit, 1);
    CHECK_EQ("all events at once", bed->fake.calls.event, 1);
    CHECK_EQ("next_ns", bed->fake.calls.next_ns, 1);

    bed->fake.calls = (struct fake_calls){0};
    order(bed, want_event(bed, "event", FAKE_DATAGRAM).connection, FAKE_SEND, 8);
    poll_at(bed, 4);
    CHECK_EQ("send", bed->fake.calls.send, 1);
    CHECK_EQ("transmit, and that there is no other", bed->fake.calls.transmit, 2);
    CHECK_EQ("next_ns", bed->fake.calls.next_ns, 1);

    bed->fake.calls = (struct fake_calls){0};
    arrive(bed, 77, WORD_DEADLINE | 5);
    poll_at(bed, 4);
    poll_at(bed, 5);
    CHECK_EQ("expire", bed->fake.calls.expire, 1);
    CHECK_EQ("next_ns, twice one connection", bed->fake.calls.next_ns, 2);
    bed_close(bed);
}

/* ---------------------------------------------------------------------------------- returns -- */

/** Of several connections in one poll: each hears of its own, and nobody of one that is gone. */
static void returns_of_several_take_turns(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 3, 3});
    eddy_connection met[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        met[i] = meet(bed, i + 1, 1);
    order(bed, met[2], FAKE_END, 0);
    poll_at(bed, 2);
    (void)give_back(bed, met[0], 1);
    (void)give_back(bed, met[1], 2);
    (void)give_back(bed, met[1], 3);
    (void)give_back(bed, met[2], 4);
    (void)give_back(bed, met[0], 5);
    poll_at(bed, 3);
    CHECK_EQ("in order", bed->fake.returned_sum, 12345);
    CHECK_EQ("each to its own", bed->fake.returned_places,
             (met[0] & 0xff) * 10001 + (met[1] & 0xff) * 1100);
    CHECK_EQ("gone from the account", ed_pool_charged(bed->pool), 0);
    bed_close(bed);
}

/** What the program gives back comes to its connection in the next poll, in order. */
static void returns_reach_their_connection(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 2, 2});

    (void)state;
    eddy_connection first = meet(bed, 1, 1), second = meet(bed, 2, 1);
    for (uint8_t n = 1; n <= 3; n++)
        CHECK("nobody waits", !give_back(bed, first, n));
    CHECK_EQ("not before a poll", bed->fake.returned_count, 0);
    bed->fake.calls = (struct fake_calls){0};
    poll_at(bed, 2);
    CHECK_EQ("all", bed->fake.returned_count, 3);
    CHECK_EQ("in order", bed->fake.returned_sum, 123);
    CHECK_EQ("to the first", bed->fake.returned_to, first);
    CHECK_EQ("which had nothing to say", bed->fake.calls.transmit, 0);
    CHECK_EQ("gone from the account", ed_pool_charged(bed->pool), 0);

    bed->fake.wants_work = true;
    (void)give_back(bed, second, 4);
    poll_at(bed, 3);
    CHECK_EQ("to the second", bed->fake.returned_to, second);
    CHECK_EQ("which was asked", bed->fake.calls.transmit, 1);

    order(bed, second, FAKE_END, 0);
    poll_at(bed, 4);
    (void)give_back(bed, second, 5);
    poll_at(bed, 5);
    CHECK_EQ("it is gone", bed->fake.returned_to, 0);
    CHECK_EQ("its block is not", bed->fake.returned_sum, 12345);
    (void)give_back(bed, first, 6); // and is still on its way at the end
    bed_close(bed);
}

/** What is awaited and came while the manager was busy makes it poll again; else it is woken. */
static void awaited_returns_are_not_slept_through(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});

    (void)state;
    eddy_connection handle = meet(bed, 1, 1);
    ed_returns_await(&bed->returns);
    CHECK_EQ("it may sleep", poll_at(bed, 2), ED_NEVER_NS);
    CHECK("and asks to be woken", give_back(bed, handle, 1));
    bed->fake.calls = (struct fake_calls){0};
    ed_channel_nudge(bed->commands);
    CHECK_EQ("woken", poll_at(bed, 3), ED_NEVER_NS);
    CHECK_EQ("it was there", bed->fake.returned_count, 1);
    CHECK_EQ("a nudge is nobody's", bed->fake.calls.send + bed->stats.commands_stale, 0);

    // One came after the begin of the poll, and before it was said that it is awaited.
    bed->fake.late_return = ed_pool_take(bed->pool, 1);
    bed->fake.returns = &bed->returns;
    arrive(bed, 1, 7);
    CHECK_EQ("it does not sleep", poll_at(bed, 4), 4 * ED_NS_PER_MS);
    CHECK_EQ("not yet", bed->fake.returned_count, 1);
    poll_at(bed, 4);
    CHECK_EQ("it was there", bed->fake.returned_count, 2);
    CHECK_EQ("now it may sleep", poll_at(bed, 5), ED_NEVER_NS);
    bed_close(bed);
}

/* -------------------------------------------------------------------------------- deadlines -- */

static void deadlines_are_exact(void **state)
{
    enum { PEERS = 4 };
    static const struct {
        const char *name;
        uint64_t now_ms;
        unsigned expired; /* in all */
        uint64_t next_ms;
    } rows[] = {
        {"nothing yet", 49, 0, 50}, {"two at once", 50, 2, 60}, {"not again", 50, 2, 60},
        {"late", 75, 3, 80},        {"the last", 80, 4, 0},
    };
    static const uint32_t at_ms[PEERS] = {80, 50, 60, 50};
    static const uint32_t want_order[] = {1, 3, 2, 0};
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});

    (void)state;
    for (uint32_t p = 0; p < PEERS; p++)
        arrive(bed, p, WORD_DEADLINE | at_ms[p]);
    poll_at(bed, 1);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t next_ns = poll_at(bed, rows[i].now_ms);
        CHECK_EQ(rows[i].name, bed->fake.calls.expire, rows[i].expired);
        CHECK_EQ(rows[i].name, next_ns,
                 rows[i].next_ms == 0 ? ED_NEVER_NS : rows[i].next_ms * ED_NS_PER_MS);
    }
    for (size_t i = 0; i < ED_COUNT(want_order); i++)
        CHECK_EQ("by time, then by slot", bed->fake.expired[i], want_order[i]);
    bed_close(bed);
}

/** What a deadline waits for may be in the socket, where a flush does not look. */
static void a_flush_lets_no_deadline_pass(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});

    (void)state;
    arrive(bed, 0, WORD_DEADLINE | 50);
    poll_at(bed, 1);
    CHECK_EQ("poll now", ed_manager_flush(bed->manager, 60 * ED_NS_PER_MS), 50 * ED_NS_PER_MS);
    CHECK_EQ("not by a flush", bed->fake.calls.expire, 0);
    poll_at(bed, 60);
    CHECK_EQ("by a poll", bed->fake.calls.expire, 1);
    bed_close(bed);
}

/* ---------------------------------------------------------------------------- back-pressure -- */

/** The socket takes a few datagrams a time: order is kept, and nothing is lost. */
static void a_full_socket_loses_nothing(void **state)
{
    enum { PEERS = 5, EACH = 150 };
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});
    eddy_connection handles[PEERS];
    uint64_t seed = 8;
    uint64_t now_ms = 2;

    (void)state;
    for (uint32_t p = 0; p < PEERS; p++)
        handles[p] = meet(bed, p, 1);
    bed->wire.room = 0;
    for (uint32_t n = 0; n < PEERS * EACH; n++)
        order(bed, handles[n % PEERS], FAKE_SEND, n);
    CHECK_EQ("tried again soon", poll_at(bed, now_ms), (now_ms + 10) * ED_NS_PER_MS);
    CHECK("waits for room", ed_manager_wants_send(bed->manager));
    CHECK_EQ("nothing left", bed->wire.out_count, 0);
    while (bed->wire.out_count < PEERS * EACH && now_ms < 10000) {
        bed->wire.room = splitmix_below(&seed, 20);
        poll_at(bed, ++now_ms);
    }
    CHECK_EQ("all of them", bed->wire.out_count, PEERS * EACH);
    uint32_t next[PEERS] = {0, 1, 2, 3, 4};
    for (size_t i = 0; i < bed->wire.out_count; i++) {
        uint32_t p = bed->wire.out[i].value % PEERS;
        CHECK_EQ("in order", bed->wire.out[i].value, next[p]);
        next[p] += PEERS;
    }
    bed->wire.room = 1;
    poll_at(bed, ++now_ms);
    CHECK("done", !ed_manager_wants_send(bed->manager));
    CHECK_EQ("counted once", bed->stats.sent_datagrams, PEERS * EACH);
    bed_close(bed);
}

/** While there is no memory for the event channel, events wait; each comes once, in order. */
static void an_event_channel_without_memory_loses_nothing(void **state)
{
    enum { PEERS = 3, EACH = 100 };
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});
    uint32_t next[PEERS] = {0, 1, 2};

    (void)state;
    bed->event_memory.fail_after = 0;
    for (uint32_t n = 0; n < PEERS * EACH; n++)
        arrive(bed, n % PEERS, n);
    CHECK_EQ("tried again soon", poll_at(bed, 1), 11 * ED_NS_PER_MS);
    CHECK("it was tried", bed->event_memory.failures > 0);
    (void)want_event(bed, "none yet", FAKE_NONE);
    CHECK_EQ("and again", poll_at(bed, 11), 21 * ED_NS_PER_MS);
    bed->event_memory.fail_after = UINT64_MAX;
    CHECK_EQ("then all is out", poll_at(bed, 21), ED_NEVER_NS);
    for (uint32_t n = 0; n < PEERS * EACH; n++) {
        struct fake_event event = want_event(bed, "event", FAKE_DATAGRAM);
        CHECK_EQ("in order", event.value, next[event.value % PEERS]);
        next[event.value % PEERS] += PEERS;
    }
    (void)want_event(bed, "no more", FAKE_NONE);
    CHECK_EQ("none dropped", bed->fake.events_dropped, 0);
    bed_close(bed);
}

/** What dials that failed have to say waits, too; each says it once, in order, and its end last. */
static void failed_dials_wait_for_room(void **state)
{
    enum { COUNT = 3 * ED_MANAGER_BATCH, EACH = 2 };
    struct bed *bed = bed_open((struct bed_limits){COUNT, 1, 1});
    eddy_connection dialled[COUNT];

    (void)state;
    bed->fake.fails_to_create = true;
    bed->event_memory.fail_after = 0;
    for (uint32_t n = 0; n < COUNT; n++)
        dialled[n] = dial(bed, n);
    for (uint32_t n = 0; n < COUNT * EACH; n++)
        order(bed, dialled[n % COUNT], FAKE_SEND, n);
    CHECK_EQ("tried again soon", poll_at(bed, 1), 11 * ED_NS_PER_MS);
    CHECK_EQ("all was taken", ed_channel_length(bed->commands), 0);
    bed->event_memory.fail_after = UINT64_MAX;
    CHECK_EQ("then all is out", poll_at(bed, 11), ED_NEVER_NS);
    for (uint32_t n = 0; n < COUNT; n++) {
        for (uint32_t i = 0; i < EACH; i++)
            CHECK_EQ("which", want_event(bed, "message", FAKE_UNSENT).value, i);
        struct fake_event last = want_event(bed, "end", FAKE_FAILED);
        CHECK_EQ("why", last.value, -EDDY_ENOMEM);
        CHECK_EQ("whose", last.connection, dialled[n]);
    }
    (void)want_event(bed, "no more", FAKE_NONE);
    order(bed, dialled[0], FAKE_SEND, 0); // too late
    poll_at(bed, 12);
    (void)want_event(bed, "nothing follows", FAKE_NONE);
    bed_close(bed);
}

/** A manager that ends before it could tell drops all of it. */
static void failed_dials_are_dropped(void **state)
{
    enum { EACH = 3 };
    struct bed *bed = bed_open((struct bed_limits){ED_MANAGER_BATCH + 2, 1, 1});

    (void)state;
    bed->fake.fails_to_create = true;
    bed->event_memory.fail_after = 0;
    for (uint32_t n = 0; n < ED_MANAGER_BATCH; n++)
        (void)dial(bed, n);
    eddy_connection last = dial(bed, ED_MANAGER_BATCH);
    for (uint32_t i = 0; i < EACH; i++)
        order(bed, last, FAKE_SEND, i);
    poll_at(bed, 1);
    CHECK_EQ("nothing yet", bed->fake.events_dropped, 0);
    struct fake *fake = &bed->fake;
    bed_close(bed);
    CHECK_EQ("each once", fake->events_dropped, ED_MANAGER_BATCH + EACH + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_datagram_is_an_event),
        cmocka_unit_test(each_command_is_a_datagram),
        cmocka_unit_test(a_flood_is_taken_in_parts),
        cmocka_unit_test(commands_are_taken_in_parts),
        cmocka_unit_test(idle_connections_cost_nothing),
        cmocka_unit_test(returns_reach_their_connection),
        cmocka_unit_test(returns_of_several_take_turns),
        cmocka_unit_test(awaited_returns_are_not_slept_through),
        cmocka_unit_test(deadlines_are_exact),
        cmocka_unit_test(a_flush_lets_no_deadline_pass),
        cmocka_unit_test(a_full_socket_loses_nothing),
        cmocka_unit_test(an_event_channel_without_memory_loses_nothing),
        cmocka_unit_test(failed_dials_wait_for_room),
        cmocka_unit_test(failed_dials_are_dropped),
    };
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
