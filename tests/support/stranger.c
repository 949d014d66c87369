#include "tests/support/stranger.h"

#include <string.h>

#include "tests/support/keys.h"
#include "transport/api_state.h"

ed_stranger ed_stranger_of(uint32_t number)
{
    ed_stranger stranger = {.address = ed_wire_address(number), .mode = ED_MODE_PINNED};

    memset(stranger.nonce, 0x5a, sizeof(stranger.nonce));
    memcpy(stranger.nonce, &number, sizeof(number));
    memset(stranger.ephemeral, 0xa5, sizeof(stranger.ephemeral));
    memcpy(stranger.ephemeral, &number, sizeof(number));
    return stranger;
}

static const uint8_t *server_key(const ed_stranger *stranger)
{
    if (stranger->mode == ED_MODE_OPEN)
        return NULL;
    return stranger->server_key != NULL ? stranger->server_key : ed_test_public()->bytes;
}

size_t ed_stranger_hello(const ed_stranger *stranger, uint8_t *data)
{
    ed_greeting_key key = ed_greeting_key_of(server_key(stranger));
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = (uint8_t)stranger->mode,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION},
                      .protocol_id = stranger->protocol_id};

    memcpy(hello.nonce, stranger->nonce, sizeof(hello.nonce));
    ed_hello_write(data, &hello, &key);
    return ED_HELLO_SIZE;
}

size_t ed_stranger_initiate(ed_stranger *stranger, uint8_t *data)
{
    ed_noise_keys keys = {
        .own = stranger->own, .peer = server_key(stranger), .shared = stranger->shared};
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = (uint8_t)stranger->mode,
                            .suites =
                                stranger->suites == 0 ? 1 << ED_AEAD_CHACHA20 : stranger->suites,
                            .protocol_id = stranger->protocol_id,
                            .capsule = stranger->mode == ED_MODE_TOKEN ? stranger->capsule : NULL,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .credit = ED_CREDIT_INITIAL,
                            .message_max = 64 * 1024,
                            .client_time_us = stranger->client_time_us};

    memcpy(initiate.nonce, stranger->nonce, sizeof(initiate.nonce));
    memcpy(initiate.cookie, stranger->cookie, sizeof(initiate.cookie));
    for (size_t i = sizeof(stranger->ephemeral); i-- > 0 && ++stranger->ephemeral[i] == 0;)
        continue; // a fresh one for each
    bool ok = ed_initiate_write(data, &initiate, &stranger->noise, stranger->ephemeral, &keys);
    ED_ASSERT(ok);
    return ED_INITIATE_SIZE;
}

void ed_stranger_repair(const ed_stranger *stranger, uint8_t *data)
{
    ed_greeting_key key = ed_greeting_key_of(server_key(stranger));

    ed_request_sign(data, &key);
}

bool ed_stranger_take_cookie(ed_stranger *stranger, const eddy_datagram *reply)
{
    ed_greeting_key key = ed_greeting_key_of(server_key(stranger));
    ed_retry retry;

    if (ed_retry_parse(&retry, reply->data, reply->size, stranger->nonce, &key, stranger->cookie,
                       1) != EDDY_OK)
        return false;
    memcpy(stranger->cookie, retry.cookie, sizeof(retry.cookie));
    return true;
}

static void say(const ed_stranger *stranger, ed_wire *wire, const ed_wire_host *server,
                const uint8_t *data, size_t size)
{
    ed_wire_forge(wire, &stranger->address, &server->address, data, size);
    ed_wire_run_for(wire, ED_WIRE_RUSH_US * ED_NS_PER_US);
}

bool ed_stranger_greet(ed_stranger *stranger, ed_wire *wire, const ed_wire_host *server)
{
    uint8_t data[ED_DATAGRAM_SIZE];
    const ed_wire_copy *reply = ed_wire_newest(wire, ED_FORM_RETRY);

    say(stranger, wire, server, data, ed_stranger_hello(stranger, data));
    return reply->datagram.size > 0 && ed_stranger_take_cookie(stranger, &reply->datagram);
}

void ed_stranger_draw_cookie(ed_stranger *stranger, const ed_wire_host *server)
{
    const ed_cookie_jar *jar = &server->manager->identity->cookies;
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = (uint8_t)stranger->mode,
                      .protocol_id = stranger->protocol_id};

    memcpy(hello.nonce, stranger->nonce, sizeof(hello.nonce));
    ed_cookie_make(jar, stranger->cookie, &hello, &stranger->address, server->wire->now_ns);
}

void ed_stranger_knock(ed_stranger *stranger, ed_wire *wire, const ed_wire_host *server)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    say(stranger, wire, server, data, ed_stranger_initiate(stranger, data));
}
