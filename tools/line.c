#include "tools/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base.h"

#define LINE_INTERVAL_NS ED_NS_PER_S

ed_line ed_line_make(bool is_quiet, uint64_t now_ns)
{
    return (ed_line){.is_quiet = is_quiet,
                     .is_terminal = isatty(STDOUT_FILENO) == 1,
                     .next_ns = now_ns + LINE_INTERVAL_NS};
}

bool ed_line_is_due(ed_line *line, uint64_t now_ns)
{
    if (line->is_quiet || now_ns < line->next_ns)
        return false;
    line->next_ns = ed_max_u64(line->next_ns, now_ns - LINE_INTERVAL_NS) + LINE_INTERVAL_NS;
    return true;
}

void ed_line_show(ed_line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (line->is_terminal)
        putchar('\r');
    vprintf(format, arguments);
    if (line->is_terminal)
        fputs("\x1b[K", stdout); // what is left of a longer one before it
    else
        putchar('\n');
    line->is_open = line->is_terminal;
    fflush(stdout);
    va_end(arguments);
}

void ed_line_end(ed_line *line)
{
    if (line->is_open)
        putchar('\n');
    line->is_open = false;
}
