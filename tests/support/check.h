/** Checks for rows: a failure shows the row's name and both values. Built on cmocka. */
#ifndef ED_TEST_CHECK_H
#define ED_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/** Fails unless the condition holds. */
#define CHECK(name, condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: %s", (name), #condition);                                                \
    } while (0)

/** Fails unless two integers are equal. */
#define CHECK_EQ(name, got, want)                                                                  \
    do {                                                                                           \
        long long check_got_ = (long long)(got);                                                   \
        long long check_want_ = (long long)(want);                                                 \
        if (check_got_ != check_want_)                                                             \
            fail_msg("%s: %s is %lld (0x%llx), want %lld (0x%llx)", (name), #got, check_got_,      \
                     (unsigned long long)check_got_, check_want_,                                  \
                     (unsigned long long)check_want_);                                             \
    } while (0)

/** Fails unless two strings are equal. */
#define CHECK_STR(name, got, want)                                                                 \
    do {                                                                                           \
        const char *check_got_ = (got);                                                            \
        const char *check_want_ = (want);                                                          \
        if (strcmp(check_got_, check_want_) != 0)                                                  \
            fail_msg("%s: %s is \"%s\", want \"%s\"", (name), #got, check_got_, check_want_);      \
    } while (0)

/** Fails unless `size` bytes are equal; names the first that differs. */
#define CHECK_BYTES(name, got, want, size)                                                         \
    do {                                                                                           \
        const uint8_t *check_got_ = (const uint8_t *)(got);                                        \
        const uint8_t *check_want_ = (const uint8_t *)(want);                                      \
        for (size_t check_i_ = 0; check_i_ < (size_t)(size); check_i_++)                           \
            if (check_got_[check_i_] != check_want_[check_i_])                                     \
                fail_msg("%s: %s[%zu] is 0x%02x, want 0x%02x", (name), #got, check_i_,             \
                         check_got_[check_i_], check_want_[check_i_]);                             \
    } while (0)

#endif
