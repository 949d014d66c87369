/**
 * What an item of 64 bytes costs between threads, in processor time of both sides: through eddy's
 * channel, a queue that takes a mutex for each item, and Concurrency Kit's ring for one sender and
 * one receiver, where that is installed. All in turns, so that a busy machine disturbs all alike;
 * ratios are taken within a round.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/thread.h"
#include "tools/options.h"

#if defined(__has_include)
#if __has_include(<ck_ring.h>)
#include <ck_ring.h>
#define HAS_CK 1
#endif
#endif
#ifndef HAS_CK
#define HAS_CK 0
#endif

enum {
    ITEM_SIZE = 64,
    SENDERS_MAX = 4,
    BATCH_MAX = 32,
    RING_SIZE = 8192, /* of Concurrency Kit's: it is bounded */
    REPEAT_DEFAULT = 101,
    REPEAT_MAX = 1001,
    ITEMS_DEFAULT = 4096,
    ITEMS_MAX = 100 * 1000 * 1000,
};

struct item {
    uint8_t bytes[ITEM_SIZE];
};

/** One kind of queue. `receive` returns at once with 0 when polling. */
struct queue {
    const char *name;
    void *(*make)(size_t senders);
    void (*destroy)(void *queue);
    void (*send)(void *queue, const struct item *items, size_t count);
    size_t (*receive)(void *queue, struct item *items, size_t count, bool polling);
};

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "channel_bench: %s failed\n", what);
    exit(1);
}

/* ----------------------------------------------------------------------------- eddy's channel --
 */

static void *channel_make(size_t senders)
{
    return ed_channel_open(&(ed_channel_form){.allocator = ed_alloc_default(),
                                              .item_size = sizeof(struct item),
                                              .one_sender = senders == 1,
                                              .one_receiver = true});
}

static void channel_destroy(void *queue)
{
    ed_channel_leave_sender(queue);
    ed_channel_leave_receiver(queue);
}

static void channel_send(void *queue, const struct item *items, size_t count)
{
    require(ed_channel_push(queue, items, count) == EDDY_OK, "a push");
}

static size_t channel_receive(void *queue, struct item *items, size_t count, bool polling)
{
    size_t got = 0;

    eddy_status status = ed_channel_pull(queue, items, count, &got, polling ? 0 : UINT64_MAX);
    require(status == EDDY_OK || status == EDDY_EAGAIN, "a pull");
    return got;
}

/* ---------------------------------------------------------------------- a mutex for each item --
 */

/** A ring that doubles when it is full. */
struct locked {
    ed_mutex mutex;
    ed_condition arrived;
    struct item *items;
    size_t capacity; /* a power of two */
    size_t head;
    size_t tail;
};

static void *locked_make(size_t senders)
{
    (void)senders;
    struct locked *queue = ed_alloc_zeroed(ed_alloc_default(), sizeof *queue);

    require(queue != NULL, "memory");
    require(ed_mutex_init(&queue->mutex) == EDDY_OK, "a mutex");
    require(ed_condition_init(&queue->arrived) == EDDY_OK, "a condition");
    queue->capacity = BATCH_MAX;
    queue->items = ed_alloc_array(ed_alloc_default(), queue->capacity, sizeof(struct item));
    require(queue->items != NULL, "memory");
    return queue;
}

static void locked_destroy(void *memory)
{
    struct locked *queue = memory;

    ed_alloc_free(ed_alloc_default(), queue->items, queue->capacity * sizeof(struct item));
    ed_condition_destroy(&queue->arrived);
    ed_mutex_destroy(&queue->mutex);
    ed_alloc_free(ed_alloc_default(), queue, sizeof *queue);
}

static void grow(struct locked *queue)
{
    size_t count = queue->tail - queue->head;
    struct item *items =
        ed_alloc_array(ed_alloc_default(), queue->capacity * 2, sizeof(struct item));

    require(items != NULL, "memory");
    for (size_t i = 0; i < count; i++)
        items[i] = queue->items[(queue->head + i) & (queue->capacity - 1)];
    ed_alloc_free(ed_alloc_default(), queue->items, queue->capacity * sizeof(struct item));
    queue->items = items;
    queue->capacity *= 2;
    queue->head = 0;
    queue->tail = count;
}

static void locked_send(void *memory, const struct item *items, size_t count)
{
    struct locked *queue = memory;

    for (size_t i = 0; i < count; i++) {
        ed_mutex_lock(&queue->mutex);
        if (queue->tail - queue->head == queue->capacity)
            grow(queue);
        queue->items[queue->tail++ & (queue->capacity - 1)] = items[i];
        ed_mutex_unlock(&queue->mutex);
        ed_condition_signal(&queue->arrived); // no system call unless somebody sleeps
    }
}

static bool locked_receive_one(struct locked *queue, struct item *item, bool polling)
{
    ed_mutex_lock(&queue->mutex);
    while (queue->tail == queue->head && !polling)
        ed_condition_wait(&queue->arrived, &queue->mutex, UINT64_MAX);
    bool has_item = queue->tail != queue->head;
    if (has_item)
        *item = queue->items[queue->head++ & (queue->capacity - 1)];
    ed_mutex_unlock(&queue->mutex);
    return has_item;
}

static size_t locked_receive(void *queue, struct item *items, size_t count, bool polling)
{
    size_t got = 0;

    while (got < count && locked_receive_one(queue, &items[got], polling || got > 0))
        got++;
    return got;
}

/* ------------------------------------------------------------------- Concurrency Kit's ring -- */

#if HAS_CK
CK_RING_PROTOTYPE(item, item)

struct kit {
    ck_ring_t ring;
    struct item items[RING_SIZE];
};

static void *kit_make(size_t senders)
{
    require(senders == 1, "more senders than this ring can have,");
    struct kit *kit = ed_alloc_zeroed(ed_alloc_default(), sizeof *kit);

    require(kit != NULL, "memory");
    ck_ring_init(&kit->ring, RING_SIZE);
    return kit;
}

static void kit_destroy(void *queue)
{
    ed_alloc_free(ed_alloc_default(), queue, sizeof(struct kit));
}

static void kit_send(void *queue, const struct item *items, size_t count)
{
    struct kit *kit = queue;

    for (size_t i = 0; i < count; i++) {
        struct item item = items[i];
        while (!ck_ring_enqueue_spsc_item(&kit->ring, kit->items, &item))
            (void)sched_yield();
    }
}

static size_t kit_receive(void *queue, struct item *items, size_t count, bool polling)
{
    struct kit *kit = queue;
    size_t got = 0;

    require(polling, "waiting, which this ring cannot do,");
    while (got < count && ck_ring_dequeue_spsc_item(&kit->ring, kit->items, &items[got]))
        got++;
    return got;
}
#endif

static const struct queue own = {"channel", channel_make, channel_destroy, channel_send,
                                 channel_receive};
static const struct queue others[] = {
    {"mutex queue", locked_make, locked_destroy, locked_send, locked_receive},
#if HAS_CK
    {"ck_ring spsc", kit_make, kit_destroy, kit_send, kit_receive},
#endif
};

/* ----------------------------------------------------------------------------------- a run -- */

struct task {
    const char *name;
    size_t other; /* what the channel is compared with */
    size_t senders;
    size_t batch;
    bool polling;
};

static const struct task tasks[] = {
    {"4 senders, batches of 32", 0, 4, 32, false},
    {"1 sender, single items, polling", 0, 1, 1, true},
    {"1 sender, single items, blocking", 0, 1, 1, false},
#if HAS_CK
    {"1 sender, single items, polling", 1, 1, 1, true},
    {"1 sender, batches of 32, polling", 1, 1, 32, true},
#endif
};

struct run {
    const struct task *task;
    const struct queue *kind;
    void *queue;
    size_t items;           /* of each sender */
    _Atomic size_t missing; /* threads that are not there yet */
    _Atomic uint64_t used_ns;
};

/** Begins when all do, so that none works alone for long. @return when that is. */
static uint64_t begin(struct run *run)
{
    run->missing--;
    while (run->missing > 0)
        (void)sched_yield();
    return ed_clock_thread_ns();
}

static void send_all(void *context)
{
    struct run *run = context;
    struct item items[BATCH_MAX] = {0};

    uint64_t began_ns = begin(run);
    for (size_t sent = 0; sent < run->items; sent += run->task->batch)
        run->kind->send(run->queue, items, run->task->batch);
    run->used_ns += ed_clock_thread_ns() - began_ns;
}

static void receive_all(struct run *run)
{
    struct item items[BATCH_MAX];
    size_t wanted = run->items * run->task->senders;

    uint64_t began_ns = begin(run);
    for (size_t got = 0; got < wanted;) {
        size_t count = run->kind->receive(run->queue, items, run->task->batch, run->task->polling);
        got += count;
        if (count == 0)
            (void)sched_yield(); // else a poller would be charged what others of the machine take
    }
    run->used_ns += ed_clock_thread_ns() - began_ns;
}

/** @return the processor's time of it. */
static uint64_t carry(struct run *run)
{
    ed_thread threads[SENDERS_MAX];

    run->used_ns = 0;
    run->missing = run->task->senders + 1;
    for (size_t i = 0; i < run->task->senders; i++)
        require(ed_thread_start(&threads[i], "sender", send_all, run) == EDDY_OK, "a thread");
    receive_all(run);
    for (size_t i = 0; i < run->task->senders; i++)
        ed_thread_join(&threads[i]);
    return run->used_ns;
}

/** @return the processor's time for one item, in ns, through a queue that has its memory. */
static double run_one(const struct task *task, const struct queue *kind, size_t items)
{
    size_t each = items / task->senders / task->batch * task->batch;
    struct run run = {
        .task = task, .kind = kind, .queue = kind->make(task->senders), .items = each};

    require(run.queue != NULL, "memory");
    (void)carry(&run);
    uint64_t took_ns = carry(&run);
    kind->destroy(run.queue);
    return (double)took_ns / (double)(each * task->senders);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void run_task(const struct task *task, size_t repeat, size_t items)
{
    static double own_ns[REPEAT_MAX];
    static double other_ns[REPEAT_MAX];
    static double ratio[REPEAT_MAX];
    const struct queue *other = &others[task->other];

    for (size_t i = 0; i < repeat; i++) {
        own_ns[i] = run_one(task, &own, items);
        other_ns[i] = run_one(task, other, items);
        ratio[i] = other_ns[i] / own_ns[i];
    }
    double of_ratio = median(ratio, repeat);
    printf("%-34s %8.1f %8.1f  %-13s %6.2f [%.2f-%.2f]\n", task->name, median(own_ns, repeat),
           median(other_ns, repeat), other->name, of_ratio, ratio[repeat / 4],
           ratio[repeat * 3 / 4]);
}

int main(int argc, char **argv)
{
    uint64_t repeat = REPEAT_DEFAULT;
    uint64_t items = ITEMS_DEFAULT;
    const ed_option options[] = {
        ED_NUMBER("repeat", "N", &repeat, ED_PER_ONE, 1, REPEAT_MAX, "rounds of each row"),
        ED_NUMBER("items", "N", &items, ED_PER_ONE, SENDERS_MAX * BATCH_MAX, ITEMS_MAX,
                  "items in a round"),
    };
    const ed_usage usage = {.command = "channel_bench",
                            .summary = "Processor time per item of 64 bytes, against other queues.",
                            .example = "channel_bench --repeat 101",
                            .options = options,
                            .option_count = ED_COUNT(options)};
    char *arguments[2 + 2 * ED_COUNT(options) + 1] = {argv[0], argv[0]};
    int exit_code = 0;

    int count = (int)ed_min_size((size_t)argc, ED_COUNT(arguments) - 2);
    for (int i = 1; i < count; i++)
        arguments[i + 1] = argv[i];
    if (!ed_options_parse(&usage, count + 1, arguments, &exit_code))
        return exit_code;
    printf("%-34s %8s %8s  %-13s %6s\n", "median CPU ns per item", own.name, "other", "which is",
           "ratio [quartiles]");
    for (size_t i = 0; i < ED_COUNT(tasks); i++)
        run_task(&tasks[i], (size_t)repeat, (size_t)items);
    if (!HAS_CK)
        printf("without Concurrency Kit's ring: libck-dev was not installed at build time\n");
    return 0;
}
