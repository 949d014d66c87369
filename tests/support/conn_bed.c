#include "tests/support/conn_bed.h"

#include "core/alloc.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"

enum {
    NOTICE_BUDGET = 64 << 10,
};

void ed_conn_bed_open(ed_conn_bed *bed, uint32_t connections_max)
{
    eddy_config config = eddy_config_default();

    config.allocator = ed_alloc_default();
    config.entropy = ed_entropy_system();
    ed_conn_bed_open_with(bed, connections_max, &config);
}

void ed_conn_bed_open_with(ed_conn_bed *bed, uint32_t connections_max, const eddy_config *config)
{
    const eddy_allocator *allocator = config->allocator;

    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    *bed = (ed_conn_bed){.config = *config, .dial_pool = ed_pool_create(allocator, 64 << 10)};
    bed->config.secret_key = ed_test_secret();
    bed->config.cipher = EDDY_CIPHER_CHACHA20;
    ed_credit_pool_init(&bed->room, bed->config.receive_budget, bed->config.max_message_size,
                        connections_max);
    bed->shared = (ed_conn_shared){
        .config = &bed->config,
        .allocator = allocator,
        .entropy = config->entropy,
        .identity = ed_identity_create(&bed->config, config->entropy, connections_max, 0),
        .openings = &bed->openings,
        .receive_pool = ed_pool_create(allocator, bed->config.receive_budget),
        .event_pool = ed_pool_create(allocator, connections_max * ed_event_charge(true)),
        .notice_pool = ed_pool_create(allocator, NOTICE_BUDGET),
        .room = &bed->room,
        .queued_cost = &bed->queued_cost,
        .settled = &bed->settled,
        .stats = &bed->stats,
        .log = &bed->log};
    ed_conn_share(&bed->shared);
    CHECK("pools", bed->shared.receive_pool != NULL && bed->shared.event_pool != NULL &&
                       bed->shared.notice_pool != NULL && bed->dial_pool != NULL &&
                       bed->shared.identity != NULL);
    ed_openings_init(&bed->openings, ed_identity_openings(bed->shared.identity), connections_max);
}

/** NULL: it is another's. Of a connection that is freed no secret is left, though the place of it
 * is. */
static void check_wiped(ed_identity *identity)
{
    const uint8_t *bytes = identity == NULL ? NULL : (const uint8_t *)identity->secrets;
    uint8_t left = 0;

    for (size_t i = 0; identity != NULL && i < identity->slot_count * sizeof(ed_secrets); i++)
        left |= bytes[i];
    for (size_t i = 0; identity != NULL && i < identity->slot_count; i++) {
        ed_opening opening = ed_identity_openings(identity)[i];
        opening.next = NULL;
        for (size_t k = 0; k < sizeof(opening); k++)
            left |= ((const uint8_t *)&opening)[k];
    }
    CHECK_EQ("secrets left", left, 0);
}

void ed_conn_bed_close(ed_conn_bed *bed)
{
    check_wiped(bed->shared.identity);
    CHECK_EQ("queued", bed->queued_cost, 0);
    ed_settled_give_back(&bed->settled);
    ed_pool_destroy(bed->shared.receive_pool);
    ed_pool_destroy(bed->shared.event_pool);
    ed_pool_destroy(bed->shared.notice_pool);
    ed_pool_destroy(bed->dial_pool);
    ed_identity_destroy(bed->shared.identity);
}

ed_block *ed_conn_bed_last(const ed_conn_bed *bed)
{
    return ed_event_reserve(bed->shared.event_pool, EDDY_DISCONNECTED);
}

ed_block *ed_conn_bed_dial(const ed_conn_bed *bed)
{
    ed_block *block = ed_pool_take(bed->dial_pool, sizeof(ed_dial));

    CHECK("dial", block != NULL);
    ed_dial *dial = (void *)block->data;
    *dial = (ed_dial){.mode = ED_MODE_PINNED};
    memcpy(dial->server_key, bed->shared.identity->pair.public_key, ED_KEY_SIZE);
    return block;
}

static void arrive(ed_conn *conn, const ed_path *path, uint8_t *data, size_t size, uint64_t now_ns)
{
    eddy_datagram datagram = {
        .remote = path->remote, .local = path->local, .data = data, .size = size};

    ed_conn_receive(conn, &datagram, now_ns);
}

void ed_conn_bed_connect(const ed_conn_bed *bed, ed_conn *client, ed_conn *server,
                         const ed_path *to, const ed_path *from, uint64_t now_ns)
{
    ed_retry retry = {.version = ED_PROTOCOL_VERSION};
    ed_identity *identity = bed->shared.identity;
    ed_noise_keys keys = {.own = &identity->pair};
    ed_admitted admitted = {0};
    ed_path path;
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];

    CHECK_EQ("client",
             ed_conn_init_client(client, &bed->shared, 1, &to->remote, ed_conn_bed_dial(bed),
                                 ed_conn_bed_last(bed), now_ns),
             EDDY_OK);
    CHECK_EQ("hello", ed_conn_transmit(client, &path, data, now_ns), ED_HELLO_SIZE);
    ed_retry_write(data, &retry, client->nonce, &identity->greeting, NULL);
    arrive(client, to, data, ED_RETRY_SIZE, now_ns);
    CHECK_EQ("initiate", ed_conn_transmit(client, &path, data, now_ns), ED_INITIATE_SIZE);
    CHECK_EQ("parse", ed_initiate_parse(&admitted.initiate, data, ED_INITIATE_SIZE), EDDY_OK);
    CHECK_EQ("open", ed_initiate_open(&admitted.initiate, &admitted.noise, data, &keys), EDDY_OK);
    eddy_datagram datagram = {
        .remote = from->remote, .local = from->local, .data = data, .size = ED_INITIATE_SIZE};
    CHECK_EQ("server",
             ed_conn_init_server(server, &bed->shared, 2, 7, &datagram, &admitted, now_ns),
             EDDY_OK);
    CHECK_EQ("accept", ed_conn_transmit(server, &path, data, now_ns), ED_ACCEPT_SIZE);
    arrive(client, to, data, ED_ACCEPT_SIZE, now_ns);
}
