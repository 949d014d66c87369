/**
 * One manager in virtual time, through the public calls, against what the input makes of the
 * network. The input is a list of orders: scripted peers shake hands honestly, in three modes, and
 * then say sealed packets of any bytes, they change their keys, they move to other addresses and
 * answer who asks there, their datagrams are damaged (before or after they are sealed), replayed
 * and sent from elsewhere, strangers say anything, the program sends and closes, time passes.
 *
 * It must neither crash nor leak, not spin, stay within its memory, answer a stranger with no more
 * than it heard, and tell the end of every connection exactly once.
 */
#include <string.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/reader.h"
#include "tests/support/keys.h"
#include "tests/support/peer.h"
#include "transport/frame.h"
#include "transport/nonce.h"

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
    EVENTS_KEPT = 8,        /* messages that the program has not released */
    MESSAGE_MAX = 8 * 1024, /* that the manager takes */
};

/** A scripted peer; its first address is that of its index. */
struct peer {
    ed_peer end;
    uint8_t at;                     /* whose address it has */
    uint8_t last[ED_DATAGRAM_SIZE]; /* what it said last */
    size_t last_size;
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

static const ed_mode modes[CLIENTS + SERVERS] = {ED_MODE_PINNED, ED_MODE_OPEN, ED_MODE_MUTUAL,
                                                 ED_MODE_PINNED, ED_MODE_PINNED};

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
            ed_peer_hear(&run.peers[i].end, datagram->data, datagram->size, run.now_ns);
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

static const eddy_entropy entropy_of_run = {.fill = fill};

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

/** What the peer says, if anything, remembered for those who repeat and damage it. */
static void say(uint8_t index, const uint8_t *data, size_t size)
{
    struct peer *peer = &run.peers[index];

    if (size == 0)
        return;
    memcpy(peer->last, data, size);
    peer->last_size = size;
    push(peer->at, data, size);
}

/** The next datagram of an honest client's handshake. */
static void client_shakes(uint8_t index)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    say(index, data, ed_peer_shake(&run.peers[index].end, data));
}

static void server_greets(uint8_t index, uint8_t value)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    say(index, data, ed_peer_greet(&run.peers[index].end, value, data));
}

static void server_accepts(uint8_t index, uint8_t refusal)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    say(index, data, ed_peer_accept(&run.peers[index].end, refusal, data, run.now_ns));
}

/** A sealed packet; `skip` numbers are left out before it. */
static void peer_says(uint8_t index, uint8_t skip, ed_span frames)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    run.peers[index].end.number += skip;
    say(index, data, ed_peer_seal(&run.peers[index].end, frames, 0, 0, data));
}

/** Acknowledges the newest packet and, behind a gap that leaves some out, those before. */
static void peer_acks(uint8_t index, uint8_t gap)
{
    uint64_t heard = run.peers[index].end.heard;
    ed_range places[] = {{.first = heard, .last = heard}, {0}};
    ed_ranges ranges = {.range = places, .count = 1, .capacity = ED_COUNT(places)};
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

    ed_frame_write_path(&w, ED_FRAME_PATH_RESPONSE, run.peers[index].end.question);
    peer_says(index, 0, (ed_span){.data = data, .size = ed_writer_size(&w)});
}

/** What was said last, with one byte changed; sealed or not. */
static void damage(uint8_t index, uint16_t at, uint8_t change, bool is_sealed)
{
    struct peer *peer = &run.peers[index];
    uint8_t data[ED_DATAGRAM_SIZE], frames[ED_PEER_FRAMES_MAX];
    size_t size = peer->end.frames_size;

    if (peer->last_size == 0)
        return;
    if (is_sealed) {
        memcpy(frames, peer->end.frames, size);
        say(index, data,
            ed_peer_seal(&peer->end, (ed_span){.data = frames, .size = size}, at, change, data));
        return;
    }
    peer->last[at % peer->last_size] ^= change;
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
    ORDER_KEYS,
    ORDER_SERVER_SHAKES,
    ORDER_CONNECT,
    ORDER_SEND,
    ORDER_DISCONNECT,
    ORDER_DIAL,
    ORDER_ROOM,
    ORDER_DECIDE,
    ORDER_LOOK,
    ORDER_COUNT
};

/** A whole handshake at once, up to the first packet: from a client, or with the server. */
static void connect_honestly(uint8_t peer)
{
    if (peer < CLIENTS)
        ed_peer_forget(&run.peers[peer].end);
    else
        program_dials(peer);
    poll_now();
    for (unsigned step = 0; step < 2; step++) {
        if (peer < CLIENTS)
            client_shakes(peer);
        else if (step == 0)
            server_greets(peer, 0);
        else
            server_accepts(peer, 0);
        poll_now();
    }
    peer_acks(peer, 0);
}

/** What the network brings. */
static void obey_network(enum order order, uint8_t who, ed_reader *r)
{
    uint8_t client = who % CLIENTS, peer = who % (CLIENTS + SERVERS), any = who % PEERS;
    uint8_t value = ed_read_u8(r);

    if (order == ORDER_CLIENT_SHAKES)
        client_shakes(client);
    if (order == ORDER_CLIENT_FORGETS)
        ed_peer_forget(&run.peers[client].end);
    if (order == ORDER_SERVER_SHAKES && (who & 1) != 0)
        server_accepts(CLIENTS, value);
    if (order == ORDER_SERVER_SHAKES && (who & 1) == 0)
        server_greets(CLIENTS, value);
    if (order == ORDER_KEYS)
        ed_peer_change_keys(&run.peers[peer].end, run.now_ns);
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
        else if (order == ORDER_CONNECT)
            connect_honestly(who % (CLIENTS + SERVERS));
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
    eddy_socket socket = {.receive = socket_receive, .send = socket_send, .local = socket_local};
    eddy_config config = eddy_config_default();
    eddy_key player = ed_peer_client_key();

    memset(&run, 0, sizeof(run));
    ed_nonce_forget();
    run.now_ns = ED_NS_PER_S;
    run.asks = asks;
    ed_counting_alloc_init(&run.memory, NULL);
    config.accept = true;
    config.secret_key = ed_test_secret();
    config.cipher = EDDY_CIPHER_CHACHA20;
    config.modes = EDDY_MODE_OPEN | EDDY_MODE_PINNED | EDDY_MODE_MUTUAL;
    config.client_keys = &player;
    config.client_key_count = 1;
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
    config.entropy = &entropy_of_run;
    config.socket = &socket;
    eddy_status status = eddy_open(&run.manager, &config);
    ED_ASSERT(status == EDDY_OK);
    for (uint8_t i = 0; i < PEERS; i++) {
        run.peers[i].at = i;
        ed_peer_init(&run.peers[i].end, i < CLIENTS, modes[i % ED_COUNT(modes)], &entropy_of_run);
    }
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

    if (ed_crypto_init() != EDDY_OK)
        return 0;
    begin(size > 0 && (data[size - 1] & 1) != 0);
    obey(&r);
    end();
    return 0;
}
