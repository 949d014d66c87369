/**
 * Keys as values, text and files. The text is base64url of kind 1 | key 32 | check 3, the first
 * bytes of BLAKE2b-256 over kind and key.
 */
#include <string.h>

#include "core/base.h"
#include "core/crypto.h"
#include "core/eddy_keys.h"
#include "core/file.h"
#include "core/writer.h"

enum {
    CHECK_SIZE = 3,
    CHECKED_SIZE = 1 + EDDY_KEY_SIZE,
    RECORD_SIZE = CHECKED_SIZE + CHECK_SIZE,
    LETTERS = EDDY_KEY_TEXT_SIZE - 1,
    HASH_SIZE = 32,
    FILE_SIZE_MAX = 255, /* the text, and white space behind it */
};

static_assert(EDDY_KEY_TEXT_SIZE == ED_BASE64_SIZE(RECORD_SIZE), "core/eddy_keys.h has the size");
static_assert((int)EDDY_KEY_SIZE == (int)ED_KEY_SIZE, "a key is a key of X25519, or a cipher's");

/** Readies libsodium. What needs no randomness is right even if the system has none. */
static void start_crypto(void)
{
    eddy_status status = ed_crypto_init();

    (void)status;
}

/* ------------------------------------------------------------------------------------ values -- */

eddy_status eddy_key_make(eddy_key *key)
{
    const eddy_entropy *entropy = ed_entropy_system();

    if (ed_crypto_init() != EDDY_OK)
        return EDDY_ESYSTEM;
    entropy->fill(entropy->context, key->bytes, sizeof(key->bytes));
    return EDDY_OK;
}

eddy_key eddy_key_public(const eddy_key *secret)
{
    eddy_key key;

    start_crypto();
    ed_x25519_public(key.bytes, secret->bytes);
    return key;
}

eddy_key eddy_key_token(const eddy_key *issuer, uint64_t server_id)
{
    static const char label[] = "eddy token key";
    uint8_t input[sizeof(label) - 1 + sizeof(server_id)];
    ed_writer w = ed_writer_of(input, sizeof(input));
    eddy_key key;

    ed_write_bytes(&w, label, sizeof(label) - 1);
    ed_write_u64(&w, server_id);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    start_crypto();
    ed_blake2b(key.bytes, sizeof(key.bytes), input, sizeof(input), issuer->bytes, EDDY_KEY_SIZE);
    return key;
}

void eddy_key_wipe(eddy_key *key)
{
    ed_wipe(key, sizeof(*key));
}

/* -------------------------------------------------------------------------------------- text -- */

static void check_of(uint8_t check[CHECK_SIZE], const uint8_t checked[CHECKED_SIZE])
{
    uint8_t hash[HASH_SIZE];

    start_crypto();
    ed_blake2b(hash, sizeof(hash), checked, CHECKED_SIZE, NULL, 0);
    memcpy(check, hash, CHECK_SIZE);
    ed_wipe(hash, sizeof(hash));
}

const char *eddy_key_print(const eddy_key *key, eddy_key_kind kind, char text[EDDY_KEY_TEXT_SIZE])
{
    uint8_t record[RECORD_SIZE];

    record[0] = (uint8_t)kind;
    memcpy(record + 1, key->bytes, EDDY_KEY_SIZE);
    check_of(record + CHECKED_SIZE, record);
    ed_base64_write(text, record, sizeof(record));
    ed_wipe(record, sizeof(record));
    return text;
}

static bool is_kind(eddy_key_kind kind)
{
    return kind >= EDDY_KEY_SECRET && kind <= EDDY_KEY_TOKEN;
}

/** Whether the bytes are a key of that kind, and as they were printed. */
static bool is_record(const uint8_t record[RECORD_SIZE], eddy_key_kind kind)
{
    uint8_t check[CHECK_SIZE];

    if (!is_kind(kind) || record[0] != (uint8_t)kind)
        return false;
    check_of(check, record);
    return ed_equal_secret(check, record + CHECKED_SIZE, CHECK_SIZE);
}

static eddy_status parse(eddy_key *key, eddy_key_kind kind, const char *text, size_t text_size)
{
    uint8_t record[RECORD_SIZE] = {0};
    size_t size = 0;

    bool is_key = ed_base64_read(record, sizeof(record), &size, text, text_size) &&
                  size == sizeof(record) && is_record(record, kind);
    if (is_key)
        memcpy(key->bytes, record + 1, EDDY_KEY_SIZE);
    ed_wipe(record, sizeof(record));
    return is_key ? EDDY_OK : EDDY_EKEY;
}

eddy_status eddy_key_parse(eddy_key *key, eddy_key_kind kind, const char *text)
{
    return text == NULL ? EDDY_EKEY : parse(key, kind, text, strlen(text));
}

/* ------------------------------------------------------------------------------------- files -- */

static ed_file_readers readers_of(eddy_key_kind kind)
{
    return kind == EDDY_KEY_PUBLIC ? ED_FILE_SHARED : ED_FILE_PRIVATE;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

eddy_status eddy_key_load(eddy_key *key, eddy_key_kind kind, const char *path)
{
    char text[FILE_SIZE_MAX + 1]; // one more than is taken, so that more is seen
    size_t size = 0;

    eddy_status status = ed_file_read(text, sizeof(text), &size, path, readers_of(kind));
    if (status == EDDY_OK && size > FILE_SIZE_MAX)
        status = EDDY_EKEY;
    while (size > LETTERS && is_white(text[size - 1]))
        size--;
    if (status == EDDY_OK)
        status = parse(key, kind, text, size);
    ed_wipe(text, sizeof(text));
    return status;
}

eddy_status eddy_key_save(const eddy_key *key, eddy_key_kind kind, const char *path)
{
    char text[EDDY_KEY_TEXT_SIZE];

    (void)eddy_key_print(key, kind, text);
    text[LETTERS] = '\n'; // in place of the NUL
    eddy_status status = ed_file_write_new(path, text, sizeof(text), readers_of(kind));
    ed_wipe(text, sizeof(text));
    return status;
}
