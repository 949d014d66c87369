#include "core/sleepers.h"

#include "core/base.h"
#include "core/clock.h"

eddy_status ed_sleepers_init(ed_sleepers *sleepers)
{
    *sleepers = (ed_sleepers){0};
    return ed_condition_init(&sleepers->woken);
}

void ed_sleepers_destroy(ed_sleepers *sleepers)
{
    ED_ASSERT(sleepers->waiting == 0 && sleepers->wakes == 0);
    ed_condition_destroy(&sleepers->woken);
}

/** @return whether a wake came before the time was up. It is used up. */
static bool sleep_locked(ed_sleepers *sleepers, ed_mutex *mutex, uint64_t deadline_ns)
{
    uint64_t round = sleepers->rounds;

    while (sleepers->wakes == 0 && sleepers->rounds == round) {
        if (deadline_ns != ED_NEVER_NS && ed_clock_now_ns() >= deadline_ns)
            return false;
        ed_condition_wait(&sleepers->woken, mutex, deadline_ns);
    }
    // Whoever it was sent to: there are as many wakes as before.
    if (sleepers->rounds == round)
        sleepers->wakes--;
    return true;
}

bool ed_sleepers_wait(ed_sleepers *sleepers, ed_mutex *mutex, ed_sleepers_ready ready,
                      void *context, uint64_t deadline_ns)
{
    // One who does not sleep takes no wake: it would be missed by the one who does.
    ed_mutex_lock(mutex);
    bool woken = ready(context);
    if (!woken) {
        sleepers->waiting++;
        woken = sleep_locked(sleepers, mutex, deadline_ns);
        if (!woken)
            sleepers->waiting--; // nobody claimed it
    }
    ed_mutex_unlock(mutex);
    return woken;
}

/** A round: whoever sleeps again at once is not of it, so that it takes nobody's wake. */
static size_t claim_all(ed_sleepers *sleepers)
{
    size_t asleep = sleepers->waiting + sleepers->wakes;

    sleepers->waiting = 0;
    sleepers->wakes = 0;
    sleepers->rounds++;
    return asleep > 0 ? ED_SLEEPERS_ALL : 0;
}

size_t ed_sleepers_claim(ed_sleepers *sleepers, size_t count)
{
    if (count == ED_SLEEPERS_ALL)
        return claim_all(sleepers);
    size_t claimed = ed_min_size(count, sleepers->waiting);
    sleepers->waiting -= claimed;
    sleepers->wakes += claimed;
    return claimed;
}

void ed_sleepers_wake(ed_sleepers *sleepers, size_t claimed)
{
    // With the mutex given up, so that nobody wakes only to wait for it.
    if (claimed == 0)
        return;
    if (claimed == 1)
        ed_condition_signal(&sleepers->woken);
    else
        ed_condition_broadcast(&sleepers->woken);
    (void)atomic_fetch_add_explicit(&sleepers->calls, 1, memory_order_relaxed);
}
