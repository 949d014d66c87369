/**
 * What an accepted connection costs a server, against what a bare Noise responder costs: begin,
 * read message 1, write message 2, derive the keys. The rest is eddy's own doing: HELLO, cookie,
 * limits, the connection itself, the client's first packet, and the event. In turns, so that a busy
 * machine disturbs both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/clock.h"
#include "transport/handshake.h"
#include "transport/packet.h"
#include "transport/protect.h"

enum {
    BATCHES = 101,
    HANDSHAKES = 20, /* in a batch: short, so that a busy machine disturbs few of them */
    ROOM = 1200,
    FIRST_SIZE = 1000, /* payloads about as large as in INITIATE and ACCEPT */
    SECOND_SIZE = 128,
};

static const char *const names[ED_NOISE_PATTERN_COUNT] = {
    [ED_NOISE_NKPSK0] = "NKpsk0", [ED_NOISE_IKPSK1] = "IKpsk1", [ED_NOISE_NXPSK2] = "NXpsk2"};

/** What both ends need, and the first message. */
struct setting {
    ed_noise_pattern pattern;
    ed_noise_pair client;
    ed_noise_pair server;
    uint8_t prologue[ROOM];
    uint8_t message[ROOM];
    size_t size;
};

static void random_bytes(void *data, size_t size)
{
    const eddy_entropy *entropy = ed_entropy_system();

    entropy->fill(entropy->context, data, size);
}

static ed_noise_pair random_pair(void)
{
    ed_noise_pair pair;

    random_bytes(pair.secret, sizeof(pair.secret));
    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

#define require(ok) require_at((ok), __LINE__)
static void require_at(bool ok, int line)
{
    if (ok)
        return;
    fprintf(stderr, "handshake_bench: line %d failed\n", line);
    exit(1);
}

static void begin(ed_noise *noise, const struct setting *s, bool is_initiator)
{
    ed_noise_keys keys = {
        .own = is_initiator ? &s->client : &s->server,
        .peer = is_initiator && s->pattern != ED_NOISE_NXPSK2 ? s->server.public_key : NULL};

    ed_noise_init(noise, s->pattern, is_initiator, (ed_span){.data = s->prologue, .size = 100},
                  &keys);
}

static void prepare(struct setting *s, ed_noise_pattern pattern)
{
    uint8_t ephemeral[ED_KEY_SIZE];
    ed_noise initiator;

    *s = (struct setting){.pattern = pattern, .client = random_pair(), .server = random_pair()};
    random_bytes(ephemeral, sizeof(ephemeral));
    begin(&initiator, s, true);
    require(ed_noise_write(&initiator, ephemeral, s->message, FIRST_SIZE));
    s->size = ed_noise_head_size(pattern, 0) + FIRST_SIZE + ED_AEAD_TAG_SIZE;
}

/** One handshake as the responder. @return when the first message was known to be good. */
static uint64_t respond(const struct setting *s)
{
    uint8_t message[ROOM], ephemeral[ED_KEY_SIZE], keys[2][ED_KEY_SIZE];
    ed_noise responder;

    memcpy(message, s->message, s->size);
    begin(&responder, s, false);
    require(ed_noise_read(&responder, message, s->size));
    uint64_t read_ns = ed_clock_now_ns();
    random_bytes(ephemeral, sizeof(ephemeral));
    require(ed_noise_write(&responder, ephemeral, message, SECOND_SIZE));
    ed_noise_split(&responder, keys[0], keys[1]);
    return read_ns;
}

/* ------------------------------------------------------------------------------------ server -- */

/** A socket that holds one datagram each way, and of what is sent the handshake's alone. */
struct wire {
    eddy_datagram in;
    uint8_t in_data[ROOM];
    bool has_in;
    uint8_t out[ROOM];
    size_t out_size;
};

static size_t wire_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    struct wire *wire = context;

    if (!wire->has_in || count == 0)
        return 0;
    wire->has_in = false;
    datagrams[0] = wire->in;
    return 1;
}

static size_t wire_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    struct wire *wire = context;

    for (size_t i = 0; i < count; i++) {
        if (ed_form_of(datagrams[i].data, datagrams[i].size) == ED_FORM_PACKET)
            continue; // to a client of before
        memcpy(wire->out, datagrams[i].data, datagrams[i].size);
        wire->out_size = datagrams[i].size;
    }
    return count;
}

static eddy_address wire_local(void *context)
{
    (void)context;
    return (eddy_address){.family = EDDY_FAMILY_IPV4, .ip = {127, 0, 0, 1}, .port = 4242};
}

/** A server, and the one who calls on it. */
struct visit {
    struct wire wire;
    eddy_socket socket;
    eddy_manager *server;
    eddy_key key;
    uint64_t now_ns;
    uint64_t cost_ns;
};

static void open_server(struct visit *v)
{
    eddy_config config = eddy_config_default();

    *v = (struct visit){.now_ns = ED_NS_PER_S};
    v->socket = (eddy_socket){
        .context = &v->wire, .receive = wire_receive, .send = wire_send, .local = wire_local};
    config.socket = &v->socket;
    config.pump = false;
    config.accept = true;
    config.reply_rate = 0;
    config.handshake_rate = 0;
    require(eddy_open(&v->server, &config) == EDDY_OK);
    v->key = eddy_public_key(v->server);
}

/** Hands the server what stands in `in_data`, and times it. */
static void call(struct visit *v, size_t size, uint16_t number)
{
    v->wire.in = (eddy_datagram){.data = v->wire.in_data,
                                 .size = size,
                                 .remote = {.family = EDDY_FAMILY_IPV4,
                                            .ip = {127, 1, (uint8_t)(number >> 8), (uint8_t)number},
                                            .port = 5000}};
    v->wire.has_in = true;
    v->wire.out_size = 0;
    v->now_ns += ED_NS_PER_MS;
    uint64_t begin_ns = ed_clock_now_ns();
    (void)eddy_poll(v->server, v->now_ns);
    v->cost_ns += ed_clock_now_ns() - begin_ns;
}

static void write_hello(struct visit *v, ed_initiate *initiate, const ed_greeting_key *greeting)
{
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PINNED,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION}};

    random_bytes(initiate->nonce, ED_NONCE_SIZE);
    memcpy(hello.nonce, initiate->nonce, ED_NONCE_SIZE);
    ed_hello_write(v->wire.in_data, &hello, greeting);
}

/** Takes ACCEPT, and writes the first packet. @return its size. */
static size_t confirm(struct visit *v, const ed_initiate *initiate, ed_noise *noise)
{
    static const uint8_t ping[] = {0x01, 0x00, 0x00};
    uint8_t up[ED_KEY_SIZE], down[ED_KEY_SIZE];
    ed_packet packet = {.from_client = true, .number_size = 2};
    ed_accept accept;
    ed_keys keys;

    require(ed_accept_open(&accept, noise, ED_MODE_PINNED, initiate->nonce, v->wire.out,
                           v->wire.out_size) == EDDY_OK);
    ed_noise_split(noise, up, down);
    ed_keys_init(&keys, (ed_aead)accept.suite, up, down, v->now_ns);
    packet.id = accept.id;
    size_t header = ed_packet_write(&packet, v->wire.in_data);
    memcpy(v->wire.in_data + header, ping, sizeof(ping));
    ed_keys_seal(&keys, 0, v->wire.in_data, packet.number_at, header, header + sizeof(ping));
    return header + sizeof(ping) + ED_TAG_SIZE;
}

/** One client from HELLO to the server's CONNECTED. */
static void visit(struct visit *v, uint16_t number)
{
    ed_greeting_key greeting = ed_greeting_key_of(v->key.bytes);
    ed_noise_keys keys = {.peer = v->key.bytes};
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = ED_MODE_PINNED,
                            .suites = 1 << ED_AEAD_CHACHA20,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .credit = 16 << 10,
                            .message_max = 64 << 10};
    uint8_t ephemeral[ED_KEY_SIZE];
    ed_retry retry;
    ed_noise noise;
    eddy_event event;

    write_hello(v, &initiate, &greeting);
    call(v, ED_HELLO_SIZE, number);
    require(ed_retry_parse(&retry, v->wire.out, v->wire.out_size, initiate.nonce, &greeting, NULL,
                           0) == EDDY_OK);
    memcpy(initiate.cookie, retry.cookie, ED_COOKIE_SIZE);
    random_bytes(ephemeral, sizeof(ephemeral));
    require(ed_initiate_write(v->wire.in_data, &initiate, &noise, ephemeral, &keys));
    call(v, ED_INITIATE_SIZE, number);
    call(v, confirm(v, &initiate, &noise), number);
    require(eddy_next(v->server, &event, 0) == EDDY_OK && event.type == EDDY_CONNECTED);
    eddy_release(v->server, &event);
}

/** @return the cost of one accepted connection, on average over a batch. */
static uint64_t serve_batch(void)
{
    static struct visit v;

    open_server(&v);
    for (uint16_t i = 0; i < HANDSHAKES; i++)
        visit(&v, i);
    (void)eddy_close(v.server, 0);
    return v.cost_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

/** Of one handshake in the batch that stands at this place of the sorted ones. */
static double cost_us(const uint64_t batch_ns[BATCHES], size_t place)
{
    return (double)batch_ns[place] / HANDSHAKES / (double)ED_NS_PER_US;
}

/** `served` is NULL but for the pattern of the mode that the server is measured in. */
static void measure(ed_noise_pattern pattern, uint64_t *served)
{
    uint64_t read_ns[BATCHES] = {0}, all_ns[BATCHES] = {0};
    struct setting setting;

    for (size_t batch = 0; batch < BATCHES; batch++) {
        prepare(&setting, pattern);
        for (size_t i = 0; i < HANDSHAKES; i++) {
            uint64_t begin_ns = ed_clock_now_ns();
            read_ns[batch] += respond(&setting) - begin_ns;
            all_ns[batch] += ed_clock_now_ns() - begin_ns;
        }
        if (served != NULL)
            served[batch] = serve_batch();
    }
    qsort(read_ns, BATCHES, sizeof(read_ns[0]), compare);
    qsort(all_ns, BATCHES, sizeof(all_ns[0]), compare);
    printf("%-8s %10.1f %10.1f %10.1f\n", names[pattern], cost_us(read_ns, BATCHES / 2),
           cost_us(all_ns, BATCHES / 2), cost_us(all_ns, 0));
    if (served == NULL)
        return;
    qsort(served, BATCHES, sizeof(served[0]), compare);
    printf("%-8s %10s %10.1f %10.1f  %.2f times the responder\n", "server", "",
           cost_us(served, BATCHES / 2), cost_us(served, 0),
           (double)served[BATCHES / 2] / (double)all_ns[BATCHES / 2]);
}

int main(void)
{
    uint64_t served[BATCHES];

    if (ed_crypto_init() != EDDY_OK)
        return 1;
    printf("us for a handshake, median of %d batches of %d\n", BATCHES, HANDSHAKES);
    printf("%-8s %10s %10s %10s\n", "pattern", "read", "all", "all, best");
    for (int pattern = 0; pattern < ED_NOISE_PATTERN_COUNT; pattern++)
        measure((ed_noise_pattern)pattern, pattern == ED_NOISE_NKPSK0 ? served : NULL);
    return 0;
}
