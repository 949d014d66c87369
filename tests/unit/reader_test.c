#include "tests/support/check.h"

#include "core/reader.h"
#include "core/writer.h"

static void numbers_are_little_endian_and_come_back(void **state)
{
    static const uint8_t want[] = {
        0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b,
        0x0a, 0x09, 0x08, 0x33, 0x22, 0x11, 'e',  'd',  'd',  'y',  0,    0,
    };
    uint8_t data[sizeof(want)];
    ed_writer w = ed_writer_of(data, sizeof(data));

    (void)state;
    ed_write_u8(&w, 0x01);
    ed_write_u16(&w, 0x0203);
    ed_write_u32(&w, 0x04050607);
    ed_write_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    ed_write_uint(&w, 0xff112233, 3); // the high byte does not fit, and is not asked for
    ed_write_bytes(&w, "eddy", 4);
    ed_write_zeros(&w, 2);
    CHECK("full, not failed", ed_writer_ok(&w));
    CHECK_EQ("size", ed_writer_size(&w), sizeof(data));
    CHECK_EQ("left", ed_writer_left(&w), 0);
    CHECK_BYTES("layout", data, want, sizeof(want));

    ed_reader r = ed_reader_of(data, sizeof(data));
    CHECK_EQ("u8", ed_read_u8(&r), 0x01);
    CHECK_EQ("u16", ed_read_u16(&r), 0x0203);
    CHECK_EQ("u32", ed_read_u32(&r), 0x04050607);
    CHECK_EQ("u64", ed_read_u64(&r), 0x08090a0b0c0d0e0f);
    CHECK_EQ("u24", ed_read_uint(&r, 3), 0x112233);
    ed_span span = ed_read_bytes(&r, 4);
    CHECK_EQ("span", span.size, 4);
    CHECK("no copy", span.data == data + 18);
    CHECK_EQ("left", ed_reader_left(&r), 2);
    CHECK_EQ("zeros", ed_read_u16(&r), 0);
    CHECK("read to the end", ed_reader_ok(&r) && ed_reader_left(&r) == 0);
}

/** Reads a number of `size` bytes; 0 stands for a varint. */
static uint64_t read_sized(ed_reader *r, size_t size)
{
    switch (size) {
    case 0:
        return ed_read_varint(r);
    case 1:
        return ed_read_u8(r);
    case 2:
        return ed_read_u16(r);
    case 4:
        return ed_read_u32(r);
    case 8:
        return ed_read_u64(r);
    default:
        return ed_read_uint(r, size);
    }
}

static void what_ends_too_soon_fails(void **state)
{
    static const uint8_t data[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    (void)state;
    for (size_t size = 0; size <= sizeof(data); size++) {
        size_t needed = size == 0 ? 8 : size; // a varint of these bytes is one of eight
        for (size_t have = 0; have <= sizeof(data); have++) {
            ed_reader r = ed_reader_of(data, have);
            uint64_t value = read_sized(&r, size);
            CHECK_EQ("fails", ed_reader_ok(&r), have >= needed);
            CHECK_EQ("zero on failure", value != 0, have >= needed);
            CHECK_EQ("left", ed_reader_left(&r), have >= needed ? have - needed : 0);
        }
    }
}

static void the_first_failure_of_a_reader_sticks(void **state)
{
    static const uint8_t data[] = {4, 4, 4, 4};
    ed_reader r = ed_reader_of(data, sizeof(data));

    (void)state;
    CHECK_EQ("good", ed_read_u8(&r), 4);
    CHECK_EQ("too many", ed_read_bytes(&r, 4).size, 0);
    CHECK("failed", !ed_reader_ok(&r));
    CHECK_EQ("nothing is left", ed_reader_left(&r), 0);
    for (size_t size = 0; size <= 8; size++)
        CHECK_EQ("zero from here on", read_sized(&r, size), 0);
    CHECK_EQ("not even nothing", ed_read_bytes(&r, 0).size, 0);
    CHECK("still failed", !ed_reader_ok(&r));

    r = ed_reader_of(data, sizeof(data));
    ed_reader_fail(&r);
    CHECK("refused by the caller", !ed_reader_ok(&r) && ed_reader_left(&r) == 0);
}

static void a_span_as_large_as_can_be_asked_for_fails(void **state)
{
    static const uint8_t data[4] = {1, 2, 3, 4};
    static const size_t sizes[] = {5, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(sizes); i++) {
        ed_reader r = ed_reader_of(data, sizeof(data));
        CHECK_EQ("span", ed_read_bytes(&r, sizes[i]).size, 0);
        CHECK("failed", !ed_reader_ok(&r));
    }
}

static void nothing_at_all_can_be_read_and_written(void **state)
{
    ed_reader r = ed_reader_of(NULL, 0);
    ed_writer w = ed_writer_of(NULL, 0);

    (void)state;
    CHECK_EQ("left", ed_reader_left(&r), 0);
    CHECK_EQ("empty span", ed_read_bytes(&r, 0).size, 0);
    CHECK("reader", ed_reader_ok(&r));
    ed_write_bytes(&w, NULL, 0);
    ed_write_zeros(&w, 0);
    CHECK("writer", ed_writer_ok(&w));
    CHECK_EQ("size", ed_writer_size(&w), 0);
    ed_write_u8(&w, 1);
    CHECK("no room", !ed_writer_ok(&w));
    CHECK_EQ("varint", ed_read_varint(&r), 0);
    CHECK("no byte", !ed_reader_ok(&r));
}

static void a_writer_without_room_writes_nothing_more(void **state)
{
    uint8_t data[8];
    ed_writer w = ed_writer_of(data, 6);

    (void)state;
    memset(data, 0xee, sizeof(data));
    ed_write_u32(&w, 0);
    ed_write_u32(&w, 0); // two bytes are left
    CHECK("failed", !ed_writer_ok(&w));
    CHECK_EQ("left", ed_writer_left(&w), 0);
    ed_write_u8(&w, 0); // would have fitted
    ed_write_bytes(&w, "x", 1);
    ed_write_zeros(&w, 1);
    CHECK("no room", ed_write_reserve(&w, 0) == NULL);
    CHECK_EQ("what was good stays", ed_writer_size(&w), 4);
    for (size_t i = 4; i < sizeof(data); i++)
        CHECK_EQ("untouched", data[i], 0xee);

    w = ed_writer_of(data, sizeof(data));
    CHECK("huge", ed_write_reserve(&w, SIZE_MAX) == NULL && !ed_writer_ok(&w));
}

static void varints_take_the_shortest_form(void **state)
{
    static const struct {
        const char *name;
        uint64_t value;
        size_t size;
        uint8_t bytes[8];
    } rows[] = {
        {"zero", 0, 1, {0x00}},
        {"one", 1, 1, {0x04}},
        {"largest of 1", (1 << 6) - 1, 1, {0xfc}},
        {"smallest of 2", 1 << 6, 2, {0x01, 0x01}},
        {"largest of 2", (1 << 14) - 1, 2, {0xfd, 0xff}},
        {"smallest of 4", 1 << 14, 4, {0x02, 0x00, 0x01, 0x00}},
        {"largest of 4", (1 << 30) - 1, 4, {0xfe, 0xff, 0xff, 0xff}},
        {"smallest of 8", 1 << 30, 8, {0x03, 0x00, 0x00, 0x00, 0x01}},
        {"largest of 8", ED_VARINT_MAX, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[8] = {0};
        ed_writer w = ed_writer_of(data, rows[i].size);
        CHECK_EQ(rows[i].name, ed_varint_size(rows[i].value), rows[i].size);
        ed_write_varint(&w, rows[i].value);
        CHECK(rows[i].name, ed_writer_ok(&w));
        CHECK_EQ(rows[i].name, ed_writer_size(&w), rows[i].size);
        CHECK_BYTES(rows[i].name, data, rows[i].bytes, sizeof(data));

        ed_reader r = ed_reader_of(data, sizeof(data));
        CHECK_EQ(rows[i].name, ed_read_varint(&r), rows[i].value);
        CHECK_EQ(rows[i].name, ed_reader_left(&r), sizeof(data) - rows[i].size);

        w = ed_writer_of(data, rows[i].size - 1);
        ed_write_varint(&w, rows[i].value);
        CHECK(rows[i].name, !ed_writer_ok(&w));
        r = ed_reader_of(data, rows[i].size - 1);
        CHECK_EQ(rows[i].name, ed_read_varint(&r), 0);
        CHECK(rows[i].name, !ed_reader_ok(&r));
    }
}

static void varints_in_a_longer_form_are_refused(void **state)
{
    static const struct {
        const char *name;
        bool good;
        uint8_t bytes[8];
    } rows[] = {
        {"0 in 2", false, {0x01, 0x00}},
        {"63 in 2", false, {0xfd, 0x00}},
        {"64 in 2", true, {0x01, 0x01}},
        {"0 in 4", false, {0x02}},
        {"63 in 4", false, {0xfe}},
        {"16383 in 4", false, {0xfe, 0xff}},
        {"16384 in 4", true, {0x02, 0x00, 0x01}},
        {"0 in 8", false, {0x03}},
        {"2^30 - 1 in 8", false, {0xff, 0xff, 0xff, 0xff}},
        {"2^30 in 8", true, {0x03, 0x00, 0x00, 0x00, 0x01}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_reader r = ed_reader_of(rows[i].bytes, sizeof(rows[i].bytes));
        uint64_t value = ed_read_varint(&r);
        CHECK_EQ(rows[i].name, ed_reader_ok(&r), rows[i].good);
        CHECK_EQ(rows[i].name, value != 0, rows[i].good);
    }
}

/** What does not fit leaves its place as it was, and the reader failed. */
static void bytes_go_into_their_place(void **state)
{
    static const uint8_t data[] = {1, 2, 3};
    uint8_t place[2] = {8, 9};
    ed_reader r = ed_reader_of(data, sizeof(data));

    (void)state;
    ed_read_into(&r, place, sizeof(place));
    CHECK("taken", ed_reader_ok(&r) && place[0] == 1 && place[1] == 2);
    ed_read_into(&r, place, sizeof(place));
    CHECK("too many", !ed_reader_ok(&r) && place[0] == 1 && place[1] == 2);
    ed_read_into(&r, place, 0);
    CHECK("nothing", !ed_reader_ok(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_into_their_place),
        cmocka_unit_test(numbers_are_little_endian_and_come_back),
        cmocka_unit_test(what_ends_too_soon_fails),
        cmocka_unit_test(the_first_failure_of_a_reader_sticks),
        cmocka_unit_test(a_span_as_large_as_can_be_asked_for_fails),
        cmocka_unit_test(nothing_at_all_can_be_read_and_written),
        cmocka_unit_test(a_writer_without_room_writes_nothing_more),
        cmocka_unit_test(varints_take_the_shortest_form),
        cmocka_unit_test(varints_in_a_longer_form_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
