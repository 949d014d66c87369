#include "tests/support/conn_bed.h"

#include "core/alloc.h"
#include "tests/support/check.h"

enum {
    NOTICE_BUDGET = 64 << 10,
};

void ed_conn_bed_open(ed_conn_bed *bed, uint32_t connections_max)
{
    const eddy_allocator *allocator = ed_alloc_default();

    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    *bed = (ed_conn_bed){.config = eddy_config_default()};
    ed_credit_pool_init(&bed->room, bed->config.receive_budget, bed->config.max_message_size,
                        connections_max);
    bed->shared = (ed_conn_shared){
        .config = &bed->config,
        .allocator = allocator,
        .entropy = ed_entropy_system(),
        .receive_pool = ed_pool_create(allocator, bed->config.receive_budget),
        .event_pool = ed_pool_create(allocator, connections_max * ed_event_charge()),
        .notice_pool = ed_pool_create(allocator, NOTICE_BUDGET),
        .room = &bed->room,
        .queued_size = &bed->queued_size,
        .stats = &bed->stats,
        .log = &bed->log};
    CHECK("pools", bed->shared.receive_pool != NULL && bed->shared.event_pool != NULL &&
                       bed->shared.notice_pool != NULL);
}

void ed_conn_bed_close(ed_conn_bed *bed)
{
    CHECK_EQ("queued", bed->queued_size, 0);
    ed_pool_destroy(bed->shared.receive_pool);
    ed_pool_destroy(bed->shared.event_pool);
    ed_pool_destroy(bed->shared.notice_pool);
}

ed_block *ed_conn_bed_last(const ed_conn_bed *bed)
{
    return ed_event_reserve(bed->shared.event_pool, EDDY_DISCONNECTED);
}
