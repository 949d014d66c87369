/** The model-based controller on a bottleneck of a known rate, packet by packet. */
#include "tests/support/check.h"

#include "transport/congestion.h"

enum {
    SIZE = 1200,
    RTT_MS = 40,
    PACKETS_MAX = 1 << 16,
};

#define MS(n) ((n)*ED_NS_PER_MS)

/** One direction of a path: a rate, a queue without end, and what is lost behind it. */
struct path {
    uint64_t rate;       /* bytes per second */
    uint32_t lost_every; /* 0: none */
    uint64_t free_ns;    /* when the bottleneck is idle */
    uint64_t queue_max_ns;
};

struct flight {
    uint64_t sent_ns, acked_ns;
    bool is_lost;
};

static struct flight flights[PACKETS_MAX];

/** Sends as the controller says for a while. @return bytes that went per second, at the end. */
static uint64_t run(ed_congestion *state, struct path *path, uint64_t run_ns)
{
    const ed_congestion_ops *ops = ed_congestion_ops_of(EDDY_CONGESTION_MODEL);
    uint64_t now_ns = MS(1), next_ns = now_ns, in_flight = 0, half = 0;
    size_t first = 0, last = 0;
    ed_rtt rtt;

    ed_rtt_init(&rtt);
    while (now_ns < run_ns && last < PACKETS_MAX) {
        if (first < last && flights[first].acked_ns <= now_ns) {
            struct flight *f = &flights[first++];
            in_flight -= SIZE;
            ed_congestion_ack ack = {
                .sent_ns = f->sent_ns, .size = SIZE, .in_flight_before = in_flight + SIZE};
            if (f->is_lost)
                ops->on_lost(state, f->sent_ns, SIZE, now_ns);
            else
                ops->on_acked(state, &ack, &rtt, now_ns);
            continue;
        }
        if (next_ns <= now_ns && in_flight < ops->window(state)) {
            path->free_ns = ed_max_u64(path->free_ns, now_ns) + SIZE * ED_NS_PER_S / path->rate;
            path->queue_max_ns =
                now_ns > run_ns / 2 ? ed_max_u64(path->queue_max_ns, path->free_ns - now_ns) : 0;
            half += now_ns > run_ns / 2 ? SIZE : 0;
            bool is_lost = path->lost_every != 0 && last % path->lost_every == 0;
            flights[last++] = (struct flight){now_ns, path->free_ns + MS(RTT_MS), is_lost};
            in_flight += SIZE;
            ops->on_sent(state, SIZE, in_flight, now_ns);
            next_ns = now_ns + SIZE * ED_NS_PER_S / ops->pacing_rate(state, &rtt);
            continue;
        }
        uint64_t ack_ns = first < last ? flights[first].acked_ns : ED_NEVER_NS;
        bool may_send = in_flight < ops->window(state);
        now_ns = ed_min_u64(ack_ns, may_send ? ed_max_u64(next_ns, now_ns) : ED_NEVER_NS);
    }
    return half * ED_NS_PER_S / (run_ns - run_ns / 2);
}

static void test_rate(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rate;
        uint32_t lost_every;
    } rows[] = {
        {"slow", 125 * 1000, 0},
        {"20 Mbit/s", 2500 * 1000, 0},
        {"one in fifty is lost", 2500 * 1000, 50},
        {"one in ten is lost", 1000 * 1000, 10},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_congestion congestion;
        struct path path = {.rate = rows[i].rate, .lost_every = rows[i].lost_every};
        ed_model_ops.init(&congestion, SIZE);
        uint64_t went = run(&congestion, &path, 8 * ED_NS_PER_S);
        CHECK(rows[i].name, went > rows[i].rate * 9 / 10);
        CHECK(rows[i].name, went < rows[i].rate * 11 / 10);
        CHECK(rows[i].name, path.queue_max_ns < MS(RTT_MS));
    }
}

/** Before anything is known the window is RFC 9002's; after a long silence from the path, anew. */
static void test_unknown(void **state)
{
    (void)state;
    ed_congestion congestion;
    struct path path = {.rate = 1000 * 1000};

    ed_model_ops.init(&congestion, SIZE);
    CHECK_EQ("at first", ed_model_ops.window(&congestion), ed_congestion_initial_window(SIZE));
    (void)run(&congestion, &path, 4 * ED_NS_PER_S);
    uint64_t before = ed_model_ops.window(&congestion);
    ed_model_ops.on_persistent(&congestion, 5 * ED_NS_PER_S);
    CHECK("less is sent", ed_model_ops.window(&congestion) < before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
