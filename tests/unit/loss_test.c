#include "core/ranges.h"
#include "tests/unit/loss_bed.h"

static void check_states(const char *name, const struct bed *bed, const char *want)
{
    char got[64] = {0};

    for (uint64_t n = 0; n < bed->log.next && n < sizeof(got) - 1; n++)
        got[n] = "-OALS"[ed_sent_at(&bed->log, n)->state];
    CHECK_STR(name, got, want);
}

static uint8_t flags_of(char kind)
{
    return kind == 'P' ? PADDED : kind == 'N' ? ACK_ONLY : DATA;
}

/** Packets sent 1 ms apart from time 0: D data, P padding, N an ACK alone, S a number left out. */
static void send_all(struct bed *bed, const char *kinds)
{
    for (uint64_t n = 0; kinds[n] != 0; n++) {
        if (kinds[n] == 'S')
            CHECK_EQ("skip", ed_sent_skip(&bed->log, MS(n)), EDDY_OK);
        else
            send(bed, flags_of(kinds[n]), MS(n));
    }
}

static void test_thresholds(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *kinds;
        ed_range range;
        uint64_t now_ns;
        const char *want;
        uint64_t loss_time_ns;
        unsigned in_flight; /* packets */
    } rows[] = {
        {"nothing before it", "DDDD", {0, 0}, MS(80), "AOOO", ED_NEVER_NS, 3},
        {"one before: suspected", "DD", {1, 1}, MS(80), "OA", MS(90), 1},
        {"two before", "DDDD", {2, 2}, MS(80), "OOAO", MS(90), 3},
        {"three before: one lost", "DDDDD", {3, 3}, MS(80), "LOOAO", MS(91), 3},
        {"five before: three lost", "DDDDDDD", {5, 5}, MS(80), "LLLOOAO", MS(93), 3},
        {"all acknowledged", "DDDDD", {0, 4}, MS(80), "AAAAA", ED_NEVER_NS, 0},
        {"just not old enough", "DDD", {2, 2}, MS(90) - 1, "OOA", MS(90), 2},
        {"old enough", "DDD", {2, 2}, MS(90), "LOA", MS(91), 1},
        {"both old enough", "DDD", {2, 2}, MS(91), "LLA", ED_NEVER_NS, 0},
        {"however old, not without an ack above", "DDDD", {0, 1}, MS(999), "AAOO", ED_NEVER_NS, 2},
        {"padding is lost likewise", "PDDDD", {4, 4}, MS(80), "LLOOA", MS(92), 2},
        {"an ACK alone is nobody's loss", "NDDDD", {4, 4}, MS(80), "OLOOA", MS(92), 2},
        {"nor a suspect", "DNNND", {0, 4}, MS(80), "AAAAA", ED_NEVER_NS, 0},
        {"nor stands in the way", "NNDND", {4, 4}, MS(80), "OOOOA", MS(92), 1},
        {"a number left out is not lost", "SDDDD", {4, 4}, MS(80), "SLOOA", MS(92), 2},
        {"but counts as one above", "DSSDD", {3, 3}, MS(80), "LSSAO", ED_NEVER_NS, 1},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed bed;
        bed_init(&bed);
        send_all(&bed, rows[i].kinds);
        struct acked acked = ack(&bed, rows[i].range.first, rows[i].range.last, rows[i].now_ns);
        CHECK_EQ(rows[i].name, acked.status, EDDY_OK);
        CHECK_EQ(rows[i].name, acked.count, rows[i].range.last - rows[i].range.first + 1);
        CHECK_EQ(rows[i].name, bed.loss.largest_acked, rows[i].range.last);
        detect(&bed, rows[i].now_ns);
        check_states(rows[i].name, &bed, rows[i].want);
        CHECK_EQ(rows[i].name, bed.loss.loss_time_ns, rows[i].loss_time_ns);
        CHECK_EQ(rows[i].name, bed.loss.in_flight, rows[i].in_flight * SIZE);
        check_valid(rows[i].name, &bed);
        CHECK_EQ(rows[i].name, detect(&bed, rows[i].now_ns), 0); // nothing is lost twice
        CHECK_EQ(rows[i].name, bed.loss.loss_time_ns, rows[i].loss_time_ns);
        ed_sent_log_free(&bed.log);
    }
}

static void test_ack_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_range range;
        eddy_status want;
        unsigned count;
    } rows[] = {
        {"never sent yet", {4, 6}, EDDY_EPROTO, 0},
        {"far above", {UINT64_MAX, UINT64_MAX}, EDDY_EPROTO, 0},
        {"everything there is", {0, UINT64_MAX}, EDDY_EPROTO, 0},
        {"backwards", {3, 2}, EDDY_EPROTO, 0},
        {"a number left out", {2, 2}, EDDY_EPROTO, 0},
        {"with one among them", {1, 4}, EDDY_EPROTO, 2},
        {"up to the last", {3, 5}, EDDY_OK, 3},
        {"without the one left out", {0, 1}, EDDY_OK, 2},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed bed;
        bed_init(&bed);
        send_all(&bed, "DDSDDD");
        struct acked acked = ack(&bed, rows[i].range.first, rows[i].range.last, MS(80));
        CHECK_EQ(rows[i].name, acked.status, rows[i].want);
        CHECK_EQ(rows[i].name, acked.count, rows[i].count);
        check_valid(rows[i].name, &bed);
        ed_sent_log_free(&bed.log);
    }
}

/** Ranges that repeat, overlap and join: each packet is given once. */
static void test_ack_repeats(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_range range;
        unsigned count;
        uint64_t newest, oldest;
    } rows[] = {
        {"the middle", {4, 5}, 2, 5, 4},   {"again", {4, 5}, 0, 0, 0},
        {"a part of it", {5, 5}, 0, 0, 0}, {"around it", {3, 6}, 2, 6, 3},
        {"below", {0, 1}, 2, 1, 0},        {"from there up", {0, 4}, 1, 2, 2},
        {"apart", {9, 9}, 1, 9, 9},        {"all but the last", {0, 10}, 3, 10, 7},
        {"all", {0, 11}, 1, 11, 11},       {"all again", {0, 11}, 0, 0, 0},
    };
    struct bed bed;
    bed_init(&bed);
    send_all(&bed, "DDDDDDDDDDDD");
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct acked acked = ack(&bed, rows[i].range.first, rows[i].range.last, MS(80));
        CHECK_EQ(rows[i].name, acked.status, EDDY_OK);
        CHECK_EQ(rows[i].name, acked.count, rows[i].count);
        CHECK_EQ(rows[i].name, acked.newest, rows[i].newest);
        CHECK_EQ(rows[i].name, acked.oldest, rows[i].oldest);
        check_valid(rows[i].name, &bed);
    }
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, 0, MS(80));
    CHECK_EQ("all dropped", ed_sent_count(&bed.log), 0);
    CHECK_EQ("an ACK may go on naming them", ack(&bed, 0, 11, MS(81)).status, EDDY_OK);
    ed_sent_log_free(&bed.log);
}

static void test_spurious(void **state)
{
    (void)state;
    struct bed bed;

    bed_init(&bed);
    send_all(&bed, "DDDDDDDD");
    ack(&bed, 6, 6, MS(80));
    CHECK_EQ("lost", detect(&bed, MS(80)), 4);
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, MS(25), MS(80));
    CHECK_EQ("remembered", ed_sent_count(&bed.log), 8);
    struct acked acked = ack(&bed, 2, 6, MS(85));
    CHECK_EQ("suspects and lost ones turn up", acked.count, 4);
    CHECK_EQ("two of them spurious", acked.spurious_count, 2);
    CHECK_EQ("in flight", bed.loss.in_flight, SIZE);
    CHECK_EQ("suspected before", bed.loss.loss_time_ns, MS(94));
    CHECK_EQ("no more", detect(&bed, MS(85)), 0);
    CHECK_EQ("no more", bed.loss.loss_time_ns, ED_NEVER_NS);
    check_valid("spurious", &bed);

    // 0 to 7 were sent until 7 ms; three probe timeouts of 145 ms later 0 and 1 are forgotten.
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, MS(25), MS(435));
    CHECK_EQ("sent 435 ms ago, still there", bed.log.first, 0);
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, MS(25), MS(435) + 1);
    CHECK_EQ("one more ns", bed.log.first, 1);
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, MS(25), MS(900));
    CHECK_EQ("all but what is in flight", bed.log.first, 7);
    CHECK_EQ("too late", ack(&bed, 0, 6, MS(901)).count, 0);
    check_valid("trimmed", &bed);
    ed_sent_log_free(&bed.log);
}

/** A path is left: all that is in flight on it is lost at once, and nobody's congestion. */
static void test_gives_up(void **state)
{
    static const struct {
        const char *name;
        const char *kinds;
        ed_range range; /* acknowledged before; none if empty */
        unsigned lost;
        const char *want;
    } rows[] = {
        {"nothing", "", {1, 0}, 0, ""},
        {"all, though none is acknowledged", "DDD", {1, 0}, 3, "LLL"},
        {"not what has arrived", "DDDD", {1, 2}, 2, "LAAL"},
        {"not an ACK alone, nor a number left out", "DNSP", {1, 0}, 2, "LOSL"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed bed;
        ed_sent *packet = NULL;
        unsigned lost = 0;
        bed_init(&bed);
        send_all(&bed, rows[i].kinds);
        if (rows[i].range.first <= rows[i].range.last)
            (void)ack(&bed, rows[i].range.first, rows[i].range.last, MS(50));
        bed.loss.pto_count = 5;
        ed_loss_losses losses = ed_loss_give_up(&bed.loss, &bed.log, MS(900));
        for (; ed_loss_next_lost(&losses, &packet); lost++)
            CHECK_EQ(rows[i].name, packet->state, ED_SENT_LOST);
        CHECK_EQ(rows[i].name, lost, rows[i].lost);
        check_states(rows[i].name, &bed, rows[i].want);
        check_valid(rows[i].name, &bed);
        CHECK_EQ(rows[i].name, bed.loss.in_flight, 0);
        CHECK_EQ(rows[i].name, ed_loss_deadline_ns(&bed.loss, &bed.rtt, true), ED_NEVER_NS);
        CHECK(rows[i].name, !ed_loss_take_persistent(&bed.loss, &bed.rtt, 0));
        send(&bed, DATA, MS(901));
        CHECK_EQ(rows[i].name, ed_loss_deadline_ns(&bed.loss, &bed.rtt, true), MS(901 + 145));
        ed_sent_log_free(&bed.log);
    }
}

/** However long nothing got through on a path that was left: its losses are no congestion. */
static void test_gives_up_without_persistence(void **state)
{
    struct bed bed;
    ed_sent *packet = NULL;

    (void)state;
    bed_init(&bed);
    send(&bed, DATA, MS(0));
    (void)ack(&bed, 0, 0, MS(80));
    for (unsigned n = 0; n < 5; n++)
        send(&bed, DATA, MS(100 + 400 * n));
    ed_loss_losses losses = ed_loss_give_up(&bed.loss, &bed.log, MS(2000));
    while (ed_loss_next_lost(&losses, &packet))
        continue;
    CHECK("not persistent", !ed_loss_take_persistent(&bed.loss, &bed.rtt, MS(25)));
    ed_sent_log_free(&bed.log);
}

static void test_forgets_by_number(void **state)
{
    (void)state;
    struct bed bed;

    bed_init(&bed);
    for (unsigned n = 0; n < 1100; n++)
        send(&bed, DATA, MS(1));
    ack(&bed, 2, 1024, MS(2));
    CHECK_EQ("lost", detect(&bed, MS(2)), 2);
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, 0, MS(2));
    CHECK_EQ("1,024 above it: remembered", bed.log.first, 0);
    ack(&bed, 1025, 1025, MS(2));
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, 0, MS(2));
    CHECK_EQ("1,025 above it: forgotten", bed.log.first, 1);
    ack(&bed, 1026, 1026, MS(2));
    ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, 0, MS(2));
    CHECK_EQ("the other too, and all that followed", bed.log.first, 1027);
    check_valid("forgotten", &bed);
    ed_sent_log_free(&bed.log);
}

static void test_deadline(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_loss loss;
        uint64_t smoothed_ms;
        bool clamp;
        uint64_t want_ns;
    } rows[] = {
#define NO_SUSPECT .loss_time_ns = ED_NEVER_NS
#define WAITING NO_SUSPECT, .ack_eliciting_in_flight = 1, .prompt_in_flight = 1
#define PATIENTLY NO_SUSPECT, .ack_eliciting_in_flight = 1
#define SINCE(probe, last) .probing_since_ns = MS(probe), .last_prompt_sent_ns = MS(last)
#define LAST(last) .last_ack_eliciting_sent_ns = MS(last)
        {"nothing in flight", {NO_SUSPECT, SINCE(0, 9), .pto_count = 3}, 80, true, UINT64_MAX},
        {"a suspect", {.loss_time_ns = 7}, 80, true, 7},
        {"a suspect is before a probe",
         {.loss_time_ns = MS(999), .ack_eliciting_in_flight = 1},
         80,
         true,
         MS(999)},
        {"the first probe", {WAITING, SINCE(0, 10)}, 80, false, MS(10 + 145)},
        {"is not clamped", {WAITING, SINCE(0, 10)}, 80, true, MS(10 + 145)},
        {"that of what is patient", {PATIENTLY, LAST(10)}, 80, false, MS(10 + 220)},
        {"what is patient puts nothing off", {WAITING, SINCE(0, 10), LAST(99)}, 80, false, MS(155)},
        {"what is prompt has come", {PATIENTLY, SINCE(0, 10), LAST(99)}, 80, false, MS(99 + 220)},
        {"doubled", {WAITING, SINCE(155, 155), .pto_count = 1}, 80, false, MS(155 + 290)},
        {"8 times", {WAITING, SINCE(155, 155), .pto_count = 3}, 80, false, MS(155 + 1160)},
        {"clamped to 60 ms", {WAITING, SINCE(155, 155), .pto_count = 1}, 50, true, MS(215)},
        {"to the round trip", {WAITING, SINCE(155, 155), .pto_count = 1}, 300, true, MS(455)},
        {"just before 5 s", {WAITING, SINCE(155, 5154), .pto_count = 9}, 80, true, MS(5234)},
        {"from 5 s on", {WAITING, SINCE(155, 5155), .pto_count = 9}, 80, true, MS(6155)},
        {"from 5 s on, not doubled much",
         {WAITING, SINCE(155, 5155), .pto_count = 1},
         80,
         true,
         MS(5155 + 290)},
        {"a round trip of 2 s, late",
         {WAITING, SINCE(155, 9155), .pto_count = 9},
         2000,
         true,
         MS(11155)},
        {"doubled at most 16 times",
         {WAITING, SINCE(0, 0), .pto_count = UINT32_MAX},
         80,
         false,
         MS(145) << 16},
        {"never means never",
         {WAITING, .last_prompt_sent_ns = UINT64_MAX - 1},
         80,
         false,
         UINT64_MAX},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rtt rtt = {0, MS(rows[i].smoothed_ms), MS(10), 0, true};
        uint64_t got_ns = ed_loss_deadline_ns(&rows[i].loss, &rtt, rows[i].clamp);
        CHECK_EQ(rows[i].name, got_ns, rows[i].want_ns);
    }
}

/** Whose timeout it is, while packets of both kinds come and go. */
static void test_haste(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t flags[3]; /* of packets sent 10 ms apart; 0: none */
        ed_range acked;   /* none if it is empty */
        uint64_t want_ms;
    } rows[] = {
        {"prompt", {DATA}, {1, 0}, 145},
        {"patient", {PATIENT}, {1, 0}, 220},
        {"the newest patient one", {PATIENT, PATIENT}, {1, 0}, 10 + 220},
        {"the newest prompt one", {DATA, DATA, PATIENT}, {1, 0}, 10 + 145},
        {"a prompt one behind", {PATIENT, PATIENT, DATA}, {1, 0}, 20 + 145},
        {"the prompt one has come", {DATA, PATIENT, PATIENT}, {0, 0}, 20 + 220},
        {"the patient one has come", {PATIENT, DATA}, {0, 0}, 10 + 145},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed bed;
        bed_init(&bed);
        for (size_t n = 0; n < ED_COUNT(rows[i].flags) && rows[i].flags[n] != 0; n++)
            send(&bed, rows[i].flags[n], MS(10 * n));
        if (rows[i].acked.first <= rows[i].acked.last)
            (void)ack(&bed, rows[i].acked.first, rows[i].acked.last, MS(90));
        CHECK_EQ(rows[i].name, detect(&bed, MS(90)), 0);
        CHECK_EQ(rows[i].name, ed_loss_deadline_ns(&bed.loss, &bed.rtt, false),
                 MS(rows[i].want_ms));
        check_valid(rows[i].name, &bed);
        ed_sent_log_free(&bed.log);
    }
}

/** A peer that has fallen silent is probed from deadline to deadline, then answers. */
static void test_probing(void **state)
{
    (void)state;
    struct bed bed;
    unsigned probes = 0;

    bed_init(&bed);
    send(&bed, DATA, 0);
    for (uint64_t now_ns = 0; probes < 70; probes++) {
        now_ns = ed_loss_deadline_ns(&bed.loss, &bed.rtt, true);
        uint64_t want_ms = probes <= 63 ? 145 + 80 * probes : 5185 + 1000 * (probes - 63);
        CHECK_EQ("probe", now_ns, MS(want_ms));
        CHECK("no suspect", !ed_loss_due(&bed.loss, now_ns));
        ed_loss_on_probe_timeout(&bed.loss, now_ns);
        send(&bed, DATA | ED_SENT_PROBE, now_ns);
    }
    CHECK_EQ("without an answer", bed.loss.pto_count, 70);
    CHECK_EQ("silence alone proves no loss", detect(&bed, MS(20000)), 0);
    ack(&bed, 70, 70, MS(20000));
    CHECK_EQ("an answer", bed.loss.pto_count, 0);
    CHECK_EQ("all the others are lost", detect(&bed, MS(20000)), 70);
    CHECK_EQ("nothing to wait for", ed_loss_deadline_ns(&bed.loss, &bed.rtt, true), ED_NEVER_NS);
    check_valid("probing", &bed);
    ed_sent_log_free(&bed.log);
}

/** It takes 3 x (80 + 40 + 25) = 435 ms between two lost packets that asked for an answer. */
static void test_persistent(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t sent_ms[4]; /* after an acknowledged packet 0 */
        const char *kinds;   /* as of send_all; A arrives as well */
        bool want;
    } rows[] = {
        {"long enough", {100, 300, 500, 536}, "DDDD", true},
        {"just not", {100, 300, 500, 535}, "DDDD", false},
        {"one arrived between", {100, 300, 500, 536}, "DADD", false},
        {"before", {100, 101, 500, 537}, "ADDD", true},
        {"after", {100, 101, 536, 537}, "DDDA", true},
        {"an end that asks for no answer", {100, 300, 500, 600}, "DDDP", false},
        {"a start that asks for none", {100, 300, 500, 600}, "PDDD", false},
        {"some between that ask for none", {100, 300, 500, 536}, "DPND", true},
        {"begun before the path was known", {80, 300, 500, 536}, "DDDD", false},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed bed;
        bed_init(&bed);
        send(&bed, DATA, 0);
        ack(&bed, 0, 0, MS(80));
        for (size_t n = 0; n < 4; n++)
            send(&bed, flags_of(rows[i].kinds[n]), MS(rows[i].sent_ms[n]));
        send(&bed, DATA, MS(2000));
        for (uint64_t n = 0; n < 4; n++)
            if (rows[i].kinds[n] == 'A')
                ack(&bed, 1 + n, 1 + n, MS(2080));
        ack(&bed, 5, 5, MS(2080));
        CHECK(rows[i].name, detect(&bed, MS(2080)) > 0);
        bool got = ed_loss_take_persistent(&bed.loss, &bed.rtt, MS(25));
        CHECK_EQ(rows[i].name, got, rows[i].want);
        CHECK(rows[i].name, !ed_loss_take_persistent(&bed.loss, &bed.rtt, MS(25)) || !got);
        ed_sent_log_free(&bed.log);
    }
}

/** Losses found one by one make the same run; one that turns up breaks it. */
static void test_persistent_in_parts(void **state)
{
    (void)state;
    for (int turns_up = 0; turns_up < 2; turns_up++) {
        struct bed bed;
        bed_init(&bed);
        send(&bed, DATA, 0);
        ack(&bed, 0, 0, MS(1));
        for (uint64_t n = 1; n <= 9; n++)
            send(&bed, DATA, MS(100 * n));
        ack(&bed, 7, 7, MS(1000));
        CHECK_EQ("first part", detect(&bed, MS(810)), 6);
        if (turns_up != 0)
            CHECK_EQ("turns up", ack(&bed, 3, 3, MS(811)).spurious_count, 1);
        bool got = ed_loss_take_persistent(&bed.loss, &bed.rtt, MS(25));
        CHECK_EQ("run", got, turns_up == 0);
        ed_sent_log_free(&bed.log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_ack_refused),
        cmocka_unit_test(test_ack_repeats),
        cmocka_unit_test(test_spurious),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_gives_up_without_persistence),
        cmocka_unit_test(test_forgets_by_number),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_haste),
        cmocka_unit_test(test_probing),
        cmocka_unit_test(test_persistent),
        cmocka_unit_test(test_persistent_in_parts),
    };
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
