/** The stop token: a flag that is set once, and a descriptor that says the same. */
#include <stdatomic.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/eddy_loop.h"
#include "core/wake.h"

/** How far a request is: a signal handler may interrupt one, so none may wait for another. */
enum phase { PHASE_NONE, PHASE_TAKEN, PHASE_REQUESTED };

struct eddy_stop {
    eddy_allocator allocator;
    ed_wake wake;          /* set once, never cleared */
    _Atomic size_t owners; /* of whom the last requests */
    _Atomic size_t subscribers;
    _Atomic size_t holders; /* both; the last frees it */
    _Atomic int phase;
    int reason; /* written by who took the phase, read once it is PHASE_REQUESTED */
    uint64_t deadline_ns;
};

eddy_status eddy_stop_create(eddy_stop **stop, const eddy_allocator *allocator)
{
    if (allocator == NULL)
        allocator = ed_alloc_default();
    eddy_stop *made = ed_alloc_zeroed(allocator, sizeof *made);

    if (made == NULL)
        return EDDY_ENOMEM;
    made->allocator = *allocator;
    made->owners = 1;
    made->holders = 1;
    eddy_status status = ed_wake_init(&made->wake);
    if (status != EDDY_OK) {
        ed_alloc_free(allocator, made, sizeof *made);
        return status;
    }
    *stop = made;
    return EDDY_OK;
}

/* ----------------------------------------------------------------------------------- holders -- */

static void enter(eddy_stop *stop, _Atomic size_t *side)
{
    size_t before = atomic_fetch_add(&stop->holders, 1);

    ED_ASSERT(before > 0); // only a holder can share
    atomic_fetch_add(side, 1);
}

static void leave(eddy_stop *stop)
{
    eddy_allocator allocator = stop->allocator;
    size_t before = atomic_fetch_sub(&stop->holders, 1);

    ED_ASSERT(before > 0);
    if (before > 1)
        return;
    ed_wake_destroy(&stop->wake);
    ed_alloc_free(&allocator, stop, sizeof *stop);
}

void eddy_stop_own(eddy_stop *stop)
{
    if (stop != NULL)
        enter(stop, &stop->owners);
}

eddy_status eddy_stop_disown(eddy_stop *stop)
{
    bool was_last = false;

    if (stop == NULL)
        return EDDY_OK;
    if (!ed_count_leave(&stop->owners, &was_last))
        return EDDY_ESTATE;
    if (was_last)
        (void)eddy_stop_request(stop, EDDY_STOP_ABANDONED, 0);
    leave(stop);
    return EDDY_OK;
}

void eddy_stop_subscribe(eddy_stop *stop)
{
    if (stop != NULL)
        enter(stop, &stop->subscribers);
}

eddy_status eddy_stop_unsubscribe(eddy_stop *stop)
{
    bool was_last = false;

    if (stop == NULL)
        return EDDY_OK;
    if (!ed_count_leave(&stop->subscribers, &was_last))
        return EDDY_ESTATE;
    leave(stop);
    return EDDY_OK;
}

size_t eddy_stop_subscribers(const eddy_stop *stop)
{
    return atomic_load(&stop->subscribers);
}

/* ---------------------------------------------------------------------------------- requests -- */

bool eddy_stop_request(eddy_stop *stop, int reason, uint32_t grace_ms)
{
    int none = PHASE_NONE;

    if (!atomic_compare_exchange_strong(&stop->phase, &none, PHASE_TAKEN))
        return false;
    stop->reason = reason;
    stop->deadline_ns = ed_clock_deadline_ns(grace_ms);
    atomic_store_explicit(&stop->phase, PHASE_REQUESTED, memory_order_release);
    ed_wake_set(&stop->wake);
    return true;
}

bool eddy_stop_requested(const eddy_stop *stop)
{
    return atomic_load_explicit(&stop->phase, memory_order_acquire) == PHASE_REQUESTED;
}

int eddy_stop_reason(const eddy_stop *stop)
{
    return eddy_stop_requested(stop) ? stop->reason : 0;
}

uint32_t eddy_stop_left_ms(const eddy_stop *stop)
{
    if (!eddy_stop_requested(stop) || stop->deadline_ns == ED_NEVER_NS)
        return EDDY_FOREVER;
    uint64_t now_ns = ed_clock_now_ns();
    uint64_t left_ns = stop->deadline_ns - ed_min_u64(stop->deadline_ns, now_ns);
    return (uint32_t)((left_ns + ED_NS_PER_MS - 1) / ED_NS_PER_MS);
}

int eddy_stop_fd(const eddy_stop *stop)
{
    return stop->wake.read_fd;
}

bool eddy_stop_wait(const eddy_stop *stop, uint32_t timeout_ms)
{
    uint64_t deadline_ns = ed_clock_deadline_ns(timeout_ms);

    while (!eddy_stop_requested(stop)) {
        if (deadline_ns != ED_NEVER_NS && ed_clock_now_ns() >= deadline_ns)
            return false;
        ed_wake_wait(&stop->wake.read_fd, 1, deadline_ns);
    }
    return true;
}
