/** Virtual worlds: time, order, addresses, and the promise that a run is its seed. */
#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "sim/random.h"
#include "sim/world.h"
#include "tests/support/check.h"

#define MS ED_NS_PER_MS

enum {
    PLAYERS = 4,
    LOG_MAX = 64,
};

/** A host whose node answers nothing and writes down when it ran. */
typedef struct player {
    ed_world *world;
    ed_host *host;
    eddy_socket socket;
    eddy_address address;
    ed_rng rng;
    uint64_t next_ns; // what its node returns; noise() moves it on
    uint64_t period_ns;
    uint64_t received;
} player;

/** The order in which nodes ran: the player's port, at a time. */
static struct {
    uint16_t port;
    uint64_t at_ns;
} runs[LOG_MAX];
static size_t run_count;

static eddy_address address_of(uint16_t port)
{
    return ed_addr_ipv4(10, 0, 0, 1, port);
}

static ed_world *make_world(uint64_t seed)
{
    ed_world *world = ed_world_create(ed_alloc_default(), seed);

    assert_non_null(world);
    run_count = 0;
    return world;
}

static void join(player *p, ed_world *world, uint16_t port)
{
    *p = (player){.world = world, .address = address_of(port), .next_ns = ED_NEVER_NS};
    p->host = ed_world_socket(world, &p->address, &p->socket);
    assert_non_null(p->host);
}

static void send_to(player *from, const eddy_address *to, const char *text)
{
    char bytes[32];
    eddy_datagram datagram = {.remote = *to, .data = (uint8_t *)bytes, .size = strlen(text)};

    memcpy(bytes, text, strlen(text));
    CHECK_EQ(text, from->socket.send(from->socket.context, &datagram, 1), 1);
}

static size_t receive(player *p, eddy_datagram *datagrams, size_t count)
{
    return p->socket.receive(p->socket.context, datagrams, count);
}

/** Takes all that has arrived. @return how many. */
static size_t drain(player *p)
{
    eddy_datagram batch[8];
    size_t total = 0;

    for (size_t count; (count = receive(p, batch, ED_COUNT(batch))) > 0; total += count)
        for (size_t i = 0; i < count; i++)
            ed_world_note(p->world, batch[i].data, batch[i].size);
    p->received += total;
    return total;
}

static uint64_t log_run(void *context, uint64_t now_ns)
{
    player *p = context;

    CHECK_EQ("a node sees the world's time", now_ns, ed_world_now_ns(p->world));
    if (run_count < LOG_MAX) {
        runs[run_count].port = p->address.port;
        runs[run_count++].at_ns = now_ns;
    }
    drain(p);
    return p->next_ns > now_ns ? p->next_ns : ED_NEVER_NS;
}

static void check_run(const char *name, size_t index, uint16_t port, uint64_t at_ns)
{
    CHECK(name, index < run_count);
    CHECK_EQ(name, runs[index].port, port);
    CHECK_EQ(name, runs[index].at_ns, at_ns);
}

static void a_datagram_takes_its_delay(void **state)
{
    ed_world *world = make_world(1);
    player a, b;
    eddy_datagram got;
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    CHECK("nothing pends", !ed_world_step(world));
    send_to(&a, &b.address, "hello");
    CHECK_EQ("pends", ed_world_next_ns(world), ED_WORLD_DELAY_MS * MS);
    CHECK_EQ("not there yet", receive(&b, &got, 1), 0);
    CHECK("step", ed_world_step(world));
    CHECK_EQ("time", ed_world_now_ns(world), ED_WORLD_DELAY_MS * MS);
    CHECK_EQ("there", receive(&b, &got, 1), 1);
    CHECK_EQ("size", got.size, 5);
    CHECK_BYTES("bytes", got.data, "hello", 5);
    CHECK("from", eddy_address_equal(&got.remote, &a.address));
    CHECK("to", eddy_address_equal(&got.local, &b.address));
    CHECK_EQ("once", receive(&b, &got, 1), 0);
    CHECK("nothing pends", !ed_world_step(world));
    ed_world_destroy(world);
}

static void received_bytes_stay_until_the_next_receive(void **state)
{
    ed_world *world = make_world(1);
    player a, b;
    eddy_datagram first[2];
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    send_to(&a, &b.address, "one");
    send_to(&a, &b.address, "two");
    ed_world_run_until(world, 10 * MS);
    CHECK_EQ("both", receive(&b, first, 2), 2);
    for (int i = 0; i < 50; i++)
        send_to(&a, &b.address, "others");
    ed_world_run_until(world, 20 * MS);
    CHECK_BYTES("first", first[0].data, "one", 3);
    CHECK_BYTES("second", first[1].data, "two", 3);
    ed_world_destroy(world);
}

static void nodes_run_when_they_should(void **state)
{
    ed_world *world = make_world(1);
    player a, b, c;
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    join(&c, world, 3);
    c.next_ns = 5 * MS;
    ed_world_attach(world, c.host, log_run, &c);
    b.next_ns = 5 * MS;
    ed_world_attach(world, b.host, log_run, &b);
    CHECK("first step", ed_world_step(world));
    check_run("by creation, not by attachment", 0, 2, 0);
    check_run("by creation, not by attachment", 1, 3, 0);
    send_to(&a, &c.address, "wake up");
    ed_world_run_until(world, 4 * MS);
    check_run("an arrival", 2, 3, 1 * MS);
    CHECK_EQ("taken", c.received, 1);
    ed_world_run_until(world, 5 * MS);
    check_run("deadline", 3, 2, 5 * MS);
    check_run("deadline of the same time", 4, 3, 5 * MS);
    ed_world_touch(world, a.host);
    CHECK("nobody lives there", !ed_world_step(world));
    ed_world_touch(world, b.host);
    ed_world_touch(world, b.host);
    CHECK("touched", ed_world_step(world));
    check_run("touched", 5, 2, 5 * MS);
    CHECK_EQ("once", run_count, 6);
    ed_world_destroy(world);
}

/** Wants to have run a nanosecond ago, three times. */
static uint64_t hurry(void *context, uint64_t now_ns)
{
    player *p = context;

    return ++p->received < 3 ? now_ns - 1 : ED_NEVER_NS;
}

static void an_overdue_node_runs_now(void **state)
{
    ed_world *world = make_world(1);
    player a;
    (void)state;

    join(&a, world, 1);
    ed_world_run_until(world, 5 * MS);
    ed_world_attach(world, a.host, hurry, &a);
    for (uint64_t n = 1; n <= 3; n++) {
        CHECK("runs", ed_world_step(world));
        CHECK_EQ("once a step", a.received, n);
        CHECK_EQ("time stands", ed_world_now_ns(world), 5 * MS);
    }
    CHECK("rests", !ed_world_step(world));
    ed_world_destroy(world);
}

/** Closes a socket, its own or another's, and would run again at once. */
static uint64_t close_socket(void *context, uint64_t now_ns)
{
    eddy_socket *socket = context;

    (void)now_ns;
    socket->close(socket->context);
    return 0;
}

static void a_closed_socket_has_no_node(void **state)
{
    ed_world *world = make_world(1);
    player a, b, c;
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    join(&c, world, 3);
    ed_world_attach(world, a.host, close_socket, &b.socket);
    b.next_ns = 5 * MS;
    ed_world_attach(world, b.host, log_run, &b);
    ed_world_attach(world, c.host, close_socket, &c.socket);
    CHECK("all three are due", ed_world_step(world));
    CHECK_EQ("closed before its turn", run_count, 0);
    ed_world_attach(world, a.host, NULL, NULL);
    CHECK("nobody is left", !ed_world_step(world));
    ed_world_destroy(world);
}

static void a_closed_socket_frees_its_address(void **state)
{
    ed_world *world = make_world(1);
    player a, b, c;
    eddy_socket socket;
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    ed_world_attach(world, b.host, log_run, &b);
    ed_world_step(world);
    CHECK("taken", ed_world_socket(world, &b.address, &socket) == NULL);
    send_to(&a, &b.address, "late");
    b.socket.close(b.socket.context);
    join(&c, world, 2);
    ed_world_run_until(world, 10 * MS);
    CHECK_EQ("the node is gone", run_count, 1);
    CHECK_EQ("the link led to the old one", drain(&c), 0);
    CHECK_EQ("counted", ed_world_get_stats(world).no_host, 1);
    send_to(&a, &c.address, "again");
    ed_world_run_until(world, 20 * MS);
    CHECK_EQ("a new link", drain(&c), 1);
    ed_world_destroy(world);
}

static void sending_to_nobody_is_counted(void **state)
{
    ed_world *world = make_world(1);
    static uint8_t large[ED_DATAGRAM_SIZE_MAX + 1];
    eddy_socket_stats stats;
    player a, b;
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    eddy_address nobody = address_of(9);
    send_to(&a, &nobody, "hello?");
    eddy_datagram datagrams[] = {
        {.remote = b.address, .data = large, .size = ED_DATAGRAM_SIZE_MAX + 1},
        {.remote = b.address, .data = large, .size = ED_DATAGRAM_SIZE_MAX},
    };
    CHECK_EQ("both taken", a.socket.send(a.socket.context, datagrams, 2), 2);
    ed_world_run_until(world, 10 * MS);
    CHECK_EQ("the largest arrives", drain(&b), 1);
    CHECK_EQ("nobody", ed_world_get_stats(world).no_host, 1);
    a.socket.stats(a.socket.context, &stats);
    CHECK_EQ("sent", stats.sent_datagrams, 2);
    CHECK_EQ("bytes", stats.sent_bytes, 6 + ED_DATAGRAM_SIZE_MAX);
    CHECK_EQ("too big", stats.too_big, 1);
    b.socket.stats(b.socket.context, &stats);
    CHECK_EQ("received", stats.received_datagrams, 1);
    CHECK_EQ("bytes", stats.received_bytes, ED_DATAGRAM_SIZE_MAX);
    ed_world_destroy(world);
}

static void a_socket_may_move(void **state)
{
    ed_world *world = make_world(1);
    player a, b;
    eddy_datagram got;
    eddy_address new_address = address_of(77);
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    send_to(&a, &b.address, "to the old one");
    eddy_address bad = {.family = 9};
    CHECK_EQ("taken", ed_world_move(world, b.host, &a.address), EDDY_EINUSE);
    CHECK_EQ("no address", ed_world_move(world, b.host, &bad), EDDY_EADDRESS);
    CHECK_EQ("to where it is", ed_world_move(world, b.host, &b.address), EDDY_OK);
    CHECK_EQ("moves", ed_world_move(world, b.host, &new_address), EDDY_OK);
    ed_world_run_until(world, 10 * MS);
    CHECK_EQ("the old address is dead", drain(&b), 0);
    eddy_address local = b.socket.local(b.socket.context);
    CHECK("it knows", eddy_address_equal(&local, &new_address));
    send_to(&b, &a.address, "from the new one");
    send_to(&a, &new_address, "to the new one");
    ed_world_run_until(world, 20 * MS);
    CHECK_EQ("arrives", drain(&b), 1);
    CHECK_EQ("arrives", receive(&a, &got, 1), 1);
    CHECK("from the new address", eddy_address_equal(&got.remote, &new_address));
    CHECK_EQ("blocked by address", ed_world_block(world, &b.address, NULL, true), EDDY_OK);
    CHECK_EQ("back", ed_world_move(world, b.host, &b.address), EDDY_OK);
    send_to(&b, &a.address, "from the old one again");
    ed_world_run_until(world, 30 * MS);
    CHECK_EQ("rules go by the address", drain(&a), 0);
    ed_world_destroy(world);
}

/** Sends one datagram each way between 1 and 2 and from 1 to 3. @return what arrives, as bits. */
static unsigned probe(ed_world *world, player *p)
{
    unsigned arrived = 0;

    for (size_t i = 0; i < 3; i++)
        drain(&p[i]);
    send_to(&p[0], &p[1].address, "a");
    send_to(&p[1], &p[0].address, "b");
    send_to(&p[0], &p[2].address, "c");
    ed_world_run_until(world, ed_world_now_ns(world) + 100 * MS);
    arrived |= drain(&p[1]) > 0 ? 1u : 0;
    arrived |= drain(&p[0]) > 0 ? 2u : 0;
    arrived |= drain(&p[2]) > 0 ? 4u : 0;
    return arrived;
}

static void the_last_rule_that_fits_counts(void **state)
{
    static const struct {
        const char *name;
        uint16_t from; // a port; 0: any
        uint16_t to;
        bool blocked;
        unsigned arrives; // 1: from 1 to 2; 2: back; 4: from 1 to 3
    } rows[] = {
        {"one way", 1, 2, true, 6},         {"and mended", 1, 2, false, 7},
        {"all that leaves", 1, 0, true, 2}, {"but one", 1, 3, false, 6},
        {"all that comes", 0, 1, true, 4},  {"everything", 0, 0, true, 0},
        {"but this", 2, 1, false, 2},       {"nothing", 0, 0, false, 7},
    };
    ed_world *world = make_world(1);
    player p[3];
    (void)state;

    for (uint16_t i = 0; i < 3; i++)
        join(&p[i], world, (uint16_t)(i + 1));
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address from = address_of(rows[i].from);
        eddy_address to = address_of(rows[i].to);
        CHECK_EQ(rows[i].name,
                 ed_world_block(world, rows[i].from == 0 ? NULL : &from,
                                rows[i].to == 0 ? NULL : &to, rows[i].blocked),
                 EDDY_OK);
        CHECK_EQ(rows[i].name, probe(world, p), rows[i].arrives);
    }
    ed_world_destroy(world);
}

static void healing_leaves_nothing_but_the_delay(void **state)
{
    ed_world *world = make_world(1);
    ed_link_config slow = ed_link_config_default();
    ed_link_config dead = slow;
    player p[3];
    (void)state;

    for (uint16_t i = 0; i < 3; i++)
        join(&p[i], world, (uint16_t)(i + 1));
    slow.delay_ns = 30 * MS;
    slow.mtu = 0;
    dead.loss_ppm = ED_PPM_CERTAIN;
    CHECK_EQ("slow", ed_world_set_link(world, &p[0].address, NULL, &slow), EDDY_OK);
    CHECK_EQ("dead", ed_world_set_link(world, NULL, &p[0].address, &dead), EDDY_OK);
    CHECK_EQ("block", ed_world_block(world, &p[0].address, &p[2].address, true), EDDY_OK);
    CHECK_EQ("nothing works", probe(world, p), 0);
    ed_world_heal(world);
    CHECK_EQ("everything works", probe(world, p), 7);
    send_to(&p[0], &p[2].address, "how long?");
    CHECK_EQ("its own delay", ed_world_next_ns(world), ed_world_now_ns(world) + 30 * MS);
    slow.jitter_ns = UINT64_MAX;
    CHECK_EQ("bad config", ed_world_set_link(world, NULL, NULL, &slow), EDDY_ECONFIG);
    ed_world_destroy(world);
}

static void rules_have_a_limit(void **state)
{
    ed_world *world = make_world(1);
    eddy_status status = EDDY_OK;
    unsigned added = 0;
    (void)state;

    for (uint16_t port = 1; status == EDDY_OK && port < 2 * ED_WORLD_RULES_MAX; port++) {
        eddy_address from = address_of(port);
        status = ed_world_block(world, &from, NULL, true);
        added += status == EDDY_OK;
    }
    CHECK_EQ("status", status, EDDY_ELIMIT);
    CHECK_EQ("all but the world's own", added, ED_WORLD_RULES_MAX - 1);
    ed_world_heal(world);
    for (unsigned i = 0; i < 2 * ED_WORLD_RULES_MAX; i++)
        CHECK_EQ("the same again", ed_world_block(world, NULL, NULL, i % 2 == 0), EDDY_OK);
    ed_world_destroy(world);
}

static bool drop_second(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    unsigned *seen = context;

    CHECK_EQ("time", now_ns, 0);
    CHECK_EQ("sender", datagram->local.port, 1);
    CHECK_EQ("receiver", datagram->remote.port, 2);
    CHECK_BYTES("bytes", datagram->data, "tick", 4);
    return ++*seen == 2;
}

/** A stranger speaks in another's name: the link is that one's, its counters are not. */
static void a_datagram_is_forged(void **state)
{
    ed_world *world = make_world(1);
    player victim, target;
    uint8_t bytes[] = {'x'};
    eddy_datagram got, datagram = {.data = bytes, .size = sizeof bytes};
    eddy_socket_stats stats;

    (void)state;
    join(&victim, world, 1);
    join(&target, world, 2);
    datagram.remote = target.address;
    datagram.local = address_of(3);
    CHECK("nobody's name", !ed_world_forge(world, &datagram));
    datagram.local = victim.address;
    CHECK("forged", ed_world_forge(world, &datagram));
    ed_world_run_until(world, ED_WORLD_DELAY_MS * MS);
    CHECK_EQ("arrived", receive(&target, &got, 1), 1);
    CHECK("in its name", eddy_address_equal(&got.remote, &victim.address));
    victim.socket.stats(victim.socket.context, &stats);
    CHECK_EQ("not by it", stats.sent_datagrams, 0);
    ed_world_destroy(world);
}

static void an_observer_sees_and_drops(void **state)
{
    ed_world *world = make_world(1);
    unsigned seen = 0;
    player a, b;
    (void)state;

    join(&a, world, 1);
    join(&b, world, 2);
    ed_world_observe(world, drop_second, &seen);
    for (int i = 0; i < 3; i++)
        send_to(&a, &b.address, "tick");
    ed_world_run_until(world, 10 * MS);
    CHECK_EQ("seen", seen, 3);
    CHECK_EQ("arrived", drain(&b), 2);
    CHECK_EQ("dropped", ed_world_get_stats(world).observer_dropped, 1);
    ed_world_destroy(world);
}

/** Sends a few random bytes to a random player, every so often. */
static uint64_t noise(void *context, uint64_t now_ns)
{
    player *p = context;
    uint8_t bytes[64];

    drain(p);
    if (now_ns < p->next_ns && p->next_ns != ED_NEVER_NS)
        return p->next_ns;
    eddy_address to = address_of((uint16_t)(1 + ed_rng_below(&p->rng, PLAYERS)));
    eddy_datagram datagram = {
        .remote = to, .data = bytes, .size = ed_rng_below(&p->rng, sizeof bytes)};
    ed_rng_fill(&p->rng, bytes, sizeof bytes);
    p->socket.send(p->socket.context, &datagram, 1);
    p->next_ns = now_ns + p->period_ns;
    return p->next_ns;
}

typedef struct outcome {
    uint64_t trace;
    uint64_t received;
    uint64_t duplicated;
    uint64_t reordered;
} outcome;

/** Two seconds of four noisy players on bad links. */
static outcome run_noise(uint64_t seed, uint32_t loss_ppm)
{
    ed_world *world = make_world(seed);
    ed_link_config config = ed_link_config_default();
    player p[PLAYERS];
    outcome result = {0};

    config.delay_ns = 20 * MS;
    config.jitter_ns = 5 * MS;
    config.loss_ppm = loss_ppm;
    config.duplicate_ppm = 50 * 1000;
    config.reorder_ppm = 50 * 1000;
    config.reorder_extra_ns = 15 * MS;
    CHECK_EQ("links", ed_world_set_link(world, NULL, NULL, &config), EDDY_OK);
    for (uint16_t i = 0; i < PLAYERS; i++) {
        uint64_t own_seed = 0;
        join(&p[i], world, (uint16_t)(i + 1));
        eddy_entropy entropy = ed_world_entropy(world, p[i].host);
        entropy.fill(entropy.context, &own_seed, sizeof own_seed);
        p[i].rng = ed_rng_of(own_seed);
        p[i].period_ns = (i + UINT64_C(1)) * MS;
        ed_world_attach(world, p[i].host, noise, &p[i]);
    }
    ed_world_run_until(world, 2 * ED_NS_PER_S);
    for (size_t i = 0; i < (size_t)PLAYERS * PLAYERS; i++) {
        const ed_link *link = ed_world_link(world, p[i / PLAYERS].host, p[i % PLAYERS].host);
        assert_non_null(link);
        result.duplicated += ed_link_get_stats(link).duplicated;
        result.reordered += ed_link_get_stats(link).reordered;
        result.received += i < PLAYERS ? p[i].received : 0;
    }
    result.trace = ed_world_trace(world);
    ed_world_destroy(world);
    return result;
}

static void a_run_is_its_seed(void **state)
{
    outcome first = run_noise(7, 10 * 1000);
    outcome second = run_noise(7, 10 * 1000);
    outcome other_seed = run_noise(8, 10 * 1000);
    outcome other_loss = run_noise(7, 11 * 1000);
    (void)state;

    CHECK_EQ("the same again", second.trace, first.trace);
    CHECK_EQ("the same again", second.received, first.received);
    CHECK("another seed", other_seed.trace != first.trace);
    CHECK("another link", other_loss.trace != first.trace);
    CHECK("duplicates seen", first.duplicated > 100);
    CHECK("reordering seen", first.reordered > 100);
    CHECK("much arrives", first.received > 3000);
    // On every machine and compiler; it changes with the model, never by itself.
    CHECK_EQ("golden", first.trace, UINT64_C(0x06ec74ab22d070a0));
}

static void notes_and_time_are_traced(void **state)
{
    static const struct {
        const char *name;
        uint64_t at_ns;
        const char *note;
    } rows[] = {
        {"a note", 0, "x"},
        {"another note", 0, "y"},
        {"later", 1, "x"},
        {"nothing noted", 0, ""},
    };
    uint64_t traces[ED_COUNT(rows)];
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_world *world = make_world(1);
        ed_world_run_until(world, rows[i].at_ns);
        ed_world_note(world, rows[i].note, strlen(rows[i].note));
        traces[i] = ed_world_trace(world);
        for (size_t earlier = 0; earlier < i; earlier++)
            CHECK(rows[i].name, traces[i] != traces[earlier]);
        ed_world_destroy(world);
    }
}

static void entropy_differs_by_host_and_by_seed(void **state)
{
    uint8_t bytes[4][16];
    (void)state;

    for (size_t i = 0; i < ED_COUNT(bytes); i++) {
        ed_world *world = make_world(i / 2);
        player a, b;
        join(&a, world, 1);
        join(&b, world, 2);
        eddy_entropy entropy = ed_world_entropy(world, i % 2 == 0 ? a.host : b.host);
        entropy.fill(entropy.context, bytes[i], sizeof bytes[i]);
        for (size_t earlier = 0; earlier < i; earlier++)
            CHECK("differs", memcmp(bytes[i], bytes[earlier], sizeof bytes[i]) != 0);
        ed_world_destroy(world);
    }
}

static void a_warm_world_allocates_nothing(void **state)
{
    ed_counting_alloc counting;
    uint64_t warm = 0;
    player a, b;
    (void)state;

    ed_counting_alloc_init(&counting, NULL);
    ed_world *world = ed_world_create(&counting.allocator, 1);
    assert_non_null(world);
    join(&a, world, 1);
    join(&b, world, 2);
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned n = 0; n < 10; n++)
            send_to(&a, &b.address, "a datagram");
        ed_world_run_until(world, ed_world_now_ns(world) + 2 * MS);
        CHECK_EQ("received", drain(&b), 10);
        warm = i == 20 ? counting.calls : warm;
    }
    CHECK_EQ("allocations", counting.calls, warm);
    ed_world_destroy(world);
    CHECK_EQ("leaked", counting.live_count, 0);
}

/** Lets the allocator fail ever later, until a whole run succeeds. */
static void no_memory_is_survived(void **state)
{
    bool failed = true;
    (void)state;

    for (uint64_t fail_after = 0; failed; fail_after++) {
        ed_counting_alloc counting;
        eddy_socket socket;
        eddy_address to = address_of(2), from = address_of(1), moved = address_of(3);
        eddy_datagram datagram = {.remote = to};
        ed_counting_alloc_init(&counting, NULL);
        counting.fail_after = fail_after;
        ed_world *world = ed_world_create(&counting.allocator, 1);
        if (world != NULL) {
            ed_host *receiver = ed_world_socket(world, &to, &socket);
            if (receiver != NULL)
                (void)!ed_world_move(world, receiver, &moved);
            if (receiver != NULL && ed_world_socket(world, &from, &socket) != NULL)
                CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
            ed_world_run_until(world, 10 * MS);
        }
        failed = counting.failures > 0;
        ed_world_destroy(world);
        CHECK_EQ("leaked", counting.live_count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_takes_its_delay),
        cmocka_unit_test(received_bytes_stay_until_the_next_receive),
        cmocka_unit_test(nodes_run_when_they_should),
        cmocka_unit_test(an_overdue_node_runs_now),
        cmocka_unit_test(a_closed_socket_has_no_node),
        cmocka_unit_test(a_closed_socket_frees_its_address),
        cmocka_unit_test(sending_to_nobody_is_counted),
        cmocka_unit_test(a_socket_may_move),
        cmocka_unit_test(the_last_rule_that_fits_counts),
        cmocka_unit_test(healing_leaves_nothing_but_the_delay),
        cmocka_unit_test(rules_have_a_limit),
        cmocka_unit_test(a_datagram_is_forged),
        cmocka_unit_test(an_observer_sees_and_drops),
        cmocka_unit_test(a_run_is_its_seed),
        cmocka_unit_test(notes_and_time_are_traced),
        cmocka_unit_test(entropy_differs_by_host_and_by_seed),
        cmocka_unit_test(a_warm_world_allocates_nothing),
        cmocka_unit_test(no_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
