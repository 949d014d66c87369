/** A manager's long-term secrets, and the memory that they are in. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef __linux__
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "core/addr.h"
#include "core/base.h"
#include "core/secret.h"
#include "tests/support/keys.h"
#include "transport/identity.h"

enum { SLOTS = 9 };

static const eddy_key room_key = {{1, 2, [31] = 3}}, token_key = {{4, 5, [31] = 6}};

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/** Entropy that counts up. */
static void fill(void *context, void *data, size_t size)
{
    uint8_t *next = context;

    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = (*next)++;
}

static ed_identity *make(const eddy_config *config, uint8_t seed)
{
    eddy_entropy entropy = {.context = &seed, .fill = fill};
    ed_identity *identity = ed_identity_create(config, &entropy, SLOTS, 0);

    CHECK("made", identity != NULL);
    return identity;
}

static eddy_config some_config(void)
{
    eddy_config config = eddy_config_default();

    config.secret_key = ed_test_secret();
    return config;
}

/* ---------------------------------------------------------------------------------------- keys --
 */

static void a_key_that_is_given(void **state)
{
    eddy_config config = some_config();
    ed_identity *identity = make(&config, 1), *again = make(&config, 77);
    ed_greeting_key greeting = ed_greeting_key_of(ed_test_public()->bytes);

    (void)state;
    CHECK_BYTES("secret", identity->pair.secret, ed_test_secret()->bytes, ED_KEY_SIZE);
    CHECK_BYTES("public", identity->pair.public_key, ed_test_public()->bytes, ED_KEY_SIZE);
    CHECK_BYTES("greeting", identity->greeting.mac_key, greeting.mac_key, ED_MAC_KEY_SIZE);
    CHECK_BYTES("after a restart", again->reset, identity->reset, ED_KEY_SIZE);
    CHECK("cookies do not last", memcmp(&again->cookies, &identity->cookies, 16) != 0);
    CHECK("not the secret itself",
          memcmp(identity->reset, identity->pair.secret, ED_KEY_SIZE) != 0);
    ed_identity_destroy(identity);
    ed_identity_destroy(again);
}

static void a_key_that_is_drawn(void **state)
{
    eddy_config config = eddy_config_default();
    uint8_t public_key[ED_KEY_SIZE];

    config.accept = true;
    ed_identity *one = make(&config, 1), *other = make(&config, 77);

    (void)state;
    for (size_t i = 0; i < ED_KEY_SIZE; i++)
        CHECK_EQ("drawn", one->pair.secret[i], i + 1);
    ed_x25519_public(public_key, one->pair.secret);
    CHECK_BYTES("public", one->pair.public_key, public_key, ED_KEY_SIZE);
    CHECK("another", memcmp(one->pair.secret, other->pair.secret, ED_KEY_SIZE) != 0);
    CHECK("another", memcmp(one->reset, other->reset, ED_KEY_SIZE) != 0);
    CHECK("another", memcmp(&one->greeting, &other->greeting, ED_MAC_KEY_SIZE) != 0);
    ed_identity_destroy(one);
    ed_identity_destroy(other);
}

static void a_key_that_only_dials_is_made_when_it_is_shown(void **state)
{
    eddy_config config = eddy_config_default();
    ed_identity *identity = make(&config, 1);
    uint8_t public_key[ED_KEY_SIZE];

    (void)state;
    CHECK("not made", !identity->has_public);
    ed_x25519_public(public_key, identity->pair.secret);
    for (int i = 0; i < 2; i++)
        CHECK_BYTES("shown", ed_identity_pair(identity)->public_key, public_key, ED_KEY_SIZE);
    ed_identity_destroy(identity);
}

static void shared_keys(void **state)
{
    static const uint8_t zeros[ED_KEY_SIZE];
    static const struct {
        const char *name;
        const eddy_key *room;
        const eddy_key *token;
    } rows[] = {{"none", NULL, NULL},
                {"a room's", &room_key, NULL},
                {"a token's", NULL, &token_key},
                {"both", &room_key, &token_key}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = some_config();
        config.room_key = rows[i].room;
        config.token_key = rows[i].token;
        ed_identity *identity = make(&config, 1);
        CHECK_BYTES(rows[i].name, identity->room,
                    rows[i].room != NULL ? rows[i].room->bytes : zeros, ED_KEY_SIZE);
        CHECK_BYTES(rows[i].name, identity->token,
                    rows[i].token != NULL ? rows[i].token->bytes : zeros, ED_KEY_SIZE);
        ed_identity_destroy(identity);
    }
}

static void greetings_of_modes(void **state)
{
    eddy_config config = some_config();
    ed_identity *identity = make(&config, 1);
    ed_greeting_key open = ed_greeting_key_of(NULL);

    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++)
        CHECK_BYTES("greeting", ed_identity_greeting(identity, (uint8_t)mode)->mac_key,
                    mode == ED_MODE_OPEN ? open.mac_key : identity->greeting.mac_key,
                    ED_MAC_KEY_SIZE);
    ed_identity_destroy(identity);
}

/* -------------------------------------------------------------------------------- reset tokens --
 */

static void what_a_reset_token_is_bound_to(void **state)
{
    static const uint8_t ip6[16] = {192, 0, 2, 7};
    const struct {
        const char *name;
        uint32_t id;
        eddy_address client;
        bool is_same;
    } rows[] = {
        {"itself", 7, ed_addr_ipv4(192, 0, 2, 7, 4242), true},
        {"another port", 7, ed_addr_ipv4(192, 0, 2, 7, 4243), false},
        {"another id", 8, ed_addr_ipv4(192, 0, 2, 7, 4242), false},
        {"another generation", 7 + (1u << 24), ed_addr_ipv4(192, 0, 2, 7, 4242), false},
        {"first byte", 7, ed_addr_ipv4(193, 0, 2, 7, 4242), false},
        {"last byte", 7, ed_addr_ipv4(192, 0, 2, 6, 4242), false},
        {"another family", 7, ed_addr_ipv6(ip6, 0, 4242), false},
    };
    eddy_config config = some_config();
    ed_identity *identity = make(&config, 1);
    uint8_t want[ED_RESET_TOKEN_SIZE], got[ED_RESET_TOKEN_SIZE];

    (void)state;
    ed_identity_reset_token(identity, want, rows[0].id, &rows[0].client);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_identity_reset_token(identity, got, rows[i].id, &rows[i].client);
        CHECK_EQ(rows[i].name, memcmp(got, want, sizeof(got)) == 0, rows[i].is_same);
    }
    ed_identity_destroy(identity);
}

static void whose_a_reset_token_is(void **state)
{
    static const struct {
        const char *name;
        bool is_given;
        uint8_t seed; /* the first had 1 */
        bool is_same;
    } rows[] = {{"the same key, restarted", true, 77, true},
                {"a temporary key, restarted", false, 77, false}};
    eddy_address client = ed_addr_ipv4(192, 0, 2, 7, 4242);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t before[ED_RESET_TOKEN_SIZE], after[ED_RESET_TOKEN_SIZE];
        eddy_config config = rows[i].is_given ? some_config() : eddy_config_default();
        ed_identity *identity = make(&config, 1);
        ed_identity_reset_token(identity, before, 7, &client);
        ed_identity_destroy(identity);
        identity = make(&config, rows[i].seed);
        ed_identity_reset_token(identity, after, 7, &client);
        ed_identity_destroy(identity);
        CHECK_EQ(rows[i].name, memcmp(before, after, sizeof(before)) == 0, rows[i].is_same);
    }
}

/* -------------------------------------------------------------------------------------- memory --
 */

static void every_slot_has_room(void **state)
{
    eddy_config config = some_config();
    ed_identity *identity = make(&config, 1);

    (void)state;
    for (size_t i = 0; i <= SLOTS; i++) {
        const uint8_t *bytes = (const uint8_t *)&identity->secrets[i];
        for (size_t at = 0; at < sizeof(ed_secrets); at++)
            CHECK_EQ("zeroed", bytes[at], 0);
    }
    for (size_t i = 0; i <= SLOTS; i++)
        memset(&identity->secrets[i], (int)i + 1, sizeof(ed_secrets));
    CHECK_EQ("its own", identity->secrets[1].shared[0], 2);
    CHECK_EQ("presence", identity->presence, 1);
    ed_identity_destroy(identity);
    ed_identity_destroy(NULL);
    ed_secret_free(NULL, 1);
}

#ifdef __linux__

/** The flags of the mapping that holds the address, as the kernel tells; false: it does not. */
static bool flags_of(const void *address, char *flags, size_t size)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    bool is_inside = false, is_found = false;

    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL) {
        char *end = NULL;
        uintptr_t first = (uintptr_t)strtoull(line, &end, 16);
        if (*end == '-' && end != line)
            is_inside = first <= (uintptr_t)address &&
                        (uintptr_t)address < (uintptr_t)strtoull(end + 1, NULL, 16);
        is_found = is_inside && strncmp(line, "VmFlags:", 8) == 0;
    }
    if (file != NULL)
        (void)fclose(file);
    if (is_found)
        (void)snprintf(flags, size, "%s", line);
    return is_found;
}

static void secrets_are_in_no_dump_and_no_child(void **state)
{
    eddy_config config = some_config();
    ed_identity *identity = make(&config, 1);
    char flags[512] = "";

    (void)state;
    if (!flags_of(identity, flags, sizeof(flags))) {
        ed_identity_destroy(identity);
        skip(); // a kernel that does not say
    }
    CHECK(flags, strstr(flags, " dd") != NULL);
    CHECK(flags, strstr(flags, " wf") != NULL);
    CHECK("the last page", flags_of(&identity->secrets[SLOTS], flags, sizeof(flags)));
    CHECK(flags, strstr(flags, " dd") != NULL && strstr(flags, " wf") != NULL);
    CHECK("elsewhere", flags_of(&room_key, flags, sizeof(flags)));
    CHECK(flags, strstr(flags, " dd") == NULL && strstr(flags, " wf") == NULL);
    ed_identity_destroy(identity);
}

static bool is_zero(const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const uint8_t *)data)[i] != 0)
            return false;
    return true;
}

static void a_child_finds_nothing(void **state)
{
    enum { FOUND = 3 };
    eddy_config config = some_config();
    ed_identity *identity = make(&config, 1);
    int status = 0;

    (void)state;
    identity->secrets[SLOTS].shared[0] = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(is_zero(identity, sizeof(*identity) + (SLOTS + 1) * sizeof(ed_secrets)) ? 0 : FOUND);
    CHECK_EQ("child", waitpid(child, &status, 0), child);
    CHECK("ends", WIFEXITED(status));
    CHECK_EQ("zeros", WEXITSTATUS(status), 0);
    CHECK_EQ("the parent keeps them", identity->secrets[SLOTS].shared[0], 1);
    CHECK_BYTES("the parent keeps them", identity->pair.secret, ed_test_secret()->bytes,
                ED_KEY_SIZE);
    ed_identity_destroy(identity);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_is_given),
        cmocka_unit_test(a_key_that_is_drawn),
        cmocka_unit_test(a_key_that_only_dials_is_made_when_it_is_shown),
        cmocka_unit_test(shared_keys),
        cmocka_unit_test(greetings_of_modes),
        cmocka_unit_test(what_a_reset_token_is_bound_to),
        cmocka_unit_test(whose_a_reset_token_is),
        cmocka_unit_test(every_slot_has_room),
#ifdef __linux__
        cmocka_unit_test(secrets_are_in_no_dump_and_no_child),
        cmocka_unit_test(a_child_finds_nothing),
#endif
    };
    return cmocka_run_group_tests_name("identity", tests, set_up, NULL);
}
