#include "tools/tally.h"

#include "core/reader.h"
#include "core/writer.h"

eddy_guarantee ed_kind_guarantee(ed_kind kind)
{
    return kind == ED_KIND_RELIABLE ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE;
}

/** What stands behind the stamp: different in each message, so that a mix-up shows. */
static uint8_t filling(uint64_t sequence, size_t i)
{
    return (uint8_t)(sequence * 31 + i);
}

uint8_t ed_tally_stamp(const ed_tally *tally, ed_kind kind, uint8_t *data, size_t size,
                       uint64_t now_ns)
{
    uint8_t stream = (uint8_t)(tally->flows[kind].sent % ED_TALLY_STREAMS);
    uint64_t sequence = tally->streams[kind][stream].sent;
    ed_writer w = ed_writer_of(data, size);

    ED_ASSERT(size >= ED_STAMP_SIZE);
    ed_write_u64(&w, sequence);
    ed_write_u64(&w, now_ns);
    for (size_t i = ED_STAMP_SIZE; i < size; i++)
        ed_write_u8(&w, filling(sequence, i));
    ED_ASSERT(ed_writer_ok(&w));
    return stream;
}

void ed_tally_sent(ed_tally *tally, ed_kind kind)
{
    ed_flow *flow = &tally->flows[kind];

    ED_ASSERT(kind == ED_KIND_RELIABLE || kind == ED_KIND_UNRELIABLE);
    ED_ASSERT(flow->sent < UINT64_MAX);
    tally->streams[kind][flow->sent % ED_TALLY_STREAMS].sent++;
    flow->sent++;
}

/** Whether the message is one that this stream may have sent, byte for byte. */
static bool is_ours(const ed_tally_stream *stream, const eddy_event_message *message,
                    uint64_t sequence, uint64_t sent_ns, uint64_t now_ns)
{
    if (sequence >= stream->sent || sent_ns > now_ns)
        return false;
    for (size_t i = ED_STAMP_SIZE; i < message->size; i++)
        if (message->data[i] != filling(sequence, i))
            return false;
    return true;
}

void ed_tally_answered(ed_tally *tally, const eddy_event_message *message, uint64_t now_ns)
{
    ed_kind kind =
        message->guarantee == EDDY_RELIABLE_ORDERED ? ED_KIND_RELIABLE : ED_KIND_UNRELIABLE;
    ed_flow *flow = &tally->flows[kind];
    ed_tally_stream *stream = &tally->streams[kind][message->stream % ED_TALLY_STREAMS];
    ed_reader r = ed_reader_of(message->data, message->size);
    uint64_t sequence = ed_read_u64(&r);
    uint64_t sent_ns = ed_read_u64(&r);

    if (!ed_reader_ok(&r) || message->stream >= ED_TALLY_STREAMS ||
        !is_ours(stream, message, sequence, sent_ns, now_ns)) {
        flow->wrong++;
        return;
    }
    if (!ed_replay_check(&stream->seen, sequence)) {
        flow->twice++;
        return;
    }
    ed_replay_commit(&stream->seen, sequence);
    flow->answered++;
    if (kind == ED_KIND_RELIABLE && sequence != stream->next)
        flow->wrong++;
    stream->next = ed_max_u64(stream->next, sequence + 1);
    ed_latency_add(&flow->round_trip, now_ns - sent_ns);
}

bool ed_flow_is_exact(const ed_flow *flow)
{
    return flow->answered == flow->sent && flow->twice == 0 && flow->wrong == 0;
}

void ed_flow_merge(ed_flow *into, const ed_flow *from)
{
    into->sent += from->sent;
    into->answered += from->answered;
    into->twice += from->twice;
    into->wrong += from->wrong;
    ed_latency_merge(&into->round_trip, &from->round_trip);
}
