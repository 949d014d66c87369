/** What each shard gets of a manager's limits. */
#include "tests/support/check.h"

#include "core/base.h"
#include "core/share.h"

static void connections(void **state)
{
    static const struct {
        const char *name;
        uint32_t shards;
        uint32_t all;
        uint32_t each;
        uint32_t half_open; /* of 256 */
    } rows[] = {
        {"not said", 0, 1000, 1000, 256},
        {"one", 1, 1000, 1000, 256},
        {"two", 2, 1024, 512 + 128 + 64, 128},
        {"does not divide", 2, 1025, 513 + 128 + 64, 128},
        {"four", 4, 1024, 256 + 64 + 64, 64},
        {"never more than all", 2, 100, 100, 128},
        {"few", 8, 1, 1, 32},
        {"most", EDDY_SHARDS_MAX, 65000, 1016 + 254 + 64, 4},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = eddy_config_default();
        config.shards = rows[i].shards;
        config.max_connections = rows[i].all;
        uint32_t count = ed_share_count(&config);
        CHECK_EQ(rows[i].name, count, rows[i].shards < 2 ? 1 : rows[i].shards);
        for (uint32_t k = 0; k < count; k++) {
            eddy_config share = ed_share_of(&config, k);
            CHECK_EQ(rows[i].name, share.max_connections, rows[i].each);
            CHECK_EQ(rows[i].name, share.max_half_open, rows[i].half_open);
            CHECK_EQ(rows[i].name, share.max_outgoing, k == 0 ? config.max_outgoing : 0);
            CHECK_EQ(rows[i].name, share.send_budget, config.send_budget / count);
            CHECK_EQ(rows[i].name, share.receive_budget, config.receive_budget / count);
            CHECK_EQ(rows[i].name, share.connection_send_budget, config.connection_send_budget);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(connections)};

    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
