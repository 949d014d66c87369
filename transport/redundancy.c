#include "transport/redundancy.h"

enum {
    ALL_PPM = 1000 * 1000,
    LOSS_SHARE = 256, /* of the smoothed figures, what one packet changes */
    RUN_SHARE = 32,
};

/** Moves a smoothed share towards all or nothing. */
static void move(uint32_t *ppm, bool towards_all, uint32_t share)
{
    uint32_t part = (towards_all ? ALL_PPM - *ppm : *ppm) / share;

    *ppm = towards_all ? *ppm + part : *ppm - part;
}

void ed_redundancy_init(ed_redundancy *redundancy)
{
    *redundancy = (ed_redundancy){0};
}

void ed_redundancy_on_acked(ed_redundancy *redundancy)
{
    move(&redundancy->loss_ppm, false, LOSS_SHARE);
}

void ed_redundancy_on_lost(ed_redundancy *redundancy, uint64_t number)
{
    move(&redundancy->loss_ppm, true, LOSS_SHARE);
    move(&redundancy->run_ppm, redundancy->last_lost == number, RUN_SHARE);
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
