#include "tools/chat_input.h"

#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <histedit.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "tools/chat_line.h"

enum {
    PENDING_MAX = 64 * 1024, /* bytes; and so the longest line of a script */
    HISTORY_MAX = 100,       /* lines */
    COLUMNS = 80,            /* of a terminal that does not say */
    PROMPT_COLUMNS = 2,
};

static struct {
    ed_chat_input_take take;
    void *context;
    EditLine *editor; /* of a terminal; NULL: there is none */
    History *history;
    bool has_ended;
    size_t size; /* of what was read from a script, and not taken */
    char pending[PENDING_MAX];
} input;

/* ------------------------------------------------------------------------------ a terminal -- */

static char *prompt(EditLine *editor)
{
    static char text[] = "> ";

    (void)editor;
    return text;
}

/** ^D: in an empty line it ends the input. */
static unsigned char end_of_input(EditLine *editor, int key)
{
    const LineInfo *line = el_line(editor);

    (void)key;
    input.has_ended = line->lastchar == line->buffer;
    return CC_NORM;
}

/** Lines come in pieces, as they are typed. */
static void set_up(EditLine *editor)
{
    HistEvent event;

    (void)history(input.history, &event, H_SETSIZE, HISTORY_MAX);
    (void)el_set(editor, EL_HIST, history, input.history);
    (void)el_set(editor, EL_PROMPT, prompt);
    (void)el_set(editor, EL_EDITOR, "emacs");
    (void)el_set(editor, EL_SIGNAL, 0);
    (void)el_set(editor, EL_ADDFN, "end-of-input", "ends the input", end_of_input);
    (void)el_set(editor, EL_BIND, "^D", "end-of-input", NULL);
    (void)el_set(editor, EL_UNBUFFERED, 1);
}

/** @return false if there is none, or no memory: then it is read as a script is. */
static bool open_editor(void)
{
    if (isatty(STDIN_FILENO) != 1)
        return false;
    (void)setlocale(LC_CTYPE, ""); // as many columns as the terminal shows
    input.history = history_init();
    input.editor = el_init("eddy", stdin, stdout, stderr);
    if (input.history != NULL && input.editor != NULL)
        set_up(input.editor);
    return input.history != NULL && input.editor != NULL;
}

static void close_editor(void)
{
    if (input.editor != NULL)
        el_end(input.editor);
    if (input.history != NULL)
        history_end(input.history);
    input.editor = NULL;
    input.history = NULL;
}

/** The line is complete: the next one begins. */
static void take_typed(const char *line, size_t size)
{
    HistEvent event;

    (void)el_set(input.editor, EL_UNBUFFERED, 0);
    if (size > 0) {
        (void)history(input.history, &event, H_ENTER, line);
        (void)input.take(input.context, line, size); // what has no room is said again
    }
    (void)el_set(input.editor, EL_UNBUFFERED, 1);
}

/** Then the editor has nothing to say, as in an empty line. */
static bool is_hung_up(void)
{
    struct pollfd terminal = {.fd = STDIN_FILENO};

    return poll(&terminal, 1, 0) == 1 && (terminal.revents & POLLHUP) != 0;
}

static void read_typed(void)
{
    int size = 0;
    const char *line = el_gets(input.editor, &size);

    if (line == NULL || size <= 0)
        input.has_ended = input.has_ended || size < 0 || is_hung_up();
    else if (line[size - 1] == '\n' || line[size - 1] == '\r')
        take_typed(line, (size_t)size - 1);
}

static size_t screen_columns(void)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;

    return is_known ? size.ws_col : COLUMNS;
}

/** How far below the beginning of the line that is typed the cursor is. */
static size_t cursor_row(void)
{
    const LineInfoW *line = el_wline(input.editor);
    size_t columns = screen_columns();
    size_t at = PROMPT_COLUMNS;

    for (const wchar_t *c = line->buffer; c < line->cursor; c++) {
        int width = wcwidth(*c);
        size_t cells = width < 0 ? 2 : (size_t)width; // a control character is shown as ^X
        if (at % columns + cells > columns)           // it does not fit any more, and begins a row
            at += columns - at % columns;
        at += cells;
    }
    return at / columns;
}

/** Takes the line that is typed off the screen; it comes again below. */
static void hide_typed(void)
{
    size_t rows = cursor_row();

    if (rows > 0)
        printf("\x1b[%zuA", rows);
    fputs("\r\x1b[J", stdout);
}

/* ------------------------------------------------------------------------- begin and end -- */

void ed_chat_input_open(ed_chat_input_take take, void *context)
{
    input.take = take;
    input.context = context;
    if (!open_editor())
        close_editor();
}

void ed_chat_input_close(void)
{
    if (input.editor != NULL)
        putchar('\n');
    close_editor();
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
    if (input.editor != NULL) {
        read_typed();
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
    FILE *out = is_notice && input.editor == NULL ? stderr : stdout;

    if (!ed_chat_is_plain((ed_chat_text){text, size}))
        return; // a server that sends what would move the cursor is not listened to
    if (input.editor != NULL)
        hide_typed();
    fprintf(out, "%.*s\n", (int)size, text);
    fflush(out);
    if (input.editor != NULL && !input.has_ended)
        (void)el_set(input.editor, EL_REFRESH);
}
