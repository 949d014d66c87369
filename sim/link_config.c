#include "core/base.h"
#include "sim/link.h"
#include "sim/random.h"

enum {
    BURST_END_PPM = 250 * 1000,
    QUEUE_SIZE = 256 * 1024,
};

ed_link_config ed_link_config_default(void)
{
    return (ed_link_config){
        .jitter = ED_JITTER_SKEWED,
        .keep_order = true,
        .burst_end_ppm = BURST_END_PPM,
        .burst_loss_ppm = ED_PPM_CERTAIN,
        .overhead_size = 28,
        .queue_size = QUEUE_SIZE,
        .mtu = ED_DATAGRAM_SIZE_MAX,
    };
}

/** A value that must lie between two bounds, both included. */
typedef struct range_check {
    const char *field;
    uint64_t value;
    uint64_t least;
    uint64_t most;
} range_check;

static const char *first_bad_range(const ed_link_config *c)
{
    const range_check checks[] = {
        {"delay_ns", c->delay_ns, 0, ED_LINK_DELAY_NS_MAX},
        {"jitter_ns", c->jitter_ns, 0, ED_LINK_DELAY_NS_MAX},
        {"jitter", (uint64_t)c->jitter, ED_JITTER_SKEWED, ED_JITTER_UNIFORM},
        {"loss_ppm", c->loss_ppm, 0, ED_PPM_CERTAIN},
        {"burst_start_ppm", c->burst_start_ppm, 0, ED_PPM_CERTAIN},
        {"burst_end_ppm", c->burst_end_ppm, 0, ED_PPM_CERTAIN},
        {"burst_loss_ppm", c->burst_loss_ppm, 0, ED_PPM_CERTAIN},
        {"gap_loss_ppm", c->gap_loss_ppm, 0, ED_PPM_CERTAIN},
        {"duplicate_ppm", c->duplicate_ppm, 0, ED_PPM_CERTAIN},
        {"reorder_ppm", c->reorder_ppm, 0, ED_PPM_CERTAIN},
        {"reorder_extra_ns", c->reorder_extra_ns, 0, ED_LINK_DELAY_NS_MAX},
        {"corrupt_ppm", c->corrupt_ppm, 0, ED_PPM_CERTAIN},
        {"rate_bps", c->rate_bps, 0, ED_LINK_RATE_BPS_MAX},
        {"overhead_size", c->overhead_size, 0, ED_LINK_OVERHEAD_SIZE_MAX},
        {"queue_size", c->queue_size, 1, ED_LINK_QUEUE_SIZE_MAX},
        {"mtu", c->mtu, 0, ED_DATAGRAM_SIZE_MAX},
        {"window_count", c->window_count, 0, ED_LINK_WINDOWS_MAX},
    };

    for (size_t i = 0; i < ED_COUNT(checks); i++)
        if (checks[i].value < checks[i].least || checks[i].value > checks[i].most)
            return checks[i].field;
    return NULL;
}

static const char *first_bad_field(const ed_link_config *c)
{
    const char *bad = first_bad_range(c);

    for (uint32_t i = 0; bad == NULL && i < c->window_count; i++)
        if (c->windows[i].from_ns >= c->windows[i].until_ns)
            bad = "windows";
    return bad;
}

eddy_status ed_link_config_check(const ed_link_config *config, const char **field)
{
    const char *bad = first_bad_field(config);

    if (bad == NULL)
        return EDDY_OK;
    if (field != NULL)
        *field = bad;
    return EDDY_ECONFIG;
}
