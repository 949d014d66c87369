/** What stands in a packet, and in which order, where messages go along again. */
#include <stdio.h>

#include "core/addr.h"
#include "core/base.h"
#include "tests/support/check.h"
#include "tests/support/conn_bed.h"
#include "transport/conn_draft.h"

enum {
    MS = 1000 * 1000,
    TICK_MS = 16,
    EARLIER = 3, /* messages, each in a packet of its own: ordered, on stream 0, of SIZE bytes */
    SIZE = 100,
    NEWS_MAX = 3,
    TEXT_MAX = 128,
};

struct news {
    uint8_t guarantee;
    uint8_t stream;
    uint16_t size;
};

static ed_conn_bed bed;
static ed_conn client, server;
static ed_path from = {.remote = {.family = EDDY_FAMILY_NONE}};
static uint64_t now_ns;

static void setup_pair(void)
{
    ed_path to = {.remote = ed_addr_ipv4(10, 0, 0, 1, 1)};

    from = (ed_path){.remote = ed_addr_ipv4(10, 0, 0, 2, 2)};
    ed_conn_bed_open(&bed, 2);
    now_ns = ED_NS_PER_S;
    ed_conn_bed_connect(&bed, &client, &server, &to, &from, now_ns);
}

static void teardown_pair(void)
{
    ed_conn_free(&client);
    ed_conn_free(&server);
    ed_conn_bed_close(&bed);
}

static void send(const struct news *news)
{
    ed_block *block = ed_pool_take(bed.shared.receive_pool, news->size);
    ed_message message = {.block = block,
                          .guarantee = news->guarantee,
                          .stream = news->stream,
                          .expires_ns = ED_NEVER_NS};

    memset(block->data, news->guarantee, news->size);
    CHECK_EQ("accepted", ed_conn_send(&client, &message, 1, now_ns), EDDY_OK);
}

/** Messages leave, each with nothing else, on a path of which all of them are to be copied. */
static void send_earlier(void)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_path path;

    for (uint32_t i = 0; i < EARLIER; i++) {
        now_ns += TICK_MS * (uint64_t)MS;
        send(&(struct news){ED_WIRE_RELIABLE_ORDERED, 0, SIZE});
        CHECK("left", ed_conn_transmit(&client, &path, data, now_ns) > SIZE);
    }
    ed_rtt_sample(&client.rtt, TICK_MS * (uint64_t)MS, 0); // no queue on it
    for (uint64_t i = 0; ed_redundancy_copies(&client.redundancy) < EARLIER; i++)
        ed_redundancy_on_lost(&client.redundancy, 2 * i);
    now_ns += TICK_MS * (uint64_t)MS;
}

/** Begins a packet for the client's log. */
static void begin_draft(ed_draft *d, uint8_t data[EDDY_DATAGRAM_SIZE_MAX])
{
    CHECK_EQ("reserved", ed_sent_reserve(&client.sent, 1), EDDY_OK);
    ed_draft_begin(d, &client, data, now_ns);
}

/** The messages of a packet: guarantee/stream:sequence of one in full, + of one that is the next.
 */
static void describe(const ed_draft *d, char *text, size_t room)
{
    ed_reader r = ed_reader_of(d->w.begin, ed_writer_size(&d->w));
    ed_frame frame = {.type = ED_FRAME_PADDING};
    size_t at = 0;

    text[0] = '\0';
    while (ed_reader_left(&r) > 0) {
        bool is_next = *r.at >= 0xf0;
        CHECK_EQ("read", ed_frame_read(&r, &frame), EDDY_OK);
        if (frame.type != ED_FRAME_MESSAGE)
            continue;
        const ed_message_frame *m = &frame.message;
        for (size_t i = 0; i < m->data.size; i++)
            CHECK_EQ("data", m->data.data[i], m->guarantee);
        at += (size_t)(is_next ? snprintf(text + at, room - at, "+%u ", m->sequence)
                               : snprintf(text + at, room - at, "%u/%u:%u ", m->guarantee,
                                          m->stream, m->sequence));
        CHECK("text", at < room);
    }
}

/** The server, to which nothing else has come, takes the packet. @return how many messages came. */
static uint64_t receive(uint8_t *data, size_t size)
{
    eddy_datagram datagram = {.remote = from.remote, .data = data, .size = size};
    ed_event_item item;
    uint64_t count = 0;

    ed_conn_receive(&server, &datagram, now_ns);
    while (ed_conn_events(&server, &item, 1) > 0) {
        count += item.type == EDDY_MESSAGE ? 1 : 0;
        ed_event_drop(&item);
    }
    return count;
}

static void copies_come_first(void **state)
{
    static const struct {
        const char *name;
        struct news news[NEWS_MAX];
        size_t count;
        const char *want;
        uint64_t came;
    } rows[] = {
        {"no news", {{0}}, 0, "3/0:0 +1 +2 ", 3},
        {"the next of the lane", {{3, 0, SIZE}}, 1, "3/0:0 +1 +2 +3 ", 4},
        {"the next, of another size", {{3, 0, 20}}, 1, "3/0:0 +1 +2 +3 ", 4},
        {"the next, with nothing in it", {{3, 0, 0}}, 1, "3/0:0 +1 +2 +3 ", 4},
        {"two", {{3, 0, SIZE}, {3, 0, 7}}, 2, "3/0:0 +1 +2 +3 +4 ", 5},
        {"another stream", {{3, 1, SIZE}}, 1, "3/0:0 +1 +2 3/1:0 ", 4},
        {"another guarantee", {{2, 0, SIZE}}, 1, "3/0:0 +1 +2 2/0:0 ", 4},
        {"unreliable", {{0, 0, SIZE}}, 1, "3/0:0 +1 +2 0/0:0 ", 4},
        {"three of them", {{0, 0, 9}, {0, 0, 9}, {0, 0, 8}}, 3, "3/0:0 +1 +2 0/0:0 +0 +0 ", 6},
        {"so large that no copy fits", {{3, 0, 1100}}, 1, "3/0:3 ", 0},
        {"so large that all fit, the last as the next", {{3, 0, 865}}, 1, "3/0:0 +1 +2 +3 ", 4},
        {"so large that two fit", {{3, 0, 900}}, 1, "3/0:0 +1 3/0:3 ", 2},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
        char text[TEXT_MAX];
        ed_draft d;
        setup_pair();
        send_earlier();
        for (size_t k = 0; k < rows[i].count; k++)
            send(&rows[i].news[k]);
        begin_draft(&d, data);
        ed_draft_put_messages(&d, &client);
        ed_draft_put_copies(&d, &client, now_ns);
        describe(&d, text, sizeof(text));
        CHECK_STR(rows[i].name, text, rows[i].want);
        size_t size = ed_draft_finish(&d, &client, now_ns);
        CHECK_EQ(rows[i].name, receive(data, size), rows[i].came);
        teardown_pair();
    }
}

/** What the packet before had no room for is first in the next one. */
static void what_was_left_out_is_first(void **state)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    char text[TEXT_MAX];
    ed_path path;
    ed_draft d;

    (void)state;
    setup_pair();
    send_earlier();
    send(&(struct news){ED_WIRE_RELIABLE_ORDERED, 0, 900}); // and two of the three
    CHECK("left", ed_conn_transmit(&client, &path, data, now_ns) > 900);
    now_ns += TICK_MS * (uint64_t)MS;
    begin_draft(&d, data);
    ed_draft_put_copies(&d, &client, now_ns);
    describe(&d, text, sizeof(text));
    CHECK_STR("the newest, then the others", text, "3/0:2 3/0:0 +1 ");
    CHECK("sealed", ed_draft_finish(&d, &client, now_ns) > 0);
    teardown_pair();
}

/** What is new, what is oldest and what is copied in one packet: each message is in it once. */
static void nothing_is_in_a_packet_twice(void **state)
{
    static const struct {
        const char *name;
        bool copies_first;
        const char *want;
    } rows[] = {
        {"the oldest first", false, "3/0:3 3/0:0 +1 +2 "},
        {"copies first", true, "3/0:0 +1 +2 +3 "},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
        char text[TEXT_MAX];
        ed_draft d;
        setup_pair();
        send_earlier();
        send(&(struct news){ED_WIRE_RELIABLE_ORDERED, 0, SIZE});
        begin_draft(&d, data);
        ed_draft_put_messages(&d, &client);
        if (rows[i].copies_first)
            ed_draft_put_copies(&d, &client, now_ns);
        (void)ed_draft_put_oldest(&d, &client, now_ns);
        ed_draft_put_copies(&d, &client, now_ns);
        describe(&d, text, sizeof(text));
        CHECK_STR(rows[i].name, text, rows[i].want);
        CHECK_EQ(rows[i].name, receive(data, ed_draft_finish(&d, &client, now_ns)), 4);
        teardown_pair();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_come_first),
        cmocka_unit_test(what_was_left_out_is_first),
        cmocka_unit_test(nothing_is_in_a_packet_twice),
    };
    return cmocka_run_group_tests_name("conn_draft", tests, NULL, NULL);
}
