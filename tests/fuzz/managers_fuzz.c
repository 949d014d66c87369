/**
 * Two managers with a connection between them, both ours and both honest, in virtual time. The
 * input decides what their programs send, read and give back, and what becomes of each datagram:
 * it comes, late, twice, damaged or never; and time.
 *
 * Neither end may ever say that the other broke the protocol; no message may come twice, damaged,
 * or out of order; and when the network has calmed down, all that was promised must have come.
 */
#include <string.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/reader.h"
#include "tests/support/keys.h"
#include "tests/support/talk.h"
#include "transport/nonce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ENDS = 2,        /* 0 is the client */
    FLIGHT_MAX = 64, /* datagrams on their way in one direction */
    ORDERS_MAX = 300,
    HELD_MAX = 4,
    POLLS_MAX = 500, /* at one point in time; more is a spin */
    DATAGRAM_MAX = EDDY_DATAGRAM_SIZE_MAX,
    CALM_MS = 60 * 1000,
    FLUSH_MS = 1000,
    BUDGET = 256 * 1024,
};

struct flying {
    uint8_t data[DATAGRAM_MAX];
    size_t size;
};

struct end {
    eddy_manager *manager;
    eddy_connection connection;
    uint64_t next_ns;
    bool is_over;
    struct flying flight[FLIGHT_MAX]; /* towards it */
    size_t flight_count;
    struct flying taken; /* what its socket was given last, as it may be written to */
    bool has_taken;
    ed_talk talk; /* what it says */
    eddy_event held[HELD_MAX];
};

static struct {
    ed_counting_alloc memory;
    struct end ends[ENDS];
    uint64_t now_ns;
    uint64_t random;
    bool is_calm;
} run;

static struct end *other_of(const struct end *end)
{
    return &run.ends[end == &run.ends[0] ? 1 : 0];
}

static eddy_address address_of(const struct end *end)
{
    return ed_addr_ipv4(10, 0, 0, (uint8_t)(end - run.ends + 1), 1000);
}

/* -------------------------------------------------------------------------------- the network --
 */

/** One that is too many falls on the floor, as in any network. */
static void fly(struct end *to, const uint8_t *data, size_t size)
{
    ED_ASSERT(size > 0 && size <= DATAGRAM_MAX);
    if (to->flight_count == FLIGHT_MAX)
        return;
    struct flying *flying = &to->flight[to->flight_count++];
    memcpy(flying->data, data, size);
    flying->size = size;
}

static size_t socket_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fly(other_of(context), datagrams[i].data, datagrams[i].size);
    return count;
}

static size_t socket_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    struct end *end = context;

    if (!end->has_taken || count == 0)
        return 0;
    end->has_taken = false;
    datagrams[0] = (eddy_datagram){
        .remote = address_of(other_of(end)), .data = end->taken.data, .size = end->taken.size};
    return 1;
}

static eddy_address socket_local(void *context)
{
    return address_of(context);
}

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        run.random = run.random * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)data)[i] = (uint8_t)(run.random >> 56);
    }
}

static void remove_flying(struct end *to, size_t i)
{
    to->flight_count--;
    memmove(&to->flight[i], &to->flight[i + 1], (to->flight_count - i) * sizeof(to->flight[0]));
}

/* ------------------------------------------------------------------------------- the programs --
 */

static void send_message(struct end *end, uint8_t what, uint16_t size)
{
    static uint8_t data[ED_TALK_SIZE_MAX];
    eddy_send_options options;
    ed_said said = ed_talk_choose(what, size, &options);

    if (end->connection == 0 || !ed_talk_has_room(&end->talk))
        return;
    ed_talk_write(&end->talk, &said, data);
    eddy_status status =
        eddy_send_with(end->manager, end->connection, (eddy_guarantee)said.guarantee, said.stream,
                       data, said.size, &options);
    if (status == EDDY_OK)
        ed_talk_on_sent(&end->talk, &said);
}

static void set_stream(struct end *end, uint8_t what)
{
    eddy_stream_options options = {.priority = what & 7, .weight = what, .budget = 0};

    if (end->connection != 0)
        (void)!eddy_set_stream(end->manager, end->connection, what >> 7, &options);
}

static void on_event(struct end *end, eddy_event *event, uint8_t place)
{
    if (event->type == EDDY_CONNECTED)
        end->connection = event->connection;
    if (event->type == EDDY_DISCONNECTED) {
        ED_ASSERT(event->disconnected.end != EDDY_END_PROTOCOL);
        ED_ASSERT(event->disconnected.end != EDDY_END_MEMORY);
        end->is_over = true;
        end->connection = 0;
    }
    if (event->type != EDDY_MESSAGE) {
        eddy_release(end->manager, event);
        return;
    }
    ed_talk_on_heard(&other_of(end)->talk, &event->message);
    eddy_event *held = &end->held[place % HELD_MAX];
    eddy_release(end->manager, held);
    *held = *event;
}

/** @return whether more may come. */
static bool read_events(struct end *end, uint8_t place)
{
    eddy_event event;
    eddy_status status;

    while ((status = eddy_next(end->manager, &event, 0)) == EDDY_OK)
        on_event(end, &event, place++);
    return status == EDDY_EAGAIN;
}

static void release_all(struct end *end)
{
    for (size_t i = 0; i < HELD_MAX; i++)
        eddy_release(end->manager, &end->held[i]);
}

/* --------------------------------------------------------------------------------------- time --
 */

static void poll_end(struct end *end)
{
    unsigned polls = 0;

    do {
        end->next_ns = eddy_poll(end->manager, run.now_ns);
        ED_ASSERT(++polls < POLLS_MAX);
    } while (end->next_ns <= run.now_ns);
}

/** Gives the datagram at that place to whom it is for. */
static void arrive(struct end *end, size_t i, bool is_copy)
{
    end->taken = end->flight[i];
    end->has_taken = true;
    if (!is_copy)
        remove_flying(end, i);
    poll_end(end);
}

/** Lets time pass, with a poll at every deadline on the way. */
static void advance(uint64_t until_ns)
{
    for (;;) {
        uint64_t next_ns = ed_min_u64(run.ends[0].next_ns, run.ends[1].next_ns);
        run.now_ns = ed_max_u64(run.now_ns, ed_min_u64(next_ns, until_ns));
        for (size_t i = 0; i < ENDS; i++)
            poll_end(&run.ends[i]);
        if (run.now_ns >= until_ns || run.is_calm)
            return;
    }
}

/* --------------------------------------------------------------------------------- the orders --
 */

enum order {
    COME,   /* the first few come */
    OTHERS, /* one from the middle comes, or a copy of it */
    LOSE,
    DAMAGE,
    SEND,
    SEND_MANY,
    READ,
    RELEASE,
    STREAM,
    TIME,
    ORDER_COUNT
};

static void damage(struct end *end, uint8_t value, uint16_t at)
{
    if (end->flight_count == 0)
        return;
    struct flying *flying = &end->flight[value % end->flight_count];
    flying->data[at % flying->size] ^= (uint8_t)(value | 1);
}

static void disturb(struct end *end, enum order order, uint8_t value, ed_reader *r)
{
    size_t some = end->flight_count == 0 ? 0 : value % end->flight_count;

    if (order == COME)
        for (unsigned n = value % 8u + 1; n > 0 && end->flight_count > 0; n--)
            arrive(end, 0, false);
    if (order == OTHERS && end->flight_count > 0)
        arrive(end, some, (value & 0x80) != 0);
    if (order == LOSE)
        for (unsigned n = value >> 6; n > 0 && some < end->flight_count; n--)
            remove_flying(end, some);
    if (order == DAMAGE)
        damage(end, value, ed_read_u16(r));
}

static void use(struct end *end, enum order order, uint8_t value, ed_reader *r)
{
    if (order == SEND)
        send_message(end, value, ed_read_u16(r));
    if (order == SEND_MANY)
        for (unsigned n = ed_read_u8(r) % 32u; n > 0; n--)
            send_message(end, value, (uint16_t)(n * 4 + 1));
    if (order == READ)
        (void)read_events(end, value);
    if (order == RELEASE)
        eddy_release(end->manager, &end->held[value % HELD_MAX]);
    if (order == STREAM)
        set_stream(end, value);
    if (order == TIME)
        advance(run.now_ns + (uint64_t)value * value * ED_NS_PER_MS / 50);
}

static void obey(ed_reader *r)
{
    for (unsigned count = 0; ed_reader_left(r) > 0 && count < ORDERS_MAX; count++) {
        uint8_t what = ed_read_u8(r), value = ed_read_u8(r);
        struct end *end = &run.ends[what >> 7];
        enum order order = (enum order)((what & 0x7f) % ORDER_COUNT);
        if (order <= DAMAGE)
            disturb(end, order, value, r);
        else
            use(end, order, value, r);
        if ((what & 0x40) == 0)
            poll_end(end);
    }
}

/* ----------------------------------------------------------------------------- begin and end -- */

static void open_end(struct end *end)
{
    eddy_entropy entropy = {.fill = fill};
    eddy_socket socket = {
        .context = end, .receive = socket_receive, .send = socket_send, .local = socket_local};
    eddy_config config = eddy_config_default();

    config.accept = end == &run.ends[1];
    config.secret_key = config.accept ? ed_test_secret() : NULL;
    config.pump = false;
    config.max_connections = config.accept ? 2 : 0;
    config.max_outgoing = 1;
    config.max_message_size = 32 * 1024;
    config.send_budget = BUDGET;
    config.connection_send_budget = BUDGET;
    config.receive_budget = BUDGET;
    config.unreliable_budget = BUDGET / 4;
    config.allocator = &run.memory.allocator;
    config.entropy = &entropy;
    config.socket = &socket;
    eddy_status status = eddy_open(&end->manager, &config);
    ED_ASSERT(status == EDDY_OK);
}

/** All datagrams come, in order, until none is on its way. */
static void let_all_come(void)
{
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < ENDS; i++)
            while (run.ends[i].flight_count > 0) {
                arrive(&run.ends[i], 0, false);
                any = true;
            }
    }
}

static void begin(void)
{
    memset(&run, 0, sizeof(run));
    ed_nonce_forget();
    run.now_ns = ED_NS_PER_S;
    ed_counting_alloc_init(&run.memory, NULL);
    for (size_t i = 0; i < ENDS; i++)
        open_end(&run.ends[i]);
    eddy_address server = address_of(&run.ends[1]);
    eddy_connection connection;
    eddy_status status =
        eddy_connect_address(run.ends[0].manager, &server, ed_test_options(), &connection);
    ED_ASSERT(status == EDDY_OK);
    for (size_t i = 0; i < ENDS; i++)
        poll_end(&run.ends[i]);
    let_all_come();
    for (size_t i = 0; i < ENDS; i++)
        (void)read_events(&run.ends[i], 0);
    ED_ASSERT(run.ends[0].connection != 0 && run.ends[1].connection != 0);
}

/** The network calms down, and the programs read. */
static void come_to_rest(void)
{
    uint64_t until_ns = run.now_ns + CALM_MS * ED_NS_PER_MS;
    bool is_over = false;

    run.is_calm = true;
    while (run.now_ns < until_ns) {
        let_all_come();
        for (size_t i = 0; i < ENDS; i++) {
            (void)read_events(&run.ends[i], 0);
            release_all(&run.ends[i]);
            poll_end(&run.ends[i]);
            is_over |= run.ends[i].is_over;
        }
        if (is_over || ed_talk_missing(&run.ends[0].talk) + ed_talk_missing(&run.ends[1].talk) == 0)
            return;
        advance(until_ns);
    }
    ED_ASSERT(is_over); // else something that was promised never came
}

/** @return whether it is done. */
static bool end_one(struct end *end)
{
    poll_end(end);
    bool is_done = !read_events(end, 0);
    release_all(end);
    return is_done;
}

/** Both ends say goodbye, and nothing is left. */
static void end(void)
{
    uint64_t until_ns = run.now_ns + CALM_MS * ED_NS_PER_MS;
    bool is_done = false;

    for (size_t i = 0; i < ENDS; i++)
        eddy_shutdown(run.ends[i].manager, FLUSH_MS);
    while (!is_done) {
        ED_ASSERT(run.now_ns < until_ns);
        is_done = true;
        for (size_t i = 0; i < ENDS; i++)
            is_done &= end_one(&run.ends[i]);
        let_all_come();
        advance(run.now_ns + ED_NS_PER_S); // or less: to what is due
    }
    for (size_t i = 0; i < ENDS; i++)
        (void)eddy_close(run.ends[i].manager, 0);
    ED_ASSERT(run.memory.live_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    begin();
    obey(&r);
    come_to_rest();
    end();
    return 0;
}
