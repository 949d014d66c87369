/** crossbeam's tests of its list (unbounded) and array (bounded) channels, by the same names. */
#include "tests/channel/flavors.h"

enum { LARGE_SIZE = 256 * 1024 }; /* an item that no stack should hold many of */

static void smoke(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel = open_numbers(f->capacity);
        uint64_t number = 0;
        CHECK_EQ(f->name, try_send(channel, 7), EDDY_OK);
        CHECK_EQ(f->name, try_receive(channel, &number), EDDY_OK);
        CHECK_EQ(f->name, number, 7);
        CHECK_EQ(f->name, send_number(channel, 8), EDDY_OK);
        CHECK_EQ(f->name, receive_number(channel, &number), EDDY_OK);
        CHECK_EQ(f->name, number, 8);
        CHECK_EQ(f->name, try_receive(channel, &number), EDDY_EAGAIN);
        CHECK_EQ(f->name, receive_until(channel, &number, soon_ns(ED_NS_PER_MS)), EDDY_EAGAIN);
        leave_both(channel);
    }
}

static void capacity(void **state)
{
    (void)state;
    for (size_t most = 1; most < 10; most++) {
        eddy_channel *channel = open_numbers(most);
        uint64_t numbers[10] = {0};
        for (size_t i = 0; i < most; i++)
            CHECK_EQ("fits", try_send(channel, i), EDDY_OK);
        CHECK_EQ("full", try_send(channel, 9), EDDY_EAGAIN);
        CHECK_EQ("never fits", eddy_channel_send(channel, numbers, most + 1, EDDY_NO_DEADLINE),
                 EDDY_ETOOBIG);
        CHECK_EQ("length", stats_of(channel).length, most);
        leave_both(channel);
    }
}

static void len_empty_full(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(2);
    uint64_t number = 0;
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ("length", stats_of(channel).length, i);
        CHECK_EQ("bytes", stats_of(channel).size, i * sizeof(uint64_t));
        CHECK_EQ("send", try_send(channel, i), i < 2 ? EDDY_OK : EDDY_EAGAIN);
    }
    CHECK_EQ("receive", try_receive(channel, &number), EDDY_OK);
    CHECK_EQ("one is left", stats_of(channel).length, 1);
    CHECK_EQ("high water", stats_of(channel).length_max, 2);
    leave_both(channel);
}

static void try_recv_recv_and_recv_timeout(void **state)
{
    static const uint64_t waits_ns[] = {0, EDDY_NO_DEADLINE, EDDY_NO_DEADLINE - 1};

    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        for (size_t i = 0; i < ED_COUNT(waits_ns); i++) {
            eddy_channel *channel = open_numbers(f->capacity);
            end sender = {.channel = channel, .first = 7, .count = 1};
            crew c = {.count = 0};
            uint64_t number = 0;
            eddy_status status = EDDY_EAGAIN;
            crew_start(&c, run_late_sender, &sender);
            while (status == EDDY_EAGAIN) // only the first, which does not wait, goes round
                status = receive_until(channel, &number, waits_ns[i]);
            CHECK_EQ(f->name, number, 7);
            CHECK_EQ(f->name, receive_until(channel, &number, EDDY_NO_DEADLINE), EDDY_ECLOSED);
            crew_join(&c);
            eddy_channel_leave(channel, EDDY_RECEIVERS);
        }
    }
}

static void recv_timeout_nonempty_expired(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel = open_numbers(f->capacity);
        uint64_t number = 0;
        CHECK_EQ(f->name, send_number(channel, 42), EDDY_OK);
        CHECK_EQ(f->name, receive_until(channel, &number, 1), EDDY_OK);
        CHECK_EQ(f->name, number, 42);
        leave_both(channel);
    }
}

static void try_send_send_and_send_timeout(void **state)
{
    (void)state;
    eddy_channel *channel = open_numbers(1);
    end receiver = {.channel = channel, .count = UINT64_MAX};
    crew c = {.count = 0};
    uint64_t before_ns = ed_clock_now_ns();
    CHECK_EQ("first", try_send(channel, 1), EDDY_OK);
    CHECK_EQ("no room", try_send(channel, 2), EDDY_EAGAIN);
    CHECK_EQ("no room yet", send_until(channel, 2, before_ns + 3 * ED_NS_PER_MS), EDDY_EAGAIN);
    CHECK("it waited", ed_clock_now_ns() >= before_ns + 3 * ED_NS_PER_MS);
    crew_start(&c, run_receiver, &receiver);
    CHECK_EQ("room in time", send_until(channel, 2, EDDY_NO_DEADLINE - 1), EDDY_OK);
    CHECK_EQ("room", send_number(channel, 3), EDDY_OK);
    eddy_channel_leave(channel, EDDY_SENDERS);
    crew_join(&c);
    CHECK_EQ("all", receiver.sum, 1 + 2 + 3);
}

static void send_after_disconnect(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel = open_numbers(f->capacity);
        CHECK_EQ(f->name, send_number(channel, 1), EDDY_OK);
        eddy_channel_leave(channel, EDDY_RECEIVERS);
        CHECK_EQ(f->name, send_number(channel, 2), EDDY_ECLOSED);
        CHECK_EQ(f->name, try_send(channel, 2), EDDY_ECLOSED);
        CHECK_EQ(f->name, send_until(channel, 2, soon_ns(ED_NS_PER_S)), EDDY_ECLOSED);
        eddy_channel_leave(channel, EDDY_SENDERS);
    }
}

static void recv_after_disconnect(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel = open_numbers(f->capacity);
        uint64_t number = 0;
        CHECK_EQ(f->name, send_number(channel, 1), EDDY_OK);
        eddy_channel_leave(channel, EDDY_SENDERS);
        CHECK_EQ(f->name, receive_number(channel, &number), EDDY_OK);
        for (int again = 0; again < 2; again++) {
            CHECK_EQ(f->name, receive_number(channel, &number), EDDY_ECLOSED);
            CHECK_EQ(f->name, try_receive(channel, &number), EDDY_ECLOSED);
            CHECK_EQ(f->name, receive_until(channel, &number, soon_ns(1)), EDDY_ECLOSED);
        }
        eddy_channel_leave(channel, EDDY_RECEIVERS);
    }
}

/** recv_in_send and channel_through_channel: what is sent is a channel, and what comes is used. */
static void channel_through_channel(void **state)
{
    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *outer = open_channel(
            &(eddy_channel_config){.item_size = sizeof(eddy_channel *), .capacity = f->capacity});
        eddy_channel *inner = open_numbers(f->capacity);
        eddy_channel *got = NULL;
        size_t count = 0;
        uint64_t number = 0;
        CHECK_EQ(f->name, eddy_channel_send(outer, &inner, 1, 0), EDDY_OK);
        CHECK_EQ(f->name, eddy_channel_receive(outer, &got, 1, &count, 0), EDDY_OK);
        CHECK_EQ(f->name, send_number(got, 5), EDDY_OK);
        CHECK_EQ(f->name, receive_number(inner, &number), EDDY_OK);
        CHECK_EQ(f->name, number, 5);
        leave_both(inner);
        leave_both(outer);
    }
}

static void leave_sender_of(void *context, void *item)
{
    (void)context;
    eddy_channel_leave(*(eddy_channel **)item, EDDY_SENDERS);
}

/** A channel that holds its own sender is freed nevertheless. */
static void a_channel_that_holds_itself(void **state)
{
    ed_counting_alloc memory;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    eddy_channel *channel = open_channel(&(eddy_channel_config){.item_size = sizeof(eddy_channel *),
                                                                .drop = leave_sender_of,
                                                                .allocator = &memory.allocator});
    CHECK_EQ("send", eddy_channel_send(channel, &channel, 1, 0), EDDY_OK);
    eddy_channel_leave(channel, EDDY_RECEIVERS);
    CHECK_EQ("live", memory.live_count, 0);
}

/** stack_overflow: items pass by no stack. */
static void stack_overflow(void **state)
{
    static uint8_t item[LARGE_SIZE];
    size_t count = 0;

    (void)state;
    for (const struct flavor *f = flavors; f < flavors_end; f++) {
        eddy_channel *channel =
            open_channel(&(eddy_channel_config){.item_size = LARGE_SIZE, .capacity = f->capacity});
        memset(item, 7, sizeof(item));
        CHECK_EQ(f->name, eddy_channel_send(channel, item, 1, 0), EDDY_OK);
        memset(item, 0, sizeof(item));
        CHECK_EQ(f->name, eddy_channel_receive(channel, item, 1, &count, 0), EDDY_OK);
        CHECK_EQ(f->name, item[LARGE_SIZE - 1], 7);
        leave_both(channel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoke),
        cmocka_unit_test(capacity),
        cmocka_unit_test(len_empty_full),
        cmocka_unit_test(try_recv_recv_and_recv_timeout),
        cmocka_unit_test(recv_timeout_nonempty_expired),
        cmocka_unit_test(try_send_send_and_send_timeout),
        cmocka_unit_test(send_after_disconnect),
        cmocka_unit_test(recv_after_disconnect),
        cmocka_unit_test(channel_through_channel),
        cmocka_unit_test(a_channel_that_holds_itself),
        cmocka_unit_test(stack_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
