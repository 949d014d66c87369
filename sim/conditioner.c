#include "sim/conditioner.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"

enum {
    CONDITIONER_BATCH = 32,
    ROUNDS_MAX = 64, // batches taken in by one receive, so that a flood does not hold it for ever
};

struct ed_conditioner {
    const eddy_allocator *allocator;
    eddy_socket inner;
    ed_time_source clock;
    ed_link *links[2]; // by ed_conditioner_side
    // Due, pulled from the outgoing link, and not yet taken by the inner socket.
    eddy_datagram pending[CONDITIONER_BATCH];
    size_t pending_at;
    size_t pending_count;
};

static uint64_t real_now_ns(void *context)
{
    (void)context;
    return ed_clock_now_ns();
}

static uint64_t now_ns_of(const ed_conditioner *c)
{
    return c->clock.now_ns(c->clock.context);
}

ed_conditioner *ed_conditioner_create(const eddy_allocator *allocator, const eddy_socket *inner,
                                      const ed_link_config *out, const ed_link_config *in,
                                      uint64_t seed, const ed_time_source *clock)
{
    ed_conditioner *c = ed_alloc_zeroed(allocator, sizeof *c);
    if (c == NULL)
        return NULL;

    c->allocator = allocator;
    c->inner = *inner;
    c->clock = clock == NULL ? (ed_time_source){.now_ns = real_now_ns} : *clock;
    for (int side = ED_CONDITIONER_OUT; side <= ED_CONDITIONER_IN; side++) {
        const ed_link_config *config = side == ED_CONDITIONER_OUT ? out : in;
        c->links[side] = ed_link_create(allocator, config, seed, 0, (uint32_t)side);
        if (c->links[side] == NULL) {
            ed_conditioner_destroy(c);
            return NULL;
        }
    }
    return c;
}

void ed_conditioner_destroy(ed_conditioner *conditioner)
{
    if (conditioner == NULL)
        return;
    ed_link_destroy(conditioner->links[ED_CONDITIONER_OUT]);
    ed_link_destroy(conditioner->links[ED_CONDITIONER_IN]);
    ed_alloc_free(conditioner->allocator, conditioner, sizeof *conditioner);
}

ed_link *ed_conditioner_link(ed_conditioner *conditioner, ed_conditioner_side side)
{
    ED_ASSERT(side == ED_CONDITIONER_OUT || side == ED_CONDITIONER_IN);
    return conditioner->links[side];
}

/** Gives the pending datagrams to the inner socket. False if it has no room for all. */
static bool send_pending(ed_conditioner *c)
{
    while (c->pending_at < c->pending_count) {
        size_t taken = c->inner.send(c->inner.context, &c->pending[c->pending_at],
                                     c->pending_count - c->pending_at);
        if (taken == 0)
            return false;
        ED_ASSERT(taken <= c->pending_count - c->pending_at);
        c->pending_at += taken;
    }
    return true;
}

/** Sends what is due by `now_ns`, as far as the inner socket takes it. */
static void flush(ed_conditioner *c, uint64_t now_ns)
{
    // The next pull ends the life of the bytes of the last, so the last must be through.
    while (send_pending(c)) {
        c->pending_at = 0;
        c->pending_count =
            ed_link_pull(c->links[ED_CONDITIONER_OUT], now_ns, c->pending, CONDITIONER_BATCH);
        if (c->pending_count == 0)
            return;
    }
}

static size_t conditioner_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    ed_conditioner *c = context;
    uint64_t now_ns = now_ns_of(c);

    for (size_t i = 0; i < count; i++)
        (void)ed_link_push(c->links[ED_CONDITIONER_OUT], &datagrams[i], now_ns);
    flush(c, now_ns);
    return count;
}

/** Takes in what has reached the inner socket. */
static void take_in(ed_conditioner *c, uint64_t now_ns)
{
    eddy_datagram batch[CONDITIONER_BATCH];

    for (int round = 0; round < ROUNDS_MAX; round++) {
        size_t count = c->inner.receive(c->inner.context, batch, CONDITIONER_BATCH);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++)
            (void)ed_link_push(c->links[ED_CONDITIONER_IN], &batch[i], now_ns);
    }
}

static size_t conditioner_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    ed_conditioner *c = context;
    uint64_t now_ns = now_ns_of(c);

    flush(c, now_ns);
    take_in(c, now_ns);
    return ed_link_pull(c->links[ED_CONDITIONER_IN], now_ns, datagrams, count);
}

static eddy_address conditioner_local(void *context)
{
    ed_conditioner *c = context;

    return c->inner.local(c->inner.context);
}

/** How long until a link delivers; UINT64_MAX: nothing is on its way. */
static uint64_t until_next_ns(const ed_conditioner *c, uint64_t now_ns, bool out_blocked)
{
    uint64_t next_ns = ed_link_next_ns(c->links[ED_CONDITIONER_IN]);

    // While the inner socket has no room, what is due to leave would turn the wait into a spin.
    if (!out_blocked)
        next_ns = ed_min_u64(next_ns, ed_link_next_ns(c->links[ED_CONDITIONER_OUT]));
    if (next_ns == ED_NEVER_NS)
        return ED_NEVER_NS;
    return next_ns - ed_min_u64(next_ns, now_ns);
}

static void conditioner_wait(void *context, int wake_fd, bool want_send, uint64_t timeout_ns)
{
    ed_conditioner *c = context;
    uint64_t now_ns = now_ns_of(c);

    flush(c, now_ns);
    bool blocked = c->pending_at < c->pending_count;
    c->inner.wait(c->inner.context, wake_fd, want_send || blocked,
                  ed_min_u64(timeout_ns, until_next_ns(c, now_ns, blocked)));
    flush(c, now_ns_of(c));
}

static void conditioner_stats(void *context, eddy_socket_stats *stats)
{
    ed_conditioner *c = context;

    c->inner.stats(c->inner.context, stats);
}

static void conditioner_close(void *context)
{
    ed_conditioner *c = context;

    flush(c, ED_NEVER_NS);
    if (c->inner.close != NULL)
        c->inner.close(c->inner.context);
}

static size_t conditioner_too_big(void *context, eddy_datagram *datagrams, size_t count)
{
    const ed_conditioner *c = context;

    return c->inner.too_big(c->inner.context, datagrams, count);
}

eddy_socket ed_conditioner_socket(ed_conditioner *conditioner)
{
    const eddy_socket *inner = &conditioner->inner;

    return (eddy_socket){
        .context = conditioner,
        .receive = conditioner_receive,
        .send = conditioner_send,
        .local = conditioner_local,
        .wait = inner->wait == NULL ? NULL : conditioner_wait,
        .too_big = inner->too_big == NULL ? NULL : conditioner_too_big,
        .stats = inner->stats == NULL ? NULL : conditioner_stats,
        .close = conditioner_close,
    };
}
