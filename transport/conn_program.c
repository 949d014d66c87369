/** What the program says to a connection, but for what it decides about newcomers. */
#include "transport/conn.h"

#include <string.h>

/* --------------------------------------------------------------------------------- messages -- */

/** Gives back a message that is not accepted after all; says so, if that is asked for. */
static void refuse_message(ed_conn *conn, const ed_message *message, eddy_outcome outcome)
{
    ed_outbox *outbox = &conn->outbox;
    ed_out unsent = {.receipt = message->receipt};

    if (message->guarantee >= EDDY_RELIABLE_UNORDERED)
        ed_conn_count_late(conn, 1);
    else
        ed_outbox_count_shed(outbox);
    if (ed_conn_is_reported(conn))
        ed_pool_give(message->receipt); // nothing follows the last event
    else
        ed_out_tell(outbox, &unsent, outcome);
    if (outbox->made_of.account != NULL)
        ed_account_refund(outbox->made_of.account, message->stream,
                          (size_t)ed_send_cost(message->block->size));
    ed_pool_give(message->block);
}

/** FLUSHING too: another thread may have sent just before this one closed. */
static bool takes_messages(const ed_conn *conn)
{
    return ed_conn_is_dialling(conn) || ed_conn_is_open(conn) || conn->state == ED_CONN_ASKING ||
           conn->state == ED_CONN_HALF_OPEN;
}

/** How many of the messages are small enough for the peer, before the first that is not. */
static size_t count_fitting(const ed_conn *conn, const ed_message *messages, size_t count)
{
    size_t fitting = 0;

    if (conn->message_max == 0)
        return count;
    while (fitting < count && messages[fitting].block->size <= conn->message_max)
        fitting++;
    return fitting;
}

/** @return how many of the messages are accepted; `*status` is why the one behind them is not. */
static size_t accept_messages(ed_conn *conn, const ed_message *messages, size_t count,
                              uint64_t now_ns, eddy_status *status)
{
    *status = EDDY_ESTATE;
    if (!takes_messages(conn))
        return 0;
    size_t fitting = count_fitting(conn, messages, count);
    size_t accepted = ed_outbox_push(&conn->outbox, messages, fitting, now_ns);
    *status = accepted < fitting ? EDDY_ENOMEM : EDDY_ETOOBIG;
    return accepted;
}

eddy_status ed_conn_send(ed_conn *conn, const ed_message *messages, size_t count, uint64_t now_ns)
{
    eddy_status last = EDDY_OK;
    eddy_status status = EDDY_OK;

    conn->shared->stats->messages_sent += count;
    conn->counts.messages_sent += count;
    for (size_t i = 0; i < count; i++) {
        i += accept_messages(conn, messages + i, count - i, now_ns, &status);
        if (i == count)
            break;
        last = status;
        refuse_message(conn, &messages[i],
                       status == EDDY_ETOOBIG ? EDDY_OUTCOME_TOO_BIG : EDDY_OUTCOME_LOST);
        // A promise was made when the message was accepted; it cannot be kept.
        if (status == EDDY_ENOMEM)
            ed_conn_fail(conn, ED_CLOSE_MEMORY, now_ns);
    }
    if (takes_messages(conn)) // one that failed has stopped its timers
        ed_conn_update_expiry(conn);
    // Reliable ones are waited for less patiently.
    if (conn->loss.pto_count > 0 && ed_conn_is_open(conn))
        ed_conn_update_recovery(conn);
    return last;
}

void ed_conn_set_stream(ed_conn *conn, uint8_t stream, const eddy_stream_options *options,
                        uint64_t now_ns)
{
    ed_account *account = conn->outbox.made_of.account;
    eddy_status status = ed_outbox_set_stream(&conn->outbox, stream, options);

    if (status == EDDY_OK && account != NULL)
        status = ed_account_set_stream(account, conn->shared->allocator, stream, options->budget);
    if (status != EDDY_OK)
        ed_conn_fail(conn, ED_CLOSE_MEMORY, now_ns);
}

void ed_conn_want_writable(ed_conn *conn, uint8_t stream, uint64_t charge)
{
    conn->wants_writable = true;
    conn->wanted = (uint32_t)ed_min_u64(charge, UINT32_MAX); // no message costs so much
    conn->wanted_stream = stream;
    if (conn->shared->refused != NULL && !ed_list_linked(&conn->refused))
        ed_list_push_back(conn->shared->refused, &conn->refused);
}

bool ed_conn_returned(ed_conn *conn, ed_block *blocks, uint64_t now_ns)
{
    uint64_t reliable = 0, unreliable = 0; // what they were charged
    ed_discards discards = {.newest = NULL};
    ed_block *next = NULL;

    for (ed_block *block = blocks; block != NULL; block = next) {
        bool is_reliable = ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED;
        next = block->next;
        *(is_reliable ? &reliable : &unreliable) += ed_charge_of(block->size);
        ed_discard(&discards, block);
    }
    ed_discards_give(&discards);
    if (unreliable > 0)
        ed_inbox_returned(&conn->inbox, false, unreliable);
    if (reliable > 0) {
        ed_inbox_returned(&conn->inbox, true, reliable);
        ed_conn_update_credit(conn, now_ns);
    }
    return conn->inbox.credit.pending;
}

void ed_conn_update_credit(ed_conn *conn, uint64_t now_ns)
{
    if (!ed_conn_is_open(conn))
        return;
    ed_credit_update(&conn->inbox.credit, conn->rtt.smoothed_ns, now_ns);
    ed_inbox_on_granted(&conn->inbox, now_ns);
    ed_conn_update_expiry(conn);
    // The peer may have to wait: what the program gives back must not wait, too.
    if (conn->shared->returns != NULL &&
        (ed_credit_is_short(&conn->inbox.credit) || ed_list_linked(&conn->inbox.credit.waiting)))
        ed_returns_await(conn->shared->returns);
}

/* ---------------------------------------------------------------------------------- closing -- */

void ed_conn_set_close(ed_conn *conn, uint32_t code, ed_block *reason)
{
    ed_pool_give(conn->reason);
    conn->code = code;
    conn->reason = reason;
}

ed_close ed_conn_said_close(const ed_conn *conn)
{
    ed_close close = {.cause = conn->cause, .code = conn->code};

    if (conn->reason == NULL)
        return close;
    close.reason_size = (uint8_t)(conn->reason->size - 1);
    memcpy(close.reason, conn->reason->data, close.reason_size);
    return close;
}

/** The first word stays; closing again only hurries. */
static bool is_first_close(const ed_conn *conn)
{
    bool is_early = ed_conn_is_dialling(conn) || conn->state == ED_CONN_HALF_OPEN;

    return conn->state == ED_CONN_CONNECTED || (is_early && !conn->closes_on_connect);
}

/**
 * Whether to close only when the connection stands, if that is in time: what was accepted leaves
 * then; and a client that was let in is told then, because before it may not know our keys.
 */
static bool waits_to_close(const ed_conn *conn)
{
    return (ed_conn_is_dialling(conn) && !ed_outbox_is_flushed(&conn->outbox)) ||
           (conn->state == ED_CONN_HALF_OPEN && conn->is_asked);
}

void ed_conn_close(ed_conn *conn, uint32_t code, ed_block *reason, uint64_t flush_ns,
                   uint64_t now_ns)
{
    if (ed_conn_is_request(conn)) {
        ed_conn_refuse(conn, code, reason, ED_REFUSING_NS, now_ns);
        return;
    }
    if (is_first_close(conn))
        ed_conn_set_close(conn, code, reason);
    else
        ed_pool_give(reason);
    if (conn->state == ED_CONN_CLOSED)
        return;
    if (flush_ns > 0 && waits_to_close(conn)) {
        conn->closes_on_connect = true;
        ed_timers_on_flushing(&conn->timers, flush_ns, now_ns);
        return;
    }
    ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
    if (conn->state != ED_CONN_FLUSHING)
        return;
    ed_timers_on_flushing(&conn->timers, flush_ns, now_ns);
    if (flush_ns == 0 || ed_outbox_is_flushed(&conn->outbox))
        ed_conn_apply(conn, ED_INPUT_FLUSHED, NULL, now_ns);
}

void ed_conn_stop_beginning(ed_conn *conn, uint64_t now_ns)
{
    conn->begins_unheard = true;
    // A newcomer that does not hear of its refusal asks in vain: nobody is admitted any more.
    if (ed_conn_is_request(conn))
        ed_conn_refuse(conn, 0, NULL, 0, now_ns);
}

void ed_conn_shut_down(ed_conn *conn, uint64_t until_ns, uint64_t now_ns)
{
    ed_conn_stop_beginning(conn, now_ns);
    if (ed_conn_is_request(conn) || conn->state == ED_CONN_CLOSED)
        return;
    ed_timers_on_shutdown(&conn->timers, until_ns);
    ed_conn_close(conn, 0, NULL, until_ns > now_ns ? until_ns - now_ns : 0, now_ns);
    ed_conn_check_end(conn, now_ns);
}

void ed_conn_abandon(ed_conn *conn, eddy_end why, uint64_t now_ns)
{
    ed_conn_end end = {.end = why};
    bool is_closing = conn->state == ED_CONN_FLUSHING || conn->state == ED_CONN_CLOSING;

    // What the program began to close ends as the program said.
    if (conn->state != ED_CONN_CLOSED)
        ed_conn_apply(conn, ED_INPUT_SILENCE, is_closing ? NULL : &end, now_ns);
}
