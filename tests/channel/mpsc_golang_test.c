/** Tests of std's mpsc and of Go's channels that crossbeam keeps, by the same names. */
#include "tests/channel/bed.h"

enum {
    MANY = 10 * 1000,
};

/* -------------------------------------------------------------------------------------- mpsc -- */

static void smoke_shared(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    uint64_t number = 0;
    for (int round = 0; round < 2; round++) {
        CHECK_EQ("send", send_number(channel, 1), EDDY_OK);
        CHECK_EQ("receive", receive_number(channel, &number), EDDY_OK);
        eddy_channel_share(channel, EDDY_SENDERS);
    }
    eddy_channel_leave(channel, EDDY_SENDERS);
    eddy_channel_leave(channel, EDDY_SENDERS);
    CHECK_EQ("one is left", send_number(channel, 1), EDDY_OK);
    leave_both(channel);
}

static void smoke_port_and_chan_gone(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    eddy_channel_share(channel, EDDY_SENDERS);
    eddy_channel_leave(channel, EDDY_RECEIVERS);
    CHECK_EQ("port gone", send_number(channel, 1), EDDY_ECLOSED);
    eddy_channel_leave(channel, EDDY_SENDERS);
    CHECK_EQ("port gone, shared", send_number(channel, 1), EDDY_ECLOSED);
    eddy_channel_leave(channel, EDDY_SENDERS);
}

/** port_gone_concurrent: senders go on until the receiver has left. */
static void port_gone_concurrent(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(50, 2000); round++) {
        eddy_channel *channel = open_numbers(0);
        end from[2] = {{.channel = channel, .count = UINT64_MAX},
                       {.channel = channel, .count = UINT64_MAX}};
        crew c = {.count = 0};
        uint64_t number = 0;
        for (size_t i = 0; i < 2; i++)
            crew_send(&c, &from[i]);
        CHECK_EQ("one", receive_number(channel, &number), EDDY_OK);
        leave_both(channel);
        crew_join(&c);
        CHECK_EQ("told", from[0].status, EDDY_ECLOSED);
        CHECK_EQ("told", from[1].status, EDDY_ECLOSED);
    }
}

/** oneshot_multi_thread_close_stress and its kind: both sides leave at once. */
static void oneshot_close_races(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(300, 10 * 1000); round++) {
        ed_counting_alloc memory;
        ed_counting_alloc_init(&memory, NULL);
        eddy_channel *channel = open_channel(
            &(eddy_channel_config){.allocator = &memory.allocator, .one_sender = round % 2 == 0});
        end sender = {.channel = channel, .count = round % 3};
        end receiver = {.channel = channel, .count = round % 2};
        crew c = {.count = 0};
        crew_start(&c, run_sender, &sender);
        crew_start(&c, run_receiver, &receiver);
        crew_join(&c);
        CHECK_EQ("live", memory.live_count, 0);
    }
}

static void recv_a_lot(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    uint64_t number = 0;
    for (uint64_t i = 0; i < MANY; i++)
        CHECK_EQ("send", send_number(channel, i), EDDY_OK);
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK_EQ("receive", try_receive(channel, &number), EDDY_OK);
        CHECK_EQ("in order", number, i);
    }
    leave_both(channel);
}

/** shared_recv_timeout and stress_recv_timeout_shared: none of many senders' items is missed. */
static void stress_recv_timeout_shared(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    end from[8];
    crew c = {.count = 0};
    uint64_t got = 0;
    uint64_t number = 0;
    eddy_status status = EDDY_OK;
    for (size_t i = 0; i < ED_COUNT(from); i++) {
        from[i] = (end){.channel = channel, .count = times(100, 1000)};
        crew_send(&c, &from[i]);
    }
    eddy_channel_leave(channel, EDDY_SENDERS);
    while (status != EDDY_ECLOSED) {
        status = receive_until(channel, &number, soon_ns(10 * ED_NS_PER_US));
        got += status == EDDY_OK;
    }
    crew_join(&c);
    CHECK_EQ("all", got, ED_COUNT(from) * from[0].count);
    eddy_channel_leave(channel, EDDY_RECEIVERS);
}

static void try_recv_states(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    uint64_t number = 0;
    CHECK_EQ("empty", try_receive(channel, &number), EDDY_EAGAIN);
    CHECK_EQ("send", send_number(channel, 1), EDDY_OK);
    CHECK_EQ("there", try_receive(channel, &number), EDDY_OK);
    CHECK_EQ("empty again", try_receive(channel, &number), EDDY_EAGAIN);
    eddy_channel_leave(channel, EDDY_SENDERS);
    CHECK_EQ("closed", try_receive(channel, &number), EDDY_ECLOSED);
    eddy_channel_leave(channel, EDDY_RECEIVERS);
}

/** issue_32114: what a sender does after the receivers left stays refused. */
static void issue_32114(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    CHECK_EQ("send", send_number(channel, 1), EDDY_OK);
    eddy_channel_leave(channel, EDDY_RECEIVERS);
    for (int i = 0; i < 2; i++)
        CHECK_EQ("refused", send_number(channel, 1), EDDY_ECLOSED);
    eddy_channel_leave(channel, EDDY_SENDERS);
}

/* -------------------------------------------------------------------------------------- golang --
 */

struct link {
    eddy_channel *in;
    eddy_channel *out;
    uint64_t prime;
};

/** fifo: each waits for the one before it, and then lets the next go. */
static void pass_on(void *context)
{
    struct link *link = context;
    uint64_t number = 0;

    if (receive_number(link->in, &number) == EDDY_OK)
        (void)!send_number(link->out, number + 1);
    eddy_channel_leave(link->in, EDDY_RECEIVERS);
    eddy_channel_leave(link->out, EDDY_SENDERS);
}

static void fifo(void **state)
{
    enum { LINKS = 10 };
    eddy_channel *channels[LINKS + 1];
    struct link links[LINKS];
    crew c = {.count = 0};
    uint64_t number = 0;

    (void)state;
    for (size_t i = 0; i <= LINKS; i++)
        channels[i] = open_numbers(i % 2);
    for (size_t i = 0; i < LINKS; i++) {
        links[i] = (struct link){.in = channels[i], .out = channels[i + 1]};
        crew_start(&c, pass_on, &links[i]);
    }
    CHECK_EQ("start", send_number(channels[0], 0), EDDY_OK);
    CHECK_EQ("end", receive_number(channels[LINKS], &number), EDDY_OK);
    CHECK_EQ("through all", number, LINKS);
    crew_join(&c);
    eddy_channel_leave(channels[0], EDDY_SENDERS);
    eddy_channel_leave(channels[LINKS], EDDY_RECEIVERS);
}

/** sieve: a chain of threads, each of which holds back the multiples of a prime. */
static void run_filter(void *context)
{
    struct link *link = context;
    uint64_t number = 0;

    while (receive_number(link->in, &number) == EDDY_OK)
        if (number % link->prime != 0 && send_number(link->out, number) != EDDY_OK)
            break;
    eddy_channel_leave(link->in, EDDY_RECEIVERS);
    eddy_channel_leave(link->out, EDDY_SENDERS);
}

static void sieve(void **state)
{
    enum { FILTERS = 10 };
    static const uint64_t primes[FILTERS] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29};
    struct link links[FILTERS];
    crew c = {.count = 0};

    (void)state;
    eddy_channel *in = open_numbers(1);
    end source = {.channel = in, .first = 2, .count = UINT64_MAX};
    crew_start(&c, run_sender, &source);
    for (size_t i = 0; i < FILTERS; i++) {
        uint64_t prime = 0;
        CHECK_EQ("next", receive_number(in, &prime), EDDY_OK);
        CHECK_EQ("prime", prime, primes[i]);
        links[i] = (struct link){.in = in, .out = open_numbers(1), .prime = prime};
        in = links[i].out;
        crew_start(&c, run_filter, &links[i]);
    }
    eddy_channel_leave(in, EDDY_RECEIVERS); // and the end goes up the chain
    crew_join(&c);
}

/** nonblock_recv_race: a try beside a close says one of what it may. */
static void nonblock_recv_race(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(500, 20 * 1000); round++) {
        eddy_channel *channel = open_numbers(1);
        end sender = {.channel = channel, .first = 1, .count = 1};
        crew c = {.count = 0};
        uint64_t number = 0;
        eddy_status status = EDDY_EAGAIN;
        crew_start(&c, run_sender, &sender);
        while (status == EDDY_EAGAIN)
            status = try_receive(channel, &number);
        CHECK_EQ("the item, not the end", status, EDDY_OK);
        crew_join(&c);
        eddy_channel_leave(channel, EDDY_RECEIVERS);
    }
}

/** multi_consumer: pseudo-random work over some threads adds up. */
static void multi_consumer(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(0);
    end to[8];
    crew c = {.count = 0};
    uint64_t want = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < ED_COUNT(to); i++) {
        to[i] = (end){.channel = channel, .count = UINT64_MAX};
        crew_receive(&c, &to[i]);
    }
    eddy_channel_leave(channel, EDDY_RECEIVERS);
    for (uint64_t i = 0; i < times(MANY, 50 * MANY); i++) {
        CHECK_EQ("send", send_number(channel, i * 7 % 101), EDDY_OK);
        want += i * 7 % 101;
    }
    eddy_channel_leave(channel, EDDY_SENDERS);
    crew_join(&c);
    for (size_t i = 0; i < ED_COUNT(to); i++)
        sum += to[i].sum;
    CHECK_EQ("sum", sum, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoke_shared),
        cmocka_unit_test(smoke_port_and_chan_gone),
        cmocka_unit_test(port_gone_concurrent),
        cmocka_unit_test(oneshot_close_races),
        cmocka_unit_test(recv_a_lot),
        cmocka_unit_test(stress_recv_timeout_shared),
        cmocka_unit_test(try_recv_states),
        cmocka_unit_test(issue_32114),
        cmocka_unit_test(fifo),
        cmocka_unit_test(sieve),
        cmocka_unit_test(nonblock_recv_race),
        cmocka_unit_test(multi_consumer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
