#include "tests/support/bottleneck.h"

#include "tests/support/splitmix.h"

void ed_bottleneck_add(ed_bottleneck *b, ed_flow *flow)
{
    ED_ASSERT(b->flow_count < ED_BOTTLENECK_FLOWS_MAX);
    flow->ops = ed_congestion_ops_of(flow->kind);
    flow->ops->init(&flow->congestion, ED_FLOW_PACKET_SIZE);
    ed_rtt_init(&flow->rtt);
    ed_pacer_init(&flow->pacer, flow->ops->pacing_rate(&flow->congestion, &flow->rtt),
                  ED_FLOW_PACKET_SIZE, b->now_ns);
    flow->packet_size = flow->packet_size == 0 ? ED_FLOW_PACKET_SIZE : flow->packet_size;
    flow->next_tick_ns = flow->begin_ns;
    flow->first = flow->end = flow->in_flight = flow->acked = flow->has_size = 0;
    b->flows[b->flow_count++] = flow;
}

static ed_flow_packet *packet_of(ed_flow *flow, uint64_t number)
{
    return &flow->packets[number % ED_FLOW_FLIGHT_MAX];
}

static bool has_data(const ed_flow *flow)
{
    return flow->tick_ns == 0 || flow->has_size > 0;
}

static bool has_window(const ed_flow *flow)
{
    uint64_t window = flow->ops->window(&flow->congestion);
    uint64_t least = (uint64_t)ED_CONGESTION_FLOOR_DATAGRAMS * ED_FLOW_PACKET_SIZE;

    return flow->in_flight < ed_max_u64(window, least) &&
           flow->end - flow->first < ED_FLOW_FLIGHT_MAX;
}

static bool is_capped(const ed_flow *flow)
{
    return flow->rate_max != 0 &&
           flow->rate_max < flow->ops->pacing_rate(&flow->congestion, &flow->rtt);
}

/* ------------------------------------------------------------------------------------- sending --
 */

static uint64_t next_send_ns(const ed_flow *flow, uint64_t now_ns)
{
    if (now_ns < flow->begin_ns)
        return flow->begin_ns;
    if (!has_data(flow) || !has_window(flow))
        return ED_NEVER_NS;
    return ed_pacer_when_ns(&flow->pacer, flow->packet_size, now_ns);
}

static bool is_lost(ed_bottleneck *b)
{
    bool in_burst = b->burst_every_ns != 0 && b->now_ns % b->burst_every_ns < b->burst_ns;

    return splitmix_below(&b->random, 1000 * 1000) < b->loss_ppm || in_burst;
}

/** @return when the last byte is through; 0: there was no room. */
static uint64_t pass(ed_bottleneck *b, uint32_t size)
{
    uint64_t from_ns = ed_max_u64(b->free_ns, b->now_ns), wait_ns = from_ns - b->now_ns;

    if (wait_ns * b->rate / ED_NS_PER_S + size > b->queue_size) {
        b->overflow++;
        return 0;
    }
    b->queue_max_ns = ed_max_u64(b->queue_max_ns, wait_ns);
    b->queue_sum_ns += wait_ns;
    b->queue_count++;
    b->free_ns = from_ns + size * ED_NS_PER_S / b->rate;
    return b->free_ns;
}

static void send_packet(ed_bottleneck *b, ed_flow *flow)
{
    uint64_t most = flow->packet_size;
    uint64_t size = flow->tick_ns == 0 ? most : ed_min_u64(flow->has_size, most);
    bool drops = is_lost(b);
    uint64_t through_ns = pass(b, (uint32_t)size), last_ns = 0;

    if (flow->end > flow->first) // nothing overtakes, so what is lost shows when the next comes
        last_ns = packet_of(flow, flow->end - 1)->acked_ns;
    flow->in_flight += size;
    flow->has_size -= flow->tick_ns == 0 ? 0 : size;
    *packet_of(flow, flow->end++) = (ed_flow_packet){
        .sent_ns = b->now_ns,
        .acked_ns =
            ed_max_u64(ed_max_u64(through_ns, b->now_ns) + b->delay_ns + flow->delay_ns, last_ns),
        .size = (uint32_t)size,
        .is_lost = drops || through_ns == 0,
    };
    flow->ops->on_sent(&flow->congestion, size, flow->in_flight, b->now_ns);
    ed_pacer_spent(&flow->pacer, size, b->now_ns);
}

/* ---------------------------------------------------------------------------------------- acks --
 */

static uint64_t next_ack_ns(ed_flow *flow)
{
    return flow->first == flow->end ? ED_NEVER_NS : packet_of(flow, flow->first)->acked_ns;
}

static void take_ack(ed_bottleneck *b, ed_flow *flow)
{
    const ed_flow_packet *packet = packet_of(flow, flow->first++);
    ed_congestion_ack ack = {.sent_ns = packet->sent_ns,
                             .size = packet->size,
                             .in_flight_before = flow->in_flight,
                             .app_limited = flow->app_limited};

    flow->in_flight -= packet->size;
    if (packet->is_lost) {
        flow->ops->on_lost(&flow->congestion, packet->sent_ns, packet->size, b->now_ns);
    } else {
        ed_rtt_sample(&flow->rtt, b->now_ns - packet->sent_ns, 0);
        flow->ops->on_acked(&flow->congestion, &ack, &flow->rtt, b->now_ns);
        flow->acked += packet->size;
    }
    uint64_t rate = flow->ops->pacing_rate(&flow->congestion, &flow->rtt);
    ed_pacer_set_rate(&flow->pacer, is_capped(flow) ? flow->rate_max : rate, b->now_ns);
}

/* ---------------------------------------------------------------------------------------- time --
 */

static uint64_t next_ns(const ed_bottleneck *b, ed_flow *flow)
{
    uint64_t tick_ns = flow->tick_ns == 0 ? ED_NEVER_NS : flow->next_tick_ns;

    return ed_min_u64(ed_min_u64(next_ack_ns(flow), tick_ns), next_send_ns(flow, b->now_ns));
}

/** Does what is due of a flow. */
static void serve(ed_bottleneck *b, ed_flow *flow)
{
    while (next_ns(b, flow) <= b->now_ns) {
        if (next_ack_ns(flow) <= b->now_ns) {
            take_ack(b, flow);
        } else if (flow->tick_ns != 0 && flow->next_tick_ns <= b->now_ns) {
            flow->has_size += flow->tick_size;
            flow->next_tick_ns += flow->tick_ns;
        } else {
            send_packet(b, flow);
        }
    }
    flow->app_limited = has_window(flow) && (!has_data(flow) || is_capped(flow));
}

void ed_bottleneck_run(ed_bottleneck *b, uint64_t duration_ns)
{
    uint64_t until_ns = b->now_ns + duration_ns;

    while (b->now_ns < until_ns) {
        uint64_t at_ns = until_ns;
        for (size_t i = 0; i < b->flow_count; i++)
            at_ns = ed_min_u64(at_ns, next_ns(b, b->flows[i]));
        b->now_ns = ed_max_u64(b->now_ns, at_ns);
        for (size_t i = 0; i < b->flow_count; i++)
            serve(b, b->flows[i]);
    }
}
