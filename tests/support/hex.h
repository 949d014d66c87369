/** Bytes from the hexadecimal text that published vectors come in. */
#ifndef ED_TEST_HEX_H
#define ED_TEST_HEX_H

#include "tests/support/check.h"

static inline uint8_t hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit == '\0' ? NULL : strchr(digits, digit);

    CHECK("a digit", at != NULL);
    return (uint8_t)(at - digits);
}

/** Writes the bytes of `text` to `bytes`, which has room for them. @return how many. */
static inline size_t hex_read(uint8_t *bytes, size_t room, const char *text)
{
    size_t size = strlen(text) / 2;

    CHECK("whole bytes that have room", strlen(text) % 2 == 0 && size <= room);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return size;
}

#endif
