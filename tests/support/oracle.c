#include "tests/support/oracle.h"

#include "core/base.h"
#include "sim/random.h"
#include "tests/support/check.h"

enum {
    EDGE_ONE_IN = 16, /* so often a message is of the smallest size, and of the largest */
};

static uint64_t flow_of(const eddy_address *dialler, bool to_dialler)
{
    uint64_t flow = ed_mix_bytes(to_dialler ? 2 : 1, dialler->ip, sizeof(dialler->ip));

    return ed_mix_u64(flow, dialler->port);
}

void ed_endpoint_init(ed_endpoint *endpoint, const char *name, eddy_connection handle,
                      const eddy_address *dialler, bool incoming, ed_sizes sizes)
{
    ED_ASSERT(sizes.min <= sizes.max && sizes.max <= EDDY_PIECE_SIZE_MAX);
    *endpoint = (ed_endpoint){.name = name,
                              .handle = handle,
                              .incoming = incoming,
                              .sizes = sizes,
                              .flow_out = flow_of(dialler, incoming),
                              .flow_in = flow_of(dialler, !incoming)};
}

/* ---------------------------------------------------------------------------------- messages -- */

static size_t draw_size(ed_rng *rng, ed_sizes sizes)
{
    uint64_t edge = ed_rng_below(rng, EDGE_ONE_IN);

    if (edge == 0)
        return sizes.min;
    if (edge == 1)
        return sizes.max;
    return sizes.min + (size_t)ed_rng_below(rng, sizes.max - sizes.min + 1);
}

static size_t make_message(uint64_t flow, eddy_guarantee guarantee, uint8_t stream, uint64_t index,
                           ed_sizes sizes, uint8_t *data)
{
    uint64_t lane = (uint64_t)guarantee << 8 | stream;
    ed_rng rng = ed_rng_of(ed_mix_u64(ed_mix_u64(flow, lane), index));
    size_t size = draw_size(&rng, sizes);

    if (guarantee == EDDY_UNRELIABLE && size < ED_ORACLE_UNRELIABLE_SIZE_MIN)
        size = ED_ORACLE_UNRELIABLE_SIZE_MIN;
    ed_rng_fill(&rng, data, size);
    for (size_t i = 0; guarantee == EDDY_UNRELIABLE && i < ED_ORACLE_UNRELIABLE_SIZE_MIN; i++)
        data[i] = (uint8_t)(index >> 8 * i);
    return size;
}

size_t ed_endpoint_next_message(const ed_endpoint *endpoint, eddy_guarantee guarantee,
                                uint8_t stream, uint8_t *data)
{
    ED_ASSERT(stream < ED_ORACLE_STREAMS);
    uint64_t index =
        guarantee == EDDY_UNRELIABLE ? endpoint->unreliable_sent : endpoint->sent[stream];
    return make_message(endpoint->flow_out, guarantee, stream, index, endpoint->sizes, data);
}

void ed_endpoint_on_sent(ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream)
{
    ED_ASSERT(stream < ED_ORACLE_STREAMS);
    if (guarantee == EDDY_UNRELIABLE)
        endpoint->unreliable_sent++;
    else
        endpoint->sent[stream]++;
}

/* ------------------------------------------------------------------------------------ events -- */

static uint64_t *seen_word(ed_endpoint *endpoint, uint64_t index, uint64_t *bit)
{
    *bit = UINT64_C(1) << index % 64;
    return &endpoint->seen[index % ED_ORACLE_SEEN_BITS / 64];
}

/** Marks an index as seen; fails if it was, as far back as is remembered. */
static void see(ed_endpoint *endpoint, uint64_t index)
{
    uint64_t bit = 0;

    for (; endpoint->seen_end <= index; endpoint->seen_end++) {
        uint64_t *leaving = seen_word(endpoint, endpoint->seen_end, &bit);
        *leaving &= ~bit;
    }
    if (index + ED_ORACLE_SEEN_BITS < endpoint->seen_end)
        return;
    uint64_t *word = seen_word(endpoint, index, &bit);
    CHECK(endpoint->name, (*word & bit) == 0);
    *word |= bit;
}

static uint64_t unreliable_index(const ed_endpoint *endpoint, const eddy_event_message *message)
{
    uint64_t index = 0;

    CHECK(endpoint->name, message->size >= ED_ORACLE_UNRELIABLE_SIZE_MIN);
    for (size_t i = ED_ORACLE_UNRELIABLE_SIZE_MIN; i > 0; i--)
        index = index << 8 | message->data[i - 1];
    return index;
}

static void take_message(ed_endpoint *endpoint, const eddy_event_message *message)
{
    uint8_t want[EDDY_PIECE_SIZE_MAX];
    bool reliable = message->guarantee == EDDY_RELIABLE_ORDERED;

    CHECK(endpoint->name, endpoint->connected && !endpoint->disconnected);
    CHECK(endpoint->name, message->stream < ED_ORACLE_STREAMS);
    CHECK(endpoint->name, (uintptr_t)message->data % 16 == 0);
    uint64_t index =
        reliable ? endpoint->received[message->stream] : unreliable_index(endpoint, message);
    size_t size = make_message(endpoint->flow_in, message->guarantee, message->stream, index,
                               endpoint->sizes, want);
    CHECK_EQ(endpoint->name, message->size, size);
    CHECK(endpoint->name, memcmp(message->data, want, size) == 0);
    if (reliable) {
        endpoint->received[message->stream]++;
        return;
    }
    see(endpoint, index);
    endpoint->unreliable_received++;
}

void ed_endpoint_take(ed_endpoint *endpoint, const eddy_event *event, uint64_t now_ns)
{
    CHECK(endpoint->name, !endpoint->disconnected);
    switch (event->type) {
    case EDDY_CONNECTED:
        CHECK(endpoint->name, !endpoint->connected);
        CHECK_EQ(endpoint->name, event->connected.incoming, endpoint->incoming);
        endpoint->connected = true;
        endpoint->connected_ns = now_ns;
        return;
    case EDDY_DISCONNECTED:
        endpoint->disconnected = true;
        endpoint->disconnected_ns = now_ns;
        endpoint->end = event->disconnected;
        return;
    case EDDY_MESSAGE:
        take_message(endpoint, &event->message);
        return;
    case EDDY_WRITABLE:
    case EDDY_RECEIPT:
    case EDDY_CONNECT_REQUEST:
    case EDDY_EVENT_NONE:
        break;
    }
    fail_msg("%s: an event of type %d", endpoint->name, (int)event->type);
}

static uint64_t sum(const uint64_t counts[ED_ORACLE_STREAMS])
{
    uint64_t total = 0;

    for (size_t i = 0; i < ED_ORACLE_STREAMS; i++)
        total += counts[i];
    return total;
}

uint64_t ed_endpoint_sent(const ed_endpoint *endpoint)
{
    return sum(endpoint->sent);
}

uint64_t ed_endpoint_received(const ed_endpoint *endpoint)
{
    return sum(endpoint->received);
}
