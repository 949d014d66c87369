/** The key log: what it writes in a build with keylog=1, and that no other build writes one. */
#include "tests/unit/protect_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "tests/support/folder.h"
#include "tests/support/keys.h"
#include "transport/keylog.h"

enum {
    LOG_SIZE_MAX = 4096,
    PTO_NS = 1000,
    WAIT_MS = 5000,
#ifdef ED_KEYLOG
    LINES = 1,
#else
    LINES = 0, /* of each that would be one */
#endif
};

static const uint8_t nonce[ED_NONCE_SIZE] = {0xab, 0xcd};
static const uint8_t to_server[ED_KEY_SIZE] = {1, 2, 3}, to_client[ED_KEY_SIZE] = {4, 5, 6};

static ed_folder folder;
static char path[ED_FILE_PATH_SIZE];
static char text[LOG_SIZE_MAX];

/** Each test has a log of its own. */
static int set_up(void **state)
{
    (void)state;
    if (ed_crypto_init() != EDDY_OK || ed_folder_make(&folder) != 0)
        return -1;
    return setenv("EDDY_KEYLOG", ed_folder_path(&folder, "log", path), 1);
}

static int tear_down(void **state)
{
    (void)state;
    return unsetenv("EDDY_KEYLOG") == 0 ? ed_folder_remove(&folder) : -1;
}

/** Reads the log into `text`, empty if there is none. @return how many lines it has. */
static size_t read_log(void)
{
    size_t size = 0, lines = 0;

    memset(text, 0, sizeof(text));
    if (access(path, F_OK) != 0)
        return 0;
    CHECK_EQ("the log is private",
             ed_file_read(text, sizeof(text) - 1, &size, path, ED_FILE_PRIVATE), EDDY_OK);
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    CHECK("whole lines", size == 0 || text[size - 1] == '\n');
    return lines;
}

/** How often the log has this line. */
static size_t count_of(const char *direction, unsigned epoch, const uint8_t secret[ED_KEY_SIZE])
{
    char line[256] = "EDDY1 abcd";
    size_t count = 0, at = strlen(line);

    for (size_t i = 2; i < ED_NONCE_SIZE; i++, at += 2)
        (void)snprintf(line + at, 3, "00");
    at += (size_t)snprintf(line + at, sizeof(line) - at, " %s %u ", direction, epoch);
    for (size_t i = 0; i < ED_KEY_SIZE; i++, at += 2)
        (void)snprintf(line + at, 3, "%02x", (unsigned)secret[i]);
    (void)snprintf(line + at, sizeof(line) - at, "\n");
    for (const char *found = strstr(text, line); found != NULL; found = strstr(found + 1, line))
        count++;
    return count;
}

static void begin(struct protect_ends *ends)
{
    CHECK("cipher", protect_init(ends, ED_AEAD_CHACHA20, 0)); // of the same two secrets
    ed_keylog_start(&ends->client, true, nonce, to_server, to_client);
    ed_keylog_start(&ends->server, false, nonce, to_server, to_client);
}

/** The client takes new keys, the server follows, and the client sees that. */
static void update(struct protect_ends *ends)
{
    struct protect_reader server = {.keys = &ends->server, .expected = 1, .pto_ns = PTO_NS};
    struct protect_reader client = {.keys = &ends->client, .expected = 1, .pto_ns = PTO_NS};

    ends->client.update_packets = 1;
    ed_keys_on_acked(&ends->client, 0);
    ed_keys_update(&ends->client, 1, PTO_NS, 0);
    CHECK("the server opens it", protect_open(&server, protect_seal(&ends->client, true, 1, 2)));
    CHECK("the client opens it", protect_open(&client, protect_seal(&ends->server, false, 1, 2)));
}

static void both_ends_log_every_key(void **state)
{
    struct protect_ends ends;
    uint8_t next_up[ED_KEY_SIZE], next_down[ED_KEY_SIZE];

    (void)state;
    ed_blake2b(next_up, ED_KEY_SIZE, "eddy next", 9, to_server, ED_KEY_SIZE);
    ed_blake2b(next_down, ED_KEY_SIZE, "eddy next", 9, to_client, ED_KEY_SIZE);
    begin(&ends);
    CHECK_EQ("lines of a handshake", read_log(), 4 * LINES);
    update(&ends);
    CHECK_EQ("lines with an update", read_log(), 8 * LINES);
    CHECK_EQ("first, to the server", count_of("to-server", 0, to_server), 2 * LINES);
    CHECK_EQ("first, to the client", count_of("to-client", 0, to_client), 2 * LINES);
    CHECK_EQ("second, to the server", count_of("to-server", 1, next_up), 2 * LINES);
    CHECK_EQ("second, to the client", count_of("to-client", 1, next_down), 2 * LINES);
}

static void keys_of_no_handshake_are_not_logged(void **state)
{
    struct protect_ends ends;

    (void)state;
    CHECK("cipher", protect_init(&ends, ED_AEAD_CHACHA20, 0));
    update(&ends);
    CHECK_EQ("lines", read_log(), 0);
}

static void only_a_private_file_gets_keys(void **state)
{
    static const struct {
        const char *name;
        unsigned mode;
        size_t lines;
    } rows[] = {
        {"the owner's", 0600, 4 * LINES},
        {"that the group may read", 0640, 0},
        {"that others may write", 0602, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct protect_ends ends;
        struct stat info;
        (void)ed_folder_put(&folder, "log", "", 0, rows[i].mode, path);
        begin(&ends);
        CHECK_EQ(rows[i].name, stat(path, &info), 0);
        CHECK_EQ(rows[i].name, info.st_size > 0, rows[i].lines > 0);
        CHECK_EQ(rows[i].name, chmod(path, 0600), 0);
        CHECK_EQ(rows[i].name, read_log(), rows[i].lines);
        CHECK_EQ(rows[i].name, unlink(path), 0);
    }
}

static void without_the_variable_nothing_is_written(void **state)
{
    struct protect_ends ends;

    (void)state;
    CHECK_EQ("unset", unsetenv("EDDY_KEYLOG"), 0);
    begin(&ends);
    CHECK_EQ("lines", read_log(), 0);
}

static void connect_over_loopback(void)
{
    eddy_config config = eddy_config_default();
    eddy_manager *server = NULL, *client = NULL;
    eddy_connection connection;
    eddy_event event;

    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.secret_key = ed_test_secret();
    CHECK_EQ("server", eddy_open(&server, &config), EDDY_OK);
    CHECK_EQ("client", eddy_open(&client, NULL), EDDY_OK);
    eddy_address address = eddy_local_address(server);
    CHECK_EQ("connect", eddy_connect_address(client, &address, ed_test_options(), &connection),
             EDDY_OK);
    CHECK_EQ("connected", eddy_await(client, EDDY_CONNECTED, &event, WAIT_MS), EDDY_OK);
    eddy_release(client, &event);
    CHECK_EQ("end", eddy_close(client, WAIT_MS), EDDY_OK);
    CHECK_EQ("end", eddy_close(server, WAIT_MS), EDDY_OK);
}

/** Both ends are in one process, so that each line is there twice. */
static void the_ends_of_a_real_connection_log_the_same(void **state)
{
    size_t twice = 0;

    (void)state;
    connect_over_loopback();
    CHECK_EQ("lines", read_log(), 4 * LINES);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        const char *again = strstr(end + 1, line);
        twice += again != NULL && again[strlen(line)] == '\n';
    }
    CHECK_EQ("lines that are there twice", twice, 2 * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_log_every_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_no_handshake_are_not_logged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_private_file_gets_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_variable_nothing_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_ends_of_a_real_connection_log_the_same, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
