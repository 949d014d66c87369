#include "transport/mtu.h"

#include "tests/support/check.h"

#define GAP_NS (100 * ED_NS_PER_MS)

/** A path that takes datagrams up to `takes`, and loses the probes of which `luck` has an 'x'. */
typedef struct path {
    ed_mtu mtu;
    uint32_t takes;
    const char *luck; /* "": all have luck */
    uint64_t number;
    uint64_t now_ns;
    uint32_t probes;
} path;

static path path_of(uint32_t limit, uint32_t takes, const char *luck)
{
    path p = {.takes = takes, .luck = luck, .number = 10, .now_ns = ED_NS_PER_S};

    ed_mtu_init(&p.mtu, limit);
    return p;
}

static ed_sent next_packet(path *p, uint32_t size, uint8_t flags)
{
    uint16_t bytes = (uint16_t)size;

    return (ed_sent){.number = p->number++, .sent_ns = p->now_ns, .size = bytes, .flags = flags};
}

/** Sends the probe that is due; its fate is known at once. @return false if none is. */
static bool probe(path *p)
{
    uint32_t size = ed_mtu_due(&p->mtu, p->now_ns);

    if (size == 0)
        return false;
    ed_sent packet = next_packet(p, size, ED_SENT_SIZE_PROBE);
    bool is_lucky = *p->luck == '\0' || *p->luck++ != 'x';
    ed_mtu_on_probe_sent(&p->mtu, GAP_NS, p->now_ns);
    p->probes++;
    if (is_lucky && size <= p->takes)
        (void)ed_mtu_on_acked(&p->mtu, &packet, p->now_ns);
    else
        ed_mtu_on_lost(&p->mtu, &packet, p->now_ns);
    return true;
}

static void search(path *p)
{
    while (p->mtu.is_searching) {
        p->now_ns = ed_max_u64(p->now_ns, ed_mtu_next_ns(&p->mtu));
        CHECK("a probe is due", probe(p));
    }
}

static void finds_what_passes(void **state)
{
    static const struct {
        const char *name;
        uint32_t limit, takes;
        const char *luck;
        uint32_t want, probes;
    } rows[] = {
        {"Ethernet", 1452, 1472, "", 1452, 1},
        {"just the limit", 1452, 1452, "", 1452, 1},
        {"a byte less", 1452, 1451, "", 1326, 4},
        {"a tunnel", 1452, 1372, "", 1326, 4},
        {"just the middle", 1452, 1326, "", 1326, 4},
        {"a byte less than the middle", 1452, 1325, "", 1200, 6},
        {"no more than every path", 1452, 1200, "", 1200, 6},
        {"a limit", 1300, 9000, "", 1300, 1},
        {"a limit that the path is below", 1300, 1299, "", 1200, 3},
        {"off", 1200, 9000, "", 1200, 0},
        {"two have no luck", 1452, 1472, "xx", 1452, 3},
        {"three have none", 1452, 1472, "xxx", 1326, 4},
        {"each size has its own tries", 1452, 1326, "xxxxx", 1326, 6},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        path p = path_of(rows[i].limit, rows[i].takes, rows[i].luck);
        CHECK_EQ(rows[i].name, ed_mtu_due(&p.mtu, p.now_ns), 0); // nobody has asked for more
        CHECK_EQ(rows[i].name, ed_mtu_on_full(&p.mtu, p.now_ns), rows[i].limit > ED_DATAGRAM_SIZE);
        search(&p);
        CHECK_EQ(rows[i].name, p.mtu.size, rows[i].want);
        CHECK_EQ(rows[i].name, p.probes, rows[i].probes);
        CHECK_EQ(rows[i].name, ed_mtu_next_ns(&p.mtu), ED_NEVER_NS);
    }
}

static void one_probe_at_a_time(void **state)
{
    path p = path_of(1452, 1200, "");

    (void)state;
    CHECK("asked", ed_mtu_on_full(&p.mtu, p.now_ns));
    CHECK("asked once", !ed_mtu_on_full(&p.mtu, p.now_ns));
    ed_mtu_on_probe_sent(&p.mtu, GAP_NS, p.now_ns);
    ed_sent first = next_packet(&p, 1452, ED_SENT_SIZE_PROBE);
    CHECK_EQ("in flight", ed_mtu_due(&p.mtu, p.now_ns + GAP_NS), 0);
    CHECK_EQ("no time", ed_mtu_next_ns(&p.mtu), ED_NEVER_NS);
    ed_mtu_on_lost(&p.mtu, &first, p.now_ns);
    CHECK_EQ("too soon", ed_mtu_due(&p.mtu, p.now_ns + GAP_NS - 1), 0);
    CHECK_EQ("a time", ed_mtu_next_ns(&p.mtu), p.now_ns + GAP_NS);
    CHECK_EQ("now", ed_mtu_due(&p.mtu, p.now_ns + GAP_NS), 1452);
    CHECK("late, and yet", ed_mtu_on_acked(&p.mtu, &first, p.now_ns));
    CHECK_EQ("grown", p.mtu.size, 1452);
    CHECK_EQ("found", ed_mtu_due(&p.mtu, p.now_ns + GAP_NS), 0);
}

static void searches_again_later(void **state)
{
    path p = path_of(1452, 1326, "");

    (void)state;
    (void)ed_mtu_on_full(&p.mtu, p.now_ns);
    search(&p);
    CHECK_EQ("a tunnel", p.mtu.size, 1326);
    p.takes = 1472;
    uint64_t again_ns = p.now_ns + ED_MTU_RAISE_NS;
    CHECK("not yet", !ed_mtu_on_full(&p.mtu, again_ns - 1));
    CHECK("now", ed_mtu_on_full(&p.mtu, again_ns));
    p.now_ns = again_ns;
    search(&p);
    CHECK_EQ("the tunnel is gone", p.mtu.size, 1452);
    CHECK("at the limit", !ed_mtu_on_full(&p.mtu, again_ns + ED_MTU_RAISE_NS));
}

static void another_path_begins_anew(void **state)
{
    path p = path_of(1452, 1472, "");

    (void)state;
    (void)ed_mtu_on_full(&p.mtu, p.now_ns);
    ed_sent old = next_packet(&p, 1452, ED_SENT_SIZE_PROBE);
    search(&p);
    ed_mtu_restart(&p.mtu, p.number);
    CHECK_EQ("every path", p.mtu.size, ED_DATAGRAM_SIZE);
    CHECK("the old path's", !ed_mtu_on_acked(&p.mtu, &old, p.now_ns));
    CHECK("at once", ed_mtu_on_full(&p.mtu, p.now_ns));
    search(&p);
    CHECK_EQ("found", p.mtu.size, 1452);
}

static void what_was_in_flight_counts_no_more(void **state)
{
    path p = path_of(1452, 1472, "");

    (void)state;
    (void)ed_mtu_on_full(&p.mtu, p.now_ns);
    ed_mtu_on_probe_sent(&p.mtu, GAP_NS, p.now_ns);
    ed_mtu_forget_flight(&p.mtu, ++p.number);
    CHECK_EQ("another may leave", ed_mtu_next_ns(&p.mtu), p.now_ns + GAP_NS);
    search(&p);
    CHECK_EQ("found", p.mtu.size, 1452);
}

/* ------------------------------------------------------------------------------ black hole -- */

/**
 * One packet for each letter, a third of a probe timeout after the one before: L large and lost, l
 * large and acknowledged, S and s the same of small ones, ( and ) a large one that left before
 * all these.
 */
static bool live(path *p, const char *script)
{
    ed_sent early = next_packet(p, 1452, 0);
    bool has_shrunk = false;

    for (; *script != '\0'; script++, p->now_ns += GAP_NS / 3 + 1) {
        bool is_large = *script == 'L' || *script == 'l';
        bool is_early = *script == '(' || *script == ')';
        ed_sent packet = is_early ? early : next_packet(p, is_large ? 1452 : 60, 0);
        if (*script == 'l' || *script == 's' || *script == ')')
            (void)ed_mtu_on_acked(&p->mtu, &packet, p->now_ns);
        else
            ed_mtu_on_lost(&p->mtu, &packet, p->now_ns);
        has_shrunk |= ed_mtu_is_black_hole(&p->mtu, GAP_NS, p->number, p->now_ns);
    }
    return has_shrunk;
}

/** What this machine does not let out. */
static void some_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t refused;
        bool is_probing; /* of 1,452 after 1,250 have passed */
        uint32_t size;   /* then */
        uint32_t probe;  /* that is due */
    } rows[] = {
        {"the probe", 1452, true, 1250, (1250 + 1452) / 2},
        {"the size that passed", 1250, true, ED_DATAGRAM_SIZE, 0},
        {"one that is smaller", 1220, true, ED_DATAGRAM_SIZE, 0},
        {"an old probe", 1452, false, 1250, 1452},
        {"a small one", ED_DATAGRAM_SIZE, true, 1250, 0},
        {"nothing", 0, false, 1250, 1452},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_mtu mtu;
        ed_mtu_init(&mtu, 1452);
        mtu.size = 1250;
        CHECK("search", ed_mtu_on_full(&mtu, GAP_NS));
        if (rows[i].is_probing)
            ed_mtu_on_probe_sent(&mtu, 0, GAP_NS);
        bool shrunk = ed_mtu_on_refused(&mtu, rows[i].refused, 7, GAP_NS);
        CHECK_EQ(rows[i].name, shrunk, rows[i].size == ED_DATAGRAM_SIZE);
        CHECK_EQ(rows[i].name, mtu.size, rows[i].size);
        CHECK_EQ(rows[i].name, ed_mtu_due(&mtu, GAP_NS), rows[i].probe);
        CHECK_EQ(rows[i].name, mtu.first, shrunk ? 7 : 0);
        CHECK_EQ(rows[i].name, ed_mtu_on_full(&mtu, 2 * GAP_NS), false);
    }
}

static void large_ones_lost_in_a_row(void **state)
{
    static const struct {
        const char *name;
        const char *script;
        bool want;
    } rows[] = {
        {"small ones pass for a probe timeout", "LLLLLLLLssss", true},
        {"not as long", "LLLLLLLLsss", false},
        {"none passes", "LLLLLLLLLLLLLLLL", false},
        {"small ones passed before", "ssssssLLLLLLLL", false},
        {"too few", "LLLLLLLssssssss", false},
        {"mixed", "LsLLsLsLLLsLs", true},
        {"a large one passes in the end", "LLLLLLLLssslssss", false},
        {"and in the middle", "LLLLLlLLLLLssss", false},
        {"small ones are lost, too", "LSLSLSLLLSLSLSssss", true},
        {"an outage: then all pass", "LLLLLLLLSLSLSsllssss", false},
        {"every fifth passes", "LLLLlLLLLlLLLLlLLLLlssss", false},
        {"an old one that is missed late", "LLLLLLLl((((((((ssss", false},
        {"an old one passes late", "LLLLLLLL)ssss", true},
        {"again after it passed", "LLLLlLLLLLLLLssss", true},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        path p = path_of(1452, 1472, "");
        (void)ed_mtu_on_full(&p.mtu, p.now_ns);
        search(&p);
        CHECK_EQ(rows[i].name, live(&p, rows[i].script), rows[i].want);
        CHECK_EQ(rows[i].name, p.mtu.size, rows[i].want ? ED_DATAGRAM_SIZE : 1452);
    }
}

static void rests_after_a_black_hole(void **state)
{
    path p = path_of(1452, 1472, "");

    (void)state;
    (void)ed_mtu_on_full(&p.mtu, p.now_ns);
    search(&p);
    ed_sent in_flight = next_packet(&p, 1452, 0);
    CHECK("fell", live(&p, "LLLLLLLLssss"));
    uint64_t fell_ns = p.now_ns - GAP_NS / 3 - 1;
    CHECK("not by what left before", !ed_mtu_on_acked(&p.mtu, &in_flight, p.now_ns));
    CHECK("not yet", !ed_mtu_on_full(&p.mtu, fell_ns + ED_MTU_REST_NS - 1));
    CHECK("now", ed_mtu_on_full(&p.mtu, fell_ns + ED_MTU_REST_NS));
    p.now_ns = fell_ns + ED_MTU_REST_NS;
    search(&p);
    CHECK_EQ("as before", p.mtu.size, 1452);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_passes),
        cmocka_unit_test(one_probe_at_a_time),
        cmocka_unit_test(searches_again_later),
        cmocka_unit_test(another_path_begins_anew),
        cmocka_unit_test(what_was_in_flight_counts_no_more),
        cmocka_unit_test(some_are_refused),
        cmocka_unit_test(large_ones_lost_in_a_row),
        cmocka_unit_test(rests_after_a_black_hole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
