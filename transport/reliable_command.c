/** What the program says to a connection: done, or dropped where there is none. */
#include "transport/failed_dial.h"
#include "transport/reliable.h"

enum { SEND_MAX = 32 }; /* messages that go to their connection together */

/** A message leaves its connection's account before it has come to the connection. */
static void refund(const ed_conn_shared *shared, const ed_reliable_command *command)
{
    if (shared->accounts != NULL)
        ed_account_refund(&shared->accounts[ed_slot_of(command->head.connection)], command->stream,
                          (size_t)ed_send_cost(command->block->size));
}

/** A message that finds no connection was accepted all the same, and counts as such. */
static void drop_message(const ed_conn_shared *shared, const ed_reliable_command *command,
                         ed_block *failed)
{
    bool is_reliable = command->guarantee >= EDDY_RELIABLE_UNORDERED;

    shared->stats->messages_sent++;
    if (is_reliable)
        shared->stats->messages_undelivered++;
    else
        shared->stats->messages_shed++;
    refund(shared, command);
    if (failed != NULL)
        ed_failed_dial_add(failed, is_reliable, command->receipt);
    else
        ed_pool_give(command->receipt); // the end of its connection has been told
}

void ed_reliable_drop_command(void *context, void *item, void *failed)
{
    const ed_reliable *reliable = context;
    const ed_reliable_command *command = item;

    if (command->operation == ED_OPERATION_SEND)
        drop_message(&reliable->shared, command, failed);
    if (command->head.kind == ED_COMMAND_CONNECT)
        ed_dial_drop(command->dial);
    ed_pool_give(command->block);
}

static inline ed_message message_of(const ed_reliable_command *command, uint64_t now_ns)
{
    uint64_t expires_ns = command->expire_ms == 0
                              ? ED_NEVER_NS
                              : ed_add_sat_u64(now_ns, command->expire_ms * ED_NS_PER_MS);

    return (ed_message){.block = command->block,
                        .receipt = command->receipt,
                        .expires_ns = expires_ns,
                        .guarantee = command->guarantee,
                        .stream = command->stream,
                        .now_or_never = command->now_or_never};
}

/** The messages that the commands begin with. @return how many */
static size_t do_send(ed_conn *conn, const ed_reliable_command *commands, size_t count,
                      uint64_t now_ns)
{
    ED_UNCLEARED ed_message messages[SEND_MAX];
    size_t sent = 0;

    for (; sent < ed_min_size(count, SEND_MAX); sent++) {
        if (commands[sent].operation != ED_OPERATION_SEND)
            break;
        messages[sent] = message_of(&commands[sent], now_ns);
    }
    (void)ed_conn_send(conn, messages, sent, now_ns);
    return sent;
}

static void do_close(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    ed_conn_close(conn, command->code, command->block, command->flush_ns, now_ns);
}

static void do_admit(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    (void)command;
    ed_conn_admit(conn, now_ns);
}

static void do_refuse(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    ed_conn_refuse(conn, command->code, command->block, ED_REFUSING_NS, now_ns);
}

static void do_set_rate(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    ed_conn_set_rate(conn, command->rate_max, now_ns);
}

static void do_set_stream(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    eddy_stream_options options = {.priority = command->priority,
                                   .weight = command->weight,
                                   .no_copies = command->no_copies,
                                   .budget = (size_t)command->budget};

    ed_conn_set_stream(conn, command->stream, &options, now_ns);
}

/** Each takes the command's blocks over. What sends goes another way. */
static void (*const operations[ED_OPERATION_COUNT])(ed_conn *conn,
                                                    const ed_reliable_command *command,
                                                    uint64_t now_ns) = {
    [ED_OPERATION_CLOSE] = do_close,           [ED_OPERATION_ADMIT] = do_admit,
    [ED_OPERATION_REFUSE] = do_refuse,         [ED_OPERATION_SET_RATE] = do_set_rate,
    [ED_OPERATION_SET_STREAM] = do_set_stream,
};

static void obey_one(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    ED_ASSERT(command->operation < ED_OPERATION_COUNT && operations[command->operation] != NULL);
    operations[command->operation](conn, command, now_ns);
}

void ed_reliable_obey(ed_conn *conn, const ed_reliable_command *commands, size_t count,
                      uint64_t now_ns)
{
    for (size_t i = 0; i < count;) {
        size_t sent = do_send(conn, &commands[i], count - i, now_ns);
        if (sent == 0)
            obey_one(conn, &commands[i], now_ns);
        i += sent == 0 ? 1 : sent;
    }
}
