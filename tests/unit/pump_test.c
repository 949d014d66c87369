/** The thread that polls and waits in turn. */
#include "tests/support/check.h"

#include "core/base.h"
#include "core/clock.h"
#include "transport/pump.h"

enum {
    LONG_S = 1000, /* more than a thread is ever held up */
};

/** A poll that takes time, and is to be called again so long after it began. */
struct polled {
    const char *name;
    uint64_t takes_ns;
    uint64_t pause_ns;
    size_t polls;
    size_t waits;
    uint64_t timeout_ns; /* of the last wait */
};

static uint64_t poll_slowly(void *context, uint64_t now_ns)
{
    struct polled *p = context;

    while (ed_clock_now_ns() < now_ns + p->takes_ns)
        continue;
    p->polls++;
    return now_ns + p->pause_ns;
}

static bool is_second(const void *context)
{
    const struct polled *p = context;

    return p->polls == 2;
}

static eddy_status note_wait(void *context, uint64_t timeout_ns)
{
    struct polled *p = context;

    p->waits++;
    p->timeout_ns = timeout_ns;
    return EDDY_OK;
}

static void waits_for_what_is_left(void **state)
{
    static const struct {
        struct polled polled;
        size_t waits;
    } rows[] = {
        {{.name = "short", .pause_ns = LONG_S * ED_NS_PER_S}, 1},
        {{.name = "long", .takes_ns = 5 * ED_NS_PER_MS, .pause_ns = LONG_S * ED_NS_PER_S}, 1},
        {{.name = "too long", .takes_ns = 5 * ED_NS_PER_MS, .pause_ns = ED_NS_PER_MS}, 0},
        {{.name = "more to do"}, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct polled p = rows[i].polled;
        ed_pump pump = {.name = "slow",
                        .context = &p,
                        .poll = poll_slowly,
                        .is_done = is_second,
                        .wait = note_wait};
        CHECK_EQ(p.name, ed_pump_start(&pump), EDDY_OK);
        ed_pump_join(&pump);
        CHECK_EQ(p.name, p.waits, rows[i].waits);
        CHECK(p.name, p.waits == 0 || p.timeout_ns <= p.pause_ns - p.takes_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_what_is_left),
    };
    return cmocka_run_group_tests_name("pump", tests, NULL, NULL);
}
