/**
 * One manager in virtual time, through the public calls, against what the input makes of the
 * network. The input is a list of orders: scripted peers shake hands honestly and then say sealed
 * packets of any bytes, they move to other addresses and answer who asks there, their datagrams are
 * damaged (and sealed again), replayed and sent from elsewhere, strangers say anything, the program
 * sends and closes, time passes.
 *
 * It must neither crash nor leak, not spin, stay within its memory, answer a stranger with no more
 * than it heard, and tell the end of every connection exactly once.
 */
#include <string.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/reader.h"
#include "core/seq.h"
#include "tests/support/keys.h"
#include "transport/frame.h"
#include "transport/handshake.h"
#include "transport/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CLIENTS = 4,      /* peers that connect to the manager */
    SERVERS = 1,      /* peers that it connects to */
    PEERS = 8,        /* the rest are strangers */
    INBOX_MAX = 32,   /* datagrams on their way to the manager */
    ORDERS_MAX = 400, /* of one input */
    POLLS_MAX = 200,  /* at one point in time; more is a spin */
    CONNECTIONS_MAX = 4,
    BUDGET_SIZE = 64 * 1024,
    RECEIVE_SIZE = 160 * 1024, /* no more than five connections ask for */
    MEMORY_MAX = 4 * 1024 * 1024,
    EVENTS_KEPT = 8,             /* messages that the program has not released */
    PEER_CREDIT = 20 * 1024,     /* that a peer grants at first, */
    PEER_MESSAGE_MAX = 6 * 1024, /* and takes */
    MESSAGE_MAX = 8 * 1024,      /* that the manager takes */
};

/** A scripted peer; its first address is that of its index. */
struct peer {
    uint8_t at;        /* whose address it has */
    uint64_t question; /* of the last PATH_CHALLENGE that it heard */
    ed_keys keys;
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t client_ephemeral[ED_EPHEMERAL_SIZE];
    uint8_t server_ephemeral[ED_EPHEMERAL_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE];
    uint32_t id;
    uint64_t number;
    uint64_t heard; /* the last packet number of the manager's, as far as the header tells */
    bool has_cookie;
    bool has_keys;
    uint8_t last[ED_DATAGRAM_SIZE]; /* what it said last */
    size_t last_size;
    size_t last_header; /* of a packet: to seal it again */
    uint64_t last_number;
};

struct inbound {
    uint8_t from;
    uint8_t data[ED_DATAGRAM_SIZE];
    size_t size;
};

struct run {
    ed_counting_alloc memory;
    eddy_manager *manager;
    uint64_t now_ns;
    uint64_t next_ns;
    uint64_t random;
    struct peer peers[PEERS];
    struct inbound inbox[INBOX_MAX];
    size_t inbox_count, inbox_taken;
    uint64_t stranger_heard[PEERS]; /* bytes */
    uint64_t stranger_told[PEERS];
    bool is_proved[PEERS]; /* somebody has connected from there, or moved there */
    eddy_connection connections[CONNECTIONS_MAX]; /* the newest that were told, 0: none */
    size_t connection_next;
    uint64_t connected_count, disconnected_count;
    uint64_t known_count; /* connections that the program has heard of first, in whatever way */
    bool asks;            /* the program decides about newcomers */
    eddy_event kept[EVENTS_KEPT];
    size_t kept_next;
    bool is_full; /* the socket has no room */
};

static struct run run;

static eddy_address address_of(uint8_t peer)
{
    return ed_addr_ipv4(10, 0, 0, (uint8_t)(peer + 1), 1000);
}

static bool is_stranger(uint8_t peer)
{
    return peer >= CLIENTS + SERVERS;
}

/* ------------------------------------------------------------------------------- the socket -- */

static size_t socket_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    size_t taken = 0;

    (void)context;
    for (; taken < count && run.inbox_taken < run.inbox_count; taken++) {
        struct inbound *in = &run.inbox[run.inbox_taken++];
        datagrams[taken] =
            (eddy_datagram){.remote = address_of(in->from), .data = in->data, .size = in->size};
    }
    return taken;
}

/** A server's peer hears INITIATE in the clear: it may choose its own half of the keys. */
static void peer_hears_initiate(struct peer *peer, const eddy_datagram *datagram)
{
    ed_initiate initiate;

    if (ed_initiate_parse(&initiate, datagram->data, datagram->size) != EDDY_OK)
        return;
    memcpy(peer->client_ephemeral, initiate.ephemeral, sizeof(initiate.ephemeral));
}

/** An honest receiver would take all frames; here one kind alone is of interest. */
static void peer_hears_frames(struct peer *peer, ed_span plain)
{
    ed_reader r = ed_reader_of(plain.data, plain.size);
    ed_frame frame;

    while (ed_frame_read(&r, &frame) == EDDY_OK)
        if (frame.type == ED_FRAME_PATH_CHALLENGE)
            peer->question = frame.challenge;
}

/** A packet of the manager to a client. `data` is written over. */
static void peer_hears_packet(struct peer *peer, uint8_t *data, size_t size)
{
    const ed_key *key = &peer->keys.packet[ED_TO_CLIENT];
    ed_packet packet;

    if (ed_packet_parse(&packet, data, size) != EDDY_OK)
        return;
    uint64_t number = ed_seq_expand(peer->heard + 1, packet.number, 8u * packet.number_size);
    peer->heard = packet.number;
    if (peer->has_keys && ed_protect_open(key, number, data, packet.header_size, size))
        peer_hears_frames(peer, (ed_span){.data = data + packet.header_size,
                                          .size = size - packet.header_size - ED_TAG_SIZE});
}

static void peer_hears(struct peer *peer, const eddy_datagram *datagram)
{
    ed_key key = ed_protect_accept_key(peer->nonce, peer->client_ephemeral);
    uint8_t copy[ED_DATAGRAM_SIZE];
    ed_retry retry;
    ed_hello hello;
    ed_accept accept;

    memcpy(copy, datagram->data, datagram->size);
    if (ed_retry_parse(&retry, copy, datagram->size) == EDDY_OK) {
        memcpy(peer->cookie, retry.cookie, sizeof(peer->cookie));
        peer->has_cookie = true;
    }
    if (ed_accept_open(&accept, &key, copy, datagram->size) == EDDY_OK && accept.refusal == 0) {
        peer->id = accept.id;
        peer->keys = ed_protect_packet_keys(peer->nonce, peer->client_ephemeral, accept.ephemeral);
        peer->has_keys = true;
        peer->number = 0;
    }
    if (ed_hello_parse(&hello, copy, datagram->size) == EDDY_OK)
        memcpy(peer->nonce, hello.nonce, sizeof(peer->nonce));
    peer_hears_initiate(peer, datagram);
    memcpy(copy, datagram->data, datagram->size);
    peer_hears_packet(peer, copy, datagram->size);
}

/** Where nobody has proved to be, nobody gets more than was heard from there. */
static void check_told(void)
{
    for (uint8_t i = 0; i < PEERS; i++)
        if (is_stranger(i) && !run.is_proved[i])
            ED_ASSERT(run.stranger_told[i] <= run.stranger_heard[i]);
}

/** Everybody who has that address hears it. */
static void tell(uint8_t to, const eddy_datagram *datagram)
{
    run.stranger_told[to] += datagram->size;
    for (size_t i = 0; i < PEERS; i++)
        if (run.peers[i].at == to)
            peer_hears(&run.peers[i], datagram);
}

static size_t socket_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    (void)context;
    if (run.is_full)
        return 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t to = (uint8_t)(datagrams[i].remote.ip[3] - 1);
        ED_ASSERT(to < PEERS && datagrams[i].size > 0 && datagrams[i].size <= ED_DATAGRAM_SIZE);
        tell(to, &datagrams[i]);
    }
    return count;
}

static eddy_address socket_local(void *context)
{
    (void)context;
    return ed_addr_ipv4(10, 0, 1, 1, 1);
}

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        run.random = run.random * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)data)[i] = (uint8_t)(run.random >> 56);
    }
}

/* -------------------------------------------------------------------------------- the peers -- */

/** Puts a datagram on its way, as if that peer had sent it. */
static void push(uint8_t from, const uint8_t *data, size_t size)
{
    if (run.inbox_count == INBOX_MAX)
        return;
    struct inbound *in = &run.inbox[run.inbox_count++];
    in->from = from;
    in->size = size;
    memcpy(in->data, data, size);
    run.stranger_heard[from] += size;
}

/** What the peer says, remembered for those who repeat and damage it. */
static void say(uint8_t index, const uint8_t *data, size_t size, size_t header, uint64_t number)
{
    struct peer *peer = &run.peers[index];

    ED_ASSERT(size <= sizeof(peer->last));
    memmove(peer->last, data, size);
    peer->last_size = size;
    peer->last_header = header;
    peer->last_number = number;
    push(peer->at, peer->last, size);
}

static const ed_key *peer_key(uint8_t index)
{
    return &run.peers[index].keys.packet[index < CLIENTS ? ED_TO_SERVER : ED_TO_CLIENT];
}

/** The next datagram of an honest client's handshake: HELLO, or INITIATE if it has a cookie. */
static void client_shakes(uint8_t index)
{
    struct peer *peer = &run.peers[index];
    uint8_t data[ED_DATAGRAM_SIZE];

    if (!peer->has_cookie) {
        ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                          .mode = ED_MODE_PLAIN,
                          .version_count = 1,
                          .versions = {ED_PROTOCOL_VERSION}};
        memcpy(hello.nonce, peer->nonce, sizeof(hello.nonce));
        ed_hello_write(data, &hello);
    } else {
        ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                                .mode = ED_MODE_PLAIN,
                                .suites = ED_SUITE_NULL_BIT,
                                .datagram_size = ED_DATAGRAM_SIZE,
                                .credit = PEER_CREDIT,
                                .message_max = PEER_MESSAGE_MAX,
                                .payload = {.data = peer->nonce, .size = peer->nonce[0] % 16}};
        memcpy(initiate.nonce, peer->nonce, sizeof(initiate.nonce));
        memcpy(initiate.cookie, peer->cookie, sizeof(initiate.cookie));
        memcpy(initiate.ephemeral, peer->client_ephemeral, sizeof(initiate.ephemeral));
        ed_initiate_write(data, &initiate);
    }
    say(index, data, sizeof(data), 0, 0);
}

/** The client begins anew, as one that has lost its state. */
static void client_forgets(uint8_t index)
{
    struct peer *peer = &run.peers[index];

    fill(NULL, peer->nonce, sizeof(peer->nonce));
    fill(NULL, peer->client_ephemeral, sizeof(peer->client_ephemeral));
    peer->has_cookie = false;
    peer->has_keys = false;
}

/** RETRY, then ACCEPT, of a server that the manager dials; `refusal` goes into the latter. */
static void server_shakes(uint8_t index, bool accepts, uint8_t refusal)
{
    struct peer *peer = &run.peers[index];
    uint8_t data[ED_DATAGRAM_SIZE];

    if (!accepts) {
        ed_retry retry = {.version = ED_PROTOCOL_VERSION, .cookie = {refusal}};
        memcpy(retry.nonce, peer->nonce, sizeof(retry.nonce));
        ed_retry_write(data, &retry);
        say(index, data, ED_RETRY_SIZE, 0, 0);
        return;
    }
    ed_accept accept = {.refusal = refusal,
                        .suite = ED_SUITE_NULL,
                        .id = 1,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .credit = PEER_CREDIT,
                        .message_max = PEER_MESSAGE_MAX};
    ed_key key = ed_protect_accept_key(peer->nonce, peer->client_ephemeral);
    memcpy(accept.nonce, peer->nonce, sizeof(accept.nonce));
    memcpy(accept.ephemeral, peer->server_ephemeral, sizeof(accept.ephemeral));
    ed_accept_write(data, &accept, &key);
    peer->keys =
        ed_protect_packet_keys(peer->nonce, peer->client_ephemeral, peer->server_ephemeral);
    peer->has_keys = true;
    peer->number = 0;
    say(index, data, ED_ACCEPT_SIZE, 0, 0);
}

/** A sealed packet of those frames; `skip` numbers are left out before it. */
static void peer_says(uint8_t index, uint8_t skip, ed_span frames)
{
    struct peer *peer = &run.peers[index];
    uint8_t data[ED_DATAGRAM_SIZE + ED_TAG_SIZE];

    if (!peer->has_keys)
        return;
    peer->number += skip;
    ed_packet packet = {.from_client = index < CLIENTS,
                        .id = peer->id,
                        .number = peer->number++,
                        .number_size = ED_PACKET_NUMBER_SIZE_MIN};
    size_t header = ed_packet_write(&packet, data);
    size_t plain = ed_min_size(frames.size, ED_DATAGRAM_SIZE - header - ED_TAG_SIZE);
    if (plain > 0)
        memcpy(data + header, frames.data, plain);
    for (; plain < ED_PACKET_PLAIN_SIZE_MIN; plain++)
        data[header + plain] = 0;
    ed_protect_seal(peer_key(index), packet.number, data, header, header + plain);
    say(index, data, header + plain + ED_TAG_SIZE, header, packet.number);
}

/** Acknowledges the newest packet and, behind a gap that leaves some out, those before. */
static void peer_acks(uint8_t index, uint8_t gap)
{
    uint64_t heard = run.peers[index].heard;
    ed_ranges ranges = {.count = 1, .range = {{.first = heard, .last = heard}}};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));

    if (heard >= gap + 2u)
        ranges.range[ranges.count++] = (ed_range){.first = 0, .last = heard - gap - 2};
    ed_frame_write_ack(&w, &ranges, 0);
    ed_write_u8(&w, ED_FRAME_PING);
    peer_says(index, 0, (ed_span){.data = data, .size = ed_writer_size(&w)});
}

static void peer_answers(uint8_t index)
{
    uint8_t data[16];
    ed_writer w = ed_writer_of(data, sizeof(data));

    ed_frame_write_path(&w, ED_FRAME_PATH_RESPONSE, run.peers[index].question);
    peer_says(index, 0, (ed_span){.data = data, .size = ed_writer_size(&w)});
}

/** What was said last, with one byte changed; sealed again or not. */
static void damage(uint8_t index, uint16_t at, uint8_t change, bool reseal)
{
    struct peer *peer = &run.peers[index];

    if (peer->last_size == 0)
        return;
    peer->last[at % peer->last_size] ^= change;
    if (reseal && peer->last_header > 0 && peer->has_keys)
        ed_protect_seal(peer_key(index), peer->last_number, peer->last, peer->last_header,
                        peer->last_size - ED_TAG_SIZE);
    push(index, peer->last, peer->last_size);
}

/* ------------------------------------------------------------------------------ the program -- */

static void on_event(eddy_event *event)
{
    bool is_request = event->type == EDDY_CONNECT_REQUEST;

    if (event->type == EDDY_CONNECTED)
        run.is_proved[event->connected.remote.ip[3] - 1] = true;
    if (event->type == EDDY_MOVED)
        run.is_proved[event->moved.remote.ip[3] - 1] = true;
    run.connected_count += event->type == EDDY_CONNECTED ? 1 : 0;
    ED_ASSERT(!is_request || run.asks);
    if (is_request || (event->type == EDDY_CONNECTED && event->connected.incoming && !run.asks)) {
        run.known_count++;
        run.connections[run.connection_next++ % CONNECTIONS_MAX] = event->connection;
    }
    run.disconnected_count += event->type == EDDY_DISCONNECTED ? 1 : 0;
    if (event->type == EDDY_MESSAGE) {
        ED_ASSERT(event->message.size <= EDDY_UNRELIABLE_SIZE_MAX);
        eddy_event *kept = &run.kept[run.kept_next++ % EVENTS_KEPT];
        eddy_release(run.manager, kept);
        *kept = *event;
        return;
    }
    eddy_release(run.manager, event);
}

/** @return whether more may come. */
static bool take_events(void)
{
    eddy_event event;
    eddy_status status;

    while ((status = eddy_next(run.manager, &event, 0)) == EDDY_OK)
        on_event(&event);
    return status == EDDY_EAGAIN;
}

static void poll_now(void)
{
    unsigned polls = 0;

    do {
        run.next_ns = eddy_poll(run.manager, run.now_ns);
        ED_ASSERT(++polls < POLLS_MAX);
    } while (run.next_ns <= run.now_ns);
    ED_ASSERT(run.inbox_taken == run.inbox_count);
    run.inbox_count = run.inbox_taken = 0;
    ED_ASSERT(run.memory.live_size < MEMORY_MAX);
    (void)take_events();
    check_told();
}

/** Lets time pass, with a poll at every deadline on the way. */
static void advance(uint64_t duration_ns)
{
    uint64_t until_ns = run.now_ns + duration_ns;

    poll_now();
    while (run.next_ns <= until_ns) {
        run.now_ns = run.next_ns;
        poll_now();
    }
    run.now_ns = until_ns;
    poll_now();
}

static void program_sends(uint8_t what, uint8_t stream, uint16_t size)
{
    static const uint8_t data[MESSAGE_MAX];
    eddy_connection to = run.connections[what % CONNECTIONS_MAX];
    eddy_guarantee guarantee = (eddy_guarantee)((what >> 2) % (EDDY_RELIABLE_SEQUENCED + 1));
    eddy_send_options options = {.expire_ms = (what & 0x80) != 0 ? stream : 0, .receipt = size};

    (void)!eddy_send_with(run.manager, to, guarantee, stream, data, size % (sizeof(data) + 1),
                          &options);
}

static void program_dials(uint8_t index)
{
    eddy_address address = address_of(index);
    eddy_connection connection;

    if (eddy_connect_address(run.manager, &address, ed_test_options(), &connection) == EDDY_OK) {
        run.known_count++;
        run.connections[run.connection_next++ % CONNECTIONS_MAX] = connection;
    }
}

static void program_answers(uint8_t who, uint8_t code)
{
    eddy_connection to = run.connections[who % CONNECTIONS_MAX];
    eddy_status status = (who & 0x80) != 0 ? eddy_accept(run.manager, to)
                                           : eddy_refuse(run.manager, to, code, "refused");

    // Once is enough.
    if (status == EDDY_OK)
        ED_ASSERT(run.asks && eddy_accept(run.manager, to) == EDDY_ESTATE);
}

/** Whatever state they are in, they can be looked at. */
static void program_looks(uint8_t who)
{
    eddy_connection to = run.connections[who % CONNECTIONS_MAX];
    eddy_connection all[CONNECTIONS_MAX + 1];
    eddy_connection_stats stats;
    eddy_address address;
    bool is_there = eddy_connection_state(run.manager, to) != EDDY_STATE_NONE;

    ED_ASSERT(eddy_connections(run.manager, all, ED_COUNT(all)) <= ED_COUNT(all));
    ED_ASSERT(!is_there || eddy_get_connection_stats(run.manager, to, &stats) != EDDY_ECONNECTION);
    ED_ASSERT(!is_there || eddy_peer_address(run.manager, to, &address) != EDDY_ECONNECTION);
    (void)eddy_set_rate(run.manager, to, (uint64_t)who << (who & 31));
}

/* ------------------------------------------------------------------------------- the orders -- */

enum order {
    ORDER_TIME,
    ORDER_CLIENT_SHAKES,
    ORDER_CLIENT_FORGETS,
    ORDER_PEER_SAYS,
    ORDER_PEER_ACKS,
    ORDER_DAMAGE,
    ORDER_REPLAY,
    ORDER_STRANGER,
    ORDER_MOVE,
    ORDER_ANSWER,
    ORDER_SERVER_SHAKES,
    ORDER_SEND,
    ORDER_DISCONNECT,
    ORDER_DIAL,
    ORDER_ROOM,
    ORDER_DECIDE,
    ORDER_LOOK,
    ORDER_COUNT
};

/** What the network brings. */
static void obey_network(enum order order, uint8_t who, ed_reader *r)
{
    uint8_t client = who % CLIENTS, peer = who % (CLIENTS + SERVERS), any = who % PEERS;
    uint8_t value = ed_read_u8(r);

    if (order == ORDER_CLIENT_SHAKES)
        client_shakes(client);
    if (order == ORDER_CLIENT_FORGETS)
        client_forgets(client);
    if (order == ORDER_SERVER_SHAKES)
        server_shakes(CLIENTS, (who & 1) != 0, value);
    if (order == ORDER_PEER_SAYS)
        peer_says(peer, value >> 6, ed_read_bytes(r, ed_min_size(value & 63, ed_reader_left(r))));
    if (order == ORDER_PEER_ACKS)
        peer_acks(peer, value);
    if (order == ORDER_DAMAGE)
        damage(peer, ed_read_u16(r), value, (who & 0x80) != 0);
    if (order == ORDER_MOVE)
        run.peers[client].at = value % PEERS;
    if (order == ORDER_ANSWER)
        peer_answers(client);
    if (order == ORDER_REPLAY)
        push(any, run.peers[value % PEERS].last, run.peers[value % PEERS].last_size);
    if (order == ORDER_STRANGER) {
        ed_span bytes = ed_read_bytes(r, ed_min_size(value, ed_reader_left(r)));
        uint8_t data[ED_DATAGRAM_SIZE] = {0};
        if (bytes.size > 0)
            memcpy(data, bytes.data, bytes.size);
        push(any, data, (who & 0x80) != 0 ? sizeof(data) : bytes.size);
    }
}

/** What the program does. */
static void obey_program(enum order order, uint8_t who, ed_reader *r)
{
    uint8_t value = ed_read_u8(r);

    if (order == ORDER_SEND)
        program_sends(who, value, ed_read_u16(r));
    if (order == ORDER_DISCONNECT)
        (void)eddy_disconnect(run.manager, run.connections[who % CONNECTIONS_MAX], value,
                              (who & 0x80) != 0 ? "reason" : NULL, value);
    if (order == ORDER_DIAL)
        program_dials(CLIENTS);
    if (order == ORDER_ROOM)
        run.is_full = (who & 1) != 0;
    if (order == ORDER_DECIDE)
        program_answers(who, value);
    if (order == ORDER_LOOK)
        program_looks(who);
}

static void obey(ed_reader *r)
{
    for (unsigned count = 0; ed_reader_left(r) > 0 && count < ORDERS_MAX; count++) {
        enum order order = (enum order)(ed_read_u8(r) % ORDER_COUNT);
        uint8_t who = ed_read_u8(r);
        if (order == ORDER_TIME)
            advance((uint64_t)who * who * ED_NS_PER_MS / 4);
        else if (order <= ORDER_SERVER_SHAKES)
            obey_network(order, who, r);
        else
            obey_program(order, who, r);
        // One bit keeps what was ordered back, so that several things come at once.
        if ((who & 0x40) == 0 || run.inbox_count == INBOX_MAX)
            poll_now();
    }
}

static void begin(bool asks)
{
    eddy_entropy entropy = {.fill = fill};
    eddy_socket socket = {.receive = socket_receive, .send = socket_send, .local = socket_local};
    eddy_config config = eddy_config_default();

    memset(&run, 0, sizeof(run));
    run.now_ns = ED_NS_PER_S;
    run.asks = asks;
    ed_counting_alloc_init(&run.memory, NULL);
    config.accept = true;
    config.secret_key = ed_test_secret();
    config.ask = asks;
    config.pump = false;
    config.max_connections = 3; /* one fewer than would come */
    config.max_half_open = 2;
    config.max_outgoing = 2;
    config.max_message_size = MESSAGE_MAX;
    config.send_budget = BUDGET_SIZE;
    config.receive_budget = RECEIVE_SIZE;
    config.unreliable_budget = BUDGET_SIZE;
    config.allocator = &run.memory.allocator;
    config.entropy = &entropy;
    config.socket = &socket;
    eddy_status status = eddy_open(&run.manager, &config);
    ED_ASSERT(status == EDDY_OK);
    for (uint8_t i = 0; i < PEERS; i++)
        run.peers[i].at = i;
    for (uint8_t i = 0; i < CLIENTS; i++)
        client_forgets(i);
    memset(run.peers[CLIENTS].server_ephemeral, 3, ED_EPHEMERAL_SIZE);
}

/** Everything ends: the events say so, and the memory is back. */
static void end(void)
{
    eddy_stats stats;

    run.is_full = false;
    poll_now();
    eddy_shutdown(run.manager, 1000);
    advance(30 * ED_NS_PER_S);
    ED_ASSERT(!take_events());
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        eddy_release(run.manager, &run.kept[i]);
    eddy_get_stats(run.manager, &stats);
    ED_ASSERT(stats.connections_opened == stats.connections_closed);
    ED_ASSERT(stats.connections_opened == run.connected_count);
    // One for each that was dialled, or came, or only asked to.
    ED_ASSERT(run.disconnected_count == run.known_count);
    (void)eddy_close(run.manager, 0);
    ED_ASSERT(run.memory.live_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    begin(size > 0 && (data[size - 1] & 1) != 0);
    obey(&r);
    end();
    return 0;
}
