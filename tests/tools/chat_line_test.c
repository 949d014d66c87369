/** The words of a chat, taken apart: logins, lines, and what a terminal may be shown. */
#include "tools/chat_line.h"

#include "tests/support/check.h"

/** The bytes of a literal, NULs in it too. */
#define TEXT(LITERAL)                                                                              \
    {                                                                                              \
        LITERAL, sizeof(LITERAL) - 1                                                               \
    }

static ed_chat_text text_of(const char *text)
{
    return (ed_chat_text){text, strlen(text)};
}

static void plain_text(void **state)
{
    static const struct {
        const char *name;
        ed_chat_text text;
        bool want;
    } rows[] = {
        {"empty", TEXT(""), true},
        {"letters", TEXT("hello"), true},
        {"NUL", TEXT("a\0b"), false},
        {"tab", TEXT("a\tb"), false},
        {"escape", TEXT("\x1b[2J"), false},
        {"delete", TEXT("\x7f"), false},
        {"last before delete", TEXT("~"), true},
        {"C1 control", TEXT("\xc2\x9b"), false},
        {"first behind C1", TEXT("\xc2\xa0"), true},
        {"two bytes", TEXT("\xc3\xa9"), true},
        {"three bytes", TEXT("\xe2\x82\xac"), true},
        {"four bytes", TEXT("\xf0\x9f\x98\x80"), true},
        {"the last of all", TEXT("\xf4\x8f\xbf\xbf"), true},
        {"behind the last of all", TEXT("\xf4\x90\x80\x80"), false},
        {"too long for what it says: 2", TEXT("\xc1\xa1"), false},
        {"too long for what it says: 3", TEXT("\xe0\x81\xa1"), false},
        {"too long for what it says: 4", TEXT("\xf0\x80\x81\xa1"), false},
        {"cut off", TEXT("a\xe2\x82"), false},
        {"a follower alone", TEXT("\x80"), false},
        {"a letter for a follower", TEXT("\xc3x"), false},
        {"five bytes", TEXT("\xf8\x88\x80\x80\x80"), false},
        {"surrogate", TEXT("\xed\xa0\x80"), false},
        {"before the surrogates", TEXT("\xed\x9f\xbf"), true},
        {"turns the line around", TEXT("\xe2\x80\xae"), false},
        {"isolates", TEXT("\xe2\x81\xa6"), false},
        {"line separator", TEXT("\xe2\x80\xa8"), false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_chat_is_plain(rows[i].text), rows[i].want);
}

static void trimmed_text(void **state)
{
    static const char *const rows[][2] = {
        {"", ""}, {" \t\r\n", ""}, {"a", "a"}, {" a b\r\n", "a b"}, {"\ta ", "a"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK(rows[i][0], ed_chat_equal(ed_chat_trim(text_of(rows[i][0])), text_of(rows[i][1])));
}

static void logins(void **state)
{
    static const struct {
        const char *name;
        ed_chat_text login;
        const char *wrong; /* NULL: nothing */
    } rows[] = {
        {"plain", TEXT("alice"), NULL},
        {"two words", TEXT("alice b"), NULL},
        {"empty", TEXT(""), "a login must not be empty"},
        {"the longest", TEXT("0123456789abcdef0123456789abcdef"), NULL},
        {"too long", TEXT("0123456789abcdef0123456789abcdef0"), "a login has at most 32 bytes"},
        {"control", TEXT("a\x07"), "a login is UTF-8 without control characters"},
        {"NUL", TEXT("a\0b"), "a login is UTF-8 without control characters"},
        {"comma", TEXT("a,b"), "a login has neither ',' nor ':' in it"},
        {"colon", TEXT("a:b"), "a login has neither ',' nor ':' in it"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const char *wrong = ed_chat_check_login(rows[i].login);
        CHECK_EQ(rows[i].name, wrong == NULL, rows[i].wrong == NULL);
        if (wrong != NULL)
            CHECK_STR(rows[i].name, wrong, rows[i].wrong);
    }
}

static void lines(void **state)
{
    static const struct {
        const char *line;
        const char *wrong; /* NULL: nothing */
        const char *text;
        const char *names[3];
    } rows[] = {
        {"bob: hello", NULL, "hello", {"bob"}},
        {" alice , bob:hi! \n", NULL, "hi!", {"alice", "bob"}},
        {"bob, bob, alice, bob: once", NULL, "once", {"bob", "alice"}},
        {"bob,,: x", NULL, "x", {"bob"}},
        {"bob: at 10:30", NULL, "at 10:30", {"bob"}},
        {"bob:", NULL, "", {"bob"}},
        {"", "say to whom: NAME, NAME: TEXT", NULL, {NULL}},
        {"hello", "say to whom: NAME, NAME: TEXT", NULL, {NULL}},
        {": hello", "say to whom: NAME, NAME: TEXT", NULL, {NULL}},
        {", ,: hello", "say to whom: NAME, NAME: TEXT", NULL, {NULL}},
        {"bob: \x1b[2J", "a line is UTF-8 without control characters", NULL, {NULL}},
    };
    ed_chat_line line;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const char *name = rows[i].line;
        const char *wrong = ed_chat_parse(&line, text_of(rows[i].line));
        CHECK_EQ(name, wrong == NULL, rows[i].wrong == NULL);
        if (wrong != NULL) {
            CHECK_STR(name, wrong, rows[i].wrong);
            continue;
        }
        CHECK(name, ed_chat_equal(line.text, text_of(rows[i].text)));
        size_t count = 0;
        for (; count < ED_COUNT(rows[i].names) && rows[i].names[count] != NULL; count++)
            CHECK(name, count < line.name_count &&
                            ed_chat_equal(line.names[count], text_of(rows[i].names[count])));
        CHECK_EQ(name, line.name_count, count);
    }
}

/** Writes `count` names of one letter and a number, and a colon. @return the size. */
static size_t write_names(char *at, unsigned count)
{
    size_t size = 0;

    for (unsigned i = 0; i < count; i++) {
        at[size++] = (char)('a' + i / 10);
        at[size++] = (char)('0' + i % 10);
        at[size++] = i + 1 < count ? ',' : ':';
    }
    return size;
}

static void limits(void **state)
{
    char text[ED_CHAT_LINE_MAX + 1];
    ed_chat_line line;

    (void)state;
    size_t size = write_names(text, ED_CHAT_NAMES_MAX);
    CHECK("names", ed_chat_parse(&line, (ed_chat_text){text, size}) == NULL);
    CHECK_EQ("names", line.name_count, ED_CHAT_NAMES_MAX);
    size = write_names(text, ED_CHAT_NAMES_MAX + 1);
    CHECK_STR("a name too many", ed_chat_parse(&line, (ed_chat_text){text, size}),
              "a line names at most 64 people");
    memset(text, 'x', sizeof(text));
    text[1] = ':';
    CHECK("longest", ed_chat_parse(&line, (ed_chat_text){text, ED_CHAT_LINE_MAX}) == NULL);
    CHECK_EQ("longest", line.text.size, ED_CHAT_LINE_MAX - 2);
    CHECK_STR("too long", ed_chat_parse(&line, (ed_chat_text){text, ED_CHAT_LINE_MAX + 1}),
              "a line has at most 1000 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text), cmocka_unit_test(trimmed_text), cmocka_unit_test(logins),
        cmocka_unit_test(lines),      cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
