/** Processes of this program that report to the one that started them. */
#ifndef ED_TOOL_CHILD_H
#define ED_TOOL_CHILD_H

#include <sys/types.h>

#include "core/eddy_loop.h"
#include "tools/report.h"

enum {
    ED_CHILD_REPORT_FD = 3, /* where a child finds its end of the pipe */
    ED_CHILD_MAX = 64,
};

#define ED_CHILD_REPORT_FD_TEXT "3"

/** Zeroed, it was never started. */
typedef struct ed_child {
    pid_t pid;
    int fd; /* our end of the pipe */
    eddy_watch *watch;
    bool has_ended; /* and was waited for */
    int exit_code;  /* then; 128 and the signal if one ended it */
    bool has_reported;
    ed_report latest;
    ed_report incoming; /* the first `filled` bytes of it */
    size_t filled;
} ed_child;

/**
 * Starts argv[0] with its report's descriptor as ED_CHILD_REPORT_FD, in a process group of its own,
 * so that ^C reaches the parent alone, which ends its children in the right order. The loop takes
 * in what it reports, and that it ends; the child stays where it is until then.
 * @param argv ends with NULL. @return EDDY_OK, EDDY_ENOMEM or EDDY_ESYSTEM.
 */
EDDY_MUST_CHECK eddy_status ed_child_start(ed_child *child, eddy_loop *loop, char *const *argv);

/** Sends a signal to those that run. */
void ed_child_signal(const ed_child *children, size_t count, int signal_number);

/** Ends at once those that run, and takes that in. */
void ed_child_kill(ed_child *children, size_t count);

/** How many still run. */
size_t ed_child_running(const ed_child *children, size_t count);

#endif
