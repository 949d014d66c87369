/** What a peer can make us keep that grants everything, and never acknowledges (T18). */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/siege.h"

enum {
    SEND_BUDGET = 1 << 20,
    ANY_BUDGET = 64 << 20, /* without the defence */
    PER_MS = 100,
};

static ed_siege siege;
static bool has_no_budget;

static void drop_budget(void)
{
    has_no_budget = true;
}

/** What is sent. */
struct load {
    const char *name;
    size_t size;
    eddy_send_options options;
};

static void grant_everything(void)
{
    uint8_t frames[ED_CREDIT_SIZE_MAX];
    ed_writer w = ed_writer_of(frames, sizeof(frames));

    ed_frame_write_credit(&w, (UINT64_C(1) << 62) - 1);
    ed_rogue_say_written(&siege.rogue, &w);
}

static bool unacknowledged_takes_the_budget(const void *context)
{
    const struct load *load = context;
    eddy_config config = ed_cluster_server_config();
    uint64_t most = 0, refusals = 0;

    config.idle_timeout_ms = 0;
    config.connection_send_budget = has_no_budget ? ANY_BUDGET : SEND_BUDGET;
    ed_siege_open(&siege, load->name, 16, &config);
    grant_everything();
    for (int ms = 0; ms < 1000; ms++) {
        for (int i = 0; i < PER_MS; i++)
            refusals += ed_siege_send(&siege, EDDY_RELIABLE_ORDERED, load->size, &load->options) ==
                                EDDY_EAGAIN
                            ? 1
                            : 0;
        ed_siege_run_for(&siege, ED_NS_PER_MS);
        most = ed_max_u64(most, ed_siege_memory_taken(&siege));
    }
    ed_siege_close(&siege);
    ed_attack_figure("T18 %s, never acknowledged: %llu KiB taken of a budget of %d", load->name,
                     (unsigned long long)most >> 10, SEND_BUDGET >> 10);
    return refusals > 0 && most <= SEND_BUDGET;
}

static void t18_what_is_never_acknowledged(void **state)
{
    static const struct load loads[] = {
        {"a thousand bytes each", 1000, {0}},
        {"empty ones", 0, {0}},
        {"empty ones, with receipts and a deadline", 0, {.receipt = 1, .expire_ms = 3600 * 1000}},
        {"just above a size of blocks", 993, {0}},
        {"in parts", 1151, {.receipt = 1}},
        {"large ones", 60 * 1000, {.receipt = 1, .expire_ms = 3600 * 1000}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(loads); i++)
        CHECK(loads[i].name, unacknowledged_takes_the_budget(&loads[i]));
    ed_attack_run(&(ed_attack){.name = "T18 never acknowledged",
                               .mount = unacknowledged_takes_the_budget,
                               .context = &loads[0],
                               .weaken = drop_budget});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(t18_what_is_never_acknowledged)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
