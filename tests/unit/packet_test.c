#include "tests/support/check.h"

#include "core/base.h"
#include "core/seq.h"
#include "tests/support/splitmix.h"
#include "transport/packet.h"

/** Which kind each of the 256 first bytes announces. */
static void first_bytes(void **state)
{
    static const struct {
        const char *name;
        unsigned first;
        unsigned last;
        ed_form want;
    } rows[] = {
        {"below packets", 0x00, 0x3f, ED_FORM_UNKNOWN},
        {"packets", 0x40, 0x7f, ED_FORM_PACKET},
        {"between packets and handshake", 0x80, 0xe0, ED_FORM_UNKNOWN},
        {"HELLO", 0xe1, 0xe1, ED_FORM_HELLO},
        {"RETRY", 0xe2, 0xe2, ED_FORM_RETRY},
        {"INITIATE", 0xe3, 0xe3, ED_FORM_INITIATE},
        {"ACCEPT", 0xe4, 0xe4, ED_FORM_ACCEPT},
        {"REJECT", 0xe5, 0xe5, ED_FORM_REJECT},
        {"VERSIONS", 0xe6, 0xe6, ED_FORM_VERSIONS},
        {"above the handshake", 0xe7, 0xff, ED_FORM_UNKNOWN},
    };
    unsigned covered = 0;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (unsigned byte = rows[i].first; byte <= rows[i].last; byte++, covered++)
            CHECK_EQ(rows[i].name, ed_form_of(&(uint8_t){(uint8_t)byte}, 1), rows[i].want);
    }
    CHECK_EQ("every byte", covered, 256);
    CHECK_EQ("nothing at all", ed_form_of(NULL, 0), ED_FORM_UNKNOWN);
}

static void parse_rows(void **state)
{
    static const struct {
        const char *name;
        uint8_t first;
        size_t size;
        eddy_status want;
        size_t header_size;
    } rows[] = {
        {"empty", 0x40, 0, EDDY_ETRUNCATED, 0},
        {"first byte alone", 0x40, 1, EDDY_ETRUNCATED, 0},
        {"server, 1-byte number, a byte short", 0x40, 20, EDDY_ETRUNCATED, 0},
        {"server, 1-byte number", 0x40, 21, EDDY_OK, 2},
        {"server, 2-byte number, a byte short", 0x41, 20, EDDY_ETRUNCATED, 0},
        {"server, 2-byte number", 0x41, 21, EDDY_OK, 3},
        {"server, 3-byte number", 0x42, 21, EDDY_OK, 4},
        {"server, 4-byte number, no frame", 0x43, 21, EDDY_OK, 5},
        {"server, 4-byte number, a byte short", 0x43, 20, EDDY_ETRUNCATED, 0},
        {"client, id cut", 0x60, 4, EDDY_ETRUNCATED, 0},
        {"client, 1-byte number, a byte short", 0x60, 24, EDDY_ETRUNCATED, 0},
        {"client, 1-byte number", 0x60, 25, EDDY_OK, 6},
        {"client, 4-byte number, a byte short", 0x63, 24, EDDY_ETRUNCATED, 0},
        {"client, 4-byte number", 0x63, 25, EDDY_OK, 9},
        {"largest", 0x63, 1200, EDDY_OK, 9},
        {"phase set", 0x44, 21, EDDY_OK, 2},
        {"reserved 0x10", 0x50, 21, EDDY_EPROTO, 0},
        {"reserved 0x08", 0x48, 21, EDDY_EPROTO, 0},
        {"both reserved bits", 0x58, 1200, EDDY_EPROTO, 0},
        {"a handshake", 0xe1, 1200, EDDY_EPROTO, 0},
        {"form 0", 0x00, 1200, EDDY_EPROTO, 0},
        {"form 0x80", 0x80, 1200, EDDY_EPROTO, 0},
    };
    uint8_t data[ED_DATAGRAM_SIZE] = {0};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_packet packet = {.id = 77};
        data[0] = rows[i].first;
        eddy_status got = ed_packet_parse(&packet, data, rows[i].size);
        CHECK_EQ(rows[i].name, got, rows[i].want);
        CHECK_EQ(rows[i].name, packet.header_size, rows[i].header_size);
        if (got != EDDY_OK) {
            CHECK_EQ("untouched on failure", packet.id, 77);
            continue;
        }
        CHECK_EQ(rows[i].name, packet.from_client, (rows[i].first & 0x20) != 0);
        CHECK_EQ(rows[i].name, packet.phase, (rows[i].first & 0x04) != 0);
        CHECK_EQ(rows[i].name, packet.number_size, (rows[i].first & 3) + 1);
        CHECK_EQ(rows[i].name, packet.number_at, rows[i].header_size - packet.number_size);
    }
}

static void peek_rows(void **state)
{
    static const uint8_t bytes[] = {0, 0x02, 0x01, 0x00, 0x0a};
    static const struct {
        const char *name;
        uint8_t first;
        size_t size;
        eddy_status want;
        bool from_client;
        uint32_t id;
    } rows[] = {
        {"client", 0x60, 5, EDDY_OK, true, 0x0a000102},
        {"client, whatever else the byte says", 0x7f, 5, EDDY_OK, true, 0x0a000102},
        {"client, id cut", 0x60, 4, EDDY_ETRUNCATED, false, 7},
        {"server has none", 0x40, 1, EDDY_OK, false, 0},
        {"empty", 0x40, 0, EDDY_ETRUNCATED, false, 7},
        {"no packet", 0xe1, 5, EDDY_EPROTO, false, 7},
        {"no packet, with the bit", 0x20, 5, EDDY_EPROTO, false, 7},
    };
    uint8_t data[sizeof(bytes)];

    (void)state;
    memcpy(data, bytes, sizeof(bytes));
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool from_client = false;
        uint32_t id = 7;
        data[0] = rows[i].first;
        CHECK_EQ(rows[i].name, ed_packet_peek_id(data, rows[i].size, &from_client, &id),
                 rows[i].want);
        CHECK_EQ(rows[i].name, from_client, rows[i].from_client);
        CHECK_EQ(rows[i].name, id, rows[i].id);
    }
}

/** What is written is parsed, for both ends, phases, and all sizes of a number. */
static void round_trip(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t data[ED_PACKET_HEADER_SIZE_MAX + 8 + ED_TAG_SIZE] = {0};
        ed_packet written = {.from_client = i % 2 != 0,
                             .phase = i % 3 == 0,
                             .number_size = (uint8_t)(i % ED_PACKET_NUMBER_SIZE_MAX + 1),
                             .id = (uint32_t)splitmix_next(&seed),
                             .number = splitmix_next(&seed) & ED_PACKET_NUMBER_LAST};
        size_t size = ed_packet_write(&written, data);
        ed_packet read;
        CHECK_EQ("size", size, 1u + written.number_size + (written.from_client ? 4 : 0));
        CHECK_EQ("parse", ed_packet_parse(&read, data, sizeof(data)), EDDY_OK);
        CHECK_EQ("end", read.from_client, written.from_client);
        CHECK_EQ("phase", read.phase, written.phase);
        CHECK_EQ("id", read.id, written.from_client ? written.id : 0);
        CHECK_EQ("header", read.header_size, size);
        CHECK_EQ("same", read.header_size, written.header_size);
        CHECK_EQ("number's place", read.number_at, written.number_at);
        CHECK_EQ("number", read.number,
                 written.number & ((UINT64_C(1) << 8 * written.number_size) - 1));
    }
}

static void number_sizes(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
        uint64_t unacknowledged;
        uint8_t want;
    } rows[] = {
        {"the first", 0, 1, 2},
        {"far along, all acknowledged", 1000000, 1, 2},
        {"up to 2^15 - 2", 1000000, 32766, 2},
        {"2^15 - 1", 1000000, 32767, 3},
        {"up to 2^23 - 2", UINT64_C(1) << 40, (1 << 23) - 2, 3},
        {"2^23 - 1", UINT64_C(1) << 40, (1 << 23) - 1, 4},
        {"more than four bytes help", UINT64_C(1) << 40, UINT64_C(1) << 39, 4},
        {"everything", ED_PACKET_NUMBER_LAST, ED_PACKET_NUMBER_LAST + 1, 4},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_packet_number_size(rows[i].number, rows[i].unacknowledged),
                 rows[i].want);
}

/** A receiver that has seen anything from the last acknowledged on finds the number again. */
static void a_cut_number_is_found_again(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t unacknowledged = splitmix_next(&seed) >> (34 + i % 29);
        uint64_t number = unacknowledged + (splitmix_next(&seed) >> (5 + i % 58));
        uint8_t size = ed_packet_number_size(number, unacknowledged);
        uint64_t low = number & ((UINT64_C(1) << 8 * size) - 1);
        // The receiver's next is above the last it acknowledged, and need not have seen more.
        uint64_t next = number - unacknowledged + 1;
        CHECK_EQ("one far behind", ed_seq_expand(next, low, 8u * size), number);
        CHECK_EQ("one up to date", ed_seq_expand(number, low, 8u * size), number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_bytes),  cmocka_unit_test(parse_rows),
        cmocka_unit_test(peek_rows),    cmocka_unit_test(round_trip),
        cmocka_unit_test(number_sizes), cmocka_unit_test(a_cut_number_is_found_again),
    };
    return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
