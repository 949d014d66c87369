/** The channel on one thread: scripts of calls, memory, drops, deadlines. */
#include "tests/support/check.h"

#include <poll.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"

enum {
    ITEM_SIZE_MAX = 100,
    BATCH_MAX = 64,
};

/** A channel, and what is known about the items in it: item n is a run of bytes that begins at n.
 */
typedef struct rig {
    ed_counting_alloc memory;
    ed_channel *channel;
    size_t item_size;
    size_t pushed;
    size_t pulled;
    size_t dropped;
    size_t senders;
    size_t receivers;
    int sleep_fd;
} rig;

static void fill_item(const rig *r, uint8_t *item, size_t number)
{
    for (size_t i = 0; i < r->item_size; i++)
        item[i] = (uint8_t)(number + i);
}

static void check_item(const rig *r, const char *name, const uint8_t *item, size_t number)
{
    uint8_t want[ITEM_SIZE_MAX];

    fill_item(r, want, number);
    CHECK_BYTES(name, item, want, r->item_size);
}

static void count_drop(void *context, void *item)
{
    rig *r = context;

    check_item(r, "dropped", item, r->pulled + r->dropped);
    r->dropped++;
}

static void rig_open(rig *r, size_t item_size)
{
    *r = (rig){.item_size = item_size, .senders = 1, .receivers = 1};
    ed_counting_alloc_init(&r->memory, NULL);
    r->channel = ed_channel_create(&r->memory.allocator, item_size, count_drop, r);
    CHECK("create", r->channel != NULL);
}

/** Leaves what has not been left; then nothing is left of the channel or its items. */
static void rig_close(rig *r, const char *name)
{
    for (; r->senders > 0; r->senders--)
        ed_channel_leave_sender(r->channel);
    for (; r->receivers > 0; r->receivers--)
        ed_channel_leave_receiver(r->channel);
    CHECK_EQ(name, r->pulled + r->dropped, r->pushed);
    CHECK_EQ(name, r->memory.live_count, 0);
    CHECK_EQ(name, r->memory.live_size, 0);
}

static eddy_status rig_push(rig *r, size_t count)
{
    uint8_t items[BATCH_MAX * ITEM_SIZE_MAX];

    for (size_t i = 0; i < count; i++)
        fill_item(r, items + i * r->item_size, r->pushed + i);
    eddy_status status = ed_channel_push(r->channel, items, count);
    if (status == EDDY_OK)
        r->pushed += count;
    return status;
}

static eddy_status rig_pull(rig *r, const char *name, size_t capacity, size_t *count)
{
    uint8_t items[BATCH_MAX * ITEM_SIZE_MAX];

    eddy_status status = ed_channel_pull(r->channel, items, capacity, count, 0);
    CHECK_EQ(name, status == EDDY_OK, *count > 0);
    for (size_t i = 0; i < *count; i++)
        check_item(r, name, items + i * r->item_size, r->pulled++);
    return status;
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    CHECK("fd", fd >= 0);
    return poll(&poll_fd, 1, 0) == 1;
}

/** Ends a sleep. @return whether it was to wake. */
static bool wake(rig *r)
{
    bool wakes = is_readable(r->sleep_fd);

    ed_channel_end_sleep(r->channel);
    CHECK("nobody sleeps", !is_readable(r->sleep_fd));
    return wakes;
}

/** What a status is called in a script. */
static eddy_status status_of(char sign)
{
    return sign == '?' ? EDDY_EAGAIN : sign == '!' ? EDDY_ECLOSED : EDDY_OK;
}

static void play_pull(rig *r, const char *name, size_t capacity, const char *want)
{
    size_t count = 0;

    CHECK_EQ(name, rig_pull(r, name, capacity, &count), status_of(*want));
    CHECK_EQ(name, count, *want == '=' ? strtoul(want + 1, NULL, 10) : 0);
}

/** Plays one step, such as "-64=3"; see `scripts`. */
static void play(rig *r, const char *name, const char *word)
{
    char *after = NULL;
    unsigned long number = strtoul(word + 1, &after, 10);

    switch (*word) {
    case '+':
        CHECK_EQ(name, rig_push(r, number), status_of(*after));
        break;
    case '-':
        play_pull(r, name, number, after);
        break;
    case '#':
        CHECK_EQ(name, ed_channel_length(r->channel), number);
        break;
    case '^':
        CHECK_EQ(name, ed_channel_high_water(r->channel), number);
        break;
    case 'f':
        CHECK_EQ(name, is_readable(ed_channel_fd(r->channel)), number);
        break;
    case 'z':
        CHECK_EQ(name, ed_channel_begin_sleep(r->channel, &r->sleep_fd) == EDDY_OK, number);
        break;
    case 'Z':
        CHECK_EQ(name, wake(r), number);
        break;
    case 'w':
        CHECK_EQ(name, ed_channel_wakes(r->channel), number);
        break;
    case 'n':
        ed_channel_nudge(r->channel);
        break;
    case 'c':
        ed_channel_close(r->channel);
        break;
    case 'S':
        ed_channel_add_sender(r->channel);
        r->senders++;
        break;
    case 's':
        ed_channel_leave_sender(r->channel);
        r->senders--;
        break;
    case 'R':
        ed_channel_add_receiver(r->channel);
        r->receivers++;
        break;
    case 'r':
        ed_channel_leave_receiver(r->channel);
        r->receivers--;
        break;
    default:
        fail_msg("%s: no step is called %s", name, word);
    }
}

/*
 * +3 pushes three items, +3! is refused as closed; -9=3 pulls up to nine and gets three, -9? says
 * that there is nothing now, -9! that nothing will come; #3 is the length, ^3 the high water mark;
 * f0 and f1 say whether the descriptor is readable; z1 begins a sleep on it and z0 finds that none
 * may begin; Z0 and Z1 end it, and say whether it was to wake; w2 says that two wakes were made; n
 * nudges; c closes; S and R add a sender and a receiver, s and r are their leaving.
 */
static const struct script {
    const char *name;
    const char *text;
} scripts[] = {
    {"empty", "#0 ^0 -1? +0 #0"},
    {"one by one", "+1 +1 -1=1 -1=1 -1?"},
    {"a pull takes what there is", "+3 -64=3 -64?"},
    {"a pull takes no more than asked", "+9 -4=4 #5"},
    {"up to the end of a chunk", "+63 +1 -64=64 -64? +64 -1=1 -64=63"},
    {"over the end of a chunk", "+60 +10 -64=64 #6 -64=6 ^70"},
    {"a pull from two chunks", "+64 -40=40 +64 #88 -64=64 -64=24 ^88"},
    {"a batch into three chunks", "+63 +64 +64 +1 #192 -1=1 -64=64 -64=64 -64=63 -64? ^192"},
    {"a drained chunk is used again", "+64 +64 -64=64 +64 -64=64 +64 #128 -64=64 -64=64 ^128"},
    {"high water stays", "+7 -7=7 +2 ^7"},
    {"items left are dropped", "+64 -10=10"},
    {"items left in three chunks are dropped", "+64 -10=10 +64 +64"},
    {"after a close the rest is pulled", "+2 c +1! +0! -64=2 -1! c -1!"},
    {"the last sender closes", "S s -1? +1 s -1=1 -1!"},
    {"the last receiver closes", "R +5 r +5 -2=2 r #0 +1!"},
    {"the descriptor is readable until a pull finds nothing",
     "f0 +2 f1 -1=1 f1 -1=1 f1 -1? f0 -1? f0 +1 f1"},
    {"the descriptor is asked for late", "+1 f1 -1=1 -1? f0"},
    {"the descriptor is asked for late, of an empty channel", "+1 -1=1 f0"},
    {"the descriptor of a closed channel stays readable", "f0 +1 c f1 -1=1 f1 -1! f1"},
    {"the descriptor says that the senders left", "f0 s f1"},
    {"the descriptor is asked for after the close", "c f1"},
    {"the descriptor says that the receivers left", "f0 r f1"},
    {"a nudge is readable until a pull finds nothing", "f0 n n f1 -1? f0"},
    {"a nudge besides an item", "f0 n +2 f1 -1=1 f1 -1=1 -1? f0"},
    {"a nudge before the descriptor is asked for", "n f1 -1? f0"},
    {"a nudge that a pull answered before", "n -1? f0 n f1"},
    {"a sleep wakes by an item", "z1 +1 Z1 w1 z0 -1=1 -1? z1 Z0"},
    {"a sleep that nothing ends", "z1 Z0 z1 Z0 w0"},
    {"nothing wakes who does not sleep", "z1 Z0 +1 +1 w0 z0 -2=2 -1? +1 -1=1 z1 Z0 w0"},
    {"a nudge ends a sleep, and stays until a pull finds nothing", "z1 n Z1 z0 -1? z1 Z0 w1"},
    {"a nudge between sleeps", "z1 Z0 n w0 z0 -1? z1 Z0 w0"},
    {"a nudge between sleeps, and then the descriptor", "z1 Z0 n f1 -1? f0"},
    {"no sleep after a close", "z1 c Z1 z0 -1! z0"},
};

static void plays_scripts(void **state)
{
    static const size_t item_sizes[] = {1, 8, 24, ITEM_SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(scripts); i++) {
        for (size_t k = 0; k < ED_COUNT(item_sizes); k++) {
            rig r;
            rig_open(&r, item_sizes[k]);
            for (const char *word = scripts[i].text; *word != '\0'; word += strspn(word, " ")) {
                play(&r, scripts[i].name, word);
                word += strcspn(word, " ");
            }
            rig_close(&r, scripts[i].name);
        }
    }
}

static void stays_in_order_for_long(void **state)
{
    rig r;
    uint32_t random = 1;

    (void)state;
    rig_open(&r, 8);
    for (int round = 0; round < 20 * 1000; round++) {
        random = random * 1664525u + 1013904223u; // Numerical Recipes' generator
        size_t count = 1 + (random >> 16) % BATCH_MAX;
        size_t pulled = 0;
        if (random >> 31 == 0)
            CHECK_EQ("push", rig_push(&r, count), EDDY_OK);
        else
            (void)rig_pull(&r, "pull", count, &pulled);
        CHECK_EQ("length", ed_channel_length(r.channel), r.pushed - r.pulled);
    }
    CHECK("some came through", r.pulled > 1000);
    rig_close(&r, "long");
}

enum { CHUNK = 64 }; /* items that one allocation has room for */

static void refuses_whole_batches_without_memory(void **state)
{
    rig r;
    size_t count = 0;

    (void)state;
    for (uint64_t after = 0; after < 3; after++) {
        rig_open(&r, 8);
        r.memory.fail_after = after;
        size_t fits = after * CHUNK;
        for (size_t n = 0; n < fits; n++)
            CHECK_EQ("fits", rig_push(&r, 1), EDDY_OK);
        CHECK_EQ("one more", rig_push(&r, 1), EDDY_ENOMEM);
        CHECK_EQ("many more", rig_push(&r, BATCH_MAX), EDDY_ENOMEM);
        CHECK_EQ("kept", ed_channel_length(r.channel), fits);
        CHECK_EQ("failures", r.memory.failures, 2);
        r.memory.fail_after = UINT64_MAX;
        CHECK_EQ("memory is back", rig_push(&r, 2), EDDY_OK);
        while (rig_pull(&r, "pull", BATCH_MAX, &count) == EDDY_OK)
            continue;
        CHECK_EQ("all", r.pulled, fits + 2);
        rig_close(&r, "no memory");
    }
}

/** A batch that needs two chunks and gets one is refused whole; the one is used later. */
static void half_a_batch_is_not_pushed(void **state)
{
    rig r;
    size_t count = 0;

    (void)state;
    rig_open(&r, 8);
    CHECK_EQ("some", rig_push(&r, CHUNK - 1), EDDY_OK);
    r.memory.fail_after = 1;
    uint8_t items[8 * 2 * CHUNK] = {0};
    CHECK_EQ("more than a chunk", ed_channel_push(r.channel, items, CHUNK + 2), EDDY_ENOMEM);
    CHECK_EQ("nothing of it", ed_channel_length(r.channel), CHUNK - 1);
    CHECK_EQ("a chunk", rig_push(&r, CHUNK), EDDY_OK);
    CHECK_EQ("what was there", rig_pull(&r, "pull", BATCH_MAX, &count), EDDY_OK);
    CHECK_EQ("and no more", rig_pull(&r, "pull", BATCH_MAX, &count), EDDY_OK);
    CHECK_EQ("all", r.pulled, 2 * CHUNK - 1);
    rig_close(&r, "half");
}

/** However long the queue was, it never took much more than its items, and never moved them. */
static void memory_follows_the_high_water_mark(void **state)
{
    enum { MANY = 100 * CHUNK, SIZE = 24, HEADER = 64 };
    rig r;
    size_t count = 0;

    (void)state;
    rig_open(&r, SIZE);
    uint64_t own_size = r.memory.live_size;
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < MANY; n += CHUNK)
            CHECK_EQ("push", rig_push(&r, CHUNK), EDDY_OK);
        while (rig_pull(&r, "pull", 7, &count) == EDDY_OK)
            continue;
        // Pulled empty to its end, the last chunk stays with who pulls until there is a next.
        uint64_t chunks = MANY / CHUNK + (round > 0);
        CHECK_EQ("one allocation a chunk", r.memory.calls - 1, chunks);
        CHECK_EQ("bytes", r.memory.peak_size - own_size, chunks * (CHUNK * SIZE + HEADER));
    }
    // A queue that moves on and never gets long has two chunks, where one is left for the next.
    rig_close(&r, "high water");
    rig_open(&r, SIZE);
    for (int round = 0; round < 1000; round++) {
        CHECK_EQ("push", rig_push(&r, CHUNK / 2), EDDY_OK);
        if (round > 0)
            CHECK_EQ("pull", rig_pull(&r, "pull", CHUNK / 2, &count), EDDY_OK);
    }
    CHECK_EQ("two chunks", r.memory.calls - 1, 2);
    rig_close(&r, "short");
}

static void refuses_counts_that_wrap(void **state)
{
    rig r;
    uint8_t item[8] = {0};

    (void)state;
    rig_open(&r, 8);
    CHECK_EQ("one", rig_push(&r, 1), EDDY_OK);
    CHECK_EQ("all sizes", ed_channel_push(r.channel, item, SIZE_MAX), EDDY_ENOMEM);
    CHECK_EQ("half", ed_channel_push(r.channel, item, SIZE_MAX / 2 + 1), EDDY_ENOMEM);
    CHECK_EQ("bytes wrap", ed_channel_push(r.channel, item, SIZE_MAX / 8), EDDY_ENOMEM);
    CHECK_EQ("kept", ed_channel_length(r.channel), 1);
    rig_close(&r, "wrap");
}

static void fails_to_be_created_without_memory(void **state)
{
    ed_counting_alloc memory;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    memory.fail_after = 0;
    CHECK("create", ed_channel_create(&memory.allocator, 8, NULL, NULL) == NULL);
    CHECK_EQ("live", memory.live_count, 0);
}

static void allocates_nothing_when_warm(void **state)
{
    rig r;
    size_t count = 0;

    (void)state;
    rig_open(&r, 24);
    for (int round = 0; round < 2; round++) { // one chunk for each side
        CHECK_EQ("warm", rig_push(&r, BATCH_MAX), EDDY_OK);
        CHECK_EQ("warm", rig_pull(&r, "warm", BATCH_MAX, &count), EDDY_OK);
    }
    uint64_t calls = r.memory.calls;
    for (size_t n = 1; n < 1000; n++) {
        CHECK_EQ("push", rig_push(&r, 1 + n % BATCH_MAX), EDDY_OK);
        CHECK_EQ("pull", rig_pull(&r, "pull", BATCH_MAX, &count), EDDY_OK);
    }
    CHECK_EQ("calls", r.memory.calls, calls);
    rig_close(&r, "warm");
}

static void drops_nothing_without_a_callback(void **state)
{
    ed_channel *channel = ed_channel_create(ed_alloc_default(), 4, NULL, NULL);
    uint32_t items[3] = {1, 2, 3};

    (void)state;
    CHECK_EQ("push", ed_channel_push(channel, items, ED_COUNT(items)), EDDY_OK);
    ed_channel_leave_receiver(channel);
    CHECK_EQ("length", ed_channel_length(channel), 0);
    ed_channel_leave_sender(channel);
}

static void waits_no_longer_than_asked(void **state)
{
    static const struct {
        const char *name;
        uint64_t wait_ns; /* from now */
        bool past;        /* a deadline long ago instead */
    } rows[] = {
        {"the past", 0, true},
        {"now", 0, false},
        {"soon", 3 * ED_NS_PER_MS, false},
    };
    rig r;

    (void)state;
    rig_open(&r, 8);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t item = 0;
        size_t count = 7;
        uint64_t deadline_ns = rows[i].past ? 1 : ed_clock_now_ns() + rows[i].wait_ns;
        eddy_status got = ed_channel_pull(r.channel, &item, 1, &count, deadline_ns);
        CHECK_EQ(rows[i].name, got, EDDY_EAGAIN);
        CHECK_EQ(rows[i].name, count, 0);
        CHECK(rows[i].name, ed_clock_now_ns() >= deadline_ns);
    }
    // What is there is taken even when the time is up.
    CHECK_EQ("push", rig_push(&r, 1), EDDY_OK);
    uint64_t item = 0;
    size_t count = 0;
    CHECK_EQ("late", ed_channel_pull(r.channel, &item, 1, &count, 1), EDDY_OK);
    r.pulled++;
    rig_close(&r, "waits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_scripts),
        cmocka_unit_test(stays_in_order_for_long),
        cmocka_unit_test(refuses_whole_batches_without_memory),
        cmocka_unit_test(half_a_batch_is_not_pushed),
        cmocka_unit_test(memory_follows_the_high_water_mark),
        cmocka_unit_test(refuses_counts_that_wrap),
        cmocka_unit_test(fails_to_be_created_without_memory),
        cmocka_unit_test(allocates_nothing_when_warm),
        cmocka_unit_test(drops_nothing_without_a_callback),
        cmocka_unit_test(waits_no_longer_than_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
