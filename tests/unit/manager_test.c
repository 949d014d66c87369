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

/** More commands than one batch, and more datagrams than one poll takes. */
static void a_flood_is_taken_in_parts(void **state)
{
    enum { COUNT = ED_MANAGER_RECEIVE_MAX + 100, PEERS = 100 };
    struct bed *bed = bed_open((struct bed_limits){0, PEERS, PEERS});

    (void)state;
    for (uint32_t n = 0; n < COUNT; n++)
        arrive(bed, n % PEERS, n);
    CHECK_EQ("there is more", poll_at(bed, 1), ED_NS_PER_MS);
    CHECK_EQ("so many at once", bed->wire.in_taken, ED_MANAGER_RECEIVE_MAX);
    CHECK_EQ("that was all", poll_at(bed, 1), ED_NEVER_NS);
    CHECK_EQ("events", ed_channel_length(bed->events), COUNT);
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
    CHECK_EQ("event, and that there is no other", bed->fake.calls.event, 2);
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

/** Commands that would each make an event wait too, as long as there is no room for those. */
static void failed_connects_wait_for_room(void **state)
{
    enum { COUNT = 3 * ED_MANAGER_BATCH };
    struct bed *bed = bed_open((struct bed_limits){COUNT, 1, 1});

    (void)state;
    bed->fake.fails_to_create = true;
    bed->event_memory.fail_after = 0;
    for (uint32_t n = 0; n < COUNT; n++)
        (void)dial(bed, n);
    poll_at(bed, 1);
    poll_at(bed, 2);
    CHECK_EQ("the rest was not taken", ed_channel_length(bed->commands), COUNT - ED_MANAGER_BATCH);
    bed->event_memory.fail_after = UINT64_MAX;
    poll_at(bed, 12);
    for (uint32_t n = 0; n < COUNT; n++)
        CHECK_EQ("why", want_event(bed, "event", FAKE_FAILED).value, -EDDY_ENOMEM);
    (void)want_event(bed, "no more", FAKE_NONE);
    bed_close(bed);
}

/* ------------------------------------------------------------------------------ connections -- */

static void stale_commands(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});

    (void)state;
    eddy_connection old = meet(bed, 1, 1);
    order(bed, old, FAKE_END, 0);
    order(bed, old, FAKE_SEND, 1); // taken in the same poll: it is still there
    poll_at(bed, 2);
    CHECK_EQ("gone", bed->fake.calls.destroy, 1);
    CHECK_EQ("not stale yet", bed->stats.commands_stale, 0);

    eddy_connection fresh = meet(bed, 2, 3);
    CHECK_EQ("the same slot", ed_slot_of(fresh), ed_slot_of(old));
    bed->fake.calls = (struct fake_calls){0};
    order(bed, old, FAKE_SEND, 2);
    order(bed, 0, FAKE_SEND, 3);
    order(bed, UINT64_MAX, FAKE_SEND, 4);
    CHECK_EQ("payloads", bed->fake.payloads, 3);
    poll_at(bed, 4);
    CHECK_EQ("counted", bed->stats.commands_stale, 3);
    CHECK_EQ("each payload dropped once", bed->fake.payloads, 0);
    CHECK_EQ("nobody got it", bed->fake.calls.send, 0);
    bed_close(bed);
}

static void dialling(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){2, 1, 1});

    (void)state;
    eddy_connection in = meet(bed, 1, 1);
    eddy_connection out = dial(bed, 1); // an address may be known once on each side
    poll_at(bed, 2);
    CHECK_EQ("both", ed_manager_connection_count(bed->manager), 2);
    CHECK("two", in != out);

    eddy_connection twice = dial(bed, 1);
    poll_at(bed, 3);
    struct fake_event event = want_event(bed, "the second", FAKE_FAILED);
    CHECK_EQ("whose", event.connection, twice);
    CHECK_EQ("why", event.value, -EDDY_EEXIST);
    CHECK("its slot is free", !ed_slots_live(bed->slots, twice));

    order(bed, out, FAKE_END, 0);
    poll_at(bed, 4);
    CHECK_EQ("one left", ed_manager_connection_count(bed->manager), 1);
    CHECK("free", !ed_slots_live(bed->slots, out));
    (void)dial(bed, 1);
    poll_at(bed, 5);
    CHECK_EQ("the address is free again", ed_manager_connection_count(bed->manager), 2);
    bed_close(bed);
}

static void limits(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 3, 2});

    (void)state;
    bed->fake.starts_half_open = true;
    for (uint32_t p = 0; p < 3; p++)
        arrive(bed, p, 0);
    poll_at(bed, 1);
    CHECK_EQ("two half open", ed_manager_half_open_count(bed->manager), 2);
    CHECK_EQ("one too many", bed->stats.dropped_limit, 1);
    arrive(bed, 0, 1);
    arrive(bed, 1, 1);
    poll_at(bed, 2);
    CHECK_EQ("confirmed", ed_manager_half_open_count(bed->manager), 0);
    for (uint32_t p = 2; p < 5; p++)
        arrive(bed, p, 0);
    poll_at(bed, 3);
    CHECK_EQ("up to the limit", ed_manager_connection_count(bed->manager), 3);
    CHECK_EQ("two too many", bed->stats.dropped_limit, 3);
    CHECK_EQ("half open", ed_manager_half_open_count(bed->manager), 1);
    shut_down(bed, 0); // ends the half-open one too
    poll_at(bed, 4);
    CHECK_EQ("none", ed_manager_connection_count(bed->manager), 0);
    CHECK_EQ("none half open", ed_manager_half_open_count(bed->manager), 0);
    bed_close(bed);
}

/** The slot of a connection that is over waits until the program has heard so. */
static void a_slot_waits_for_the_program(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 2, 2});

    (void)state;
    bed->fake.makes_known = true;
    eddy_connection first = meet(bed, 1, 1), second = meet(bed, 2, 1);
    order(bed, first, FAKE_END, 0);
    order(bed, second, FAKE_END, 0);
    poll_at(bed, 2);
    CHECK_EQ("over", ed_manager_connection_count(bed->manager), 0);
    CHECK("nothing may be sent", !ed_slots_live(bed->slots, first));
    CHECK_EQ("all was freed", bed->fake.calls.destroy, 2);
    arrive(bed, 3, 0);
    poll_at(bed, 3);
    CHECK_EQ("nobody new", ed_manager_connection_count(bed->manager), 0);
    CHECK("full", bed->fake.is_full);
    CHECK_EQ("counted", bed->stats.dropped_limit, 1);

    hear_last(bed, second);
    CHECK_EQ("not before a poll", ed_slots_left_incoming(bed->slots), 0);
    arrive(bed, 3, 0);
    poll_at(bed, 4);
    eddy_connection third = want_event(bed, "newcomer", FAKE_DATAGRAM).connection;
    CHECK_EQ("in the slot heard of", ed_slot_of(third), ed_slot_of(second));
    CHECK("with room at the time", !bed->fake.is_full);
    hear_last(bed, third); // and it goes on: its slot is free when it is over, too
    poll_at(bed, 5);
    CHECK_EQ("still full", ed_slots_left_incoming(bed->slots), 0);
    order(bed, third, FAKE_END, 0);
    poll_at(bed, 6);
    CHECK_EQ("now free", ed_slots_left_incoming(bed->slots), 1);
    bed_close(bed);
}

/** A half-open connection of which the program never heard frees its slot as it ends. */
static void an_unknown_connection_keeps_no_slot(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});

    (void)state;
    bed->fake.makes_known = true;
    bed->fake.starts_half_open = true;
    for (uint32_t p = 0; p < 5; p++) {
        eddy_connection handle = meet(bed, p, p);
        order(bed, handle, FAKE_END, 0);
        poll_at(bed, p);
        CHECK_EQ("free", ed_slots_left_incoming(bed->slots), 1);
    }
    eddy_connection handle = meet(bed, 5, 5);
    arrive(bed, 5, 1);
    order(bed, handle, FAKE_END, 0);
    poll_at(bed, 6);
    CHECK_EQ("over", ed_manager_connection_count(bed->manager), 0);
    CHECK_EQ("this one was known", ed_slots_left_incoming(bed->slots), 0);
    bed_close(bed);
}

static void replies_remember_nothing(void **state)
{
    enum { COUNT = 2 * ED_MANAGER_BATCH };
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});

    (void)state;
    uint64_t calls = bed->memory.calls;
    for (uint32_t n = 0; n < COUNT; n++)
        arrive(bed, n, WORD_QUESTION | n);
    poll_at(bed, 1);
    CHECK_EQ("answered", bed->stats.replied_stateless, COUNT);
    CHECK_EQ("sent", bed->wire.out_count, COUNT);
    CHECK_EQ("nobody is known", ed_manager_connection_count(bed->manager), 0);
    CHECK_EQ("no memory for strangers", bed->memory.calls, calls);

    bed->wire.room = 0;
    for (uint32_t n = 0; n < COUNT; n++)
        arrive(bed, n, WORD_QUESTION | n);
    poll_at(bed, 2);
    CHECK_EQ("as many wait as there is room for", bed->stats.replied_stateless,
             COUNT + ED_MANAGER_BATCH);
    CHECK_EQ("the rest may ask again", bed->stats.dropped_limit, COUNT - ED_MANAGER_BATCH);
    bed_close(bed);
}

/** A peer that begins anew: the old connection ends, and the new one owns the address. */
static void a_handshake_replaces(void **state)
{
    static const struct {
        const char *name;
        uint32_t handshake;
        unsigned replaced;  /* so far */
        unsigned destroyed; /* so far */
        uint64_t replayed;  /* so far */
    } rows[] = {
        {"the first", 5, 0, 0, 0},         {"the same once more", 5, 0, 0, 0},
        {"a newer one", 7, 1, 1, 0},       {"one that was held back", 6, 1, 1, 1},
        {"a newer one again", 8, 2, 2, 1},
    };
    struct bed *bed = bed_open((struct bed_limits){0, 2, 2});

    (void)state;
    bed->fake.rejects_older = true;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        arrive(bed, 1, WORD_HANDSHAKE | rows[i].handshake);
        poll_at(bed, i);
        CHECK_EQ(rows[i].name, bed->fake.calls.replace, rows[i].replaced);
        CHECK_EQ(rows[i].name, bed->fake.calls.destroy, rows[i].destroyed);
        CHECK_EQ(rows[i].name, bed->stats.dropped_replayed, rows[i].replayed);
        CHECK_EQ(rows[i].name, ed_manager_connection_count(bed->manager), 1);
    }
    unsigned received = bed->fake.calls.receive;
    arrive(bed, 1, 42);
    poll_at(bed, 9);
    CHECK_EQ("the address leads to the newest", bed->fake.calls.receive, received + 1);
    CHECK_EQ("which is no newcomer", ed_manager_connection_count(bed->manager), 1);
    bed_close(bed);
}

static void wire_ids_route(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){1, 2, 2});

    (void)state;
    eddy_connection first = meet(bed, 1, 1), second = meet(bed, 2, 1);
    uint32_t word = WORD_ID | ed_wire_id_of(second, 0) >> 8;
    arrive(bed, 77, word); // from any address
    poll_at(bed, 2);
    CHECK_EQ("routed", want_event(bed, "event", FAKE_DATAGRAM).connection, second);
    CHECK_EQ("no newcomer", ed_manager_connection_count(bed->manager), 2);

    order(bed, second, FAKE_END, 0);
    poll_at(bed, 3);
    eddy_connection third = meet(bed, 3, 4);
    CHECK_EQ("in the same slot", ed_slot_of(third), ed_slot_of(second));
    eddy_connection out = dial(bed, 9);
    arrive(bed, 2, word);
    arrive(bed, 2, WORD_ID | 0x00ffff);
    arrive(bed, 2, WORD_ID | ed_wire_id_of(out, 0) >> 8);
    poll_at(bed, 5);
    CHECK_EQ("stale, absent, and outgoing", bed->stats.dropped_unknown, 3);
    (void)want_event(bed, "nobody's", FAKE_NONE);
    bed->wire.in[bed->wire.in_count++] = (struct wire_datagram){.remote = peer(1), .size = 3};
    poll_at(bed, 6);
    CHECK_EQ("of no known kind", bed->stats.dropped_unknown, 4);
    CHECK("the first is still there", ed_slots_live(bed->slots, first));
    bed_close(bed);
}

/* ---------------------------------------------------------------------------------- the end -- */

static void the_program_leaves_the_commands(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){1, 2, 2});
    bool ended = false;

    (void)state;
    eddy_connection handle = meet(bed, 1, 1);
    arrive(bed, 2, 5);
    order(bed, handle, FAKE_SEND, 6);
    ed_channel_leave_sender(bed->commands);
    bed->commands = NULL;
    poll_at(bed, 2);
    CHECK_EQ("everybody was told", bed->fake.calls.shutdown, 2);
    CHECK_EQ("with no time to flush", bed->fake.shutdown_flush_ns, 0);
    CHECK("done", ed_manager_is_done(bed->manager));
    CHECK_EQ("what was said before was done", bed->wire.out[0].value, 6);
    CHECK_EQ("what had arrived comes", next_event(bed, &ended).value, 5);
    CHECK("more may come", !ended);
    (void)next_event(bed, &ended);
    CHECK("now none will", ended);
    bed_close(bed);
}

static void the_program_leaves_the_events(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 2, 2});

    (void)state;
    eddy_connection handle = meet(bed, 1, 1);
    arrive(bed, 1, 5);
    poll_at(bed, 2);
    ed_channel_leave_receiver(bed->events);
    bed->events = NULL;
    CHECK_EQ("the one in the channel", bed->fake.events_dropped, 1);
    for (uint32_t n = 0; n < 100; n++)
        arrive(bed, 1, n);
    order(bed, handle, FAKE_SEND, 7);
    CHECK_EQ("nothing is waited for", poll_at(bed, 3), ED_NEVER_NS);
    CHECK_EQ("each dropped once", bed->fake.events_dropped, 101);
    CHECK_EQ("the rest goes on", bed->wire.out_count, 1);
    shut_down(bed, 0);
    poll_at(bed, 4);
    CHECK("it can end", ed_manager_is_done(bed->manager));
    bed_close(bed);
}

static void shutting_down(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){1, 5, 5});
    bool ended = false;

    (void)state;
    bed->fake.lingers = true;
    eddy_connection in = meet(bed, 1, 1);
    eddy_connection out = dial(bed, 2);
    shut_down(bed, 500 * ED_NS_PER_MS);
    poll_at(bed, 2);
    CHECK_EQ("both were told", bed->fake.calls.shutdown, 2);
    CHECK_EQ("how long", bed->fake.shutdown_flush_ns, 500 * ED_NS_PER_MS);
    arrive(bed, 3, 0);
    arrive(bed, 1, 9);
    shut_down(bed, 600 * ED_NS_PER_MS);
    poll_at(bed, 3);
    CHECK_EQ("nobody new", ed_manager_connection_count(bed->manager), 2);
    CHECK_EQ("counted", bed->stats.dropped_limit, 1);
    CHECK_EQ("a later end changes nothing", bed->fake.calls.shutdown, 2);
    CHECK_EQ("those that are here go on", want_event(bed, "event", FAKE_DATAGRAM).value, 9);
    shut_down(bed, 100 * ED_NS_PER_MS);
    poll_at(bed, 4);
    CHECK_EQ("a sooner one does", bed->fake.calls.shutdown, 4);

    order(bed, in, FAKE_END, 0);
    poll_at(bed, 5);
    CHECK("one is left", !ed_manager_is_done(bed->manager));
    bed->event_memory.fail_after = bed->event_memory.calls; // only growth needs memory
    order(bed, out, FAKE_END, 0);
    poll_at(bed, 6);
    CHECK("done", ed_manager_is_done(bed->manager));
    (void)next_event(bed, &ended);
    CHECK("the events have ended", ended);
    CHECK_EQ("and stay so", poll_at(bed, 7), ED_NEVER_NS);
    bed_close(bed);
}

/** The events of the last connection come before the end, however long they wait for memory. */
static void the_end_waits_for_events(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 1, 1});
    bool ended = false;

    (void)state;
    bed->event_memory.fail_after = 0;
    arrive(bed, 1, 5);
    shut_down(bed, 0);
    poll_at(bed, 1);
    CHECK("not yet", !ed_manager_is_done(bed->manager));
    (void)next_event(bed, &ended);
    CHECK("not yet", !ended);
    bed->event_memory.fail_after = UINT64_MAX;
    poll_at(bed, 11);
    CHECK("now", ed_manager_is_done(bed->manager));
    CHECK_EQ("the event", next_event(bed, &ended).value, 5);
    (void)next_event(bed, &ended);
    CHECK("and the end", ended);
    bed_close(bed);
}

/** A thread may dial while another shuts down: its CONNECT comes behind, and must end too. */
static void dialling_too_late(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){1, 1, 1});
    bool ended = false;

    (void)state;
    (void)meet(bed, 1, 1);
    shut_down(bed, 0);
    eddy_connection late = dial(bed, 2);
    poll_at(bed, 2);
    poll_at(bed, 3);
    CHECK_EQ("no connection", ed_manager_connection_count(bed->manager), 0);
    struct fake_event event = next_event(bed, &ended);
    CHECK_EQ("told", event.kind, FAKE_FAILED);
    CHECK_EQ("whose", event.connection, late);
    CHECK_EQ("why", event.value, -EDDY_ECLOSED);
    CHECK("done", ed_manager_is_done(bed->manager));
    bed_close(bed);
}

/* ----------------------------------------------------------------------------------- memory -- */

static void no_memory_for_a_manager(void **state)
{
    static const struct bed_limits some = {2, 2, 2};
    struct bed *bed = bed_frame(&some);
    ed_manager_parts parts = bed_parts(bed, &some);
    unsigned failures = 0;

    (void)state;
    uint64_t live = bed->memory.live_count;
    do {
        bed->memory.fail_after = failures;
        bed->manager = ed_manager_create(&parts);
        failures += bed->manager == NULL ? 1 : 0;
        CHECK_EQ("nothing is left", bed->manager != NULL || bed->memory.live_count == live, true);
    } while (bed->manager == NULL && failures < 100);
    CHECK("failed at each step", failures >= 7);
    bed->memory.fail_after = UINT64_MAX;
    ed_channel_leave_receiver(bed->commands);
    ed_channel_leave_sender(bed->events);
    bed_close(bed);
}

/** Without memory for a connection its slot comes back, and the peer may try again. */
static void no_memory_for_a_connection(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){1, 1, 1});

    (void)state;
    for (unsigned round = 1; round <= 3; round++) {
        bed->memory.fail_after = 0;
        arrive(bed, 1, 5);
        poll_at(bed, round);
        CHECK_EQ("dropped", bed->stats.dropped_memory, round);
        CHECK_EQ("none", ed_manager_connection_count(bed->manager), 0);
        bed->memory.fail_after = UINT64_MAX;
        (void)dial(bed, 1);
        bed->memory.fail_after = 0;
        poll_at(bed, round);
        CHECK_EQ("why", want_event(bed, "dialled", FAKE_FAILED).value, -EDDY_ENOMEM);
    }
    bed->memory.fail_after = UINT64_MAX;
    (void)meet(bed, 1, 4);
    CHECK_EQ("now", ed_manager_connection_count(bed->manager), 1);
    bed_close(bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_datagram_is_an_event),
        cmocka_unit_test(each_command_is_a_datagram),
        cmocka_unit_test(a_flood_is_taken_in_parts),
        cmocka_unit_test(idle_connections_cost_nothing),
        cmocka_unit_test(returns_reach_their_connection),
        cmocka_unit_test(awaited_returns_are_not_slept_through),
        cmocka_unit_test(deadlines_are_exact),
        cmocka_unit_test(a_full_socket_loses_nothing),
        cmocka_unit_test(an_event_channel_without_memory_loses_nothing),
        cmocka_unit_test(failed_connects_wait_for_room),
        cmocka_unit_test(stale_commands),
        cmocka_unit_test(dialling),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_slot_waits_for_the_program),
        cmocka_unit_test(an_unknown_connection_keeps_no_slot),
        cmocka_unit_test(replies_remember_nothing),
        cmocka_unit_test(a_handshake_replaces),
        cmocka_unit_test(wire_ids_route),
        cmocka_unit_test(the_program_leaves_the_commands),
        cmocka_unit_test(the_program_leaves_the_events),
        cmocka_unit_test(shutting_down),
        cmocka_unit_test(the_end_waits_for_events),
        cmocka_unit_test(dialling_too_late),
        cmocka_unit_test(no_memory_for_a_manager),
        cmocka_unit_test(no_memory_for_a_connection),
    };
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
