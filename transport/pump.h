/** The thread that runs a shard, for programs that do not poll it themselves. */
#ifndef ED_PUMP_H
#define ED_PUMP_H

#include "core/thread.h"

typedef struct ed_pump {
    ed_thread thread;
    const char *name;
    void *context; /* of what to run */
    uint64_t (*poll)(void *context, uint64_t now_ns);
    bool (*is_done)(const void *context);
    eddy_status (*wait)(void *context, uint64_t timeout_ns);
} ed_pump;

/** Starts the thread, which runs until `is_done`. The pump stays where it is until joined. */
EDDY_MUST_CHECK eddy_status ed_pump_start(ed_pump *pump);

/** Waits for the thread to end. */
void ed_pump_join(ed_pump *pump);

#endif
