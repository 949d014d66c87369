/** Credit: what receivers grant out of a common room, never takes back, and shares in turn. */
#include "tests/support/check.h"

#include "core/base.h"
#include "tests/support/splitmix.h"
#include "transport/credit.h"

enum {
    BUDGET = 1 << 20,
    LARGEST = 100 * 1024,
    CONNECTIONS = 8,
    RTT_NS = 50 * 1000 * 1000,
};

#define SLOW_NS (3 * ED_NS_PER_S) /* more than windows are grown for */

static ed_credit_pool pool;
static uint64_t now_ns;

static int setup(void **state)
{
    (void)state;
    ed_credit_pool_init(&pool, BUDGET, LARGEST, CONNECTIONS);
    now_ns = 0;
    return 0;
}

static void open_credit(ed_credit_in *credit)
{
    CHECK("room for one more", ed_credit_in_init(credit, &pool, now_ns));
}

static void claim(ed_credit_in *credit, uint64_t charge)
{
    CHECK("granted", ed_credit_claim(credit, charge));
}

/** Updates so late that no window grows. */
static void update_slowly(ed_credit_in *credit)
{
    now_ns += SLOW_NS;
    ed_credit_update(credit, RTT_NS, now_ns);
    CHECK("valid", ed_credit_valid(credit));
}

/** A large message begins to arrive: its first part. */
static void begin_large(ed_credit_in *credit, size_t size)
{
    claim(credit, ed_charge_upto(size, ED_PART_SIZE_MIN));
    credit->demand += ed_charge_of(size);
    update_slowly(credit);
}

/** The rest of it comes, and the program gives it back. */
static void end_large(ed_credit_in *credit, size_t size)
{
    claim(credit, ed_charge_of(size) - ed_charge_upto(size, ED_PART_SIZE_MIN));
    credit->demand -= ed_charge_of(size);
    credit->consumed += ed_charge_of(size);
    update_slowly(credit);
}

/* ----------------------------------------------------------------------------------- charges -- */

static void what_is_charged(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        size_t end;
        uint64_t want;
    } rows[] = {
        {"empty", 0, 0, 64},
        {"small", 100, 100, 164},
        {"the largest in one piece", 1150, 1150, 1214},
        {"the smallest in parts", 1151, 512, 128 + 512},
        {"all of it", 1151, 1151, 128 + 1151},
        {"a part of a larger one", 5000, 1152, 128 + 1152},
        {"all but a byte", 5000, 4999, 128 + 4999},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_charge_upto(rows[i].size, rows[i].end), rows[i].want);
    for (size_t size = 0; size < 5000; size++)
        CHECK("never less than a message", ed_charge_of(size) >= size + EDDY_MESSAGE_CHARGE);
}

/* -------------------------------------------------------------------------------------- pool -- */

/** A byte of charge may cost one and a half of heap; the largest message stands twice for a moment.
 */
static void a_budget_is_shared_out(void **state)
{
    static const struct {
        const char *name;
        size_t budget;
        size_t largest;
        uint32_t connections;
        uint32_t initial;
    } rows[] = {
        {"the default", 64 << 20, 256 << 10, 1088, 7930},
        {"few connections", 64 << 20, 256 << 10, 64, ED_CREDIT_INITIAL},
        {"many connections", 64 << 20, 256 << 10, 2700, ED_CREDIT_INITIAL_MIN},
        {"none yet", 1 << 20, EDDY_PIECE_SIZE_MAX, 0, ED_CREDIT_INITIAL},
        {"the smallest budget", 64 << 10, 16 << 10, 1, ED_CREDIT_INITIAL_MIN},
        {"as large a message as may be", 64 << 20, 16 << 20, 1, ED_CREDIT_INITIAL},
        {"the largest of all", 128 << 20, 32 << 20, 1, ED_CREDIT_INITIAL},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const char *name = rows[i].name;
        ed_credit_pool p;
        ed_credit_pool_init(&p, rows[i].budget, rows[i].largest, rows[i].connections);
        uint64_t charges = p.windows_max + p.demands_max + p.unreliable_max;
        CHECK(name, charges + charges / 2 + rows[i].largest <= rows[i].budget);
        CHECK_EQ(name, p.window_initial, rows[i].initial);
        CHECK(name, p.window_initial <= p.windows_max && p.window_max >= p.window_initial);
        CHECK(name, p.demands_max >= ed_charge_of(rows[i].largest));
        CHECK(name, p.unreliable_max >= rows[i].budget / 16);
    }
}

static void windows_come_out_of_the_pool(void **state)
{
    static ed_credit_in many[BUDGET / ED_CREDIT_INITIAL_MIN];
    size_t count = 0;

    (void)state;
    while (ed_credit_in_init(&many[count], &pool, now_ns))
        count++;
    CHECK("as many as were asked for at least", count >= CONNECTIONS);
    CHECK_EQ("all of it", count, pool.windows_max / pool.window_initial);
    CHECK_EQ("what they have", pool.windows, count * pool.window_initial);
    ed_credit_in_free(&many[0]);
    CHECK("one may come for one that goes", ed_credit_in_init(&many[0], &pool, now_ns));
    for (size_t i = 0; i < count; i++)
        ed_credit_in_free(&many[i]);
    CHECK_EQ("all is back", pool.windows, 0);
}

/* -------------------------------------------------------------------------------- one window -- */

static void claims_end_at_the_limit(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    CHECK_EQ("granted at first", credit.limit, pool.window_initial);
    claim(&credit, credit.limit - 1);
    CHECK("one too many", !ed_credit_claim(&credit, 2));
    CHECK("any number too many", !ed_credit_claim(&credit, UINT64_MAX));
    CHECK_EQ("nothing was claimed", credit.claimed, credit.limit - 1);
    claim(&credit, 1);
    claim(&credit, 0);
    CHECK("none left", !ed_credit_claim(&credit, 1));
    ed_credit_in_free(&credit);
}

/** The limit follows in steps of half a window. */
static void half_a_window_is_news(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    uint64_t window = credit.window;
    claim(&credit, window - ED_CREDIT_STEP_MAX);
    credit.consumed += window / 2 - 1;
    update_slowly(&credit);
    CHECK_EQ("not yet", credit.limit, window);
    CHECK("nothing to say", !credit.pending);
    credit.consumed += 1;
    update_slowly(&credit);
    CHECK_EQ("now", credit.limit, window + window / 2);
    CHECK("to be told", credit.pending);
    CHECK_EQ("slow reading does not widen", credit.window, window);
    ed_credit_in_free(&credit);
}

/** Whose peer may not have enough for its next message is told of every bit: it may be enough. */
static void the_last_bytes_are_news(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    uint64_t window = credit.window;
    uint64_t kept = window / 2 - 1; // by the program
    claim(&credit, window - ED_CREDIT_STEP_MAX);
    credit.consumed = credit.claimed - kept;
    update_slowly(&credit);
    CHECK("there is enough", !credit.pending);
    claim(&credit, 1);
    update_slowly(&credit);
    CHECK_EQ("now there may not be", credit.limit, credit.consumed + window);
    CHECK("to be told", credit.pending);
    ed_credit_in_free(&credit);
}

/** Claims and consumes a window's worth within `duration_ns`. */
static void use_window(ed_credit_in *credit, uint64_t duration_ns)
{
    uint64_t charge = credit->limit - credit->claimed;

    claim(credit, charge);
    credit->consumed += charge;
    now_ns += duration_ns;
    ed_credit_update(credit, RTT_NS, now_ns);
    CHECK("valid", ed_credit_valid(credit));
}

static void a_window_that_is_used_up_grows(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    use_window(&credit, SLOW_NS);
    CHECK_EQ("not if it takes longer", credit.window, pool.window_initial);
    use_window(&credit, RTT_NS);
    CHECK_EQ("doubled", credit.window, 2 * pool.window_initial);
    for (unsigned i = 0; i < 20; i++)
        use_window(&credit, RTT_NS);
    CHECK_EQ("up to a share", credit.window, pool.window_max);
    CHECK_EQ("out of the pool", pool.windows, credit.window);
    ed_credit_in_free(&credit);
    CHECK_EQ("and back", pool.windows, 0);
}

/** Messages that go on while the path fails for a moment need not wait for credit. */
static void a_window_lasts_for_an_outage(void **state)
{
    enum { STEADY_MAX = 128 << 10 };
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    for (unsigned i = 0; i < 20; i++)
        use_window(&credit, ED_NS_PER_S);
    CHECK("it grew", credit.window > 2 * pool.window_initial);
    CHECK("not without end", credit.window <= STEADY_MAX);
    ed_credit_in_free(&credit);
}

/** What a program does not read for a moment its peer need not feel, while there is plenty. */
static void a_window_that_is_not_read_grows_to_half_the_room(void **state)
{
    enum { FEW = CONNECTIONS / 2 };
    static ed_credit_in many[FEW];

    (void)state;
    for (size_t i = 0; i < FEW; i++)
        open_credit(&many[i]);
    claim(&many[0], many[0].window / 2);
    update_slowly(&many[0]);
    CHECK_EQ("half of it is nothing yet", many[0].window, pool.window_initial);
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < FEW; i++) {
            claim(&many[i], many[i].limit - many[i].claimed);
            update_slowly(&many[i]);
        }
    CHECK("they grew", pool.windows > FEW * pool.window_initial);
    CHECK("not above half", pool.windows <= pool.windows_max / 2);
    for (size_t i = 0; i < FEW; i++)
        ed_credit_in_free(&many[i]);
}

/** However windows grow, those that may yet connect find room. */
static void growth_leaves_room_for_newcomers(void **state)
{
    static ed_credit_in many[CONNECTIONS];

    (void)state;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        open_credit(&many[i]);
        for (unsigned round = 0; round < 20; round++)
            for (size_t n = 0; n <= i; n++)
                use_window(&many[n], 0);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        ed_credit_in_free(&many[i]);
}

/** Windows that grow never take what there is not. */
static void growth_ends_with_the_pool(void **state)
{
    static ed_credit_in many[CONNECTIONS];

    (void)state;
    for (size_t i = 0; i < CONNECTIONS; i++)
        open_credit(&many[i]);
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < CONNECTIONS; i++) {
            use_window(&many[i], 0);
            CHECK("within", pool.windows <= pool.windows_max);
        }
    CHECK("most of it is in use", pool.windows > pool.windows_max / 2);
    for (size_t i = 0; i < CONNECTIONS; i++)
        ed_credit_in_free(&many[i]);
    CHECK_EQ("all is back", pool.windows, 0);
}

/* -------------------------------------------------------------------------------- the demand -- */

static void a_large_message_is_granted_whole(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    begin_large(&credit, LARGEST);
    CHECK_EQ("window and message", credit.limit, credit.window + ed_charge_of(LARGEST));
    CHECK_EQ("reserved", pool.demands, ed_charge_of(LARGEST));
    end_large(&credit, LARGEST);
    CHECK_EQ("given back", pool.demands, 0);
    CHECK("a window again", credit.limit - credit.consumed <= credit.window);
    ed_credit_in_free(&credit);
}

/** Small messages that are given back meanwhile do not eat what the large one was promised. */
static void what_is_reserved_stays_until_the_message_is_here(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    begin_large(&credit, LARGEST);
    for (unsigned i = 0; i < 100; i++) {
        claim(&credit, 1000);
        credit.consumed += 1000;
        update_slowly(&credit);
        CHECK_EQ("still reserved", pool.demands, ed_charge_of(LARGEST));
        CHECK("still granted",
              credit.limit - credit.claimed + credit.window / 2 >= ed_charge_of(LARGEST));
    }
    end_large(&credit, LARGEST);
    CHECK_EQ("given back", pool.demands, 0);
    ed_credit_in_free(&credit);
}

/** How many of the largest messages the room for them holds at once. */
static size_t largest_fit(void)
{
    return (size_t)(pool.demands_max / ed_charge_of(LARGEST));
}

static void first_come_first_served(void **state)
{
    static ed_credit_in many[CONNECTIONS];
    size_t fit = largest_fit();

    (void)state;
    CHECK("the test fits its budget", fit >= 1 && fit + 3 <= CONNECTIONS);
    for (size_t i = 0; i < fit + 3; i++) {
        open_credit(&many[i]);
        begin_large(&many[i], i == fit + 1 ? 20000 : LARGEST);
        CHECK_EQ("granted or waiting", ed_list_linked(&many[i].waiting), i >= fit);
    }
    for (size_t i = 0; i < 3; i++)
        for (size_t n = 0; n < 3; n++) {
            update_slowly(&many[fit + n]);
            CHECK("a small one does not pass by", ed_list_linked(&many[fit + n].waiting));
        }
    end_large(&many[0], LARGEST);
    update_slowly(&many[fit + 1]);
    CHECK("it is the first one's turn", ed_list_linked(&many[fit + 1].waiting));
    update_slowly(&many[fit]);
    CHECK("which has it", !ed_list_linked(&many[fit].waiting));
    CHECK_EQ("whole", many[fit].limit, many[fit].window + ed_charge_of(LARGEST));
    for (size_t i = 0; i < fit + 3; i++)
        ed_credit_in_free(&many[i]);
    CHECK_EQ("nothing is reserved", pool.demands, 0);
    CHECK("nobody waits", ed_list_empty(&pool.waiting));
}

/** Who waits and wants no more, as its message was given up, is in nobody's way. */
static void who_wants_no_more_does_not_wait(void **state)
{
    static ed_credit_in many[CONNECTIONS];
    size_t fit = largest_fit();

    (void)state;
    for (size_t i = 0; i < fit + 2; i++) {
        open_credit(&many[i]);
        begin_large(&many[i], LARGEST);
    }
    many[fit].demand = 0;
    many[fit].consumed = many[fit].claimed;
    update_slowly(&many[fit]);
    CHECK("it left", !ed_list_linked(&many[fit].waiting));
    end_large(&many[0], LARGEST);
    update_slowly(&many[fit + 1]);
    CHECK("the next has its turn", !ed_list_linked(&many[fit + 1].waiting));
    for (size_t i = 0; i < fit + 2; i++)
        ed_credit_in_free(&many[i]);
}

/** Who begins more than there can ever be room for gets room for two, and is in nobody's way. */
static void who_begins_too_much_keeps_nobody_out(void **state)
{
    ed_credit_in greedy, modest;

    (void)state;
    open_credit(&greedy);
    for (unsigned i = 0; i < 5; i++)
        begin_large(&greedy, LARGEST);
    CHECK("more than there is", greedy.demand > pool.demands_max);
    CHECK("it does not wait for that", !ed_list_linked(&greedy.waiting));
    CHECK_EQ("reserved", pool.demands, 2 * ed_charge_of(LARGEST));
    open_credit(&modest);
    begin_large(&modest, 20000);
    CHECK("another's turn", !ed_list_linked(&modest.waiting));
    CHECK_EQ("granted whole", modest.limit, modest.window + ed_charge_of(20000));
    ed_credit_in_free(&greedy);
    ed_credit_in_free(&modest);
}

/** The window of who waits for room for a large message goes on. */
static void who_waits_goes_on_with_its_window(void **state)
{
    static ed_credit_in many[CONNECTIONS];
    size_t fit = largest_fit();

    (void)state;
    for (size_t i = 0; i < fit + 1; i++) {
        open_credit(&many[i]);
        begin_large(&many[i], LARGEST);
    }
    ed_credit_in *waiting = &many[fit];
    for (unsigned i = 0; i < 100; i++) {
        claim(waiting, 500);
        waiting->consumed += 500;
        update_slowly(waiting);
        CHECK("it still waits", ed_list_linked(&waiting->waiting));
    }
    for (size_t i = 0; i < fit + 1; i++)
        ed_credit_in_free(&many[i]);
}

/** What programs hold of connections that are over takes from the room for large messages. */
static void orphans_take_room(void **state)
{
    ed_credit_in credit;

    (void)state;
    open_credit(&credit);
    pool.orphans = pool.demands_max - ed_charge_of(LARGEST) + 1;
    begin_large(&credit, LARGEST);
    CHECK("a byte too many", ed_list_linked(&credit.waiting));
    pool.orphans -= 1;
    update_slowly(&credit);
    CHECK("given back", !ed_list_linked(&credit.waiting));
    ed_credit_in_free(&credit);
    pool.orphans = 0;
}

/* -------------------------------------------------------------------------------- the driver -- */

/** A peer that sends large messages, one after the other, and small ones in between. */
struct peer {
    ed_credit_in credit;
    uint64_t used;  /* charge that it has sent */
    uint64_t held;  /* that its program has not given back */
    uint64_t seen;  /* the limit at the last look */
    size_t size;    /* of the large message it sends; 0: none */
    size_t end;     /* how far */
    unsigned begun; /* large messages, */
    unsigned ended; /* and how many are through */
};

static void send_charge(struct peer *peer, uint64_t charge)
{
    claim(&peer->credit, charge);
    peer->used += charge;
    CHECK_EQ("claimed is used", peer->credit.claimed, peer->used);
}

static void send_part(struct peer *peer, uint64_t *seed)
{
    uint64_t before = peer->size == 0 ? 0 : ed_charge_upto(peer->size, peer->end);
    size_t size = peer->size == 0 ? 1151 + splitmix_below(seed, LARGEST - 1150) : peer->size;
    size_t end = ed_min_size(size, (peer->size == 0 ? 0 : peer->end) + ED_PAGE_SIZE);
    uint64_t charge = ed_charge_upto(size, end) - before;

    if (charge > peer->credit.limit - peer->used)
        return;
    send_charge(peer, charge);
    if (peer->size == 0) {
        peer->credit.demand += ed_charge_of(size);
        peer->begun++;
    }
    peer->size = size;
    peer->end = end;
    if (end < size)
        return;
    peer->credit.demand -= ed_charge_of(size);
    peer->held += ed_charge_of(size);
    peer->size = 0;
    peer->ended++;
}

static void send_small(struct peer *peer, uint64_t *seed)
{
    uint64_t charge = EDDY_MESSAGE_CHARGE + splitmix_below(seed, EDDY_PIECE_SIZE_MAX);

    if (charge > peer->credit.limit - peer->used)
        return;
    send_charge(peer, charge);
    peer->held += charge;
}

static void give_back(struct peer *peer, uint64_t most)
{
    uint64_t charge = ed_min_u64(peer->held, most);

    peer->held -= charge;
    peer->credit.consumed += charge;
}

static void check_peer(struct peer *peer)
{
    CHECK("valid", ed_credit_valid(&peer->credit));
    CHECK("never taken back", peer->credit.limit >= peer->seen);
    peer->seen = peer->credit.limit;
}

static void check_pool(const struct peer *peers, size_t count)
{
    uint64_t windows = 0, reserved = 0;

    for (size_t i = 0; i < count; i++) {
        windows += peers[i].credit.window;
        reserved += peers[i].credit.reserved;
    }
    CHECK_EQ("windows", pool.windows, windows);
    CHECK_EQ("demands", pool.demands, reserved);
    CHECK("within", windows <= pool.windows_max && reserved + pool.orphans <= pool.demands_max);
}

static void step(struct peer *peer, uint64_t *seed)
{
    switch (splitmix_below(seed, 4)) {
    case 0:
        send_part(peer, seed);
        break;
    case 1:
        send_small(peer, seed);
        break;
    case 2:
        give_back(peer, splitmix_below(seed, 20000));
        break;
    default:
        break;
    }
    now_ns += splitmix_below(seed, RTT_NS);
    ed_credit_update(&peer->credit, RTT_NS, now_ns);
    check_peer(peer);
}

/** Peers at random: all stays in order, and none is left behind for ever. */
static void a_crowd_goes_on(void **state)
{
    enum { SEEDS = 20, ROUNDS = 30 * 1000 };
    static struct peer peers[CONNECTIONS];

    for (uint64_t seed_of_run = 1; seed_of_run <= SEEDS; seed_of_run++) {
        uint64_t seed = seed_of_run;
        setup(state);
        memset(peers, 0, sizeof(peers));
        for (size_t i = 0; i < CONNECTIONS; i++)
            open_credit(&peers[i].credit);
        for (unsigned round = 0; round < ROUNDS; round++) {
            step(&peers[splitmix_below(&seed, CONNECTIONS)], &seed);
            check_pool(peers, CONNECTIONS);
        }
        unsigned ended_before[CONNECTIONS];
        for (size_t i = 0; i < CONNECTIONS; i++)
            ended_before[i] = peers[i].ended;
        for (unsigned round = 0; round < ROUNDS; round++)
            step(&peers[splitmix_below(&seed, CONNECTIONS)], &seed);
        for (size_t i = 0; i < CONNECTIONS; i++) {
            CHECK("it went on", peers[i].ended > ended_before[i] + 1);
            ed_credit_in_free(&peers[i].credit);
        }
        CHECK("all is back", pool.windows == 0 && pool.demands == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_charged, setup),
        cmocka_unit_test_setup(a_budget_is_shared_out, setup),
        cmocka_unit_test_setup(windows_come_out_of_the_pool, setup),
        cmocka_unit_test_setup(claims_end_at_the_limit, setup),
        cmocka_unit_test_setup(half_a_window_is_news, setup),
        cmocka_unit_test_setup(the_last_bytes_are_news, setup),
        cmocka_unit_test_setup(a_window_that_is_used_up_grows, setup),
        cmocka_unit_test_setup(a_window_lasts_for_an_outage, setup),
        cmocka_unit_test_setup(a_window_that_is_not_read_grows_to_half_the_room, setup),
        cmocka_unit_test_setup(growth_leaves_room_for_newcomers, setup),
        cmocka_unit_test_setup(growth_ends_with_the_pool, setup),
        cmocka_unit_test_setup(a_large_message_is_granted_whole, setup),
        cmocka_unit_test_setup(what_is_reserved_stays_until_the_message_is_here, setup),
        cmocka_unit_test_setup(first_come_first_served, setup),
        cmocka_unit_test_setup(who_wants_no_more_does_not_wait, setup),
        cmocka_unit_test_setup(who_begins_too_much_keeps_nobody_out, setup),
        cmocka_unit_test_setup(who_waits_goes_on_with_its_window, setup),
        cmocka_unit_test_setup(orphans_take_room, setup),
        cmocka_unit_test_setup(a_crowd_goes_on, setup),
    };
    return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
