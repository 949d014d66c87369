/** The manager: how it ends, and how it does without memory. */
#include "tests/unit/manager_bed.h"

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
    CHECK_EQ("with no time to flush", bed->fake.shutdown_until_ns, 2 * ED_NS_PER_MS);
    CHECK("done", ed_manager_is_done(bed->manager));
    CHECK_EQ("what was said before was done", bed->wire.out[0].value, 6);
    CHECK_EQ("what had arrived comes", next_event(bed, &ended).value, 5);
    CHECK("more may come", !ended);
    (void)next_event(bed, &ended);
    CHECK("now none will", ended);
    bed_close(bed);
}

/** Another thread's word rings, and the look for commands after it takes the ring away. */
static void a_word_during_a_poll_is_heard(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 2, 2});

    (void)state;
    meet(bed, 1, 1);
    poll_at(bed, 2);
    bed->fake.late_end = &bed->ending;
    arrive(bed, 1, 5);
    CHECK_EQ("it is to be polled again", poll_at(bed, 3), 3 * ED_NS_PER_MS);
    poll_at(bed, 3);
    CHECK("and ends", ed_manager_is_done(bed->manager));
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
    shut_down(bed, 500);
    poll_at(bed, 2);
    CHECK_EQ("both were told", bed->fake.calls.shutdown, 2);
    CHECK_EQ("until when", bed->fake.shutdown_until_ns, 502 * ED_NS_PER_MS);
    arrive(bed, 3, 0);
    arrive(bed, 1, 9);
    shut_down(bed, 600);
    poll_at(bed, 3);
    CHECK_EQ("nobody new", ed_manager_connection_count(bed->manager), 2);
    CHECK_EQ("counted", bed->stats.dropped_limit, 1);
    CHECK_EQ("a later end changes nothing", bed->fake.calls.shutdown, 2);
    CHECK_EQ("those that are here go on", want_event(bed, "event", FAKE_DATAGRAM).value, 9);
    shut_down(bed, 100);
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
    poll_at(bed, 1);
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

/** More was said before than a poll takes: all of it is done, and a stranger does not get between.
 */
static void all_that_was_said_comes_first(void **state)
{
    enum { SAID = ED_MANAGER_COMMAND_MAX + 10 };
    struct bed *bed = bed_open((struct bed_limits){0, 2, 2});

    (void)state;
    eddy_connection handle = meet(bed, 1, 1);
    struct fake_command nothing = {.head = {.kind = ED_COMMAND_TO_CONNECTION}};
    for (uint32_t i = 0; i < SAID; i++)
        CHECK_EQ("said", say(bed, &nothing), EDDY_OK);
    order(bed, handle, FAKE_SEND, 6);
    shut_down(bed, 0);
    arrive(bed, 2, 0);
    poll_at(bed, 2);
    CHECK_EQ("all", bed->fake.calls.send, 1);
    CHECK_EQ("the last, too", bed->wire.out[0].value, 6);
    CHECK_EQ("no stranger", bed->stats.dropped_limit, 1);
    CHECK("done", ed_manager_is_done(bed->manager));
    bed_close(bed);
}

/** A thread may dial while another shuts down: its CONNECT comes behind, and must end too. */
static void dialling_too_late(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){1, 1, 1});
    bool ended = false;

    (void)state;
    bed->fake.lingers = true;
    eddy_connection first = meet(bed, 1, 1);
    shut_down(bed, 0);
    poll_at(bed, 2);
    eddy_connection late = dial(bed, 2);
    order(bed, first, FAKE_END, 0);
    poll_at(bed, 3);
    poll_at(bed, 4);
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
        cmocka_unit_test(the_program_leaves_the_commands),
        cmocka_unit_test(the_program_leaves_the_events),
        cmocka_unit_test(shutting_down),
        cmocka_unit_test(the_end_waits_for_events),
        cmocka_unit_test(all_that_was_said_comes_first),
        cmocka_unit_test(dialling_too_late),
        cmocka_unit_test(a_word_during_a_poll_is_heard),
        cmocka_unit_test(no_memory_for_a_manager),
        cmocka_unit_test(no_memory_for_a_connection),
    };
    return cmocka_run_group_tests_name("manager_end", tests, NULL, NULL);
}
