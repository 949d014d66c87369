/** The wakes of a loop: what other threads and signal handlers may send it. */
#include "core/alloc.h"
#include "core/loop.h"

struct eddy_wake {
    ed_list_node node;
    eddy_loop *loop;
    void (*run)(void *context);
    void *context;
    _Atomic bool is_pending;
    _Atomic size_t send_count; /* calls of eddy_wake_send that go on */
};

eddy_status eddy_wake_create(eddy_loop *loop, void (*run)(void *context), void *context,
                             eddy_wake **wake)
{
    if (run == NULL)
        return EDDY_EINVAL;
    if (!ed_loop_may_call(loop))
        return EDDY_ESTATE;
    eddy_wake *made = ed_alloc_zeroed(&loop->allocator, sizeof *made);

    if (made == NULL)
        return EDDY_ENOMEM;
    made->loop = loop;
    made->run = run;
    made->context = context;
    ed_list_push_back(&loop->wakes, &made->node);
    *wake = made;
    return EDDY_OK;
}

void eddy_wake_send(eddy_wake *wake)
{
    // The call may end the wake and the loop, too: not before we have let go of them.
    atomic_fetch_add(&wake->send_count, 1);
    if (!atomic_exchange(&wake->is_pending, true))
        ed_wake_set(&wake->loop->wake);
    atomic_fetch_sub(&wake->send_count, 1);
}

void ed_loop_run_wakes(eddy_loop *loop)
{
    ed_list turn; // those that have not had theirs; a callback may destroy any

    ed_list_init(&turn);
    for (ed_list_node *node = ed_list_pop_front(&loop->wakes); node != NULL;
         node = ed_list_pop_front(&loop->wakes))
        ed_list_push_back(&turn, node);
    for (ed_list_node *node = ed_list_pop_front(&turn); node != NULL;
         node = ed_list_pop_front(&turn)) {
        eddy_wake *wake = ED_CONTAINER(node, eddy_wake, node);
        ed_list_push_back(&loop->wakes, node);
        if (!atomic_exchange(&wake->is_pending, false))
            continue;
        loop->calls++;
        wake->run(wake->context);
    }
}

eddy_status eddy_wake_destroy(eddy_wake *wake)
{
    if (wake == NULL)
        return EDDY_OK;
    eddy_loop *loop = wake->loop;
    if (!ed_loop_may_call(loop))
        return EDDY_ESTATE;
    ed_loop_await_none(&wake->send_count);
    ed_list_remove(&wake->node);
    ed_alloc_free(&loop->allocator, wake, sizeof *wake);
    return EDDY_OK;
}
