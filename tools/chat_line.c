#include "tools/chat_line.h"

#include <string.h>

bool ed_chat_equal(ed_chat_text a, ed_chat_text b)
{
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

ed_chat_text ed_chat_trim(ed_chat_text text)
{
    while (text.size > 0 && is_blank(text.at[0])) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.at[text.size - 1]))
        text.size--;
    return text;
}

/* ----------------------------------------------------------------------------------- UTF-8 -- */

/** By the first byte: how many follow, and the least that so many may say. */
static size_t follower_count(uint8_t first, uint32_t *bits, uint32_t *least)
{
    static const struct {
        uint8_t mask, sign;
        uint32_t least;
    } rows[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        if ((first & rows[i].mask) == rows[i].sign) {
            *bits = first & (uint8_t)~rows[i].mask;
            *least = rows[i].least;
            return i;
        }
    return SIZE_MAX;
}

/** Whether it has a meaning, and is no control character, nor turns the line around. */
static bool is_shown(uint32_t point)
{
    bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    bool is_surrogate = point >= 0xd800 && point < 0xe000;
    bool turns = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
                 point == 0x2028 || point == 0x2029;

    return !is_control && !is_surrogate && !turns && point <= 0x10ffff;
}

/** Reads one character. @return how many bytes it has; 0: it is none that is shown. */
static size_t read_shown(ed_chat_text text)
{
    uint32_t point = 0;
    uint32_t least = 0;
    size_t followers = follower_count((uint8_t)text.at[0], &point, &least);

    if (followers == SIZE_MAX || followers >= text.size)
        return 0;
    for (size_t i = 1; i <= followers; i++) {
        uint8_t byte = (uint8_t)text.at[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (byte & 0x3f);
    }
    return point >= least && is_shown(point) ? followers + 1 : 0;
}

bool ed_chat_is_plain(ed_chat_text text)
{
    while (text.size > 0) {
        size_t size = read_shown(text);
        if (size == 0)
            return false;
        text.at += size;
        text.size -= size;
    }
    return true;
}

/* ----------------------------------------------------------------------------------- lines -- */

const char *ed_chat_check_login(ed_chat_text login)
{
    if (login.size == 0)
        return "a login must not be empty";
    if (login.size > ED_CHAT_LOGIN_MAX)
        return "a login has at most 32 bytes";
    if (!ed_chat_is_plain(login))
        return "a login is UTF-8 without control characters";
    if (memchr(login.at, ',', login.size) != NULL || memchr(login.at, ':', login.size) != NULL)
        return "a login has neither ',' nor ':' in it";
    return NULL;
}

static bool has_name(const ed_chat_line *line, ed_chat_text name)
{
    for (size_t i = 0; i < line->name_count; i++)
        if (ed_chat_equal(line->names[i], name))
            return true;
    return false;
}

/** Takes the names before the colon. @return NULL, or what is wrong with them. */
static const char *parse_names(ed_chat_line *line, ed_chat_text names)
{
    while (names.size > 0) {
        const char *comma = memchr(names.at, ',', names.size);
        size_t size = comma == NULL ? names.size : (size_t)(comma - names.at);
        ed_chat_text name = ed_chat_trim((ed_chat_text){names.at, size});
        if (line->name_count == ED_CHAT_NAMES_MAX)
            return "a line names at most 64 people";
        if (name.size > 0 && !has_name(line, name))
            line->names[line->name_count++] = name;
        size += comma == NULL ? 0 : 1;
        names.at += size;
        names.size -= size;
    }
    return line->name_count > 0 ? NULL : "say to whom: NAME, NAME: TEXT";
}

const char *ed_chat_parse(ed_chat_line *line, ed_chat_text text)
{
    text = ed_chat_trim(text);
    *line = (ed_chat_line){0};
    if (text.size > ED_CHAT_LINE_MAX)
        return "a line has at most 1000 bytes";
    if (!ed_chat_is_plain(text))
        return "a line is UTF-8 without control characters";
    const char *colon = text.size == 0 ? NULL : memchr(text.at, ':', text.size);
    if (colon == NULL)
        return "say to whom: NAME, NAME: TEXT";
    size_t size = (size_t)(colon - text.at);
    line->text = ed_chat_trim((ed_chat_text){colon + 1, text.size - size - 1});
    return parse_names(line, (ed_chat_text){text.at, size});
}
