/** The event loop: its descriptors, posts and timers, and when it ends. */
#include "tests/unit/loop_bed.h"

#define CPU_NS_MAX ED_NS_PER_MS /* of a loop that has nothing to do */

/* ---------------------------------------------------------------------------------- its watches */

typedef struct watched {
    int ends[2];
    size_t bytes;
    unsigned end_count;
} watched;

static bool drain(void *context, eddy_watch *watch, unsigned ready)
{
    watched *w = context;
    char bytes[64];

    (void)watch;
    CHECK("readable", (ready & EDDY_FD_READABLE) != 0);
    calls++;
    ssize_t got = read(w->ends[0], bytes, sizeof bytes);
    if (got > 0)
        w->bytes += (size_t)got;
    w->end_count += got == 0;
    return got != 0;
}

static eddy_watch *watch_pipe(watched *w)
{
    eddy_watch *watch = NULL;

    *w = (watched){.bytes = 0};
    open_pipe(w->ends);
    CHECK_EQ("watch", eddy_watch_create(loop, w->ends[0], EDDY_FD_READABLE, drain, w, &watch),
             EDDY_OK);
    return watch;
}

static void a_watch_is_called_while_it_is_ready(void **state)
{
    watched w;
    eddy_watch *watch = watch_pipe(&w);

    (void)state;
    CHECK_EQ("nothing", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    CHECK_EQ("write", write(w.ends[1], "abc", 3), 3);
    CHECK_EQ("something", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("all of it", w.bytes, 3);
    CHECK_EQ("no more", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    CHECK_EQ("write", write(w.ends[1], "d", 1), 1);
    CHECK_EQ("pause", eddy_watch_set(watch, 0), EDDY_OK);
    CHECK_EQ("paused", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    CHECK_EQ("go on", eddy_watch_set(watch, EDDY_FD_READABLE), EDDY_OK);
    CHECK_EQ("goes on", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("no such interest", eddy_watch_set(watch, 4), EDDY_EINVAL);
    CHECK_EQ("not while it is there", eddy_loop_destroy(loop), EDDY_ESTATE);
    CHECK_EQ("destroy", eddy_watch_destroy(watch), EDDY_OK);
    CHECK_EQ("nobody", eddy_watch_destroy(NULL), EDDY_OK);
    close_pipe(w.ends);
}

/** An end of a stream, and a closed channel, are ready for ever: told once, then no event. */
static void an_end_is_told_once_and_keeps_nobody_busy(void **state)
{
    watched w;
    eddy_watch *watch = watch_pipe(&w);

    (void)state;
    (void)close(w.ends[1]);
    uint64_t used_ns = ed_clock_thread_ns();
    CHECK_EQ("the end", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("and then nothing", eddy_loop_poll(loop, 10), EDDY_EAGAIN);
    used_ns = ed_clock_thread_ns() - used_ns;
    CHECK("asleep", used_ns < CPU_NS_MAX || ed_seeds_slow_build());
    CHECK_EQ("once", w.end_count, 1);
    CHECK_EQ("called", calls, 1);
    CHECK_EQ("so nothing refers to the loop", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("destroy", eddy_watch_destroy(watch), EDDY_OK);
    (void)close(w.ends[0]);
}

static eddy_watch *pair[2];

/** Whichever comes first destroys both, itself among them. */
static bool destroy_pair(void *context, eddy_watch *watch, unsigned ready)
{
    (void)context, (void)watch, (void)ready;
    calls++;
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ("destroy", eddy_watch_destroy(pair[i]), EDDY_OK);
        pair[i] = NULL;
    }
    return false;
}

static void a_watch_may_destroy_others_that_are_ready(void **state)
{
    int ends[2][2];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_pipe(ends[i]);
        CHECK_EQ("write", write(ends[i][1], "x", 1), 1);
        CHECK_EQ(
            "watch",
            eddy_watch_create(loop, ends[i][0], EDDY_FD_READABLE, destroy_pair, NULL, &pair[i]),
            EDDY_OK);
    }
    CHECK_EQ("poll", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("the first alone", calls, 1);
    close_pipe(ends[0]);
    close_pipe(ends[1]);
}

static void what_cannot_be_watched_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *path; /* NULL: descriptor `fd` */
        int fd;
        unsigned interest;
        eddy_status want;
    } rows[] = {
        {"no descriptor", NULL, -1, EDDY_FD_READABLE, EDDY_EINVAL},
        {"not open", NULL, 1000, EDDY_FD_READABLE, EDDY_EINVAL},
        {"a plain file", "/proc/self/exe", 0, EDDY_FD_READABLE, EDDY_EINVAL},
        {"a folder", "/", 0, EDDY_FD_READABLE, EDDY_EINVAL},
        {"for nothing known", "/dev/null", 0, 8, EDDY_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_watch *watch = NULL;
        int fd = rows[i].path == NULL ? rows[i].fd : open(rows[i].path, O_RDONLY | O_CLOEXEC);
        CHECK_EQ(rows[i].name, eddy_watch_create(loop, fd, rows[i].interest, drain, NULL, &watch),
                 rows[i].want);
        CHECK(rows[i].name, watch == NULL);
        if (rows[i].path != NULL)
            (void)close(fd);
    }
}

/* ------------------------------------------------------------------------------------ its posts */

static char text[8];

static void add_letter(void *context)
{
    size_t size = strlen(text);

    CHECK("room", size + 1 < sizeof text);
    text[size] = *(const char *)context;
}

static void post_another(void *context)
{
    count_call(context);
    CHECK_EQ("post", eddy_loop_post(loop, count_call, NULL), EDDY_OK);
}

static void posts_run_in_order_and_then_it_ends(void **state)
{
    static char letters[] = "abc";

    (void)state;
    memset(text, 0, sizeof text);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ("post", eddy_loop_post(loop, add_letter, &letters[i]), EDDY_OK);
    CHECK_STR("nothing runs yet", text, "");
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_STR("in order", text, "abc");
    for (size_t i = 0; i < MANY; i++)
        CHECK_EQ("post", eddy_loop_post(loop, count_call, NULL), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("all", calls, MANY);
    CHECK_EQ("post", eddy_loop_post(loop, post_another, NULL), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("and what they post", calls, MANY + 2);
    CHECK_EQ("post", eddy_loop_post(loop, count_call, NULL), EDDY_OK); // forgotten
}

/* ----------------------------------------------------------------------------------- its timers */

static uint64_t called_ns;

static void note_time(void *context, eddy_timer *timer, uint64_t periods)
{
    (void)context, (void)timer, (void)periods;
    called_ns = ed_clock_now_ns();
    CHECK("the round began when it was due", eddy_loop_now_ns(loop) <= called_ns);
    calls++;
}

static void a_timer_keeps_it_asleep_until_its_time(void **state)
{
    eddy_timer *timer = NULL;

    (void)state;
    CHECK_EQ("create", eddy_timer_create(loop, note_time, NULL, &timer), EDDY_OK);
    CHECK_EQ("not started", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("start", eddy_timer_start(timer, 3600 * ED_NS_PER_S), EDDY_OK);
    CHECK_EQ("in vain", eddy_loop_poll(loop, 1), EDDY_EAGAIN);
    uint64_t before_ns = ed_clock_now_ns();
    uint64_t used_ns = ed_clock_thread_ns();
    CHECK_EQ("start", eddy_timer_start(timer, 5 * ED_NS_PER_MS), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("called", calls, 1);
    CHECK("never early", called_ns - before_ns >= 5 * ED_NS_PER_MS);
    used_ns = ed_clock_thread_ns() - used_ns;
    CHECK("asleep", used_ns < CPU_NS_MAX || ed_seeds_slow_build());
    CHECK_EQ("destroy", eddy_timer_destroy(timer), EDDY_OK);
}

/* --------------------------------------------------------------------------------------- its end
 */

static eddy_stop *create_stop(void)
{
    eddy_stop *stop = NULL;

    CHECK_EQ("stop", eddy_stop_create(&stop, &memory.allocator), EDDY_OK);
    return stop;
}

static void request_stop(void *context)
{
    count_call(NULL);
    (void)eddy_stop_request(context, 0, 0);
}

static void request_stop_late(void *context)
{
    (void)eddy_stop_wait(context, 2); // the loop sleeps by then; and if it does not, no harm
    request_stop(context);
}

static void a_stop_ends_it_though_more_could_come(void **state)
{
    eddy_stop *stop = create_stop();
    watched w;
    eddy_watch *watch = watch_pipe(&w);
    ed_thread thread;

    (void)state;
    CHECK_EQ("thread", ed_thread_start(&thread, "stopper", request_stop_late, stop), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, stop), EDDY_OK);
    ed_thread_join(&thread);
    CHECK("was stopped", eddy_stop_requested(stop));
    CHECK_EQ("write", write(w.ends[1], "x", 1), 1);
    CHECK_EQ("run again", eddy_loop_run(loop, stop), EDDY_OK);
    CHECK_EQ("what is ready still comes", w.bytes, 1);
    CHECK_EQ("watch", eddy_watch_destroy(watch), EDDY_OK);
    close_pipe(w.ends);
    eddy_stop_disown(stop);
}

static void leave_stop(void *context)
{
    count_call(NULL);
    CHECK_EQ("it is told as long as it runs", eddy_stop_subscribers(context), 1);
    CHECK_EQ("disown", eddy_stop_disown(context), EDDY_OK);
}

/** Whose last owner leaves while the loop runs: that is a stop, too, and the loop still reads it.
 */
static void a_stop_outlives_the_loop_that_it_ends(void **state)
{
    eddy_stop *stop = create_stop();

    (void)state;
    eddy_loop_ref(loop); // so that nothing else ends it
    CHECK_EQ("post", eddy_loop_post(loop, leave_stop, stop), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, stop), EDDY_OK);
    CHECK_EQ("ran", calls, 1);
    CHECK_EQ("unref", eddy_loop_unref(loop), EDDY_OK);
}

static void what_came_before_the_stop_is_not_lost(void **state)
{
    eddy_stop *stop = create_stop();

    (void)state;
    (void)eddy_stop_request(stop, 0, EDDY_FOREVER);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ("post", eddy_loop_post(loop, count_call, NULL), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, stop), EDDY_OK);
    CHECK_EQ("all ran", calls, MANY);
    eddy_stop_disown(stop);
}

/** Posts itself as often as the number says. */
static void post_itself(void *context)
{
    unsigned *left = context;

    calls++;
    if (--*left > 0)
        CHECK_EQ("post", eddy_loop_post(loop, post_itself, left), EDDY_OK);
}

/** Without a grace one round, and no more, is run of what would go on for ever. */
static void the_grace_bounds_what_follows_a_stop(void **state)
{
    static const struct {
        const char *name;
        uint32_t grace_ms;
        unsigned posts;
        unsigned least, most; /* calls */
    } rows[] = {
        {"no limit", EDDY_FOREVER, 5, 5, 5},
        {"an hour", 3600 * 1000, 5, 5, 5},
        {"2 ms", 2, UINT32_MAX, 1, UINT32_MAX - 1},
        {"none", 0, UINT32_MAX, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_stop *stop = create_stop();
        unsigned left = rows[i].posts;
        CHECK_EQ(rows[i].name, eddy_loop_post(loop, post_itself, &left), EDDY_OK);
        calls = 0;
        (void)eddy_stop_request(stop, 0, rows[i].grace_ms);
        CHECK_EQ(rows[i].name, eddy_loop_run(loop, stop), EDDY_OK);
        CHECK(rows[i].name, calls >= rows[i].least && calls <= rows[i].most);
        left = 1; // the last
        (void)eddy_loop_poll(loop, 0);
        eddy_stop_disown(stop);
    }
}

static void a_stop_that_is_not_requested_changes_nothing(void **state)
{
    eddy_stop *stop = create_stop();

    (void)state;
    CHECK_EQ("nothing to do", eddy_loop_run(loop, stop), EDDY_OK);
    CHECK_EQ("post", eddy_loop_post(loop, count_call, NULL), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, stop), EDDY_OK);
    CHECK_EQ("ran", calls, 1);
    eddy_stop_disown(stop);
}

static void every_lack_of_memory_is_a_status(void **state)
{
    eddy_status status = EDDY_ENOMEM;

    (void)state;
    uint64_t before = memory.live_count;
    for (uint64_t after = 0; status == EDDY_ENOMEM; after++) {
        eddy_loop *made = NULL;
        eddy_timer *timer = NULL;
        eddy_wake *wake = NULL;
        eddy_watch *watch = NULL;
        memory.fail_after = after;
        status = eddy_loop_create(&made, &memory.allocator);
        if (status == EDDY_OK)
            status = eddy_timer_create(made, note_time, NULL, &timer);
        if (status == EDDY_OK)
            status = eddy_wake_create(made, count_call, NULL, &wake);
        if (status == EDDY_OK)
            status = eddy_watch_create(made, STDERR_FILENO, 0, drain, NULL, &watch);
        if (status == EDDY_OK)
            status = eddy_loop_post(made, count_call, NULL);
        CHECK_EQ("watch", eddy_watch_destroy(watch), EDDY_OK);
        CHECK_EQ("wake", eddy_wake_destroy(wake), EDDY_OK);
        CHECK_EQ("timer", eddy_timer_destroy(timer), EDDY_OK);
        CHECK_EQ("loop", eddy_loop_destroy(made), EDDY_OK);
        CHECK_EQ("leaked", memory.live_count, before);
    }
    CHECK_EQ("in the end", status, EDDY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(a_watch_is_called_while_it_is_ready),
        WITH_LOOP(an_end_is_told_once_and_keeps_nobody_busy),
        WITH_LOOP(a_watch_may_destroy_others_that_are_ready),
        WITH_LOOP(what_cannot_be_watched_is_refused),
        WITH_LOOP(posts_run_in_order_and_then_it_ends),
        WITH_LOOP(a_timer_keeps_it_asleep_until_its_time),
        WITH_LOOP(a_stop_ends_it_though_more_could_come),
        WITH_LOOP(a_stop_outlives_the_loop_that_it_ends),
        WITH_LOOP(what_came_before_the_stop_is_not_lost),
        WITH_LOOP(the_grace_bounds_what_follows_a_stop),
        WITH_LOOP(a_stop_that_is_not_requested_changes_nothing),
        WITH_LOOP(every_lack_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
