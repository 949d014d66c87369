#include "tests/support/pair.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/arena.h"
#include "transport/nonce.h"

enum {
    EXPIRIES_MAX = 500, /* at one point in time; more is a spin */
    BUDGET = 256 * 1024,
};

ed_pair_world ed_pair;
ed_pair_end ed_pair_ends[ED_PAIR_ENDS];

ed_pair_end *ed_pair_other(const ed_pair_end *end)
{
    return &ed_pair_ends[end == &ed_pair_ends[0] ? 1 : 0];
}

static ed_path path_to(const ed_pair_end *end, uint16_t port)
{
    return (ed_path){.remote = ed_addr_ipv4(10, 0, 0, (uint8_t)(end - ed_pair_ends + 1), port)};
}

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        ed_pair.random = ed_pair.random * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)data)[i] = (uint8_t)(ed_pair.random >> 56);
    }
}

/* ----------------------------------------------------------------------------- the network -- */

ed_pair_flying *ed_pair_at(ed_pair_flight *flight, size_t i)
{
    return &flight->places[flight->order[i]];
}

ed_pair_flying *ed_pair_take(ed_pair_flight *flight, size_t i)
{
    uint8_t place = flight->order[i];

    ED_ASSERT(i < flight->count);
    memmove(&flight->order[i], &flight->order[i + 1], ED_PAIR_FLIGHT_MAX - 1 - i);
    flight->order[ED_PAIR_FLIGHT_MAX - 1] = place; // nobody takes it before another 64 have
    flight->count--;
    return &flight->places[place];
}

/** What is said to an address that was left is lost, and so is one datagram too many, or too large.
 */
static void transmit(ed_pair_end *end)
{
    static ed_pair_flying lost;
    ed_pair_end *to = ed_pair_other(end);
    ed_path path;

    for (;;) {
        bool fits = to->flight.count < ED_PAIR_FLIGHT_MAX;
        ed_pair_flying *flying = fits ? ed_pair_at(&to->flight, to->flight.count) : &lost;
        flying->size = ed_conn_transmit(end->conn, &path, flying->data, ed_pair.now_ns);
        if (flying->size == 0)
            return;
        ED_ASSERT(flying->size <= EDDY_DATAGRAM_SIZE_MAX);
        flying->port = end->port;
        if (fits && path.remote.port == to->port && flying->size <= to->takes)
            to->flight.count++;
    }
}

void ed_pair_serve(ed_pair_end *end)
{
    unsigned expiries = 0;

    if (ed_list_linked(&end->conn->inbox.credit.waiting))
        ed_conn_update_credit(end->conn, ed_pair.now_ns);
    transmit(end);
    while (ed_conn_next_ns(end->conn) <= ed_pair.now_ns) {
        ED_ASSERT(++expiries < EXPIRIES_MAX);
        ed_conn_expire(end->conn, ed_pair.now_ns);
        transmit(end);
    }
    ed_settled_give_back(&ed_pair.bed.settled);
}

void ed_pair_arrive(ed_pair_end *end, ed_pair_flying *flying)
{
    ed_path path = path_to(ed_pair_other(end), flying->port);
    eddy_datagram datagram = {.remote = path.remote, .data = flying->data, .size = flying->size};

    ed_conn_receive(end->conn, &datagram, ed_pair.now_ns);
    ed_pair_serve(end);
}

void ed_pair_let_all_come(void)
{
    while (ed_pair_flying_count() > 0)
        for (size_t i = 0; i < ED_PAIR_ENDS; i++)
            while (ed_pair_ends[i].flight.count > 0)
                ed_pair_arrive(&ed_pair_ends[i], ed_pair_take(&ed_pair_ends[i].flight, 0));
}

/* ------------------------------------------------------------------------------------ time -- */

uint64_t ed_pair_next_ns(void)
{
    return ed_min_u64(ed_conn_next_ns(ed_pair_ends[0].conn), ed_conn_next_ns(ed_pair_ends[1].conn));
}

void ed_pair_serve_all(void)
{
    for (size_t i = 0; i < ED_PAIR_ENDS; i++)
        ed_pair_serve(&ed_pair_ends[i]);
}

void ed_pair_advance(uint64_t until_ns)
{
    while (ed_pair.now_ns < until_ns) {
        ed_pair.now_ns = ed_max_u64(ed_pair.now_ns, ed_min_u64(ed_pair_next_ns(), until_ns));
        ed_pair_serve_all();
    }
}

/* ----------------------------------------------------------------------------- the programs -- */

size_t ed_pair_flying_count(void)
{
    return ed_pair_ends[0].flight.count + ed_pair_ends[1].flight.count;
}

bool ed_pair_is_open(const ed_pair_end *end)
{
    return end->conn->state == ED_CONN_CONNECTED;
}

void ed_pair_release(ed_pair_end *end, ed_block **held)
{
    if (*held == NULL)
        return;
    (void)ed_conn_returned(end->conn, *held, ed_pair.now_ns);
    *held = NULL;
}

/* -------------------------------------------------------------------------- begin and end -- */

static eddy_config make_config(const eddy_allocator *allocator)
{
    static const eddy_entropy entropy = {.fill = fill};
    eddy_config config = eddy_config_default();

    config.max_message_size = 32 * 1024;
    config.receive_budget = 2 * BUDGET; // both ends share it
    config.unreliable_budget = BUDGET / 4;
    config.allocator = allocator;
    config.entropy = &entropy;
    return config;
}

static void init_end(ed_pair_end *end)
{
    end->conn = &ed_pair.conns[end - ed_pair_ends];
    end->port = ED_PAIR_PORT;
    end->takes = EDDY_DATAGRAM_SIZE_MAX;
    end->is_over = false;
    end->undelivered = 0;
    memset(end->held, 0, sizeof(end->held));
    end->flight.count = 0;
    for (uint8_t i = 0; i < ED_PAIR_FLIGHT_MAX; i++)
        end->flight.order[i] = i;
    ed_talk_init(&end->talk);
}

/** What is told of the handshake. */
static void read_first_events(ed_pair_end *end)
{
    ed_event_item item;

    while (ed_conn_events(end->conn, &item, 1) > 0)
        ed_pool_give(item.block);
}

static void connect_ends(const eddy_allocator *allocator)
{
    eddy_config config = make_config(allocator);
    ed_path to_client = path_to(&ed_pair_ends[0], ED_PAIR_PORT);
    ed_path to_server = path_to(&ed_pair_ends[1], ED_PAIR_PORT);

    memset(&ed_pair, 0, sizeof(ed_pair));
    ed_nonce_forget();
    ed_pair.now_ns = ED_NS_PER_S;
    ed_conn_bed_open_with(&ed_pair.bed, ED_PAIR_ENDS, &config);
    ed_pair.send_pool = ed_pool_create(allocator, BUDGET);
    ED_ASSERT(ed_pair.send_pool != NULL);
    ed_conn_bed_connect(&ed_pair.bed, &ed_pair.conns[0], &ed_pair.conns[1], &to_server, &to_client,
                        ed_pair.now_ns);
    ed_pair_serve_all();
    ed_pair_let_all_come();
    for (size_t i = 0; i < ED_PAIR_ENDS; i++)
        read_first_events(&ed_pair_ends[i]);
    ED_ASSERT(ed_pair_is_open(&ed_pair_ends[0]) && ed_pair_is_open(&ed_pair_ends[1]));
}

static void disconnect_ends(void)
{
    for (size_t i = 0; i < ED_PAIR_ENDS; i++)
        ed_conn_free(&ed_pair.conns[i]);
    ed_conn_bed_close(&ed_pair.bed);
    ED_ASSERT(ed_pool_charged(ed_pair.send_pool) == 0);
    ed_pool_destroy(ed_pair.send_pool);
}

#ifdef ED_FUZZ_FAST
static ed_arena arena;

enum {
    IDENTITY_SIZE =
        sizeof(ed_identity) + (ED_PAIR_ENDS + 1) * (sizeof(ed_secrets) + sizeof(ed_opening)),
};

void ed_pair_begin(void)
{
    static ed_arena_kept kept;
    static ed_pair_world kept_world;
    static uint8_t kept_identity[IDENTITY_SIZE]; // it is in memory of its own

    for (size_t i = 0; i < ED_PAIR_ENDS; i++)
        init_end(&ed_pair_ends[i]);
    if (kept.used == 0) {
        ed_arena_init(&arena);
        connect_ends(&arena.allocator);
        ed_arena_keep(&arena, &kept);
        kept_world = ed_pair;
        memcpy(kept_identity, ed_pair.bed.shared.identity, sizeof(kept_identity));
    }
    ed_arena_restore(&arena, &kept);
    ed_pair = kept_world;
    memcpy(ed_pair.bed.shared.identity, kept_identity, sizeof(kept_identity));
}

void ed_pair_end_all(void)
{
    ed_pair.bed.shared.identity = NULL; // the next pair has the same
    disconnect_ends();
    ED_ASSERT(arena.live_count == 0);
}
#else
static ed_counting_alloc memory;

void ed_pair_begin(void)
{
    for (size_t i = 0; i < ED_PAIR_ENDS; i++)
        init_end(&ed_pair_ends[i]);
    ed_counting_alloc_init(&memory, NULL);
    connect_ends(&memory.allocator);
}

void ed_pair_end_all(void)
{
    disconnect_ends();
    ED_ASSERT(memory.live_count == 0);
}
#endif
