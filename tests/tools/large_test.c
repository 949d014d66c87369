/** tools/large.h: a large message counts as arrived only with the right checksum, and once. */
#include "core/base.h"
#include "core/crypto.h"
#include "tests/support/check.h"
#include "tools/large.h"

enum { SIZE = 3000, DELAY_MS = 250 };

#define SEND_NS (5 * ED_NS_PER_S)

typedef struct bed {
    ed_large large;
    uint8_t data[SIZE];
    uint8_t checksum[ED_CHECKSUM_SIZE];
} bed;

static void send_it(bed *b)
{
    *b = (bed){.large = {.size = SIZE}};
    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    CHECK("not yet sent is not kept", !ed_large_is_kept(&b->large));
    CHECK("nor owed", !ed_large_is_owed(&b->large));
    ed_large_fill(b->data, SIZE);
    ed_large_sent(&b->large, b->data, SIZE, SEND_NS, b->checksum);
    CHECK("owed", ed_large_is_owed(&b->large));
    CHECK("not kept before it is answered", !ed_large_is_kept(&b->large));
}

static void test_answers_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t times;  /* that it comes */
        size_t change; /* the byte of the message that is changed before; SIZE: none */
        size_t size;   /* of the answer */
        eddy_guarantee guarantee;
        uint64_t arrived;
        uint64_t damaged;
    } rows[] = {
        {"right", 1, SIZE, ED_CHECKSUM_SIZE, ED_LARGE_GUARANTEE, 1, 0},
        {"twice", 2, SIZE, ED_CHECKSUM_SIZE, ED_LARGE_GUARANTEE, 1, 1},
        {"the first byte is changed", 1, 0, ED_CHECKSUM_SIZE, ED_LARGE_GUARANTEE, 0, 1},
        {"the last byte is changed", 1, SIZE - 1, ED_CHECKSUM_SIZE, ED_LARGE_GUARANTEE, 0, 1},
        {"cut", 1, SIZE, ED_CHECKSUM_SIZE - 1, ED_LARGE_GUARANTEE, 0, 1},
        {"empty", 1, SIZE, 0, ED_LARGE_GUARANTEE, 0, 1},
        {"another guarantee", 1, SIZE, ED_CHECKSUM_SIZE, EDDY_RELIABLE_UNORDERED, 0, 1},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bed b;
        uint8_t answer[ED_CHECKSUM_SIZE];
        send_it(&b);
        if (rows[i].change < SIZE)
            b.data[rows[i].change] ^= 1;
        ed_checksum(answer, b.data, SIZE);
        eddy_event_message message = {
            .data = answer, .size = rows[i].size, .guarantee = rows[i].guarantee};
        for (size_t time = 0; time < rows[i].times; time++)
            ed_large_answered(&b.large, &message, b.checksum, SEND_NS + DELAY_MS * ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, b.large.arrived, rows[i].arrived);
        CHECK_EQ(rows[i].name, b.large.damaged, rows[i].damaged);
        CHECK_EQ(rows[i].name, ed_large_is_kept(&b.large),
                 rows[i].arrived == 1 && rows[i].damaged == 0);
        CHECK(rows[i].name, !ed_large_is_owed(&b.large));
        CHECK_EQ(rows[i].name, ed_large_bits_per_s(&b.large),
                 rows[i].arrived * SIZE * 8 * 1000 / DELAY_MS);
    }
}

static void test_an_answer_that_nobody_waits_for_is_a_fault(void **state)
{
    (void)state;
    ed_large none = {.size = 0};
    uint8_t checksum[ED_CHECKSUM_SIZE] = {0};
    eddy_event_message message = {
        .data = checksum, .size = sizeof checksum, .guarantee = ED_LARGE_GUARANTEE};

    CHECK("nothing to send is kept", ed_large_is_kept(&none));
    ed_large_answered(&none, &message, checksum, SEND_NS);
    CHECK_EQ("arrived", none.arrived, 0);
    CHECK_EQ("damaged", none.damaged, 1);
}

static void test_sums(void **state)
{
    (void)state;
    ed_large sum = {.size = 0};
    ed_large none = {.size = 0};
    ed_large one = {.size = SIZE, .sent = 1, .arrived = 1, .time_ns = 9};
    ed_large lost = {.size = SIZE, .sent = 1};

    ed_large_merge(&sum, &one);
    ed_large_merge(&sum, &none);
    CHECK("kept", ed_large_is_kept(&sum));
    CHECK_EQ("time", sum.time_ns, 9);
    ed_large_merge(&sum, &lost);
    CHECK("one is lost", !ed_large_is_kept(&sum));
}

static void test_every_size_that_may_be_is_allowed(void **state)
{
    (void)state;
    static const size_t sizes[] = {EDDY_PIECE_SIZE_MAX, 256 * 1024, ED_LARGE_SIZE_DEFAULT,
                                   EDDY_MESSAGE_SIZE_LIMIT};

    for (size_t i = 0; i < ED_COUNT(sizes); i++) {
        eddy_config config = eddy_config_default();
        const char *field = "";
        config.connection_send_budget = 0;
        ed_large_allow(&config, sizes[i]);
        CHECK_EQ("size", config.max_message_size, sizes[i]);
        CHECK_EQ(field, eddy_config_check(&config, &field), EDDY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_judged),
        cmocka_unit_test(test_an_answer_that_nobody_waits_for_is_a_fault),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_every_size_that_may_be_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
