/**
 * A manager with a thread of its own shuts down on the loopback interface, asked by two threads at
 * once while others send, dial and are dialled: what eddy_shutdown promises is kept all the same.
 */
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"

enum {
    PEERS = 4,
    SENDERS = 2,
    ENDERS = 2,
    GUESTS_MAX = 512, /* connections of a manager, ever */
    DIALS_MAX = 100,  /* of them dialled by one thread, for each manager; half before the end */
    SIZE = 100,
    ACKED_MIN = 300, /* before the end */
    FLUSH_MS = 150,
    SLACK_MS = 6000, /* of a busy machine; an end that is missed comes by the idle timeout, later */
    IDLE_MS = 20000,
    LINE = 512,       /* of a list of mappings */
    LIMIT_MS = 30000, /* until something that has to come counts as lost */
};

/** What is known of one connection of the manager that ends. */
struct guest {
    eddy_connection handle;
    uint64_t accepted; /* reliable messages, each with a receipt */
    uint64_t receipts;
    uint64_t acked;
    uint64_t undelivered;
    uint32_t begins;
    uint32_t ends;
};

static struct {
    ed_mutex mutex; /* of the guests */
    struct guest guests[GUESTS_MAX];
    size_t guest_count;
    uint64_t acked;

    ed_counting_alloc memory[1 + PEERS];
    eddy_manager *ending;
    unsigned long secrets; /* kB that it took for them */
    eddy_manager *peers[PEERS];
    size_t peer_count;
    eddy_address target; /* whom everybody dials */
    bool dials;          /* the manager that ends does */
    atomic_bool is_over; /* the peers may stop */
    atomic_uint enders;  /* that are there */
    uint32_t flush_ms[ENDERS];
} t;

/* ------------------------------------------------------------------------------ the counting -- */

/** Under the mutex. */
static struct guest *guest_of(eddy_connection handle)
{
    for (size_t i = 0; i < t.guest_count; i++)
        if (t.guests[i].handle == handle)
            return &t.guests[i];
    CHECK("room", t.guest_count < GUESTS_MAX);
    t.guests[t.guest_count] = (struct guest){.handle = handle};
    return &t.guests[t.guest_count++];
}

static void count_event(const eddy_event *event)
{
    ed_mutex_lock(&t.mutex);
    struct guest *guest = guest_of(event->connection);
    bool is_acked = event->type == EDDY_RECEIPT && event->receipt.outcome == EDDY_OUTCOME_ACKED;

    CHECK_EQ("nothing follows the last", guest->ends, 0);
    guest->begins += event->type == EDDY_CONNECTED ? 1 : 0;
    guest->receipts += event->type == EDDY_RECEIPT ? 1 : 0;
    guest->acked += is_acked ? 1 : 0;
    t.acked += is_acked ? 1 : 0;
    if (event->type == EDDY_DISCONNECTED) {
        guest->ends++;
        guest->undelivered = event->disconnected.undelivered;
    }
    ed_mutex_unlock(&t.mutex);
}

static void count_accepted(eddy_connection handle)
{
    ed_mutex_lock(&t.mutex);
    guest_of(handle)->accepted++;
    ed_mutex_unlock(&t.mutex);
}

/** What is said again and again must be one of these. */
static bool is_fair(eddy_status status)
{
    return status == EDDY_OK || status == EDDY_EAGAIN || status == EDDY_ECONNECTION ||
           status == EDDY_ECLOSED || status == EDDY_ELIMIT || status == EDDY_ENOMEM;
}

/* --------------------------------------------------------------------------- the other threads --
 */

static eddy_status say(eddy_manager *manager, eddy_connection to, uint64_t receipt)
{
    static const uint8_t text[SIZE];
    const eddy_send_options options = {.receipt = receipt};

    return eddy_send_with(manager, to, EDDY_RELIABLE_ORDERED, 0, text, sizeof(text), &options);
}

/** Sends to all connections of the manager that ends, until it takes nothing any more. */
static void keep_sending(void *context)
{
    eddy_connection handles[GUESTS_MAX];
    eddy_status status = EDDY_OK;

    (void)context;
    while (status != EDDY_ECLOSED) {
        size_t count = eddy_connections(t.ending, handles, GUESTS_MAX);
        for (size_t i = 0; i < ed_min_size(count, GUESTS_MAX); i++) {
            status = say(t.ending, handles[i], 1);
            CHECK("send", is_fair(status));
            if (status == EDDY_OK)
                count_accepted(handles[i]);
            if (status == EDDY_ECLOSED)
                break;
        }
        if (atomic_load(&t.is_over)) // it may have ended with nobody to send to
            break;
        ed_thread_yield();
    }
}

/** The manager that ends dials by itself, too. */
static void keep_dialling(void *context)
{
    eddy_connection handle = 0;
    eddy_status status = EDDY_OK;
    unsigned dials = 0;

    (void)context;
    while (t.dials && dials < DIALS_MAX && status != EDDY_ECLOSED) {
        ed_thread_yield();
        if (dials >= DIALS_MAX / 2 && atomic_load(&t.enders) == 0)
            continue;
        dials++;
        status = eddy_connect_address(t.ending, &t.target, ed_test_options(), &handle);
        CHECK("dial", is_fair(status));
    }
}

/** All peers: they take what comes, answer it, and come again when they are sent away. */
static void keep_visiting(void *context)
{
    eddy_connection handles[PEERS] = {0};
    unsigned dials[PEERS] = {0};
    eddy_event event;

    (void)context;
    while (!atomic_load(&t.is_over))
        for (size_t i = 0; i < t.peer_count; i++) {
            if (!t.dials && handles[i] == 0 && dials[i]++ < DIALS_MAX)
                (void)!eddy_connect_address(t.peers[i], &t.target, ed_test_options(), &handles[i]);
            for (unsigned n = 0; n < 64 && eddy_next(t.peers[i], &event, n == 0) == EDDY_OK; n++) {
                if (event.type == EDDY_MESSAGE && !t.dials && dials[i] % 2 == 0)
                    (void)!eddy_disconnect(t.peers[i], event.connection, 0, NULL, 0);
                else if (event.type == EDDY_MESSAGE)
                    (void)!say(t.peers[i], event.connection, 0);
                if (event.type == EDDY_DISCONNECTED)
                    handles[i] = 0;
                eddy_release(t.peers[i], &event);
            }
        }
}

/** Two ask at the same moment. From its return on nothing is taken. */
static void end(void *context)
{
    const uint32_t *flush_ms = context;
    eddy_connection handle = 0;

    (void)atomic_fetch_add(&t.enders, 1);
    while (atomic_load(&t.enders) < ENDERS)
        ed_thread_yield();
    eddy_shutdown(t.ending, *flush_ms);
    CHECK_EQ("dial after it", eddy_connect_address(t.ending, &t.target, ed_test_options(), &handle),
             EDDY_ECLOSED);
    eddy_shutdown(t.ending, EDDY_FOREVER); // can only bring the end nearer
}

/* --------------------------------------------------------------------------------- the world -- */

static void start(ed_thread *thread, void (*run)(void *context), void *context)
{
    CHECK_EQ("thread", ed_thread_start(thread, "test", run, context), EDDY_OK);
}

static unsigned count_tasks(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;

    CHECK("tasks", tasks != NULL);
    for (const struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks))
        count += entry->d_name[0] != '.' ? 1 : 0;
    (void)closedir(tasks);
    return count;
}

static void do_nothing(void *context)
{
    (void)context;
}

/** How many there are; a sanitizer adds one of its own with the first that is started. */
static unsigned thread_count(void)
{
    ed_thread first;

    start(&first, do_nothing, NULL);
    ed_thread_join(&first);
    return count_tasks();
}

/** The system takes a thread that was joined off its list a moment later. */
static void check_threads(const char *name, unsigned before)
{
    uint64_t limit_ns = ed_clock_now_ns() + LIMIT_MS * ED_NS_PER_MS;

    while (count_tasks() > before) {
        CHECK(name, ed_clock_now_ns() < limit_ns);
        ed_thread_yield();
    }
}

/** How many kB of the process are for secrets: no other pages are wiped in the child of a fork. */
static unsigned long secret_size(void)
{
    char line[LINE];
    unsigned long size = 0, all = 0;
    FILE *maps = fopen("/proc/self/smaps", "r");

    CHECK("maps", maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL) {
        (void)sscanf(line, "Size: %lu kB", &size);
        if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " wf") != NULL)
            all += size;
    }
    (void)fclose(maps);
    return all;
}

static eddy_manager *open_one(size_t i, bool accept, uint32_t shards)
{
    eddy_config config = eddy_config_default();
    eddy_manager *manager = NULL;

    ed_counting_alloc_init(&t.memory[i], NULL);
    config.allocator = &t.memory[i].allocator;
    config.bind = "127.0.0.1:0";
    config.accept = accept;
    config.shards = shards;
    config.idle_timeout_ms = IDLE_MS;
    config.secret_key = accept ? ed_test_secret() : NULL;
    CHECK_EQ("open", eddy_open(&manager, &config), EDDY_OK);
    return manager;
}

static void open_all(bool client_ends, uint32_t shards)
{
    t.guest_count = 0;
    t.acked = 0;
    t.dials = client_ends;
    t.peer_count = client_ends ? 1 : PEERS;
    atomic_store(&t.is_over, false);
    atomic_store(&t.enders, 0);
    unsigned long before = secret_size();
    t.ending = open_one(0, !client_ends, shards);
    t.secrets = secret_size() - before;
    CHECK("secrets", t.secrets > 0);
    for (size_t i = 0; i < t.peer_count; i++)
        t.peers[i] = open_one(1 + i, client_ends, 1);
    t.target = eddy_local_address(client_ends ? t.peers[0] : t.ending);
}

static void close_peers(void)
{
    for (size_t i = 0; i < t.peer_count; i++) {
        (void)eddy_close(t.peers[i], 0);
        CHECK_EQ("memory of a peer", t.memory[1 + i].live_count, 0);
    }
}

/** Closes it, and sees that nothing of it is left: of its secrets neither, as their pages are gone.
 * @return what eddy_close says. */
static eddy_status close_ending(const char *name, uint32_t flush_ms)
{
    unsigned long before = secret_size();
    eddy_status status = eddy_close(t.ending, flush_ms);

    CHECK_EQ(name, secret_size(), before - t.secrets);
    CHECK_EQ(name, t.memory[0].live_count, 0);
    return status;
}

/** Takes one event of the manager that ends. */
static eddy_status take_one(void)
{
    eddy_event event;
    eddy_status status = eddy_next(t.ending, &event, LIMIT_MS);

    if (status != EDDY_OK)
        return status;
    count_event(&event);
    eddy_release(t.ending, &event);
    return EDDY_OK;
}

/** Each message that was accepted has arrived, or is counted. */
static void check_guests(const char *name, uint64_t *undelivered)
{
    uint64_t accepted = 0;

    *undelivered = 0;
    for (size_t i = 0; i < t.guest_count; i++) {
        const struct guest *guest = &t.guests[i];
        CHECK_EQ(name, guest->ends, 1);
        CHECK(name, guest->begins <= 1);
        CHECK_EQ(name, guest->acked + guest->undelivered, guest->accepted);
        CHECK_EQ(name, guest->receipts, guest->accepted);
        accepted += guest->accepted;
        *undelivered += guest->undelivered;
    }
    CHECK(name, accepted >= ACKED_MIN);
}

static const struct row {
    const char *name;
    bool client_ends; /* else the server does */
    uint32_t shards;
    uint32_t flush_ms[ENDERS];
} rows[] = {
    {"server", false, 1, {FLUSH_MS, 2 * FLUSH_MS}},
    {"server, at once", false, 1, {0, 0}},
    {"server of two shards", false, 2, {EDDY_FOREVER, FLUSH_MS}},
    {"server of two shards, at once", false, 2, {FLUSH_MS, 0}},
    {"client", true, 1, {FLUSH_MS, FLUSH_MS}},
    {"client, at once", true, 1, {0, EDDY_FOREVER}},
};

static uint64_t limit_of(const struct row *row)
{
    return ed_min_u64(row->flush_ms[0], row->flush_ms[1]) + SLACK_MS;
}

static void run_row(const struct row *row)
{
    ed_thread senders[SENDERS], enders[ENDERS], dialler, visitors;
    unsigned threads = thread_count();
    uint64_t undelivered = 0;

    open_all(row->client_ends, row->shards);
    start(&visitors, keep_visiting, NULL);
    start(&dialler, keep_dialling, NULL);
    for (size_t i = 0; i < SENDERS; i++)
        start(&senders[i], keep_sending, NULL);
    while (t.acked < ACKED_MIN)
        CHECK_EQ(row->name, take_one(), EDDY_OK);

    uint64_t begin_ns = ed_clock_now_ns();
    for (size_t i = 0; i < ENDERS; i++) {
        t.flush_ms[i] = row->flush_ms[i];
        start(&enders[i], end, &t.flush_ms[i]);
    }
    eddy_status status = EDDY_OK;
    while (status == EDDY_OK)
        status = take_one();
    CHECK_EQ(row->name, status, EDDY_ECLOSED);
    CHECK(row->name, ed_clock_now_ns() - begin_ns < limit_of(row) * ED_NS_PER_MS);
    for (size_t i = 0; i < ENDERS; i++)
        ed_thread_join(&enders[i]);
    atomic_store(&t.is_over, true);
    for (size_t i = 0; i < SENDERS; i++)
        ed_thread_join(&senders[i]);
    ed_thread_join(&dialler);
    ed_thread_join(&visitors);

    CHECK_EQ(row->name, take_one(), EDDY_ECLOSED); // and so it stays
    check_guests(row->name, &undelivered);
    CHECK_EQ(row->name, close_ending(row->name, 0), undelivered == 0 ? EDDY_OK : EDDY_EAGAIN);
    close_peers();
    check_threads(row->name, threads);
}

static void promises_are_kept_among_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        run_row(&rows[i]);
}

/** eddy_close without a word before is a shutdown with the time that it is given. */
static void closing_is_enough(void **state)
{
    static const struct {
        const char *name;
        uint32_t shards;
        uint32_t flush_ms;
    } closings[] = {
        {"at once", 1, 0},
        {"two shards at once", 2, 0},
        {"two shards", 2, FLUSH_MS},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(closings); i++) {
        ed_thread visitors;
        unsigned threads = thread_count();
        open_all(false, closings[i].shards);
        start(&visitors, keep_visiting, NULL);
        for (size_t begun = 0; begun < PEERS; begun = t.guest_count)
            CHECK_EQ(closings[i].name, take_one(), EDDY_OK);
        uint64_t begin_ns = ed_clock_now_ns();
        (void)close_ending(closings[i].name, closings[i].flush_ms);
        uint64_t lasted_ns = ed_clock_now_ns() - begin_ns;
        CHECK(closings[i].name, lasted_ns < (closings[i].flush_ms + SLACK_MS) * ED_NS_PER_MS);
        atomic_store(&t.is_over, true);
        ed_thread_join(&visitors);
        close_peers();
        check_threads(closings[i].name, threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_are_kept_among_threads),
        cmocka_unit_test(closing_is_enough),
    };

    if (ed_mutex_init(&t.mutex) != EDDY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
