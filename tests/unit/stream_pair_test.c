/**
 * An outbox and an inbox, joined by a network that loses, delays and reorders packets, and loses
 * acknowledgements and grants; without memory now and then. A model of what was sent says what may
 * arrive, when, and what must have by the end.
 */
#include "tests/unit/inbox_bed.h"
#include "tests/unit/outbox_bed.h"

#include <stdio.h>

#include "tests/support/seeds.h"
#include "tests/support/splitmix.h"
#include "transport/replay.h"

enum {
    STREAMS = 3,
    PACKETS_MAX = 512, /* of which news may still come; a power of two */
    FRAMES_MAX = 100,  /* in a packet */
    MESSAGES_MAX = 4000,
    SIZE_MIN = 4, /* a message says which one it is */
    HELD_MAX = 40,
    SEEDS = 300,
    SEEDS_SLOW = 100,
    SEEN_MIN = SEEDS_SLOW / 4,
    STEP_NS = 1000 * 1000,
};

/** A message that was pushed. */
struct model_message {
    uint8_t guarantee, stream;
    uint32_t size;
    bool has_receipt;
    bool is_delivered;
    eddy_outcome outcome; /* 0: none yet */
};

/** What is known of a lane: the messages of it by number, and the last that was delivered. */
struct model_lane {
    uint32_t ids[MESSAGES_MAX];
    uint32_t count;
    uint32_t delivered_end; /* one above the place of the last that was delivered */
};

enum fate { NO_PACKET, IN_FLIGHT, DROPPED, TAKEN, SETTLED };

struct packet {
    uint64_t number;
    enum fate fate;
    uint8_t data[ED_DATAGRAM_SIZE];
    size_t size;
    ed_sent_ref refs[FRAMES_MAX];
    size_t ref_count;
};

static struct {
    uint64_t seed;
    uint64_t start; /* sequence at which lanes begin */
    uint64_t now_ns;
    struct model_message messages[MESSAGES_MAX];
    uint32_t message_count;
    struct model_lane lanes[ED_WIRE_GUARANTEE_COUNT][STREAMS];
    struct packet packets[PACKETS_MAX];
    ed_replay replay;
    uint64_t seen_bits[ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS];
    ed_block *held[HELD_MAX]; /* by the program */
    uint32_t loss;            /* per cent */
    bool is_calm;             /* nothing is lost any more, and memory is there */
    char name[64];
} pair;

/** What happened in all runs: nothing of this must be missing, or little was tested. */
static struct {
    uint64_t delivered, reassembled, incomplete, stale, skipped, superseded, expired, shed;
    uint64_t shed_received, no_memory, late;
} seen;

static uint32_t draw(uint32_t limit)
{
    return splitmix_below(&pair.seed, limit);
}

static bool chance(uint32_t percent)
{
    return draw(100) < percent;
}

/* ----------------------------------------------------------------------------------- sending -- */

static uint32_t draw_size(uint8_t guarantee)
{
    uint32_t most = guarantee <= US ? EDDY_UNRELIABLE_SIZE_MAX : 30000;

    if (chance(70))
        return SIZE_MIN + draw(60);
    return SIZE_MIN + draw(chance(50) ? EDDY_PIECE_SIZE_MAX + 40 : most - SIZE_MIN);
}

/** The message of that number, its number first. */
static ed_block *block_of(uint32_t id, uint32_t size)
{
    ed_block *block = ed_pool_take(bed.pool, size);

    if (block == NULL)
        return NULL;
    rx_fill(id, 0, block->data, size);
    memcpy(block->data, &id, sizeof(id));
    return block;
}

static void start_lane(uint8_t guarantee, uint8_t stream)
{
    ed_lane_out *out = ed_lanes_find(&bed.outbox.lanes, guarantee, stream);
    bool made = false;

    if (out == NULL || !ed_lane_is_reliable(out))
        return;
    ed_lane_in *in = ed_lanes_get(&rx.inbox.lanes, guarantee, stream, &made);
    CHECK(pair.name, in != NULL && made);
    out->next_sequence = pair.start;
    in->expected = in->highest = in->newest = pair.start;
}

static void push_message(void)
{
    uint8_t guarantee = (uint8_t)draw(ED_WIRE_GUARANTEE_COUNT), stream = (uint8_t)draw(STREAMS);
    uint32_t id = pair.message_count, size = draw_size(guarantee);
    struct model_lane *lane = &pair.lanes[guarantee][stream];
    bool has_receipt = guarantee >= RU || chance(30);
    ed_message message = {.guarantee = guarantee,
                          .stream = stream,
                          .expires_ns =
                              chance(20) ? pair.now_ns + draw(200) * STEP_NS : ED_NEVER_NS,
                          .now_or_never = guarantee <= US && chance(20)};

    if (id == MESSAGES_MAX)
        return;
    message.block = block_of(id, size);
    message.receipt = has_receipt ? ed_pool_take(bed.pool, sizeof(ed_receipt)) : NULL;
    bool has_all = message.block != NULL && (message.receipt != NULL || !has_receipt);
    if (has_all && has_receipt)
        *ed_receipt_of(message.receipt) = (ed_receipt){.event.receipt = id + 1u};
    if (!has_all || ed_outbox_push(&bed.outbox, &message, 1, 0) != 1) {
        ed_pool_give(message.block);
        ed_pool_give(message.receipt);
        return;
    }
    CHECK_EQ(pair.name,
             ed_account_charge(&bed.account, SIZE_MAX, stream, (size_t)ed_send_cost(size)),
             EDDY_OK);
    bed.counting.fail_after = rx.counting.fail_after = UINT64_MAX;
    if (lane->count == 0)
        start_lane(guarantee, stream);
    pair.messages[id] = (struct model_message){
        .guarantee = guarantee, .stream = stream, .size = size, .has_receipt = has_receipt};
    lane->ids[lane->count++] = id;
    pair.message_count++;
}

static bool put_frame(struct packet *packet, ed_writer *w)
{
    ed_outgoing next;

    if (!ed_outbox_next(&bed.outbox, ed_writer_left(w), packet->number, &next))
        return false;
    if (next.is_skip)
        ed_frame_write_skip(w, &next.skip);
    else
        ed_frame_write_message(w, &next.message);
    CHECK(pair.name, ed_writer_ok(w));
    if (ed_outbox_on_sent(&bed.outbox, &next, packet->number, &packet->refs[packet->ref_count]))
        packet->ref_count++;
    return true;
}

static void settle_packet(struct packet *packet, bool is_acked)
{
    for (size_t i = 0; i < packet->ref_count; i++)
        if (is_acked)
            ed_outbox_on_acked(&bed.outbox, packet->refs[i]);
        else
            ed_outbox_on_lost(&bed.outbox, packet->refs[i], packet->number);
}

/** Fills a packet. @return false if there was nothing to send. */
static bool send_packet(void)
{
    struct packet *packet = &pair.packets[bed.packet % PACKETS_MAX];
    size_t room = pair.is_calm || chance(70) ? BED_ROOM : 60 + draw(BED_ROOM - 60);

    if (packet->fate != NO_PACKET && packet->fate != SETTLED)
        settle_packet(packet, false); // nobody remembers it any more
    *packet = (struct packet){.number = bed.packet};
    ed_writer w = ed_writer_of(packet->data, room);
    while (packet->ref_count < FRAMES_MAX && put_frame(packet, &w))
        continue;
    packet->size = ed_writer_size(&w);
    if (packet->size == 0)
        return false;
    packet->fate = IN_FLIGHT;
    bed.packet++;
    CHECK(pair.name, bed.outbox.credit_used <= bed.outbox.credit_limit);
    return true;
}

/* --------------------------------------------------------------------------------- receiving -- */

/** Takes a packet's frames. @return whether it may be acknowledged. */
static bool take_frames(const struct packet *packet)
{
    ed_reader r = ed_reader_of(packet->data, packet->size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    while (ed_reader_left(&r) > 0) {
        CHECK_EQ(pair.name, ed_frame_read(&r, &frame), EDDY_OK);
        bool is_skip = frame.type == ED_FRAME_SKIP;
        eddy_status status =
            is_skip ? ed_inbox_skip(&rx.inbox, &frame.skip)
                    : ed_inbox_receive(&rx.inbox, &frame.message, packet->number, pair.now_ns);
        bool is_reliable = is_skip || frame.message.guarantee >= RU;
        seen.no_memory += status == EDDY_ENOMEM ? 1 : 0;
        if (status == EDDY_ENOMEM && is_reliable)
            return false;
        CHECK(pair.name, status == EDDY_OK || status == EDDY_EEXIST || status == EDDY_ENOMEM);
    }
    return true;
}

static void take_packet(struct packet *packet)
{
    CHECK(pair.name, ed_replay_check(&pair.replay, packet->number));
    seen.late += packet->number + 1 < pair.replay.next ? 1 : 0;
    ed_replay_commit(&pair.replay, packet->number);
    packet->fate = take_frames(packet) ? TAKEN : DROPPED;
}

/** How many begun messages between the last that was delivered and this one never came. */
static uint32_t gap_before(const struct model_lane *lane, uint32_t at)
{
    uint32_t gap = 0;

    for (uint32_t i = lane->delivered_end; i < at; i++) {
        const struct model_message *message = &pair.messages[lane->ids[i]];
        CHECK(pair.name,
              message->outcome == EDDY_OUTCOME_EXPIRED || message->outcome == EDDY_OUTCOME_LOST);
        gap += message->outcome == EDDY_OUTCOME_EXPIRED ? 1 : 0; // else it never left
    }
    return gap;
}

static uint32_t place_of(const struct model_lane *lane, uint32_t id)
{
    for (uint32_t i = lane->count; i > 0; i--)
        if (lane->ids[i - 1] == id)
            return i - 1;
    fail_msg("%s: message %u was never sent on this lane", pair.name, id);
    return 0;
}

static void check_delivered(const ed_block *block)
{
    uint32_t id = 0;

    CHECK(pair.name, block->size >= SIZE_MIN);
    memcpy(&id, block->data, sizeof(id));
    CHECK(pair.name, id < pair.message_count);
    struct model_message *message = &pair.messages[id];
    uint8_t guarantee = ed_block_guarantee(block);
    struct model_lane *lane = &pair.lanes[guarantee][ed_block_stream(block)];
    static uint8_t want[RX_LARGEST];
    rx_fill(id, 0, want, block->size);
    memcpy(want, &id, sizeof(id));
    CHECK_EQ(pair.name, block->size, message->size);
    CHECK_BYTES(pair.name, block->data, want, block->size);
    CHECK_EQ(pair.name, guarantee, message->guarantee);
    CHECK_EQ(pair.name, ed_block_stream(block), message->stream);
    CHECK(pair.name, !message->is_delivered);
    message->is_delivered = true;
    seen.delivered++;

    uint32_t at = place_of(lane, id);
    if (guarantee == RO || guarantee == RS || guarantee == US)
        CHECK(pair.name, at >= lane->delivered_end);
    CHECK_EQ(pair.name, ed_block_skipped(block), guarantee == RO ? gap_before(lane, at) : 0);
    lane->delivered_end = at + 1;
}

static void take_messages(void)
{
    while (rx.inbox.first_ready != NULL) {
        ed_block **place = &pair.held[draw(HELD_MAX)];
        if (*place != NULL)
            rx_return(*place);
        *place = ed_inbox_next(&rx.inbox);
        check_delivered(*place);
    }
    for (size_t i = 0; i < HELD_MAX; i++)
        if (pair.held[i] != NULL && (pair.is_calm || chance(10))) {
            rx_return(pair.held[i]);
            pair.held[i] = NULL;
        }
    ed_credit_update(&rx.inbox.credit, 20 * STEP_NS, pair.now_ns);
    CHECK(pair.name, ed_credit_valid(&rx.inbox.credit));
}

/* ------------------------------------------------------------------------------------- steps -- */

static void take_receipts(void)
{
    for (ed_block *block = ed_outbox_next_receipt(&bed.outbox); block != NULL;
         block = ed_outbox_next_receipt(&bed.outbox)) {
        eddy_event_receipt event;
        memcpy(&event, block->data, sizeof(event));
        ed_pool_give(block);
        CHECK(pair.name, event.receipt > 0 && event.receipt <= pair.message_count);
        struct model_message *message = &pair.messages[event.receipt - 1];
        CHECK(pair.name, message->has_receipt && message->outcome == 0);
        message->outcome = event.outcome;
    }
}

/** Something happens to one packet of those of which news may come. */
static void disturb(struct packet *packet)
{
    if (packet->fate == IN_FLIGHT) {
        bool is_lost = !pair.is_calm && chance(pair.loss);
        if (is_lost && chance(30))
            settle_packet(packet, false); // declared lost, and comes all the same, late
        else if (is_lost)
            packet->fate = DROPPED;
        else
            take_packet(packet);
        return;
    }
    if (packet->fate != DROPPED && packet->fate != TAKEN)
        return;
    bool is_acked = packet->fate == TAKEN && (pair.is_calm || !chance(pair.loss));
    settle_packet(packet, is_acked);
    packet->fate = SETTLED;
}

static void pass_time(void)
{
    pair.now_ns += draw(3) * STEP_NS;
    ed_outbox_expire(&bed.outbox, pair.now_ns);
    ed_inbox_expire(&rx.inbox, pair.now_ns);
}

/** Memory fails for a moment, on one end or the other. */
static void draw_memory(void)
{
    bed.counting.fail_after = !pair.is_calm && chance(3) ? draw(3) : UINT64_MAX;
    rx.counting.fail_after = !pair.is_calm && chance(3) ? draw(3) : UINT64_MAX;
}

static void check_invariants(void)
{
    const ed_credit_in *in = &rx.inbox.credit;
    uint64_t outstanding = in->claimed - in->consumed + rx.inbox.unreliable;

    CHECK(pair.name, in->claimed <= bed.outbox.credit_used);
    CHECK(pair.name, bed.outbox.credit_used <= bed.outbox.credit_limit);
    CHECK(pair.name, bed.outbox.credit_limit <= in->limit);
    CHECK(pair.name, rx_charged() <= outstanding * 3 / 2);
    CHECK_EQ(pair.name, bed.queued_cost == 0, bed.outbox.queued_size == 0);
}

static void step(void)
{
    draw_memory();
    if (!pair.is_calm && chance(60))
        push_message();
    if (chance(60) && !send_packet() && chance(50))
        ed_outbox_drop_hasty(&bed.outbox);
    for (unsigned n = 0; n < 3; n++)
        disturb(&pair.packets[draw(PACKETS_MAX)]);
    pass_time();
    take_messages();
    if (pair.is_calm || chance(50))
        ed_outbox_on_credit(&bed.outbox, rx.inbox.credit.limit);
    take_receipts();
    check_invariants();
}

/** The network calms down, and everything is to arrive that still can. */
static void come_to_rest(void)
{
    enum { ROUNDS_MAX = 20000 };

    pair.is_calm = true;
    draw_memory();
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        while (send_packet())
            disturb(&pair.packets[(bed.packet - 1) % PACKETS_MAX]);
        ed_outbox_drop_hasty(&bed.outbox);
        for (size_t i = 0; i < PACKETS_MAX; i++)
            disturb(&pair.packets[i]);
        pair.now_ns += 300 * STEP_NS;
        step();
        if (ed_outbox_is_flushed(&bed.outbox) && bed.outbox.queued_size == 0)
            return;
    }
    fail_msg("%s: it never came to rest", pair.name);
}

/* ----------------------------------------------------------------------------------- verdict -- */

static void check_message(const struct model_message *message)
{
    bool is_exact = message->guarantee == RU || message->guarantee == RO;

    CHECK_EQ(pair.name, message->has_receipt, message->outcome != 0);
    if (is_exact && !message->is_delivered)
        CHECK(pair.name,
              message->outcome == EDDY_OUTCOME_EXPIRED || message->outcome == EDDY_OUTCOME_LOST);
    if (message->guarantee >= RU && message->outcome == EDDY_OUTCOME_LOST)
        CHECK(pair.name, message->guarantee == RS || !message->is_delivered);
}

/** The newest that was not given up is here. */
static void check_newest(const struct model_lane *lane)
{
    const struct model_message *newest =
        lane->count == 0 ? NULL : &pair.messages[lane->ids[lane->count - 1]];

    if (newest != NULL && newest->outcome == EDDY_OUTCOME_ACKED)
        CHECK(pair.name, newest->is_delivered);
}

static void check_end(void)
{
    for (uint32_t id = 0; id < pair.message_count; id++)
        check_message(&pair.messages[id]);
    for (uint8_t stream = 0; stream < STREAMS; stream++)
        check_newest(&pair.lanes[RS][stream]);
    ed_inbox_expire(&rx.inbox, ED_NEVER_NS - 1);
    CHECK_EQ(pair.name, rx.inbox.credit.claimed, bed.outbox.credit_used);
    CHECK_EQ(pair.name, rx.inbox.credit.consumed, rx.inbox.credit.claimed);
    CHECK_EQ(pair.name, rx_charged(), 0);
    CHECK_EQ(pair.name, rx.inbox.unreliable, 0);
    CHECK_EQ(pair.name, bed_charged(), 0);
}

static void count_seen(void)
{
    seen.reassembled += rx.stats.messages_reassembled;
    seen.incomplete += rx.stats.messages_incomplete;
    seen.stale += rx.stats.messages_stale;
    seen.skipped += rx.stats.messages_skipped;
    seen.shed_received += rx.stats.messages_shed_received;
    seen.superseded += bed.stats.messages_superseded;
    seen.expired += bed.stats.messages_expired;
    seen.shed += bed.stats.messages_shed;
}

static void run(uint64_t seed, uint64_t start, uint32_t loss, unsigned steps)
{
    memset(&pair, 0, sizeof(pair));
    pair.replay.wide = pair.seen_bits;
    pair.seed = seed;
    pair.start = start;
    pair.loss = loss;
    (void)snprintf(pair.name, sizeof(pair.name), "seed %llu, loss %u %%, start %llx",
                   (unsigned long long)seed, loss, (unsigned long long)start);
    CHECK_EQ(pair.name, bed_setup(NULL) + rx_setup(NULL), 0);
    bed.outbox.credit_limit = rx.inbox.credit.limit;
    for (unsigned n = 0; n < steps; n++)
        step();
    come_to_rest();
    check_end();
    count_seen();
    CHECK_EQ(pair.name, bed_teardown(NULL), 0);
    CHECK_EQ(pair.name, rx_teardown(NULL), 0);
}

static void check_seen(void)
{
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        {"delivered", seen.delivered},
        {"reassembled", seen.reassembled},
        {"incomplete", seen.incomplete},
        {"stale", seen.stale},
        {"skipped", seen.skipped},
        {"superseded", seen.superseded},
        {"expired", seen.expired},
        {"shed", seen.shed},
        {"shed by the receiver", seen.shed_received},
        {"without memory", seen.no_memory},
        {"late packets", seen.late},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK(rows[i].name, rows[i].count >= SEEN_MIN);
}

static void what_was_promised_is_kept(void **state)
{
    static const uint64_t starts[] = {0, (1 << 8) - 40, (1 << 14) - 40, (1 << 16) - 40,
                                      (UINT64_C(1) << 32) - 40};
    static const uint32_t losses[] = {0, 2, 20, 60};

    (void)state;
    const uint64_t seeds = ed_seeds_slow_build() ? SEEDS_SLOW : SEEDS;

    for (uint64_t seed = 1; seed <= seeds; seed++)
        run(seed, starts[seed % ED_COUNT(starts)], losses[seed % ED_COUNT(losses)],
            500 + (unsigned)seed * 10);
    check_seen();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_promised_is_kept),
    };
    return cmocka_run_group_tests_name("stream_pair", tests, NULL, NULL);
}
