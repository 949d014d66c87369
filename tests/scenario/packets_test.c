/** What strangers are judged by has one lock for all shards: packets of connections pass it by. */
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/api_bed.h"

#include "transport/api_state.h"

enum { MESSAGES = 200 };

/** Another thread, which has the lock until it is told to give it back. */
static struct holder {
    ed_mutex *mutex;
    atomic_bool has_it;
    atomic_bool is_over;
} holder;

static void hold(void *context)
{
    struct holder *h = context;

    ed_mutex_lock(h->mutex);
    atomic_store(&h->has_it, true);
    while (!atomic_load(&h->is_over))
        (void)sched_yield();
    ed_mutex_unlock(h->mutex);
}

/** Whoever took the lock now would wait for ever. */
static void packets_pass_it_by(void **state)
{
    eddy_event event;
    uint32_t heard = 0;

    (void)state;
    ed_thread thread;
    holder = (struct holder){.mutex = &pair.server.manager->common.door.mutex};
    CHECK_EQ("thread", ed_thread_start(&thread, "holder", hold, &holder), EDDY_OK);
    while (!atomic_load(&holder.has_it))
        (void)sched_yield();
    for (uint32_t n = 0; n < MESSAGES; n++) {
        CHECK_EQ(
            "send",
            eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 0, &n, sizeof n),
            EDDY_OK);
        CHECK_EQ("back",
                 eddy_send(pair.server.manager, pair.taken, EDDY_UNRELIABLE, 0, &n, sizeof n),
                 EDDY_OK);
        run_for_ms(STEP_MS);
        while (eddy_next(pair.server.manager, &event, 0) == EDDY_OK) {
            heard += event.type == EDDY_MESSAGE ? 1 : 0;
            eddy_release(pair.server.manager, &event);
        }
    }
    atomic_store(&holder.is_over, true);
    ed_thread_join(&thread);
    run_for_ms(STEP_MS);
    CHECK("heard meanwhile", heard >= MESSAGES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packets_pass_it_by, open_pair, close_pair),
    };
    return cmocka_run_group_tests_name("packets", tests, NULL, NULL);
}
