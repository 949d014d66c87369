#include "transport/redundancy.h"

enum {
    ALL_PPM = 1000 * 1000,
    LOSS_SHARE = 256, /* of the smoothed figures, what one packet changes in the long run; */
    RUN_SHARE = 32,
    HEAD_START = 4, /* packets that count as seen before the first, of which was lost: */
    FIRST_LOSS_PPM = 100 * 1000, /* so that some 390 must come before there are no copies */
};

/** Moves a smoothed share towards all or nothing. */
static void move(uint32_t *ppm, bool towards_all, uint32_t share)
{
    uint32_t part = (towards_all ? ALL_PPM - *ppm : *ppm) / share;

    *ppm = towards_all ? *ppm + part : *ppm - part;
}

void ed_redundancy_init(ed_redundancy *redundancy)
{
    *redundancy = (ed_redundancy){.loss_ppm = FIRST_LOSS_PPM};
}

/** One more was seen. @return what it changes: so the figure is the mean of all at first. */
static uint32_t share_of(uint32_t *count, uint32_t most)
{
    *count = *count < most ? *count + 1 : most;
    return (uint32_t)ed_min_u64(*count + HEAD_START, most);
}

void ed_redundancy_on_acked(ed_redundancy *redundancy)
{
    move(&redundancy->loss_ppm, false, share_of(&redundancy->count, LOSS_SHARE));
}

void ed_redundancy_on_lost(ed_redundancy *redundancy, uint64_t number)
{
    move(&redundancy->loss_ppm, true, share_of(&redundancy->count, LOSS_SHARE));
    move(&redundancy->run_ppm, redundancy->last_lost == number,
         share_of(&redundancy->lost_count, RUN_SHARE));
    redundancy->last_lost = number + 1;
}

uint32_t ed_redundancy_copies(const ed_redundancy *redundancy)
{
    uint64_t all_lost_ppm = redundancy->loss_ppm;
    uint64_t next_ppm = ed_max_u64(redundancy->loss_ppm, redundancy->run_ppm);
    uint32_t copies = 0;

    if (redundancy->loss_ppm < ED_COPY_LOSS_MIN_PPM)
        return 0;
    while (copies < ED_COPIES_MAX && all_lost_ppm > ED_COPY_RESIDUE_PPM) {
        all_lost_ppm = all_lost_ppm * next_ppm / ALL_PPM;
        copies++;
    }
    return copies;
}
