#include "core/bell.h"

#include "core/base.h"

void ed_bell_init(ed_bell *bell)
{
    *bell = (ed_bell){.wake = {.read_fd = -1, .write_fd = -1}};
}

void ed_bell_destroy(ed_bell *bell)
{
    ed_wake_destroy(&bell->wake);
}

static ed_bell_state state_of(const ed_bell *bell)
{
    return atomic_load_explicit(&bell->state, memory_order_relaxed);
}

static void set_state(ed_bell *bell, ed_bell_state state)
{
    atomic_store_explicit(&bell->state, state, memory_order_relaxed);
}

void ed_bell_ring(ed_bell *bell)
{
    if (state_of(bell) != ED_BELL_ARMED)
        return;
    set_state(bell, ED_BELL_READABLE);
    ed_wake_set(&bell->wake);
    (void)atomic_fetch_add_explicit(&bell->rings, 1, memory_order_relaxed);
}

void ed_bell_nudge(ed_bell *bell)
{
    ed_bell_ring(bell);
    if (state_of(bell) == ED_BELL_NONE)
        set_state(bell, ED_BELL_NUDGED);
}

bool ed_bell_is_loud(const ed_bell *bell)
{
    return state_of(bell) == ED_BELL_NUDGED || state_of(bell) == ED_BELL_READABLE;
}

void ed_bell_hush(ed_bell *bell)
{
    if (state_of(bell) == ED_BELL_NUDGED)
        set_state(bell, ED_BELL_NONE);
    if (state_of(bell) != ED_BELL_READABLE)
        return;
    ed_wake_clear(&bell->wake);
    set_state(bell, ED_BELL_ARMED);
}

static bool make_fd(ed_bell *bell)
{
    return bell->wake.read_fd >= 0 || ed_wake_init(&bell->wake) == EDDY_OK;
}

int ed_bell_fd(ed_bell *bell)
{
    if (!make_fd(bell))
        return -1;
    bool was_nudged = state_of(bell) == ED_BELL_NUDGED;
    if (was_nudged || state_of(bell) == ED_BELL_NONE)
        set_state(bell, ED_BELL_ARMED);
    if (was_nudged)
        ed_bell_ring(bell);
    bell->is_kept = true;
    return bell->wake.read_fd;
}

eddy_status ed_bell_begin_sleep(ed_bell *bell, int *fd)
{
    if (ed_bell_is_loud(bell))
        return EDDY_EAGAIN;
    if (!make_fd(bell))
        return EDDY_ESYSTEM;
    set_state(bell, ED_BELL_ARMED);
    bell->sleeps++;
    *fd = bell->wake.read_fd;
    return EDDY_OK;
}

void ed_bell_end_sleep(ed_bell *bell)
{
    ED_ASSERT(bell->sleeps > 0);
    bell->sleeps--;
    if (bell->sleeps > 0 || bell->is_kept)
        return;
    // What rang is for a look to find, or was a nudge: it stays loud until then.
    bool is_readable = state_of(bell) == ED_BELL_READABLE;
    if (is_readable)
        ed_wake_clear(&bell->wake);
    set_state(bell, is_readable ? ED_BELL_NUDGED : ED_BELL_NONE);
}
