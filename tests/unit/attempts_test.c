/** Which cookies a client tries: transport/attempts.h. */
#include "tests/support/check.h"

#include "transport/attempts.h"

/** What happens, a letter each. */
typedef struct story {
    const char *name;
    const char *told; /* 'T': it begins with a ticket. Then '.': all that is pending leaves; 'r':
                         there was no answer for a while; '!': the first is refused, with the
                         cookie 'z'; others are cookies */
    const char *sent; /* 'h', and the cookies in INITIATEs */
} story;

static void make(uint8_t cookie[ED_COOKIE_SIZE], char letter)
{
    memset(cookie, letter, ED_COOKIE_SIZE);
}

static void send_all(ed_attempts *attempts, char **sent)
{
    const uint8_t *cookie = NULL;

    if (ed_attempts_take_hello(attempts))
        *(*sent)++ = 'h';
    while ((cookie = ed_attempts_take(attempts)) != NULL)
        *(*sent)++ = (char)cookie[0];
}

static void tell(ed_attempts *attempts, char what, char **sent)
{
    uint8_t cookie[ED_COOKIE_SIZE];

    make(cookie, what == '!' ? 'z' : what);
    if (what == '.')
        send_all(attempts, sent);
    else if (what == 'r')
        ed_attempts_repeat(attempts);
    else if (what == '!')
        ed_attempts_refuse(attempts, 0, cookie);
    else
        ed_attempts_add(attempts, cookie);
}

static void cookies_are_tried_as_they_are_needed(void **state)
{
    static const story rows[] = {
        {"HELLO", ".", "h"},
        {"HELLO again", ".r.", "hh"},
        {"one cookie", ".1.", "h1"},
        {"and its INITIATE again", ".1.r.", "h11"},
        {"the same twice", ".1.1.", "h1"},
        {"a second waits", ".1.2.r.", "h11"},
        {"until the first is refused", ".12.!.", "h1h2"},
        {"then each is tried at once", ".1.!.2.3.", "h1h23"},
        {"and all is repeated", ".1.!.2.r.", "h1h2h12"},
        {"refused twice is no more", ".1.!.!.", "h1h"},
        {"the cookie of a refusal is not looked at", ".1.!.r.", "h1hh1"},
        {"a ticket", "T.", "T"},
        {"a ticket that is refused", "T.!.", "Tz"},
        {"and is not shown again", "T.!.r.", "Tzz"},
        {"others to a ticket wait, too", "T.!2.", "Tz"},
        {"eight answers to a HELLO, and no ninth", ".1.!.23456789a.", "h1h2345678"},
        {"the second oldest gives way to answers to the next", ".1.!.2345678.r.9.r.",
         "h1h2345678h123456789h13456789"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool has_ticket = rows[i].told[0] == 'T';
        char sent[100] = {0}, *at = sent;
        uint8_t ticket[ED_COOKIE_SIZE];
        ed_attempts attempts;
        make(ticket, 'T');
        ed_attempts_init(&attempts, has_ticket ? ticket : NULL);
        for (const char *what = rows[i].told + has_ticket; *what != '\0'; what++)
            tell(&attempts, *what, &at);
        CHECK_STR(rows[i].name, sent, rows[i].sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_are_tried_as_they_are_needed),
    };
    return cmocka_run_group_tests_name("attempts", tests, NULL, NULL);
}
