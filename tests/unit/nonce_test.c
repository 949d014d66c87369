/** The checker of test builds ends the process when a key seals two things under one number. */
#include "tests/support/check.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base.h"
#include "tests/unit/protect_bed.h"
#include "transport/nonce.h"

static const uint8_t key[ED_KEY_SIZE] = {1, 2, 3}, other_key[ED_KEY_SIZE] = {1, 2, 4};
static const uint8_t contents[] = "some contents", others[] = "other contents";

static void use(const uint8_t *of, uint64_t number, const uint8_t *what)
{
    ed_nonce_used(of, number, what, sizeof(contents));
}

static void the_same_number_twice(void)
{
    use(key, 7, contents);
    use(key, 7, others);
}

static void a_lower_number(void)
{
    use(key, 7, contents);
    use(key, 6, others);
}

static void a_lower_number_with_the_same(void)
{
    use(key, 7, contents);
    use(key, 6, contents);
}

static void the_same_twice(void)
{
    use(key, 7, contents);
    use(key, 7, contents);
    use(key, 8, others);
}

static void number_zero_twice(void)
{
    use(key, 0, contents);
    use(key, 0, others);
}

static void each_key_has_its_own(void)
{
    use(key, 7, contents);
    use(other_key, 7, others);
    use(other_key, 8, others);
}

static void all_is_forgotten(void)
{
    use(key, 7, contents);
    ed_nonce_forget();
    use(key, 7, others);
}

static void a_packet_number_twice(void)
{
    struct protect_ends ends;
    ed_packet header = {.number = 5, .number_size = 2};
    uint8_t data[64] = {0};

    CHECK("cipher", protect_init(&ends, ED_AEAD_CHACHA20, 0));
    size_t size = ed_packet_write(&header, data);
    ed_keys_seal(&ends.client, 5, data, header.number_at, size, sizeof(data) - ED_TAG_SIZE);
    data[20] ^= 1; // by now it is another content
    ed_keys_seal(&ends.client, 5, data, header.number_at, size, sizeof(data) - ED_TAG_SIZE);
}

static const struct {
    const char *name;
    void (*act)(void);
    bool dies;
} rows[] = {
    {"same number", the_same_number_twice, true},
    {"lower number", a_lower_number, true},
    {"lower number, same contents", a_lower_number_with_the_same, true},
    {"same contents", the_same_twice, false},
    {"number 0", number_zero_twice, true},
    {"two keys", each_key_has_its_own, false},
    {"forgotten", all_is_forgotten, false},
    {"a packet", a_packet_number_twice, true},
};

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

static void reuse_ends_the_process(void **state)
{
    (void)state;
#ifndef ED_PARANOID
    (void)rows;
    skip();
#else
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL); // cmocka's own would report a failure
            CHECK("quiet", freopen("/dev/null", "w", stderr) != NULL);
            rows[i].act();
            _exit(0);
        }
        CHECK_EQ(rows[i].name, waitpid(child, &status, 0), child);
        CHECK_EQ(rows[i].name, WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, rows[i].dies);
        CHECK_EQ(rows[i].name, WIFEXITED(status), !rows[i].dies);
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reuse_ends_the_process)};
    return cmocka_run_group_tests_name("nonce", tests, set_up, NULL);
}
