/** The conditioner in front of a socket: the same verdicts as in virtual time, and its waits. */
#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "sim/conditioner.h"
#include "sim/random.h"
#include "tests/support/check.h"

#define MS ED_NS_PER_MS

enum {
    SEED = 99,
    PACKETS = 3000,
    EVENTS_MAX = 2 * PACKETS,
};

/** A datagram's number, and when it came out. */
typedef struct passage {
    uint64_t at_ns;
    uint32_t number;
    uint8_t first_byte; // of the padding, where a flipped bit shows
} passage;

typedef struct passages {
    passage list[EVENTS_MAX];
    size_t count;
} passages;

/** A socket on which the test plays the network. */
typedef struct fake {
    uint64_t now_ns;
    size_t room;      // datagrams that send still takes
    bool has_arrival; // one datagram waits
    uint32_t arrival;
    passages sent;
    uint64_t waited_ns; // the timeout of the last wait
    bool sleeps;        // whether waiting takes its time
    bool wanted_send;
    bool closed;
} fake;

static uint8_t packet_bytes[8];

static eddy_datagram packet_of(uint32_t number)
{
    memset(packet_bytes, 0, sizeof packet_bytes);
    memcpy(packet_bytes, &number, sizeof number);
    return (eddy_datagram){.data = packet_bytes, .size = sizeof packet_bytes};
}

static void note(passages *p, const eddy_datagram *datagram, uint64_t at_ns)
{
    CHECK("room for the test's notes", p->count < EVENTS_MAX);
    passage *added = &p->list[p->count++];
    added->at_ns = at_ns;
    added->first_byte = datagram->data[4];
    memcpy(&added->number, datagram->data, sizeof added->number);
}

static size_t fake_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    fake *f = context;

    if (!f->has_arrival || count == 0)
        return 0;
    f->has_arrival = false;
    datagrams[0] = packet_of(f->arrival);
    return 1;
}

static size_t fake_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    fake *f = context;
    size_t taken = ed_min_size(count, f->room);

    for (size_t i = 0; i < taken; i++)
        note(&f->sent, &datagrams[i], f->now_ns);
    f->room -= taken;
    return taken;
}

static eddy_address fake_local(void *context)
{
    (void)context;
    return ed_addr_ipv4(127, 0, 0, 1, 4242);
}

static void fake_wait(void *context, int wake_fd, bool want_send, uint64_t timeout_ns)
{
    fake *f = context;

    CHECK_EQ("wake_fd", wake_fd, 5);
    f->wanted_send = want_send;
    f->waited_ns = timeout_ns;
    f->now_ns += f->sleeps ? timeout_ns : 0;
}

static size_t fake_too_big(void *context, eddy_datagram *datagrams, size_t count)
{
    (void)context;
    datagrams[0] = packet_of(9);
    return ed_min_size(count, 1);
}

static void fake_stats(void *context, eddy_socket_stats *stats)
{
    (void)context;
    *stats = (eddy_socket_stats){.sent_calls = 77};
}

static void fake_close(void *context)
{
    fake *f = context;

    f->closed = true;
}

static uint64_t fake_now_ns(void *context)
{
    const fake *f = context;

    return f->now_ns;
}

static ed_conditioner *make_conditioner(fake *f, const ed_link_config *out,
                                        const ed_link_config *in)
{
    const eddy_socket inner = {.context = f,
                               .receive = fake_receive,
                               .send = fake_send,
                               .local = fake_local,
                               .wait = fake_wait,
                               .too_big = fake_too_big,
                               .stats = fake_stats,
                               .close = fake_close};
    const ed_time_source clock = {f, fake_now_ns};
    *f = (fake){.room = SIZE_MAX};
    ed_conditioner *c = ed_conditioner_create(ed_alloc_default(), &inner, out, in, SEED, &clock);

    assert_non_null(c);
    return c;
}

static ed_link_config bad_config(void)
{
    ed_link_config config = ed_link_config_default();

    config.delay_ns = 5 * MS;
    config.jitter_ns = 3 * MS;
    config.keep_order = false;
    config.loss_ppm = 20 * 1000;
    config.burst_start_ppm = 10 * 1000;
    config.duplicate_ppm = 30 * 1000;
    config.reorder_ppm = 50 * 1000;
    config.reorder_extra_ns = 8 * MS;
    config.corrupt_ppm = 20 * 1000;
    config.rate_bps = 400 * 1000;
    config.queue_size = 600;
    config.window_count = 1;
    config.windows[0] = (ed_window){.from_ns = 100 * MS, .until_ns = 150 * MS};
    return config;
}

/** The times of the packets: the same for both hosts of the model. */
static uint64_t gap_ns(ed_rng *rng)
{
    return ed_rng_below(rng, 2 * MS);
}

/** Drives a bare link in virtual time. */
static void run_virtual(ed_conditioner_side side, const ed_link_config *config, passages *out)
{
    ed_link *link = ed_link_create(ed_alloc_default(), config, SEED, 0, (uint32_t)side);
    ed_rng rng = ed_rng_of(SEED);
    eddy_datagram batch[4];
    uint64_t now_ns = 0;

    assert_non_null(link);
    for (uint32_t n = 0; n < PACKETS; n++) {
        eddy_datagram datagram = packet_of(n);
        now_ns += gap_ns(&rng);
        (void)ed_link_push(link, &datagram, now_ns);
        for (size_t count; (count = ed_link_pull(link, now_ns, batch, ED_COUNT(batch))) > 0;)
            for (size_t i = 0; i < count; i++)
                note(out, &batch[i], now_ns);
    }
    ed_link_destroy(link);
}

/** Drives the conditioner through its socket table, at the same times. */
static void run_decorated(ed_conditioner_side side, const ed_link_config *config, passages *out)
{
    static fake f;
    ed_link_config perfect = ed_link_config_default();
    bool is_out = side == ED_CONDITIONER_OUT;
    ed_conditioner *c =
        make_conditioner(&f, is_out ? config : &perfect, is_out ? &perfect : config);
    eddy_socket socket = ed_conditioner_socket(c);
    ed_rng rng = ed_rng_of(SEED);
    eddy_datagram batch[4];

    for (uint32_t n = 0; n < PACKETS; n++) {
        eddy_datagram datagram = packet_of(n);
        f.now_ns += gap_ns(&rng);
        f.arrival = n;
        f.has_arrival = !is_out;
        if (is_out)
            CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
        for (size_t count; (count = socket.receive(socket.context, batch, ED_COUNT(batch))) > 0;)
            for (size_t i = 0; i < count; i++)
                note(out, &batch[i], f.now_ns);
    }
    if (is_out)
        *out = f.sent;
    ed_conditioner_destroy(c);
}

static void verdicts_are_those_of_virtual_time(void **state)
{
    static const struct {
        const char *name;
        ed_conditioner_side side;
    } rows[] = {{"out", ED_CONDITIONER_OUT}, {"in", ED_CONDITIONER_IN}};
    static passages got, want;
    ed_link_config config = bad_config();
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        memset(&got, 0, sizeof got);
        memset(&want, 0, sizeof want);
        run_virtual(rows[i].side, &config, &want);
        run_decorated(rows[i].side, &config, &got);
        CHECK(rows[i].name, want.count > PACKETS / 2);
        CHECK_EQ(rows[i].name, got.count, want.count);
        CHECK_BYTES(rows[i].name, &got, &want, sizeof got);
    }
}

static void waits_end_when_something_is_due(void **state)
{
    static const struct {
        const char *name;
        bool send;    // a datagram leaves now, and is due in 10 ms
        bool arrives; // one arrives, and is due in 20 ms
        uint64_t timeout_ns;
        uint64_t want_ns;
    } rows[] = {
        {"nothing on its way", false, false, 50 * MS, 50 * MS},
        {"without limit", false, false, UINT64_MAX, UINT64_MAX},
        {"out", true, false, 50 * MS, 10 * MS},
        {"in", false, true, UINT64_MAX, 20 * MS},
        {"both", true, true, 50 * MS, 10 * MS},
        {"sooner anyway", true, true, 3 * MS, 3 * MS},
    };
    ed_link_config out = ed_link_config_default();
    ed_link_config in = out;
    eddy_datagram got;
    fake f;
    (void)state;

    out.delay_ns = 10 * MS;
    in.delay_ns = 20 * MS;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_conditioner *c = make_conditioner(&f, &out, &in);
        eddy_socket socket = ed_conditioner_socket(c);
        eddy_datagram datagram = packet_of(1);
        f.has_arrival = rows[i].arrives;
        CHECK_EQ(rows[i].name, socket.receive(socket.context, &got, 1), 0);
        if (rows[i].send)
            CHECK_EQ(rows[i].name, socket.send(socket.context, &datagram, 1), 1);
        socket.wait(socket.context, 5, false, rows[i].timeout_ns);
        CHECK_EQ(rows[i].name, f.waited_ns, rows[i].want_ns);
        CHECK(rows[i].name, !f.wanted_send);
        CHECK_EQ(rows[i].name, f.sent.count, 0);
        f.now_ns = 20 * MS;
        socket.wait(socket.context, 5, true, rows[i].timeout_ns);
        CHECK_EQ(rows[i].name, f.sent.count, rows[i].send);
        CHECK_EQ(rows[i].name, f.waited_ns, rows[i].arrives ? 0 : rows[i].timeout_ns);
        CHECK(rows[i].name, f.wanted_send);
        CHECK_EQ(rows[i].name, socket.receive(socket.context, &got, 1), rows[i].arrives);
        ed_conditioner_destroy(c);
    }
}

static void what_is_due_leaves_on_any_call(void **state)
{
    ed_link_config config = ed_link_config_default();
    eddy_datagram got;
    fake f;
    (void)state;

    config.delay_ns = 10 * MS;
    ed_conditioner *c = make_conditioner(&f, &config, &config);
    eddy_socket socket = ed_conditioner_socket(c);
    f.sleeps = true;
    eddy_datagram datagram = packet_of(1);
    CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
    socket.wait(socket.context, 5, false, 50 * MS);
    CHECK_EQ("behind a wait", f.sent.count, 1);
    CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
    f.now_ns += 10 * MS;
    CHECK_EQ("nothing to receive", socket.receive(socket.context, &got, 1), 0);
    CHECK_EQ("in a receive", f.sent.count, 2);
    CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
    f.now_ns += 10 * MS;
    CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
    CHECK_EQ("in a send", f.sent.count, 3);
    ed_conditioner_destroy(c);
}

static void a_full_inner_socket_loses_nothing(void **state)
{
    ed_link_config perfect = ed_link_config_default();
    fake f;
    ed_conditioner *c = make_conditioner(&f, &perfect, &perfect);
    eddy_socket socket = ed_conditioner_socket(c);
    (void)state;

    f.room = 2;
    for (uint32_t n = 0; n < 100; n++) {
        eddy_datagram datagram = packet_of(n);
        CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
    }
    CHECK_EQ("as far as there was room", f.sent.count, 2);
    socket.wait(socket.context, 5, false, MS);
    CHECK("waits for room", f.wanted_send);
    CHECK_EQ("and does not spin", f.waited_ns, MS);
    f.room = SIZE_MAX;
    socket.wait(socket.context, 5, false, MS);
    CHECK_EQ("all of them", f.sent.count, 100);
    for (uint32_t n = 0; n < 100; n++)
        CHECK_EQ("in order", f.sent.list[n].number, n);
    ed_conditioner_destroy(c);
}

static void closing_sends_what_is_on_its_way(void **state)
{
    ed_link_config slow = ed_link_config_default();
    fake f;
    (void)state;

    slow.delay_ns = 100 * MS;
    ed_conditioner *c = make_conditioner(&f, &slow, &slow);
    eddy_socket socket = ed_conditioner_socket(c);
    eddy_datagram datagram = packet_of(3);
    CHECK_EQ("taken", socket.send(socket.context, &datagram, 1), 1);
    CHECK_EQ("on its way", ed_link_in_flight(ed_conditioner_link(c, ED_CONDITIONER_OUT)), 1);
    CHECK_EQ("not sent", f.sent.count, 0);
    socket.close(socket.context);
    CHECK_EQ("sent", f.sent.count, 1);
    CHECK("closed", f.closed);
    ed_conditioner_destroy(c);
}

static void the_rest_is_the_inner_sockets(void **state)
{
    ed_link_config perfect = ed_link_config_default();
    ed_link_config wrong = perfect;
    eddy_socket bare = {.receive = fake_receive, .send = fake_send, .local = fake_local};
    eddy_socket_stats stats;
    eddy_datagram refused;
    fake f;
    ed_conditioner *c = make_conditioner(&f, &perfect, &perfect);
    eddy_socket socket = ed_conditioner_socket(c);
    (void)state;

    socket.stats(socket.context, &stats);
    CHECK_EQ("stats", stats.sent_calls, 77);
    CHECK_EQ("one too big", socket.too_big(socket.context, &refused, 1), 1);
    CHECK_EQ("of its size", refused.size, packet_of(9).size);
    CHECK_EQ("local", socket.local(socket.context).port, 4242);
    ed_conditioner_destroy(c);

    c = ed_conditioner_create(ed_alloc_default(), &bare, &perfect, &perfect, SEED, NULL);
    assert_non_null(c);
    socket = ed_conditioner_socket(c);
    CHECK("cannot wait", socket.wait == NULL);
    CHECK("keeps no stats", socket.stats == NULL);
    CHECK("never knows", socket.too_big == NULL);
    socket.close(socket.context);
    ed_conditioner_destroy(c);

    wrong.mtu = UINT32_MAX;
    CHECK("bad out",
          ed_conditioner_create(ed_alloc_default(), &bare, &wrong, &perfect, SEED, NULL) == NULL);
    CHECK("bad in",
          ed_conditioner_create(ed_alloc_default(), &bare, &perfect, &wrong, SEED, NULL) == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_are_those_of_virtual_time),
        cmocka_unit_test(waits_end_when_something_is_due),
        cmocka_unit_test(what_is_due_leaves_on_any_call),
        cmocka_unit_test(a_full_inner_socket_loses_nothing),
        cmocka_unit_test(closing_sends_what_is_on_its_way),
        cmocka_unit_test(the_rest_is_the_inner_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
