/** The model-based controller at a bottleneck, packet by packet, over many seeds. */
#include "tests/support/check.h"

#include <string.h>

#include "tests/support/bottleneck.h"
#include "transport/model.h"

enum {
    SEEDS = 20,
    RATE = 2500 * 1000, /* bytes per second: 20 Mbit/s */
    DELAY_MS = 50,
    QUEUE_SIZE = 100 * 1000,
    PERCENT = 100,
};

#define MS(n) ((uint64_t)(n)*ED_NS_PER_MS)

static ed_bottleneck path;
static ed_flow flows[2];

static void open_path(uint64_t seed)
{
    path = (ed_bottleneck){.rate = RATE,
                           .delay_ns = MS(DELAY_MS),
                           .queue_size = QUEUE_SIZE,
                           .random = seed,
                           .now_ns = MS(1)};
    memset(flows, 0, sizeof(flows));
    for (size_t i = 0; i < ED_COUNT(flows); i++)
        flows[i].kind = EDDY_CONGESTION_MODEL;
    flows[0].begin_ns = MS(1 + seed % 16);
}

/** Lets time pass. @return the share of the path that a flow had in it, in percent. */
static uint64_t percent_of(const ed_flow *flow, uint64_t run_ms)
{
    uint64_t before = flow->acked;

    path.queue_max_ns = path.queue_sum_ns = path.queue_count = path.overflow = 0;
    ed_bottleneck_run(&path, MS(run_ms));
    return (flow->acked - before) * PERCENT * 1000 / run_ms / path.rate;
}

static uint64_t queue_mean_ms(void)
{
    return path.queue_sum_ns / ed_max_u64(path.queue_count, 1) / ED_NS_PER_MS;
}

/** Whatever becomes of the path, soon it is full again, with a short queue and nothing spilt. */
static void test_change(void **state)
{
    static const struct {
        const char *name;
        uint64_t rate;     /* from the fourth second on */
        uint64_t delay_ms; /* and that */
        uint32_t loss_ppm;
        uint64_t burst_ms; /* of each 2 s everything is lost for so long */
        uint64_t after_ms; /* all is well after that */
        uint64_t least;    /* percent of the path, while all is well */
        uint64_t queue_ms; /* on average */
    } rows[] = {
        {"nothing changes", RATE, 50, 0, 0, 0, 97, 5},
        {"one in a hundred is lost", RATE, 50, 10 * 1000, 0, 0, 96, 5},
        {"one in twenty", RATE, 50, 50 * 1000, 0, 2000, 90, 6},
        {"one in five", RATE, 50, 200 * 1000, 0, 5000, 70, 6},
        {"ten times longer", RATE, 500, 0, 0, 9000, 90, 6},
        {"ten times shorter", RATE, 5, 0, 0, 2000, 97, 6},
        {"ten times wider", 10 * RATE, 50, 0, 0, 5000, 90, 5},
        {"ten times narrower", RATE / 10, 50, 0, 0, 3000, 90, 40},
        {"narrower, and longer", RATE / 4, 200, 0, 0, 6000, 90, 20},
        {"bursts of loss", RATE, 50, 0, 100, 2000, 85, 6},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            open_path(seed);
            ed_bottleneck_add(&path, &flows[0]);
            CHECK(rows[i].name, percent_of(&flows[0], 4000) > 80);
            CHECK_EQ(rows[i].name, path.overflow, 0);
            path.rate = rows[i].rate;
            path.delay_ns = MS(rows[i].delay_ms);
            path.loss_ppm = rows[i].loss_ppm;
            path.burst_ns = MS(rows[i].burst_ms);
            path.burst_every_ns = MS(2000);
            (void)percent_of(&flows[0], ed_max_u64(rows[i].after_ms, 1));
            CHECK(rows[i].name, percent_of(&flows[0], 12 * 1000) >= rows[i].least);
            CHECK(rows[i].name, queue_mean_ms() <= rows[i].queue_ms);
            CHECK(rows[i].name, path.overflow * 50 <= path.queue_count);
        }
}

/** Datagrams that have grown pass the window by more; a dip ends even so. */
static void test_large_packets(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_path(seed);
        path.rate = RATE / 8 + seed * 30011;
        flows[0].packet_size = EDDY_DATAGRAM_SIZE_MAX;
        ed_bottleneck_add(&path, &flows[0]);
        ed_bottleneck_run(&path, MS(4000));
        CHECK("all of it", percent_of(&flows[0], 30 * 1000) >= 95);
    }
}

/** A dip that empties nothing, as others' packets keep the window full, is given up. */
static void test_vain_dip(void **state)
{
    enum { LONG_MS = 2000 };
    ed_model *model = &flows[0].congestion.model;

    (void)state;
    open_path(1);
    ed_bottleneck_add(&path, &flows[0]);
    ed_bottleneck_run(&path, MS(4000));
    ed_model_begin_dip(model);
    uint32_t dipped = model->window, before = model->dip_window;
    for (uint64_t now_ns = path.now_ns; now_ns < path.now_ns + MS(LONG_MS); now_ns += MS(1)) {
        ed_congestion_ack ack = {.sent_ns = now_ns - MS(DELAY_MS),
                                 .size = ED_FLOW_PACKET_SIZE,
                                 .in_flight_before = 2 * (uint64_t)before};
        flows[0].ops->on_acked(&flows[0].congestion, &ack, &flows[0].rtt, now_ns);
    }
    CHECK("not for ever", model->mode == ED_MODEL_CRUISE);
    CHECK("all is as it was", dipped < before && model->window >= before);
}

/** Where there is no room for a queue, loss is all that tells; it is heeded. */
static void test_no_queue(void **state)
{
    static const struct {
        const char *name;
        uint64_t queue_size;
    } rows[] = {
        {"two packets", 2 * ED_FLOW_PACKET_SIZE},
        {"four packets", 4 * ED_FLOW_PACKET_SIZE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            open_path(seed);
            path.queue_size = rows[i].queue_size;
            ed_bottleneck_add(&path, &flows[0]);
            ed_bottleneck_run(&path, MS(4000));
            CHECK(rows[i].name, percent_of(&flows[0], 12 * 1000) >= 70);
            CHECK(rows[i].name, path.overflow * 4 <= path.queue_count);
        }
}

/** A game's traffic, and bulk under a cap, fill no queue; nor does the path that they see grow. */
static void test_little(void **state)
{
    static const struct {
        const char *name;
        uint64_t tick_ms;
        uint32_t tick_size;
        uint64_t rate_max;
        uint64_t delay_ms; /* after 2 s */
        uint64_t least;    /* percent of what is offered */
    } rows[] = {
        {"a game", 16, 200, 0, 50, 99},
        {"a game, and the path becomes longer", 16, 200, 0, 500, 99},
        {"states of 16 KB", 50, 16 * 1000, 0, 50, 99},
        {"states of 16 KB, and the path becomes longer", 50, 16 * 1000, 0, 200, 97},
        {"a cap", 0, 0, 200 * 1000, 50, 99},
        {"a cap, and the path becomes longer", 0, 0, 200 * 1000, 200, 97},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            open_path(seed);
            flows[0].tick_ns = MS(rows[i].tick_ms);
            flows[0].tick_size = rows[i].tick_size;
            flows[0].rate_max = rows[i].rate_max;
            ed_bottleneck_add(&path, &flows[0]);
            ed_bottleneck_run(&path, MS(2000));
            path.delay_ns = MS(rows[i].delay_ms);
            ed_bottleneck_run(&path, MS(6000));
            uint64_t before = flows[0].acked;
            (void)percent_of(&flows[0], 10 * 1000);
            uint64_t offered = rows[i].rate_max * 10;
            if (rows[i].tick_ms != 0)
                offered = rows[i].tick_size * UINT64_C(10000) / rows[i].tick_ms;
            CHECK(rows[i].name, (flows[0].acked - before) * PERCENT >= offered * rows[i].least);
            CHECK(rows[i].name, flows[0].in_flight <= offered / 10 * 4 * path.delay_ns / MS(1000) +
                                                          10 * ED_FLOW_PACKET_SIZE);
            CHECK_EQ(rows[i].name, path.overflow, 0);
        }
}

/** Two flows have the same, whoever came first and however far each has to go. */
static void test_share(void **state)
{
    static const struct {
        const char *name;
        uint64_t late_ms;  /* the second one comes so much later */
        uint64_t delay_ms; /* of its way, more than the first one's */
        uint32_t loss_ppm;
        uint64_t settle_ms; /* after it came */
        uint64_t within;    /* percent of the path, from the half of it */
    } rows[] = {
        {"together", 0, 0, 0, 5000, 5},
        {"one comes later", 5000, 0, 0, 5000, 5},
        {"one comes later, and some are lost", 5000, 0, 10 * 1000, 5000, 5},
        {"one has three times as far to go", 5000, 100, 0, 15 * 1000, 10},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            open_path(seed);
            path.loss_ppm = rows[i].loss_ppm;
            flows[1].begin_ns = MS(1 + rows[i].late_ms);
            flows[1].delay_ns = MS(rows[i].delay_ms);
            ed_bottleneck_add(&path, &flows[0]);
            ed_bottleneck_add(&path, &flows[1]);
            ed_bottleneck_run(&path, MS(rows[i].late_ms + rows[i].settle_ms));
            uint64_t before = flows[1].acked;
            uint64_t first = percent_of(&flows[0], 15 * 1000);
            uint64_t second = (flows[1].acked - before) * PERCENT / 15 / RATE;
            CHECK(rows[i].name, first >= 50 - rows[i].within - 1 && first <= 50 + rows[i].within);
            CHECK(rows[i].name, second >= 50 - rows[i].within - 1 && second <= 50 + rows[i].within);
            CHECK(rows[i].name, queue_mean_ms() <= 8);
        }
}

/** A flow that heeds nothing but loss neither starves it nor is starved. */
static void test_reno(void **state)
{
    static const uint64_t late_ms[] = {0, 5000};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(late_ms); i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            open_path(seed);
            flows[1].kind = EDDY_CONGESTION_NEW_RENO;
            flows[1].begin_ns = MS(1);
            flows[0].begin_ns += MS(late_ms[i]);
            ed_bottleneck_add(&path, &flows[0]);
            ed_bottleneck_add(&path, &flows[1]);
            ed_bottleneck_run(&path, MS(10 * 1000));
            uint64_t share = percent_of(&flows[0], 60 * 1000);
            CHECK("with NewReno", share >= 30 && share <= 80);
        }
}

/** Before anything is known the window is RFC 9002's; after a long silence from the path, anew. */
static void test_unknown(void **state)
{
    (void)state;
    open_path(1);
    ed_bottleneck_add(&path, &flows[0]);
    CHECK_EQ("at first", ed_model_ops.window(&flows[0].congestion),
             ed_congestion_initial_window(ED_FLOW_PACKET_SIZE));
    ed_bottleneck_run(&path, MS(4000));
    uint64_t before = ed_model_ops.window(&flows[0].congestion);
    ed_model_ops.on_persistent(&flows[0].congestion, path.now_ns);
    CHECK("less is sent", ed_model_ops.window(&flows[0].congestion) < before / 2);
    CHECK("and then as much", percent_of(&flows[0], 8000) > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_packets), cmocka_unit_test(test_vain_dip),
        cmocka_unit_test(test_change),        cmocka_unit_test(test_no_queue),
        cmocka_unit_test(test_little),        cmocka_unit_test(test_share),
        cmocka_unit_test(test_reno),          cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
