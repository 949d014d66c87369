/** What a shard of a manager gets of the manager's limits. */
#ifndef ED_SHARE_H
#define ED_SHARE_H

#include "core/eddy.h"

enum {
    /* Newcomers do not spread evenly: besides an equal share each shard has places for a fourth of
       that, and these. */
    ED_SHARE_SPARE_PART = 4,
    ED_SHARE_SPARE = 64,
};

/** How many shards there are: at least one. */
uint32_t ed_share_count(const eddy_config *config);

/**
 * The configuration of one shard. Budgets and half-open connections are shared out equally; there
 * may be some more incoming connections than its share, and outgoing ones have shard 0. Of one
 * shard: `config` as it is.
 */
eddy_config ed_share_of(const eddy_config *config, uint32_t shard);

#endif
