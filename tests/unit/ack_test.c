#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "transport/ack.h"
#include "transport/frame.h"

#define AT_ONCE 0
#define LATER ED_ACK_DELAY_NS
#define PATIENT ED_ACK_PATIENCE_NS
#define NEVER ED_NEVER_NS

enum { PACKETS_MAX = 8, SMALL = 60 };

/** What a letter of a row stands for. */
static ed_ack_haste haste_of(char letter)
{
    return letter == '!' ? ED_ACK_PROMPT : letter == 'p' ? ED_ACK_PATIENT : ED_ACK_UNASKED;
}

/** Packets that arrive one at a time, a nanosecond apart, and what is owed after the last. */
static void policy(void **state)
{
    static const struct {
        const char *name;
        const char *packets; /* '!': prompt, 'p': patient, '.': asks for nothing */
        uint64_t numbers[PACKETS_MAX];
        uint64_t due_after_ns; /* counted from the packet that set the deadline */
        unsigned set_by;       /* which packet that was */
        size_t size;           /* of each; 0: a small one */
    } rows[] = {
        {"nothing", "", {0}, NEVER, 0, 0},
        {"one that elicits waits", "!", {0}, LATER, 0, 0},
        {"one that does not asks for nothing", ".", {0}, NEVER, 0, 0},
        {"many that do not", "......", {0, 1, 2, 3, 4, 5}, NEVER, 0, 0},
        {"the second goes at once", "!!", {0, 1}, AT_ONCE, 1, 0},
        {"between them others do not count", "!..!", {0, 1, 2, 3}, AT_ONCE, 3, 0},
        {"the first may have any number", "!", {1000}, LATER, 0, 0},
        {"a gap is told at once", ".!", {0, 2}, AT_ONCE, 1, 0},
        {"a gap of one that does not elicit is not", "..", {0, 2}, NEVER, 0, 0},
        {"what fills a gap is told at once", "..!", {0, 2, 1}, AT_ONCE, 2, 0},
        {"behind a gap of old all is in order again", "..!", {0, 2, 3}, LATER, 2, 0},
        {"a late one does not put the deadline off", "!.", {0, 1}, LATER, 0, 0},
        {"an early deadline stays", "!!!", {0, 2, 3}, AT_ONCE, 1, 0},
        {"a patient one waits longer", "p", {0}, PATIENT, 0, 0},
        {"the second does not hasten it", "pp", {0, 1}, PATIENT, 0, 0},
        {"a prompt one does", "pp!", {0, 1, 2}, LATER, 2, 0},
        {"a patient one does not slow a prompt one", "!p", {0, 1}, LATER, 0, 0},
        {"nor does it count as the second", "!ppp", {0, 1, 2, 3}, LATER, 0, 0},
        {"two prompt ones among them", "!pp!", {0, 1, 2, 3}, AT_ONCE, 3, 0},
        {"a gap in patient ones is told at once", "pp", {0, 2}, AT_ONCE, 1, 0},
        {"so is a late patient one", "..p", {0, 2, 1}, AT_ONCE, 2, 0},
        {"seven", "ppppppp", {0, 1, 2, 3, 4, 5, 6}, PATIENT, 0, 0},
        {"eight", "pppppppp", {0, 1, 2, 3, 4, 5, 6, 7}, AT_ONCE, 7, 0},
        {"eight, one of them prompt", "!ppppppp", {0, 1, 2, 3, 4, 5, 6, 7}, AT_ONCE, 7, 0},
        {"one full datagram", "p", {0}, PATIENT, 0, ED_DATAGRAM_SIZE},
        {"two", "pp", {0, 1}, AT_ONCE, 1, ED_DATAGRAM_SIZE},
        {"not quite", "pp", {0, 1}, PATIENT, 0, ED_DATAGRAM_SIZE - 1},
        {"what asks for nothing takes no room", "p.p", {0, 1, 2}, PATIENT, 0, 1000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_ack ack;
        ed_ack_init(&ack, ed_alloc_default());
        size_t count = strlen(rows[i].packets);
        for (size_t n = 0; n < count; n++)
            ed_ack_on_packet(&ack, rows[i].numbers[n], haste_of(rows[i].packets[n]),
                             rows[i].size == 0 ? SMALL : rows[i].size, 1000 + n);
        uint64_t want_ns = ed_add_sat_u64(1000 + rows[i].set_by, rows[i].due_after_ns);
        CHECK_EQ(rows[i].name, ack.deadline_ns, want_ns);
        CHECK_EQ(rows[i].name, ed_ack_wanted(&ack), strpbrk(rows[i].packets, "!p") != NULL);
        ed_ack_free(&ack);
    }
}

static void sending_settles_it(void **state)
{
    ed_ack ack;

    (void)state;
    ed_ack_init(&ack, ed_alloc_default());
    ed_ack_on_packet(&ack, 5, ED_ACK_PROMPT, SMALL, 10);
    ed_ack_on_packet(&ack, 6, ED_ACK_PROMPT, SMALL, 20);
    ed_ack_on_sent(&ack);
    CHECK_EQ("deadline", ack.deadline_ns, NEVER);
    CHECK("nothing new to say", !ed_ack_wanted(&ack));
    CHECK_EQ("it remembers", ed_ack_largest(&ack), 6);
    ed_ack_on_packet(&ack, 7, ED_ACK_PROMPT, SMALL, 30);
    CHECK_EQ("counts anew", ack.deadline_ns, 30 + LATER);
    CHECK("wanted", ed_ack_wanted(&ack));
    ed_ack_on_sent(&ack);
    for (uint64_t i = 0; i + 1 < ED_ACK_PATIENT_MAX; i++)
        ed_ack_on_packet(&ack, 8 + i, ED_ACK_PATIENT, SMALL, 40);
    CHECK_EQ("and the patient ones, too", ack.deadline_ns, 40 + PATIENT);
}

/** Reads back what an ACK written now would say. */
static ed_ack_frame written(ed_ack *ack, uint64_t now_ns)
{
    uint8_t data[1200];
    ed_writer w = ed_writer_of(data, sizeof(data));
    ed_frame frame = {.type = ED_FRAME_PADDING};

    ed_ack_write(ack, &w, now_ns);
    CHECK("room", ed_writer_ok(&w));
    ed_reader r = ed_reader_of(data, ed_writer_size(&w));
    CHECK_EQ("read", ed_frame_read(&r, &frame), EDDY_OK);
    CHECK_EQ("type", frame.type, ED_FRAME_ACK);
    return frame.ack;
}

static void delay_is_that_of_the_largest(void **state)
{
    ed_ack ack;

    (void)state;
    ed_ack_init(&ack, ed_alloc_default());
    ed_ack_on_packet(&ack, 0, ED_ACK_PROMPT, SMALL, 1 * ED_NS_PER_MS);
    ed_ack_on_packet(&ack, 2, ED_ACK_PROMPT, SMALL, 2 * ED_NS_PER_MS);
    ed_ack_on_packet(&ack, 1, ED_ACK_PROMPT, SMALL,
                     9 * ED_NS_PER_MS); // late: it does not make 2 any younger
    CHECK_EQ("delay", written(&ack, 10 * ED_NS_PER_MS).delay_us, 8000);
    CHECK_EQ("below a microsecond", written(&ack, 2 * ED_NS_PER_MS + 999).delay_us, 0);
}

static void ranges_are_told_newest_first(void **state)
{
    static const uint64_t numbers[] = {0, 1, 5, 9, 8, 3};
    static const ed_range want[] = {{8, 9}, {5, 5}, {3, 3}, {0, 1}};
    ed_ack ack;

    (void)state;
    ed_ack_init(&ack, ed_alloc_default());
    for (size_t i = 0; i < ED_COUNT(numbers); i++)
        ed_ack_on_packet(&ack, numbers[i], ED_ACK_PROMPT, SMALL, i);
    ed_ack_frame frame = written(&ack, 10);
    CHECK_EQ("ranges", frame.count, ED_COUNT(want));
    CHECK_BYTES("ranges", frame.range, want, sizeof(want));
    CHECK_EQ("largest", ed_ack_largest(&ack), 9);
    ed_ack_free(&ack);
}

/** Even and odd numbers far apart: the oldest ranges give way, and the frame still holds. */
static void more_ranges_than_fit(void **state)
{
    ed_ack ack;

    (void)state;
    ed_ack_init(&ack, ed_alloc_default());
    for (uint64_t n = 0; n < 3 * ED_ACK_RANGES_MAX; n++)
        ed_ack_on_packet(&ack, 2 * n, ED_ACK_PROMPT, SMALL, n);
    ed_ack_frame frame = written(&ack, 1000);
    CHECK_EQ("all that fit", frame.count, ED_ACK_RANGES_MAX);
    CHECK_EQ("the newest", frame.range[0].last, 2 * (3 * ED_ACK_RANGES_MAX - 1));
    CHECK_EQ("the oldest kept", frame.range[ED_ACK_RANGES_MAX - 1].first,
             2 * 2 * ED_ACK_RANGES_MAX);
    ed_ack_free(&ack);
}

/** More than a few ranges have memory of their own: while there is any, and while they last. */
static void ranges_take_memory_and_give_it_back(void **state)
{
    ed_counting_alloc memory;
    ed_ack ack;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    ed_ack_init(&ack, &memory.allocator);
    for (uint64_t n = 0; n < ED_ACK_RANGES_FEW; n++)
        ed_ack_on_packet(&ack, 2 * n, ED_ACK_PROMPT, SMALL, n);
    ed_ack_on_packet(&ack, 3, ED_ACK_PROMPT, SMALL, 3);
    CHECK_EQ("few take none, nor what joins them", memory.calls, 0);
    memory.fail_after = 0;
    ed_ack_on_packet(&ack, 100, ED_ACK_PROMPT, SMALL, 100);
    CHECK_EQ("the oldest gave way", written(&ack, 1000).range[ED_ACK_RANGES_FEW - 1].first, 2);
    memory.fail_after = UINT64_MAX;
    ed_ack_on_packet(&ack, 102, ED_ACK_PROMPT, SMALL, 102);
    CHECK_EQ("all are there", written(&ack, 1000).count, ED_ACK_RANGES_FEW + 1);
    ed_ack_rest(&ack);
    CHECK("too many to rest", memory.live_count == 1);
    ed_ack_on_acked(&ack, 3);
    ed_ack_rest(&ack);
    CHECK_EQ("given back", memory.live_count, 0);
    CHECK_EQ("few are there", written(&ack, 1000).count, ED_ACK_RANGES_FEW);
    CHECK_EQ("the oldest of them", written(&ack, 1000).range[ED_ACK_RANGES_FEW - 1].last, 100);
    ed_ack_free(&ack);
}

static void what_the_peer_knows_is_forgotten(void **state)
{
    static const struct {
        const char *name;
        uint64_t acked; /* the largest number of the ACK that arrived */
        uint32_t want_count;
        ed_range want_last; /* the oldest range */
    } rows[] = {
        {"an old one", 1, 3, {5, 6}},
        {"half of a range", 5, 3, {6, 6}},
        {"two ranges", 13, 1, {20, 22}},
        {"all but the newest", 22, 1, {22, 22}},
        {"more than there is", 1000, 1, {22, 22}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static const uint64_t numbers[] = {5, 6, 12, 13, 20, 21, 22};
        ed_ack ack;
        ed_ack_init(&ack, ed_alloc_default());
        for (size_t n = 0; n < ED_COUNT(numbers); n++)
            ed_ack_on_packet(&ack, numbers[n], ED_ACK_UNASKED, SMALL, n);
        ed_ack_on_acked(&ack, rows[i].acked);
        CHECK_EQ(rows[i].name, ack.received.count, rows[i].want_count);
        const ed_range *oldest = &ack.received.range[ack.received.count - 1];
        CHECK_EQ(rows[i].name, oldest->first, rows[i].want_last.first);
        CHECK_EQ(rows[i].name, oldest->last, rows[i].want_last.last);
        CHECK_EQ("still the largest", ed_ack_largest(&ack), 22);
        ed_ack_on_sent(&ack);
        ed_ack_on_packet(&ack, 23, ED_ACK_PROMPT, SMALL, 100);
        CHECK_EQ("the next is in order", ack.deadline_ns, 100 + LATER);
        ed_ack_free(&ack);
    }
}

static void nothing_to_forget(void **state)
{
    ed_ack ack;

    (void)state;
    ed_ack_init(&ack, ed_alloc_default());
    ed_ack_on_acked(&ack, 5);
    CHECK_EQ("none", ack.received.count, 0);
    ed_ack_on_packet(&ack, 0, ED_ACK_PROMPT, SMALL, 1);
    ed_ack_on_acked(&ack, 5);
    CHECK_EQ("packet 0 alone stays", ed_ack_largest(&ack), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy),
        cmocka_unit_test(sending_settles_it),
        cmocka_unit_test(delay_is_that_of_the_largest),
        cmocka_unit_test(ranges_are_told_newest_first),
        cmocka_unit_test(more_ranges_than_fit),
        cmocka_unit_test(ranges_take_memory_and_give_it_back),
        cmocka_unit_test(what_the_peer_knows_is_forgotten),
        cmocka_unit_test(nothing_to_forget),
    };
    return cmocka_run_group_tests_name("ack", tests, NULL, NULL);
}
