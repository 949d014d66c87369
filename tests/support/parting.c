#include "tests/support/parting.h"

#include "core/addr.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "transport/packet.h"

enum {
    CLOSE_COPIES = 3,
};

static void keep(ed_parting *p, ed_promise promise, uint64_t count)
{
    p->promises->kept[promise] += count;
}

static bool is_at(const eddy_address *address, const ed_node *node)
{
    return memcmp(address, &node->address, sizeof(*address)) == 0;
}

static uint64_t acked(const ed_endpoint *endpoint)
{
    return endpoint->outcomes[EDDY_OUTCOME_ACKED];
}

/* ------------------------------------------------------------------------------- at the call -- */

static void note_connections(ed_parting *p)
{
    const ed_node *node = p->node;

    p->known = node->endpoint_count;
    for (size_t i = 0; i < p->known; i++) {
        const ed_endpoint *endpoint = &node->endpoints[i];
        p->before[i].connected = endpoint->connected;
        p->before[i].pending =
            endpoint->disconnected ? 0 : endpoint->reliable_sent - acked(endpoint);
    }
}

/** Nothing more is accepted. */
static void check_refusals(ed_parting *p)
{
    ed_node *node = p->node;
    eddy_address anybody = ed_addr_ipv4(10, 9, 9, 9, 9);
    eddy_connection handle = 0;

    CHECK_EQ(node->cluster->name,
             eddy_connect_address(node->manager, &anybody, ed_test_options(), &handle),
             EDDY_ECLOSED);
    keep(p, ED_PROMISE_NOTHING_MORE, 1);
    for (size_t i = 0; i < p->known; i++) {
        if (!ed_node_is_live(node, &node->endpoints[i]))
            continue;
        CHECK_EQ(node->cluster->name,
                 ed_node_send(node, &node->endpoints[i], EDDY_RELIABLE_ORDERED, 0), EDDY_ECLOSED);
        keep(p, ED_PROMISE_NOTHING_MORE, 1);
    }
}

void ed_parting_begin(ed_parting *p, ed_node *node, ed_promises *promises, uint32_t flush_ms)
{
    *p = (ed_parting){.node = node,
                      .promises = promises,
                      .deadline_ns = ed_cluster_now_ns(node->cluster) + flush_ms * ED_NS_PER_MS};
    ed_node_read(node); // what was said before is no news
    node->is_reading = true;
    note_connections(p);
    ed_node_shutdown(node, flush_ms);
    check_refusals(p);
}

void ed_parting_hurry(ed_parting *p, uint32_t flush_ms)
{
    uint64_t until_ns = ed_cluster_now_ns(p->node->cluster) + flush_ms * ED_NS_PER_MS;

    ed_node_shutdown(p->node, flush_ms);
    p->deadline_ns = ed_min_u64(p->deadline_ns, until_ns);
}

/* ------------------------------------------------------------------------------- on the wire -- */

void ed_parting_observe(ed_parting *p, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);
    bool is_ours = is_at(&datagram->local, p->node);
    bool is_answer = form == ED_FORM_RETRY || form == ED_FORM_ACCEPT || form == ED_FORM_REJECT;
    bool is_question = form == ED_FORM_HELLO || form == ED_FORM_INITIATE;

    CHECK(p->node->cluster->name, !is_ours || !is_answer);
    if (is_at(&datagram->remote, p->node) && is_question)
        p->asked++;
    if (is_ours && p->mute != NULL && now_ns == p->deadline_ns && is_at(&datagram->remote, p->mute))
        p->last_to_mute++;
}

/* -------------------------------------------------------------------------------- at the end -- */

/** Every message was acknowledged, or is counted as undelivered. */
static void check_count(ed_parting *p, const ed_endpoint *endpoint, uint64_t pending)
{
    const char *name = p->node->cluster->name;
    uint64_t undelivered = endpoint->end.undelivered;
    bool is_early =
        endpoint->end.end == EDDY_END_CLOSED_LOCAL && endpoint->disconnected_ns < p->deadline_ns;

    CHECK_EQ(name, acked(endpoint) + undelivered, endpoint->reliable_sent);
    if (endpoint->peer != NULL)
        CHECK(name, endpoint->peer->reliable_received <= endpoint->reliable_sent);
    if (is_early) // it had time, so it has flushed
        CHECK_EQ(name, undelivered, 0);
    keep(p, ED_PROMISE_ALL_FLUSHED, is_early ? pending : 0);
    keep(p, ED_PROMISE_ALL_COUNTED, undelivered);
}

static void check_connections(ed_parting *p)
{
    const ed_node *node = p->node;

    CHECK_EQ(node->cluster->name, node->endpoint_count, p->known); // nobody new
    for (size_t i = node->earlier_count; i < p->known; i++) {
        const ed_endpoint *endpoint = &node->endpoints[i];
        CHECK_EQ(node->cluster->name, endpoint->connected, p->before[i].connected);
        CHECK(node->cluster->name, endpoint->disconnected); // once: the oracle sees to that
        check_count(p, endpoint, p->before[i].pending);
        keep(p, ED_PROMISE_ALL_TOLD, 1);
    }
    keep(p, ED_PROMISE_NOBODY_NEW, p->asked);
}

/** Who was told at the last moment was told by all copies. */
static void check_copies(const ed_parting *p)
{
    const ed_node *nodes = p->node->cluster->nodes;

    for (size_t i = 0; p->mute != NULL && i < p->known; i++) {
        const ed_endpoint *endpoint = &p->node->endpoints[i];
        bool is_mute = endpoint->peer != NULL && &nodes[endpoint->peer->node] == p->mute;
        if (is_mute && endpoint->connected && endpoint->end.undelivered > 0 &&
            endpoint->disconnected_ns == p->deadline_ns)
            CHECK(p->node->cluster->name, p->last_to_mute >= CLOSE_COPIES);
    }
}

void ed_parting_check(ed_parting *p)
{
    ed_node *node = p->node;
    eddy_event event;

    CHECK(node->cluster->name, node->is_over);
    check_connections(p);
    check_copies(p);
    CHECK_EQ(node->cluster->name, eddy_next(node->manager, &event, 0), EDDY_ECLOSED);
    keep(p, ED_PROMISE_ONE_END, 1);
    keep(p, ED_PROMISE_IN_TIME, ed_cluster_now_ns(node->cluster) <= p->deadline_ns ? 1 : 0);
    ed_node_crash(node); // it sees that all memory is back; and its address is free again
    CHECK_EQ(node->cluster->name, ed_node_start(node), EDDY_OK);
    ed_node_crash(node);
    keep(p, ED_PROMISE_NOTHING_LEFT, 1);
}
