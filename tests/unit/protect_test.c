/** How packets are sealed; key_update_test.c has how keys change. */
#include "tests/unit/protect_bed.h"

enum { NUMBER = 1000, PTO_NS = 100 };

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/** The four kinds of packet: both directions, both ciphers. */
struct kind {
    const char *name;
    bool from_client;
    struct protect_ends ends;
    ed_keys *sender;
    struct protect_reader reader;
};

/** @return false if there is no such cipher here. */
static bool begin(struct kind *kind, size_t i)
{
    kind->name = protect_names[i / 2];
    kind->from_client = i % 2 == 0;
    if (!protect_init(&kind->ends, protect_aeads[i / 2], 0))
        return false;
    kind->sender = kind->from_client ? &kind->ends.client : &kind->ends.server;
    kind->reader =
        (struct protect_reader){.keys = kind->from_client ? &kind->ends.server : &kind->ends.client,
                                .expected = NUMBER,
                                .pto_ns = PTO_NS};
    return true;
}

#define FOR_KINDS(kind)                                                                            \
    for (size_t kind_i_ = 0; kind_i_ < 2 * ED_COUNT(protect_aeads); kind_i_++)                     \
        if (begin(&(kind), kind_i_))

static void sealed_opens(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    for (uint8_t size = 1; size <= ED_PACKET_NUMBER_SIZE_MAX; size++) {
        struct protect_packet p =
            protect_seal(kind.sender, kind.from_client, (uint64_t)NUMBER + size, size);
        CHECK(kind.name, protect_open(&kind.reader, p));
        CHECK(kind.name, protect_open(&kind.reader, p)); // copies are the caller's to refuse
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    {
        struct protect_packet good = protect_seal(kind.sender, kind.from_client, NUMBER, 2);
        ed_keys before = *kind.reader.keys;
        for (size_t bit = 0; bit < 8 * good.size; bit++) {
            struct protect_packet p = good;
            p.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (protect_open(&kind.reader, p))
                fail_msg("%s: bit %zu may be flipped", kind.name, bit);
            before.forged_count = kind.reader.keys->forged_count;
            CHECK(kind.name, memcmp(&before, kind.reader.keys, sizeof(before)) == 0);
        }
        CHECK(kind.name, before.forged_count > 0 && before.forged_count <= 8 * good.size);
        CHECK(kind.name, protect_open(&kind.reader, good));
    }
}

/** One that is no packet is not a forged one; whatever has a header and a wrong tag is. */
static void forgeries_are_counted(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    {
        struct protect_packet p = protect_seal(kind.sender, kind.from_client, NUMBER, 2);
        struct protect_packet shorter = p;
        shorter.size = ED_TAG_SIZE;
        CHECK(kind.name, !protect_open(&kind.reader, shorter));
        CHECK_EQ(kind.name, kind.reader.keys->forged_count, 0);
        for (uint64_t i = 1; i <= 3; i++) {
            p.data[p.size - 17] ^= (uint8_t)(1u << i);
            CHECK(kind.name, !protect_open(&kind.reader, p));
            CHECK_EQ(kind.name, kind.reader.keys->forged_count, i);
        }
        CHECK_EQ(kind.name, kind.sender->forged_count, 0);
    }
}

static void only_the_same_number_opens(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
        bool want;
    } rows[] = {
        {"itself", NUMBER, true},
        {"the one before", NUMBER - 1, false},
        {"the next", NUMBER + 1, false},
        {"zero", 0, false},
        {"the same two low bytes", NUMBER + (1 << 16), false},
        {"the same four low bytes", NUMBER + (UINT64_C(1) << 32), false},
        {"the same two bytes, higher up", (uint64_t)NUMBER << 32, false},
        {"the same low 56 bits", NUMBER + (UINT64_C(1) << 56), false},
    };
    struct kind kind;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        FOR_KINDS(kind)
        {
            struct protect_packet p = protect_seal(kind.sender, kind.from_client, NUMBER, 2);
            size_t number_at = kind.from_client ? 5 : 1;
            CHECK(rows[i].name, ed_keys_unmask(kind.reader.keys, p.data, number_at, p.size));
            CHECK_EQ(rows[i].name,
                     ed_keys_open(kind.reader.keys, false, rows[i].number, p.data, number_at + 2,
                                  p.size, 0, PTO_NS, 0),
                     rows[i].want);
        }
}

static void every_size_but_the_whole_is_refused(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    {
        struct protect_packet good = protect_seal(kind.sender, kind.from_client, NUMBER, 2);
        for (size_t size = 0; size < good.size; size++) {
            struct protect_packet p = good;
            p.size = size;
            CHECK(kind.name, !protect_open(&kind.reader, p));
        }
        CHECK(kind.name, !ed_keys_open(kind.reader.keys, false, NUMBER, good.data, good.size,
                                       good.size, 0, PTO_NS, 0));
    }
}

/** The smallest packet has just enough behind its number to sample: 16 bytes, 4 further on. */
static void the_mask_needs_a_sample(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        bool want;
    } rows[] = {{"nothing", 0, false},
                {"one byte short", 1 + 4 + 15, false},
                {"just enough", 1 + 4 + 16, true},
                {"more", 1 + 4 + 17, true}};
    struct kind kind;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        FOR_KINDS(kind)
        {
            uint8_t data[22] = {0x40};
            CHECK_EQ(rows[i].name, ed_keys_unmask(kind.reader.keys, data, 1, rows[i].size),
                     rows[i].want);
        }
}

/** What goes one way is not taken for what goes the other way. */
static void directions_do_not_mix(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    {
        struct protect_packet p = protect_seal(kind.sender, kind.from_client, NUMBER, 2);
        struct protect_reader self = kind.reader;
        self.keys = kind.sender;
        CHECK("reflected", !protect_open(&self, p));
    }
}

/** Each bit of a secret makes another key; what it goes on with is none of those. */
static void each_bit_of_a_secret_counts(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    for (size_t bit = 0; bit < 8 * ED_KEY_SIZE; bit++) {
        uint8_t secret[ED_KEY_SIZE] = {0}, other[ED_KEY_SIZE] = {0};
        ed_keys a, b;
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ed_keys_init(&a, kind.sender->aead, secret, other, 0);
        ed_keys_init(&b, kind.sender->aead, other, secret, 0);
        CHECK("key", memcmp(a.send.key.key, b.send.key.key, ED_KEY_SIZE) != 0);
        CHECK("iv", memcmp(a.send.key.iv, b.send.key.iv, ED_AEAD_NONCE_SIZE) != 0);
        CHECK("mask", memcmp(a.send.mask, b.send.mask, ED_MAC_KEY_SIZE) != 0);
        CHECK("next", memcmp(a.send.secret, b.send.secret, ED_KEY_SIZE) != 0);
        CHECK("one way", memcmp(a.send.secret, secret, ED_KEY_SIZE) != 0 &&
                             memcmp(a.send.key.key, secret, ED_KEY_SIZE) != 0);
        CHECK_BYTES("both ends", &a.send, &b.receive, sizeof(a.send));
    }
}

/* --------------------------------------------------------------------------------- what is seen --
 */

/** Phase, size and bytes of the number do not stand in the clear; form, id bit and id do. */
static void headers_are_masked(void **state)
{
    enum { TRIES = 400 };
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    {
        size_t number_at = kind.from_client ? 5 : 1;
        size_t plain[8 + 16] = {0}; // how often each bit is as it would be without a mask
        for (uint64_t n = 0; n < TRIES; n++) {
            struct protect_packet p = protect_seal(kind.sender, kind.from_client, n, 2);
            uint8_t first = (uint8_t)((kind.from_client ? 0x60 : 0x40) | 1);
            CHECK_EQ("in the clear", p.data[0] & 0xe0, first & 0xe0);
            for (unsigned bit = 0; bit < 5; bit++)
                plain[bit] += (((unsigned)p.data[0] ^ first) >> bit & 1) == 0;
            for (unsigned bit = 0; bit < 16; bit++)
                plain[8 + bit] +=
                    ((p.data[number_at + bit / 8] ^ n >> 8 * (bit / 8)) >> bit % 8 & 1) == 0;
            if (kind.from_client)
                CHECK_EQ("id", p.data[1] | p.data[2] << 8 | p.data[3] << 16 | p.data[4] << 24,
                         SEALED_ID);
        }
        for (size_t bit = 0; bit < ED_COUNT(plain); bit++)
            if (bit < 5 || bit >= 8) // half of them, give or take six standard deviations
                CHECK(kind.name, plain[bit] > TRIES / 2 - 60 && plain[bit] < TRIES / 2 + 60);
    }
}

/** Which mask it is depends on 16 bytes of what is sealed, and on nothing else. */
static void masks_follow_the_sample(void **state)
{
    struct kind kind;

    (void)state;
    FOR_KINDS(kind)
    {
        uint8_t first[64] = {0x40, 1, 2, 3, 4, 5, 6, 7, [30] = 8}, second[64];
        memcpy(second, first, sizeof(second));
        CHECK("room", ed_keys_unmask(kind.reader.keys, first, 1, sizeof(first)));
        for (size_t at = 5; at < sizeof(second); at++) {
            uint8_t changed[64];
            memcpy(changed, second, sizeof(changed));
            changed[at] ^= 1;
            CHECK("room", ed_keys_unmask(kind.reader.keys, changed, 1, sizeof(changed)));
            bool is_same = changed[0] == first[0] && changed[1] == first[1];
            CHECK_EQ("in the sample", !is_same, at >= 5 && at < 21);
        }
    }
}

/* -------------------------------------------------------------------------------------- suites --
 */

static void suites(void **state)
{
    enum { CHACHA = 1 << ED_AEAD_CHACHA20, AES = 1 << ED_AEAD_AES256 };
    static const struct {
        const char *name;
        eddy_cipher cipher;
        uint8_t offered;
        uint8_t with_aes; /* what is chosen where the machine has both */
        uint8_t without;
    } rows[] = {
        {"the best of both", EDDY_CIPHER_BEST, CHACHA | AES, ED_AEAD_AES256, ED_AEAD_CHACHA20},
        {"only one there", EDDY_CIPHER_BEST, CHACHA, ED_AEAD_CHACHA20, ED_AEAD_CHACHA20},
        {"only the other there", EDDY_CIPHER_BEST, AES, ED_AEAD_AES256, 0},
        {"only one here", EDDY_CIPHER_CHACHA20, CHACHA | AES, ED_AEAD_CHACHA20, ED_AEAD_CHACHA20},
        {"only the other here", EDDY_CIPHER_AES256, CHACHA | AES, ED_AEAD_AES256, 0},
        {"none in common", EDDY_CIPHER_CHACHA20, AES, 0, 0},
        {"none in common", EDDY_CIPHER_AES256, CHACHA, 0, 0},
        {"none at all", EDDY_CIPHER_BEST, 0, 0, 0},
        {"of a time to come", EDDY_CIPHER_BEST, 0xf9, 0, 0},
    };
    bool has_aes = ed_aead_available(ED_AEAD_AES256);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = eddy_config_default();
        config.cipher = rows[i].cipher;
        uint8_t want = has_aes ? rows[i].with_aes : rows[i].without;
        CHECK_EQ(rows[i].name, ed_suite_choose(&config, rows[i].offered), want);
        for (unsigned suite = 0; suite < 256; suite++)
            CHECK_EQ(
                rows[i].name, ed_suite_is_offered(&config, (uint8_t)suite),
                (suite == ED_AEAD_CHACHA20 && rows[i].cipher != EDDY_CIPHER_AES256) ||
                    (suite == ED_AEAD_AES256 && has_aes && rows[i].cipher != EDDY_CIPHER_CHACHA20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_opens),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(forgeries_are_counted),
        cmocka_unit_test(only_the_same_number_opens),
        cmocka_unit_test(every_size_but_the_whole_is_refused),
        cmocka_unit_test(the_mask_needs_a_sample),
        cmocka_unit_test(directions_do_not_mix),
        cmocka_unit_test(each_bit_of_a_secret_counts),
        cmocka_unit_test(headers_are_masked),
        cmocka_unit_test(masks_follow_the_sample),
        cmocka_unit_test(suites),
    };
    return cmocka_run_group_tests_name("protect", tests, set_up, NULL);
}
