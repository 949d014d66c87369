/** Any text: what parses is valid and survives a round trip; what splits is put together again. */
#include <stdio.h>
#include <string.h>

#include "core/addr.h"
#include "core/base.h"

enum {
    TEXT_SIZE = 512,
    HOST_SIZE = 64, /* less than the text may have, so that some are too long */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_and_print(const char *text)
{
    eddy_address address, again;
    char printed[EDDY_ADDRESS_TEXT_SIZE], reprinted[EDDY_ADDRESS_TEXT_SIZE];

    if (eddy_address_parse(&address, text) != EDDY_OK)
        return;
    ED_ASSERT(ed_addr_valid(&address));
    eddy_address_print(&address, printed);
    eddy_status status = eddy_address_parse(&again, printed);
    ED_ASSERT(status == EDDY_OK);
    ED_ASSERT(eddy_address_equal(&address, &again));
    ED_ASSERT(strcmp(printed, eddy_address_print(&again, reprinted)) == 0);
}

static void split(const char *text)
{
    char host[HOST_SIZE], joined[TEXT_SIZE];
    uint16_t port;

    if (ed_addr_split(text, host, sizeof(host), &port) != EDDY_OK)
        return;
    ED_ASSERT(strlen(host) < sizeof(host));
    snprintf(joined, sizeof(joined), text[0] == '[' ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
    ED_ASSERT(strcmp(text, joined) == 0); // a port has one spelling
}

/** Any bytes as an address: printing stays within its room. */
static void print_any(const uint8_t *data, size_t size)
{
    eddy_address address = {.family = EDDY_FAMILY_NONE}, again;
    char text[EDDY_ADDRESS_TEXT_SIZE];

    memcpy(&address, data, ed_min_size(size, sizeof(address)));
    eddy_address_print(&address, text);
    if (!ed_addr_valid(&address))
        return;
    eddy_status status = eddy_address_parse(&again, text);
    ED_ASSERT(status == EDDY_OK);
    ED_ASSERT(eddy_address_equal(&address, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    size_t text_size = ed_min_size(size, sizeof(text) - 1);

    if (text_size > 0)
        memcpy(text, data, text_size);
    text[text_size] = '\0';
    parse_and_print(text);
    split(text);
    if (size > 0)
        print_any(data, size);
    return 0;
}
