#include <stdio.h>
#include <stdlib.h>

#include "tests/support/splitmix.h"
#include "tests/unit/frame_bed.h"
#include "transport/conn_state.h"

/* --------------------------------------------------------------------------- what has a row -- */

/** One good frame of each type. */
static const struct {
    ed_frame_type type;
    struct bytes bytes;
} good[] = {
    {ED_FRAME_PADDING, {"padding", true, 3, BYTES(0, 0, 0)}},
    {ED_FRAME_PING, {"ping", true, 1, BYTES(1)}},
    {ED_FRAME_ACK, {"ack", true, 8, BYTES(2, 0x91, 0x01, 20, 4, 8, 4, 0)}},
    {ED_FRAME_CREDIT, {"credit", true, 5, BYTES(3, 2, 0, 1, 0)}},
    {ED_FRAME_SKIP, {"skip", true, 8, BYTES(4, 3, 9, 1, 0, 0, 0, 8)}},
    {ED_FRAME_CLOSE, {"close", true, 6, BYTES(5, 0, 28, 2, 'n', 'o')}},
    {ED_FRAME_PATH_CHALLENGE, {"challenge", true, 9, BYTES(6, 1, 2, 3, 4, 5, 6, 7, 8)}},
    {ED_FRAME_PATH_RESPONSE, {"response", true, 9, BYTES(7, 1, 2, 3, 4, 5, 6, 7, 8)}},
    {ED_FRAME_NEW_ID, {"new id", true, 22, BYTES(8, 4, 1, 2, 3, 4, [21] = 9)}},
    {ED_FRAME_RETIRE_ID, {"retire id", true, 2, BYTES(9, 4)}},
    {ED_FRAME_TIME, {"time", true, 15, BYTES(10, 1, 1, 2, 3, 4, 4, [14] = 7)}},
    {ED_FRAME_TICKET, {"ticket", true, 25, BYTES(11, [24] = 5)}},
    {ED_FRAME_MESSAGE, {"message", true, 7, BYTES(0xbc, 5, 0x34, 0x12, 8, 'h', 'i')}},
};

static void every_type_is_read(void **state)
{
    ed_frame frame;
    size_t left = 0;

    (void)state;
    CHECK_EQ("all types", ED_COUNT(good), ED_FRAME_TYPE_COUNT);
    for (size_t i = 0; i < ED_COUNT(good); i++) {
        const struct bytes *row = &good[i].bytes;
        CHECK_EQ(row->name, good[i].type, i);
        CHECK_EQ(row->name, read_copy(row->data, row->size, &frame, &left), EDDY_OK);
        CHECK_EQ(row->name, frame.type, good[i].type);
        CHECK_EQ(row->name, left, 0);
    }
    CHECK_EQ("nothing", read_copy(good[0].bytes.data, 0, &frame, &left), EDDY_ETRUNCATED);
}

/** No frame but a run of PADDING is good when its end is missing. */
static void every_cut_is_refused(void **state)
{
    ed_frame frame;
    size_t left = 0;

    (void)state;
    for (size_t i = 1; i < ED_COUNT(good); i++) {
        const struct bytes *row = &good[i].bytes;
        for (size_t size = 0; size < row->size; size++)
            if (read_copy(row->data, size, &frame, &left) == EDDY_OK)
                fail_msg("%s is good with %zu of %zu bytes", row->name, size, row->size);
    }
}

/** A frame takes its own bytes and leaves what follows. */
static void the_next_frame_is_left(void **state)
{
    ed_frame frame;
    size_t left = 0;
    uint8_t data[TEXT_MAX + 2];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(good); i++) {
        const struct bytes *row = &good[i].bytes;
        memcpy(data, row->data, row->size);
        data[row->size] = ED_FRAME_PING;
        data[row->size + 1] = ED_FRAME_PADDING;
        CHECK_EQ(row->name, read_copy(data, row->size + 2, &frame, &left), EDDY_OK);
        CHECK_EQ(row->name, left, 2);
    }
}

static void values_are_read(void **state)
{
    static const uint8_t id[] = {8,  4,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    ed_frame f;
    size_t left = 0;

    (void)state;
    CHECK_EQ("ack", read_copy(good[ED_FRAME_ACK].bytes.data, 8, &f, &left), EDDY_OK);
    CHECK_EQ("delay", f.ack.delay_us, 5);
    CHECK_EQ("ranges", f.ack.count, 2);
    CHECK_EQ("first range from", f.ack.range[0].first, 98);
    CHECK_EQ("to", f.ack.range[0].last, 100);
    CHECK_EQ("second range from", f.ack.range[1].first, 95);
    CHECK_EQ("to", f.ack.range[1].last, 95);
    CHECK_EQ("credit", read_copy(good[ED_FRAME_CREDIT].bytes.data, 5, &f, &left), EDDY_OK);
    CHECK_EQ("limit", f.credit, 0x10000 / 4);
    CHECK_EQ("skip", read_copy(good[ED_FRAME_SKIP].bytes.data, 8, &f, &left), EDDY_OK);
    CHECK_EQ("stream", f.skip.stream, 9);
    CHECK_EQ("sequence", f.skip.sequence, 1);
    CHECK_EQ("charge", f.skip.charge, 2);
    CHECK_EQ("id", read_copy(id, sizeof(id), &f, &left), EDDY_OK);
    CHECK_EQ("sequence", f.id.sequence, 1);
    CHECK_EQ("id", f.id.id, 0x04030201);
    CHECK_BYTES("token", f.id.reset_token, id + 6, 16);
    CHECK_EQ("message", read_copy(good[ED_FRAME_MESSAGE].bytes.data, 7, &f, &left), EDDY_OK);
    CHECK_EQ("guarantee", f.message.guarantee, ED_WIRE_RELIABLE_ORDERED);
    CHECK_EQ("stream", f.message.stream, 5);
    CHECK_EQ("sequence", f.message.sequence, 0x1234);
    CHECK_BYTES("data", f.message.data.data, "hi", 2);
}

/* ----------------------------------------------------------------------------------- bounds -- */

static void types_that_are_none(void **state)
{
    uint8_t data[TEXT_MAX] = {0};
    ed_frame frame;
    size_t left = 0;

    (void)state;
    for (unsigned type = 0x0c; type < 0x80; type++) {
        data[0] = (uint8_t)type;
        CHECK_EQ("unknown type", read_copy(data, sizeof(data), &frame, &left), EDDY_EPROTO);
    }
}

static void ack_bounds(void **state)
{
    static const struct bytes rows[] = {
        {"packet 0 alone", true, 5, BYTES(2, 0, 0, 0, 0)},
        {"down to 0", true, 5, BYTES(2, 4 * 9, 0, 0, 4 * 9)},
        {"below 0", false, 5, BYTES(2, 4 * 9, 0, 0, 4 * 10)},
        {"a second range down to 0", true, 7, BYTES(2, 4 * 9, 0, 4, 4 * 2, 4 * 3, 4 * 2)},
        {"a second range below 0", false, 7, BYTES(2, 4 * 9, 0, 4, 4 * 2, 4 * 3, 4 * 3)},
        {"a gap down to 0", true, 7, BYTES(2, 4 * 9, 0, 4, 4 * 2, 4 * 5, 0)},
        {"a gap below 0", false, 7, BYTES(2, 4 * 9, 0, 4, 4 * 2, 4 * 6, 0)},
        {"a range fewer than said", false, 7, BYTES(2, 4 * 9, 0, 8, 0, 0, 0)},
        {"the last number of all", true, 12,
         BYTES(2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0, 0, 0)},
        {"the number after the last", false, 12, BYTES(2, 3, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0)},
        {"a number in two bytes that fits one", false, 6, BYTES(2, 4 | 1, 0, 0, 0, 0)},
        {"a gap of 2^62 - 1", false, 14,
         BYTES(2, 4 * 9, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0)},
        {"a length of 2^62 - 1", false, 14,
         BYTES(2, 4 * 9, 0, 4, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
    };

    (void)state;
    check_rows(rows, ED_COUNT(rows));
}

/** A frame of `more` ranges after the first, each of one number. */
static size_t write_ranges(uint8_t *data, size_t capacity, uint64_t more)
{
    ed_writer w = ed_writer_of(data, capacity);

    ed_write_u8(&w, ED_FRAME_ACK);
    ed_write_varint(&w, 1000);
    ed_write_varint(&w, 0);
    ed_write_varint(&w, more);
    ed_write_varint(&w, 0);
    for (uint64_t i = 0; i < more; i++) {
        ed_write_varint(&w, 0);
        ed_write_varint(&w, 0);
    }
    return ed_writer_size(&w);
}

static void at_most_32_ranges(void **state)
{
    static const struct {
        uint64_t more;
        eddy_status want;
    } rows[] = {{0, EDDY_OK}, {30, EDDY_OK}, {31, EDDY_OK}, {32, EDDY_EPROTO}, {63, EDDY_EPROTO}};
    uint8_t data[256];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_frame frame;
        size_t left = 0;
        size_t size = write_ranges(data, sizeof(data), rows[i].more);
        CHECK_EQ("ranges", read_copy(data, size, &frame, &left), rows[i].want);
        if (rows[i].want == EDDY_OK)
            CHECK_EQ("last", frame.ack.range[rows[i].more].last, 1000 - 2 * rows[i].more);
    }
}

static void other_bounds(void **state)
{
    static const struct bytes rows[] = {
        {"CLOSE, shortest", true, 4, BYTES(5, 0, 0, 0)},
        {"CLOSE, last cause", true, 4, BYTES(5, 2, 0, 0)},
        {"CLOSE, unknown cause", false, 4, BYTES(5, 3, 0, 0)},
        {"CLOSE, cause 255", false, 4, BYTES(5, 255, 0, 0)},
        {"CLOSE, largest code", true, 11, BYTES(5, 0, 0xff, 0xff, 0xff, 0xff, 0x03, 0, 0, 0, 0)},
        {"CLOSE, code above u32", false, 11, BYTES(5, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0)},
        {"SKIP, unreliable", false, 8, BYTES(4, 0, 0, 0, 0, 0, 0, 4)},
        {"SKIP, unreliable sequenced", false, 8, BYTES(4, 1, 0, 0, 0, 0, 0, 4)},
        {"SKIP, first reliable", true, 8, BYTES(4, 2, 0, 0, 0, 0, 0, 4)},
        {"SKIP, last guarantee", true, 8, BYTES(4, 4, 0, 0, 0, 0, 0, 4)},
        {"SKIP, no guarantee", false, 8, BYTES(4, 5, 0, 0, 0, 0, 0, 4)},
        {"SKIP, of nothing", false, 8, BYTES(4, 2, 0, 0, 0, 0, 0, 0)},
        {"TIME, question", true, 2, BYTES(10, 0)},
        {"TIME, neither question nor answer", false, 15, BYTES(10, 2)},
        {"TIME, held for more bytes than it needs", false, 16, BYTES(10, 1, [6] = 0x05)},
        {"CREDIT, not shortest", false, 3, BYTES(3, 4 | 1, 0)},
    };

    (void)state;
    check_rows(rows, ED_COUNT(rows));
}

static void reasons(void **state)
{
    uint8_t data[4 + 256];
    ed_frame frame;
    size_t left = 0;

    (void)state;
    memset(data, 'x', sizeof(data));
    memcpy(data, (const uint8_t[]){5, 0, 0}, 3);
    for (size_t size = 0; size < 256; size++) {
        data[3] = (uint8_t)size;
        eddy_status got = read_copy(data, 4 + size, &frame, &left);
        CHECK_EQ("up to 63 bytes", got == EDDY_OK, size < EDDY_REASON_SIZE);
        if (got != EDDY_OK)
            continue;
        CHECK_EQ("size", frame.close.reason_size, size);
        CHECK_EQ("ends with NUL", strlen(frame.close.reason), size);
    }
}

/* ------------------------------------------------------------------------------ round trips -- */

/** Ranges drawn so that they reach from one to the most, with gaps from the smallest up. */
static ed_ranges random_ranges(ed_range places[ED_ACK_RANGES_MAX], uint64_t *seed)
{
    ed_ranges ranges = {.range = places,
                        .count = 1 + splitmix_below(seed, ED_ACK_RANGES_MAX),
                        .capacity = ED_ACK_RANGES_MAX};
    uint64_t at = ED_PACKET_NUMBER_LAST >> splitmix_below(seed, 40);

    for (uint32_t i = 0; i < ranges.count; i++) {
        ranges.range[i].last = at;
        at -= splitmix_below(seed, 300);
        ranges.range[i].first = at;
        at -= 2 + splitmix_below(seed, 200);
    }
    return ranges;
}

static void acks_go_around(void **state)
{
    uint64_t seed = 3;
    uint8_t data[1200];

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        ed_range places[ED_ACK_RANGES_MAX];
        ed_ranges ranges = random_ranges(places, &seed);
        uint64_t delay_us = splitmix_next(&seed) >> (2 + round % 62);
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame frame;
        size_t left = 0;
        ed_frame_write_ack(&w, &ranges, delay_us);
        CHECK("written", ed_writer_ok(&w));
        CHECK_EQ("read", read_copy(data, ed_writer_size(&w), &frame, &left), EDDY_OK);
        CHECK_EQ("all", left, 0);
        CHECK_EQ("delay", frame.ack.delay_us, delay_us);
        CHECK_EQ("count", frame.ack.count, ranges.count);
        CHECK_BYTES("ranges", frame.ack.range, ranges.range, ranges.count * sizeof(ed_range));
    }
}

/** A delay that no varint holds is cut, not asserted: a clock may jump. */
static void a_long_delay_is_cut(void **state)
{
    ed_range range = {0};
    ed_ranges ranges = {.range = &range, .count = 1, .capacity = 1};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    ed_frame frame;
    size_t left = 0;

    (void)state;
    ed_frame_write_ack(&w, &ranges, UINT64_MAX);
    CHECK_EQ("read", read_copy(data, ed_writer_size(&w), &frame, &left), EDDY_OK);
    CHECK_EQ("delay", frame.ack.delay_us, ED_VARINT_MAX);
}

static void paths_go_around(void **state)
{
    static const ed_frame_type types[] = {ED_FRAME_PATH_CHALLENGE, ED_FRAME_PATH_RESPONSE};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(types); i++) {
        uint8_t data[16];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame frame;
        size_t left = 0;
        ed_frame_write_path(&w, types[i], UINT64_C(0x0123456789abcdef));
        CHECK_EQ("size", ed_writer_size(&w), 9);
        CHECK_EQ("read", read_copy(data, ed_writer_size(&w), &frame, &left), EDDY_OK);
        CHECK_EQ("all", left, 0);
        CHECK_EQ("type", frame.type, types[i]);
        CHECK("data", frame.challenge == UINT64_C(0x0123456789abcdef));
    }
}

static void times_go_around(void **state)
{
    static const struct {
        const char *name;
        ed_time_frame frame;
        size_t size;
    } rows[] = {
        {"question", {.is_answer = false}, 2},
        {"answer at once", {.is_answer = true, .packet = 1, .time_ns = 1}, 15},
        {"25 ms later", {true, UINT32_MAX, 25 * ED_NS_PER_MS, UINT64_MAX}, 18},
        {"at the end of time", {true, 0, ED_VARINT_MAX, 0}, ED_TIME_SIZE_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[32];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame frame;
        size_t left = 0;
        ed_frame_write_time(&w, &rows[i].frame);
        CHECK_EQ(rows[i].name, ed_writer_size(&w), rows[i].size);
        CHECK_EQ(rows[i].name, read_copy(data, rows[i].size, &frame, &left), EDDY_OK);
        CHECK_EQ(rows[i].name, left, 0);
        CHECK_EQ(rows[i].name, frame.type, ED_FRAME_TIME);
        CHECK_EQ(rows[i].name, frame.time.is_answer, rows[i].frame.is_answer);
        CHECK_EQ(rows[i].name, frame.time.packet, rows[i].frame.packet);
        CHECK_EQ(rows[i].name, frame.time.held_ns, rows[i].frame.held_ns);
        CHECK_EQ(rows[i].name, frame.time.time_ns, rows[i].frame.time_ns);
    }
}

static void credit_and_skips_go_around(void **state)
{
    static const ed_skip_frame rows[] = {
        {.guarantee = ED_WIRE_RELIABLE_UNORDERED, .charge = 1},
        {.guarantee = ED_WIRE_RELIABLE_SEQUENCED,
         .stream = 255,
         .sequence = UINT32_MAX,
         .charge = ED_VARINT_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[64];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame frame;
        size_t left = 0;
        ed_frame_write_skip(&w, &rows[i]);
        size_t size = ed_writer_size(&w);
        CHECK_EQ("skip", read_copy(data, size, &frame, &left), EDDY_OK);
        CHECK("fits", left == 0 && size <= ED_SKIP_SIZE_MAX);
        CHECK_EQ("guarantee", frame.skip.guarantee, rows[i].guarantee);
        CHECK_EQ("stream", frame.skip.stream, rows[i].stream);
        CHECK_EQ("sequence", frame.skip.sequence, rows[i].sequence);
        CHECK("charge", frame.skip.charge == rows[i].charge);
        w = ed_writer_of(data, sizeof(data));
        ed_frame_write_credit(&w, rows[i].charge);
        size = ed_writer_size(&w);
        CHECK_EQ("credit", read_copy(data, size, &frame, &left), EDDY_OK);
        CHECK("fits", left == 0 && size <= ED_CREDIT_SIZE_MAX);
        CHECK("limit", frame.credit == rows[i].charge);
    }
}

static void closes_go_around(void **state)
{
    static const ed_close rows[] = {
        {.cause = ED_CLOSE_APPLICATION},
        {.cause = ED_CLOSE_APPLICATION, .code = 7, .reason_size = 3, .reason = "bye"},
        {.cause = ED_CLOSE_PROTOCOL, .code = UINT32_MAX},
        {.cause = ED_CLOSE_MEMORY, .code = 64, .reason_size = 63, .reason = {[62] = 'z'}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[128];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame frame;
        size_t left = 0;
        ed_frame_write_close(&w, &rows[i]);
        CHECK_EQ("read", read_copy(data, ed_writer_size(&w), &frame, &left), EDDY_OK);
        CHECK_EQ("cause", frame.close.cause, rows[i].cause);
        CHECK_EQ("code", frame.close.code, rows[i].code);
        CHECK_EQ("reason", frame.close.reason_size, rows[i].reason_size);
        CHECK_BYTES("reason", frame.close.reason, rows[i].reason, EDDY_REASON_SIZE);
    }
}

/* ------------------------------------------------------------------------------------ rules -- */

/** What may arrive where, and what is acknowledged; a letter for each state that allows it. */
static void the_rules(void **state)
{
    static const struct {
        ed_frame_type type;
        const char *name;
        const char *states; /* N G I A H C F c D R x, '-' where it is not allowed */
        bool ack_eliciting;
    } rows[] = {
        {ED_FRAME_PADDING, "PADDING", "-----CF----", false},
        {ED_FRAME_PING, "PING", "-----CF----", true},
        {ED_FRAME_ACK, "ACK", "-----CFc---", false},
        {ED_FRAME_CREDIT, "CREDIT", "-----CF----", true},
        {ED_FRAME_SKIP, "SKIP", "-----CF----", true},
        {ED_FRAME_CLOSE, "CLOSE", "-----CFcD--", false},
        {ED_FRAME_PATH_CHALLENGE, "PATH_CHALLENGE", "-----CF----", true},
        {ED_FRAME_PATH_RESPONSE, "PATH_RESPONSE", "-----CF----", true},
        {ED_FRAME_NEW_ID, "NEW_ID", "-----------", true},
        {ED_FRAME_RETIRE_ID, "RETIRE_ID", "-----------", true},
        {ED_FRAME_TIME, "TIME", "-----CF----", false},
        {ED_FRAME_TICKET, "TICKET", "-----------", true},
        {ED_FRAME_MESSAGE, "MESSAGE", "-----CF----", true},
    };
    static const ed_conn_state order[] = {
        ED_CONN_RESOLVING, ED_CONN_GREETING,  ED_CONN_INITIATING, ED_CONN_ASKING,
        ED_CONN_HALF_OPEN, ED_CONN_CONNECTED, ED_CONN_FLUSHING,   ED_CONN_CLOSING,
        ED_CONN_DRAINING,  ED_CONN_REFUSING,  ED_CONN_CLOSED,
    };

    (void)state;
    CHECK_EQ("all types", ED_COUNT(rows), ED_FRAME_TYPE_COUNT);
    CHECK_EQ("all states", ED_COUNT(order), ED_CONN_STATE_COUNT - 1);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const ed_frame_rule *rule = ed_frame_rule_of(rows[i].type);
        uint32_t want = 0;
        for (size_t s = 0; s < ED_COUNT(order); s++)
            want |= rows[i].states[s] == '-' ? 0 : ED_IN(order[s]);
        CHECK_STR(rows[i].name, rule->name, rows[i].name);
        CHECK_EQ(rows[i].name, rule->states, want);
        CHECK_EQ(rows[i].name, rule->ack_eliciting, rows[i].ack_eliciting);
    }
}

/* ------------------------------------------------------------------------------------ noise -- */

/** Nothing that is read may lie outside, and what succeeds has taken something. */
static void check_noise(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    while (ed_reader_left(&r) > 0) {
        const uint8_t *before = r.at;
        if (ed_frame_read(&r, &frame) != EDDY_OK)
            return;
        CHECK("goes on", r.at > before && r.at <= data + size);
        if (frame.type != ED_FRAME_MESSAGE || frame.message.data.size == 0)
            continue;
        CHECK("inside", frame.message.data.data >= data);
        CHECK("to the end", frame.message.data.data + frame.message.data.size <= data + size);
    }
}

/** The reader gives no more than there is, whatever the bytes say. */
static void a_million_random_packets(void **state)
{
    enum { SIZE = 64, ROUNDS = 1000 * 1000 };
    uint64_t seed = 5;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t size = 1 + splitmix_below(&seed, SIZE);
        uint64_t words[SIZE / 8 + 1];
        uint8_t *data = (uint8_t *)words + sizeof(words) - size; // its end is the array's end
        for (size_t i = 0; i < ED_COUNT(words); i++)
            words[i] = splitmix_next(&seed);
        if (round % 2 == 0)
            data[0] &= 0x8f; // half of them begin with a type, or with a usual message
        check_noise(data, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(the_next_frame_is_left),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(types_that_are_none),
        cmocka_unit_test(ack_bounds),
        cmocka_unit_test(at_most_32_ranges),
        cmocka_unit_test(other_bounds),
        cmocka_unit_test(reasons),
        cmocka_unit_test(acks_go_around),
        cmocka_unit_test(a_long_delay_is_cut),
        cmocka_unit_test(paths_go_around),
        cmocka_unit_test(times_go_around),
        cmocka_unit_test(credit_and_skips_go_around),
        cmocka_unit_test(closes_go_around),
        cmocka_unit_test(the_rules),
        cmocka_unit_test(a_million_random_packets),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
