#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "transport/path.h"

#define MS(n) ((n)*ED_NS_PER_MS)
#define NEVER ED_NEVER_NS

enum {
    SIZE = 100,       /* of every packet here */
    PTO_MS = 200,     /* above ED_PATH_HOLD_MS, so that the two can be told apart */
    NEAR_MS = 50,     /* a probe timeout below it */
    OLD_DATA = 1111,  /* what the path in use is asked */
    NEW_DATA = 2222,  /* what the candidate is asked */
    START_MS = 10000, /* when the first packet comes from elsewhere */
};

static const uint64_t data[ED_PATH_END_COUNT] = {OLD_DATA, NEW_DATA};

/** A path from port `port` of host `host`; to the server's address `local`, 0: any. */
static ed_path path_of(uint8_t host, uint16_t port, uint8_t local)
{
    ed_path path = {.remote = ed_addr_ipv4(10, 0, 0, host, port)};

    if (local != 0)
        path.local = ed_addr_ipv4(192, 0, 2, local, 4000);
    return path;
}

static const char *remote_text(const ed_path *path)
{
    static char text[EDDY_ADDRESS_TEXT_SIZE];

    return path->remote.family == EDDY_FAMILY_NONE ? "" : eddy_address_print(&path->remote, text);
}

/** The peer at 10.0.0.1:1, and nobody else. */
static ed_paths settled(void)
{
    ed_path current = path_of(1, 1, 1);
    ed_paths paths;

    ed_paths_init(&paths, &current);
    return paths;
}

/** A candidate at 10.0.0.2:2 from START_MS on, which has sent one packet. */
static ed_paths asking(uint64_t pto_ms)
{
    ed_paths paths = settled();
    ed_path from = path_of(2, 2, 1);

    CHECK_EQ("news", ed_paths_on_packet(&paths, &from, SIZE, true, MS(START_MS)), ED_PATH_NEWS);
    ed_paths_begin(&paths, &from, SIZE, data, MS(pto_ms), MS(START_MS));
    return paths;
}

/* ------------------------------------------------------------------------------- addresses -- */

static void paths_are_compared(void **state)
{
    const struct {
        const char *name;
        ed_path other;
        bool equal;
        bool same_hosts;
    } rows[] = {
        {"the same", path_of(1, 1, 1), true, true},
        {"another port", path_of(1, 2, 1), false, true},
        {"another host", path_of(2, 1, 1), false, false},
        {"another of our addresses", path_of(1, 1, 2), false, false},
        {"any of our addresses", path_of(1, 1, 0), true, true},
        {"another port, any of our addresses", path_of(1, 2, 0), false, true},
    };
    ed_path path = path_of(1, 1, 1);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, ed_path_equal(&path, &rows[i].other), rows[i].equal);
        CHECK_EQ(rows[i].name, ed_path_equal(&rows[i].other, &path), rows[i].equal);
        CHECK_EQ(rows[i].name, ed_path_same_hosts(&path, &rows[i].other), rows[i].same_hosts);
    }
}

/* --------------------------------------------------------------------------- what is news -- */

static void packets_are_judged(void **state)
{
    const struct {
        const char *name;
        bool is_asking; /* 10.0.0.2:2 is the candidate since START_MS */
        uint64_t pto_ms;
        ed_path from;
        bool is_newest;
        uint64_t at_ms;
        ed_path_news want;
        uint64_t received; /* from the candidate, afterwards */
    } rows[] = {
        {"from where the peer is", false, 0, path_of(1, 1, 1), true, START_MS, ED_PATH_KNOWN, 0},
        {"from elsewhere", false, 0, path_of(2, 2, 1), true, START_MS, ED_PATH_NEWS, 0},
        {"from another port", false, 0, path_of(1, 2, 1), true, START_MS, ED_PATH_NEWS, 0},
        {"to another address of ours", false, 0, path_of(1, 1, 2), true, START_MS, ED_PATH_NEWS, 0},
        {"an old one from elsewhere", false, 0, path_of(2, 2, 1), false, START_MS, ED_PATH_KNOWN,
         0},
        {"at the beginning of time", false, 0, path_of(2, 2, 1), true, 0, ED_PATH_NEWS, 0},
        {"from the candidate", true, PTO_MS, path_of(2, 2, 1), true, START_MS, ED_PATH_KNOWN,
         2 * SIZE},
        {"an old one from the candidate", true, PTO_MS, path_of(2, 2, 1), false, START_MS,
         ED_PATH_KNOWN, 2 * SIZE},
        {"from where the peer was", true, PTO_MS, path_of(1, 1, 1), true, START_MS, ED_PATH_KNOWN,
         SIZE},
        {"from a third place", true, PTO_MS, path_of(3, 3, 1), true, START_MS, ED_PATH_TOO_SOON,
         SIZE},
        {"just before the candidate's time is over", true, PTO_MS, path_of(3, 3, 1), true,
         START_MS + PTO_MS - 1, ED_PATH_TOO_SOON, SIZE},
        {"when it is over", true, PTO_MS, path_of(3, 3, 1), true, START_MS + PTO_MS, ED_PATH_NEWS,
         SIZE},
        {"on a fast path, too soon", true, NEAR_MS, path_of(3, 3, 1), true,
         START_MS + ED_PATH_HOLD_MS - 1, ED_PATH_TOO_SOON, SIZE},
        {"on a fast path", true, NEAR_MS, path_of(3, 3, 1), true, START_MS + ED_PATH_HOLD_MS,
         ED_PATH_NEWS, SIZE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_paths paths = rows[i].is_asking ? asking(rows[i].pto_ms) : settled();
        CHECK_EQ(
            rows[i].name,
            ed_paths_on_packet(&paths, &rows[i].from, SIZE, rows[i].is_newest, MS(rows[i].at_ms)),
            rows[i].want);
        CHECK_EQ(rows[i].name, paths.received, rows[i].received);
        CHECK(rows[i].name, ed_paths_valid(&paths));
    }
}

/** Once a candidate is dropped, only the hold is waited for. */
static void after_one_another(void **state)
{
    ed_path from = path_of(3, 3, 1);

    (void)state;
    ed_paths paths = asking(PTO_MS);
    (void)ed_paths_on_answer(&paths, OLD_DATA);
    uint64_t free_ns = MS(START_MS + ED_PATH_HOLD_MS);
    CHECK_EQ("early", ed_paths_on_packet(&paths, &from, SIZE, true, free_ns - 1), ED_PATH_TOO_SOON);
    CHECK_EQ("in time", ed_paths_on_packet(&paths, &from, SIZE, true, free_ns), ED_PATH_NEWS);
}

static void another_takes_over(void **state)
{
    ed_path from = path_of(3, 3, 1);
    const uint64_t others[] = {3333, 4444};

    (void)state;
    ed_paths paths = asking(NEAR_MS);
    ed_paths_on_sent(&paths, &paths.at[ED_PATH_CANDIDATE], 60);
    ed_paths_begin(&paths, &from, SIZE, others, MS(NEAR_MS), MS(START_MS + ED_PATH_HOLD_MS));
    CHECK_STR("it is the one", remote_text(&paths.at[ED_PATH_CANDIDATE]), "10.0.0.3:3");
    CHECK_EQ("its own bytes", ed_paths_credit(&paths), SIZE);
    CHECK_EQ("the one before", ed_paths_on_answer(&paths, NEW_DATA), ED_PATH_ANSWER_NONE);
    CHECK_EQ("an old answer", ed_paths_on_answer(&paths, OLD_DATA), ED_PATH_ANSWER_NONE);
    CHECK_EQ("its answer", ed_paths_on_answer(&paths, others[1]), ED_PATH_ANSWER_MOVED);
}

/* --------------------------------------------------------------------------------- answers -- */

static void answers_decide(void **state)
{
    const struct {
        const char *name;
        bool is_asking;
        uint64_t answer;
        ed_path_answer want;
        const char *current;
        const char *candidate;
    } rows[] = {
        {"nobody was asked", false, NEW_DATA, ED_PATH_ANSWER_NONE, "10.0.0.1:1", ""},
        {"nobody was asked, zeros", false, 0, ED_PATH_ANSWER_NONE, "10.0.0.1:1", ""},
        {"the candidate", true, NEW_DATA, ED_PATH_ANSWER_MOVED, "10.0.0.2:2", ""},
        {"the path in use", true, OLD_DATA, ED_PATH_ANSWER_STAYED, "10.0.0.1:1", ""},
        {"neither", true, 3333, ED_PATH_ANSWER_NONE, "10.0.0.1:1", "10.0.0.2:2"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_paths paths = rows[i].is_asking ? asking(PTO_MS) : settled();
        CHECK_EQ(rows[i].name, ed_paths_on_answer(&paths, rows[i].answer), rows[i].want);
        CHECK_STR(rows[i].name, remote_text(&paths.at[ED_PATH_CURRENT]), rows[i].current);
        CHECK_STR(rows[i].name, remote_text(&paths.at[ED_PATH_CANDIDATE]), rows[i].candidate);
        CHECK_EQ(rows[i].name, paths.deadline_ns != NEVER, rows[i].candidate[0] != 0);
        CHECK_EQ(rows[i].name, ed_paths_on_answer(&paths, OLD_DATA) == ED_PATH_ANSWER_STAYED,
                 rows[i].candidate[0] != 0); // what is settled stays so
    }
}

static void questions_are_repeated(void **state)
{
    enum { ASKED_MAX = 8 };
    const struct {
        const char *name;
        uint64_t pto_ms;
        uint32_t failures;            /* of candidates before */
        uint64_t asked_ms[ASKED_MAX]; /* after START_MS; 0: no more */
        uint64_t until_ms;            /* when the candidate is dropped */
    } rows[] = {
        {"near", 28, 0, {28, 56, 112, 224, 448, 896}, 1000},
        {"the next has twice the time", 28, 1, {28, 56, 112, 224, 448, 896, 1792}, 2000},
        {"not so near", 150, 0, {150, 300, 600}, 1000},
        {"far", 400, 0, {400, 800}, 1200},
        {"very far", 3000, 0, {3000, 6000}, 9000},
        {"nobody ever answers", 1000, 99, {1000, 2000, 4000}, 8000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_paths paths = asking(rows[i].pto_ms);
        paths.failure_count = (uint32_t)ed_min_u64(rows[i].failures, ED_PATH_DOUBLINGS_MAX);
        for (size_t n = 0; n < ASKED_MAX && rows[i].asked_ms[n] != 0; n++) {
            for (unsigned end = 0; end < ED_PATH_END_COUNT; end++) {
                CHECK(rows[i].name, paths.question[end].is_due);
                ed_paths_on_asked(&paths, (ed_path_end)end, MS(START_MS));
                CHECK(rows[i].name, !paths.question[end].is_due);
                CHECK_EQ(rows[i].name, paths.question[end].data, data[end]);
                CHECK_EQ(rows[i].name, paths.question[end].sent, n + 1);
            }
            CHECK_EQ(rows[i].name, paths.deadline_ns, MS(START_MS + rows[i].asked_ms[n]));
            CHECK(rows[i].name, !ed_paths_expire(&paths, MS(rows[i].pto_ms), paths.deadline_ns));
        }
        CHECK_EQ(rows[i].name, paths.deadline_ns, MS(START_MS + rows[i].until_ms));
        CHECK(rows[i].name, ed_paths_expire(&paths, MS(rows[i].pto_ms), paths.deadline_ns));
        CHECK(rows[i].name, !ed_paths_has_candidate(&paths));
        CHECK_EQ(rows[i].name, paths.deadline_ns, NEVER);
        CHECK_STR(rows[i].name, remote_text(&paths.at[ED_PATH_CURRENT]), "10.0.0.1:1");
    }
}

/** Whose answer comes late every time waits longer, until one comes in time. */
static void patience_grows_with_failures(void **state)
{
    const struct {
        const char *name;
        uint64_t answer; /* 0: none in time */
        uint32_t failures;
    } rows[] = {
        {"the first", 0, 1},        {"the second", 0, 2},       {"the third", 0, 3},
        {"as many as count", 0, 3}, {"it stayed", OLD_DATA, 3}, {"it moved", NEW_DATA, 0},
    };
    ed_paths paths = settled();
    ed_path from = path_of(2, 2, 1);
    uint64_t now_ns = MS(START_MS);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_paths_begin(&paths, &from, SIZE, data, MS(NEAR_MS), now_ns);
        if (rows[i].answer != 0)
            (void)ed_paths_on_answer(&paths, rows[i].answer);
        while (ed_paths_has_candidate(&paths)) {
            now_ns = paths.deadline_ns;
            (void)ed_paths_expire(&paths, MS(NEAR_MS), now_ns);
        }
        CHECK_EQ(rows[i].name, paths.failure_count, rows[i].failures);
        now_ns += MS(ED_PATH_HOLD_MS);
    }
}

/* ----------------------------------------------------------------------------------- bytes -- */

static void room_is_what_came(void **state)
{
    const struct {
        const char *name;
        ed_path path;
        size_t sent; /* to the candidate before */
        size_t cause_size;
        size_t want;
    } rows[] = {
        {"where the peer is", path_of(1, 1, 1), 0, 30, ED_DATAGRAM_SIZE},
        {"the candidate", path_of(2, 2, 1), 0, 30, SIZE},
        {"the candidate, after some", path_of(2, 2, 1), 70, 30, SIZE - 70},
        {"the candidate, after all", path_of(2, 2, 1), SIZE, 30, 0},
        {"anywhere else", path_of(3, 3, 1), 0, 30, 30},
        {"anywhere else, much", path_of(3, 3, 1), 0, 1500, ED_DATAGRAM_SIZE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_paths paths = asking(PTO_MS);
        ed_paths_on_sent(&paths, &paths.at[ED_PATH_CANDIDATE], rows[i].sent);
        CHECK_EQ(rows[i].name, ed_paths_room(&paths, &rows[i].path, rows[i].cause_size),
                 rows[i].want);
    }
}

static void only_the_candidate_is_charged(void **state)
{
    ed_path current = path_of(1, 1, 1), third = path_of(3, 3, 1);

    (void)state;
    ed_paths paths = asking(PTO_MS);
    ed_paths_on_sent(&paths, &current, 1200);
    ed_paths_on_sent(&paths, &third, 1200);
    CHECK_EQ("credit", ed_paths_credit(&paths), SIZE);
}

/** An ending connection asks nobody, and still knows what may go where. */
static void stopping_and_following(void **state)
{
    ed_path third = path_of(3, 3, 1);

    (void)state;
    ed_paths paths = asking(PTO_MS);
    ed_paths_on_sent(&paths, &paths.at[ED_PATH_CANDIDATE], 60);
    ed_paths_stop(&paths);
    CHECK_EQ("no question", paths.deadline_ns, NEVER);
    CHECK_EQ("no answer", ed_paths_on_answer(&paths, NEW_DATA), ED_PATH_ANSWER_NONE);
    CHECK_EQ("its credit stays", ed_paths_credit(&paths), SIZE - 60);
    ed_path candidate = paths.at[ED_PATH_CANDIDATE];
    ed_paths_follow(&paths, &candidate, SIZE);
    CHECK_EQ("it adds up", ed_paths_credit(&paths), 2 * SIZE - 60);
    ed_paths_follow(&paths, &third, SIZE);
    CHECK_EQ("another begins anew", ed_paths_credit(&paths), SIZE);
    CHECK_EQ("and asks nobody", paths.deadline_ns, NEVER);
}

/* ----------------------------------------------------------------------------------- debts -- */

static void debts_are_few_and_in_order(void **state)
{
    ed_path_debts debts = {.count = 0};
    ed_path_debt debt = {.data = 0};
    ed_counting_alloc memory;
    const eddy_allocator *allocator = &memory.allocator;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    CHECK("none", !ed_path_debts_pop(&debts, allocator, &debt));
    memory.fail_after = 0;
    CHECK("no memory", !ed_path_debts_push(&debts, allocator, &debt));
    memory.fail_after = UINT64_MAX;
    for (uint64_t i = 0; i < 2 * ED_PATH_DEBTS_MAX; i++) {
        debt.data = i;
        CHECK_EQ("kept", ed_path_debts_push(&debts, allocator, &debt), i < ED_PATH_DEBTS_MAX);
    }
    for (uint64_t i = 0; i < ED_PATH_DEBTS_MAX; i++) {
        CHECK("one more", ed_path_debts_pop(&debts, allocator, &debt));
        CHECK_EQ("oldest first", debt.data, i);
    }
    CHECK("none is left", !ed_path_debts_pop(&debts, allocator, &debt));
    CHECK_EQ("nor any memory", memory.live_count, 0);
    CHECK("another", ed_path_debts_push(&debts, allocator, &debt));
    ed_path_debts_drop(&debts, allocator);
    CHECK_EQ("dropped", memory.live_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_compared),
        cmocka_unit_test(packets_are_judged),
        cmocka_unit_test(after_one_another),
        cmocka_unit_test(another_takes_over),
        cmocka_unit_test(answers_decide),
        cmocka_unit_test(questions_are_repeated),
        cmocka_unit_test(patience_grows_with_failures),
        cmocka_unit_test(room_is_what_came),
        cmocka_unit_test(only_the_candidate_is_charged),
        cmocka_unit_test(stopping_and_following),
        cmocka_unit_test(debts_are_few_and_in_order),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
