#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"
#include "tests/support/splitmix.h"
#include "transport/account.h"

enum { BUDGET = 1000, NO_STREAM = 7 };

static ed_counting_alloc counting;
static ed_account account;
static ed_asks asks;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    memset(&account, 0, sizeof(account));
    memset(&asks, 0, sizeof(asks));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ed_account_free(&account, &counting.allocator);
    return counting.live_count == 0 ? 0 : -1;
}

/** What is owed is charged until all of it is given back, but the manager knows better. */
static void what_is_owed_is_refunded_at_once(void **state)
{
    static const struct {
        const char *name;
        size_t owed[2]; /* of two accounts */
        bool is_given;
        size_t used[2];
        size_t known[2];
    } rows[] = {
        {"nothing is owed", {0, 0}, true, {900, 900}, {900, 900}},
        {"it is still charged", {200, 0}, false, {900, 900}, {700, 900}},
        {"it adds up", {100, 300}, false, {900, 900}, {600, 600}},
        {"all of it", {0, 0}, true, {600, 600}, {600, 600}},
        {"once", {0, 0}, true, {600, 600}, {600, 600}},
        {"the last", {600, 600}, true, {0, 0}, {0, 0}},
    };
    ed_account accounts[2] = {0};
    ed_settled settled = {0};

    (void)state;
    for (size_t k = 0; k < 2; k++)
        CHECK_EQ("charge", ed_account_charge(&accounts[k], BUDGET, NO_STREAM, 900), EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (size_t k = 0; k < 2; k++)
            if (rows[i].owed[k] > 0)
                ed_account_owe(&accounts[k], &settled, NO_STREAM, rows[i].owed[k]);
        if (rows[i].is_given)
            ed_settled_give_back(&settled);
        for (size_t k = 0; k < 2; k++) {
            CHECK_EQ(rows[i].name, accounts[k].used, rows[i].used[k]);
            CHECK_EQ(rows[i].name, ed_account_used(&accounts[k]), rows[i].known[k]);
        }
    }
}

/** One account over all rows. */
static void within_the_budget(void **state)
{
    static const struct {
        const char *name;
        size_t charge;
        size_t refund; /* before it */
        eddy_status want;
        size_t used;
    } rows[] = {
        {"an empty account takes what is over its budget", 5000, 0, EDDY_OK, 5000},
        {"and nothing more", 1, 0, EDDY_EAGAIN, 5000},
        {"nor once it is a little less", 1, 4000, EDDY_EAGAIN, 1000},
        {"what fits to the byte", 1, 1, EDDY_OK, 1000},
        {"one more", 1, 0, EDDY_EAGAIN, 1000},
        {"too large for what is left", 501, 500, EDDY_EAGAIN, 500},
        {"just as much as is left", 500, 0, EDDY_OK, 1000},
        {"empty again", 2000, 1000, EDDY_OK, 2000},
        {"no sum wraps", SIZE_MAX, 0, EDDY_EAGAIN, 2000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        if (rows[i].refund > 0)
            ed_account_refund(&account, NO_STREAM, rows[i].refund);
        CHECK_EQ(rows[i].name, ed_account_charge(&account, BUDGET, NO_STREAM, rows[i].charge),
                 rows[i].want);
        CHECK_EQ(rows[i].name, account.used, rows[i].used);
    }
}

static void set_stream(uint8_t stream, size_t budget)
{
    CHECK_EQ("set", ed_account_set_stream(&account, &counting.allocator, stream, budget), EDDY_OK);
}

/** What an empty account takes of one message it does not take of several. One over all rows. */
static void several_fit_or_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t charge;
        eddy_status want;
        size_t used;
    } rows[] = {
        {"more than the budget", BUDGET + 1, EDDY_EAGAIN, 0},
        {"no sum wraps", SIZE_MAX, EDDY_EAGAIN, 0},
        {"less than all of it", BUDGET - 1, EDDY_OK, BUDGET - 1},
        {"more than is left", 2, EDDY_EAGAIN, BUDGET - 1},
        {"what is left", 1, EDDY_OK, BUDGET},
        {"nothing is", 1, EDDY_EAGAIN, BUDGET},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, ed_account_charge_all(&account, BUDGET, NO_STREAM, rows[i].charge),
                 rows[i].want);
        CHECK_EQ(rows[i].name, account.used, rows[i].used);
    }
    set_stream(1, BUDGET / 2);
    CHECK_EQ("nor what a stream's own has no room for",
             ed_account_charge_all(&account, SIZE_MAX, 1, BUDGET / 2 + 1), EDDY_EAGAIN);
    CHECK_EQ("and nothing is charged", account.used, BUDGET);
}

static void a_stream_has_its_own(void **state)
{
    static const struct {
        const char *name;
        uint8_t stream;
        size_t charge;
        eddy_status want;
        size_t used; /* of all */
    } rows[] = {
        {"within both", 3, 200, EDDY_OK, 200},  {"over the stream's", 3, 101, EDDY_EAGAIN, 200},
        {"to the byte", 3, 100, EDDY_OK, 300},  {"another stream's", 255, 100, EDDY_OK, 400},
        {"one without", 4, 600, EDDY_OK, 1000}, {"over the account's", 255, 1, EDDY_EAGAIN, 1000},
    };

    (void)state;
    set_stream(3, 300);
    set_stream(255, 150);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, ed_account_charge(&account, BUDGET, rows[i].stream, rows[i].charge),
                 rows[i].want);
        CHECK_EQ(rows[i].name, account.used, rows[i].used);
    }
    ed_account_refund(&account, 3, 100);
    CHECK_EQ("room on the stream again", ed_account_charge(&account, BUDGET, 3, 100), EDDY_OK);
    set_stream(3, 0);
    ed_account_refund(&account, 4, 600);
    CHECK_EQ("no limit any more", ed_account_charge(&account, BUDGET, 3, 600), EDDY_OK);
}

/** What was charged before its stream had a budget may be more than the stream has counted. */
static void a_budget_may_come_later(void **state)
{
    (void)state;
    CHECK_EQ("before", ed_account_charge(&account, BUDGET, 3, 500), EDDY_OK);
    set_stream(3, 300);
    CHECK_EQ("counted from now on", ed_account_charge(&account, BUDGET, 3, 300), EDDY_OK);
    CHECK_EQ("full", ed_account_charge(&account, BUDGET, 3, 1), EDDY_EAGAIN);
    ed_account_refund(&account, 3, 500);
    CHECK_EQ("never below nothing", ed_account_charge(&account, BUDGET, 3, 300), EDDY_OK);
    CHECK_EQ("all that is out", account.used, 600);
    ed_account_refund(&account, 3, 300);
    ed_account_refund(&account, 3, 300);
    CHECK_EQ("nothing", account.used, 0);
}

static void the_next_connection_has_no_budgets(void **state)
{
    (void)state;
    set_stream(3, 300);
    CHECK_EQ("charge", ed_account_charge(&account, BUDGET, 3, 300), EDDY_OK);
    ed_account_reset(&account);
    CHECK_EQ("no stream's budget", ed_account_charge(&account, BUDGET, 3, 300), EDDY_OK);
    ed_account_refund(&account, 3, 600);
    CHECK_EQ("late refunds are for the same account", account.used, 0);
}

static bool ask(eddy_connection connection, size_t charge)
{
    return ed_account_ask(&account, &asks,
                          &(ed_ask){.connection = connection, .charge = charge, .stream = 9});
}

/** Takes the only account that asks. */
static ed_ask take_ask(const char *name)
{
    ed_account *taken = ed_asks_take(&asks);

    CHECK(name, taken == &account && taken->next == NULL);
    return ed_account_take_ask(taken);
}

/** A slot's connections come one after another; a call may still be about an earlier one. */
static void each_connection_asks_once(void **state)
{
    enum { EARLIER = 1, NOW = 2 };

    (void)state;
    CHECK("first", ask(EARLIER, 100));
    CHECK("once", !ask(EARLIER, 200));
    CHECK_EQ("what was refused first", take_ask("first").charge, 100);
    CHECK("still once", !ask(EARLIER, 200));
    CHECK("nobody asks", ed_asks_take(&asks) == NULL);
    ed_account_reset(&account);
    CHECK("the next one's is its own", ask(NOW, 300));
    CHECK("late", ask(EARLIER, 400));
    CHECK("better twice than never", ask(NOW, 500));
    ed_ask got = take_ask("the account is there once");
    CHECK_EQ("whose", got.connection, NOW);
    CHECK_EQ("for what", got.charge, 500);
    CHECK_EQ("of which stream", got.stream, 9);
    ed_account_answered(&account, EARLIER);
    CHECK("another's answer", !ask(NOW, 600));
    ed_account_answered(&account, NOW);
    CHECK("again", ask(NOW, 700));
    got = take_ask("again");
    ed_account_ask_again(&account, &asks);
    CHECK_EQ("not yet", take_ask("not yet").charge, got.charge);
}

static void out_of_memory(void **state)
{
    (void)state;
    CHECK_EQ("no budget needs none", ed_account_set_stream(&account, NULL, 9, 0), EDDY_OK);
    counting.fail_after = 0;
    CHECK_EQ("status", ed_account_set_stream(&account, &counting.allocator, 9, 5), EDDY_ENOMEM);
    counting.fail_after = UINT64_MAX;
    CHECK_EQ("as before", ed_account_charge(&account, BUDGET, 9, 500), EDDY_OK);
    set_stream(9, 5);
}

/* ----------------------------------------------------------------------------------- threads -- */

enum { ROUNDS = 100 * 1000, HELD = 8, LARGEST = 400 };

struct caller {
    ed_thread thread;
    uint64_t seed;
    size_t refused;
    size_t accepted;
    size_t above; /* how often the account stood above what it may */
};

/** Charges as a program does, and refunds as the manager does. */
static void call(void *context)
{
    struct caller *caller = context;
    size_t held[HELD] = {0};

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t i = splitmix_below(&caller->seed, HELD);
        uint8_t stream = (uint8_t)(i % 2);
        if (held[i] != 0) {
            ed_account_refund(&account, stream, held[i]);
            held[i] = 0;
            continue;
        }
        size_t charge = 1 + splitmix_below(&caller->seed, LARGEST);
        bool accepted = ed_account_charge(&account, BUDGET, stream, charge) == EDDY_OK;
        held[i] = accepted ? charge : 0;
        caller->accepted += accepted ? 1 : 0;
        caller->refused += accepted ? 0 : 1;
    }
    for (uint32_t i = 0; i < HELD; i++)
        if (held[i] != 0)
            ed_account_refund(&account, (uint8_t)(i % 2), held[i]);
}

static void two_threads(void **state)
{
    struct caller callers[2] = {{.seed = 1}, {.seed = 2}};

    (void)state;
    set_stream(1, BUDGET / 2);
    for (size_t i = 0; i < ED_COUNT(callers); i++)
        CHECK_EQ("start", ed_thread_start(&callers[i].thread, "caller", call, &callers[i]),
                 EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(callers); i++)
        ed_thread_join(&callers[i].thread);
    // On a busy machine perhaps not each had its share.
    CHECK("some were accepted", callers[0].accepted + callers[1].accepted > 0);
    CHECK("some were refused", callers[0].refused + callers[1].refused > 0);
    CHECK_EQ("nothing is left", account.used, 0);
    CHECK_EQ("nor on the streams", account.streams[1].used, 0);
    CHECK_EQ("all of it is there", ed_account_charge(&account, BUDGET, 1, BUDGET / 2), EDDY_OK);
}

/** Of two that together are too much never both are accepted. */
static atomic_size_t inside;

static void at_the_limit(void *context)
{
    struct caller *caller = context;

    for (unsigned round = 0; round < ROUNDS; round++) {
        if (ed_account_charge(&account, BUDGET, NO_STREAM, BUDGET / 2) != EDDY_OK)
            continue;
        caller->above += atomic_fetch_add(&inside, 1) >= 2 ? 1 : 0;
        (void)atomic_fetch_sub(&inside, 1);
        ed_account_refund(&account, NO_STREAM, BUDGET / 2);
        caller->accepted++;
    }
}

static void never_above_the_budget(void **state)
{
    struct caller callers[3] = {{.seed = 1}, {.seed = 2}, {.seed = 3}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(callers); i++)
        CHECK_EQ("start", ed_thread_start(&callers[i].thread, "caller", at_the_limit, &callers[i]),
                 EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(callers); i++)
        ed_thread_join(&callers[i].thread);
    size_t accepted = 0;
    for (size_t i = 0; i < ED_COUNT(callers); i++) {
        CHECK_EQ("two at a time", callers[i].above, 0);
        accepted += callers[i].accepted;
    }
    CHECK("some were", accepted > 0); // on a busy machine perhaps not each had its share
    CHECK_EQ("nothing is left", account.used, 0);
}

/** Asks for what the stream has no room for, again and again. */
static atomic_bool is_asking;

static void ask_for_too_much(void *context)
{
    struct caller *caller = context;

    for (unsigned round = 0; round < 10 * ROUNDS; round++)
        if (ed_account_charge(&account, SIZE_MAX, 1, 2 * BUDGET) == EDDY_OK) {
            ed_account_refund(&account, 1, 2 * BUDGET);
            caller->accepted++;
        }
    is_asking = false;
}

/** A refund of what was never counted on the stream meets a charge that is being refused. */
static void late_refunds_never_wrap(void **state)
{
    struct caller caller = {.seed = 1};

    (void)state;
    set_stream(1, BUDGET);
    is_asking = true;
    CHECK_EQ("start", ed_thread_start(&caller.thread, "caller", ask_for_too_much, &caller),
             EDDY_OK);
    while (is_asking) {
        size_t uncounted = 5 * BUDGET;
        (void)atomic_fetch_add(&account.used, uncounted);
        size_t charge = ed_account_charge(&account, SIZE_MAX, 1, 10) == EDDY_OK ? 10 : 0;
        ed_account_refund(&account, 1, uncounted + charge);
    }
    ed_thread_join(&caller.thread);
    CHECK_EQ("nothing is left", account.used, 0);
    CHECK_EQ("nor on the stream", account.streams[1].used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(within_the_budget, setup, teardown),
        cmocka_unit_test(what_is_owed_is_refunded_at_once),
        cmocka_unit_test_setup_teardown(several_fit_or_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_has_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_budget_may_come_later, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_connection_has_no_budgets, setup, teardown),
        cmocka_unit_test_setup_teardown(each_connection_asks_once, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(two_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(never_above_the_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(late_refunds_never_wrap, setup, teardown),
    };
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
