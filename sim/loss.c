#include "sim/loss.h"

#include "sim/random.h"

void ed_link_loss_init(ed_link_loss *loss, uint64_t seed, uint64_t link, uint32_t direction)
{
    *loss = (ed_link_loss){
        .alone_key = ed_stream_key(seed, link, direction, ED_PURPOSE_LOSS),
        .burst_key = ed_stream_key(seed, link, direction, ED_PURPOSE_BURST_LOSS),
        .state_key = ed_stream_key(seed, link, direction, ED_PURPOSE_BURST_STATE),
    };
}

ed_link_loss_verdict ed_link_loss_decide(const ed_link_loss *loss, const ed_link_config *config,
                                         uint64_t copy)
{
    uint32_t burst_ppm = loss->bad ? config->burst_loss_ppm : config->gap_loss_ppm;

    if (ed_draw_hits(ed_draw(loss->alone_key, copy), config->loss_ppm))
        return ED_LOSS_ALONE;
    if (ed_draw_hits(ed_draw(loss->burst_key, copy), burst_ppm))
        return ED_LOSS_BURST;
    return ED_LOSS_NONE;
}

void ed_link_loss_step(ed_link_loss *loss, const ed_link_config *config, uint64_t ordinal)
{
    uint32_t change_ppm = loss->bad ? config->burst_end_ppm : config->burst_start_ppm;

    if (ed_draw_hits(ed_draw(loss->state_key, ordinal), change_ppm))
        loss->bad = !loss->bad;
}
