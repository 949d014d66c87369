/** Lines for the program's own log: by level and topic, never printed by us. */
#ifndef ED_LOG_H
#define ED_LOG_H

#include "core/eddy.h"

enum {
    ED_LOG_LINE_SIZE = 256, /* longer lines are cut */
    ED_LOG_PER_SECOND = 10, /* lines of one topic; the rest is counted and said once a second */
};

typedef struct ed_log {
    eddy_log_function function; /* NULL: nothing is logged */
    void *context;
    eddy_log_level level;
    uint32_t topics;
    uint64_t second; /* of now_ns, for the limit */
    uint32_t lines[4];
    uint32_t suppressed[4];
} ed_log;

#ifdef ED_SWITCHABLE
extern bool ed_log_is_unlimited; /* for tests of the limit */
#endif

/** Sends one line, unless level, topics or the limit say no. */
void ed_log_line(ed_log *log, uint64_t now_ns, eddy_log_level level, eddy_log_topic topic,
                 const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;

#endif
