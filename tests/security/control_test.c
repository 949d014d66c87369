/**
 * Floods of frames that carry nothing (T19), of ports that they come from (T20), and of frames in
 * one datagram (T35).
 */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/seeds.h"
#include "tests/support/siege.h"

enum {
    BURST = 20,             /* datagrams in a millisecond */
    MEMORY_MAX = 704 << 10, /* mostly the log of what was sent, to who acknowledges nothing */
};

static ed_siege siege;
static uint64_t responses; /* PATH_RESPONSEs that came */

static void count_responses(ed_rogue *rogue, uint64_t number, ed_span frames, uint64_t now_ns)
{
    ed_reader r = ed_reader_of(frames.data, frames.size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    (void)rogue;
    (void)number;
    (void)now_ns;
    while (ed_reader_left(&r) > 0 && ed_frame_read(&r, &frame) == EDDY_OK)
        responses += frame.type == ED_FRAME_PATH_RESPONSE ? 1 : 0;
}

/** A kind of frame that there may be many of. */
struct kind {
    const char *name;
    const char *bytes;
    size_t size;
    eddy_check check; /* that refuses it; 0: it is taken */
};

#define KIND(name, bytes, check)                                                                   \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, check                                                      \
    }

static const struct kind kinds[] = {
    KIND("PADDING", "\x00", (eddy_check)0),
    KIND("PING", "\x01", (eddy_check)0),
    KIND("ACK of the first packet", "\x02\x00\x00\x00\x00", (eddy_check)0),
    KIND("CREDIT", "\x03\x04", (eddy_check)0),
    KIND("SKIP of the first message", "\x04\x03\x00\x00\x00\x00\x00\x01\x01", (eddy_check)0),
    KIND("PATH_CHALLENGE",
         "\x06"
         "12345678",
         (eddy_check)0),
    KIND("PATH_RESPONSE",
         "\x07"
         "12345678",
         (eddy_check)0),
    KIND("NEW_ID",
         "\x08\x00"
         "12345678901234567890",
         EDDY_CHECK_FRAME_STATE),
    KIND("RETIRE_ID", "\x09\x00", EDDY_CHECK_FRAME_STATE),
    KIND("TIME, asked for", "\x0a\x00", (eddy_check)0),
    KIND("TIME, without having been asked",
         "\x0a\x01\x00\x00\x00\x00\x00"
         "12345678",
         (eddy_check)0),
    KIND("TIME that is neither", "\x0a\x02", EDDY_CHECK_FRAME_END),
    KIND("TICKET, in one that is too short",
         "\x0b"
         "1234",
         EDDY_CHECK_FRAME_END),
    KIND("a frame of no type", "\x0c", EDDY_CHECK_FRAME_TYPE),
    KIND("ACK from before the first", "\x02\x00\x00\x00\x04", EDDY_CHECK_ACK_RANGES),
    KIND("SKIP of the unreliable", "\x04\x01\x00\x00\x00\x00\x00\x04", EDDY_CHECK_SKIP_FORM),
    KIND("CLOSE for no cause", "\x05\x09\x00\x00", EDDY_CHECK_CLOSE_FORM),
    KIND("stream 0, at length", "\x8c\x00\x00", EDDY_CHECK_MESSAGE_FORM),
    KIND("a message told by the one before it, and there is none", "\xf0", EDDY_CHECK_MESSAGE_NEXT),
    KIND("129 messages", "\x88\x00", EDDY_CHECK_MESSAGE_COUNT),
};

/** Fills a datagram with a frame. @return how many are in it. */
static uint64_t fill(const struct kind *kind, uint8_t *frames, size_t *size, size_t room)
{
    uint64_t count = 0;

    *size = 0;
    for (; *size + kind->size <= room; count++) {
        memcpy(frames + *size, kind->bytes, kind->size);
        *size += kind->size;
    }
    return count;
}

/** @param room bytes of frames in each datagram. */
static bool a_flood_is_borne(const struct kind *kind, size_t room)
{
    uint64_t count = ed_attack_count(room == kind->size ? 10 * 1000 : 100 * 1000, 1000 * 1000),
             said = 0;
    uint8_t frames[ED_ROGUE_FRAMES_MAX];
    size_t size = 0;

    ed_siege_open(&siege, kind->name, 19, NULL);
    siege.rogue.hear = count_responses;
    uint64_t before = siege.rogue.heard_bytes;
    for (uint64_t i = 0; said < count; i++) {
        said += fill(kind, frames, &size, room);
        ed_rogue_say(&siege.rogue, frames, size);
        if (i % BURST == 0) {
            ed_siege_run_for(&siege, ED_NS_PER_MS);
            ed_rogue_ack_heard(&siege.rogue, 0);
        }
    }
    ed_siege_run_for(&siege, ED_NS_PER_S / 10);
    double share = (double)(siege.rogue.heard_bytes - before) / (double)siege.rogue.said_bytes;
    uint64_t taken = ed_siege_memory_taken(&siege);
    bool open = ed_siege_is_open(&siege);
    ed_siege_close(&siege);
    ed_attack_figure("T19 %llu of %s, %zu bytes of them a datagram: %.2f bytes back for each, %llu "
                     "KiB taken",
                     (unsigned long long)said, kind->name, size, share,
                     (unsigned long long)taken >> 10);
    return open && share <= 1.0 && taken <= MEMORY_MAX;
}

/** What may not be said ends the connection at once. */
static bool is_refused(const void *context)
{
    const struct kind *kind = context;
    uint8_t frames[ED_ROGUE_FRAMES_MAX];
    size_t size = 0;

    ed_siege_open(&siege, kind->name, 19, NULL);
    (void)fill(kind, frames, &size, kind->check == EDDY_CHECK_MESSAGE_COUNT ? 258 : kind->size);
    ed_rogue_say(&siege.rogue, frames, size);
    bool caught = ed_siege_is_caught(&siege) && ed_siege_refused(&siege, kind->check) == 1;
    ed_siege_close(&siege);
    return caught;
}

/** However often one datagram asks, it is answered once. */
static bool one_datagram_is_answered_once(const void *context)
{
    enum { DATAGRAMS = 100, ASKED = 20 };
    uint8_t frames[ED_ROGUE_FRAMES_MAX];
    size_t size = 0;

    (void)context;
    ed_siege_open(&siege, "challenges", 19, NULL);
    siege.rogue.hear = count_responses;
    responses = 0;
    for (int i = 0; i < DATAGRAMS; i++) {
        CHECK_EQ("fill", fill(&kinds[5], frames, &size, ASKED * kinds[5].size), ASKED);
        ed_rogue_say(&siege.rogue, frames, size);
        ed_siege_run_for(&siege, 10 * ED_NS_PER_MS);
    }
    ed_siege_close(&siege);
    ed_attack_figure("T19 %d challenges in %d datagrams: %llu answers", DATAGRAMS * ASKED,
                     DATAGRAMS, (unsigned long long)responses);
    return responses == DATAGRAMS;
}

/** New keys with each packet. */
static bool key_updates_are_borne(void)
{
    uint64_t count = ed_attack_count(2000, 100 * 1000);

    ed_siege_open(&siege, "key updates", 19, NULL);
    ed_keys *keys = &siege.rogue.conn.secrets->keys;
    keys->update_packets = 0;
    for (uint64_t i = 0; i < count; i++) {
        keys->is_confirmed = true; // it does not wait to be told so,
        keys->update_not_before_ns = 0;
        keys->receive_phase = keys->send_phase; // nor for the server to follow
        ed_keys_update(keys, siege.rogue.number, 0, ed_cluster_now_ns(&siege.cluster));
        ed_rogue_say(&siege.rogue, "\x01\x00\x00", 3);
        if (i % BURST == 0)
            ed_siege_run_for(&siege, ED_NS_PER_MS);
    }
    ed_siege_run_for(&siege, ED_NS_PER_S / 10);
    uint64_t taken = ed_siege_memory_taken(&siege);
    bool open = ed_siege_is_open(&siege);
    ed_siege_close(&siege);
    ed_attack_figure("T19 %llu key updates: %llu KiB taken", (unsigned long long)count,
                     (unsigned long long)taken >> 10);
    return open && taken <= MEMORY_MAX;
}

static void t19_floods_of_control_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++)
        if (kinds[i].check != 0)
            ed_attack_run(&(ed_attack){.name = kinds[i].name,
                                       .mount = is_refused,
                                       .context = &kinds[i],
                                       .checks = {kinds[i].check}});
        else
            CHECK(kinds[i].name, a_flood_is_borne(&kinds[i], ED_ROGUE_FRAMES_MAX) &&
                                     a_flood_is_borne(&kinds[i], kinds[i].size));
    ed_attack_run(&(ed_attack){.name = "T19 challenges",
                               .mount = one_datagram_is_answered_once,
                               .checks = {EDDY_CHECK_CHALLENGE}});
    CHECK("T19 key updates", key_updates_are_borne());
}

/* --------------------------------------------------------------------------- T20: source ports --
 */

static bool ports_are_not_chased(const void *context)
{
    uint64_t count = ed_attack_count(20 * 1000, 65 * 1000);

    (void)context;
    ed_siege_open(&siege, "ports", 20, NULL);
    siege.is_reading = false; // so that events pile up, if there are any
    uint64_t began_ns = ed_cluster_now_ns(&siege.cluster);
    for (uint64_t i = 0; i < count; i++) {
        eddy_address from = siege.rogue.address;
        from.port = (uint16_t)(500 + i);
        ed_rogue_move(&siege.rogue, &from);
        ed_rogue_say(&siege.rogue, "\x01\x00\x00", 3);
        if (i % BURST == 0)
            ed_siege_run_for(&siege, ED_NS_PER_MS);
    }
    ed_siege_run_for(&siege, ED_NS_PER_MS);
    uint64_t took_ms = (ed_cluster_now_ns(&siege.cluster) - began_ns) / ED_NS_PER_MS;
    eddy_stats stats = ed_node_stats(siege.server);
    uint64_t taken = ed_siege_memory_taken(&siege);
    siege.is_reading = true;
    ed_siege_run_for(&siege, ED_NS_PER_MS);
    bool open = ed_siege_is_open(&siege);
    uint64_t events = siege.events;
    ed_siege_close(&siege);
    ed_attack_figure("T20 %llu ports in %llu ms: %llu asked, %llu events, %llu KiB taken",
                     (unsigned long long)count, (unsigned long long)took_ms,
                     (unsigned long long)stats.paths_challenged, (unsigned long long)events,
                     (unsigned long long)taken >> 10);
    CHECK("it happened", stats.paths_challenged + stats.paths_ignored + 10 > count);
    return open && events <= 4 && taken <= MEMORY_MAX &&
           stats.paths_challenged <= 1 + took_ms / ED_PATH_HOLD_MS;
}

static void t20_ports_that_change_with_each_packet(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T20 ports", .mount = ports_are_not_chased, .checks = {EDDY_CHECK_PATH_RATE}});
}

/* ---------------------------------------------------------------------- T35: a full datagram -- */

/** Messages of a byte or none, each on a stream of its own if they are reliable. */
static ed_span messages_of(uint8_t *data, uint8_t guarantee, uint32_t sequence)
{
    ed_writer w = ed_writer_of(data, ED_ROGUE_FRAMES_MAX);

    for (uint32_t i = 0; i < ED_FRAME_MESSAGES_MAX; i++) {
        bool reliable = guarantee >= ED_WIRE_RELIABLE_UNORDERED;
        ed_message_frame message = {.guarantee = guarantee,
                                    .stream = reliable ? (uint8_t)i : 0,
                                    .sequence_bits = reliable ? 16 : 0,
                                    .sequence = sequence,
                                    .data = {.data = data, .size = 0}};
        ed_frame_write_message(&w, &message);
    }
    ed_writer end = w;
    return (ed_span){.data = data, .size = ed_writer_size(&end)};
}

/** What the frames cost a server at the least, of several that each get them first: a refusal ends
 * the connection, and streams are made by the first message alone. */
static uint64_t least_time_ns(ed_span frames)
{
    enum { TIMES = 20 };
    static ed_duel duel;
    uint64_t least_ns = UINT64_MAX;

    for (int i = 0; i < TIMES; i++) {
        ed_duel_open(&duel);
        least_ns = ed_min_u64(least_ns, ed_duel_least_time_ns(&duel, frames, 1));
        ed_duel_close(&duel);
    }
    return least_ns;
}

static void t35_no_datagram_takes_long(void **state)
{
    enum { MOST_US = 50 };
    uint8_t data[ED_ROGUE_FRAMES_MAX];
    uint64_t worst_ns = 0;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++) {
        size_t size = 0;
        (void)fill(&kinds[i], data, &size, sizeof(data));
        ed_span frames = {.data = data, .size = size};
        worst_ns = ed_max_u64(worst_ns, least_time_ns(frames));
    }
    for (uint8_t guarantee = 0; guarantee < ED_WIRE_GUARANTEE_COUNT; guarantee++)
        worst_ns = ed_max_u64(worst_ns, least_time_ns(messages_of(data, guarantee, 0)));
    ed_attack_figure("T35 the slowest datagram: %.1f us", (double)worst_ns / 1000);
    CHECK("time", ed_seeds_slow_build() || worst_ns <= MOST_US * ED_NS_PER_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t19_floods_of_control_frames),
        cmocka_unit_test(t20_ports_that_change_with_each_packet),
        cmocka_unit_test(t35_no_datagram_takes_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
