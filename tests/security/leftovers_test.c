/**
 * What is left of secrets: in the library's symbols (T38), and in the process and its core dump
 * once a manager is closed (T39).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/addr.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/issuer.h"
#include "tests/support/keys.h"
#include "tests/support/siege.h"
#include "tests/support/stranger.h"
#include "transport/api_state.h"

/* -------------------------------------------------------------------------------- T38: symbols --
 */

enum {
    LINE = 512,
    PATH = 512,
};

static const char *inspected = "transport/libeddy.a"; /* below the folder of this build */

/** What the simulator and the tests have, and no game may. */
static void inspect_the_simulator(void)
{
    inspected = "sim/libeddy_sim.a";
}

/** build/VARIANT, from where this program is. */
static void build_folder(char folder[PATH])
{
    ssize_t size = readlink("/proc/self/exe", folder, PATH - 1);

    CHECK("program", size > 0);
    folder[size] = 0;
    char *tests = strstr(folder, "/tests/security/");
    CHECK("program", tests != NULL);
    *tests = 0;
}

/** Whether a symbol has no place in what a game links. */
static bool is_out_of_place(const char *symbol)
{
    static const char *const words[] = {
        "randombytes_buf_deterministic",
        "ed_rng_",
        "ed_world_",
        "ed_link_",
        "eddy_sim",
        "ed_draw",
        "suite_null",
        "null_suite",
        "ed_nonce_used",
        "cmocka",
        "srand",
#ifndef ED_SWITCHABLE
        "ed_check_off",
        "ed_log_is_unlimited",
#endif
    };

#if defined(ED_PARANOID) || !defined(__OPTIMIZE__)
    if (strstr(symbol, "ed_nonce_used") != NULL)
        return false; // it watches in test builds; in a plain one it is there, and does nothing
#endif
    for (size_t i = 0; i < ED_COUNT(words); i++)
        if (strstr(symbol, words[i]) != NULL)
            return true;
    return strcmp(symbol, "rand") == 0 || strcmp(symbol, "random") == 0;
}

static bool library_has_nothing_of_tests(const void *context)
{
    char folder[PATH], command[2 * PATH], line[LINE], symbol[LINE];
    unsigned symbols = 0, misplaced = 0;

    (void)context;
    build_folder(folder);
    (void)snprintf(command, sizeof(command), "nm '%s/%s' 2>/dev/null", folder, inspected);
    FILE *nm = popen(command, "r"); // NOLINT(cert-env33-c): a program of the build's own
    CHECK("nm", nm != NULL);
    while (fgets(line, sizeof(line), nm) != NULL) {
        const char *last = strrchr(line, ' ');
        if (last == NULL || sscanf(last, " %511s", symbol) != 1)
            continue;
        symbols++;
        misplaced += is_out_of_place(symbol) ? 1 : 0;
    }
    CHECK("nm", pclose(nm) == 0);
    ed_attack_figure("T38 %s: %u symbols, %u of tests or of the simulator", inspected, symbols,
                     misplaced);
    CHECK("it was looked at", symbols > 500 || misplaced > 0);
    return misplaced == 0;
}

static void t38_nothing_of_tests_is_shipped(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T38 symbols",
                               .mount = library_has_nothing_of_tests,
                               .weaken = inspect_the_simulator});
    inspected = "transport/libeddy.so";
    char folder[PATH], path[2 * PATH];
    build_folder(folder);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, inspected);
    if (access(path, R_OK) == 0) // not every build makes one
        CHECK("T38 the shared library", library_has_nothing_of_tests(NULL));
}

/* -------------------------------------------------------------------------------- T39: leftovers
 * -- */

enum {
    KEYS = 8,
    CHUNK = 1 << 20,
    MAPPING_MAX = 256 << 20, /* a sanitizer has larger ones, with nothing of ours in them */
};

/** Keys to look for, hidden so that this is not what is found. */
static uint8_t hidden[KEYS][ED_KEY_SIZE];
static size_t hidden_count;
static bool begins_one[256]; /* a byte of that value begins one of them */
static bool keeps_one;       /* somebody copied a key, and forgot it */
static uint8_t *forgotten;

static void keep_one(void)
{
    keeps_one = true;
}

static void hide(const uint8_t key[ED_KEY_SIZE])
{
    CHECK("room", hidden_count < KEYS);
    begins_one[key[0]] = true;
    for (size_t i = 0; i < ED_KEY_SIZE; i++)
        hidden[hidden_count][i] = key[i] ^ 0xa5;
    hidden_count++;
}

static bool is_key(const uint8_t *at)
{
    for (size_t k = 0; k < hidden_count; k++) {
        size_t i = 0;
        while (i < ED_KEY_SIZE && at[i] == (hidden[k][i] ^ 0xa5))
            i++;
        if (i == ED_KEY_SIZE)
            return true;
    }
    return false;
}

/** Keys in some bytes; each may begin anywhere. */
static unsigned keys_in(const uint8_t *bytes, size_t size)
{
    unsigned found = 0;

    for (size_t at = 0; at + ED_KEY_SIZE <= size; at++)
        found += begins_one[bytes[at]] && is_key(bytes + at) ? 1 : 0;
    return found;
}

/** A mapping of this process. */
struct mapping {
    unsigned long begin, end;
    bool is_readable, is_dumped;
};

/** Looks at a mapping; our own buffer is not looked at. */
static unsigned keys_in_mapping(int memory, const struct mapping *m, uint8_t *buffer,
                                uint64_t *looked_at)
{
    unsigned found = 0;

    if (m->end - m->begin > MAPPING_MAX)
        return 0;
    for (unsigned long at = m->begin; at < m->end; at += CHUNK - ED_KEY_SIZE) {
        size_t size = ed_min_size(m->end - at, CHUNK);
        if (at < (unsigned long)buffer + CHUNK && at + size > (unsigned long)buffer)
            continue;
        ssize_t got = pread(memory, buffer, size, (off_t)at);
        if (got <= 0)
            continue;
        *looked_at += (uint64_t)got;
        found += keys_in(buffer, (size_t)got);
    }
    memset(buffer, 0, CHUNK);
    return found;
}

/** Every place in the memory of this process where a key stands; of these, the ones in a dump. */
static unsigned find_keys(unsigned *dumped, uint64_t *looked_at)
{
    char line[LINE], permissions[8];
    struct mapping m = {0};
    unsigned found = 0, in_this = 0;
    FILE *maps = fopen("/proc/self/smaps", "r");
    int memory = open("/proc/self/mem", O_RDONLY);
    uint8_t *buffer = aligned_alloc(4096, CHUNK);

    CHECK("memory", maps != NULL && memory >= 0 && buffer != NULL);
    memset(buffer, 0, CHUNK);
    *dumped = 0;
    *looked_at = 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &m.begin, &m.end, permissions) == 3) {
            in_this = permissions[0] == 'r' ? keys_in_mapping(memory, &m, buffer, looked_at) : 0;
            found += in_this;
        }
        if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") == NULL)
            *dumped += in_this;
    }
    (void)fclose(maps);
    (void)close(memory);
    free(buffer);
    return found;
}

/** A connection with known keys, and how often they are found while it lasts and after it. */
static bool nothing_is_left(const void *context)
{
    static ed_siege siege;
    unsigned during_dumped = 0, after_dumped = 0;
    uint64_t looked_at = 0;

    (void)context;
    hidden_count = 0;
    ed_siege_open(&siege, "T39", 39, NULL);
    const ed_keys *keys = &siege.rogue.conn.secrets->keys;
    hide(keys->send.key.key); // the same that the server has
    hide(keys->receive.key.key);
    hide(keys->send.secret);
    hide(keys->receive.secret);
    if (keeps_one) {
        forgotten = malloc(ED_KEY_SIZE);
        CHECK("memory", forgotten != NULL);
        memcpy(forgotten, keys->send.key.key, ED_KEY_SIZE);
    }
    for (int i = 0; i < 20; i++) {
        (void)ed_siege_send(&siege, EDDY_UNRELIABLE, 1000, NULL);
        ed_rogue_say(&siege.rogue, "\x01\x00\x00", 3);
        ed_siege_run_for(&siege, 10 * ED_NS_PER_MS);
    }
    unsigned during = find_keys(&during_dumped, &looked_at);
    ed_siege_close(&siege);
    unsigned after = find_keys(&after_dumped, &looked_at);
    ed_attack_figure("T39 4 keys: in %u places while the connection stands, %u of them in a core "
                     "dump; in %u after it; %llu MiB looked at",
                     during, during_dumped, after, (unsigned long long)looked_at >> 20);
    CHECK("they are there at first", during >= 4);
    return during_dumped == 0 && after == 0;
}

static void t39_keys_are_wiped_and_not_dumped(void **state)
{
    (void)state;
    ed_attack_run(
        &(ed_attack){.name = "T39 leftovers", .mount = nothing_is_left, .weaken = keep_one});
}

/* ------------------------------------------------------------- T39: a dial's secret, at rest -- */

static bool is_kept; /* what was shared is copied to where keys do not belong */

static void keep_what_is_shared(void)
{
    is_kept = true;
}

/** Hides what a token's client and server share. */
static void hide_secret_of(const char *token)
{
    ed_pass pass;

    CHECK_EQ("token", ed_token_pick(&pass, token, 0), EDDY_OK);
    hide(pass.psk);
    ed_wipe(&pass, sizeof(pass));
}

/** A client that has dialled with a secret, of which the program keeps no copy, and not polled. */
static eddy_manager *dial_in_secret(bool by_token)
{
    eddy_address server = ed_addr_ipv4(127, 0, 0, 1, 9);
    ed_test_grant grant = ed_test_grant_of(1, &server);
    eddy_config config = eddy_config_default();
    eddy_connect_options options = {.server_key = ed_test_public()};
    eddy_manager *client = NULL;
    eddy_connection connection = 0;
    char token[EDDY_TOKEN_TEXT_MAX];
    eddy_key room;

    ed_entropy_system()->fill(NULL, room.bytes, ED_KEY_SIZE);
    ed_test_issue(token, &grant);
    hidden_count = 0;
    if (by_token)
        hide_secret_of(token);
    else
        hide(room.bytes);
    if (is_kept) {
        forgotten = malloc(sizeof(room));
        CHECK("memory", forgotten != NULL);
        memcpy(forgotten, room.bytes, sizeof(room));
    }
    config.bind = "127.0.0.1:0";
    config.pump = false;
    config.protocol_id = ED_TEST_GAME;
    config.room_key = &room;
    options.token = by_token ? token : NULL;
    CHECK_EQ("open", eddy_open(&client, &config), EDDY_OK);
    CHECK_EQ("dial", eddy_connect_with(client, "127.0.0.1:9", &options, &connection), EDDY_OK);
    ed_wipe(&room, sizeof(room));
    ed_wipe(token, sizeof(token));
    return client;
}

/** Neither before the poll that takes the dial, nor after it, nor once the manager is closed. */
static bool a_dial_is_not_dumped(const void *context)
{
    const bool *by_token = context;
    unsigned waiting_dumped = 0, taken_dumped = 0, after_dumped = 0;
    uint64_t looked_at = 0;

    eddy_manager *client = dial_in_secret(*by_token);
    unsigned waiting = find_keys(&waiting_dumped, &looked_at);
    (void)eddy_poll(client, eddy_now_ns());
    unsigned taken = find_keys(&taken_dumped, &looked_at);
    (void)eddy_close(client, 0);
    unsigned after = find_keys(&after_dumped, &looked_at);
    ed_attack_figure("T39 the secret of a dial%s: in %u places until it is polled, %u of them in a "
                     "core dump; then in %u, %u of them; in %u at the end",
                     *by_token ? " by token" : "", waiting, waiting_dumped, taken, taken_dumped,
                     after);
    CHECK("it is there at first", waiting > 0 && taken > 0);
    return waiting_dumped == 0 && taken_dumped == 0 && after == 0;
}

static void t39_a_dial_is_not_dumped(void **state)
{
    static const bool by_token[] = {false, true};

    (void)state;
    ed_attack_run(&(ed_attack){.name = "T39 dial",
                               .mount = a_dial_is_not_dumped,
                               .context = &by_token[0],
                               .weaken = keep_what_is_shared});
    is_kept = false;
    CHECK("T39 dial by token", a_dial_is_not_dumped(&by_token[1]));
}

/* ---------------------------------------------------- T39: of whom a server has opened INITIATE --
 */

static ed_wire wire;
static ed_wire_host *server, *client;

/** In the client's name, with its cookie and nonce: it stays. */
static void come_in_its_name(ed_stranger *stranger)
{
    const ed_wire_copy *seen = ed_wire_newest(&wire, ED_FORM_INITIATE);

    stranger->address = client->address;
    memcpy(stranger->nonce, seen->data + 16, ED_NONCE_SIZE);
    memcpy(stranger->cookie, seen->data + 32, ED_COOKIE_SIZE);
}

static void come_without_memory(ed_stranger *stranger)
{
    server->memory.fail_after = 0;
    ed_stranger_draw_cookie(stranger, server);
}

static void come_with_a_cookie(ed_stranger *stranger)
{
    ed_stranger_draw_cookie(stranger, server);
}

static uint64_t replayed_of(const eddy_stats *stats)
{
    return stats->dropped_replayed;
}

static uint64_t without_memory_of(const eddy_stats *stats)
{
    return stats->dropped_memory;
}

static uint64_t half_open_of(const eddy_stats *stats)
{
    (void)stats;
    return ed_manager_half_open_count(server->manager->shards[0]->core);
}

static void t39_nothing_is_kept_of_newcomers(void **state)
{
    static const struct {
        const char *name;
        void (*come)(ed_stranger *stranger);
        uint64_t (*counted)(const eddy_stats *stats);
    } rows[] = {
        {"who comes in another's name", come_in_its_name, replayed_of},
        {"who finds no memory", come_without_memory, without_memory_of},
        {"who is let in", come_with_a_cookie, half_open_of},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static const uint8_t zeros[sizeof(ed_admitted)];
        ed_stranger stranger = ed_stranger_of(7);
        ed_wire_open(&wire, rows[i].name, 39);
        ed_wire_add_pair(&wire, &server, &client);
        rows[i].come(&stranger);
        ed_stranger_knock(&stranger, &wire, server);
        eddy_stats stats = ed_wire_stats(server);
        CHECK_EQ(rows[i].name, rows[i].counted(&stats), 1);
        CHECK_BYTES(rows[i].name, server->manager->shards[0]->reliable.admitted, zeros,
                    sizeof(zeros));
        ed_wire_close(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t38_nothing_of_tests_is_shipped),
        cmocka_unit_test(t39_keys_are_wiped_and_not_dumped),
        cmocka_unit_test(t39_a_dial_is_not_dumped),
        cmocka_unit_test(t39_nothing_is_kept_of_newcomers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
