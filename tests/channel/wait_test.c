/** crossbeam's tests of select and ready, by the same names, of eddy_channel_wait and receive. */
#include "tests/channel/bed.h"

#include <stdatomic.h>

enum {
    PAIR = 2,
    MANY = 5000,
};

static void open_pair(eddy_channel *channels[PAIR])
{
    for (size_t i = 0; i < PAIR; i++)
        channels[i] = open_numbers(0);
}

static void leave_pair(eddy_channel *channels[PAIR])
{
    for (size_t i = 0; i < PAIR; i++)
        leave_both(channels[i]);
}

/** Waits, and receives: what a select does. */
static eddy_status select_until(eddy_channel *const *channels, size_t count, size_t first,
                                uint64_t deadline_ns, size_t *ready, uint64_t *number)
{
    eddy_status status = EDDY_EAGAIN;

    while (status == EDDY_EAGAIN) {
        status = eddy_channel_wait(channels, count, first, deadline_ns, ready);
        if (status != EDDY_OK)
            return status;
        status = try_receive(channels[*ready], number);
    }
    return status;
}

static void smoke1_and_smoke2(void **state)
{
    eddy_channel *channels[5];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(channels); i++)
        channels[i] = open_numbers(0);
    for (size_t i = 0; i < ED_COUNT(channels); i++) {
        size_t ready = 0;
        uint64_t number = 0;
        CHECK_EQ("send", send_number(channels[i], i + 1), EDDY_OK);
        CHECK_EQ("select", select_until(channels, ED_COUNT(channels), 0, 0, &ready, &number),
                 EDDY_OK);
        CHECK_EQ("which", ready, i);
        CHECK_EQ("what", number, i + 1);
    }
    for (size_t i = 0; i < ED_COUNT(channels); i++)
        leave_both(channels[i]);
}

static void disconnected_and_default_when_disconnected(void **state)
{
    eddy_channel *channels[PAIR];
    size_t ready = 7;
    uint64_t number = 0;

    (void)state;
    open_pair(channels);
    eddy_channel_leave(channels[1], EDDY_SENDERS);
    CHECK_EQ("closed is ready", eddy_channel_wait(channels, PAIR, 0, 0, &ready), EDDY_OK);
    CHECK_EQ("that one", ready, 1);
    CHECK_EQ("closed", try_receive(channels[1], &number), EDDY_ECLOSED);
    CHECK_EQ("an item goes first", send_number(channels[0], 1), EDDY_OK);
    CHECK_EQ("wait", eddy_channel_wait(channels, PAIR, 0, 0, &ready), EDDY_OK);
    CHECK_EQ("biased", ready, 0);
    eddy_channel_leave(channels[1], EDDY_RECEIVERS);
    leave_both(channels[0]);
}

static void default_and_timeout(void **state)
{
    static const uint64_t waits_ns[] = {0, 1, ED_NS_PER_MS, 3 * ED_NS_PER_MS};
    eddy_channel *channels[PAIR];

    (void)state;
    open_pair(channels);
    for (size_t i = 0; i < ED_COUNT(waits_ns); i++) {
        size_t ready = 7;
        uint64_t deadline_ns = waits_ns[i] == 0 ? 0 : soon_ns(waits_ns[i]);
        CHECK_EQ("nothing", eddy_channel_wait(channels, PAIR, 0, deadline_ns, &ready), EDDY_EAGAIN);
        CHECK("not early", ed_clock_now_ns() >= deadline_ns);
        CHECK_EQ("untouched", ready, 7);
    }
    leave_pair(channels);
}

static void default_only(void **state)
{
    eddy_channel *channels[EDDY_CHANNEL_WAIT_MAX + 1];
    eddy_channel *one = open_numbers(0);
    size_t ready = 0;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(channels); i++)
        channels[i] = one;
    CHECK_EQ("none", eddy_channel_wait(channels, 0, 0, EDDY_NO_DEADLINE, &ready), EDDY_EINVAL);
    CHECK_EQ("too many", eddy_channel_wait(channels, ED_COUNT(channels), 0, 0, &ready),
             EDDY_EINVAL);
    CHECK_EQ("send", send_number(one, 1), EDDY_OK);
    CHECK_EQ("as many as may be, the same", // duplicate_operations
             eddy_channel_wait(channels, EDDY_CHANNEL_WAIT_MAX, 0, 0, &ready), EDDY_OK);
    leave_both(one);
}

/** unblocks: by an item, and by a close. */
static void unblocks(void **state)
{
    (void)state;
    for (size_t round = 0; round < 4; round++) {
        eddy_channel *channels[PAIR];
        size_t ready = 7;
        uint64_t number = 0;
        crew c = {.count = 0};
        open_pair(channels);
        end sender = {.channel = channels[round % 2], .first = 9, .count = round / 2};
        crew_start(&c, run_late_sender, &sender);
        eddy_status want = round / 2 == 1 ? EDDY_OK : EDDY_ECLOSED;
        CHECK_EQ("woken", select_until(channels, PAIR, 0, EDDY_NO_DEADLINE, &ready, &number), want);
        CHECK_EQ("by that", ready, round % 2);
        crew_join(&c);
        eddy_channel_leave(channels[round % 2], EDDY_RECEIVERS);
        leave_both(channels[1 - round % 2]);
    }
}

/** both_ready, fairness1 and select_fairness: each has its turn. */
static void fairness(void **state)
{
    eddy_channel *channels[PAIR];
    size_t ready = 0;
    uint64_t number = 0;
    size_t taken[PAIR] = {0};

    (void)state;
    open_pair(channels);
    for (uint64_t i = 0; i < MANY; i++)
        for (size_t k = 0; k < PAIR; k++)
            CHECK_EQ("send", send_number(channels[k], i), EDDY_OK);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQ("select", select_until(channels, PAIR, ready + 1, 0, &ready, &number), EDDY_OK);
        taken[ready]++;
    }
    CHECK_EQ("half", taken[0], MANY / 2);
    CHECK_EQ("half", taken[1], MANY / 2);
    for (size_t i = MANY / 2; i < MANY; i++) {
        CHECK_EQ("biased", select_until(channels, PAIR, 0, 0, &ready, &number), EDDY_OK);
        CHECK_EQ("the first", ready, 0);
    }
    leave_pair(channels);
}

/** preflight: what is there before anybody waits, and after a pull emptied the descriptor. */
static void preflight(void **state)
{
    eddy_channel *channels[PAIR];
    size_t ready = 7;
    uint64_t number = 0;

    (void)state;
    open_pair(channels);
    for (size_t round = 0; round < 3; round++) {
        CHECK_EQ("nothing", eddy_channel_wait(channels, PAIR, 0, soon_ns(1), &ready), EDDY_EAGAIN);
        CHECK_EQ("send", send_number(channels[round % 2], round), EDDY_OK);
        CHECK_EQ("it is there", eddy_channel_wait(channels, PAIR, 0, EDDY_NO_DEADLINE, &ready),
                 EDDY_OK);
        CHECK_EQ("that", ready, round % 2);
        CHECK_EQ("take", try_receive(channels[ready], &number), EDDY_OK);
    }
    leave_pair(channels);
}

/** Many who select from two channels: nothing is lost, whoever is woken for what (flume's #135). */
struct selectors {
    eddy_channel *channels[PAIR];
    _Atomic uint64_t got;
    _Atomic uint64_t sum;
};

static void run_selector(void *context)
{
    struct selectors *s = context;
    bool open[PAIR] = {true, true};
    size_t ready = 0;
    uint64_t number = 0;

    while (open[0] || open[1]) {
        size_t from = open[0] ? 0 : 1; // a closed one would be ready for ever
        size_t count = open[0] && open[1] ? PAIR : 1;
        eddy_status status =
            select_until(s->channels + from, count, ready + 1, EDDY_NO_DEADLINE, &ready, &number);
        if (status == EDDY_ECLOSED)
            open[from + ready] = false;
        s->got += status == EDDY_OK;
        s->sum += status == EDDY_OK ? number : 0;
    }
    for (size_t i = 0; i < PAIR; i++)
        eddy_channel_leave(s->channels[i], EDDY_RECEIVERS);
}

static void stress_mixed_and_matching(void **state)
{
    static struct selectors s;
    uint64_t each = times(MANY, 100 * MANY);
    end from[2 * PAIR];
    crew c = {.count = 0};

    (void)state;
    s = (struct selectors){.got = 0};
    open_pair(s.channels);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < PAIR; k++)
            eddy_channel_share(s.channels[k], EDDY_RECEIVERS);
        crew_start(&c, run_selector, &s);
    }
    for (size_t i = 0; i < ED_COUNT(from); i++) {
        from[i] = (end){.channel = s.channels[i % PAIR], .first = i * each, .count = each};
        crew_send(&c, &from[i]);
    }
    leave_pair(s.channels);
    crew_join(&c);
    uint64_t all = each * ED_COUNT(from);
    CHECK_EQ("all", s.got, all);
    CHECK_EQ("each", s.sum, all * (all - 1) / 2);
}

/** stress_timeout_two_threads: a wait that ends as an item comes loses nothing. */
static void stress_timeout_two_threads(void **state)
{
    eddy_channel *channels[PAIR];
    crew c = {.count = 0};
    uint64_t next = 0;

    (void)state;
    open_pair(channels);
    end sender = {.channel = channels[1], .count = times(MANY, 20 * MANY)};
    crew_send(&c, &sender);
    while (next < sender.count) {
        size_t ready = 0;
        uint64_t number = 0;
        uint64_t deadline_ns = soon_ns(ED_NS_PER_US);
        eddy_status status = select_until(channels, PAIR, 0, deadline_ns, &ready, &number);
        if (status == EDDY_OK)
            CHECK_EQ("in order", number, next++);
        else
            CHECK_EQ("late", status, EDDY_EAGAIN);
    }
    crew_join(&c);
    leave_pair(channels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoke1_and_smoke2),
        cmocka_unit_test(disconnected_and_default_when_disconnected),
        cmocka_unit_test(default_and_timeout),
        cmocka_unit_test(default_only),
        cmocka_unit_test(unblocks),
        cmocka_unit_test(fairness),
        cmocka_unit_test(preflight),
        cmocka_unit_test(stress_mixed_and_matching),
        cmocka_unit_test(stress_timeout_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
