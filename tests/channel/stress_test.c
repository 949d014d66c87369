/**
 * Many items over real threads: recorded histories that one thread could have made, each sender's
 * order, nothing lost or twice, and how few system calls wake somebody.
 */
#include "tests/channel/bed.h"

#include <sched.h>
#include <stdatomic.h>

#include "tests/channel/history.h"
#include "tests/support/splitmix.h"

enum {
    THREADS = 3,
    CALLS = 3, /* of each */
    SENDERS = 2,
    BATCH_MAX = 32,
    BURST = 1000,
};

/* ---------------------------------------------------------------------------------- histories --
 */

static struct recorder {
    eddy_channel *channel;
    uint64_t seed;
    _Atomic uint32_t thread; /* the next to begin */
    _Atomic uint64_t now;    /* moments, in one order for all */
    _Atomic uint32_t ready;
    history history;
} recorder;

static void do_random_call(call *c, uint64_t *random, uint32_t item)
{
    uint64_t draw = splitmix_next(random) % 8;

    c->kind = draw < 4 ? CALL_PUSH : draw < 7 ? CALL_PULL : CALL_CLOSE;
    c->count = 1 + splitmix_next(random) % 2;
    c->items[0] = item;
    c->items[1] = item + 1;
    c->status = EDDY_OK;
    c->began = ++recorder.now;
    if (c->kind == CALL_PUSH)
        c->status = eddy_channel_send(recorder.channel, c->items, c->count, 0);
    else if (c->kind == CALL_PULL)
        c->status = eddy_channel_receive(recorder.channel, c->items, c->count, &c->count, 0);
    else
        eddy_channel_close(recorder.channel);
    c->ended = ++recorder.now;
}

static void run_recorded(void *context)
{
    uint32_t thread = recorder.thread++;
    uint64_t random = recorder.seed + thread;

    (void)context;
    recorder.ready++;
    while (recorder.ready < THREADS) // so that their calls meet
        (void)sched_yield();
    for (uint32_t i = 0; i < CALLS; i++)
        do_random_call(&recorder.history.calls[thread * CALLS + i], &random,
                       2 * (thread * CALLS + i));
}

/** linearizable, of each flavor. */
static void linearizable(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(1000, 50 * 1000); round++) {
        crew c = {.count = 0};
        size_t capacity = round % 3 == 0 ? 0 : round % 3 + 1;
        memset(&recorder, 0, sizeof(recorder));
        recorder.seed = round * THREADS;
        recorder.history = (history){.capacity = capacity, .count = THREADS * CALLS};
        recorder.channel = open_channel(
            &(eddy_channel_config){.item_size = sizeof(uint32_t), .capacity = capacity});
        for (size_t i = 0; i < THREADS; i++)
            crew_start(&c, run_recorded, NULL);
        crew_join(&c);
        if (!history_is_linear(&recorder.history))
            history_print(&recorder.history);
        CHECK("linear", history_is_linear(&recorder.history));
        leave_both(recorder.channel);
    }
}

/** The checker itself refuses what no channel may do. */
static void the_checker_refuses(void **state)
{
    static const struct {
        const char *name;
        history history;
        bool want;
    } rows[] = {
        {"in order",
         {.count = 2,
          .calls = {{CALL_PUSH, EDDY_OK, 1, {1}, 1, 2}, {CALL_PULL, EDDY_OK, 1, {1}, 3, 4}}},
         true},
        {"another item",
         {.count = 2,
          .calls = {{CALL_PUSH, EDDY_OK, 1, {1}, 1, 2}, {CALL_PULL, EDDY_OK, 1, {2}, 3, 4}}},
         false},
        {"before it was pushed",
         {.count = 2,
          .calls = {{CALL_PUSH, EDDY_OK, 1, {1}, 3, 4}, {CALL_PULL, EDDY_OK, 1, {1}, 1, 2}}},
         false},
        {"at the same time",
         {.count = 2,
          .calls = {{CALL_PUSH, EDDY_OK, 1, {1}, 2, 4}, {CALL_PULL, EDDY_OK, 1, {1}, 1, 3}}},
         true},
        {"nothing, though it was there",
         {.count = 2,
          .calls = {{CALL_PUSH, EDDY_OK, 1, {1}, 1, 2}, {CALL_PULL, EDDY_EAGAIN, 0, {0}, 3, 4}}},
         false},
        {"a push after a close",
         {.count = 2,
          .calls = {{CALL_CLOSE, EDDY_OK, 0, {0}, 1, 2}, {CALL_PUSH, EDDY_OK, 1, {1}, 3, 4}}},
         false},
        {"two in one's room",
         {.count = 1, .capacity = 1, .calls = {{CALL_PUSH, EDDY_OK, 2, {1, 2}, 1, 2}}},
         false},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, history_is_linear(&rows[i].history), rows[i].want);
}

/* ---------------------------------------------------------------------------------- many items --
 */

struct load {
    eddy_channel *channel;
    uint64_t each; /* items of each sender */
    _Atomic uint32_t sender;
    _Atomic uint64_t got;
    _Atomic uint64_t disorder;
    _Atomic uint64_t receives;
};

/** Items are a sender's number and, above it, the sender. */
static void run_loader(void *context)
{
    struct load *load = context;
    uint64_t sender = load->sender++;
    uint64_t random = sender;
    uint64_t items[BATCH_MAX];

    for (uint64_t sent = 0; sent < load->each;) {
        size_t count =
            (size_t)ed_min_u64(1 + splitmix_next(&random) % BATCH_MAX, load->each - sent);
        for (size_t i = 0; i < count; i++)
            items[i] = sender << 48 | (sent + i + 1);
        if (eddy_channel_send(load->channel, items, count, EDDY_NO_DEADLINE) != EDDY_OK)
            break;
        sent += count;
    }
    eddy_channel_leave(load->channel, EDDY_SENDERS);
}

static void run_unloader(void *context)
{
    struct load *load = context;
    uint64_t last[SENDERS] = {0};
    uint64_t items[BURST];
    size_t count = 0;

    while (eddy_channel_receive(load->channel, items, BURST, &count, EDDY_NO_DEADLINE) == EDDY_OK) {
        for (size_t i = 0; i < count; i++) {
            uint64_t number = items[i] & (UINT64_MAX >> 16);
            load->disorder += number <= last[items[i] >> 48];
            last[items[i] >> 48] = number;
        }
        load->got += count;
        load->receives++;
    }
    eddy_channel_leave(load->channel, EDDY_RECEIVERS);
}

/** In thousands of items, of all rows together: 10^8 with EDDY_FULL. */
static uint64_t thousands(void)
{
    uint64_t quick = ed_seeds_slow_build() ? 100 : 2000;

    return is_full() ? 100 * 1000 : quick;
}

static void many_items(void **state)
{
    static const struct {
        const char *name;
        size_t capacity;
        size_t senders;
        size_t receivers;
        bool alone;
    } rows[] = {
        {"one to one", 0, 1, 1, false},
        {"one to one, without locks", 0, 1, 1, true},
        {"two to one", 0, 2, 1, false},
        {"two to two", 0, 2, 2, false},
        {"two to two, with room for 64", 64, 2, 2, false},
    };
    static struct load load;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        crew c = {.count = 0};
        load = (struct load){.each = thousands() * 1000 / ED_COUNT(rows) / rows[i].senders};
        load.channel = open_channel(&(eddy_channel_config){.capacity = rows[i].capacity,
                                                           .one_sender = rows[i].alone,
                                                           .one_receiver = rows[i].alone});
        for (size_t k = 0; k < rows[i].senders; k++) {
            eddy_channel_share(load.channel, EDDY_SENDERS);
            crew_start(&c, run_loader, &load);
        }
        for (size_t k = 0; k < rows[i].receivers; k++) {
            eddy_channel_share(load.channel, EDDY_RECEIVERS);
            crew_start(&c, run_unloader, &load);
        }
        eddy_channel_leave(load.channel, EDDY_SENDERS);
        crew_join(&c);
        uint64_t wakes = stats_of(load.channel).wakes;
        eddy_channel_leave(load.channel, EDDY_RECEIVERS);
        printf("%-30s %9llu items, %7llu receives, %6llu wakes\n", rows[i].name,
               (unsigned long long)load.got, (unsigned long long)load.receives,
               (unsigned long long)wakes);
        CHECK_EQ(rows[i].name, load.got, load.each * rows[i].senders);
        CHECK_EQ(rows[i].name, load.disorder, 0);
        // Who sleeps is woken once, and then finds something: never a wake for each item.
        CHECK(rows[i].name, rows[i].receivers > 1 || wakes <= load.receives + 1);
    }
}

/** However much comes: a wake for who polls, and none before it looked and found nothing. */
static void one_wake_for_a_burst(void **state)
{
    eddy_channel *channel = open_numbers(0);
    uint64_t items[BURST];
    size_t count = 0;

    (void)state;
    for (uint64_t i = 0; i < BURST; i++)
        CHECK_EQ("send", send_number(channel, i), EDDY_OK);
    CHECK_EQ("nobody asked for the descriptor", stats_of(channel).wakes, 0);
    CHECK("descriptor", eddy_channel_fd(channel) >= 0);
    for (uint64_t round = 1; round < 10; round++) {
        for (uint64_t i = 0; i < BURST; i++)
            CHECK_EQ("send", send_number(channel, i), EDDY_OK);
        CHECK_EQ("one for each burst", stats_of(channel).wakes, round);
        while (eddy_channel_receive(channel, items, BURST, &count, 0) == EDDY_OK)
            continue;
    }
    for (uint64_t i = 0; i < BURST; i++) { // never empty: never a call
        CHECK_EQ("send", send_number(channel, i), EDDY_OK);
        CHECK_EQ("send", send_number(channel, i), EDDY_OK);
        CHECK_EQ("receive", try_receive(channel, items), EDDY_OK);
    }
    CHECK_EQ("the first", stats_of(channel).wakes, 10);
    leave_both(channel);
}

/** What one call sends wakes one that sleeps once, if it does sleep. */
static void one_wake_for_a_call(void **state)
{
    static struct load load;
    uint64_t items[BURST] = {0};
    crew c = {.count = 0};

    (void)state;
    load = (struct load){.channel = open_numbers(0)};
    crew_start(&c, run_unloader, &load);
    for (uint64_t round = 1; round <= 50; round++) {
        CHECK_EQ("send", eddy_channel_send(load.channel, items, BURST, 0), EDDY_OK);
        CHECK("wakes", stats_of(load.channel).wakes <= round);
        (void)poll(NULL, 0, round % 2); // it sleeps by then, or not: it holds for both
    }
    eddy_channel_leave(load.channel, EDDY_SENDERS);
    crew_join(&c);
    CHECK_EQ("all", load.got, 50 * BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_refuses), cmocka_unit_test(linearizable),
        cmocka_unit_test(many_items),          cmocka_unit_test(one_wake_for_a_burst),
        cmocka_unit_test(one_wake_for_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
