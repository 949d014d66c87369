/** What strangers are judged by has one lock for all shards: packets of connections pass it by. */
#include "tests/unit/api_bed.h"

#include "transport/api_state.h"

enum { MESSAGES = 200 };

/** Whoever took the lock now would wait for ever, as there is one thread. */
static void packets_pass_it_by(void **state)
{
    eddy_event event;
    uint32_t heard = 0;

    (void)state;
    ed_mutex_lock(&pair.server.manager->common.door.mutex);
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
    ed_mutex_unlock(&pair.server.manager->common.door.mutex);
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
