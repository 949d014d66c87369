#include "tests/support/check.h"

#include <stdio.h>

#include "core/base.h"
#include "transport/conn_state.h"

/** Every step that there is. What is not here must be refused. */
static const struct step {
    ed_conn_state from;
    ed_conn_input input;
    ed_conn_state to;
} steps[] = {
    {ED_CONN_RESOLVING, ED_INPUT_RESOLVED, ED_CONN_GREETING},
    {ED_CONN_RESOLVING, ED_INPUT_CLOSE_LOCAL, ED_CONN_CLOSED},
    {ED_CONN_RESOLVING, ED_INPUT_FAILED, ED_CONN_CLOSED},
    {ED_CONN_RESOLVING, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_GREETING, ED_INPUT_RETRY, ED_CONN_INITIATING},
    {ED_CONN_GREETING, ED_INPUT_CLOSE_LOCAL, ED_CONN_CLOSED},
    {ED_CONN_GREETING, ED_INPUT_FAILED, ED_CONN_CLOSED},
    {ED_CONN_GREETING, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_INITIATING, ED_INPUT_RETRY, ED_CONN_INITIATING},
    {ED_CONN_INITIATING, ED_INPUT_ACCEPT, ED_CONN_CONNECTED},
    {ED_CONN_INITIATING, ED_INPUT_REFUSED, ED_CONN_CLOSED},
    {ED_CONN_INITIATING, ED_INPUT_CLOSE_LOCAL, ED_CONN_CLOSED},
    {ED_CONN_INITIATING, ED_INPUT_FAILED, ED_CONN_CLOSED},
    {ED_CONN_INITIATING, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_ASKING, ED_INPUT_ADMIT, ED_CONN_HALF_OPEN},
    {ED_CONN_ASKING, ED_INPUT_REFUSE, ED_CONN_REFUSING},
    {ED_CONN_ASKING, ED_INPUT_FAILED, ED_CONN_CLOSED},
    {ED_CONN_ASKING, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_HALF_OPEN, ED_INPUT_PACKET, ED_CONN_CONNECTED},
    {ED_CONN_HALF_OPEN, ED_INPUT_CLOSE_LOCAL, ED_CONN_CLOSED},
    {ED_CONN_HALF_OPEN, ED_INPUT_FAILED, ED_CONN_CLOSED},
    {ED_CONN_HALF_OPEN, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_CONNECTED, ED_INPUT_PACKET, ED_CONN_CONNECTED},
    {ED_CONN_CONNECTED, ED_INPUT_CLOSE_LOCAL, ED_CONN_FLUSHING},
    {ED_CONN_CONNECTED, ED_INPUT_FAILED, ED_CONN_CLOSING},
    {ED_CONN_CONNECTED, ED_INPUT_CLOSE_REMOTE, ED_CONN_DRAINING},
    {ED_CONN_CONNECTED, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_FLUSHING, ED_INPUT_PACKET, ED_CONN_FLUSHING},
    {ED_CONN_FLUSHING, ED_INPUT_CLOSE_LOCAL, ED_CONN_FLUSHING},
    {ED_CONN_FLUSHING, ED_INPUT_FLUSHED, ED_CONN_CLOSING},
    {ED_CONN_FLUSHING, ED_INPUT_FAILED, ED_CONN_CLOSING},
    {ED_CONN_FLUSHING, ED_INPUT_CLOSE_REMOTE, ED_CONN_DRAINING},
    {ED_CONN_FLUSHING, ED_INPUT_SILENCE, ED_CONN_CLOSED},

    {ED_CONN_CLOSING, ED_INPUT_PACKET, ED_CONN_CLOSING},
    {ED_CONN_CLOSING, ED_INPUT_CLOSE_LOCAL, ED_CONN_CLOSING},
    {ED_CONN_CLOSING, ED_INPUT_CLOSE_REMOTE, ED_CONN_CLOSED},
    {ED_CONN_CLOSING, ED_INPUT_SILENCE, ED_CONN_CLOSED},
    {ED_CONN_CLOSING, ED_INPUT_DRAINED, ED_CONN_CLOSED},

    {ED_CONN_DRAINING, ED_INPUT_PACKET, ED_CONN_DRAINING},
    {ED_CONN_DRAINING, ED_INPUT_CLOSE_LOCAL, ED_CONN_DRAINING},
    {ED_CONN_DRAINING, ED_INPUT_CLOSE_REMOTE, ED_CONN_DRAINING},
    {ED_CONN_DRAINING, ED_INPUT_SILENCE, ED_CONN_CLOSED},
    {ED_CONN_DRAINING, ED_INPUT_DRAINED, ED_CONN_CLOSED},

    {ED_CONN_REFUSING, ED_INPUT_SILENCE, ED_CONN_CLOSED},
    {ED_CONN_REFUSING, ED_INPUT_DRAINED, ED_CONN_CLOSED},
};

/** Where the table above leads; ED_CONN_NO_STATE: nowhere. */
static ed_conn_state want_of(ed_conn_state from, ed_conn_input input)
{
    for (size_t i = 0; i < ED_COUNT(steps); i++)
        if (steps[i].from == from && steps[i].input == input)
            return steps[i].to;
    return ED_CONN_NO_STATE;
}

static void every_state_with_every_input(void **state)
{
    char name[64];
    size_t taken = 0;

    (void)state;
    for (unsigned from = ED_CONN_NO_STATE + 1; from < ED_CONN_STATE_COUNT; from++) {
        for (unsigned input = 0; input < ED_INPUT_COUNT; input++) {
            ed_conn_state want = want_of((ed_conn_state)from, (ed_conn_input)input);
            ed_conn_state got = (ed_conn_state)from;
            snprintf(name, sizeof(name), "state %u, input %u", from, input);
            eddy_status status = ed_conn_step(&got, (ed_conn_input)input);
            CHECK_EQ(name, status, want == ED_CONN_NO_STATE ? EDDY_ESTATE : EDDY_OK);
            CHECK_EQ(name, got, want == ED_CONN_NO_STATE ? from : want);
            taken += status == EDDY_OK ? 1 : 0;
        }
    }
    CHECK_EQ("each row of the table was met once", taken, ED_COUNT(steps));
}

/** From everywhere there is a way to the end, and from the end there is none. */
static void closed_is_reached_and_not_left(void **state)
{
    (void)state;
    for (unsigned from = ED_CONN_NO_STATE + 1; from < ED_CONN_CLOSED; from++)
        CHECK_EQ("silence ends it", want_of((ed_conn_state)from, ED_INPUT_SILENCE), ED_CONN_CLOSED);
    for (size_t i = 0; i < ED_COUNT(steps); i++)
        CHECK("CLOSED takes nothing", steps[i].from != ED_CONN_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_with_every_input),
        cmocka_unit_test(closed_is_reached_and_not_left),
    };
    return cmocka_run_group_tests_name("conn_state", tests, NULL, NULL);
}
