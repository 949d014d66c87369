#include "transport/check.h"

#include "core/base.h"

static _Thread_local uint64_t *counted_in;

#ifdef ED_SWITCHABLE
eddy_check ed_check_off;
#endif

void ed_check_count_in(uint64_t *counts)
{
    counted_in = counts;
}

void ed_check_refused(eddy_check check)
{
    ED_ASSERT(check > 0 && check < EDDY_CHECK_COUNT);
    if (counted_in != NULL)
        counted_in[check]++;
}

const char *eddy_check_text(eddy_check check)
{
    switch (check) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        EDDY_CHECK_MAP(X)
#undef X
    }
    return "unknown check";
}
