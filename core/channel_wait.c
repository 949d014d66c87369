/** Waiting on several channels, by their descriptors. */
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"

static bool find_ready(ed_channel *const *channels, size_t count, size_t first, size_t *ready)
{
    for (size_t i = 0; i < count; i++) {
        size_t place = (first % count + i) % count;
        if (ed_channel_settle(channels[place])) {
            *ready = place;
            return true;
        }
    }
    return false;
}

eddy_status ed_channel_wait(ed_channel *const *channels, size_t count, size_t first,
                            uint64_t deadline_ns, size_t *ready)
{
    int fds[ED_CHANNEL_WAIT_MAX];
    bool is_late = deadline_ns == 0;

    ED_ASSERT(count > 0 && count <= ED_CHANNEL_WAIT_MAX);
    while (!find_ready(channels, count, first, ready)) {
        if (is_late)
            return EDDY_EAGAIN;
        for (size_t i = 0; i < count; i++) {
            fds[i] = ed_channel_fd(channels[i]);
            if (fds[i] < 0)
                return EDDY_ESYSTEM;
        }
        ed_wake_wait(fds, count, deadline_ns);
        is_late = deadline_ns != ED_NEVER_NS && ed_clock_now_ns() >= deadline_ns;
    }
    return EDDY_OK;
}
