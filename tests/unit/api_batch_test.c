/** Many messages sent in one call, and many events given back in one, in virtual time. */
#include "core/budget.h"
#include "tests/unit/api_bed.h"

enum {
    MANY = 200,
    SIZE = 1000,
    BUDGET = 64 * 1024, /* of open_pair's client */
};

static uint8_t data[2 * EDDY_PIECE_SIZE_MAX];

static eddy_message numbered(eddy_connection to, uint8_t *number, size_t size)
{
    return (eddy_message){
        .connection = to, .guarantee = EDDY_RELIABLE_ORDERED, .data = number, .size = size};
}

/** Takes messages that begin with `first` and those after it, in calls of several. @return how
 * many. */
static unsigned take_messages(const struct side *side, unsigned first)
{
    eddy_event events[7];
    unsigned number = first;

    for (size_t count = 1; count > 0;) {
        count = eddy_next_batch(side->manager, events, ED_COUNT(events));
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ("a message", events[i].type, EDDY_MESSAGE);
            CHECK_EQ("in order", events[i].message.data[0], (uint8_t)number);
            number++;
        }
        eddy_release_batch(side->manager, events, count);
        for (size_t i = 0; i < count; i++)
            CHECK("is empty", events[i].type == EDDY_EVENT_NONE && events[i].block == NULL &&
                                  events[i].message.data == NULL);
        eddy_release_batch(side->manager, events, count); // again is fine
    }
    return number - first;
}

/** One wrong message among four good ones: those before it are accepted, and no other. */
static void what_is_refused_ends_it(void **state)
{
    static const struct {
        const char *name;
        size_t wrong; /* its place; 4: none is */
        eddy_message message;
        eddy_status want;
    } rows[] = {
        {"none", 4, {0}, EDDY_OK},
        {"guarantee", 2, {.guarantee = (eddy_guarantee)5}, EDDY_EINVAL},
        {"the first", 0, {.guarantee = (eddy_guarantee)5}, EDDY_EINVAL},
        {"no data", 1, {.size = 1}, EDDY_EINVAL},
        {"reliable, and now or never",
         3,
         {.guarantee = EDDY_RELIABLE_ORDERED, .options = {.now_or_never = true}},
         EDDY_EINVAL},
        {"too big", 2, {.data = data, .size = EDDY_PIECE_SIZE_MAX + 1}, EDDY_ETOOBIG},
        {"of nobody", 2, {.connection = UINT64_C(0x700000001)}, EDDY_ECONNECTION},
        {"no handle", 3, {.connection = UINT64_MAX}, EDDY_ECONNECTION},
        {"of no shard", 1, {.connection = UINT64_C(0x100000001) | 9 << 16}, EDDY_ECONNECTION},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t numbers[4] = {0, 1, 2, 3};
        eddy_message messages[4];
        eddy_status status = EDDY_ESYSTEM;
        (void)open_pair(state);
        for (size_t k = 0; k < ED_COUNT(messages); k++)
            messages[k] = numbered(pair.dialled, &numbers[k], 1);
        if (rows[i].wrong < ED_COUNT(messages)) {
            messages[rows[i].wrong] = rows[i].message;
            if (rows[i].want != EDDY_ECONNECTION)
                messages[rows[i].wrong].connection = pair.dialled;
        }
        CHECK_EQ(rows[i].name, eddy_send_batch(pair.client.manager, messages, 4, &status),
                 rows[i].wrong);
        CHECK_EQ(rows[i].name, status, rows[i].want);
        run_for_ms(100);
        CHECK_EQ(rows[i].name, take_messages(&pair.server, 0), rows[i].wrong);
        (void)close_pair(state);
    }
}

/** What is wrong with a broadcast is said of each connection, and of it nothing is copied. */
static void a_wrong_broadcast(void **state)
{
    static const struct {
        const char *name;
        eddy_message message;
        eddy_status want;
    } rows[] = {
        {"guarantee", {.guarantee = (eddy_guarantee)5, .data = data, .size = 1}, EDDY_EINVAL},
        {"no data", {.size = 1}, EDDY_EINVAL},
        {"too big", {.data = data, .size = EDDY_PIECE_SIZE_MAX + 1}, EDDY_ETOOBIG},
        {"of any size without data", {.size = SIZE_MAX}, EDDY_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const eddy_message *m = &rows[i].message;
        eddy_connection to[3] = {pair.dialled, UINT64_MAX, pair.dialled};
        eddy_status statuses[3] = {EDDY_OK, EDDY_OK, EDDY_OK};
        CHECK_EQ(
            rows[i].name,
            eddy_broadcast(pair.client.manager, to, 3, m->guarantee, 0, m->data, m->size, statuses),
            0);
        for (size_t k = 0; k < ED_COUNT(statuses); k++)
            CHECK_EQ(rows[i].name, statuses[k], rows[i].want);
    }
}

/** Who is refused keeps it from nobody, before or behind, in a batch of any size. */
static void a_broadcast_with_gaps(void **state)
{
    eddy_connection to[MANY];
    eddy_status statuses[MANY];
    size_t there = 0, come = 0;
    eddy_event event;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        bool is_there = i % 3 != 1 && i % 50 > 2;
        to[i] = is_there ? pair.dialled : UINT64_MAX;
        there += is_there ? 1 : 0;
    }
    CHECK_EQ(
        "accepted",
        eddy_broadcast(pair.client.manager, to, MANY, EDDY_RELIABLE_ORDERED, 0, data, 1, statuses),
        there);
    for (size_t i = 0; i < MANY; i++)
        CHECK_EQ("each", statuses[i], to[i] == pair.dialled ? EDDY_OK : EDDY_ECONNECTION);
    run_for_ms(200);
    for (; eddy_next(pair.server.manager, &event, 0) == EDDY_OK; come++)
        eddy_release(pair.server.manager, &event);
    CHECK_EQ("come", come, there);
}

/** More than go together inside, by one call; and none. */
static void any_number_in_one_call(void **state)
{
    static const size_t rows[] = {0, 1, 63, 64, 65, 100};
    uint8_t numbers[MANY];
    eddy_message messages[MANY];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_status status = EDDY_ESYSTEM;
        for (size_t k = 0; k < rows[i]; k++) {
            numbers[k] = (uint8_t)k;
            messages[k] = numbered(pair.dialled, &numbers[k], 1);
        }
        CHECK_EQ("all", eddy_send_batch(pair.client.manager, messages, rows[i], &status), rows[i]);
        CHECK_EQ("status", status, EDDY_OK);
        run_for_ms(200);
        CHECK_EQ("come", take_messages(&pair.server, 0), rows[i]);
    }
}

/** The budget takes as many as it takes one by one; who goes on when there is room loses none. */
static void a_full_budget_ends_it(void **state)
{
    static uint8_t many[MANY][SIZE];
    eddy_message messages[MANY];
    eddy_status status = EDDY_OK;
    unsigned refused = 0, come = 0;

    (void)state;
    for (size_t k = 0; k < MANY; k++) {
        many[k][0] = (uint8_t)k;
        messages[k] = numbered(pair.dialled, many[k], SIZE);
    }
    size_t fit = BUDGET / (size_t)ed_send_cost(SIZE);
    size_t sent = eddy_send_batch(pair.client.manager, messages, MANY, &status);
    CHECK_EQ("to the last that fits", sent, fit);
    CHECK_EQ("status", status, EDDY_EAGAIN);
    for (unsigned polls = 0; sent < MANY && polls < 1000; polls++) {
        eddy_event event;
        run_for_ms(20);
        come += take_messages(&pair.server, come);
        if (eddy_next(pair.client.manager, &event, 0) != EDDY_OK)
            continue;
        CHECK_EQ("told that there is room", event.type, EDDY_WRITABLE);
        size_t went = eddy_send_batch(pair.client.manager, messages + sent, MANY - sent, &status);
        CHECK("for some", went > 0);
        refused += status == EDDY_EAGAIN ? 1 : 0;
        sent += went;
    }
    CHECK("more than once", refused > 1);
    run_for_ms(500);
    come += take_messages(&pair.server, come);
    CHECK_EQ("all come", come, MANY);
}

/** Each message has its own options. */
static void each_has_its_options(void **state)
{
    uint8_t numbers[3] = {0, 1, 2};
    eddy_message messages[3];
    uint64_t heard = 0;
    eddy_event event;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        messages[k] = numbered(pair.dialled, &numbers[k], 1);
        messages[k].options.receipt = k == 1 ? 0 : 10 + k;
    }
    CHECK_EQ("all", eddy_send_batch(pair.client.manager, messages, 3, NULL), 3);
    run_for_ms(100);
    while (eddy_next(pair.client.manager, &event, 0) == EDDY_OK) {
        CHECK_EQ("a receipt", event.type, EDDY_RECEIPT);
        CHECK_EQ("it came", event.receipt.outcome, EDDY_OUTCOME_ACKED);
        heard = heard * 100 + event.receipt.receipt;
    }
    CHECK_EQ("of those that asked", heard, 1012);
    CHECK_EQ("messages", take_messages(&pair.server, 0), 3);
}

/** A pair's end and a peer take turns: what goes to the one does not wait for the other. */
static void a_pair_among_them(void **state)
{
    uint8_t numbers[6] = {0, 0, 1, 1, 2, 2};
    eddy_message messages[6];
    eddy_connection a = 0, b = 0;
    eddy_event events[5];

    (void)state;
    CHECK_EQ("no pair yet", eddy_connect_pair(pair.server.manager, &a, &b), EDDY_OK);
    for (size_t k = 0; k < 6; k++)
        messages[k] = numbered(k % 2 == 0 ? a : pair.taken, &numbers[k], 1);
    CHECK_EQ("all", eddy_send_batch(pair.server.manager, messages, 6, NULL), 6);
    CHECK_EQ("two begin, three come", eddy_next_batch(pair.server.manager, events, 5), 5);
    for (unsigned k = 0; k < 3; k++) {
        CHECK_EQ("at the other end", events[2 + k].connection, b);
        CHECK_EQ("in order", events[2 + k].message.data[0], k);
    }
    eddy_release_batch(pair.server.manager, events, 5);
    run_for_ms(100);
    CHECK_EQ("those of the peer", take_messages(&pair.client, 0), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused_ends_it),
        cmocka_unit_test_setup_teardown(a_wrong_broadcast, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_broadcast_with_gaps, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(any_number_in_one_call, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_full_budget_ends_it, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(each_has_its_options, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_pair_among_them, open_pair, close_pair),
    };
    return cmocka_run_group_tests_name("api_batch", tests, NULL, NULL);
}
