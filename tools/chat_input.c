#include "tools/chat_input.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <editline/readline.h>

#include "tools/chat_line.h"

enum {
    PENDING_MAX = 64 * 1024, /* bytes; and so the longest line of a script */
};

static const char prompt[] = "> ";

static struct {
    ed_chat_input_take take;
    void *context;
    bool is_terminal;
    bool has_ended;
    size_t size; /* of what was read from a script, and not taken */
    char pending[PENDING_MAX];
} input;

/** Of a terminal; NULL: it is gone. */
static void on_line(char *line)
{
    if (line == NULL) {
        input.has_ended = true;
        return;
    }
    if (*line != '\0') {
        add_history(line);
        (void)input.take(input.context, line, strlen(line)); // what has no room is said again
    }
    free(line);
}

void ed_chat_input_open(ed_chat_input_take take, void *context)
{
    input.take = take;
    input.context = context;
    input.is_terminal = isatty(STDIN_FILENO) == 1;
    if (!input.is_terminal)
        return;
    (void)setlocale(LC_CTYPE, ""); // as many columns as the terminal shows
    rl_callback_handler_install(prompt, on_line);
}

void ed_chat_input_close(void)
{
    if (input.is_terminal)
        rl_callback_handler_remove();
    if (input.is_terminal)
        putchar('\n');
}

bool ed_chat_input_has_ended(void)
{
    return input.has_ended && input.size == 0;
}

/* -------------------------------------------------------------------------------- a script -- */

/** Hands over the first line, if it is complete and wanted. */
static bool take_line(void)
{
    const char *end = memchr(input.pending, '\n', input.size);
    bool is_rest = end == NULL && (input.has_ended || input.size == PENDING_MAX);

    if (input.size == 0 || (end == NULL && !is_rest))
        return false;
    size_t size = end == NULL ? input.size : (size_t)(end - input.pending);
    if (!input.take(input.context, input.pending, size))
        return false;
    size += end == NULL ? 0 : 1;
    memmove(input.pending, input.pending + size, input.size - size);
    input.size -= size;
    return true;
}

bool ed_chat_input_go_on(void)
{
    while (take_line())
        continue;
    return input.size == 0 || (memchr(input.pending, '\n', input.size) == NULL && !input.has_ended);
}

void ed_chat_input_read(void)
{
    if (input.is_terminal) {
        rl_callback_read_char();
        return;
    }
    ssize_t size = read(STDIN_FILENO, input.pending + input.size, PENDING_MAX - input.size);
    if (size > 0)
        input.size += (size_t)size;
    else
        input.has_ended = true;
    (void)ed_chat_input_go_on();
}

/* --------------------------------------------------------------------------------- showing -- */

void ed_chat_input_show(const char *text, size_t size, bool is_notice)
{
    FILE *out = is_notice && !input.is_terminal ? stderr : stdout;

    if (!ed_chat_is_plain((ed_chat_text){text, size}))
        return; // a server that sends what would move the cursor is not listened to
    if (input.is_terminal)
        fputs("\r\x1b[K", stdout); // the line that is being typed comes again below
    fprintf(out, "%.*s\n", (int)size, text);
    fflush(out);
    if (input.is_terminal && !input.has_ended)
        rl_forced_update_display();
}
