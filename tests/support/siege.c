#include "tests/support/siege.h"

#include "core/addr.h"
#include "tests/support/check.h"
#include "transport/nonce.h"

enum {
    ENDING_MS = 2000, /* until its end is told */
    READ_EVERY_MS = 5,
};

void ed_siege_open(ed_siege *siege, const char *name, uint64_t seed, const eddy_config *config)
{
    *siege = (ed_siege){.is_reading = true};
    eddy_config usual = ed_cluster_server_config();
    eddy_address address = ed_addr_ipv4(10, 9, 9, 9, 5000);

    ed_nonce_forget(); // of an earlier world of the same seed
    ed_cluster_open(&siege->cluster, name, seed);
    siege->server = ed_cluster_add(&siege->cluster, config != NULL ? config : &usual);
    ed_rogue_open(&siege->rogue, siege->cluster.world, &address, &siege->server->address);
    CHECK_EQ(name, siege->server->endpoint_count, 1);
    siege->connection = siege->server->endpoints[0].handle;
    siege->server->is_reading = false; // from here on we do
    siege->memory_before = siege->server->memory.live_size;
}

void ed_siege_close(ed_siege *siege)
{
    ed_rogue_close(&siege->rogue);
    ed_cluster_close(&siege->cluster);
}

/** The oracle knows nothing of what a rogue says: the events are only counted. */
static void read_events(ed_siege *siege)
{
    eddy_event event;

    while (eddy_next(siege->server->manager, &event, 0) == EDDY_OK) {
        siege->events++;
        siege->delivered += event.type == EDDY_MESSAGE ? 1 : 0;
        siege->moves += event.type == EDDY_MOVED ? 1 : 0;
        if (event.type == EDDY_DISCONNECTED) {
            siege->has_ended = true;
            siege->end = event.disconnected.end;
        }
        eddy_release(siege->server->manager, &event);
        ed_world_touch(siege->cluster.world, siege->server->host);
    }
}

void ed_siege_run_for(ed_siege *siege, uint64_t duration_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(&siege->cluster) + duration_ns;

    for (uint64_t left_ns = duration_ns; left_ns > 0;
         left_ns = until_ns - ed_cluster_now_ns(&siege->cluster)) {
        ed_cluster_run_for(&siege->cluster, ed_min_u64(left_ns, READ_EVERY_MS * ED_NS_PER_MS));
        if (siege->is_reading)
            read_events(siege);
    }
}

eddy_status ed_siege_send(ed_siege *siege, eddy_guarantee guarantee, size_t size,
                          const eddy_send_options *options)
{
    static const uint8_t zeros[64 << 10];

    ED_ASSERT(size <= sizeof(zeros));
    eddy_status status = eddy_send_with(siege->server->manager, siege->connection, guarantee, 0,
                                        zeros, size, options);

    ed_world_touch(siege->cluster.world, siege->server->host);
    return status;
}

bool ed_siege_is_caught(ed_siege *siege)
{
    ed_siege_run_for(siege, ENDING_MS * ED_NS_PER_MS);
    return siege->rogue.was_closed && siege->rogue.close.cause == ED_CLOSE_PROTOCOL &&
           siege->has_ended && siege->end == EDDY_END_PROTOCOL;
}

bool ed_siege_is_open(const ed_siege *siege)
{
    return !siege->rogue.was_closed && !siege->has_ended;
}

uint64_t ed_siege_memory_taken(const ed_siege *siege)
{
    uint64_t now = siege->server->memory.live_size;

    return now - ed_min_u64(now, siege->memory_before);
}

uint64_t ed_siege_refused(const ed_siege *siege, eddy_check check)
{
    uint64_t counts[EDDY_CHECK_COUNT];

    eddy_get_refusals(siege->server->manager, counts);
    return counts[check];
}
