/**
 * What a peer can make us keep: messages of which only some parts come (T16), pieces that are tiny
 * or lie (T17), and more than was granted (T18).
 */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/siege.h"

enum {
    RECEIVE_BUDGET = 1 << 20,
    ANY_BUDGET = 64 << 20, /* without the defence */
    MAX_MESSAGE = 61441,   /* of no whole number of parts */
    UNIT = ED_FRAGMENT_UNIT,
    PART_OVERHEAD_MAX = 12,   /* of a frame */
    SENT_LOG_SIZE = 96 << 10, /* of the acknowledgements that are remembered for a while */
};

static ed_siege siege;
static uint64_t credit; /* that the rogue was granted */
static bool has_no_budget;

static void drop_budget(void)
{
    has_no_budget = true;
}

static void note_credit(ed_rogue *rogue, uint64_t number, ed_span frames, uint64_t now_ns)
{
    ed_reader r = ed_reader_of(frames.data, frames.size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    (void)rogue;
    (void)number;
    (void)now_ns;
    while (ed_reader_left(&r) > 0 && ed_frame_read(&r, &frame) == EDDY_OK)
        if (frame.type == ED_FRAME_CREDIT)
            credit = ed_max_u64(credit, frame.credit);
}

static void open_with(const char *name, const eddy_config *config)
{
    ed_siege_open(&siege, name, 16, config);
    siege.rogue.hear = note_credit;
    credit = siege.rogue.conn.outbox.credit_limit;
    CHECK(name, credit > 0);
}

/** A message, or a part of one if its whole is not 0. */
static void write_message(ed_writer *w, ed_message_frame message, size_t size)
{
    static const uint8_t zeros[ED_DATAGRAM_SIZE];

    message.fragment = message.whole_size != 0;
    if (ed_frame_has_sequence(message.guarantee, message.fragment))
        message.sequence_bits = message.sequence > UINT16_MAX ? 32 : 16;
    message.data = (ed_span){.data = zeros, .size = size};
    ed_frame_write_message(w, &message);
}

static void say_message(ed_message_frame message, size_t size)
{
    uint8_t frames[ED_ROGUE_FRAMES_MAX];
    ed_writer w = ed_writer_of(frames, sizeof(frames));

    write_message(&w, message, size);
    ed_rogue_say_written(&siege.rogue, &w);
}

/* ------------------------------------------------------------------------ T16: fragment memory --
 */

/** Which parts come of as many messages as may be. */
struct shape {
    const char *name;
    size_t whole;
    size_t first;          /* where the first part begins, in units */
    size_t size;           /* of each part */
    size_t stride;         /* from a part to the next of its message, in units; 0: there is one */
    uint32_t message_step; /* from a sequence to the next; 0: 1 */
    uint32_t lane_count;   /* on which the messages are, in turn; 0: 1 */
    uint32_t unreliable_count; /* so many, and no reliable one */
};

/** The part that is sent next. */
struct at {
    uint32_t message;
    size_t begin;  /* in units */
    uint64_t used; /* of the credit */
};

static ed_message_frame part_at(const struct shape *shape, const struct at *at)
{
    uint32_t lanes = shape->lane_count == 0 ? 1 : shape->lane_count;
    uint32_t step = shape->message_step == 0 ? 1 : shape->message_step;
    ed_message_frame part = {.guarantee = ED_WIRE_UNRELIABLE,
                             .sequence = at->message,
                             .whole_size = shape->whole,
                             .fragment_index = at->begin};

    if (shape->unreliable_count > 0)
        return part;
    part.guarantee = (uint8_t)(ED_WIRE_RELIABLE_UNORDERED + at->message % lanes % 3);
    part.stream = (uint8_t)(at->message % lanes / 3);
    part.sequence = at->message / lanes * step + step - 1;
    return part;
}

/** Of reliable messages: what the part costs. */
static uint64_t cost_at(const struct shape *shape, const struct at *at)
{
    uint64_t step = shape->message_step == 0 ? 1 : shape->message_step;
    size_t end = at->begin * UNIT + shape->size;

    if (shape->unreliable_count > 0)
        return 0;
    return at->begin == shape->first
               ? ed_charge_upto(shape->whole, end) + (step - 1) * EDDY_MESSAGE_CHARGE
               : shape->stride * UNIT;
}

static bool may_say(const struct shape *shape, const struct at *at)
{
    uint32_t max = shape->unreliable_count > 0 ? shape->unreliable_count : ED_LANE_WINDOW;

    return at->message < max && at->used + cost_at(shape, at) <= credit;
}

static void step(const struct shape *shape, struct at *at)
{
    at->used += cost_at(shape, at);
    at->begin += shape->stride;
    if (shape->stride > 0 && at->begin * UNIT + shape->size <= shape->whole)
        return;
    at->begin = shape->first;
    at->message++;
}

/** @return the bytes that this took on the wire. */
static uint64_t say_if_any(ed_writer *w, uint8_t *frames)
{
    uint64_t before = siege.rogue.said_bytes;

    if (ed_writer_size(w) > 0)
        ed_rogue_say_written(&siege.rogue, w);
    *w = ed_writer_of(frames, ED_ROGUE_FRAMES_MAX);
    return siege.rogue.said_bytes - before;
}

/**
 * Says parts as long as it is granted anything, as many to a packet as fit.
 * @return the bytes that they took on the wire.
 */
static uint64_t begin_as_many_as_may_be(const struct shape *shape)
{
    uint8_t frames[ED_ROGUE_FRAMES_MAX];
    ed_writer w = ed_writer_of(frames, sizeof(frames));
    struct at at = {.begin = shape->first};
    uint64_t said = 0;

    for (int idle_ms = 0; idle_ms < 500; idle_ms++) {
        for (; may_say(shape, &at); step(shape, &at)) {
            if (shape->size + PART_OVERHEAD_MAX > ed_writer_left(&w))
                said += say_if_any(&w, frames);
            write_message(&w, part_at(shape, &at), shape->size);
            idle_ms = 0;
        }
        said += say_if_any(&w, frames);
        ed_siege_run_for(&siege, ED_NS_PER_MS);
        ed_rogue_ack_heard(&siege.rogue, 0); // so that nobody need remember what was granted
    }
    CHECK(shape->name, at.message > 1);
    return said;
}

static bool parts_take_what_was_reserved(const void *context)
{
    const struct shape *shape = context;
    eddy_config config = ed_cluster_server_config();

    config.max_connections = 4;
    config.max_outgoing = 1;
    config.max_message_size = MAX_MESSAGE;
    config.receive_budget = has_no_budget ? ANY_BUDGET : RECEIVE_BUDGET;
    config.idle_timeout_ms = 0;
    open_with(shape->name, &config);
    uint64_t said = begin_as_many_as_may_be(shape);
    uint64_t taken = ed_siege_memory_taken(&siege);
    bool open = ed_siege_is_open(&siege);
    ed_siege_close(&siege);
    ed_attack_figure("T16 %s: %llu KiB taken of a budget of %d, %.3f for each byte on the wire",
                     shape->name, (unsigned long long)taken >> 10, RECEIVE_BUDGET >> 10,
                     (double)taken / (double)said);
    // A stream's state is no message's: it stays, and each connection has room of its own for it.
    uint64_t lanes = shape->lane_count > 0 ? ED_BUDGET_LANES : 0;
    return open && taken <= RECEIVE_BUDGET && (taken - lanes) * 10 <= said * 12;
}

/** A part that leaves enough for another one. */
static size_t cut(size_t left)
{
    return left <= EDDY_PIECE_SIZE_MAX
               ? left
               : ed_min_size(8 * (size_t)UNIT, (left - ED_PART_SIZE_MIN) / UNIT * UNIT);
}

/** Of every size around what parts and pages are cut by: the largest comes, one more is refused. */
static bool only_what_we_take_comes(const void *context)
{
    static const size_t sizes[] = {1151, 1152, 1153,  1279,  1280,  1281,       2303,
                                   2304, 2305, 65535, 65536, 65537, MAX_MESSAGE};
    bool held = true;

    (void)context;
    for (size_t i = 0; i < ED_COUNT(sizes); i++) {
        eddy_config config = ed_cluster_server_config();
        config.max_message_size = sizes[i];
        open_with("sizes", &config);
        for (size_t more = 0; more <= 1; more++) {
            size_t whole = sizes[i] + more;
            for (size_t at = 0, size = 0; at < whole; at += size) {
                size = cut(whole - at);
                say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_UNORDERED,
                                               .sequence = (uint32_t)more,
                                               .whole_size = whole,
                                               .fragment_index = at / UNIT},
                            size);
                ed_siege_run_for(&siege, ED_NS_PER_MS * 20);
            }
            ed_siege_run_for(&siege, ED_NS_PER_S / 10);
            held &= more == 1 || siege.delivered == 1;
        }
        held &= ed_siege_is_caught(&siege);
        ed_siege_close(&siege);
    }
    return held;
}

static void t16_parts_take_no_more_than_was_reserved(void **state)
{
    static const struct shape shapes[] = {
        {"a full part of each", MAX_MESSAGE, 0, 1152, 0, 0, 0, 0},
        {"a smallest part of each", MAX_MESSAGE, 0, 512, 0, 0, 0, 0},
        {"a smallest part over the edge of a page", MAX_MESSAGE, 6, 512, 0, 0, 0, 0},
        {"last parts, with a byte behind whole units", 1153, 5, 513, 0, 0, 0, 0},
        {"other last parts", 1151, 4, 639, 0, 0, 0, 0},
        {"both ends of large messages", MAX_MESSAGE - 1, 0, 512, 476, 0, 0, 0},
        {"parts that do not touch", MAX_MESSAGE, 6, 512, 18, 0, 0, 0},
        {"half of all units", MAX_MESSAGE, 0, 512, 8, 0, 0, 0},
        {"sequences that lie far apart", 1153, 5, 513, 0, 100, 0, 0},
        {"many streams", 1153, 5, 513, 0, 0, 40, 0},
        {"unreliable ones", 5000, 6, 512, 0, 0, 0, 8},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(shapes); i++)
        CHECK(shapes[i].name, parts_take_what_was_reserved(&shapes[i]));
    ed_attack_run(&(ed_attack){.name = shapes[0].name,
                               .mount = parts_take_what_was_reserved,
                               .context = &shapes[0],
                               .weaken = drop_budget});
    ed_attack_run(&(ed_attack){.name = "T16 sizes",
                               .mount = only_what_we_take_comes,
                               .checks = {EDDY_CHECK_MESSAGE_SIZE}});
}

/* ------------------------------------------------------------------------- T17: tiny, and lies --
 */

/** A unit from the middle of a message. */
static void say_one_unit(void)
{
    say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED,
                                   .whole_size = 5000,
                                   .fragment_index = 4},
                UNIT);
}

static void say_last_byte(void)
{
    say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED,
                                   .whole_size = 1153,
                                   .fragment_index = 9},
                1);
}

static void say_two_wholes(void)
{
    for (uint64_t whole = 5000; whole < 5002; whole++)
        say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED, .whole_size = whole},
                    ED_PART_SIZE_MIN);
}

static void say_piece_of_parts(void)
{
    ed_message_frame message = {.guarantee = ED_WIRE_RELIABLE_ORDERED, .whole_size = 5000};

    say_message(message, ED_PART_SIZE_MIN);
    message.whole_size = 0;
    say_message(message, 10);
}

static void say_the_past(void)
{
    say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED, .sequence = UINT32_MAX},
                10);
}

/** Gives a message up for less than its first part cost. */
static void say_cheap_skip(void)
{
    uint8_t frames[ED_SKIP_SIZE_MAX];
    ed_writer w = ed_writer_of(frames, sizeof(frames));

    say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED, .whole_size = 5000},
                ED_PART_SIZE_MIN);
    ed_frame_write_skip(&w, &(ed_skip_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED, .charge = 100});
    ed_rogue_say_written(&siege.rogue, &w);
}

/** More and more, until nothing more is granted to who is not read. */
static void say_too_much(void)
{
    for (uint32_t sequence = 0; sequence < ED_LANE_WINDOW && ed_siege_is_open(&siege); sequence++) {
        say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED, .sequence = sequence},
                    1100);
        if (sequence % 16 == 0)
            ed_siege_run_for(&siege, ED_NS_PER_MS);
    }
}

struct lie {
    const char *name;
    void (*say)(void);
    eddy_check check;
};

static bool is_caught(const void *context)
{
    const struct lie *lie = context;

    open_with(lie->name, NULL);
    siege.is_reading = false; // so that it grants nothing
    lie->say();
    ed_siege_run_for(&siege, ED_NS_PER_S / 10);
    siege.is_reading = true;
    bool caught = ed_siege_is_caught(&siege) && ed_siege_refused(&siege, lie->check) == 1;
    ed_siege_close(&siege);
    return caught;
}

static void run_lies(const struct lie *lies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ed_attack_run(&(ed_attack){.name = lies[i].name,
                                   .mount = is_caught,
                                   .context = &lies[i],
                                   .checks = {lies[i].check}});
}

/** The same part again and again, of as many messages as there may be. */
static bool repeated_parts_are_free(void)
{
    static const struct shape last_part = {"the last part", 1153, 5, 513, 0, 0, 0, 0};
    uint64_t count = ed_attack_count(20 * 1000, 1000 * 1000);
    eddy_config config = ed_cluster_server_config();

    config.max_connections = 4;
    config.max_outgoing = 1;
    config.receive_budget = RECEIVE_BUDGET;
    open_with("repeats", &config);
    (void)begin_as_many_as_may_be(&last_part);
    uint64_t taken = ed_siege_memory_taken(&siege);
    for (uint64_t i = 0; i < count; i++) {
        say_message((ed_message_frame){.guarantee = ED_WIRE_RELIABLE_UNORDERED,
                                       .sequence = (uint32_t)(i % 8),
                                       .whole_size = last_part.whole,
                                       .fragment_index = last_part.first},
                    last_part.size);
        if (i % 16 == 0) {
            ed_siege_run_for(&siege, ED_NS_PER_MS / 10);
            ed_rogue_ack_heard(&siege.rogue, 0); // so that we need not remember what we have said
        }
    }
    ed_siege_run_for(&siege, ED_NS_PER_S / 10);
    bool open = ed_siege_is_open(&siege);
    uint64_t more = ed_siege_memory_taken(&siege);
    ed_siege_close(&siege);
    ed_attack_figure("T17 %llu times the same parts: %llu KiB, and %llu B more for repeats",
                     (unsigned long long)count, (unsigned long long)taken >> 10,
                     (unsigned long long)(more - ed_min_u64(more, taken)));
    return open && taken <= RECEIVE_BUDGET && more <= taken + SENT_LOG_SIZE;
}

static void t17_tiny_pieces_and_lies_about_parts(void **state)
{
    static const struct lie lies[] = {
        {"one unit", say_one_unit, EDDY_CHECK_PART_PLACE},
        {"the last byte", say_last_byte, EDDY_CHECK_PART_PLACE},
        {"two sizes of a whole", say_two_wholes, EDDY_CHECK_PARTS_AGREE},
        {"a piece of what comes in parts", say_piece_of_parts, EDDY_CHECK_ONE_PIECE},
        {"from before the first", say_the_past, EDDY_CHECK_SEQUENCE},
        {"given up too cheaply", say_cheap_skip, EDDY_CHECK_SKIP_CHARGE},
    };

    (void)state;
    run_lies(lies, ED_COUNT(lies));
    CHECK("T17 repeats", repeated_parts_are_free());
}

/* --------------------------------------------------------------------------- T18: flow control --
 */

static void t18_no_more_than_was_granted(void **state)
{
    static const struct lie lies[] = {{"more than granted", say_too_much, EDDY_CHECK_CREDIT}};

    (void)state;
    run_lies(lies, ED_COUNT(lies));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t16_parts_take_no_more_than_was_reserved),
        cmocka_unit_test(t17_tiny_pieces_and_lies_about_parts),
        cmocka_unit_test(t18_no_more_than_was_granted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
