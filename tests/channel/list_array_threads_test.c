/** The same channels' tests with threads on both sides. */
#include "tests/channel/flavors.h"

enum { MANY = 20 * 1000 };

static void len(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel = open_numbers(f->capacity);
        end sender = {.channel = channel, .count = times(MANY, 50 * MANY)};
        crew c = {.count = 0};
        uint64_t number = 0;
        crew_start(&c, run_sender, &sender);
        for (uint64_t i = 0; receive_number(channel, &number) == EDDY_OK; i++) {
            size_t length = stats_of(channel).length;
            CHECK_EQ(f->name, number, i);
            CHECK(f->name, length <= (f->capacity > 0 ? f->capacity : sender.count - i));
        }
        crew_join(&c);
        CHECK_EQ(f->name, stats_of(channel).length, 0);
        eddy_channel_leave(channel, EDDY_RECEIVERS);
    }
}

/** Hangs if a side that closes leaves one of the other side asleep. */
static void disconnect_wakes_sender_and_receiver(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        for (int of_senders = 0; of_senders < 2; of_senders++) {
            eddy_channel *channel = open_numbers(f->capacity);
            end ends[2] = {{.channel = channel, .count = UINT64_MAX, .first = 1},
                           {.channel = channel, .count = UINT64_MAX, .first = 1}};
            crew c = {.count = 0};
            if (of_senders == 1 && f->capacity == 0)
                ends[0].count = ends[1].count = 1; // they would fill the memory
            for (size_t i = 0; i < 2; i++)
                (of_senders ? crew_send : crew_receive)(&c, &ends[i]);
            (void)poll(NULL, 0, 1); // most of them sleep by then; it passes if they do not
            eddy_channel_leave(channel, of_senders ? EDDY_RECEIVERS : EDDY_SENDERS);
            crew_join(&c);
            CHECK(f->name, ends[0].status == EDDY_ECLOSED || f->capacity == 0);
            eddy_channel_leave(channel, of_senders ? EDDY_SENDERS : EDDY_RECEIVERS);
        }
    }
}

/** spsc, and mpmc: each number comes once. */
static void carry(const char *name, size_t capacity, size_t senders, size_t receivers)
{
    eddy_channel *channel = open_numbers(capacity);
    uint64_t each = times(MANY, 50 * MANY) / senders;
    end from[4];
    end to[4];
    crew c = {.count = 0};
    uint64_t sum = 0;
    uint64_t got = 0;

    for (size_t i = 0; i < senders; i++) {
        from[i] = (end){.channel = channel, .first = i * each, .count = each};
        crew_send(&c, &from[i]);
    }
    for (size_t i = 0; i < receivers; i++) {
        to[i] = (end){.channel = channel, .count = UINT64_MAX};
        crew_receive(&c, &to[i]);
    }
    leave_both(channel);
    crew_join(&c);
    for (size_t i = 0; i < receivers; i++) {
        sum += to[i].sum;
        got += to[i].got;
        CHECK(name, senders > 1 || to[i].disorder == 0);
    }
    CHECK_EQ(name, got, each * senders);
    CHECK_EQ(name, sum, each * senders * (each * senders - 1) / 2);
}

static void spsc(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++)
        carry(f->name, f->capacity, 1, 1);
}

static void mpmc(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++)
        carry(f->name, f->capacity, 4, 4);
}

static void stress_oneshot(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(300, 10 * 1000); round++) {
        eddy_channel *channel = open_numbers(round % 2);
        end sender = {.channel = channel, .first = round, .count = 1};
        crew c = {.count = 0};
        uint64_t number = 0;
        crew_start(&c, run_sender, &sender);
        CHECK_EQ("it comes", receive_number(channel, &number), EDDY_OK);
        CHECK_EQ("it is that", number, round);
        eddy_channel_leave(channel, EDDY_RECEIVERS);
        crew_join(&c);
    }
}

/** Both sides give up after a microsecond, and try again. */
static void send_impatiently(void *context)
{
    end *e = context;

    while (e->got < e->count)
        if (send_until(e->channel, e->got, soon_ns(ED_NS_PER_US)) == EDDY_OK)
            e->got++;
    eddy_channel_leave(e->channel, EDDY_SENDERS);
}

static void stress_timeout_two_threads(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel = open_numbers(f->capacity);
        end sender = {.channel = channel, .count = times(2000, 100 * 1000)};
        crew c = {.count = 0};
        uint64_t number = 0;
        crew_start(&c, send_impatiently, &sender);
        for (uint64_t i = 0; i < sender.count;) {
            eddy_status status = receive_until(channel, &number, soon_ns(ED_NS_PER_US));
            if (status == EDDY_OK)
                CHECK_EQ(f->name, number, i++);
            else
                CHECK_EQ(f->name, status, EDDY_EAGAIN);
        }
        crew_join(&c);
        eddy_channel_leave(channel, EDDY_RECEIVERS);
    }
}

/** Counts what is dropped, each once. */
struct dropped {
    uint8_t seen[1000];
    uint64_t twice;
    uint64_t count;
};

static void count_drop(void *context, void *item)
{
    struct dropped *d = context;
    uint64_t number = *(uint64_t *)item;

    d->twice += d->seen[number] > 0;
    d->seen[number] = 1;
    d->count++;
}

/** drops, and drop_unreceived: an item is received or dropped, once, whenever receivers leave. */
static void drops(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(200, 10 * 1000); round++) {
        static struct dropped dropped;
        bool alone = round % 2 == 0;
        memset(&dropped, 0, sizeof(dropped));
        eddy_channel *channel =
            open_channel(&(eddy_channel_config){.one_sender = alone,
                                                .one_receiver = alone,
                                                .drop = count_drop,
                                                .drop_context = &dropped,
                                                .capacity = round % 3 == 0 ? 5 : 0});
        end sender = {.channel = channel, .count = ED_COUNT(dropped.seen)};
        end receiver = {.channel = channel, .count = round % 500};
        crew c = {.count = 0};
        crew_start(&c, run_sender, &sender);
        crew_start(&c, run_receiver, &receiver);
        crew_join(&c);
        CHECK_EQ("each once", receiver.got + dropped.count, sender.got);
        CHECK_EQ("none twice", dropped.twice, 0);
    }
}

/** Nobody waits for room for ever because others are faster. */
static void fairness(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(1);
    end from[4];
    crew c = {.count = 0};
    uint64_t number = 0;
    uint64_t got = 0;
    for (size_t i = 0; i < ED_COUNT(from); i++) {
        from[i] = (end){.channel = channel, .first = i * MANY, .count = MANY / 20};
        crew_send(&c, &from[i]);
    }
    eddy_channel_leave(channel, EDDY_SENDERS);
    while (receive_number(channel, &number) == EDDY_OK)
        got++;
    crew_join(&c);
    CHECK_EQ("all came to their end", got, ED_COUNT(from) * (MANY / 20));
    eddy_channel_leave(channel, EDDY_RECEIVERS);
}

/** eddy's own: a batch of room lets all in that wait for it. */
static void a_batch_of_room_wakes_all_that_fit(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(20, 1000); round++) {
        eddy_channel *channel = open_numbers(2);
        end from[2] = {{.channel = channel, .count = 1}, {.channel = channel, .count = 1}};
        uint64_t numbers[2] = {0};
        crew c = {.count = 0};
        size_t count = 0;
        CHECK_EQ("full", eddy_channel_send(channel, numbers, 2, 0), EDDY_OK);
        for (size_t i = 0; i < 2; i++)
            crew_send(&c, &from[i]);
        (void)poll(NULL, 0, 1); // both sleep by then; it passes if they do not
        CHECK_EQ("room", eddy_channel_receive(channel, numbers, 2, &count, 0), EDDY_OK);
        CHECK_EQ("two", count, 2);
        crew_join(&c);
        leave_both(channel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(len),
        cmocka_unit_test(disconnect_wakes_sender_and_receiver),
        cmocka_unit_test(spsc),
        cmocka_unit_test(mpmc),
        cmocka_unit_test(stress_oneshot),
        cmocka_unit_test(stress_timeout_two_threads),
        cmocka_unit_test(drops),
        cmocka_unit_test(fairness),
        cmocka_unit_test(a_batch_of_room_wakes_all_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
