/** tools/tally.h: what comes back is judged by its guarantee, and every kind of fault is seen. */
#include "core/base.h"
#include "tests/support/check.h"
#include "tools/tally.h"

enum {
    SIZE = 24,
    ON_STREAM = 4, // messages of stream 0, of which the rows below speak
    SENT = ED_TALLY_RUN * ED_TALLY_STREAMS,
    DELAY_MS = 7,
};

#define SEND_NS (5 * ED_NS_PER_S)

typedef struct bed {
    ed_tally tally;
    uint8_t data[ED_GUARANTEE_COUNT][SENT][SIZE];
} bed;

static void send_some(bed *b, size_t count)
{
    *b = (bed){.tally = {.flows = {{.sent = 0}}}};
    for (size_t kind = 0; kind < ED_GUARANTEE_COUNT; kind++)
        for (size_t i = 0; i < count; i++) {
            eddy_guarantee guarantee = (eddy_guarantee)kind;
            uint8_t stream = ed_tally_stamp(&b->tally, guarantee, b->data[kind][i], SIZE, SEND_NS);
            CHECK_EQ("in runs", stream, i / ED_TALLY_RUN);
            ed_tally_sent(&b->tally, guarantee);
        }
}

static void answer(bed *b, eddy_guarantee guarantee, size_t index, size_t size, uint8_t stream)
{
    eddy_event_message message = {
        .data = b->data[guarantee][index], .size = size, .guarantee = guarantee, .stream = stream};
    ed_tally_answered(&b->tally, &message, SEND_NS + DELAY_MS * ED_NS_PER_MS);
}

/** Four messages are sent on a stream; which of the five promises are kept by what comes? */
static void test_answers_are_judged_by_each_promise(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *answers;
        uint64_t answered;
        uint64_t twice;
        uint64_t late;
        uint64_t newest_missing;
        bool kept[ED_GUARANTEE_COUNT];
    } rows[] = {
        {"none", "", 0, 0, 0, 1, {true, true, false, false, false}},
        {"all", "0123", 4, 0, 0, 0, {true, true, true, true, true}},
        {"the last is missing", "012", 3, 0, 0, 1, {true, true, false, false, false}},
        {"the first is missing", "123", 3, 0, 0, 0, {true, true, false, false, true}},
        {"one is missing", "013", 3, 0, 0, 0, {true, true, false, false, true}},
        {"the newest alone", "3", 1, 0, 0, 0, {true, true, false, false, true}},
        {"swapped", "0213", 4, 0, 1, 0, {true, false, true, false, false}},
        {"backwards", "3210", 4, 0, 3, 0, {true, false, true, false, false}},
        {"backwards and one is missing", "310", 3, 0, 2, 0, {true, false, false, false, false}},
        {"one twice", "00123", 4, 1, 0, 0, {false}},
        {"one again later", "01231", 4, 1, 0, 0, {false}},
        {"the newest twice", "01233", 4, 1, 0, 0, {false}},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (size_t kind = 0; kind < ED_GUARANTEE_COUNT; kind++) {
            eddy_guarantee guarantee = (eddy_guarantee)kind;
            bed b;
            send_some(&b, ON_STREAM);
            for (const char *at = rows[i].answers; *at != '\0'; at++)
                answer(&b, guarantee, (size_t)(*at - '0'), SIZE, 0);
            const ed_flow *flow = &b.tally.flows[kind];
            CHECK_EQ(rows[i].name, flow->answered, rows[i].answered);
            CHECK_EQ(rows[i].name, flow->twice, rows[i].twice);
            CHECK_EQ(rows[i].name, flow->late, rows[i].late);
            CHECK_EQ(rows[i].name, flow->newest_missing, rows[i].newest_missing);
            CHECK_EQ(rows[i].name, flow->round_trip.count, rows[i].answered);
            CHECK_EQ(rows[i].name, flow->damaged, 0);
            CHECK_EQ(rows[i].name, ed_flow_is_kept(flow, guarantee), rows[i].kept[kind]);
        }
}

static void test_what_was_never_sent_is_damaged(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t change; /* the byte that is changed; SIZE: none */
        size_t size;
        uint8_t stream;
        uint64_t damaged;
    } rows[] = {
        {"as it was", SIZE, SIZE, 0, 0},
        {"the filling is changed", SIZE - 1, SIZE, 0, 1},
        {"from the future", 5, SIZE, 0, 1},
        {"the stamp of another stream", 6, SIZE, 0, 1},
        {"the stamp of another guarantee", 7, SIZE, 0, 1},
        {"sent later than now", 15, SIZE, 0, 1},
        {"shorter than a stamp", SIZE, ED_STAMP_SIZE - 1, 0, 1},
        {"empty", SIZE, 0, 0, 1},
        {"on another stream", SIZE, SIZE, 1, 1},
        {"on a stream that we do not use", SIZE, SIZE, ED_TALLY_STREAMS, 1},
        {"stamped for a stream that we do not use", 6, ED_STAMP_SIZE, 0x40, 1},
        {"on the last stream there is", SIZE, SIZE, 255, 1},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (size_t kind = 0; kind < ED_GUARANTEE_COUNT; kind++) {
            bed b;
            send_some(&b, SENT);
            if (rows[i].change < SIZE)
                b.data[kind][0][rows[i].change] ^= 0x40;
            answer(&b, (eddy_guarantee)kind, 0, rows[i].size, rows[i].stream);
            const ed_flow *flow = &b.tally.flows[kind];
            CHECK_EQ(rows[i].name, flow->damaged, rows[i].damaged);
            CHECK_EQ(rows[i].name, flow->answered, 1 - rows[i].damaged);
            if (rows[i].damaged > 0)
                CHECK(rows[i].name, !ed_flow_is_kept(flow, (eddy_guarantee)kind));
        }
}

static void test_a_message_of_one_guarantee_is_none_of_another(void **state)
{
    (void)state;
    bed b;
    eddy_event_message message = {.size = SIZE, .guarantee = EDDY_RELIABLE_ORDERED};

    send_some(&b, ON_STREAM);
    message.data = b.data[EDDY_UNRELIABLE][0];
    ed_tally_answered(&b.tally, &message, SEND_NS);
    CHECK_EQ("damaged", b.tally.flows[EDDY_RELIABLE_ORDERED].damaged, 1);
    CHECK_EQ("answered", b.tally.flows[EDDY_RELIABLE_ORDERED].answered, 0);
}

/** One that comes after thousands of newer ones comes for the first time all the same. */
static void test_very_late_is_not_twice(void **state)
{
    (void)state;
    enum { MANY = ED_REPLAY_NARROW * ED_TALLY_WINDOWS / 2 * ED_TALLY_STREAMS };
    ed_tally tally = {.flows = {{.sent = 0}}};
    uint8_t first[SIZE];
    uint8_t data[SIZE];
    eddy_event_message message = {.data = data, .size = SIZE};

    for (size_t i = 0; i < MANY; i++) {
        uint8_t *at = i == 0 ? first : data;
        message.stream = ed_tally_stamp(&tally, EDDY_UNRELIABLE, at, SIZE, SEND_NS);
        ed_tally_sent(&tally, EDDY_UNRELIABLE);
        if (i > 0)
            ed_tally_answered(&tally, &message, SEND_NS);
    }
    message.data = first;
    message.stream = 0;
    ed_tally_answered(&tally, &message, SEND_NS);
    CHECK_EQ("all came", tally.flows[EDDY_UNRELIABLE].answered, MANY);
    CHECK_EQ("twice", tally.flows[EDDY_UNRELIABLE].twice, 0);
    CHECK_EQ("late", tally.flows[EDDY_UNRELIABLE].late, 1);
}

static void test_what_is_owed_is_what_was_promised(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_flow flow;
        bool owed[ED_GUARANTEE_COUNT];
    } rows[] = {
        {"nothing sent", {.sent = 0}, {false}},
        {"all came", {.sent = 9, .answered = 9}, {false}},
        {"one lost", {.sent = 9, .answered = 8}, {false, false, true, true, false}},
        {"the newest lost",
         {.sent = 9, .answered = 8, .newest_missing = 1},
         {false, false, true, true, true}},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (size_t kind = 0; kind < ED_GUARANTEE_COUNT; kind++)
            CHECK_EQ(rows[i].name, ed_flow_is_owed(&rows[i].flow, (eddy_guarantee)kind),
                     rows[i].owed[kind]);
}

static void test_round_trips_and_sums(void **state)
{
    (void)state;
    bed b;
    ed_flow sum = {
        .sent = 1, .answered = 2, .twice = 3, .late = 4, .damaged = 5, .newest_missing = 6};

    send_some(&b, SENT);
    CHECK_EQ("streams", b.tally.flows[EDDY_RELIABLE_ORDERED].newest_missing, ED_TALLY_STREAMS);
    for (size_t i = 0; i < SENT; i++)
        answer(&b, EDDY_RELIABLE_ORDERED, i, SIZE, (uint8_t)(i / ED_TALLY_RUN));
    ed_flow *flow = &b.tally.flows[EDDY_RELIABLE_ORDERED];
    CHECK("all came", ed_flow_is_kept(flow, EDDY_RELIABLE_ORDERED));
    CHECK_EQ("longest", flow->round_trip.max_us, DELAY_MS * 1000);
    ed_flow_merge(&sum, flow);
    ed_flow_merge(&sum, &(ed_flow){.twice = 1, .late = 1, .damaged = 1, .newest_missing = 1});
    CHECK_EQ("sent", sum.sent, SENT + 1);
    CHECK_EQ("answered", sum.answered, SENT + 2);
    CHECK_EQ("twice", sum.twice, 4);
    CHECK_EQ("late", sum.late, 5);
    CHECK_EQ("damaged", sum.damaged, 6);
    CHECK_EQ("newest missing", sum.newest_missing, 7);
    CHECK_EQ("round trips", sum.round_trip.count, SENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_judged_by_each_promise),
        cmocka_unit_test(test_what_was_never_sent_is_damaged),
        cmocka_unit_test(test_a_message_of_one_guarantee_is_none_of_another),
        cmocka_unit_test(test_very_late_is_not_twice),
        cmocka_unit_test(test_what_is_owed_is_what_was_promised),
        cmocka_unit_test(test_round_trips_and_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
