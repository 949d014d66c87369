#include "tests/support/check.h"

#include "core/base.h"
#include "transport/ports.h"

/** Written out a second time, so that one cannot change by mistake. */
static void blocks_these_ports_and_no_other(void **state)
{
    static const uint16_t want[] = {0,   7,   17,  19,  53,   111,  123,   137,   138,
                                    161, 389, 500, 520, 1900, 5353, 11211, 20800, 27015};
    size_t blocked = 0;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(want); i++)
        CHECK_EQ("blocked", ed_port_is_blocked(want[i]) ? want[i] : -1, want[i]);
    for (uint32_t port = 0; port <= UINT16_MAX; port++)
        blocked += ed_port_is_blocked((uint16_t)port);
    CHECK_EQ("no other", blocked, ED_COUNT(want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_these_ports_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
