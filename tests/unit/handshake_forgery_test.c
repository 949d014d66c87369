/** INITIATE and ACCEPT that are authentic, by somebody who has the keys, and yet to be refused. */
#include "tests/unit/handshake_bed.h"
#include "tests/unit/noise_forger.h"
#include "tests/unit/x25519_points.h"

enum { PARTS_MAX = 6, ACCEPT_PAYLOAD_SIZE = 136 };

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/* ------------------------------------------------------------------------------- contents -- */

/** Puts a byte into the sealed part of INITIATE, and asks the server. */
static eddy_status says_in_initiate(ed_mode mode, size_t at, uint8_t value)
{
    struct handshake_ends ends;
    uint8_t data[ED_INITIATE_SIZE];
    ed_initiate initiate;
    ed_noise noise;

    handshake_init(&ends, mode);
    (void)handshake_initiate(&ends, data);
    CHECK_EQ("good", handshake_take(&ends, &initiate, &noise, data, sizeof(data)), EDDY_OK);
    noise = handshake_noise(&ends, data);
    size_t payload_at = ed_initiate_payload_at(mode);
    data[payload_at + at] = value;
    CHECK("sealed again",
          ed_noise_write(&noise, (uint8_t[ED_KEY_SIZE]){0x30, (uint8_t)at, value},
                         data + ed_initiate_message_at(mode), ED_INITIATE_SEALED_SIZE));
    return handshake_take(&ends, &initiate, &noise, data, sizeof(data));
}

static void initiate_that_says_nonsense(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        uint8_t value;
        eddy_status want;
    } rows[] = {
        {"unchanged", 0, 0xb0, EDDY_OK},
        {"datagram size 1199", 0, 0xaf, EDDY_EPROTO},
        {"datagram size 1455", 1, 5, EDDY_OK},
        {"datagram size 176", 1, 0, EDDY_EPROTO},
        {"streams are not looked at", 2, 9, EDDY_OK},
        {"credit is not looked at", 4, 9, EDDY_OK},
        {"a feature", 8, 1, EDDY_EPROTO},
        {"another feature", 11, 0x80, EDDY_EPROTO},
        {"no versions", 12, 0, EDDY_EPROTO},
        {"eight versions", 12, 8, EDDY_OK},
        {"nine versions", 12, 9, EDDY_EPROTO},
        {"not the version in use", 16, 2, EDDY_EPROTO},
        {"build is not looked at", 56, 1, EDDY_OK},
        {"messages of 1,149 bytes", 64, 0x7d, EDDY_EPROTO},
        {"messages of 1,151 bytes", 64, 0x7f, EDDY_OK},
        {"messages of 16 MiB more", 67, 1, EDDY_OK},
        {"no payload", 68, 0, EDDY_OK},
        {"a payload of 255", 68, 255, EDDY_OK},
        {"the largest payload and 9 more", 69, 1, EDDY_EPROTO},
        {"a payload of 65,289", 69, 255, EDDY_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (int mode = 0; mode < ED_MODE_COUNT; mode++)
            CHECK_EQ(rows[i].name, says_in_initiate((ed_mode)mode, rows[i].at, rows[i].value),
                     rows[i].want);
}

static void accept_that_says_nonsense(void **state)
{
    static const struct {
        const char *name;
        uint8_t refusal;
        uint16_t datagram_size;
        uint32_t message_max;
        eddy_status want;
    } rows[] = {
        {"good", 0, 1200, EDDY_PIECE_SIZE_MAX, EDDY_OK},
        {"larger datagrams", 0, 9000, EDDY_PIECE_SIZE_MAX, EDDY_OK},
        {"smaller datagrams", 0, 1199, EDDY_PIECE_SIZE_MAX, EDDY_EPROTO},
        {"larger messages", 0, 1200, UINT32_MAX, EDDY_OK},
        {"smaller messages", 0, 1200, EDDY_PIECE_SIZE_MAX - 1, EDDY_EPROTO},
        {"a refusal needs nothing else", EDDY_REFUSED_FULL, 0, 0, EDDY_OK},
        {"a refusal of a kind to come", 200, 0, 0, EDDY_OK},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows) * ED_MODE_COUNT; i++) {
        size_t row = i / ED_MODE_COUNT;
        struct handshake_ends ends;
        uint8_t initiate[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE_MAX];
        ed_accept got = {.id = 7};
        handshake_init(&ends, (ed_mode)(i % ED_MODE_COUNT));
        ends.accept.refusal = rows[row].refusal;
        ends.accept.datagram_size = rows[row].datagram_size;
        ends.accept.message_max = rows[row].message_max;
        ed_noise client = handshake_initiate(&ends, initiate);
        ed_noise server = handshake_taken(&ends, initiate);
        size_t size = handshake_accept(&ends, &server, data);
        CHECK_EQ(rows[row].name, handshake_opens(&ends, client, &got, data, size), rows[row].want);
        uint32_t id = rows[row].refusal == 0 ? ends.accept.id : 0; // no use to one who is refused
        CHECK_EQ(rows[row].name, got.id, rows[row].want == EDDY_OK ? id : 7);
    }
}

/** A refusal says why, in up to 63 bytes. */
static void refusals(void **state)
{
    static const struct {
        const char *name;
        uint8_t size_said;
        eddy_status want;
    } rows[] = {{"no reason", 0, EDDY_OK},
                {"a reason", 6, EDDY_OK},
                {"the longest", 63, EDDY_OK},
                {"longer", 64, EDDY_EPROTO},
                {"as long as can be said", 255, EDDY_EPROTO}};
    enum { PAYLOAD_AT = HANDSHAKE_ACCEPT_CLEAR_SIZE + ED_KEY_SIZE, SIZE_AT = PAYLOAD_AT + 8 };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct handshake_ends ends;
        uint8_t initiate[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE];
        ed_accept got;
        handshake_init(&ends, ED_MODE_PINNED);
        ends.accept.refusal = EDDY_REFUSED_BY_PROGRAM;
        ends.accept.code = 0xfedcba98;
        ends.accept.reason_size = 63;
        memset(ends.accept.reason, 'x', 63);
        ed_noise client = handshake_initiate(&ends, initiate), reader = client;
        ed_noise server = handshake_taken(&ends, initiate), again = server;
        size_t size = handshake_accept(&ends, &server, data);
        CHECK_EQ("open", ed_accept_open(&got, &reader, ends.mode, ends.initiate.nonce, data, size),
                 EDDY_OK);
        data[SIZE_AT] = rows[i].size_said;
        CHECK("sealed again",
              ed_noise_write(&again, (uint8_t[ED_KEY_SIZE]){0x40, (uint8_t)i},
                             data + HANDSHAKE_ACCEPT_CLEAR_SIZE, ACCEPT_PAYLOAD_SIZE));
        CHECK_EQ(rows[i].name, handshake_opens(&ends, client, &got, data, size), rows[i].want);
        if (rows[i].want != EDDY_OK)
            continue;
        CHECK_EQ(rows[i].name, got.refusal, EDDY_REFUSED_BY_PROGRAM);
        CHECK_EQ(rows[i].name, got.code, ends.accept.code);
        CHECK_EQ(rows[i].name, strlen(got.reason), rows[i].size_said);
    }
}

/* -------------------------------------------------------------------------- keys of low order --
 */

static const struct {
    const char *name;
    ed_mode mode;
    char in_place_of;
    const char *parts[PARTS_MAX];
} initiates[] =
    {
        {"OPEN, e", ED_MODE_OPEN, 'e', {"e"}},
        {"PINNED, e", ED_MODE_PINNED, 'e', {"psk", "e", "es"}},
        {"MUTUAL, e", ED_MODE_MUTUAL, 'e', {"e", "es", "s", "ss", "psk"}},
        {"MUTUAL, s", ED_MODE_MUTUAL, 's', {"e", "es", "s", "ss", "psk"}},
        {"TOKEN, e", ED_MODE_TOKEN, 'e', {"psk", "e", "es"}},
},
  accepts[] = {
      {"OPEN, e", ED_MODE_OPEN, 'e', {"e", "ee", "s", "se", "psk"}},
      {"OPEN, s", ED_MODE_OPEN, 's', {"e", "ee", "s", "se", "psk"}},
      {"PINNED, e", ED_MODE_PINNED, 'e', {"e", "ee"}},
      {"MUTUAL, e", ED_MODE_MUTUAL, 'e', {"e", "ee", "es"}},
      {"TOKEN, e", ED_MODE_TOKEN, 'e', {"e", "ee"}},
};

/** Makes an INITIATE by hand. @param point in place of a key; NULL: an honest one. */
static void forge_initiate(struct handshake_ends *ends, size_t row, const uint8_t *point,
                           uint8_t *data)
{
    ed_initiate initiate;
    ed_noise noise;

    handshake_init(ends, initiates[row].mode);
    (void)handshake_initiate(ends, data);
    CHECK_EQ("good", handshake_take(ends, &initiate, &noise, data, ED_INITIATE_SIZE), EDDY_OK);
    size_t at = ed_initiate_payload_at(ends->mode);
    struct forger f = {.noise = handshake_noise(ends, data),
                       .own = ends->client,
                       .ephemeral = handshake_pair(9),
                       .point = point,
                       .in_place_of = point == NULL ? '-' : initiates[row].in_place_of};
    struct noise_message m = forge(f, initiates[row].parts, data + at, ED_INITIATE_SEALED_SIZE);
    CHECK_EQ("size", m.size,
             ed_initiate_message_end(ends->mode) - ed_initiate_message_at(ends->mode));
    memcpy(data + ed_initiate_message_at(ends->mode), m.data, m.size);
}

/** Whether a server goes along with an INITIATE up to its answer. */
static bool is_answered(size_t row, const uint8_t *point)
{
    struct handshake_ends ends;
    uint8_t data[ED_INITIATE_SIZE];
    ed_initiate initiate;
    ed_noise noise;

    forge_initiate(&ends, row, point, data);
    eddy_status status = handshake_take(&ends, &initiate, &noise, data, sizeof(data));
    // In mode OPEN the answer is the first that is reckoned with the client's key.
    CHECK_EQ(initiates[row].name, status,
             point == NULL || ends.mode == ED_MODE_OPEN ? EDDY_OK : EDDY_EAUTH);
    return status == EDDY_OK &&
           ed_accept_write(data, &ends.accept, &noise, ends.mode, (uint8_t[ED_KEY_SIZE]){0x50});
}

static bool is_accepted(size_t row, const uint8_t *point)
{
    struct handshake_ends ends;
    uint8_t initiate[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE_MAX];
    ed_accept accept = {.id = 7};

    handshake_init(&ends, accepts[row].mode);
    ed_noise client = handshake_initiate(&ends, initiate), reader = client;
    ed_noise server = handshake_taken(&ends, initiate), again = server;
    size_t size = handshake_accept(&ends, &server, data);
    CHECK_EQ("good", ed_accept_open(&accept, &reader, ends.mode, ends.initiate.nonce, data, size),
             EDDY_OK);
    struct forger f = {.noise = again,
                       .own = ends.server,
                       .ephemeral = handshake_pair(9),
                       .point = point,
                       .in_place_of = point == NULL ? '-' : accepts[row].in_place_of};
    struct noise_message m =
        forge(f, accepts[row].parts, data + size - ED_TAG_SIZE - ACCEPT_PAYLOAD_SIZE,
              ACCEPT_PAYLOAD_SIZE);
    CHECK_EQ("size", m.size, size - HANDSHAKE_ACCEPT_CLEAR_SIZE);
    memcpy(data + HANDSHAKE_ACCEPT_CLEAR_SIZE, m.data, m.size);
    return handshake_opens(&ends, client, &accept, data, size) == EDDY_OK;
}

/** So that what follows is refused for the lie alone. */
static void a_forger_that_does_not_lie_is_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(initiates); i++)
        CHECK(initiates[i].name, is_answered(i, NULL));
    for (size_t i = 0; i < ED_COUNT(accepts); i++)
        CHECK(accepts[i].name, is_accepted(i, NULL));
}

static void keys_of_low_order_are_refused(void **state)
{
    (void)state;
    for (size_t point = 0; point < ED_COUNT(x25519_points); point++) {
        uint8_t key[ED_KEY_SIZE];
        (void)hex_read(key, sizeof(key), x25519_points[point].key);
        if (x25519_points[point].shared != NULL)
            continue;
        for (size_t i = 0; i < ED_COUNT(initiates); i++)
            CHECK(initiates[i].name, !is_answered(i, key));
        for (size_t i = 0; i < ED_COUNT(accepts); i++)
            CHECK(accepts[i].name, !is_accepted(i, key));
    }
}

/** Nothing is sent to a server whose key is none. */
static void servers_of_low_order(void **state)
{
    static const struct {
        const char *name;
        ed_mode mode;
        bool want;
    } rows[] = {{"OPEN: the key is not used", ED_MODE_OPEN, true},
                {"PINNED", ED_MODE_PINNED, false},
                {"MUTUAL", ED_MODE_MUTUAL, false},
                {"TOKEN", ED_MODE_TOKEN, false}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct handshake_ends ends;
        uint8_t data[ED_INITIATE_SIZE];
        ed_noise noise;
        handshake_init(&ends, rows[i].mode);
        memset(ends.known, 0, sizeof(ends.known));
        ed_noise_keys keys = handshake_client_keys(&ends);
        CHECK_EQ(
            rows[i].name,
            ed_initiate_write(data, &ends.initiate, &noise, (uint8_t[ED_KEY_SIZE]){0x60}, &keys),
            rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initiate_that_says_nonsense),
        cmocka_unit_test(accept_that_says_nonsense),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_forger_that_does_not_lie_is_believed),
        cmocka_unit_test(keys_of_low_order_are_refused),
        cmocka_unit_test(servers_of_low_order),
    };
    return cmocka_run_group_tests_name("handshake forgery", tests, set_up, NULL);
}
