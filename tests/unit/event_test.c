#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "transport/event.h"

enum { HANDLE = 77 };

static ed_counting_alloc counting;
static ed_pool *pool;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    pool = ed_pool_create(&counting.allocator, ed_event_charge(true));
    return pool != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    size_t charged = ed_pool_charged(pool);
    ed_pool_destroy(pool);
    return charged == 0 && counting.live_count == 0 ? 0 : -1;
}

static void a_message_hands_its_block_over(void **state)
{
    (void)state;
    ed_block *block = ed_pool_take(pool, 3);
    memcpy(block->data, "abc", 3);
    ed_event_item item = {.connection = HANDLE,
                          .block = block,
                          .skipped = UINT32_MAX,
                          .type = EDDY_MESSAGE,
                          .guarantee = EDDY_RELIABLE_SEQUENCED,
                          .stream = 255};
    eddy_event event;

    memset(&event, 0xff, sizeof(event));
    ed_event_read(&item, &event);
    CHECK_EQ("type", event.type, EDDY_MESSAGE);
    CHECK_EQ("connection", event.connection, HANDLE);
    CHECK("block", event.block == block && event.message.data == block->data);
    CHECK_EQ("size", event.message.size, 3);
    CHECK_EQ("guarantee", event.message.guarantee, EDDY_RELIABLE_SEQUENCED);
    CHECK_EQ("stream", event.message.stream, 255);
    CHECK_EQ("skipped", event.message.skipped, UINT32_MAX);
    ed_pool_give(event.block);
}

/** The budget of one connection holds all of them, and what they say comes out again. */
static void a_connection_s_own_events_are_reserved(void **state)
{
    eddy_event_connected first = {.remote = {.ip = {1, 2, 3, 4}, .port = 5}, .incoming = true};
    eddy_event_disconnected last = {.end = EDDY_END_IDLE,
                                    .refusal = EDDY_REFUSED_BY_PROGRAM,
                                    .code = UINT32_MAX,
                                    .undelivered = UINT64_MAX};
    eddy_event event;

    (void)state;
    memset(last.reason, 'x', sizeof(last.reason) - 1);
    ed_block *request_block = ed_event_reserve(pool, EDDY_CONNECT_REQUEST);
    ed_block *first_block = ed_event_reserve(pool, EDDY_CONNECTED);
    ed_block *last_block = ed_event_reserve(pool, EDDY_DISCONNECTED);
    CHECK("all", request_block != NULL && first_block != NULL && last_block != NULL);
    CHECK_EQ("exactly", ed_pool_left(pool), 0);
    CHECK("no more", ed_event_reserve(pool, EDDY_CONNECTED) == NULL);

    ed_event_item item = ed_event_of(HANDLE, EDDY_CONNECTED, first_block, &first, sizeof(first));
    ed_event_read(&item, &event);
    CHECK_EQ("type", event.type, EDDY_CONNECTED);
    CHECK_EQ("connection", event.connection, HANDLE);
    CHECK("nothing to release", event.block == NULL);
    CHECK("remote", eddy_address_equal(&event.connected.remote, &first.remote));
    CHECK("incoming", event.connected.incoming);

    item = ed_event_of(HANDLE + 1, EDDY_DISCONNECTED, last_block, &last, sizeof(last));
    ed_event_read(&item, &event);
    CHECK_EQ("type", event.type, EDDY_DISCONNECTED);
    CHECK_EQ("connection", event.connection, HANDLE + 1);
    CHECK("nothing to release", event.block == NULL);
    CHECK_EQ("end", event.disconnected.end, EDDY_END_IDLE);
    CHECK_EQ("refusal", event.disconnected.refusal, EDDY_REFUSED_BY_PROGRAM);
    CHECK_EQ("code", event.disconnected.code, UINT32_MAX);
    CHECK_EQ("undelivered", event.disconnected.undelivered, UINT64_MAX);
    CHECK_STR("reason", event.disconnected.reason, last.reason);
    ed_pool_give(request_block);
    ed_pool_give(first_block);
    ed_pool_give(last_block);
}

/** A request whose payload hangs on its block. */
static ed_event_item request_with(ed_block *payload)
{
    eddy_event_request request = {.remote = {.ip = {1, 2, 3, 4}, .port = 5},
                                  .payload = payload->data,
                                  .payload_size = payload->size};
    ed_block *block = ed_event_reserve(pool, EDDY_CONNECT_REQUEST);

    block->next = payload;
    return ed_event_of(HANDLE, EDDY_CONNECT_REQUEST, block, &request, sizeof(request));
}

static void a_payload_goes_over(void **state)
{
    ed_pool *payloads = ed_pool_create(&counting.allocator, ed_event_payload_charge());
    eddy_event event;

    (void)state;
    ed_block *payload = ed_pool_take(payloads, sizeof(ed_newcomer) + EDDY_CONNECT_PAYLOAD_MAX +
                                                   EDDY_TOKEN_DATA_MAX);
    CHECK("the largest fits, once", payload != NULL && ed_pool_left(payloads) == 0);
    ed_event_item item = request_with(payload);
    ed_event_read(&item, &event);
    CHECK_EQ("type", event.type, EDDY_CONNECT_REQUEST);
    CHECK_EQ("port", event.request.remote.port, 5);
    CHECK("payload", event.block == payload && event.request.payload == payload->data);
    CHECK_EQ("size", event.request.payload_size, payload->size);
    ed_pool_give(item.block);
    ed_pool_give(event.block);
    CHECK_EQ("both are back", ed_pool_charged(pool) + ed_pool_charged(payloads), 0);

    item = request_with(ed_pool_take(payloads, 1));
    ed_event_drop(&item);
    CHECK_EQ("dropped", ed_pool_charged(pool) + ed_pool_charged(payloads), 0);
    ed_event_drop(&(ed_event_item){.connection = HANDLE, .type = EDDY_WRITABLE});
    ed_pool_destroy(payloads);
}

static void an_event_may_have_no_data(void **state)
{
    ed_event_item item = {.connection = HANDLE, .type = EDDY_WRITABLE};
    eddy_event event;

    (void)state;
    memset(&event, 0xff, sizeof(event));
    ed_event_read(&item, &event);
    CHECK_EQ("type", event.type, EDDY_WRITABLE);
    CHECK_EQ("connection", event.connection, HANDLE);
    CHECK("nothing to release", event.block == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_hands_its_block_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_s_own_events_are_reserved, setup, teardown),
        cmocka_unit_test_setup_teardown(a_payload_goes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_may_have_no_data, setup, teardown),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
