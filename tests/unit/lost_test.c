/** In which order what was lost is sent again, and what that costs. */
#include "tests/unit/outbox_bed.h"

#include "tests/support/splitmix.h"

/* Orders in which so many messages may be declared lost; see below. */
enum { CROWD = 100 * 1000, CROWD_LANES = 16, PACKET_MESSAGES = 128 };

static size_t oldest_first(size_t i)
{
    return i;
}

static size_t newest_first(size_t i)
{
    return CROWD - 1 - i;
}

static size_t newer_half_first(size_t i)
{
    return (i + CROWD / 2) % CROWD;
}

static size_t lane_by_lane(size_t i)
{
    return i % (CROWD / CROWD_LANES) * CROWD_LANES + i / (CROWD / CROWD_LANES);
}

static size_t from_both_ends(size_t i)
{
    return i % 2 == 0 ? i / 2 : CROWD - 1 - i / 2;
}

/** A number without a rule, each once. */
static size_t anyhow(size_t i)
{
    return i * 61813 % CROWD;
}

/** Sends `count` messages, many to a packet. */
static void send_packets(struct sent *sent, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK("something to send", try_send(&sent[i], BED_ROOM, bed.packet + i / PACKET_MESSAGES));
    bed.packet += count / PACKET_MESSAGES + 1;
}

/** Places looked at so far, for messages of all lanes. */
static uint64_t all_looks(void)
{
    uint64_t looks = 0;

    for (unsigned stream = 0; stream < CROWD_LANES; stream++) {
        const ed_lane_out *lane = ed_lanes_find(&bed.outbox.lanes, RO, (uint8_t)stream);
        looks += lane->look_count;
    }
    return looks;
}

/**
 * After an outage all is lost at once, and the oldest may be lost again and again. Looking for the
 * place of each among all others would take minutes here, and the test would be ended.
 */
static void a_crowd_is_lost(void **state)
{
    static const struct {
        const char *name;
        size_t (*order)(size_t i);
    } rows[] = {
        {"oldest first", oldest_first},
        {"newest first", newest_first},
        {"newer half first", newer_half_first},
        {"lane by lane", lane_by_lane},
        {"from both ends by turns", from_both_ends},
        {"anyhow", anyhow},
    };
    enum { STEPS_EACH_MAX = 20 }; // log2 of CROWD, and some more
    enum { ROUNDS = 400, AGAIN = 2 * PACKET_MESSAGES };
    static struct sent sent[CROWD];

    (void)state;
    for (uint32_t n = 0; n < CROWD; n++)
        push(RO, (uint8_t)(n % CROWD_LANES), n, 4);
    for (size_t n = 0; n < CROWD; bed.packet++)
        for (size_t end = n + PACKET_MESSAGES; n < CROWD && n < end; n++)
            if (!try_send(&sent[n], BED_ROOM, bed.packet))
                break; // no more of those lanes in this packet
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t first = 0, looks = all_looks();
        for (size_t n = 0; n < CROWD; n++)
            lost(&sent[rows[i].order(n)]);
        for (size_t n = 0; n < CROWD; n++) { // those of one packet in any order
            ed_outgoing next;
            CHECK("there", ed_outbox_next(&bed.outbox, BED_ROOM, bed.packet, &next));
            CHECK(rows[i].name, next.part->first_packet >= first);
            first = next.part->first_packet;
            CHECK("sent", try_send(&sent[n], BED_ROOM, bed.packet + n / PACKET_MESSAGES));
        }
        bed.packet += CROWD;
        CHECK(rows[i].name, all_looks() - looks <= (uint64_t)CROWD * STEPS_EACH_MAX);
    }
    for (size_t n = 0; n < CROWD; n++)
        lost(&sent[n]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        send_packets(sent, AGAIN);
        for (size_t n = 0; n < AGAIN; n++)
            lost(&sent[n]);
    }
}

/** What belongs at either end of what waits is put there without passing any of it. */
static void ends_are_found_at_once(void **state)
{
    enum { MANY = 1000, LOOKS_MAX = 10 };
    static struct sent sent[MANY];

    (void)state;
    for (uint32_t n = 0; n < MANY; n++) {
        push(RO, 0, n, 4);
        sent[n] = send_next();
    }
    for (size_t n = 0; n + 1 < MANY; n++)
        lost(&sent[n]);
    const ed_lane_out *lane = ed_lanes_find(&bed.outbox.lanes, RO, 0);
    struct sent oldest = send_next();
    uint32_t looks = lane->look_count;
    lost(&oldest);
    lost(&sent[MANY - 1]);
    CHECK_EQ("the oldest", send_next().mark, 0);
    CHECK("few looks", lane->look_count - looks <= LOOKS_MAX);
}

/** A message of a few that are sent, lost, sent again and acknowledged in any order. */
struct tracked {
    struct sent sent; /* the last time */
    uint64_t first_packet;
    uint64_t lost_at; /* a count of losses; 0: it does not wait */
    bool is_over;
};

/** The one that waits and was sent first; of one packet, that which was lost first. */
static const struct tracked *naive_first_lost(const struct tracked *some, size_t count)
{
    const struct tracked *first = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct tracked *one = &some[i];
        if (one->lost_at != 0 &&
            (first == NULL || one->first_packet < first->first_packet ||
             (one->first_packet == first->first_packet && one->lost_at < first->lost_at)))
            first = one;
    }
    return first;
}

/** Whatever is lost and acknowledged between looks, what leaves next is what a search would find.
 */
static void lost_ones_go_by_age_in_any_order(void **state)
{
    enum { SOME = 400, STEPS = 6000, PER_PACKET = 3, PER_ACK = 5, PER_LOOK = 5 };
    struct tracked some[SOME] = {0};
    uint64_t seed = 7;
    uint64_t loss_count = 0;

    (void)state;
    for (uint32_t n = 0; n < SOME; n++) {
        push(RO, 0, n, 4);
        some[n].first_packet = bed.packet + n / PER_PACKET;
        CHECK("sent", try_send(&some[n].sent, BED_ROOM, some[n].first_packet));
    }
    bed.packet += SOME;
    for (unsigned step = 0; step < STEPS; step++) {
        struct tracked *one = &some[splitmix_below(&seed, SOME)];
        if (!one->is_over && one->lost_at == 0) {
            lost(&one->sent);
            one->lost_at = ++loss_count;
        } else if (!one->is_over && splitmix_below(&seed, PER_ACK) == 0) {
            acked(&one->sent);
            one->is_over = true;
            one->lost_at = 0;
        }
        const struct tracked *first = naive_first_lost(some, SOME);
        if (splitmix_below(&seed, PER_LOOK) != 0 || first == NULL)
            continue;
        uint32_t mark = first->sent.mark;
        some[mark].sent = send_next();
        some[mark].lost_at = 0;
        CHECK_EQ("the oldest", some[mark].sent.mark, mark);
    }
    CHECK("much was lost", loss_count > STEPS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_crowd_is_lost, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(ends_are_found_at_once, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(lost_ones_go_by_age_in_any_order, bed_setup, bed_teardown),
    };
    return cmocka_run_group_tests_name("lost", tests, NULL, NULL);
}
