#include "transport/pump.h"

#include "core/clock.h"

static void run(void *context)
{
    ed_pump *pump = context;

    for (;;) {
        uint64_t next_ns = pump->poll(pump->context, ed_clock_now_ns());
        if (pump->is_done(pump->context))
            return;
        uint64_t now_ns = ed_clock_now_ns(); // the poll may have taken long
        if (next_ns > now_ns)
            (void)pump->wait(pump->context, next_ns - now_ns); // it made what it needs at the start
    }
}

eddy_status ed_pump_start(ed_pump *pump)
{
    return ed_thread_start(&pump->thread, pump->name, run, pump);
}

void ed_pump_join(ed_pump *pump)
{
    ed_thread_join(&pump->thread);
}
