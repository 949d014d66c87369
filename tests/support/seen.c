#include "tests/support/seen.h"

#include <stdio.h>

#include "tests/support/check.h"

static void add_link(ed_seen *seen, const ed_cluster *cluster, size_t from, size_t to)
{
    const ed_link *link =
        ed_world_link(cluster->world, cluster->nodes[from].host, cluster->nodes[to].host);
    if (link == NULL)
        return;
    ed_link_stats stats = ed_link_get_stats(link);

    seen->links.lost += stats.lost;
    seen->links.lost_burst += stats.lost_burst;
    seen->links.duplicated += stats.duplicated;
    seen->links.reordered += stats.reordered;
    seen->links.corrupted += stats.corrupted;
    seen->links.queue_dropped += stats.queue_dropped;
    seen->links.partition_dropped += stats.partition_dropped;
}

static void add_endpoint(ed_seen *seen, const ed_endpoint *endpoint)
{
    for (size_t i = 0; i < ED_COUNT(seen->outcomes); i++)
        seen->outcomes[i] += endpoint->outcomes[i];
    ED_ASSERT(endpoint->end.end < ED_COUNT(seen->ends));
    seen->ends[endpoint->end.end]++;
    seen->writables += endpoint->writables;
}

static void add_node(ed_seen *seen, const ed_node *node)
{
    uint64_t share = node->memory.peak_size * 1000 / node->memory_max;

    for (size_t i = 0; i < node->endpoint_count; i++)
        add_endpoint(seen, &node->endpoints[i]);
    seen->memory_max = ed_max_u64(seen->memory_max, share);
}

void ed_seen_add(ed_seen *seen, const ed_cluster *cluster)
{
    eddy_stats stats = ed_cluster_stats(cluster);

    ed_stats_add(&seen->stats, &stats);
    for (size_t n = 0; n < cluster->node_count; n++)
        add_node(seen, &cluster->nodes[n]);
    for (size_t n = 1; n < cluster->node_count; n++) {
        add_link(seen, cluster, n, 0);
        add_link(seen, cluster, 0, n);
    }
}

void ed_seen_check_all(const ed_seen *seen)
{
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        {"lost on the way", seen->links.lost},
        {"lost in a burst", seen->links.lost_burst},
        {"duplicated", seen->links.duplicated},
        {"reordered", seen->links.reordered},
        {"corrupted", seen->links.corrupted},
        {"dropped by a queue", seen->links.queue_dropped},
        {"dropped by a partition", seen->links.partition_dropped},
        {"crashes", seen->crashes},
        {"of these, of servers", seen->server_crashes},
        {"programs that did not read", seen->pauses},
        {"rebinds", seen->moves},
        {"broadcasts accepted", seen->broadcasts},
        {"forged", seen->stats.dropped_forged},
        {"replayed", seen->stats.dropped_replayed},
        {"messages delivered", seen->stats.messages_delivered},
        {"messages resent", seen->stats.messages_resent},
        {"messages that came twice", seen->stats.messages_duplicate},
        {"messages reassembled", seen->stats.messages_reassembled},
        {"messages incomplete", seen->stats.messages_incomplete},
        {"messages expired", seen->stats.messages_expired},
        {"messages superseded", seen->stats.messages_superseded},
        {"messages skipped", seen->stats.messages_skipped},
        {"messages stale", seen->stats.messages_stale},
        {"messages shed", seen->stats.messages_shed},
        {"messages shed, received", seen->stats.messages_shed_received},
        {"messages undelivered", seen->stats.messages_undelivered},
        {"sends refused", seen->stats.sends_refused},
        {"writable again", seen->writables},
        {"credits", seen->stats.credits_sent},
        {"packets lost", seen->stats.packets_lost},
        {"packets lost by mistake", seen->stats.packets_spurious},
        {"probes", seen->stats.probes_sent},
        {"keepalives", seen->stats.keepalives_sent},
        {"receipts: acknowledged", seen->outcomes[EDDY_OUTCOME_ACKED]},
        {"receipts: lost", seen->outcomes[EDDY_OUTCOME_LOST]},
        {"receipts: expired", seen->outcomes[EDDY_OUTCOME_EXPIRED]},
        {"ends: closed", seen->ends[EDDY_END_CLOSED_REMOTE]},
        {"ends: idle", seen->ends[EDDY_END_IDLE]},
        {"ends: replaced", seen->ends[EDDY_END_REPLACED]},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        (void)printf("%-28s %llu\n", rows[i].name, (unsigned long long)rows[i].count);
        CHECK(rows[i].name, rows[i].count > 0);
    }
}
