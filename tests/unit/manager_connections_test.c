/** The manager: who comes and goes, and in which slot. */
#include "tests/unit/manager_bed.h"

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
    uint32_t word = WORD_ID | ed_wire_id_of(second) >> 8;
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
    arrive(bed, 2, WORD_ID | ed_wire_id_of(out) >> 8);
    poll_at(bed, 5);
    CHECK_EQ("stale, absent, and outgoing", bed->stats.dropped_unknown, 3);
    (void)want_event(bed, "nobody's", FAKE_NONE);
    bed->wire.in[bed->wire.in_count++] = (struct wire_datagram){.remote = peer(1), .size = 3};
    poll_at(bed, 6);
    CHECK_EQ("of no known kind", bed->stats.dropped_unknown, 4);
    CHECK("the first is still there", ed_slots_live(bed->slots, first));
    bed_close(bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stale_commands),
        cmocka_unit_test(dialling),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_slot_waits_for_the_program),
        cmocka_unit_test(an_unknown_connection_keeps_no_slot),
        cmocka_unit_test(replies_remember_nothing),
        cmocka_unit_test(a_handshake_replaces),
        cmocka_unit_test(wire_ids_route),
    };
    return cmocka_run_group_tests_name("manager_connections", tests, NULL, NULL);
}
