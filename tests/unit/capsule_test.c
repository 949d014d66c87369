/** The part of a token that a server opens: whoever changes anything in it has no token. */
#include "tests/unit/token_bed.h"

static const ed_capsule_place here = {BED_PROTOCOL_ID, BED_SERVER_ID};
static const ed_capsule untouched = {.client_id = 42, .user_data = {[231] = 42}};
static uint8_t sealed[ED_CAPSULE_SIZE];
static eddy_key server_key;
static ed_capsule made;

static int set_up(void **state)
{
    if (bed_set_up(state) != 0)
        return -1;
    server_key = eddy_key_token(&bed_issuer, BED_SERVER_ID);
    made = (ed_capsule){
        .client_id = BED_CLIENT_ID,
        .issued_s = BED_ISSUED_S,
        .expires_s = BED_EXPIRES_S,
        .user_data_size = 3,
        .user_data = {7, 8, 9},
    };
    memset(made.id, 0x1d, sizeof(made.id));
    memset(made.psk, 0x5e, sizeof(made.psk));
    ed_capsule_seal(sealed, &made, &here, server_key.bytes);
    return 0;
}

static void check_refused(const char *name, const uint8_t *bytes, const ed_capsule_place *place,
                          const eddy_key *key)
{
    ed_capsule capsule = untouched;

    CHECK_EQ(name, ed_capsule_open(&capsule, bytes, place, key->bytes), EDDY_ETOKEN);
    CHECK_BYTES(name, &capsule, &untouched, sizeof(capsule));
}

static void what_was_sealed_is_opened(void **state)
{
    static const uint8_t sizes[] = {0, 1, 231, 232};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(sizes); i++) {
        ed_capsule capsule = untouched;
        memset(made.user_data, 0, sizeof(made.user_data));
        memset(made.user_data, 0xda, sizes[i]);
        made.user_data_size = sizes[i];
        ed_capsule_seal(sealed, &made, &here, server_key.bytes);
        CHECK_EQ("opens", ed_capsule_open(&capsule, sealed, &here, server_key.bytes), EDDY_OK);
        CHECK_BYTES("id", capsule.id, made.id, sizeof(made.id));
        CHECK_EQ("client", capsule.client_id, BED_CLIENT_ID);
        CHECK_EQ("issued", capsule.issued_s, BED_ISSUED_S);
        CHECK_EQ("expires", capsule.expires_s, BED_EXPIRES_S);
        CHECK_BYTES("psk", capsule.psk, made.psk, sizeof(made.psk));
        CHECK_EQ("size", capsule.user_data_size, sizes[i]);
        CHECK_BYTES("data", capsule.user_data, made.user_data, sizeof(made.user_data));
        CHECK_EQ("seen without a key", ed_capsule_expires_s(sealed), BED_EXPIRES_S);
        CHECK_BYTES("seen without a key", ed_capsule_id(sealed), made.id, sizeof(made.id));
    }
}

static void every_altered_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < (size_t)8 * ED_CAPSULE_SIZE; bit++) {
        uint8_t altered[ED_CAPSULE_SIZE];
        memcpy(altered, sealed, sizeof(altered));
        altered[bit / 8] ^= (uint8_t)(1u << bit % 8);
        check_refused("altered", altered, &here, &server_key);
    }
}

static void elsewhere_it_does_not_open(void **state)
{
    static const struct {
        const char *name;
        ed_capsule_place place;
    } rows[] = {
        {"another server", {BED_PROTOCOL_ID, BED_OTHER_SERVER_ID}},
        {"another server, high byte", {BED_PROTOCOL_ID, BED_SERVER_ID | UINT64_C(1) << 63}},
        {"another protocol", {BED_PROTOCOL_ID + 1, BED_SERVER_ID}},
        {"another protocol, high byte", {BED_PROTOCOL_ID ^ UINT64_C(1) << 63, BED_SERVER_ID}},
        {"the other way round", {BED_SERVER_ID, BED_PROTOCOL_ID}},
    };
    const eddy_key other_key = eddy_key_token(&bed_issuer, BED_OTHER_SERVER_ID);
    static const eddy_key zeros;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        // A server that pretends to another's number has its own key still.
        check_refused(rows[i].name, sealed, &rows[i].place, &server_key);
        check_refused(rows[i].name, sealed, &rows[i].place, &other_key);
    }
    check_refused("the key of another server", sealed, &here, &other_key);
    check_refused("the issuer's key itself", sealed, &here, &bed_issuer);
    check_refused("no key", sealed, &here, &zeros);
}

static void time_decides(void **state)
{
    static const struct {
        const char *name;
        uint64_t now_s;
        eddy_status want;
    } rows[] = {
        {"at once", BED_ISSUED_S, EDDY_OK},
        {"in its last second", BED_EXPIRES_S - 1, EDDY_OK},
        {"at its end", BED_EXPIRES_S, EDDY_EEXPIRED},
        {"long after", UINT64_MAX, EDDY_EEXPIRED},
        {"by a clock a little behind", BED_ISSUED_S - ED_TOKEN_CLOCK_S, EDDY_OK},
        {"by a clock far behind", BED_ISSUED_S - ED_TOKEN_CLOCK_S - 1, EDDY_EEXPIRED},
        {"by a clock that was never set", 0, EDDY_EEXPIRED},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_capsule_judge(&made, rows[i].now_s), rows[i].want);
}

/** What an issuer seals that is not ours, but has the key: it is parsed as anything else is. */
static void what_no_issuer_writes_is_refused(void **state)
{
    enum { SEALED_AT = 36, SEALED_SIZE = 304, DATA_SIZE_AT = 48, RESERVED_AT = 49 };
    static const struct {
        const char *name;
        size_t at; /* in what is sealed */
        uint8_t value;
        eddy_status want;
    } rows[] = {
        {"as it should be", DATA_SIZE_AT, 3, EDDY_OK},
        {"all of the data used", DATA_SIZE_AT, 232, EDDY_OK},
        {"more data than there are", DATA_SIZE_AT, 233, EDDY_ETOKEN},
        {"much more", DATA_SIZE_AT, 255, EDDY_ETOKEN},
        {"first reserved byte", RESERVED_AT, 1, EDDY_ETOKEN},
        {"last reserved byte", RESERVED_AT + 22, 0x80, EDDY_ETOKEN},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t header[36], bytes[ED_CAPSULE_SIZE];
        ed_capsule capsule;
        memcpy(header, "eddytok1\10\7\6\5\4\3\2\1\x9\0\0\0\0\0\0\0\0\0\0\0", 28);
        memcpy(header + 28, sealed + 4, 8);
        memcpy(bytes, sealed, sizeof(bytes));
        CHECK("opens",
              ed_xaead_open(server_key.bytes, made.id, header, 36, bytes + SEALED_AT, 320));
        bytes[SEALED_AT + rows[i].at] = rows[i].value;
        ed_xaead_seal(server_key.bytes, made.id, header, 36, bytes + SEALED_AT, SEALED_SIZE);
        CHECK_EQ(rows[i].name, ed_capsule_open(&capsule, bytes, &here, server_key.bytes),
                 rows[i].want);
    }
}

static void a_life_has_its_limits(void **state)
{
    static const struct {
        const char *name;
        uint64_t issued_s;
        uint64_t expires_s;
        eddy_status want;
    } rows[] = {
        {"a second", 1000, 1001, EDDY_OK},
        {"the longest", 1000, 1000 + EDDY_TOKEN_LIFE_S_MAX, EDDY_OK},
        {"longer", 1000, 1001 + EDDY_TOKEN_LIFE_S_MAX, EDDY_ETOKEN},
        {"for ever", 1000, UINT64_MAX, EDDY_ETOKEN},
        {"none", 1000, 1000, EDDY_ETOKEN},
        {"backwards", 1000, 999, EDDY_ETOKEN},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_capsule capsule;
        made.issued_s = rows[i].issued_s;
        made.expires_s = rows[i].expires_s;
        ed_capsule_seal(sealed, &made, &here, server_key.bytes);
        CHECK_EQ(rows[i].name, ed_capsule_open(&capsule, sealed, &here, server_key.bytes),
                 rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_sealed_is_opened, set_up),
        cmocka_unit_test_setup(every_altered_bit_is_noticed, set_up),
        cmocka_unit_test_setup(elsewhere_it_does_not_open, set_up),
        cmocka_unit_test_setup(time_decides, set_up),
        cmocka_unit_test_setup(what_no_issuer_writes_is_refused, set_up),
        cmocka_unit_test_setup(a_life_has_its_limits, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
