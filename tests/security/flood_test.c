/** T1, T2: floods from addresses that are not the attacker's: little comes out, nothing is kept. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/seeds.h"
#include "tests/support/splitmix.h"
#include "tests/support/stranger.h"

enum {
    SOURCES_MAX = 100 * 1000,
    FIRST_SOURCE = 1000, /* ed_wire_address of lower numbers are others' */
    BURST = 64,
    GAP_US = 64,       /* from one burst to the next: a million a second */
    HEADERS_SIZE = 28, /* of IPv4 and UDP */
    RATIO_PPM = 70 * 1000,
    RATIO_LATER = 3, /* until the address has confirmed */
    RESETS_PER_S = 1000,
    WRITTEN_KIB_MAX = 64,
};

static ed_wire wire;
static ed_wire_host *server;
static uint64_t seed;

/** What one source has sent that asks for an answer, and what came back. */
static struct source {
    uint64_t in;
    uint64_t out;
    size_t packet_size; /* the newest that was sent */
} sources[SOURCES_MAX];

static uint64_t resets, reset_too_large, replies;

static uint32_t number_of(const eddy_address *address)
{
    return (uint32_t)(address->ip[0] - 11) << 24 | (uint32_t)address->ip[1] << 16 |
           (uint32_t)address->ip[2] << 8 | address->ip[3];
}

/** Counts what the server sends back. It has no connections, so a packet is a reset. */
static bool count_out(void *context, eddy_datagram *datagram)
{
    uint32_t number = number_of(&datagram->remote);

    (void)context;
    if (number < FIRST_SOURCE)
        return true;
    struct source *source = &sources[number - FIRST_SOURCE];
    if (ed_form_of(datagram->data, datagram->size) == ED_FORM_PACKET) {
        resets++;
        reset_too_large += datagram->size >= source->packet_size;
    } else {
        replies++;
        source->out += datagram->size + HEADERS_SIZE;
    }
    return false;
}

/** The worst server: no budget for replies, all modes, for everybody. */
static void open_server(const char *name)
{
    static const eddy_key token_key = {{7}};
    eddy_config config = ed_wire_server_config();
    eddy_address address = ed_wire_address(1);

    memset(sources, 0, sizeof(sources));
    resets = reset_too_large = replies = 0;
    seed = 1;
    config.reply_rate = 0;
    config.modes = EDDY_MODE_OPEN | EDDY_MODE_PINNED | EDDY_MODE_TOKEN;
    config.open_to_public = true;
    config.token_key = &token_key;
    ed_wire_open(&wire, name, 1);
    wire.tap = count_out;
    server = ed_wire_add(&wire, &config, &address);
    ed_wire_run_for(&wire, 0);
}

/* -------------------------------------------------------------------------------- T1: replies --
 */

static size_t fill_random(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)splitmix_next(&seed);
    return size;
}

/** Now and then a part of it. */
static size_t cut(size_t size)
{
    return splitmix_below(&seed, 4) == 0 ? 1 + splitmix_below(&seed, (uint32_t)size) : size;
}

/** One of every kind and length: of those that speak the protocol well, and of those that do not.
 */
static size_t make_any(uint8_t *data, uint32_t number)
{
    static const uint8_t firsts[] = {0x40, 0x60, 0x7f, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0};
    static const ed_mode modes[] = {ED_MODE_OPEN, ED_MODE_PINNED, ED_MODE_MUTUAL, ED_MODE_TOKEN};
    ed_stranger stranger = ed_stranger_of(number);
    uint32_t kind = splitmix_below(&seed, 8);

    stranger.mode = modes[splitmix_below(&seed, ED_COUNT(modes))];
    if (kind < 4)
        return cut(ed_stranger_hello(&stranger, data));
    if (kind == 4) { // INITIATE with a cookie that is none
        memset(data, 0, ED_INITIATE_SIZE);
        data[0] = ED_FORM_INITIATE;
        data[1] = ED_PROTOCOL_VERSION;
        data[5] = ED_MODE_PINNED;
        data[6] = 1 << ED_AEAD_CHACHA20;
        (void)fill_random(data + 16, ED_NONCE_SIZE + ED_COOKIE_SIZE);
        stranger.mode = ED_MODE_PINNED;
        ed_stranger_repair(&stranger, data);
        return cut(ED_INITIATE_SIZE);
    }
    size_t size = fill_random(data, 1 + splitmix_below(&seed, ED_DATAGRAM_SIZE));
    data[0] = firsts[splitmix_below(&seed, ED_COUNT(firsts))];
    return size;
}

static void send_any(uint64_t i, uint32_t source_count)
{
    uint8_t data[ED_WIRE_SIZE_MAX];
    uint32_t index = (uint32_t)(i % source_count);
    eddy_address from = ed_wire_address(FIRST_SOURCE + index);
    size_t size = make_any(data, FIRST_SOURCE + index);

    if (ed_form_of(data, size) == ED_FORM_PACKET)
        sources[index].packet_size = size;
    else
        sources[index].in += size + HEADERS_SIZE;
    ed_wire_put(&wire, &(eddy_datagram){
                           .local = from, .remote = server->address, .data = data, .size = size});
    if (i % BURST == BURST - 1)
        ed_wire_run_for(&wire, GAP_US * ED_NS_PER_US);
}

/** The worst ratio of any source, in millionths. */
static uint64_t worst_ppm(uint32_t source_count)
{
    uint64_t worst = 0;

    for (uint32_t i = 0; i < source_count; i++)
        if (sources[i].out > 0)
            worst = ed_max_u64(worst, sources[i].out * 1000 * 1000 / ed_max_u64(sources[i].in, 1));
    return worst;
}

static bool reflects_little(const void *context)
{
    uint64_t count = ed_attack_count(200 * 1000, 10 * 1000 * 1000);
    uint32_t source_count = (uint32_t)ed_min_u64(SOURCES_MAX, count / 10);

    (void)context;
    open_server("T1");
    uint64_t started_ns = wire.now_ns;
    for (uint64_t i = 0; i < count; i++)
        send_any(i, source_count);
    ed_wire_run_for(&wire, 0);
    uint64_t ppm = worst_ppm(source_count);
    uint64_t allowed = RESETS_PER_S * (1 + (wire.now_ns - started_ns) / ED_NS_PER_S);
    CHECK_EQ("delivered", wire.delivered, count);
    CHECK("the attack happened", replies > count / 4 && resets > 0);
    bool held = ppm <= RATIO_PPM && reset_too_large == 0 && resets <= allowed;
    if (held)
        ed_attack_figure("T1: %llu datagrams of %u sources, worst ratio 0.%03llu with headers; "
                         "resets %llu of %llu allowed, none as large as its cause",
                         (unsigned long long)count, source_count, (unsigned long long)ppm / 1000,
                         (unsigned long long)resets, (unsigned long long)allowed);
    ed_wire_close(&wire);
    return held;
}

/** Without the check a short one is taken, though its padding is missing. */
static bool answers_no_short_hello(const void *context)
{
    ed_stranger stranger = ed_stranger_of(FIRST_SOURCE);
    uint8_t data[ED_WIRE_SIZE_MAX];
    ed_hello hello;

    (void)context;
    (void)ed_stranger_hello(&stranger, data);
    for (size_t size = 0; size < ED_HELLO_SIZE; size++)
        if (ed_hello_parse(&hello, data, size) == EDDY_OK)
            return false;
    return ed_hello_parse(&hello, data, ED_HELLO_SIZE + 1) != EDDY_OK;
}

/** Of HELLOs, or of INITIATEs with a cookie that is none. */
typedef struct greeting {
    bool knows_key;
    bool is_initiate;
    uint32_t count;
} greeting;

/** The server says nothing to who does not know its key, and no more than its budget to who does.
 */
static bool says_little(const void *context)
{
    const greeting *g = context;
    static const uint8_t wrong_key[ED_KEY_SIZE] = {9};
    enum { BUDGET = 1000 };
    uint8_t data[ED_DATAGRAM_SIZE];

    open_server("T1, budget");
    eddy_config config = server->config;
    config.reply_rate = BUDGET;
    eddy_address address = ed_wire_address(2);
    server = ed_wire_add(&wire, &config, &address);
    uint64_t started_ns = wire.now_ns;
    for (uint32_t i = 0; i < g->count; i++) {
        ed_stranger stranger = ed_stranger_of(FIRST_SOURCE + i);
        stranger.server_key = g->knows_key ? NULL : wrong_key;
        size_t size = g->is_initiate ? ed_stranger_initiate(&stranger, data)
                                     : ed_stranger_hello(&stranger, data);
        ed_wire_forge(&wire, &stranger.address, &address, data, size);
        if (i % BURST == BURST - 1)
            ed_wire_run_for(&wire, GAP_US * ED_NS_PER_US);
    }
    ed_wire_run_for(&wire, ED_NS_PER_S);
    uint64_t seconds = 1 + (wire.now_ns - started_ns) / ED_NS_PER_S;
    CHECK_EQ("delivered", wire.delivered, g->count);
    bool held = replies <= (g->knows_key ? BUDGET * seconds : 0) && (!g->knows_key || replies > 0);
    ed_wire_close(&wire);
    return held;
}

static void t1_little_is_reflected(void **state)
{
    static const greeting hello = {false, false, 20000}, known = {true, false, 20000},
                          initiate = {false, true, 100};
    const ed_attack attacks[] = {
        {"T1 everything from everywhere", reflects_little, NULL, {EDDY_CHECK_RESETS}, NULL},
        {"T1 short HELLOs", answers_no_short_hello, NULL, {EDDY_CHECK_HELLO_SIZE}, NULL},
        {"T1 HELLOs without the key", says_little, &hello, {EDDY_CHECK_HELLO_MAC}, NULL},
        {"T1 INITIATEs without the key", says_little, &initiate, {EDDY_CHECK_INITIATE_MAC}, NULL},
        {"T1 HELLOs with the key", says_little, &known, {EDDY_CHECK_REPLIES}, NULL},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
}

/* --------------------------------------------------------------- T1: after the cookie, at most --
 */

/** Somebody who gives another's address can receive nothing; who gives his own gets little. */
static bool sends_little_before_it_is_sure(const void *context)
{
    enum { COPIES = 200 };
    ed_stranger stranger = ed_stranger_of(FIRST_SOURCE);
    uint8_t data[ED_DATAGRAM_SIZE];
    uint64_t in = 0;

    (void)context;
    open_server("T1, half-open");
    CHECK("cookie", ed_stranger_greet(&stranger, &wire, server));
    sources[0] = (struct source){0};
    size_t size = ed_stranger_initiate(&stranger, data);
    for (size_t i = 0; i < COPIES; i++, in += size) {
        ed_wire_forge(&wire, &stranger.address, &server->address, data, size);
        ed_wire_run_for(&wire, 40 * ED_NS_PER_MS); // over the 5 s that a half-open one lives
    }
    CHECK("answered", sources[0].out > 0);
    bool held = sources[0].out <= RATIO_LATER * in && server->connected == 0;
    ed_attack_figure("T1: %llu bytes out of %llu in before a stranger has confirmed",
                     (unsigned long long)sources[0].out, (unsigned long long)in);
    ed_wire_close(&wire);
    return held;
}

static bool is_silent_to_a_cookie_that_is_none(const void *context)
{
    ed_stranger stranger = ed_stranger_of(FIRST_SOURCE);
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)context;
    open_server("T1, no cookie");
    ed_wire_forge(&wire, &stranger.address, &server->address, data,
                  ed_stranger_initiate(&stranger, data));
    ed_wire_run_for(&wire, ED_NS_PER_S);
    uint64_t accepts = ed_wire_newest(&wire, ED_FORM_ACCEPT)->datagram.size;
    ed_wire_close(&wire);
    return accepts == 0;
}

static void t1_little_is_sent_before_confirmation(void **state)
{
    const ed_attack attack = {.name = "T1 no cookie",
                              .mount = is_silent_to_a_cookie_that_is_none,
                              .checks = {EDDY_CHECK_COOKIE}};

    (void)state;
    ed_attack_run(&attack);
    CHECK("T1 half-open", sends_little_before_it_is_sure(NULL));
}

/* --------------------------------------------------------------------------------- T2: memory --
 */

/** What the process has written to. What it reads of its program comes into memory as it likes. */
static int64_t written_kib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[128];
    long long kib = -1;

    CHECK("smaps", file != NULL);
    while (kib < 0 && fgets(line, sizeof(line), file) != NULL)
        (void)sscanf(line, "Anonymous: %lld", &kib);
    (void)fclose(file);
    CHECK("Anonymous", kib >= 0);
    return kib;
}

/** HELLOs that speak the protocol well, and INITIATEs that do but for the cookie. */
static void flood_well_spoken(uint64_t count)
{
    enum { INITIATES = 64 }; // a few: the attacker has to reckon, too
    static uint8_t data[INITIATES][ED_DATAGRAM_SIZE];

    for (uint32_t i = 0; i < INITIATES; i++) {
        ed_stranger stranger = ed_stranger_of(i);
        (void)ed_stranger_initiate(&stranger, data[i]);
    }
    for (uint64_t i = 0; i < count; i++) {
        uint32_t number = FIRST_SOURCE + (uint32_t)(i % SOURCES_MAX);
        ed_stranger stranger = ed_stranger_of(number);
        uint8_t hello[ED_DATAGRAM_SIZE];
        uint8_t *bytes = i % 4 == 3 ? data[i % INITIATES] : hello;
        if (bytes == hello)
            (void)ed_stranger_hello(&stranger, hello);
        ed_wire_put(&wire, &(eddy_datagram){.local = stranger.address,
                                            .remote = server->address,
                                            .data = bytes,
                                            .size = ED_DATAGRAM_SIZE});
        if (i % BURST == BURST - 1)
            ed_wire_run_for(&wire, GAP_US * ED_NS_PER_US);
    }
    ed_wire_run_for(&wire, 0);
}

static bool keeps_nothing(const void *context)
{
    enum { WARM = 10 * 1000 };
    uint64_t count = ed_attack_count(100 * 1000, 10 * 1000 * 1000);

    (void)context;
    open_server("T2");
    flood_well_spoken(WARM);
    uint64_t calls = server->memory.calls, live = server->memory.live_size;
    int64_t written = written_kib();
    flood_well_spoken(count);
    int64_t grown = written_kib() - written;
    CHECK_EQ("delivered", wire.delivered, count + WARM);
    bool held =
        server->memory.calls == calls && server->memory.live_size == live && server->events == 0 &&
        (ed_seeds_slow_build() || grown <= WRITTEN_KIB_MAX); // those that check more keep records
    if (held)
        ed_attack_figure("T2: %llu spoofed HELLOs and INITIATEs: allocations 0, bytes 0, "
                         "memory %+lld KiB (the wire of the test included)",
                         (unsigned long long)count, (long long)grown);
    ed_wire_close(&wire);
    return held;
}

static void t2_strangers_take_no_memory(void **state)
{
    const ed_attack attack = {
        .name = "T2 memory", .mount = keeps_nothing, .checks = {EDDY_CHECK_COOKIE}};

    (void)state;
    ed_attack_run(&attack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t1_little_is_reflected),
        cmocka_unit_test(t1_little_is_sent_before_confirmation),
        cmocka_unit_test(t2_strangers_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
