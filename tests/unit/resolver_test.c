/** Looking names up on threads, without any manager: results, slow answers, and who cleans up. */
#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "transport/resolver.h"

enum { JOBS = 20, LIMIT_MS = 20000 };

static ed_counting_alloc memory;

/** An own resolver that answers when it is told to, and what took the results. */
static struct desk {
    ed_mutex mutex;
    ed_condition changed;
    bool is_open; /* look-ups may end */
    unsigned asked;
    unsigned answered;
    eddy_connection connection[JOBS];
    size_t count[JOBS];
    eddy_address address[JOBS]; /* the last of them; family NONE: there was none */
} desk;

static void lock(void)
{
    ed_mutex_lock(&desk.mutex);
}

static void unlock(void)
{
    ed_condition_broadcast(&desk.changed);
    ed_mutex_unlock(&desk.mutex);
}

/** "10.0.0.N:1" is itself; anything else is said to have an odd address, or none. */
static eddy_status resolve(void *context, const char *host_port, eddy_address *address,
                           size_t capacity, size_t *count)
{
    CHECK("context", context == &desk);
    *count = strncmp(host_port, "many:", 5) == 0 ? capacity + 5 : 1;
    for (size_t i = 0; i < capacity; i++) // of "many" every second is none to connect to
        address[i] = ed_addr_ipv4(10, 0, 0, (uint8_t)i, (uint16_t)(i % 2));
    lock();
    desk.asked++;
    ed_condition_broadcast(&desk.changed);
    while (!desk.is_open)
        ed_condition_wait(&desk.changed, &desk.mutex, UINT64_MAX);
    unlock();
    if (strcmp(host_port, "no-family:1") == 0)
        address->family = EDDY_FAMILY_NONE;
    if (strcmp(host_port, "no-family:1") == 0 || strcmp(host_port, "many:1") == 0)
        return EDDY_OK;
    if (strcmp(host_port, "no-port:1") == 0)
        *address = ed_addr_ipv4(10, 0, 0, 1, 0);
    if (strcmp(host_port, "no-port:1") == 0)
        return EDDY_OK;
    return eddy_address_parse(address, host_port);
}

static void take(void *context, eddy_connection connection, eddy_address *addresses, size_t count)
{
    CHECK("context", context == &memory);
    lock();
    CHECK("room", desk.answered < JOBS);
    desk.connection[desk.answered] = connection;
    desk.count[desk.answered] = count;
    desk.address[desk.answered++] = count == 0 ? (eddy_address){0} : addresses[count - 1];
    unlock();
}

static ed_resolver *open_resolver(void)
{
    eddy_resolver how = {.context = &desk, .resolve = resolve};
    ed_resolver *resolver = ed_resolver_create(&memory.allocator, &how, take, &memory);

    CHECK("resolver", resolver != NULL);
    return resolver;
}

static void set_open(bool is_open)
{
    lock();
    desk.is_open = is_open;
    unlock();
}

static void await_count(const unsigned *count, unsigned want)
{
    uint64_t until_ns = ed_clock_now_ns() + LIMIT_MS * ED_NS_PER_MS;

    lock();
    while (*count < want && ed_clock_now_ns() < until_ns)
        ed_condition_wait(&desk.changed, &desk.mutex, until_ns);
    CHECK_EQ("in time", *count, want);
    unlock();
}

/** The last thread has no way to say that it has freed everything. */
static void await_memory(void)
{
    uint64_t until_ns = ed_clock_now_ns() + LIMIT_MS * ED_NS_PER_MS;

    while (memory.live_count > 0 && ed_clock_now_ns() < until_ns) {
        lock();
        ed_condition_wait(&desk.changed, &desk.mutex, ed_clock_now_ns() + ED_NS_PER_MS);
        unlock();
    }
    CHECK_EQ("memory", memory.live_count, 0);
}

static int open_desk(void **state)
{
    (void)state;
    ed_counting_alloc_init(&memory, NULL); // once: the last thread may still be leaving it
    return ed_mutex_init(&desk.mutex) == EDDY_OK && ed_condition_init(&desk.changed) == EDDY_OK
               ? 0
               : -1;
}

static int setup(void **state)
{
    (void)state;
    lock();
    desk.is_open = true;
    desk.asked = desk.answered = 0;
    unlock();
    memory.fail_after = UINT64_MAX;
    return 0;
}

static void answers(void **state)
{
    static const struct {
        const char *host_port;
        uint8_t family;
    } rows[] = {
        {"10.0.0.7:1", EDDY_FAMILY_IPV4}, {"[::1]:4242", EDDY_FAMILY_IPV6},
        {"unknown:1", EDDY_FAMILY_NONE},  {"no-family:1", EDDY_FAMILY_NONE},
        {"no-port:1", EDDY_FAMILY_NONE},  {"many:1", EDDY_FAMILY_IPV4},
    };

    (void)state;
    ed_resolver *resolver = open_resolver();
    CHECK("idle", !ed_resolver_is_busy(resolver));
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].host_port, ed_resolver_start(resolver, rows[i].host_port, i + 1), EDDY_OK);
        await_count(&desk.answered, (unsigned)i + 1);
        CHECK_EQ(rows[i].host_port, desk.connection[i], i + 1);
        CHECK_EQ(rows[i].host_port, desk.address[i].family, rows[i].family);
    }
    CHECK_EQ("port", desk.address[1].port, 4242);
    CHECK_EQ("the good ones of those for which there was room", desk.count[ED_COUNT(rows) - 1], 8);
    CHECK_EQ("in order", desk.address[ED_COUNT(rows) - 1].ip[3], 15);
    ed_resolver_close(resolver);
    await_memory();
}

/** None waits for another, and each result goes to whom it belongs. */
static void many_at_once(void **state)
{
    char host_port[32];
    bool seen[JOBS] = {false};

    (void)state;
    set_open(false);
    ed_resolver *resolver = open_resolver();
    for (unsigned i = 0; i < JOBS; i++) {
        eddy_address address = ed_addr_ipv4(10, 0, 0, (uint8_t)i, 1);
        char text[EDDY_ADDRESS_TEXT_SIZE];
        strncpy(host_port, eddy_address_print(&address, text), sizeof(host_port) - 1);
        CHECK_EQ("start", ed_resolver_start(resolver, host_port, i), EDDY_OK);
        CHECK("busy", ed_resolver_is_busy(resolver)); // with the first alone, too
    }
    await_count(&desk.asked, JOBS);
    CHECK_EQ("none yet", desk.answered, 0);
    set_open(true);
    await_count(&desk.answered, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        CHECK("once", !seen[desk.connection[i]]);
        seen[desk.connection[i]] = true;
        CHECK_EQ("whose", desk.address[i].ip[3], desk.connection[i]);
    }
    ed_resolver_close(resolver);
    await_memory();
}

/** Nobody waits for a slow one, and nobody hears of it any more; the last one frees everything. */
static void closing_does_not_wait(void **state)
{
    (void)state;
    set_open(false);
    ed_resolver *resolver = open_resolver();
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ("start", ed_resolver_start(resolver, "10.0.0.1:1", i), EDDY_OK);
    await_count(&desk.asked, 3);
    ed_resolver_close(resolver);
    CHECK("still there", memory.live_count > 0);
    set_open(true);
    await_memory();
    CHECK_EQ("nobody was told", desk.answered, 0);
}

static void out_of_memory(void **state)
{
    (void)state;
    memory.fail_after = 0;
    CHECK("none", ed_resolver_create(&memory.allocator, NULL, take, &memory) == NULL);
    memory.fail_after = 1;
    ed_resolver *resolver = open_resolver();
    CHECK_EQ("no look-up", ed_resolver_start(resolver, "10.0.0.1:1", 1), EDDY_ENOMEM);
    CHECK("idle", !ed_resolver_is_busy(resolver));
    ed_resolver_close(resolver);
    CHECK_EQ("memory", memory.live_count, 0);
    ed_resolver_close(NULL);
}

/** The system's own, asked for what it need not ask anybody about. */
static void the_system(void **state)
{
    (void)state;
    ed_resolver *resolver = ed_resolver_create(&memory.allocator, NULL, take, &memory);
    CHECK_EQ("start", ed_resolver_start(resolver, "192.0.2.1:7", 5), EDDY_OK);
    await_count(&desk.answered, 1);
    CHECK_EQ("port", desk.address[0].port, 7);
    ed_resolver_close(resolver);
    await_memory();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(answers, setup),
        cmocka_unit_test_setup(many_at_once, setup),
        cmocka_unit_test_setup(closing_does_not_wait, setup),
        cmocka_unit_test_setup(out_of_memory, setup),
        cmocka_unit_test_setup(the_system, setup),
    };
    return cmocka_run_group_tests_name("resolver", tests, open_desk, NULL);
}
