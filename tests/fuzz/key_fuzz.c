/**
 * Any text as a key: what parses prints to the same text, and only of the kind that it says. Any
 * bytes as a file of one: it holds what its text does, and white space.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base.h"
#include "core/crypto.h"
#include "core/eddy_keys.h"

enum {
    TEXT_SIZE = 256,
    RECORD_SIZE = 1 + EDDY_KEY_SIZE + 3,
    LETTERS = EDDY_KEY_TEXT_SIZE - 1,
    FILE_PATH_SIZE = 32,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_any(const char *text)
{
    unsigned kinds = 0;

    for (int kind = -1; kind < 8; kind++) {
        char printed[EDDY_KEY_TEXT_SIZE];
        eddy_key key;
        if (eddy_key_parse(&key, (eddy_key_kind)kind, text) != EDDY_OK)
            continue;
        kinds++;
        ED_ASSERT(strcmp(text, eddy_key_print(&key, (eddy_key_kind)kind, printed)) == 0);
    }
    ED_ASSERT(kinds <= 1);
}

/** A key whose check is right, whatever its kind. */
static void parse_right(const uint8_t *data)
{
    char text[EDDY_KEY_TEXT_SIZE];
    eddy_key key, again;

    memcpy(key.bytes, data + 1, EDDY_KEY_SIZE);
    (void)eddy_key_print(&key, (eddy_key_kind)data[0], text);
    ED_ASSERT(strlen(text) == EDDY_KEY_TEXT_SIZE - 1);
    parse_any(text);
    eddy_status status = eddy_key_parse(&again, (eddy_key_kind)data[0], text);
    bool known = data[0] >= EDDY_KEY_SECRET && data[0] <= EDDY_KEY_TOKEN;
    ED_ASSERT(status == (known ? EDDY_OK : EDDY_EKEY));
    ED_ASSERT(status != EDDY_OK || memcmp(&key, &again, sizeof(key)) == 0);
}

static void base64(const char *text)
{
    uint8_t bytes[TEXT_SIZE];
    char again[TEXT_SIZE + 4];
    size_t size = 0;

    if (!ed_base64_read(bytes, sizeof(bytes), &size, text, strlen(text)))
        return;
    ed_base64_write(again, bytes, size);
    ED_ASSERT(strcmp(text, again) == 0); // bytes have one spelling
}

/** Makes a file in memory of the bytes. @return what to close. */
static int make_file(char path[FILE_PATH_SIZE], const uint8_t *data, size_t size)
{
    int file = memfd_create("key", 0);

    ED_ASSERT(file >= 0);
    ssize_t written = write(file, data, size);
    ED_ASSERT(written == (ssize_t)size);
    int failed = fchmod(file, 0600);
    ED_ASSERT(failed == 0);
    (void)snprintf(path, FILE_PATH_SIZE, "/proc/self/fd/%d", file);
    return file;
}

static bool is_white(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r' && data[i] != '\n')
            return false;
    return true;
}

/** The bytes as a file: it holds the key of its first letters, or none. */
static void load(const uint8_t *data, size_t size)
{
    char path[FILE_PATH_SIZE], text[EDDY_KEY_TEXT_SIZE] = "";
    int file = make_file(path, data, size);
    eddy_key loaded, parsed;

    memcpy(text, data, ed_min_size(size, LETTERS));
    for (int kind = EDDY_KEY_SECRET; kind <= EDDY_KEY_TOKEN; kind++) {
        eddy_status status = eddy_key_load(&loaded, (eddy_key_kind)kind, path);
        bool is_key = size >= LETTERS && size < TEXT_SIZE &&
                      is_white(data + LETTERS, size - LETTERS) &&
                      eddy_key_parse(&parsed, (eddy_key_kind)kind, text) == EDDY_OK;
        ED_ASSERT(status == (is_key ? EDDY_OK : EDDY_EKEY));
        ED_ASSERT(!is_key || memcmp(&loaded, &parsed, sizeof(parsed)) == 0);
    }
    (void)close(file);
}

/** A file of a right key, with the bytes behind it. */
static void load_right(const uint8_t *data, size_t size)
{
    uint8_t contents[LETTERS + TEXT_SIZE];
    char text[EDDY_KEY_TEXT_SIZE];
    eddy_key key = {{data[0]}};
    size_t rest = ed_min_size(size, TEXT_SIZE);

    (void)eddy_key_print(&key, (eddy_key_kind)(1 + data[0] % 5), text);
    memcpy(contents, text, LETTERS);
    memcpy(contents + LETTERS, data, rest);
    load(contents, LETTERS + rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    size_t text_size = ed_min_size(size, sizeof(text) - 1);

    if (ed_crypto_init() != EDDY_OK)
        return 0;
    if (text_size > 0)
        memcpy(text, data, text_size);
    text[text_size] = '\0';
    parse_any(text);
    base64(text);
    load((const uint8_t *)text, text_size);
    if (size > 0)
        load_right(data, size);
    if (size >= RECORD_SIZE)
        parse_right(data);
    return 0;
}
