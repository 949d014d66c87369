#include "transport/conn_state.h"

#include "core/base.h"

// clang-format off
static const uint8_t next_state[ED_CONN_STATE_COUNT][ED_INPUT_COUNT] = {
    [ED_CONN_RESOLVING] = {
        [ED_INPUT_RESOLVED]     = ED_CONN_GREETING,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_CLOSED,
        [ED_INPUT_FAILED]       = ED_CONN_CLOSED,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_GREETING] = {
        [ED_INPUT_RETRY]        = ED_CONN_INITIATING,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_CLOSED, // nobody is listening yet: nothing to drain
        [ED_INPUT_FAILED]       = ED_CONN_CLOSED,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_INITIATING] = {
        [ED_INPUT_RETRY]        = ED_CONN_INITIATING, // the cookie grew old: try with a new one
        [ED_INPUT_ACCEPT]       = ED_CONN_CONNECTED,
        [ED_INPUT_REFUSED]      = ED_CONN_CLOSED,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_CLOSED,
        [ED_INPUT_FAILED]       = ED_CONN_CLOSED,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_ASKING] = {
        [ED_INPUT_ADMIT]        = ED_CONN_HALF_OPEN,
        [ED_INPUT_REFUSE]       = ED_CONN_REFUSING,
        [ED_INPUT_FAILED]       = ED_CONN_CLOSED,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_HALF_OPEN] = {
        [ED_INPUT_PACKET]       = ED_CONN_CONNECTED,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_CLOSED, // the peer has not shown that it heard of us
        [ED_INPUT_FAILED]       = ED_CONN_CLOSED,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_CONNECTED] = {
        [ED_INPUT_PACKET]       = ED_CONN_CONNECTED,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_FLUSHING,
        [ED_INPUT_FAILED]       = ED_CONN_CLOSING,
        [ED_INPUT_CLOSE_REMOTE] = ED_CONN_DRAINING,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_FLUSHING] = {
        [ED_INPUT_PACKET]       = ED_CONN_FLUSHING,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_FLUSHING, // with an earlier deadline
        [ED_INPUT_FLUSHED]      = ED_CONN_CLOSING,
        [ED_INPUT_FAILED]       = ED_CONN_CLOSING,
        [ED_INPUT_CLOSE_REMOTE] = ED_CONN_DRAINING,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
    },
    [ED_CONN_CLOSING] = {
        [ED_INPUT_PACKET]       = ED_CONN_CLOSING,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_CLOSING,
        [ED_INPUT_CLOSE_REMOTE] = ED_CONN_CLOSED, // both have said it
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
        [ED_INPUT_DRAINED]      = ED_CONN_CLOSED,
    },
    [ED_CONN_DRAINING] = {
        [ED_INPUT_PACKET]       = ED_CONN_DRAINING,
        [ED_INPUT_CLOSE_LOCAL]  = ED_CONN_DRAINING,
        [ED_INPUT_CLOSE_REMOTE] = ED_CONN_DRAINING,
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
        [ED_INPUT_DRAINED]      = ED_CONN_CLOSED,
    },
    [ED_CONN_REFUSING] = {
        [ED_INPUT_SILENCE]      = ED_CONN_CLOSED,
        [ED_INPUT_DRAINED]      = ED_CONN_CLOSED,
    },
};
// clang-format on

eddy_status ed_conn_step(ed_conn_state *state, ed_conn_input input)
{
    ED_ASSERT(*state > ED_CONN_NO_STATE && *state < ED_CONN_STATE_COUNT);
    ED_ASSERT(input < ED_INPUT_COUNT);

    uint8_t next = next_state[*state][input];
    if (next == ED_CONN_NO_STATE)
        return EDDY_ESTATE;
    *state = (ed_conn_state)next;
    return EDDY_OK;
}
