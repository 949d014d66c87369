/** tools/tally.h: what comes back is judged, and every kind of fault is seen. */
#include "core/base.h"
#include "tests/support/check.h"
#include "tools/tally.h"

enum {
    SIZE = 24,
    SENT = 16, // of each kind, so four on each stream
    DELAY_MS = 7,
};

#define SEND_NS (5 * ED_NS_PER_S)

typedef struct bed {
    ed_tally tally;
    uint8_t data[ED_KIND_COUNT][SENT][SIZE];
} bed;

static void send_all(bed *b)
{
    *b = (bed){.tally = {.flows = {{.sent = 0}}}};
    for (ed_kind kind = ED_KIND_RELIABLE; kind <= ED_KIND_UNRELIABLE; kind++)
        for (size_t i = 0; i < SENT; i++) {
            uint8_t stream = ed_tally_stamp(&b->tally, kind, b->data[kind][i], SIZE, SEND_NS);
            CHECK_EQ("in turn", stream, i % ED_TALLY_STREAMS);
            ed_tally_sent(&b->tally, kind);
        }
}

static void answer(bed *b, ed_kind kind, size_t index, size_t size, uint8_t stream)
{
    eddy_event_message message = {.data = b->data[kind][index],
                                  .size = size,
                                  .guarantee = ed_kind_guarantee(kind),
                                  .stream = stream};
    ed_tally_answered(&b->tally, &message, SEND_NS + DELAY_MS * ED_NS_PER_MS);
}

static void test_the_order_of_answers_on_a_stream(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_kind kind;
        const char *answers; /* the sequences that come on stream 0 */
        uint64_t answered;
        uint64_t twice;
        uint64_t wrong;
    } rows[] = {
        {"none", ED_KIND_RELIABLE, "", 0, 0, 0},
        {"reliable, all", ED_KIND_RELIABLE, "0123", 4, 0, 0},
        {"reliable, the last is missing", ED_KIND_RELIABLE, "012", 3, 0, 0},
        {"reliable, the first is missing", ED_KIND_RELIABLE, "123", 3, 0, 1},
        {"reliable, one is missing", ED_KIND_RELIABLE, "013", 3, 0, 1},
        {"reliable, swapped", ED_KIND_RELIABLE, "0213", 4, 0, 2},
        {"reliable, one twice", ED_KIND_RELIABLE, "00123", 4, 1, 0},
        {"reliable, one again later", ED_KIND_RELIABLE, "01231", 4, 1, 0},
        {"unreliable, all", ED_KIND_UNRELIABLE, "0123", 4, 0, 0},
        {"unreliable, any order", ED_KIND_UNRELIABLE, "3102", 4, 0, 0},
        {"unreliable, one is missing", ED_KIND_UNRELIABLE, "310", 3, 0, 0},
        {"unreliable, one twice", ED_KIND_UNRELIABLE, "31021", 4, 1, 0},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bed b;
        send_all(&b);
        for (const char *at = rows[i].answers; *at != '\0'; at++)
            answer(&b, rows[i].kind, (size_t)(*at - '0') * ED_TALLY_STREAMS, SIZE, 0);
        const ed_flow *flow = &b.tally.flows[rows[i].kind];
        CHECK_EQ(rows[i].name, flow->answered, rows[i].answered);
        CHECK_EQ(rows[i].name, flow->twice, rows[i].twice);
        CHECK_EQ(rows[i].name, flow->wrong, rows[i].wrong);
        CHECK_EQ(rows[i].name, flow->round_trip.count, rows[i].answered);
    }
}

static void test_what_was_never_sent_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t change; /* the byte that is changed; SIZE: none */
        size_t size;
        uint8_t stream;
        uint64_t wrong;
    } rows[] = {
        {"as it was", SIZE, SIZE, 0, 0},
        {"the filling is changed", SIZE - 1, SIZE, 0, 1},
        {"from the future", 7, SIZE, 0, 1},
        {"sent later than now", 15, SIZE, 0, 1},
        {"shorter than a stamp", SIZE, ED_STAMP_SIZE - 1, 0, 1},
        {"empty", SIZE, 0, 0, 1},
        {"on a stream that we do not use", SIZE, SIZE, ED_TALLY_STREAMS, 1},
        {"on the last stream there is", SIZE, SIZE, 255, 1},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bed b;
        send_all(&b);
        if (rows[i].change < SIZE)
            b.data[ED_KIND_RELIABLE][0][rows[i].change] ^= 0x40;
        answer(&b, ED_KIND_RELIABLE, 0, rows[i].size, rows[i].stream);
        CHECK_EQ(rows[i].name, b.tally.flows[ED_KIND_RELIABLE].wrong, rows[i].wrong);
        CHECK_EQ(rows[i].name, b.tally.flows[ED_KIND_RELIABLE].answered, 1 - rows[i].wrong);
    }
}

static void test_exact_is_all_once_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_flow flow;
        bool want;
    } rows[] = {
        {"nothing sent", {.sent = 0}, true},
        {"all", {.sent = 9, .answered = 9}, true},
        {"one lost", {.sent = 9, .answered = 8}, false},
        {"one twice", {.sent = 9, .answered = 9, .twice = 1}, false},
        {"one wrong", {.sent = 9, .answered = 9, .wrong = 1}, false},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_flow_is_exact(&rows[i].flow), rows[i].want);
}

static void test_round_trips_and_sums(void **state)
{
    (void)state;
    bed b;
    ed_flow sum = {.sent = 1, .answered = 1, .twice = 1, .wrong = 1};

    send_all(&b);
    for (size_t i = 0; i < SENT; i++)
        answer(&b, ED_KIND_RELIABLE, i, SIZE, (uint8_t)(i % ED_TALLY_STREAMS));
    ed_flow *flow = &b.tally.flows[ED_KIND_RELIABLE];
    CHECK("all came", ed_flow_is_exact(flow));
    CHECK_EQ("longest", flow->round_trip.max_us, DELAY_MS * 1000);
    ed_flow_merge(&sum, flow);
    CHECK_EQ("sent", sum.sent, SENT + 1);
    CHECK_EQ("answered", sum.answered, SENT + 1);
    CHECK_EQ("twice", sum.twice, 1);
    CHECK_EQ("wrong", sum.wrong, 1);
    CHECK_EQ("round trips", sum.round_trip.count, SENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_order_of_answers_on_a_stream),
        cmocka_unit_test(test_what_was_never_sent_is_wrong),
        cmocka_unit_test(test_exact_is_all_once_in_order),
        cmocka_unit_test(test_round_trips_and_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
