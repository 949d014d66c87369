/** A line of news once a second: one that is refreshed on a terminal, a new one each time
 * elsewhere. */
#ifndef ED_TOOL_LINE_H
#define ED_TOOL_LINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ed_line {
    bool is_quiet;
    bool is_terminal;
    bool is_open; /* a refreshed line stands on the terminal */
    uint64_t next_ns;
} ed_line;

/** @param is_quiet print nothing. */
ed_line ed_line_make(bool is_quiet, uint64_t now_ns);

/** Whether it is time for the next one. */
bool ed_line_is_due(ed_line *line, uint64_t now_ns);

/** Prints one; on a terminal over the last. */
void ed_line_show(ed_line *line, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/** Leaves the last one standing; other text may follow. */
void ed_line_end(ed_line *line);

#endif
