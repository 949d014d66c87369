/**
 * Memory runs out in every place where it can: once, or for a while, at one end. The world is the
 * same every time, so what fails is each allocation of it in turn.
 */
#include <stdio.h>

#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/issuer.h"
#include "tests/support/keys.h"
#include "tests/support/seeds.h"

enum {
    NAME_SIZE = 80,
    WHILE_MS = 400,      /* so long nothing is to be had */
    PLACES_MAX = 100000, /* of one row: more is a test that never ends */
    SLOW_STRIDE = 16,    /* in builds that check more, only each of so many places */
    FULL_SEEDS = 5,
    TICK_MS = 100,
    DELIVERY_TICKS = 150,
    TRIES = 10, /* of what the program wants done, a tick apart */
    CODE = 4711,
    PART_SIZE = 3000,
    BURSTS = 6,
    EXPIRE_MS = 15, /* about the delay: some of these expire, and some do not */
};

#define REASON "not you"

/** An allocator that fails from one call on. */
static struct faults {
    eddy_allocator allocator;
    uint64_t first;       /* the number of the call, from 0 */
    uint64_t duration_ns; /* 0: that call alone */
    uint64_t calls;
    uint64_t failed;
    uint64_t failed_ns; /* when the first did */
    bool is_over;
} faults;

static ed_cluster cluster;
static ed_node *server, *client;
static ed_endpoint *here;       /* what the client has dialled; NULL: it could not */
static ed_endpoint *asking[16]; /* who waits for the server's program */
static bool is_welcome[16];
static size_t asking_count;
static char name[NAME_SIZE];

static bool fails_now(void)
{
    uint64_t number = faults.calls++;

    if (faults.is_over || number < faults.first)
        return false;
    if (faults.failed == 0)
        return true;
    return faults.duration_ns > 0 &&
           ed_cluster_now_ns(&cluster) < faults.failed_ns + faults.duration_ns;
}

static void *allocate(void *context, size_t size)
{
    const eddy_allocator *parent = ed_alloc_default();

    (void)context;
    if (!fails_now())
        return parent->allocate(parent->context, size);
    if (faults.failed++ == 0)
        faults.failed_ns = ed_cluster_now_ns(&cluster);
    return NULL;
}

static void give_back(void *context, void *memory, size_t size)
{
    const eddy_allocator *parent = ed_alloc_default();

    (void)context;
    parent->free(parent->context, memory, size);
}

/* ------------------------------------------------------------------------------- the programs --
 */

/** Answers whoever waits for it, unless there is no memory to answer by. */
static void answer(void)
{
    size_t left = 0;

    for (size_t i = 0; i < asking_count; i++) {
        eddy_status status = is_welcome[i]
                                 ? eddy_accept(server->manager, asking[i]->handle)
                                 : eddy_refuse(server->manager, asking[i]->handle, CODE, REASON);
        CHECK(name, status == EDDY_OK || status == EDDY_ENOMEM || status == EDDY_ECONNECTION ||
                        status == EDDY_ESTATE || status == EDDY_ECLOSED);
        if (status != EDDY_ENOMEM)
            continue;
        asking[left] = asking[i];
        is_welcome[left++] = is_welcome[i];
    }
    asking_count = left;
}

static void decide(ed_node *node, ed_endpoint *endpoint, const eddy_event_request *request)
{
    (void)node;
    CHECK(name, asking_count < ED_COUNT(asking));
    CHECK_EQ(name, request->payload_size, 3);
    is_welcome[asking_count] = memcmp(request->payload, "in!", 3) == 0;
    asking[asking_count++] = endpoint;
    answer();
}

static void run_ms(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += TICK_MS) {
        answer();
        ed_world_touch(cluster.world, server->host);
        ed_world_touch(cluster.world, client->host);
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
}

static bool is_up(const ed_endpoint *endpoint)
{
    return endpoint != NULL && !endpoint->disconnected;
}

/** The server's end of what was dialled; NULL: there is none. */
static ed_endpoint *there(void)
{
    ed_endpoint *newest = ed_node_newest(server);

    return newest != NULL && newest->connected && is_up(newest) ? newest : NULL;
}

/** Sends; there may be no memory to. */
static void send_one(ed_node *node, ed_endpoint *endpoint, const ed_parcel *parcel)
{
    if (!is_up(endpoint))
        return;
    eddy_status status = ed_node_send_parcel(node, endpoint, parcel);
    CHECK(name, status == EDDY_OK || status == EDDY_EAGAIN || status == EDDY_ECONNECTION ||
                    status == EDDY_ECLOSED);
}

static void send_some(ed_node *node, ed_endpoint *endpoint, size_t size)
{
    for (int g = 0; g < ED_GUARANTEE_COUNT; g++)
        for (uint8_t i = 0; i < 3; i++) {
            ed_parcel parcel = {.guarantee = (eddy_guarantee)g,
                                .stream = i % 2,
                                .size = size + i,
                                .with_receipt = i < 2,
                                .expire_ms = i == 2 ? EXPIRE_MS : 0};
            send_one(node, endpoint, &parcel);
        }
}

static void dial_with(const eddy_connect_options *options)
{
    here = NULL;
    for (int i = 0; i < TRIES && here == NULL; i++) {
        here = ed_node_try_connect_with(client, server, options);
        if (here == NULL)
            run_ms(TICK_MS);
    }
}

/** Until what was dialled is connected, or is not to be. */
static void await_answer(void)
{
    for (int i = 0; i < 2 * TRIES && is_up(here) && !here->connected; i++)
        run_ms(TICK_MS);
}

static void hang_up_on(ed_endpoint *endpoint)
{
    for (int i = 0; i < TRIES && is_up(endpoint); i++) {
        (void)eddy_disconnect(client->manager, endpoint->handle, CODE, "enough", 500);
        run_ms(TICK_MS);
    }
}

/* ------------------------------------------------------------------------------------ the acts --
 */

static void dial_in_vain(void)
{
    eddy_connect_options options = {
        .server_key = ed_test_public(), .payload = "out", .payload_size = 3};

    dial_with(&options);
    await_answer();
    if (here != NULL && here->end.refusal == EDDY_REFUSED_BY_PROGRAM)
        CHECK_STR(name, here->end.reason, REASON);
    hang_up_on(here); // if it has heard nothing
}

static void dial_in(eddy_mode mode)
{
    eddy_connect_options options = {
        .mode = mode, .server_key = ed_test_public(), .payload = "in!", .payload_size = 3};

    dial_with(&options);
    send_some(client, here, ED_NOTE_HEADER_SIZE);
    await_answer();
}

static void dial_pinned(void)
{
    dial_in(EDDY_MODE_PINNED);
}

static void dial_mutual(void)
{
    dial_in(EDDY_MODE_MUTUAL);
}

static void dial_by_token(void)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    ed_test_grant grant = ed_test_grant_of(1, &server->address);
    eddy_connect_options options = {.token = text, .payload = "in!", .payload_size = 3};

    ed_test_issue(text, &grant);
    dial_with(&options);
    await_answer();
}

static void talk_of(size_t size)
{
    send_some(client, here, size);
    send_some(server, there(), size);
    run_ms(2 * TICK_MS);
}

static void talk(void)
{
    talk_of(40);
}

/** What is in flight, and what waits for what was lost, need more and more room. */
static void talk_much(void)
{
    for (int i = 0; i < BURSTS; i++) {
        send_some(client, here, 900);
        send_some(server, there(), 900);
    }
    run_ms(5 * TICK_MS);
}

static void talk_in_parts(void)
{
    talk_of(PART_SIZE);
}

static void set_things(void)
{
    static const eddy_stream_options options = {.priority = 2, .weight = 3};

    if (is_up(here)) {
        eddy_status status = eddy_set_stream(client->manager, here->handle, 1, &options);
        CHECK(name, status == EDDY_OK || status == EDDY_ENOMEM);
        status = eddy_set_rate(client->manager, here->handle, (uint64_t)100 * EDDY_RATE_MIN);
        CHECK(name, status == EDDY_OK || status == EDDY_ENOMEM);
    }
    (void)ed_node_broadcast(server, EDDY_RELIABLE_ORDERED, 100);
    talk();
}

static void move(void)
{
    ed_node_rebind(client);
    talk();
    run_ms(3 * TICK_MS);
}

static void talk_at_home(void)
{
    ed_endpoint *ends[2];

    if (!ed_node_try_connect_pair(client, ends))
        return;
    send_some(client, ends[0], 40);
    send_some(client, ends[1], PART_SIZE);
    run_ms(TICK_MS);
    hang_up_on(ends[1]);
}

/** What was accepted comes, as long as its connection stands. */
static void await_delivered(void)
{
    for (int i = 0; i < DELIVERY_TICKS && !ed_cluster_all_delivered(&cluster); i++)
        run_ms(TICK_MS);
    CHECK(name, ed_cluster_all_delivered(&cluster));
}

static void hang_up(void)
{
    await_delivered();
    hang_up_on(here);
    run_ms(5 * TICK_MS);
}

/** Once there is memory again all is as it should be. */
static void recover(void)
{
    bool must = faults.failed > 0;

    faults.is_over = must;
    hang_up();
    run_ms(must ? 20 * 1000 : 0); // whatever lingers has ended
    dial_pinned();
    talk();
    talk_in_parts();
    if (!must)
        return;
    await_delivered();
    run_ms(10 * TICK_MS); // the acks, too
    CHECK(name, here != NULL && here->connected && is_up(here) && there() != NULL);
    CHECK(name, here->peer == there() && here->outcomes[EDDY_OUTCOME_ACKED] > 0);
    ed_cluster_check_settled(&cluster);
}

static void (*const acts[])(void) = {
    dial_in_vain, dial_pinned, talk,          talk_in_parts, set_things,
    talk_much,    move,        talk_at_home,  hang_up,       dial_mutual,
    talk,         hang_up,     dial_by_token, talk_in_parts, recover,
};

/* ---------------------------------------------------------------------------------- the worlds --
 */

/** Some of what is sent is lost. */
static void set_link(void)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = 10 * ED_NS_PER_MS;
    link.loss_ppm = 50 * 1000;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

static void add_nodes(void)
{
    static const eddy_key player = {{0x10, 1}};
    eddy_config for_server = ed_cluster_server_config();
    eddy_config for_client = ed_cluster_client_config();

    ed_test_take_tokens(&for_server);
    for_server.modes = EDDY_MODE_PINNED | EDDY_MODE_MUTUAL | EDDY_MODE_TOKEN;
    for_server.ask = true;
    for_server.max_connections = 4;
    for_client.protocol_id = for_server.protocol_id;
    for_client.max_outgoing = 4;
    for_client.secret_key = &player;
    server = ed_cluster_add(&cluster, &for_server);
    client = ed_cluster_add(&cluster, &for_client);
    server->decide = decide;
    asking_count = 0;
    here = NULL;
}

/** Nothing has failed: the acts were what they are meant to be. */
static void check_all_came_about(void)
{
    size_t connected = 0, refused = 0, moves = 0;
    eddy_stats stats = ed_cluster_stats(&cluster);

    for (size_t i = 0; i < server->endpoint_count; i++) {
        connected += server->endpoints[i].connected ? 1 : 0;
        moves += server->endpoints[i].moves;
    }
    for (size_t i = 0; i < client->endpoint_count; i++)
        refused += client->endpoints[i].end.refusal == EDDY_REFUSED_BY_PROGRAM ? 1 : 0;
    CHECK_EQ(name, connected, 4);
    CHECK_EQ(name, client->endpoint_count, 1 + 4 + 2);
    CHECK_EQ(name, refused, 1);
    CHECK_EQ(name, moves, 1);
    CHECK(name, stats.messages_reassembled > 40 && stats.messages_expired > 0);
    CHECK(name, stats.messages_resent > 0 && stats.messages_skipped > 0);
}

/** No want of memory is taken for something else. */
static bool may_end_so(const eddy_event_disconnected *end)
{
    static const bool may[] = {
        [EDDY_END_CLOSED_LOCAL] = true, [EDDY_END_CLOSED_REMOTE] = true, [EDDY_END_MEMORY] = true,
        [EDDY_END_IDLE] = true,     // every copy of the other's last word was lost
        [EDDY_END_REPLACED] = true, // it had no memory for ACCEPT, and dialled again
    };

    if (end->end == EDDY_END_REFUSED)
        return end->refusal == EDDY_REFUSED_BY_PROGRAM && end->code == CODE;
    return (size_t)end->end < ED_COUNT(may) && may[end->end];
}

static void check_ends(void)
{
    for (size_t n = 0; n < cluster.node_count; n++)
        for (size_t i = 0; i < cluster.nodes[n].endpoint_count; i++) {
            const ed_endpoint *endpoint = &cluster.nodes[n].endpoints[i];
            if (!may_end_so(&endpoint->end))
                CHECK_STR(name, eddy_end_text(endpoint->end.end), "another end");
        }
}

/** A life with an allocator that fails. @return whether it did. */
static bool live(size_t poor, uint64_t first, uint64_t duration_ns, uint64_t seed)
{
    ed_cluster_open(&cluster, name, seed);
    set_link();
    add_nodes();
    ed_node *node = &cluster.nodes[poor];
    ed_node_crash(node);
    faults = (struct faults){
        .allocator = {.allocate = allocate, .free = give_back},
        .first = first,
        .duration_ns = duration_ns,
    };
    node->memory.parent = &faults.allocator;
    eddy_status status = ed_node_start(node);
    CHECK_EQ(name, status, faults.failed > 0 ? EDDY_ENOMEM : EDDY_OK);
    if (status != EDDY_OK) {
        CHECK_EQ(name, node->memory.live_count, 0);
        faults.is_over = true;
        CHECK_EQ(name, ed_node_start(node), EDDY_OK);
    }
    for (size_t i = faults.is_over ? ED_COUNT(acts) - 1 : 0; i < ED_COUNT(acts); i++)
        acts[i]();
    if (faults.failed == 0)
        check_all_came_about();
    ed_cluster_shut_down(&cluster, 1000, 30 * ED_NS_PER_S);
    check_ends();
    ed_cluster_close(&cluster); // nothing has leaked
    return faults.failed > 0;
}

static void every_allocation_may_fail(void **state)
{
    static const struct {
        const char *name;
        size_t poor;
        uint64_t duration_ms;
    } rows[] = {
        {"the server, once", 0, 0},
        {"the server, for a while", 0, WHILE_MS},
        {"the client, once", 1, 0},
        {"the client, for a while", 1, WHILE_MS},
    };
    const uint64_t stride = ed_seeds_slow_build() ? SLOW_STRIDE : 1;
    const uint64_t seeds = ed_attack_count(1, FULL_SEEDS);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            uint64_t k = i % stride;
            bool has_failed = true;
            for (; has_failed && k < PLACES_MAX; k += stride) {
                (void)snprintf(name, sizeof(name), "%s, seed %llu, call %llu", rows[i].name,
                               (unsigned long long)seed, (unsigned long long)k);
                has_failed = live(rows[i].poor, k, rows[i].duration_ms * ED_NS_PER_MS, seed);
            }
            CHECK(name, !has_failed && k > 100);
            print_message("%s: %llu places\n", rows[i].name, (unsigned long long)k);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
