/** Any text as a key: what parses prints to the same text, and only of the kind that it says. */
#include <string.h>

#include "core/base.h"
#include "core/crypto.h"
#include "core/eddy_keys.h"

enum { TEXT_SIZE = 256, RECORD_SIZE = 1 + EDDY_KEY_SIZE + 3 };

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
    if (size >= RECORD_SIZE)
        parse_right(data);
    return 0;
}
