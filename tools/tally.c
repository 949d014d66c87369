#include "tools/tally.h"

#include "core/reader.h"
#include "core/writer.h"

enum {
    STREAM_SHIFT = 48, // the sequence is below, the guarantee above
    GUARANTEE_SHIFT = 56,
};

/** What stands first in a message: which one it is, among all that a client sends. */
static uint64_t identity(eddy_guarantee guarantee, uint8_t stream, uint64_t sequence)
{
    ED_ASSERT(sequence >> STREAM_SHIFT == 0);
    return (uint64_t)guarantee << GUARANTEE_SHIFT | (uint64_t)stream << STREAM_SHIFT | sequence;
}

/** What stands behind the stamp: different in each message, so that a mix-up shows. */
static uint8_t filling(uint64_t which, size_t i)
{
    uint64_t seed = which ^ which >> STREAM_SHIFT ^ which >> GUARANTEE_SHIFT;

    return (uint8_t)(seed * 31 + i + (i >> 8));
}

static uint8_t next_stream(const ed_flow *flow)
{
    return (uint8_t)(flow->sent / ED_TALLY_RUN % ED_TALLY_STREAMS);
}

uint8_t ed_tally_stamp(const ed_tally *tally, eddy_guarantee guarantee, uint8_t *data, size_t size,
                       uint64_t now_ns)
{
    uint8_t stream = next_stream(&tally->flows[guarantee]);
    uint64_t which = identity(guarantee, stream, tally->streams[guarantee][stream].sent);
    ed_writer w = ed_writer_of(data, size);

    ED_ASSERT(size >= ED_STAMP_SIZE);
    ed_write_u64(&w, which);
    ed_write_u64(&w, now_ns);
    for (size_t i = ED_STAMP_SIZE; i < size; i++)
        data[i] = filling(which, i);
    ED_ASSERT(ed_writer_ok(&w));
    return stream;
}

static bool is_newest_missing(const ed_tally_stream *stream)
{
    ED_ASSERT(stream->next <= stream->sent);
    return stream->next < stream->sent;
}

void ed_tally_sent(ed_tally *tally, eddy_guarantee guarantee)
{
    ed_flow *flow = &tally->flows[guarantee];
    ed_tally_stream *stream = &tally->streams[guarantee][next_stream(flow)];

    flow->newest_missing += is_newest_missing(stream) ? 0 : 1;
    stream->sent++;
    flow->sent++;
    ED_ASSERT(is_newest_missing(stream));
}

/** Whether the message is one that this stream has sent, byte for byte. */
static bool is_ours(const ed_tally_stream *stream, const eddy_event_message *message,
                    uint64_t sequence)
{
    if (sequence >= stream->sent)
        return false;
    uint64_t which = identity(message->guarantee, message->stream, sequence);
    for (size_t i = ED_STAMP_SIZE; i < message->size; i++)
        if (message->data[i] != filling(which, i))
            return false;
    return true;
}

/** Whether it comes for the first time; from then on it does not. */
static bool is_first(ed_tally_stream *stream, uint64_t sequence)
{
    ed_replay *seen = &stream->seen[sequence % ED_TALLY_WINDOWS];
    uint64_t number = sequence / ED_TALLY_WINDOWS;

    if (!ed_replay_check(seen, number))
        return false;
    ed_replay_commit(seen, number);
    return true;
}

static void count_first(ed_flow *flow, ed_tally_stream *stream, uint64_t sequence)
{
    bool was_missing = is_newest_missing(stream);

    flow->answered++;
    flow->late += sequence < stream->next ? 1 : 0;
    stream->next = ed_max_u64(stream->next, sequence + 1);
    flow->newest_missing -= was_missing && !is_newest_missing(stream) ? 1 : 0;
}

void ed_tally_answered(ed_tally *tally, const eddy_event_message *message, uint64_t now_ns)
{
    ED_ASSERT((size_t)message->guarantee < ED_GUARANTEE_COUNT); // the library's word
    ed_flow *flow = &tally->flows[message->guarantee];
    ed_tally_stream *stream =
        &tally->streams[message->guarantee][message->stream % ED_TALLY_STREAMS];
    ed_reader r = ed_reader_of(message->data, message->size);
    uint64_t sequence = ed_read_u64(&r) ^ identity(message->guarantee, message->stream, 0);
    uint64_t sent_ns = ed_read_u64(&r);

    if (!ed_reader_ok(&r) || message->stream >= ED_TALLY_STREAMS || sent_ns > now_ns ||
        !is_ours(stream, message, sequence)) {
        flow->damaged++;
        return;
    }
    if (!is_first(stream, sequence)) {
        flow->twice++;
        return;
    }
    count_first(flow, stream, sequence);
    ed_latency_add(&flow->round_trip, now_ns - sent_ns);
}

bool ed_flow_is_owed(const ed_flow *flow, eddy_guarantee guarantee)
{
    const ed_promise *promise = &ed_promises[guarantee];

    return (promise->all_arrive && flow->answered < flow->sent) ||
           (promise->newest_arrives && flow->newest_missing > 0);
}

bool ed_flow_is_kept(const ed_flow *flow, eddy_guarantee guarantee)
{
    return flow->twice == 0 && flow->damaged == 0 && !ed_flow_is_owed(flow, guarantee) &&
           (flow->late == 0 || !ed_promises[guarantee].never_backwards);
}

void ed_flow_merge(ed_flow *into, const ed_flow *from)
{
    into->sent += from->sent;
    into->answered += from->answered;
    into->twice += from->twice;
    into->late += from->late;
    into->damaged += from->damaged;
    into->newest_missing += from->newest_missing;
    ed_latency_merge(&into->round_trip, &from->round_trip);
}
