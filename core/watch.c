/** The watches of a loop. */
#include "core/alloc.h"
#include "core/loop.h"

struct eddy_watch {
    ed_ready_owner owner;
    eddy_loop *loop;
    int fd;
    unsigned interest; /* 0: paused, and the poller does not have it */
    eddy_watch_run run;
    void *context;
};

enum {
    INTEREST_ALL = EDDY_FD_READABLE | EDDY_FD_WRITABLE,
};

static eddy_status change_poller(eddy_watch *watch, unsigned interest)
{
    ed_poller *poller = &watch->loop->poller;

    if (watch->interest == interest)
        return EDDY_OK;
    if (watch->interest == 0)
        return ed_poller_add(poller, watch->fd, interest, &watch->owner);
    if (interest != 0)
        return ed_poller_change(poller, watch->fd, interest, &watch->owner);
    ed_poller_remove(poller, watch->fd);
    return EDDY_OK;
}

eddy_status eddy_watch_set(eddy_watch *watch, unsigned interest)
{
    eddy_loop *loop = watch->loop;

    if ((interest & ~(unsigned)INTEREST_ALL) != 0)
        return EDDY_EINVAL;
    if (!ed_loop_may_call(loop))
        return EDDY_ESTATE;
    eddy_status status = change_poller(watch, interest);
    if (status != EDDY_OK)
        return status;
    loop->active_count -= watch->interest != 0;
    loop->active_count += interest != 0;
    watch->interest = interest;
    return EDDY_OK;
}

static void on_ready(eddy_loop *loop, ed_ready *ready)
{
    eddy_watch *watch = ED_CONTAINER(ready->owner, eddy_watch, owner);
    unsigned events = ready->events & watch->interest;

    if (events == 0)
        return; // it was changed by a callback of this round
    loop->calls++;
    if (watch->run(watch->context, watch, events) || ready->owner == NULL)
        return;
    eddy_status status = eddy_watch_set(watch, 0);
    ED_ASSERT(status == EDDY_OK);
}

eddy_status eddy_watch_create(eddy_loop *loop, int fd, unsigned interest, eddy_watch_run run,
                              void *context, eddy_watch **watch)
{
    if (run == NULL)
        return EDDY_EINVAL;
    if (!ed_loop_may_call(loop))
        return EDDY_ESTATE;
    eddy_watch *made = ed_alloc_zeroed(&loop->allocator, sizeof *made);

    if (made == NULL)
        return EDDY_ENOMEM;
    *made = (eddy_watch){
        .owner.on_ready = on_ready, .loop = loop, .fd = fd, .run = run, .context = context};
    eddy_status status = eddy_watch_set(made, interest);
    if (status != EDDY_OK) {
        ed_alloc_free(&loop->allocator, made, sizeof *made);
        return status;
    }
    loop->watch_count++;
    *watch = made;
    return EDDY_OK;
}

eddy_status eddy_watch_destroy(eddy_watch *watch)
{
    if (watch == NULL)
        return EDDY_OK;
    eddy_loop *loop = watch->loop;
    eddy_status status = eddy_watch_set(watch, 0);
    if (status != EDDY_OK)
        return status;
    ED_ASSERT(loop->watch_count > 0);
    loop->watch_count--;
    ed_loop_forget(loop, &watch->owner);
    ed_alloc_free(&loop->allocator, watch, sizeof *watch);
    return EDDY_OK;
}
