#include "core/share.h"

#include "core/base.h"

uint32_t ed_share_count(const eddy_config *config)
{
    return config->shards > 1 ? config->shards : 1;
}

static uint32_t equal_part(uint32_t all, uint32_t count)
{
    return all / count + (all % count != 0 ? 1 : 0);
}

static uint32_t connections_of(uint32_t all, uint32_t count)
{
    uint32_t equal = equal_part(all, count);

    return (uint32_t)ed_min_u64(all, equal + equal / ED_SHARE_SPARE_PART + ED_SHARE_SPARE);
}

eddy_config ed_share_of(const eddy_config *config, uint32_t shard)
{
    uint32_t count = ed_share_count(config);
    eddy_config share = *config;

    ED_ASSERT(shard < count);
    if (count == 1)
        return share;
    share.max_connections = connections_of(config->max_connections, count);
    share.max_outgoing = shard == 0 ? config->max_outgoing : 0;
    // Newcomers choose their shard with their port: nobody may take what is for others there.
    share.max_half_open = equal_part(config->max_half_open, count);
    share.send_budget = config->send_budget / count;
    share.receive_budget = config->receive_budget / count;
    return share;
}
