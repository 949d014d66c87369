#include "transport/opening.h"

#include "core/base.h"

void ed_openings_init(ed_openings *openings, ed_opening *places, uint32_t count)
{
    *openings = (ed_openings){.fresh = places, .end = places + count};
}

ed_opening *ed_openings_take(ed_openings *openings)
{
    ed_opening *opening = openings->unused;

    if (opening == NULL) {
        ED_ASSERT(openings->fresh < openings->end);
        return openings->fresh++;
    }
    openings->unused = opening->next;
    opening->next = NULL;
    return opening;
}

void ed_openings_give(ed_openings *openings, ed_opening *opening)
{
    if (opening == NULL)
        return;
    ed_wipe(opening, sizeof(*opening));
    opening->next = openings->unused;
    openings->unused = opening;
}
