/**
 * The words of a chat. The first message of a client is its login; each one after that is
 * "NAME, NAME: TEXT", which reaches each of these as "from LOGIN: TEXT". All of it is UTF-8.
 */
#ifndef ED_TOOL_CHAT_LINE_H
#define ED_TOOL_CHAT_LINE_H

#include "core/base.h"

enum {
    ED_CHAT_LOGIN_MAX = 32, /* bytes */
    ED_CHAT_LINE_MAX = 1000,
    ED_CHAT_NAMES_MAX = 64, /* in a line */
};

/** A piece of a line; not terminated. */
typedef struct ed_chat_text {
    const char *at;
    size_t size;
} ed_chat_text;

/** A line, taken apart. */
typedef struct ed_chat_line {
    ed_chat_text names[ED_CHAT_NAMES_MAX]; /* each once */
    size_t name_count;
    ed_chat_text text;
} ed_chat_line;

bool ed_chat_equal(ed_chat_text a, ed_chat_text b);

/** Without blanks and line ends around it. */
ed_chat_text ed_chat_trim(ed_chat_text text);

/**
 * Whether it can be shown on a terminal as it is: UTF-8, and no control characters, which might
 * move the cursor of somebody else.
 */
bool ed_chat_is_plain(ed_chat_text text);

/** @return NULL, or what is wrong with a login that is trimmed. */
const char *ed_chat_check_login(ed_chat_text login);

/** Takes a line apart. @return NULL, or what is wrong with it. */
const char *ed_chat_parse(ed_chat_line *line, ed_chat_text text);

#endif
