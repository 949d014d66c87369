#include "tests/support/peer.h"

#include <string.h>

#include "core/seq.h"
#include "tests/support/keys.h"
#include "transport/frame.h"
#include "transport/packet.h"

enum { NUMBER_AT_CLIENT = 1 + ED_PACKET_ID_SIZE /* in a packet of a client's */ };

static ed_noise_pair pair_of(const uint8_t secret[ED_KEY_SIZE])
{
    ed_noise_pair pair;

    memcpy(pair.secret, secret, ED_KEY_SIZE);
    ed_x25519_public(pair.public_key, secret);
    return pair;
}

static ed_noise_pair server_pair(void)
{
    return pair_of(ed_test_secret()->bytes);
}

static ed_noise_pair client_pair(void)
{
    return pair_of((const uint8_t[ED_KEY_SIZE]){0x40});
}

eddy_key ed_peer_client_key(void)
{
    ed_noise_pair pair = client_pair();
    eddy_key key;

    memcpy(key.bytes, pair.public_key, sizeof(key.bytes));
    return key;
}

static ed_greeting_key greeting_of(const ed_peer *peer)
{
    return ed_greeting_key_of(peer->mode == ED_MODE_OPEN ? NULL : ed_test_public()->bytes);
}

static void draw(const ed_peer *peer, uint8_t *data, size_t size)
{
    peer->entropy->fill(peer->entropy->context, data, size);
}

void ed_peer_init(ed_peer *peer, bool is_client, ed_mode mode, const eddy_entropy *entropy)
{
    *peer = (ed_peer){.is_client = is_client, .mode = mode, .entropy = entropy};
    ed_peer_forget(peer);
}

void ed_peer_forget(ed_peer *peer)
{
    draw(peer, peer->nonce, sizeof(peer->nonce));
    peer->has_cookie = false;
    peer->has_noise = false;
    peer->has_keys = false;
}

/** The handshake is through. */
static void take_keys(ed_peer *peer, const ed_noise *noise, uint8_t suite, uint64_t now_ns)
{
    uint8_t secrets[2][ED_KEY_SIZE];

    ed_noise_split(noise, secrets[0], secrets[1]);
    ed_keys_init(&peer->keys, (ed_aead)suite, secrets[peer->is_client ? 0 : 1],
                 secrets[peer->is_client ? 1 : 0], now_ns);
    peer->has_keys = true;
    peer->number = peer->heard = 0;
}

/* --------------------------------------------------------------------------- what a server hears
 * --
 */

static void hear_hello(ed_peer *peer, const uint8_t *data, size_t size)
{
    ed_greeting_key key = greeting_of(peer);
    ed_hello hello;

    if (ed_hello_parse(&hello, data, size) == EDDY_OK && ed_request_is_authentic(data, &key))
        memcpy(peer->nonce, hello.nonce, sizeof(peer->nonce));
}

static void hear_initiate(ed_peer *peer, uint8_t *data, size_t size)
{
    ed_noise_pair own = server_pair();
    ed_noise_keys keys = {.own = &own};
    ed_initiate initiate;

    eddy_status status = ed_initiate_parse(&initiate, data, size);
    ED_ASSERT(status == EDDY_OK);
    status = ed_initiate_open(&initiate, &peer->noise, data, &keys);
    ED_ASSERT(status == EDDY_OK);
    memcpy(peer->nonce, initiate.nonce, sizeof(peer->nonce));
    peer->has_noise = true;
}

/* --------------------------------------------------------------------------- what a client hears
 * --
 */

static void hear_retry(ed_peer *peer, const uint8_t *data, size_t size)
{
    ed_greeting_key key = greeting_of(peer);
    ed_retry retry;

    if (ed_retry_parse(&retry, data, size, peer->nonce, &key, peer->cookie,
                       peer->has_cookie ? 1 : 0) != EDDY_OK)
        return; // an answer to somebody else
    memcpy(peer->cookie, retry.cookie, sizeof(peer->cookie));
    peer->has_cookie = true;
    peer->has_noise = false; // the next INITIATE is another
}

static void hear_accept(ed_peer *peer, uint8_t *data, size_t size, uint64_t now_ns)
{
    ed_noise noise = peer->noise;
    ed_accept accept;

    if (!peer->has_noise || peer->has_keys ||
        ed_accept_open(&accept, &noise, peer->mode, peer->nonce, data, size) != EDDY_OK ||
        accept.refusal != 0)
        return;
    peer->id = accept.id;
    take_keys(peer, &noise, accept.suite, now_ns);
}

/* ------------------------------------------------------------------------------- what both hear --
 */

/** An honest receiver would take all frames; here one kind alone is of interest. */
static void hear_frames(ed_peer *peer, ed_span plain)
{
    ed_reader r = ed_reader_of(plain.data, plain.size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    while (ed_frame_read(&r, &frame) == EDDY_OK)
        if (frame.type == ED_FRAME_PATH_CHALLENGE)
            peer->question = frame.challenge;
}

static void hear_packet(ed_peer *peer, uint8_t *data, size_t size, uint64_t now_ns)
{
    size_t number_at = peer->is_client ? 1 : NUMBER_AT_CLIENT;
    ed_packet packet;

    if (!peer->has_keys || !ed_keys_unmask(&peer->keys, data, number_at, size) ||
        ed_packet_parse(&packet, data, size) != EDDY_OK || packet.number_at != number_at)
        return;
    uint64_t number = ed_seq_expand(peer->heard + 1, packet.number, 8u * packet.number_size);
    if (!ed_keys_open(&peer->keys, packet.phase, number, data, packet.header_size, size,
                      peer->number, ED_NS_PER_S, now_ns))
        return;
    peer->heard = ed_max_u64(peer->heard, number);
    hear_frames(peer, (ed_span){.data = data + packet.header_size,
                                .size = size - packet.header_size - ED_TAG_SIZE});
}

void ed_peer_hear(ed_peer *peer, const void *data, size_t size, uint64_t now_ns)
{
    uint8_t copy[EDDY_DATAGRAM_SIZE_MAX];
    ed_form form = ed_form_of(data, size);

    ED_ASSERT(size > 0 && size <= sizeof(copy));
    memcpy(copy, data, size);
    if (form == ED_FORM_PACKET)
        hear_packet(peer, copy, size, now_ns);
    if (form == ED_FORM_HELLO && !peer->is_client)
        hear_hello(peer, copy, size);
    if (form == ED_FORM_INITIATE && !peer->is_client)
        hear_initiate(peer, copy, size);
    if (form == ED_FORM_RETRY && peer->is_client)
        hear_retry(peer, copy, size);
    if (form == ED_FORM_ACCEPT && peer->is_client)
        hear_accept(peer, copy, size, now_ns);
}

/* ------------------------------------------------------------------------------- what they say --
 */

/** Makes the one INITIATE for a cookie. */
static void make_initiate(ed_peer *peer)
{
    ed_noise_pair own = client_pair();
    ed_noise_keys keys = {.own = peer->mode == ED_MODE_MUTUAL ? &own : NULL,
                          .peer = peer->mode == ED_MODE_OPEN ? NULL : ed_test_public()->bytes};
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = (uint8_t)peer->mode,
                            .suites = 1 << ED_AEAD_CHACHA20,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .credit = ED_PEER_CREDIT,
                            .message_max = ED_PEER_MESSAGE,
                            .payload = {.data = peer->nonce, .size = peer->nonce[0] % 16}};
    uint8_t ephemeral[ED_KEY_SIZE];

    draw(peer, ephemeral, sizeof(ephemeral));
    memcpy(initiate.nonce, peer->nonce, sizeof(initiate.nonce));
    memcpy(initiate.cookie, peer->cookie, sizeof(initiate.cookie));
    bool ok = ed_initiate_write(peer->initiate, &initiate, &peer->noise, ephemeral, &keys);
    ED_ASSERT(ok);
    peer->has_noise = true;
    peer->has_keys = false;
}

size_t ed_peer_shake(ed_peer *peer, uint8_t *data)
{
    ed_greeting_key key = greeting_of(peer);
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = (uint8_t)peer->mode,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION}};

    ED_ASSERT(peer->is_client);
    if (!peer->has_cookie) {
        memcpy(hello.nonce, peer->nonce, sizeof(hello.nonce));
        ed_hello_write(data, &hello, &key);
        return ED_HELLO_SIZE;
    }
    if (!peer->has_noise)
        make_initiate(peer);
    memcpy(data, peer->initiate, ED_INITIATE_SIZE);
    return ED_INITIATE_SIZE;
}

size_t ed_peer_greet(const ed_peer *peer, uint8_t value, uint8_t *data)
{
    ed_greeting_key key = greeting_of(peer);
    ed_retry retry = {.version = ED_PROTOCOL_VERSION, .cookie = {value}};
    ed_reject reject = {.version = ED_PROTOCOL_VERSION, .refusal = value};

    if ((value & 0x80) != 0)
        ed_reject_write(data, &reject, peer->nonce, &key);
    else
        ed_retry_write(data, &retry, peer->nonce, &key, (value & 0x40) != 0 ? peer->cookie : NULL);
    return ED_RETRY_SIZE;
}

size_t ed_peer_accept(ed_peer *peer, uint8_t refusal, uint8_t *data, uint64_t now_ns)
{
    ed_noise noise = peer->noise;
    ed_accept accept = {.refusal = refusal,
                        .suite = ED_AEAD_CHACHA20,
                        .id = 1,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .credit = ED_PEER_CREDIT,
                        .message_max = ED_PEER_MESSAGE};
    uint8_t ephemeral[ED_KEY_SIZE];

    if (!peer->has_noise || peer->is_client)
        return 0;
    memcpy(accept.nonce, peer->nonce, sizeof(accept.nonce));
    draw(peer, ephemeral, sizeof(ephemeral));
    bool ok = ed_accept_write(data, &accept, &noise, peer->mode, ephemeral);
    ED_ASSERT(ok);
    if (refusal == 0)
        take_keys(peer, &noise, accept.suite, now_ns);
    return ed_accept_size(peer->mode);
}

size_t ed_peer_seal(ed_peer *peer, ed_span frames, uint16_t at, uint8_t change, uint8_t *data)
{
    ed_packet packet = {.from_client = peer->is_client,
                        .phase = peer->keys.send_phase,
                        .id = peer->id,
                        .number = peer->number,
                        .number_size = ED_PACKET_NUMBER_SIZE_MIN};

    if (!peer->has_keys)
        return 0;
    peer->number++;
    size_t header = ed_packet_write(&packet, data);
    size_t plain = ed_min_size(frames.size, ED_PEER_FRAMES_MAX);
    if (plain > 0)
        memcpy(data + header, frames.data, plain);
    for (; plain < ED_PACKET_PLAIN_SIZE_MIN; plain++)
        data[header + plain] = 0;
    memcpy(peer->frames, data + header, plain);
    peer->frames_size = plain;
    data[at % (header + plain)] ^= change;
    ed_keys_seal(&peer->keys, packet.number, data, packet.number_at, header, header + plain);
    return header + plain + ED_TAG_SIZE;
}

void ed_peer_change_keys(ed_peer *peer, uint64_t now_ns)
{
    peer->keys.update_packets = 0;
    peer->keys.update_not_before_ns = 0;
    peer->keys.is_confirmed = true;
    if (peer->has_keys)
        ed_keys_update(&peer->keys, peer->number, 0, now_ns);
}
