#include "tools/echo.h"

#include "core/alloc.h"
#include "tools/large.h"
#include "tools/promise.h"

void ed_echo_init(ed_echo *echo, eddy_manager *eddy)
{
    *echo = (ed_echo){.eddy = eddy};
    ed_held_init(&echo->held, ed_alloc_default());
}

/** Sends back the message, or its checksum if it came on the stream of large ones. */
static eddy_status send_back(const ed_echo *echo, const eddy_event *event)
{
    const eddy_event_message *message = &event->message;
    uint8_t checksum[ED_CHECKSUM_SIZE];

    if (message->stream != ED_LARGE_STREAM)
        return eddy_send(echo->eddy, event->connection, message->guarantee, message->stream,
                         message->data, message->size);
    ed_checksum(checksum, message->data, message->size);
    return eddy_send(echo->eddy, event->connection, message->guarantee, message->stream, checksum,
                     sizeof checksum);
}

static bool hold(ed_echo *echo, const eddy_event *event)
{
    if (!ed_held_push(&echo->held, event))
        return false;
    echo->counts.waited++;
    return true;
}

void ed_echo_message(ed_echo *echo, eddy_event *event)
{
    ed_echo_counts *counts = &echo->counts;
    bool is_reliable = ed_promises[event->message.guarantee].is_reliable;
    bool has_to_queue = is_reliable && ed_held_first(&echo->held, event->connection) != NULL;
    eddy_status status = has_to_queue ? EDDY_EAGAIN : send_back(echo, event);

    if (status == EDDY_EAGAIN && is_reliable && hold(echo, event))
        return;
    if (status == EDDY_OK)
        counts->echoed++;
    else
        *(status == EDDY_EAGAIN && !is_reliable ? &counts->dropped : &counts->not_echoed) += 1;
    eddy_release(echo->eddy, event);
}

/** Takes out the first that waits of a connection. */
static void let_go(ed_echo *echo, eddy_connection connection, uint64_t *count)
{
    eddy_event event = ed_held_pop(&echo->held, connection);

    *count += 1;
    eddy_release(echo->eddy, &event);
}

void ed_echo_writable(ed_echo *echo, eddy_connection connection)
{
    const eddy_event *event = ed_held_first(&echo->held, connection);

    for (; event != NULL; event = ed_held_first(&echo->held, connection)) {
        eddy_status status = send_back(echo, event);
        if (status == EDDY_EAGAIN)
            return; // EDDY_WRITABLE comes again
        let_go(echo, connection,
               status == EDDY_OK ? &echo->counts.echoed : &echo->counts.not_echoed);
    }
}

void ed_echo_ended(ed_echo *echo, eddy_connection connection)
{
    while (ed_held_first(&echo->held, connection) != NULL)
        let_go(echo, connection, &echo->counts.not_echoed);
}

void ed_echo_end(ed_echo *echo)
{
    eddy_connection connection = ed_held_any(&echo->held);

    for (; connection != 0; connection = ed_held_any(&echo->held))
        ed_echo_ended(echo, connection);
}
