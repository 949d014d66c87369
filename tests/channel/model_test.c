/**
 * Every interleaving with few preemptions of up to three threads with up to three calls each, of
 * the channel's own sources: nobody sleeps for ever, nothing is lost or twice, and what each thread
 * saw could have been seen by one alone.
 */
#include "tests/support/check.h"

#include "tests/channel/model.h"

#include "core/bell.c"
#include "core/channel.c"
#include "core/channel_items.c"
#include "core/fifo.c"
#include "core/sleepers.c"

#include "tests/channel/history.h"
#include "tests/support/seeds.h"

enum {
    PREEMPTIONS_QUICK = 2,
    PREEMPTIONS_FULL = 3,
    SCRIPTS_SLOW_MAX = 3000, /* of each row, in a build that is slow */
};

/**
 * Each thread's calls. p pushes one item, P two, without waiting; b and B wait for room; d and D
 * wait until a deadline, and E with three. g pulls without waiting, r waits, R waits and takes up
 * to two, t waits until a deadline, w looks and then waits on the descriptor, W waits on it first,
 * s looks and then sleeps on it. c closes. A thread that pushes or closes is a sender, one that
 * pulls is a receiver, and each leaves as it ends: which wakes the others, unless it stays (h)
 * until they have ended.
 */
static const struct row {
    const char *name;
    const char *threads[MODEL_THREADS_MAX];
    size_t capacity;
    bool one_sender;
    bool one_receiver;
} rows[] = {
    {"one sender, one receiver", {"ppp", "rrr"}, 0, false, false},
    {"the same without locks", {"ppp", "rrr"}, 0, true, true},
    {"a sender without a lock, two receivers", {"pp", "rr", "rr"}, 0, true, false},
    {"a receiver without a lock, two senders", {"pp", "pp", "rrr"}, 0, false, true},
    {"two senders, one receiver", {"pp", "pp", "rrr"}, 0, false, false},
    {"one sender, two receivers", {"ppp", "rr", "rr"}, 0, false, false},
    {"batches", {"PP", "Rr", "R"}, 0, false, false},
    {"a batch for two sleepers", {"P", "r", "r"}, 0, false, false},
    {"a batch for two sleepers without a lock", {"P", "r", "r"}, 0, true, false},
    {"without waiting", {"pp", "ggg", "gg"}, 0, false, false},
    {"without waiting or locks", {"ppp", "ggg"}, 0, true, true},
    {"a receiver whose time is up", {"pp", "tt", "r"}, 0, false, false},
    {"the same, without a lock to push", {"pp", "tt", "r"}, 0, true, false},
    {"closing under a sender", {"pp", "c", "rr"}, 0, false, false},
    {"closing wakes all", {"c", "r", "r"}, 0, false, false},
    {"closing wakes all, without a lock to push", {"pc", "r", "r"}, 0, true, false},
    {"a receiver that leaves", {"ppp", "r"}, 0, false, false},
    {"a receiver that leaves a sender without a lock", {"ppp", "r"}, 0, true, true},
    {"the descriptor", {"pp", "ww"}, 0, false, false},
    {"each push wakes one", {"pph", "r", "r"}, 0, false, false},
    {"each push wakes one, without a lock", {"pph", "r", "r"}, 0, true, false},
    {"a batch wakes two", {"Ph", "r", "r"}, 0, false, false},
    {"a batch wakes two, without a lock", {"Ph", "r", "r"}, 0, true, false},
    {"the descriptor alone", {"pph", "WW"}, 0, false, false},
    {"the descriptor alone, without locks", {"pph", "wW"}, 0, true, true},
    {"each wakes in its way", {"pph", "W", "r"}, 0, false, false},
    {"each wakes in its way, without a lock", {"pph", "W", "r"}, 0, true, false},
    {"the descriptor, without locks", {"pp", "ww"}, 0, true, true},
    {"the descriptor and a sleeper", {"pp", "w", "r"}, 0, false, false},
    {"the descriptor and a sleeper, without a lock to push", {"pp", "w", "r"}, 0, true, false},
    {"two at the descriptor", {"P", "w", "w"}, 0, false, false},
    {"the descriptor and a close", {"c", "w", "g"}, 0, false, false},
    {"a sleep on the descriptor", {"pph", "ss"}, 0, false, false},
    {"a sleep on the descriptor, without locks", {"pph", "ss"}, 0, true, true},
    {"two that sleep on the descriptor", {"Ph", "s", "s"}, 0, false, false},
    {"a sleep beside one who keeps the descriptor", {"pph", "s", "W"}, 0, false, false},
    {"a sleep on the descriptor and a close", {"c", "s", "g"}, 0, false, false},
    {"room for one", {"bbb", "rrr"}, 1, false, false},
    {"room for one, two senders", {"b", "b", "rr"}, 1, false, false},
    {"room for one, two receivers", {"bb", "r", "r"}, 1, false, false},
    {"room for one, one sender", {"bb", "rr"}, 1, true, true},
    {"room for two, batches", {"B", "b", "RR"}, 2, false, false},
    {"room for one, where others wait for two and one", {"PD", "b", "rh"}, 2, false, false},
    {"room for two, where others wait for three and two", {"PpE", "B", "Rh"}, 3, false, false},
    {"no room", {"ppp", "g"}, 1, false, false},
    {"a sender whose time is up", {"dd", "b", "rr"}, 1, false, false},
    {"a receiver leaves one who waits for room", {"bb", "r"}, 1, false, false},
    {"a close under one who waits for room", {"bb", "c", "g"}, 1, false, false},
};

static struct bed {
    const struct row *row;
    ed_channel *channel;
    ed_counting_alloc memory;
    history history;
    uint32_t next_item;
    int others_ended; /* whether only the one that stays has not */
    size_t ended;
    size_t accepted;
    size_t pulled;
    size_t dropped;
} bed;

static void count_drop(void *context, void *item)
{
    (void)context;
    (void)item;
    bed.dropped++;
}

static bool is_receiver(const char *calls)
{
    return strpbrk(calls, "grRtwWs") != NULL;
}

static call *begin_call(call_kind kind)
{
    call *c = &bed.history.calls[bed.history.count++];

    CHECK("calls", bed.history.count <= HISTORY_CALLS_MAX);
    *c = (call){.kind = kind, .began = model.now};
    return c;
}

static void end_call(call *c, eddy_status status)
{
    c->status = status;
    c->ended = model.now;
}

static void push(size_t count, uint64_t deadline_ns)
{
    call *c = begin_call(CALL_PUSH);

    c->count = count;
    for (size_t i = 0; i < count; i++)
        c->items[i] = ++bed.next_item;
    end_call(c, ed_channel_push_until(bed.channel, c->items, count, deadline_ns));
    bed.accepted += c->status == EDDY_OK ? count : 0;
}

static void look(call *c, size_t capacity, uint64_t deadline_ns)
{
    size_t count = 0;

    c->began = model.now;
    eddy_status status = ed_channel_pull(bed.channel, c->items, capacity, &count, deadline_ns);
    c->count = count;
    end_call(c, status);
    bed.pulled += count;
}

static void pull(size_t capacity, uint64_t deadline_ns)
{
    look(begin_call(CALL_PULL), capacity, deadline_ns);
}

/** The call is the last look: all before it would be too many. */
static void pull_by_descriptor(bool wait_first)
{
    call *c = begin_call(CALL_PULL);

    (void)ed_channel_fd(bed.channel);
    if (wait_first)
        model_wait(&bed.channel->bell.wake.write_fd);
    for (look(c, 1, 0); c->status == EDDY_EAGAIN; look(c, 1, 0))
        model_wait(&bed.channel->bell.wake.write_fd);
}

static void pull_by_sleep(void)
{
    call *c = begin_call(CALL_PULL);
    int fd = -1;

    for (look(c, 1, 0); c->status == EDDY_EAGAIN; look(c, 1, 0)) {
        if (ed_channel_begin_sleep(bed.channel, &fd) != EDDY_OK)
            continue;
        model_wait(&bed.channel->bell.wake.write_fd);
        ed_channel_end_sleep(bed.channel);
    }
}

static void close_all(void)
{
    call *c = begin_call(CALL_CLOSE);

    ed_channel_close(bed.channel);
    end_call(c, EDDY_OK);
}

static void do_call(char kind)
{
    switch (kind) {
    case 'p':
    case 'P':
        push(kind == 'p' ? 1 : 2, 0);
        break;
    case 'b':
    case 'B':
        push(kind == 'b' ? 1 : 2, ED_NEVER_NS);
        break;
    case 'd':
    case 'D':
        push(kind == 'd' ? 1 : 2, ED_NEVER_NS - 1);
        break;
    case 'E':
        push(3, ED_NEVER_NS - 1);
        break;
    case 'g':
        pull(1, 0);
        break;
    case 'r':
    case 'R':
        pull(kind == 'r' ? 1 : 2, ED_NEVER_NS);
        break;
    case 't':
        pull(1, ED_NEVER_NS - 1);
        break;
    case 'w':
    case 'W':
        pull_by_descriptor(kind == 'W');
        break;
    case 's':
        pull_by_sleep();
        break;
    case 'h':
        model_wait(&bed.others_ended);
        break;
    default:
        close_all();
    }
}

static void run_thread(int thread)
{
    const char *calls = bed.row->threads[thread];

    for (const char *at = calls; *at != '\0'; at++) {
        model_self()->is_late = false;
        do_call(*at);
    }
    bool receives = is_receiver(calls);
    call *c = begin_call(receives ? CALL_LEAVE_RECEIVERS : CALL_LEAVE_SENDERS);
    if (receives)
        ed_channel_leave_receiver(bed.channel);
    else
        ed_channel_leave_sender(bed.channel);
    end_call(c, EDDY_OK);
    bed.others_ended = ++bed.ended + 1 == model.thread_count;
    model_self()->need = NEED_NO_MORE;
}

static size_t open_channel(const struct row *row)
{
    size_t count = 0;

    bed.row = row;
    bed.history = (history){.capacity = row->capacity};
    bed.next_item = 0;
    bed.others_ended = 0;
    bed.ended = 0;
    bed.accepted = 0;
    bed.pulled = 0;
    bed.dropped = 0;
    bed.channel = ed_channel_open(&(ed_channel_form){.allocator = &bed.memory.allocator,
                                                     .item_size = sizeof(uint32_t),
                                                     .capacity = row->capacity,
                                                     .one_sender = row->one_sender,
                                                     .one_receiver = row->one_receiver,
                                                     .drop = count_drop});
    CHECK("open", bed.channel != NULL);
    for (; row->threads[count] != NULL; count++) {
        if (is_receiver(row->threads[count])) {
            ed_channel_add_receiver(bed.channel);
            bed.history.receivers++;
        } else {
            ed_channel_add_sender(bed.channel);
            bed.history.senders++;
        }
    }
    ed_channel_leave_receiver(bed.channel);
    ed_channel_leave_sender(bed.channel);
    return count;
}

/** Runs one script. */
static void run_script(const struct row *row)
{
    size_t count = open_channel(row);
    bool ended = model_run(count, run_thread);

    if (!ended || !history_is_linear(&bed.history))
        history_print(&bed.history);
    CHECK(row->name, ended);
    CHECK(row->name, history_is_linear(&bed.history));
    CHECK_EQ(row->name, bed.pulled + bed.dropped, bed.accepted);
    CHECK_EQ(row->name, bed.memory.live_count, 0);
}

static void every_interleaving(void **state)
{
    uint64_t script_max = ed_seeds_slow_build() ? SCRIPTS_SLOW_MAX : UINT64_MAX;

    (void)state;
    ed_counting_alloc_init(&bed.memory, NULL);
    model.preemption_max = getenv("EDDY_FULL") != NULL ? PREEMPTIONS_FULL : PREEMPTIONS_QUICK;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t scripts = 0;
        do
            run_script(&rows[i]);
        while (++scripts < script_max && model_next_script());
        model.choice_count = 0;
        printf("%-54s %8llu interleavings\n", rows[i].name, (unsigned long long)scripts);
        CHECK(rows[i].name, scripts > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_interleaving)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
