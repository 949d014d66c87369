#include "tools/promise.h"

const ed_promise ed_promises[ED_GUARANTEE_COUNT] = {
    [EDDY_UNRELIABLE] = {.name = "unreliable", .text = "at most once"},
    [EDDY_UNRELIABLE_SEQUENCED] = {.name = "unreliable_sequenced",
                                   .text = "never backwards",
                                   .never_backwards = true},
    [EDDY_RELIABLE_UNORDERED] = {.name = "reliable_unordered",
                                 .text = "exactly once",
                                 .is_reliable = true,
                                 .all_arrive = true},
    [EDDY_RELIABLE_ORDERED] = {.name = "reliable_ordered",
                               .text = "exactly once in order",
                               .is_reliable = true,
                               .all_arrive = true,
                               .never_backwards = true},
    [EDDY_RELIABLE_SEQUENCED] = {.name = "reliable_sequenced",
                                 .text = "newest arrives",
                                 .is_reliable = true,
                                 .never_backwards = true,
                                 .newest_arrives = true},
};
