/** laminar's tests of its connection, 18 to 30: README.md says which is which. */
#include "tests/laminar/bed.h"

static struct bed the_bed;

enum {
    LARGE = 1000, /* a message that a thief tells from acks and pings */
    SMALL = 8,
    CARRIER_SIZE = 50, /* a datagram above this has a message of the tests below */
};

/* ------------------------------------------------------------------------------------ 19, 20 -- */

static void a_message_in_parts_is_put_together(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        uint32_t datagrams;
    } rows[] = {
        {"500 bytes", 500, 1},
        {"the largest in one piece", EDDY_PIECE_SIZE_MAX, 1},
        {"4,000 bytes", 4000, 4},
        {"8 KiB", 8192, 8},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed_thief thief = {.size_min = CARRIER_SIZE};

        bed_open_pair(&the_bed, rows[i].name, i);
        bed_watch(&the_bed.node[1], &thief);
        bed_send(&the_bed.node[1], EDDY_RELIABLE_UNORDERED, 0, rows[i].size, 1);
        bed_run_ms(&the_bed, 100);
        bed_check_unique(rows[i].name, &the_bed.node[0], 1);
        CHECK_EQ(rows[i].name, the_bed.node[0].log[1].size, rows[i].size);
        CHECK_EQ(rows[i].name, thief.seen, rows[i].datagrams);
        bed_close(&the_bed);
    }
}

/* ------------------------------------------------------------------------------------ 21, 24 -- */

static void every_guarantee_arrives_as_what_it_is(void **state)
{
    static const uint8_t streams[] = {0, 1, 127, 254, 255};
    static const size_t sizes[] = {SMALL, 3000};

    (void)state;
    bed_open_pair(&the_bed, "guarantees", 1);
    for (size_t n = 0; n < 2; n++)
        for (uint32_t g = 0; g <= EDDY_RELIABLE_SEQUENCED; g++)
            for (size_t s = 0; s < ED_COUNT(streams) * ED_COUNT(sizes); s++) {
                struct bed_node *from = &the_bed.node[n], *to = &the_bed.node[1 - n];
                uint8_t stream = streams[s % ED_COUNT(streams)];
                bed_send(from, (eddy_guarantee)g, stream, sizes[s / ED_COUNT(streams)], 1);
                bed_run_ms(&the_bed, 50);
                CHECK_EQ("guarantee", to->guarantees[g], s + 1);
                CHECK_EQ("stream", to->reach[stream], from->next_number);
                bed_check_in_order("once", to, from->next_number);
            }
    bed_close(&the_bed);
}

/* ---------------------------------------------------------------------------------------- 22 -- */

/** The datagram that a thief has taken arrives after all. */
static void arrive_late(struct bed_thief *thief)
{
    struct bed_thief taken = *thief;

    bed_inject(&the_bed.node[1], &the_bed.node[0], taken.data, taken.size);
    bed_run_ms(&the_bed, 2);
}

static void a_late_sequenced_message_is_not_delivered(void **state)
{
    static const eddy_guarantee sequenced[] = {EDDY_UNRELIABLE_SEQUENCED, EDDY_RELIABLE_SEQUENCED};
    static const uint32_t want[] = {0, 2, 3, 4};

    (void)state;
    for (size_t g = 0; g < ED_COUNT(sequenced); g++) {
        struct bed_thief thief = {.size_min = LARGE, .first = 1, .count = 1};

        bed_open_pair(&the_bed, "late", g);
        struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
        bed_watch(client, &thief);
        bed_send(client, sequenced[g], 0, LARGE, 2);
        bed_run_ms(&the_bed, 2);
        struct bed_thief second = thief;
        bed_send(client, sequenced[g], 0, LARGE, 1);
        bed_run_ms(&the_bed, 2);
        arrive_late(&second);
        bed_send(client, sequenced[g], 0, LARGE, 2);
        bed_run_ms(&the_bed, 5000);
        bed_check_in_order("late", server, ED_COUNT(want));
        for (size_t i = 0; i < ED_COUNT(want); i++)
            CHECK_EQ("which", server->log[1 + i].number, want[i]);
        CHECK("counted", bed_stats(server).messages_stale >= 1);
        bed_close(&the_bed);
    }
}

/* ---------------------------------------------------------------------------------------- 23 -- */

static void an_early_ordered_message_waits(void **state)
{
    struct bed_thief thief = {.size_min = LARGE, .first = 1, .count = 1};

    (void)state;
    bed_open_pair(&the_bed, "early", 1);
    struct bed_node *server = &the_bed.node[0], *client = &the_bed.node[1];
    bed_watch(client, &thief);
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, LARGE, 2);
    bed_run_ms(&the_bed, 1);
    struct bed_thief second = thief;
    bed_send(client, EDDY_RELIABLE_ORDERED, 0, LARGE, 2);
    bed_run_ms(&the_bed, 1);
    bed_check_in_order("the first alone", server, 1);
    arrive_late(&second);
    bed_check_in_order("then all", server, 4);
    CHECK_EQ("at once", server->log[2].at_ns, server->log[4].at_ns);
    bed_run_ms(&the_bed, 5000);
    bed_check_in_order("and none again", server, 4);
    bed_close(&the_bed);
}

/* ---------------------------------------------------------------------------------------- 27 -- */

/** laminar refuses unreliable messages above 1,452 bytes in a line of its log. */
static void unreliable_messages_may_be_in_parts_up_to_a_limit(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        eddy_status want;
    } rows[] = {
        {"5,000 bytes", 5000, EDDY_OK},
        {"the largest", EDDY_UNRELIABLE_SIZE_MAX, EDDY_OK},
        {"one more", EDDY_UNRELIABLE_SIZE_MAX + 1, EDDY_ETOOBIG},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows) * 2; i++) {
        const char *name = rows[i / 2].name;
        eddy_guarantee guarantee = i % 2 == 0 ? EDDY_UNRELIABLE : EDDY_UNRELIABLE_SEQUENCED;

        bed_open_pair(&the_bed, name, i);
        CHECK_EQ(name, bed_try_send(&the_bed.node[1], guarantee, 0, rows[i / 2].size),
                 rows[i / 2].want);
        bed_run_ms(&the_bed, 1000);
        bed_check_in_order(name, &the_bed.node[0], rows[i / 2].want == EDDY_OK ? 1 : 0);
        bed_close(&the_bed);
    }
}

/* -------------------------------------------------------------------------------- 25, 28, 29 -- */

static void the_bytes_on_the_wire(void **state)
{
    enum { PACKET = 1 + 4 + 2 + ED_TAG_SIZE }; // first byte, id, number
    static const struct {
        const char *name;
        eddy_guarantee guarantee;
        size_t size;
        uint32_t datagrams;
        size_t overhead; /* of each: first byte; sequence; size and place of a part */
    } rows[] = {
        {"unreliable", EDDY_UNRELIABLE, 64, 1, PACKET + 1},
        {"unreliable sequenced", EDDY_UNRELIABLE_SEQUENCED, 64, 1, PACKET + 1},
        {"reliable unordered", EDDY_RELIABLE_UNORDERED, 64, 1, PACKET + 1 + 2},
        {"reliable ordered", EDDY_RELIABLE_ORDERED, 64, 1, PACKET + 1 + 2},
        {"reliable sequenced", EDDY_RELIABLE_SEQUENCED, 64, 1, PACKET + 1 + 2},
        {"1,024 unreliable", EDDY_UNRELIABLE, 1024, 1, PACKET + 1},
        {"4,000 reliable", EDDY_RELIABLE_ORDERED, 4000, 4, PACKET + 1 + 2 + 2 + 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed_thief thief = {.size_min = CARRIER_SIZE};

        bed_open_pair(&the_bed, rows[i].name, i);
        bed_send(&the_bed.node[1], rows[i].guarantee, 0, rows[i].size, 1);
        bed_run_ms(&the_bed, 50); // that one also asks what time it is, which is two bytes more
        bed_watch(&the_bed.node[1], &thief);
        bed_send(&the_bed.node[1], rows[i].guarantee, 0, rows[i].size, 1);
        bed_run_ms(&the_bed, 500);
        bed_check_unique(rows[i].name, &the_bed.node[0], 2);
        CHECK_EQ(rows[i].name, thief.seen, rows[i].datagrams);
        CHECK_EQ(rows[i].name, thief.bytes, rows[i].size + rows[i].datagrams * rows[i].overhead);
        bed_close(&the_bed);
    }
}

/* ---------------------------------------------------------------------------------------- 30 -- */

static void a_hundred_thousand_come_in_order(void **state)
{
    enum { MESSAGES = 100 * 1000 };
    const struct {
        const char *name;
        uint32_t loss_ppm;
    } rows[] = {{"no loss", 0}, {"1 % loss", 10 * 1000}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link_config link = ed_link_config_default();

        bed_open_pair(&the_bed, rows[i].name, i);
        const struct bed_node *server = &the_bed.node[0];
        link.delay_ns = ED_NS_PER_MS;
        link.loss_ppm = rows[i].loss_ppm;
        bed_set_link(&the_bed, link);
        bed_send_all(&the_bed.node[1], EDDY_RELIABLE_ORDERED, SMALL, MESSAGES);
        bed_await(server, MESSAGES, 60 * 1000);
        bed_run_ms(&the_bed, 5000);
        bed_check_in_order(rows[i].name, server, MESSAGES);
        CHECK_EQ(rows[i].name, server->reach[0], MESSAGES);
        bed_close(&the_bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_in_parts_is_put_together),
        cmocka_unit_test(every_guarantee_arrives_as_what_it_is),
        cmocka_unit_test(a_late_sequenced_message_is_not_delivered),
        cmocka_unit_test(an_early_ordered_message_waits),
        cmocka_unit_test(unreliable_messages_may_be_in_parts_up_to_a_limit),
        cmocka_unit_test(the_bytes_on_the_wire),
        cmocka_unit_test(a_hundred_thousand_come_in_order),
    };

    return cmocka_run_group_tests_name("laminar connection", tests, NULL, NULL);
}
