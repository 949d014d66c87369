/**
 * Where other channels went wrong: times that are too long, times that run out as an item comes,
 * items dropped twice or never, memory that is refused, wakes that are lost.
 */
#include "tests/channel/bed.h"

#include <stdatomic.h>

#include "tests/support/splitmix.h"

enum { LARGE_SIZE = 256 * 1024 }; // one to a chunk of the channel's memory

static void forms_are_refused(void **state)
{
    static const eddy_allocator no_free = {.allocate = NULL, .free = NULL};
    static const struct {
        const char *name;
        eddy_channel_config config;
        eddy_status want;
    } rows[] = {
        {"no size", {.item_size = 0}, EDDY_ECONFIG},
        {"a byte", {.item_size = 1}, EDDY_OK},
        {"the largest", {.item_size = EDDY_CHANNEL_ITEM_SIZE_MAX}, EDDY_OK},
        {"larger", {.item_size = EDDY_CHANNEL_ITEM_SIZE_MAX + 1}, EDDY_ECONFIG},
        {"all there is", {.item_size = SIZE_MAX}, EDDY_ECONFIG},
        {"half an allocator", {.item_size = 8, .allocator = &no_free}, EDDY_ECONFIG},
        {"room for all there is", {.item_size = 8, .capacity = SIZE_MAX}, EDDY_OK},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_channel *channel = (void *)1;
        CHECK_EQ(rows[i].name, eddy_channel_open(&channel, &rows[i].config), rows[i].want);
        CHECK_EQ(rows[i].name, channel != NULL, rows[i].want == EDDY_OK);
        if (channel != NULL)
            leave_both(channel);
    }
}

static void counts_are_refused(void **state)
{
    eddy_channel *channel = open_numbers(0);
    uint64_t numbers[2] = {0};
    size_t count = 7;

    (void)state;
    CHECK_EQ("none", eddy_channel_send(channel, numbers, 0, 0), EDDY_OK);
    CHECK_EQ("no items", eddy_channel_send(channel, NULL, 1, 0), EDDY_EINVAL);
    CHECK_EQ("none of none", eddy_channel_send(channel, NULL, 0, 0), EDDY_OK);
    CHECK_EQ("to nowhere", eddy_channel_receive(channel, NULL, 1, &count, 0), EDDY_EINVAL);
    CHECK_EQ("no array", eddy_channel_send(channel, numbers, SIZE_MAX / 8, 0), EDDY_ENOMEM);
    CHECK_EQ("into none", eddy_channel_receive(channel, numbers, 0, &count, 0), EDDY_EINVAL);
    CHECK_EQ("none came", count, 0);
    CHECK_EQ("one", eddy_channel_send(channel, numbers, 1, 0), EDDY_OK);
    CHECK_EQ("room for more", eddy_channel_receive(channel, numbers, 2, &count, 0), EDDY_OK);
    CHECK_EQ("one came", count, 1);
    leave_both(channel);
}

/** crossbeam #798, std #39364: a time so far away that a sum of it wraps. */
static void very_large_timeouts(void **state)
{
    static const uint64_t deadlines_ns[] = {EDDY_NO_DEADLINE, EDDY_NO_DEADLINE - 1, INT64_MAX,
                                            (uint64_t)INT64_MAX + 1,
                                            (uint64_t)UINT32_MAX * ED_NS_PER_S};
    (void)state;
    for (size_t i = 0; i < ED_COUNT(deadlines_ns); i++) {
        eddy_channel *channel = open_numbers(1);
        end sender = {.channel = channel, .first = 1, .count = 3};
        crew c = {.count = 0};
        uint64_t number = 0;
        size_t ready = 7;
        crew_send(&c, &sender);
        CHECK_EQ("waits", eddy_channel_wait(&channel, 1, 0, deadlines_ns[i], &ready), EDDY_OK);
        for (uint64_t n = 1; n <= 3; n++) {
            CHECK_EQ("receives", receive_until(channel, &number, deadlines_ns[i]), EDDY_OK);
            CHECK_EQ("in order", number, n);
        }
        crew_join(&c);
        CHECK_EQ("sends", send_until(channel, 1, deadlines_ns[i]), EDDY_OK);
        leave_both(channel);
    }
}

/** A wait that runs out as the item comes: it is received now or next time, once. */
static void receive_timeout_races(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int alone = 0; alone < 2; alone++) {
        eddy_channel *channel =
            open_channel(&(eddy_channel_config){.one_sender = alone, .one_receiver = alone});
        end sender = {.channel = channel, .count = times(20 * 1000, 1000 * 1000)};
        crew c = {.count = 0};
        uint64_t next = 0;
        uint64_t number = 0;
        eddy_status status = EDDY_EAGAIN;
        crew_start(&c, run_sender, &sender);
        while (status != EDDY_ECLOSED) {
            status = receive_until(channel, &number, soon_ns(splitmix_next(&random) % 2000));
            if (status == EDDY_OK)
                CHECK_EQ("in order", number, next++);
        }
        CHECK_EQ("all", next, sender.count);
        crew_join(&c);
        eddy_channel_leave(channel, EDDY_RECEIVERS);
    }
}

/** Each item owns memory of its own, which whoever has the item frees, once. */
static void free_item(void *context, void *item)
{
    ed_counting_alloc *memory = context;

    ed_alloc_free(&memory->allocator, *(void **)item, 32);
}

static void send_owned(void *context)
{
    end *e = context;
    ed_counting_alloc *memory = (ed_counting_alloc *)(uintptr_t)e->first;

    for (; e->got < e->count; e->got++) {
        void *item = ed_alloc_zeroed(&memory->allocator, 32);
        if (item != NULL && eddy_channel_send(e->channel, &item, 1, 0) != EDDY_OK)
            ed_alloc_free(&memory->allocator, item, 32);
    }
    eddy_channel_leave(e->channel, EDDY_SENDERS);
}

/** RUSTSEC-2025-0024, and memory that is refused now and then. */
static void drops_are_freed_exactly_once(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < times(300, 10 * 1000); round++) {
        ed_counting_alloc memory;
        ed_counting_alloc_init(&memory, NULL);
        eddy_channel *channel =
            open_channel(&(eddy_channel_config){.item_size = sizeof(void *),
                                                .one_sender = round % 2 == 0,
                                                .drop = free_item,
                                                .drop_context = &memory,
                                                .allocator = &memory.allocator});
        end sender = {.channel = channel, .first = (uintptr_t)&memory, .count = 300};
        crew c = {.count = 0};
        void *items[8];
        size_t count = 0;
        memory.fail_after = round % 4 < 2 ? UINT64_MAX : round;
        crew_start(&c, send_owned, &sender);
        for (uint64_t i = 0; i < round % 50; i++) {
            (void)!eddy_channel_receive(channel, items, ED_COUNT(items), &count, soon_ns(1000));
            for (size_t k = 0; k < count; k++)
                free_item(&memory, &items[k]);
        }
        eddy_channel_leave(channel, EDDY_RECEIVERS);
        crew_join(&c);
        CHECK_EQ("live", memory.live_count, 0);
    }
}

/** Memory that is refused leaves the channel as it was: all of a batch, or none. */
static void allocation_failures(void **state)
{
    enum { BATCH = 200 };

    (void)state;
    for (uint64_t after = 0; after < 12; after++) {
        ed_counting_alloc memory;
        eddy_channel *channel = NULL;
        uint64_t numbers[BATCH] = {0};
        size_t sent = 0;
        size_t got = 0;
        size_t count = 0;
        ed_counting_alloc_init(&memory, NULL);
        memory.fail_after = after;
        eddy_channel_config config = {.item_size = sizeof(uint64_t),
                                      .allocator = &memory.allocator};
        eddy_status status = eddy_channel_open(&channel, &config);
        CHECK_EQ("open", status, after == 0 ? EDDY_ENOMEM : EDDY_OK);
        if (channel == NULL)
            continue;
        while ((status = eddy_channel_send(channel, numbers, BATCH, 0)) == EDDY_OK)
            sent += BATCH;
        CHECK_EQ("refused", status, EDDY_ENOMEM);
        CHECK_EQ("whole", stats_of(channel).length, sent);
        while (eddy_channel_receive(channel, numbers, BATCH, &count, 0) == EDDY_OK)
            got += count;
        CHECK_EQ("kept", got, sent);
        leave_both(channel);
        CHECK_EQ("live", memory.live_count, 0);
    }
}

static void send_large(void *context)
{
    static const uint8_t item[LARGE_SIZE];
    end *e = context;

    e->status = eddy_channel_send(e->channel, item, 1, EDDY_NO_DEADLINE);
    eddy_channel_leave(e->channel, EDDY_SENDERS);
}

/** Hangs if one who waited for room, and gets no memory for it, keeps the room from the other. */
static void room_without_memory_is_passed_on(void **state)
{
    static uint8_t item[LARGE_SIZE];

    (void)state;
    for (uint64_t round = 0; round < times(20, 1000); round++) {
        ed_counting_alloc memory;
        crew c = {.count = 0};
        size_t count = 0;
        ed_counting_alloc_init(&memory, NULL);
        eddy_channel *channel = open_channel(&(eddy_channel_config){
            .item_size = LARGE_SIZE, .capacity = 1, .allocator = &memory.allocator});
        end from[2] = {{.channel = channel}, {.channel = channel}};
        CHECK_EQ("full", eddy_channel_send(channel, item, 1, 0), EDDY_OK);
        for (size_t i = 0; i < ED_COUNT(from); i++) {
            eddy_channel_share(channel, EDDY_SENDERS);
            crew_start(&c, send_large, &from[i]);
        }
        (void)poll(NULL, 0, 1); // both sleep by then; it passes if they do not
        memory.fail_after = 0;
        CHECK_EQ("room", eddy_channel_receive(channel, item, 1, &count, 0), EDDY_OK);
        crew_join(&c);
        for (size_t i = 0; i < ED_COUNT(from); i++)
            CHECK_EQ("each is told", from[i].status, EDDY_ENOMEM);
        leave_both(channel);
        CHECK_EQ("live", memory.live_count, 0);
    }
}

/** A channel costs what its items are, not a multiple of it. */
static void large_items_take_no_more_than_they_need(void **state)
{
    static uint8_t item[EDDY_CHANNEL_ITEM_SIZE_MAX];
    ed_counting_alloc memory;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    eddy_channel *channel = open_channel(
        &(eddy_channel_config){.item_size = sizeof(item), .allocator = &memory.allocator});
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ("send", eddy_channel_send(channel, item, 1, 0), EDDY_OK);
        CHECK("memory", memory.live_size < (i + 1) * sizeof(item) + sizeof(item) / 2);
    }
    leave_both(channel);
    CHECK_EQ("live", memory.live_count, 0);
}

/* ------------------------------------------------------------------------------- random sleeps --
 */

struct ball {
    eddy_channel *there;
    eddy_channel *back;
    bool by_descriptor;
};

static void spin_a_while(uint64_t *random)
{
    for (uint64_t i = splitmix_next(random) % 200; i > 0; i--)
        atomic_signal_fence(memory_order_seq_cst); // only so that the loop stays
}

/** Sleeps on the descriptor, or in the call. */
static eddy_status receive_somehow(eddy_channel *channel, uint64_t *number, bool by_descriptor)
{
    struct pollfd waits = {.fd = by_descriptor ? eddy_channel_fd(channel) : -1, .events = POLLIN};
    eddy_status status = EDDY_EAGAIN;

    if (!by_descriptor)
        return receive_number(channel, number);
    while ((status = try_receive(channel, number)) == EDDY_EAGAIN)
        (void)poll(&waits, 1, -1);
    return status;
}

static void run_back(void *context)
{
    struct ball *b = context;
    uint64_t random = 7;
    uint64_t number = 0;

    while (receive_somehow(b->there, &number, b->by_descriptor) == EDDY_OK) {
        spin_a_while(&random);
        if (send_number(b->back, number) != EDDY_OK)
            break;
    }
    eddy_channel_leave(b->there, EDDY_RECEIVERS);
    eddy_channel_leave(b->back, EDDY_SENDERS);
}

/** Hangs if one of a million wakes is lost (fewer without EDDY_FULL). */
static void no_wake_is_lost(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 8; round++) {
        eddy_channel_config config = {
            .one_sender = round & 1, .one_receiver = round & 1, .capacity = round >> 1 & 1};
        struct ball ball = {.there = open_channel(&config),
                            .back = open_channel(&config),
                            .by_descriptor = round >> 2 & 1};
        crew c = {.count = 0};
        uint64_t random = round;
        uint64_t number = 0;
        crew_start(&c, run_back, &ball);
        for (uint64_t i = 0; i < times(4000, 1000 * 1000 / 8); i++) {
            spin_a_while(&random);
            CHECK_EQ("there", send_number(ball.there, i), EDDY_OK);
            CHECK_EQ("back", receive_somehow(ball.back, &number, ball.by_descriptor), EDDY_OK);
            CHECK_EQ("the same", number, i);
        }
        eddy_channel_leave(ball.there, EDDY_SENDERS);
        eddy_channel_leave(ball.back, EDDY_RECEIVERS);
        crew_join(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_refused),
        cmocka_unit_test(counts_are_refused),
        cmocka_unit_test(very_large_timeouts),
        cmocka_unit_test(receive_timeout_races),
        cmocka_unit_test(drops_are_freed_exactly_once),
        cmocka_unit_test(allocation_failures),
        cmocka_unit_test(room_without_memory_is_passed_on),
        cmocka_unit_test(large_items_take_no_more_than_they_need),
        cmocka_unit_test(no_wake_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
