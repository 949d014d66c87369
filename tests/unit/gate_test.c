#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "tests/support/splitmix.h"
#include "transport/gate.h"

enum {
    RATE = 20,
    BURST = 5,
};

#define INTERVAL_NS (ED_NS_PER_S / RATE)

static ed_counting_alloc memory;
static ed_gate gate;
static uint64_t entropy_state;

static void fill(void *context, void *data, size_t size)
{
    uint8_t *bytes = data;

    (void)context;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)splitmix_next(&entropy_state);
}

static const eddy_entropy entropy = {.fill = fill};

static const ed_gate_limits defaults = {.capacity = ED_GATE_CAPACITY_MAX,
                                        .taken = ED_GATE_SAMPLE,
                                        .rate = RATE,
                                        .burst = BURST,
                                        .connections_max = 8};

static void open_gate(const ed_gate_limits *limits)
{
    ed_counting_alloc_init(&memory, NULL);
    entropy_state = 1;
    CHECK_EQ("init", ed_gate_init(&gate, &memory.allocator, &entropy, limits), EDDY_OK);
}

/** A connection that was confirmed. */
static void connect(const eddy_address *address)
{
    ed_gate_add(&gate, address);
    ed_gate_confirm(&gate, address);
}

static void close_gate(void)
{
    ed_gate_free(&gate);
    CHECK_EQ("memory left", memory.live_size, 0);
}

static eddy_address parse(const char *text)
{
    eddy_address address = {0};

    CHECK_EQ(text, eddy_address_parse(&address, text), EDDY_OK);
    return address;
}

static eddy_address numbered(uint32_t number)
{
    return ed_addr_ipv4((uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                        (uint8_t)number, 4242);
}

static void counts_by_address(void **state)
{
    static const struct {
        const char *name;
        const char *from;
        uint64_t at_ms;
        size_t want; /* are let in before one is refused */
    } rows[] = {
        {"full at first", "192.0.2.1:1", 0, 5},
        {"another port is the same", "192.0.2.1:2", 0, 0},
        {"another address is not", "192.0.2.2:1", 0, 5},
        {"one is back", "192.0.2.1:3", 50, 1},
        {"two are back", "192.0.2.1:1", 150, 2},
        {"a household", "[2001:db8:1:2:3::4]:1", 150, 5},
        {"in the same /64", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:9", 150, 0},
        {"in the next /64", "[2001:db8:1:3::4]:1", 150, 5},
        {"looks like 192.0.2.1, is not", "[c000:201::]:1", 150, 5},
        {"nor this", "[::192.0.2.1]:1", 150, 5},
        {"mapped, it is", "[::ffff:192.0.2.1]:1", 150, 0},
        {"full again", "192.0.2.1:1", 1000, 5},
    };
    (void)state;
    open_gate(&defaults);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address from = parse(rows[i].from);
        uint64_t now_ns = (1000 + rows[i].at_ms) * ED_NS_PER_MS;
        size_t got = 0;
        while (ed_gate_admits(&gate, &from, now_ns) == ED_GATE_OK)
            got++;
        CHECK_EQ(rows[i].name, got, rows[i].want);
        CHECK_EQ(rows[i].name, ed_gate_admits(&gate, &from, now_ns), ED_GATE_RATE);
    }
    close_gate();
}

static void caps_connections(void **state)
{
    ed_gate_limits limits = defaults;
    eddy_address here = parse("[2001:db8::1]:1"), same = parse("[2001:db8::2]:7");
    eddy_address there = parse("198.51.100.1:1");
    uint64_t now_ns = 0;

    (void)state;
    limits.connections_max = 2;
    open_gate(&limits);
    for (size_t i = 0; i < 2; i++, now_ns += ED_NS_PER_S) {
        CHECK_EQ("below", ed_gate_admits(&gate, &here, now_ns), ED_GATE_OK);
        connect(&here);
    }
    CHECK_EQ("counted", ed_gate_connections(&gate, &same), 2);
    for (size_t i = 0; i < BURST; i++)
        CHECK_EQ("full", ed_gate_admits(&gate, &same, now_ns), ED_GATE_CAP);
    CHECK_EQ("even a refusal costs", ed_gate_admits(&gate, &same, now_ns), ED_GATE_RATE);
    CHECK_EQ("others are free", ed_gate_admits(&gate, &there, now_ns), ED_GATE_OK);
    ed_gate_remove(&gate, &same, false);
    CHECK_EQ("one less", ed_gate_admits(&gate, &here, now_ns + ED_NS_PER_S), ED_GATE_OK);
    ed_gate_remove(&gate, &here, false);
    CHECK_EQ("none", ed_gate_connections(&gate, &here), 0);
    close_gate();
}

/** A forgery costs a bucket: the first what is left of it, those after it what it will have. */
static void makes_forgers_wait(void **state)
{
    eddy_address here = parse("198.51.100.1:1"), there = parse("198.51.100.2:1");

    (void)state;
    open_gate(&defaults);
    ed_gate_blame(&gate, &there, 0); // it never asked, so it is not known
    CHECK_EQ("unknown", gate.count, 0);
    CHECK_EQ("first", ed_gate_admits(&gate, &here, 0), ED_GATE_OK);
    ed_gate_blame(&gate, &here, 0);
    CHECK_EQ("empty", ed_gate_admits(&gate, &here, INTERVAL_NS), ED_GATE_RATE);
    CHECK_EQ("refilled", ed_gate_admits(&gate, &here, 2 * INTERVAL_NS), ED_GATE_OK);
    ed_gate_blame(&gate, &here, 2 * INTERVAL_NS);
    uint64_t until_ns = (3 + BURST) * INTERVAL_NS - 1;
    CHECK_EQ("in debt", ed_gate_admits(&gate, &here, until_ns - INTERVAL_NS), ED_GATE_RATE);
    CHECK_EQ("for so long", ed_gate_admits(&gate, &here, until_ns), ED_GATE_RATE);
    CHECK_EQ("and no longer", ed_gate_admits(&gate, &here, until_ns + 1), ED_GATE_OK);
    CHECK_EQ("others are free", ed_gate_admits(&gate, &there, 0), ED_GATE_OK);
    close_gate();
}

static void prefixes_have_bits(void **state)
{
    static const struct {
        const char *prefix;
        uint8_t bits;
        const char *address;
        bool is_valid;
        bool contains;
    } rows[] = {
        {"10.0.0.0:0", 8, "10.255.255.255:1", true, true},
        {"10.0.0.0:0", 8, "11.0.0.0:1", true, false},
        {"10.0.0.0:0", 9, "10.127.0.1:1", true, true},
        {"10.0.0.0:0", 9, "10.128.0.1:1", true, false},
        {"10.1.2.3:5", 31, "10.1.2.2:1", true, true},
        {"10.1.2.3:5", 32, "10.1.2.2:1", true, false},
        {"10.1.2.3:5", 32, "10.1.2.3:1", true, true},
        {"10.1.2.3:5", 0, "203.0.113.9:1", true, true},
        {"10.1.2.3:5", 0, "[::1]:1", true, false},
        {"10.1.2.3:5", 33, "10.1.2.3:1", false, false},
        {"[2001:db8::]:0", 32, "[2001:db8:ffff::1]:1", true, true},
        {"[2001:db8::]:0", 32, "[2001:db9::1]:1", true, false},
        {"[2001:db8::1]:0", 128, "[2001:db8::1]:1", true, true},
        {"[2001:db8::1]:0", 128, "[2001:db8::2]:1", true, false},
        {"[2001:db8::1]:0", 127, "[2001:db8::]:1", true, true},
        {"[2001:db8::1]:0", 129, "[2001:db8::1]:1", false, false},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_prefix prefix = {.address = parse(rows[i].prefix), .bits = rows[i].bits};
        eddy_address address = parse(rows[i].address);
        CHECK_EQ(rows[i].prefix, ed_prefix_valid(&prefix), rows[i].is_valid);
        if (rows[i].is_valid)
            CHECK_EQ(rows[i].address, ed_prefix_contains(&prefix, &address), rows[i].contains);
    }
    CHECK("no family", !ed_prefix_valid(&(eddy_prefix){0}));
}

/** What has not confirmed counts apart: nobody is told to go because of it. */
static void half_open_ones_count_apart(void **state)
{
    static const struct {
        const char *name;
        uint32_t connections_max, half_open_max;
        uint32_t open, half_open;
        ed_gate_verdict want;
    } rows[] = {
        {"nobody", 8, 4, 0, 0, ED_GATE_OK},
        {"one below both", 8, 4, 4, 3, ED_GATE_OK},
        {"as many half open as may be", 8, 4, 0, 4, ED_GATE_CROWD},
        {"no such limit", 8, 0, 0, 7, ED_GATE_OK},
        {"too many together", 8, 0, 1, 7, ED_GATE_CROWD},
        {"too many, all of them open", 8, 4, 8, 0, ED_GATE_CAP},
        {"and some that are not", 8, 4, 8, 2, ED_GATE_CAP},
        {"no limit at all", 0, 0, 9, 9, ED_GATE_OK},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_gate_limits limits = defaults;
        eddy_address here = numbered(1), there = numbered(2);
        limits.connections_max = rows[i].connections_max;
        limits.half_open_max = rows[i].half_open_max;
        open_gate(&limits);
        for (uint32_t k = 0; k < rows[i].open; k++)
            connect(&here);
        for (uint32_t k = 0; k < rows[i].half_open; k++)
            ed_gate_add(&gate, &here);
        CHECK_EQ(rows[i].name, ed_gate_admits(&gate, &here, 0), rows[i].want);
        CHECK_EQ("others are free", ed_gate_admits(&gate, &there, 0), ED_GATE_OK);
        CHECK_EQ(rows[i].name, ed_gate_half_open(&gate, &here), rows[i].half_open);
        for (uint32_t k = 0; k < rows[i].half_open; k++)
            ed_gate_remove(&gate, &here, true);
        bool is_full = rows[i].connections_max > 0 && rows[i].open >= rows[i].connections_max;
        CHECK_EQ("they end", ed_gate_admits(&gate, &here, 0), is_full ? ED_GATE_CAP : ED_GATE_OK);
        CHECK_EQ("the others stay", ed_gate_connections(&gate, &here), rows[i].open);
        close_gate();
    }
}

static void trusts_whom_it_is_told(void **state)
{
    const eddy_prefix trusted[] = {{.address = parse("203.0.113.0:0"), .bits = 24},
                                   {.address = parse("[2001:db8:7::]:0"), .bits = 48}};
    ed_gate_limits limits = defaults;
    eddy_address cafe = parse("203.0.113.200:1"), proxy = parse("[2001:db8:7::5]:1");
    eddy_address next_door = parse("203.0.114.1:1");

    (void)state;
    limits.trusted = trusted;
    limits.trusted_count = ED_COUNT(trusted);
    open_gate(&limits);
    for (size_t i = 0; i < 100; i++) {
        CHECK_EQ("cafe", ed_gate_admits(&gate, &cafe, 0), ED_GATE_OK);
        CHECK_EQ("proxy", ed_gate_admits(&gate, &proxy, 0), ED_GATE_OK);
        CHECK_EQ("not trusted", ed_gate_admits(&gate, &next_door, 0),
                 i < BURST ? ED_GATE_OK : ED_GATE_RATE);
        connect(&cafe);
    }
    CHECK_EQ("takes no entry", gate.count, 1);
    for (size_t i = 0; i < 100; i++)
        ed_gate_remove(&gate, &cafe, false);
    close_gate();
}

/** Resets leave to addresses that may be forged: those with one hash have one budget. */
static void few_resets_leave_to_one(void **state)
{
    enum { SOURCES = 100 * 1000, AT_ONCE = ED_GATE_RESETS_PER_S };
    const eddy_prefix trusted = {.address = parse("203.0.113.0:0"), .bits = 24};
    ed_gate_limits limits = defaults;
    const struct {
        const char *address;
        uint32_t times;
        uint64_t now_ns;
        uint32_t want;
    } rows[] = {
        {"10.1.2.3:1", 100, 0, AT_ONCE},
        {"10.1.2.3:2", 100, 0, 0}, // the port is no other
        {"10.1.2.4:1", 100, 0, AT_ONCE},
        {"10.1.2.3:1", 100, ED_NS_PER_S / AT_ONCE, 1},
        {"[2001:db8::1]:1", 100, 0, AT_ONCE},
        {"[2001:db8::2]:1", 100, 0, 0}, // of the same /64
        {"[2001:db8:0:1::1]:1", 100, 0, AT_ONCE},
        {"203.0.113.200:1", 100, 0, 100}, // trusted
        {"127.0.0.1:1", 100, 0, 100},
    };
    uint64_t sent = 0;

    (void)state;
    limits.trusted = &trusted;
    limits.trusted_count = 1;
    open_gate(&limits);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address address = parse(rows[i].address);
        uint32_t took = 0;
        for (uint32_t k = 0; k < rows[i].times; k++)
            took += ed_gate_takes_reset(&gate, &address, rows[i].now_ns);
        CHECK_EQ(rows[i].address, took, rows[i].want);
    }
    for (uint32_t i = 0; i < SOURCES; i++) {
        eddy_address address = numbered(i);
        sent += ed_gate_takes_reset(&gate, &address, ED_NS_PER_S * 10);
    }
    CHECK_EQ("all buckets are used, and no more", sent, ED_GATE_RESET_BUCKETS * AT_ONCE);
    CHECK_EQ("nobody is noted", gate.count, 0);
    close_gate();
}

/** A full table: connections stay, and of the strangers the one that says the least makes way. */
static void forgets_who_says_the_least(void **state)
{
    ed_gate_limits limits = defaults;
    eddy_address quiet = numbered(1), busy = numbered(2), connected = numbered(3);
    eddy_address newcomer = numbered(4);

    (void)state;
    limits.capacity = 3;
    limits.taken = 2;
    open_gate(&limits);
    for (size_t i = 0; i < BURST; i++) {
        CHECK_EQ("busy", ed_gate_admits(&gate, &busy, 0), ED_GATE_OK);
        CHECK_EQ("connected", ed_gate_admits(&gate, &connected, 0), ED_GATE_OK);
    }
    CHECK_EQ("quiet", ed_gate_admits(&gate, &quiet, 0), ED_GATE_OK);
    connect(&connected);
    CHECK_EQ("new", ed_gate_admits(&gate, &newcomer, 0), ED_GATE_OK);
    CHECK("valid", ed_gate_valid(&gate) && gate.count == 3);
    CHECK_EQ("busy is known", ed_gate_admits(&gate, &busy, 0), ED_GATE_RATE);
    CHECK_EQ("connected is known", ed_gate_admits(&gate, &connected, 0), ED_GATE_RATE);
    CHECK_EQ("connected", ed_gate_connections(&gate, &connected), 1);
    // Somebody with more tokens left than the newcomer was forgotten, and has them all again.
    for (size_t i = 0; i < BURST; i++)
        CHECK_EQ("quiet is not", ed_gate_admits(&gate, &quiet, 0), ED_GATE_OK);
    close_gate();
}

/* ------------------------------------------------------------------------------------ model -- */

/** The same in the simplest way: tokens are counted up, a list is searched. */
static struct model_entry {
    uint32_t number; /* of the address; 0: not in use */
    uint32_t connections;
    uint64_t tokens_ns; /* INTERVAL_NS each */
    uint64_t seen_ns;
} model[ED_GATE_SAMPLE];

static uint64_t model_full_ns(const struct model_entry *e)
{
    return e->seen_ns + BURST * INTERVAL_NS - e->tokens_ns;
}

static struct model_entry *model_find(uint32_t number, size_t capacity, uint64_t now_ns)
{
    struct model_entry *victim = NULL;

    for (size_t i = 0; i < capacity; i++)
        if (model[i].number == number)
            return &model[i];
    for (size_t i = 0; i < capacity; i++) {
        if (model[i].connections > 0)
            continue;
        if (model[i].number == 0) {
            victim = &model[i];
            break;
        }
        if (victim == NULL || model_full_ns(&model[i]) < model_full_ns(victim))
            victim = &model[i];
    }
    CHECK("there is one", victim != NULL);
    *victim =
        (struct model_entry){.number = number, .tokens_ns = BURST * INTERVAL_NS, .seen_ns = now_ns};
    return victim;
}

static ed_gate_verdict model_admits(struct model_entry *e, uint32_t cap, uint64_t now_ns)
{
    e->tokens_ns = ed_min_u64(e->tokens_ns + now_ns - e->seen_ns, BURST * INTERVAL_NS);
    e->seen_ns = now_ns;
    if (e->tokens_ns < INTERVAL_NS)
        return ED_GATE_RATE;
    e->tokens_ns -= INTERVAL_NS;
    return cap > 0 && e->connections >= cap ? ED_GATE_CAP : ED_GATE_OK;
}

static uint32_t model_connected(size_t capacity)
{
    uint32_t count = 0;

    for (size_t i = 0; i < capacity; i++)
        count += model[i].connections > 0;
    return count;
}

static void does_as_the_model_does(void **state)
{
    enum { ROUNDS = 60, STEPS = 5000 };
    uint64_t seed = 42;
    size_t verdicts[ED_GATE_CAP + 1] = {0};

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        ed_gate_limits limits = defaults;
        limits.capacity = 2 + splitmix_below(&seed, ED_GATE_SAMPLE - 1);
        limits.taken = 1 + splitmix_below(&seed, limits.capacity);
        limits.connections_max = splitmix_below(&seed, 4);
        uint32_t addresses = 1 + splitmix_below(&seed, 3 * limits.capacity);
        uint64_t now_ns = 0;
        memset(model, 0, sizeof model);
        open_gate(&limits);
        for (size_t step = 0; step < STEPS; step++) {
            uint32_t number = 1 + splitmix_below(&seed, addresses);
            eddy_address address = numbered(number);
            now_ns += 1 + splitmix_below(&seed, (uint32_t)(2 * INTERVAL_NS / addresses));
            struct model_entry *e = model_find(number, limits.capacity, now_ns);
            ed_gate_verdict want = model_admits(e, limits.connections_max, now_ns);
            CHECK_EQ("verdict", ed_gate_admits(&gate, &address, now_ns), want);
            verdicts[want]++;
            bool grows = splitmix_below(&seed, 2) == 0;
            if (want == ED_GATE_OK && grows &&
                model_connected(limits.capacity) + 1 < limits.capacity) {
                connect(&address);
                e->connections++;
            } else if (!grows && e->connections > 0) {
                ed_gate_remove(&gate, &address, false);
                e->connections--;
            }
            CHECK_EQ("connections", ed_gate_connections(&gate, &address), e->connections);
        }
        CHECK("valid", ed_gate_valid(&gate));
        close_gate();
    }
    for (size_t i = 0; i < ED_COUNT(verdicts); i++)
        CHECK("each verdict many times", i == ED_GATE_CROWD || verdicts[i] > 10000);
}

/* ------------------------------------------------------------------------------------ flood -- */

/** A million addresses of an attacker's choice (T30), among 2,000 that play. */
static void bears_a_million_chosen_addresses(void **state)
{
    enum { ADDRESSES = 1000 * 1000, PLAYERS = 2000, LOOKS = 16, LONGEST = 32, DOUBLINGS = 6 };
    ed_gate_limits limits = defaults;
    uint64_t calls;

    (void)state;
    limits.taken = PLAYERS + ED_GATE_SAMPLE;
    open_gate(&limits);
    calls = memory.calls;
    for (uint32_t i = 0; i < PLAYERS; i++) {
        eddy_address player = numbered(UINT32_C(0xc0000000) + i);
        connect(&player);
    }
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        // Neighbours, and such as differ in few bits, high or low.
        eddy_address address = numbered(i % 2 == 0 ? i : i << 12);
        CHECK("not capped", ed_gate_admits(&gate, &address, i * ED_NS_PER_US) != ED_GATE_CAP);
        if (i % (ADDRESSES / LOOKS) == 0)
            CHECK("probe", ed_gate_longest_probe(&gate) <= LONGEST);
    }
    CHECK("probe", ed_gate_longest_probe(&gate) <= LONGEST);
    CHECK_EQ("table is full", gate.count, ED_GATE_CAPACITY_MAX);
    CHECK("valid", ed_gate_valid(&gate));
    for (uint32_t i = 0; i < PLAYERS; i++) {
        eddy_address player = numbered(UINT32_C(0xc0000000) + i);
        CHECK_EQ("still known", ed_gate_connections(&gate, &player), 1);
    }
    CHECK_EQ("allocations", memory.calls, calls + DOUBLINGS);
    close_gate();
}

/** With as many connections as a manager may have, each from an address of its own. */
static void has_room_for_every_connection(void **state)
{
    enum { CONNECTIONS = 65000 };

    (void)state;
    open_gate(&defaults);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        eddy_address address = numbered(i);
        connect(&address);
    }
    for (uint32_t i = CONNECTIONS; i < CONNECTIONS + 5000; i++) {
        eddy_address address = numbered(i);
        CHECK_EQ("stranger", ed_gate_admits(&gate, &address, 0), ED_GATE_OK);
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        eddy_address address = numbered(i);
        ed_gate_remove(&gate, &address, false);
    }
    CHECK("valid", ed_gate_valid(&gate));
    close_gate();
}

static void has_what_connections_need_at_the_start(void **state)
{
    const eddy_prefix trusted = {.address = parse("10.0.0.0:0"), .bits = 8};
    ed_gate_limits limits = defaults;

    (void)state;
    limits.trusted = &trusted;
    limits.trusted_count = 1;
    for (uint64_t after = 0; after < 4; after++) {
        ed_counting_alloc_init(&memory, NULL);
        memory.fail_after = after;
        eddy_status got = ed_gate_init(&gate, &memory.allocator, &entropy, &limits);
        CHECK_EQ("status", got, after < 3 ? EDDY_ENOMEM : EDDY_OK);
        if (got == EDDY_OK)
            CHECK_EQ("24 bytes each", memory.live_size,
                     24 * ED_GATE_SAMPLE + 8 * ED_GATE_RESET_BUCKETS + sizeof trusted);
        close_gate();
        ed_gate_free(&gate); // twice is fine
    }
}

/** Who finds no memory has the places that there are; who finds it again has more. */
static void without_memory_strangers_make_way(void **state)
{
    eddy_address player = numbered(1000);

    (void)state;
    open_gate(&defaults);
    connect(&player);
    memory.fail_after = 0;
    for (uint32_t i = 0; i < 2 * ED_GATE_SAMPLE; i++) {
        eddy_address address = numbered(i);
        CHECK_EQ("stranger", ed_gate_admits(&gate, &address, i), ED_GATE_OK);
    }
    CHECK("as many as at the start", ed_gate_valid(&gate) && gate.count == ED_GATE_SAMPLE);
    memory.fail_after = UINT64_MAX;
    for (uint32_t i = 0; i < ED_GATE_SAMPLE; i++) {
        eddy_address address = numbered(2000 + i);
        CHECK_EQ("stranger", ed_gate_admits(&gate, &address, i), ED_GATE_OK);
    }
    CHECK("twice as many", ed_gate_valid(&gate) && gate.count == 2 * ED_GATE_SAMPLE);
    CHECK_EQ("still known", ed_gate_connections(&gate, &player), 1);
    close_gate();
}

static int setup(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_open_ones_count_apart),
        cmocka_unit_test(counts_by_address),
        cmocka_unit_test(caps_connections),
        cmocka_unit_test(makes_forgers_wait),
        cmocka_unit_test(prefixes_have_bits),
        cmocka_unit_test(trusts_whom_it_is_told),
        cmocka_unit_test(few_resets_leave_to_one),
        cmocka_unit_test(forgets_who_says_the_least),
        cmocka_unit_test(does_as_the_model_does),
        cmocka_unit_test(bears_a_million_chosen_addresses),
        cmocka_unit_test(has_room_for_every_connection),
        cmocka_unit_test(has_what_connections_need_at_the_start),
        cmocka_unit_test(without_memory_strangers_make_way),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
