/**
 * L1: a game's small reliable messages at 60 Hz over a lossy path, in virtual time: how late each
 * is. Beside eddy stands what no scheme can beat that sends a datagram a tick: everything that is
 * not acknowledged goes along in each of them, and each that arrives is acknowledged at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "sim/loss.h"
#include "sim/world.h"
#include "tools/bench/bench.h"

enum {
    LOSSY_HZ = 60,
    LOSSY_SIZE = 100,
    LOSSY_SENDS = 3600, /* each way */
    LOSSY_SETTLE_S = 15,
    LOSSY_PHASE_MS = 4, /* how far behind the client's ticks the server's are */
    BURST_LOSS_PPM = 1000 * 1000,
    ENDS = 2,
    PER_MILLE = 1000,
};

enum { CLIENT = 0, SERVER = 1 };

/** So long takes so many ticks. */
static uint64_t ticks_ns(uint64_t ticks)
{
    return ticks * ED_NS_PER_S / LOSSY_HZ;
}

/** Latencies in ns, of all messages that arrived. */
struct delays {
    uint64_t count;
    uint64_t at_ns[ENDS * LOSSY_SENDS];
};

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

static double delay_ms(const struct delays *delays, uint64_t per_mille)
{
    uint64_t place = ed_min_u64(delays->count * per_mille / PER_MILLE, delays->count - 1);

    return (double)delays->at_ns[place] / (double)ED_NS_PER_MS;
}

/** @param copies how often a message left on average; `bytes` and `datagrams` a message. */
static void report(ed_bench_result *result, struct delays *delays, double copies, double bytes,
                   double datagrams)
{
    if (delays->count == 0) {
        snprintf(result->error, sizeof(result->error), "nothing arrived");
        return;
    }
    qsort(delays->at_ns, delays->count, sizeof(delays->at_ns[0]), compare);
    result->figures[0] = delay_ms(delays, 990);
    result->figures[1] = delay_ms(delays, 999);
    result->figures[2] = delay_ms(delays, 500);
    result->figures[3] = copies;
    result->figures[4] = bytes;
    result->figures[5] = datagrams;
}

static ed_link_config path_of(const ed_bench_plan *plan)
{
    ed_link_config config = ed_link_config_default();

    config.delay_ns = plan->rtt_us * ED_NS_PER_US / 2;
    if (plan->burst == 0) {
        config.loss_ppm = plan->loss_ppm;
        return config;
    }
    // A burst takes 1 / r datagrams, and p / (p + r) of them all are in one.
    config.burst_end_ppm = BURST_LOSS_PPM / plan->burst;
    config.burst_start_ppm = (uint32_t)((uint64_t)config.burst_end_ppm * plan->loss_ppm /
                                        (BURST_LOSS_PPM - plan->loss_ppm));
    config.burst_loss_ppm = BURST_LOSS_PPM;
    return config;
}

/* -------------------------------------------------------------------------------------- eddy -- */

struct end {
    struct match *match;
    ed_host *host;
    eddy_socket socket;
    eddy_entropy entropy;
    eddy_manager *manager;
    eddy_connection connection; /* 0: not yet, or no more */
    uint64_t sent;
    uint64_t came;
};

struct match {
    ed_world *world;
    struct end ends[ENDS];
    struct delays delays;
    bool is_wrong; /* a message was not the next */
};

/** What a message says. */
struct stamp {
    uint64_t number;
    uint64_t sent_ns;
};

static void take(struct end *end, const eddy_event *event, uint64_t now_ns)
{
    struct match *match = end->match;
    struct stamp stamp;

    if (event->type == EDDY_CONNECTED)
        end->connection = event->connection;
    if (event->type == EDDY_DISCONNECTED)
        end->connection = 0;
    if (event->type != EDDY_MESSAGE)
        return;
    memcpy(&stamp, event->message.data, sizeof(stamp));
    match->is_wrong |= stamp.number != end->came++ || event->message.size != LOSSY_SIZE;
    if (match->delays.count < ENDS * LOSSY_SENDS)
        match->delays.at_ns[match->delays.count++] = now_ns - stamp.sent_ns;
}

static uint64_t run_end(void *context, uint64_t now_ns)
{
    struct end *end = context;
    uint64_t next_ns = eddy_poll(end->manager, now_ns);
    eddy_event event;

    while (eddy_next(end->manager, &event, 0) == EDDY_OK) {
        take(end, &event, now_ns);
        eddy_release(end->manager, &event);
    }
    return next_ns;
}

static bool open_end(struct match *match, size_t which, eddy_config config)
{
    struct end *end = &match->ends[which];
    eddy_address address = {
        .family = EDDY_FAMILY_IPV4, .ip = {10, 0, 0, (uint8_t)(which + 1)}, .port = 4000};

    end->match = match;
    end->host = ed_world_socket(match->world, &address, &end->socket);
    if (end->host == NULL)
        return false;
    end->entropy = ed_world_entropy(match->world, end->host);
    config.socket = &end->socket;
    config.entropy = &end->entropy;
    config.pump = false;
    if (eddy_open(&end->manager, &config) != EDDY_OK)
        return false;
    ed_world_attach(match->world, end->host, run_end, end);
    return true;
}

static bool open_match(struct match *match, const ed_bench_plan *plan)
{
    eddy_config server = eddy_config_default(), client = server;
    ed_link_config path = path_of(plan), clean = ed_link_config_default();

    clean.delay_ns = path.delay_ns;
    match->world = ed_world_create(ed_alloc_default(), plan->seed);
    server.accept = true;
    if (match->world == NULL || ed_world_set_link(match->world, NULL, NULL, &clean) != EDDY_OK ||
        !open_end(match, CLIENT, client) || !open_end(match, SERVER, server))
        return false;
    struct end *dialling = &match->ends[CLIENT], *dialled = &match->ends[SERVER];
    eddy_key key = eddy_public_key(dialled->manager);
    eddy_connect_options options = {.server_key = &key};
    eddy_address address = eddy_local_address(dialled->manager);
    if (eddy_connect_address(dialling->manager, &address, &options, &dialling->connection) !=
        EDDY_OK)
        return false;
    ed_world_touch(match->world, dialling->host);
    ed_world_run_until(match->world, LOSSY_SETTLE_S * ED_NS_PER_S);
    return dialling->connection != 0 && dialled->connection != 0 &&
           ed_world_set_link(match->world, NULL, NULL, &path) == EDDY_OK;
}

static void close_match(struct match *match)
{
    for (size_t i = 0; i < ENDS; i++)
        (void)eddy_close(match->ends[i].manager, 0);
    ed_world_destroy(match->world);
}

static void send_from(struct end *end, uint64_t now_ns)
{
    uint8_t message[LOSSY_SIZE] = {0};
    struct stamp stamp = {.number = end->sent, .sent_ns = now_ns};

    memcpy(message, &stamp, sizeof(stamp));
    if (eddy_send(end->manager, end->connection, EDDY_RELIABLE_ORDERED, 0, message,
                  sizeof(message)) == EDDY_OK)
        end->sent++;
    ed_world_touch(end->match->world, end->host);
}

static void play(struct match *match, bool both)
{
    uint64_t begin_ns = ed_world_now_ns(match->world) + ED_NS_PER_S;

    for (uint64_t k = 0; k < LOSSY_SENDS; k++) {
        uint64_t at_ns = begin_ns + ticks_ns(k);
        ed_world_run_until(match->world, at_ns);
        send_from(&match->ends[CLIENT], at_ns);
        at_ns += LOSSY_PHASE_MS * ED_NS_PER_MS;
        ed_world_run_until(match->world, at_ns);
        if (both)
            send_from(&match->ends[SERVER], at_ns);
    }
    ed_world_run_until(match->world, ed_world_now_ns(match->world) + LOSSY_SETTLE_S * ED_NS_PER_S);
}

static void tell(ed_bench_result *result, struct match *match)
{
    uint64_t sent = 0, copies = 0, bytes = 0, datagrams = 0;

    for (size_t i = 0; i < ENDS; i++) {
        eddy_stats stats;
        eddy_get_stats(match->ends[i].manager, &stats);
        sent += stats.messages_sent;
        copies += stats.messages_sent + stats.messages_resent;
        bytes += stats.sent_bytes;
        datagrams += stats.sent_datagrams;
    }
    if (match->is_wrong || match->delays.count != sent) {
        snprintf(result->error, sizeof(result->error), "of %llu messages %llu came%s",
                 (unsigned long long)sent, (unsigned long long)match->delays.count,
                 match->is_wrong ? ", and not in order" : "");
        return;
    }
    report(result, &match->delays, (double)copies / (double)sent, (double)bytes / (double)sent,
           (double)datagrams / (double)sent);
}

static void run_eddy(ed_bench_result *result, const ed_bench_plan *plan)
{
    static struct match match;

    match = (struct match){0};
    if (open_match(&match, plan)) {
        play(&match, plan->both);
        tell(result, &match);
    } else {
        snprintf(result->error, sizeof(result->error), "no connection over this path");
    }
    close_match(&match);
}

/* ------------------------------------------------------------------------------------- bound -- */

/** Packet k leaves at tick k with every message that is not known to have come. */
struct bound {
    bool came[LOSSY_SENDS];     /* packet k arrived */
    bool answered[LOSSY_SENDS]; /* and the word of it, too */
};

static void draw_losses(struct bound *b, const ed_bench_plan *plan)
{
    ed_link_config path = path_of(plan);
    ed_link_loss there, back;

    ed_link_loss_init(&there, plan->seed, 0, 0);
    ed_link_loss_init(&back, plan->seed, 0, 1);
    for (uint64_t k = 0, answers = 0; k < LOSSY_SENDS; k++) {
        ed_link_loss_step(&there, &path, k);
        b->came[k] = ed_link_loss_decide(&there, &path, k) == ED_LOSS_NONE;
        if (!b->came[k])
            continue;
        ed_link_loss_step(&back, &path, answers);
        b->answered[k] = ed_link_loss_decide(&back, &path, answers++) == ED_LOSS_NONE;
    }
}

static void run_bound(ed_bench_result *result, const ed_bench_plan *plan)
{
    static struct bound b;
    static struct delays delays;
    uint64_t rtt_ticks = (plan->rtt_us * ED_NS_PER_US * LOSSY_HZ + ED_NS_PER_S - 1) / ED_NS_PER_S;
    uint64_t copies = 0;

    b = (struct bound){0};
    delays = (struct delays){0};
    draw_losses(&b, plan);
    for (uint64_t k = 0; k < LOSSY_SENDS; k++) {
        uint64_t arrived = k, known = k;
        while (arrived < LOSSY_SENDS && !b.came[arrived])
            arrived++;
        // The first answer that gets through tells of all that had come.
        for (known = arrived; known < LOSSY_SENDS && !b.answered[known];)
            known++;
        if (arrived == LOSSY_SENDS || known == LOSSY_SENDS)
            break; // as far as what is drawn goes
        copies += known + rtt_ticks - k;
        delays.at_ns[delays.count++] = plan->rtt_us * ED_NS_PER_US / 2 + ticks_ns(arrived - k);
    }
    report(result, &delays, (double)copies / (double)delays.count, 0, 0);
}

void ed_bench_run_lossy(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan)
{
    (void)work;
    *result = (ed_bench_result){.error = ""};
    if (system == &ed_bench_bound)
        run_bound(result, plan);
    else
        run_eddy(result, plan);
}

const ed_bench_system ed_bench_bound = {.name = "bound",
                                        .help = "L1: what no scheme of a datagram a tick can beat"};
