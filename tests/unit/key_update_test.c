/** How keys change while packets go on. */
#include "tests/unit/protect_bed.h"

#include "tests/support/seeds.h"
#include "tests/support/splitmix.h"

enum { PTO_NS = 1000, UPDATE_AFTER = 10, LATE_NS = 3 * PTO_NS };

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

static void begin(struct protect_ends *ends)
{
    CHECK("cipher", protect_init(ends, ED_AEAD_CHACHA20, 0));
    ends->client.update_packets = ends->server.update_packets = UPDATE_AFTER;
}

/** Passes one packet at once. */
static bool pass(ed_keys *from, bool from_client, uint64_t number, ed_keys *to, uint64_t now_ns)
{
    return protect_open(&(struct protect_reader){.keys = to,
                                                 .expected = number,
                                                 .send_number = number,
                                                 .pto_ns = PTO_NS,
                                                 .now_ns = now_ns},
                        protect_seal(from, from_client, number, 2));
}

/* ------------------------------------------------------------------------------- when it is time
 * --
 */

static void when_keys_change(void **state)
{
    static const struct {
        const char *name;
        uint64_t acked; /* the number that was acknowledged; UINT64_MAX: none */
        uint64_t number;
        uint64_t now_ns;
        bool want;
    } rows[] = {
        {"too early", 3, UPDATE_AFTER - 1, 0, false},
        {"so many packets", 3, UPDATE_AFTER, 0, true},
        {"more", 3, 10 * UPDATE_AFTER, 0, true},
        {"none acknowledged", UINT64_MAX, UPDATE_AFTER, 0, false},
        {"just before its time", 3, 4, ED_KEY_LIFE_NS - 1, false},
        {"its time is over", 3, 4, ED_KEY_LIFE_NS, true},
        {"its time is over, nothing acknowledged", UINT64_MAX, 4, ED_KEY_LIFE_NS, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct protect_ends ends;
        begin(&ends);
        if (rows[i].acked != UINT64_MAX)
            ed_keys_on_acked(&ends.client, rows[i].acked);
        ed_keys_update(&ends.client, rows[i].number, PTO_NS, rows[i].now_ns);
        CHECK_EQ(rows[i].name, ends.client.send_phase, rows[i].want);
        CHECK_EQ(rows[i].name, ends.client.send_first, rows[i].want ? rows[i].number : 0);
        CHECK_EQ(rows[i].name, ends.client.receive_phase, false);
    }
}

/** Brings the client to its second key; the server has followed, and has acknowledged number 11. */
static void update_once(struct protect_ends *ends, uint64_t now_ns)
{
    begin(ends);
    ed_keys_on_acked(&ends->client, 3);
    ed_keys_update(&ends->client, UPDATE_AFTER, PTO_NS, now_ns);
    CHECK("opens", pass(&ends->client, true, UPDATE_AFTER, &ends->server, now_ns));
    CHECK_EQ("follows", ends->server.send_phase, true);
    CHECK_EQ("follows", ends->server.receive_phase, true);
    CHECK("answers", pass(&ends->server, false, UPDATE_AFTER, &ends->client, now_ns));
    CHECK_EQ("knows", ends->client.receive_phase, true);
}

static void one_change_at_a_time(void **state)
{
    static const struct {
        const char *name;
        uint64_t acked;
        uint64_t number;
        uint64_t later_ns;
        bool want;
    } rows[] = {
        {"all is well", UPDATE_AFTER, 2 * UPDATE_AFTER, LATE_NS, true},
        {"too few packets", UPDATE_AFTER, 2 * UPDATE_AFTER - 1, LATE_NS, false},
        {"too early", UPDATE_AFTER, 2 * UPDATE_AFTER, LATE_NS - 1, false},
        {"of an age", UPDATE_AFTER, UPDATE_AFTER + 1, ED_KEY_LIFE_NS, true},
        {"not yet of that age", UPDATE_AFTER, UPDATE_AFTER + 1, ED_KEY_LIFE_NS - 1, false},
        {"acknowledged of the old key only", UPDATE_AFTER - 1, 2 * UPDATE_AFTER, LATE_NS, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct protect_ends ends;
        update_once(&ends, 5);
        ed_keys_on_acked(&ends.client, rows[i].acked);
        ed_keys_update(&ends.client, rows[i].number, PTO_NS, 5 + rows[i].later_ns);
        CHECK_EQ(rows[i].name, !ends.client.send_phase, rows[i].want);
    }
}

/** While the peer has not followed there is no second change, whatever it acknowledges. */
static void the_peer_has_to_follow(void **state)
{
    struct protect_ends ends;

    (void)state;
    begin(&ends);
    ed_keys_on_acked(&ends.client, 3);
    ed_keys_update(&ends.client, UPDATE_AFTER, PTO_NS, 0);
    ed_keys_on_acked(&ends.client, UPDATE_AFTER);
    ed_keys_update(&ends.client, 5 * UPDATE_AFTER, PTO_NS, 100 * LATE_NS);
    CHECK_EQ("still the second", ends.client.send_first, UPDATE_AFTER);
    CHECK("its old key is good", pass(&ends.server, false, 50, &ends.client, 100 * LATE_NS));
}

/** One that followed may begin the next change, and not before the time that all have to wait. */
static void who_followed_waits_too(void **state)
{
    struct protect_ends ends;

    (void)state;
    update_once(&ends, 0);
    ed_keys_on_acked(&ends.server, UPDATE_AFTER);
    ed_keys_update(&ends.server, 3 * UPDATE_AFTER, PTO_NS, LATE_NS - 1);
    CHECK_EQ("too early", ends.server.send_phase, true);
    ed_keys_update(&ends.server, 3 * UPDATE_AFTER, PTO_NS, LATE_NS);
    CHECK_EQ("in time", ends.server.send_phase, false);
}

static void both_may_begin(void **state)
{
    struct protect_ends ends;

    (void)state;
    begin(&ends);
    ed_keys_on_acked(&ends.client, 3);
    ed_keys_on_acked(&ends.server, 3);
    ed_keys_update(&ends.client, UPDATE_AFTER, PTO_NS, 0);
    ed_keys_update(&ends.server, UPDATE_AFTER, PTO_NS, 0);
    CHECK("there", pass(&ends.client, true, UPDATE_AFTER, &ends.server, 1));
    CHECK("back", pass(&ends.server, false, UPDATE_AFTER, &ends.client, 1));
    CHECK_EQ("client", ends.client.send_phase && ends.client.receive_phase, true);
    CHECK_EQ("server", ends.server.send_phase && ends.server.receive_phase, true);
    CHECK_EQ("once", ends.server.send_first, UPDATE_AFTER);
    CHECK("and on", pass(&ends.client, true, UPDATE_AFTER + 1, &ends.server, 2));
    CHECK("and on", pass(&ends.server, false, UPDATE_AFTER + 1, &ends.client, 2));
}

/* --------------------------------------------------------------------------------- what is late --
 */

/** Packets from before a change; the first of the new key that came has number 14. */
static void late_packets(void **state)
{
    static const struct {
        const char *name;
        bool with_old_key;
        uint64_t number;
        uint64_t now_ns;
        bool want;
    } rows[] = {
        {"old, at once", true, 9, 0, true},
        {"old, just in time", true, 0, LATE_NS - 1, true},
        {"old, too late", true, 9, LATE_NS, false},
        {"old key, new number", true, 15, 0, false},
        {"new, before the first that came", false, 12, 0, true},
        {"new, before the first that came, late", false, 12, LATE_NS, true},
        {"new", false, 15, 0, true},
        {"new, late", false, 15, 10 * LATE_NS, true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct protect_ends ends;
        begin(&ends);
        ed_keys old = ends.client;
        ed_keys_on_acked(&ends.client, 3);
        ed_keys_update(&ends.client, UPDATE_AFTER, PTO_NS, 0);
        CHECK("the first", pass(&ends.client, true, 14, &ends.server, 0));
        ed_nonce_forget(); // 12 is sealed after 14
        CHECK_EQ(rows[i].name,
                 pass(rows[i].with_old_key ? &old : &ends.client, true, rows[i].number,
                      &ends.server, rows[i].now_ns),
                 rows[i].want);
        CHECK_EQ(rows[i].name, ends.server.forged_count, rows[i].want ? 0 : 1);
        CHECK("and on", pass(&ends.client, true, 16, &ends.server, rows[i].now_ns));
        CHECK_EQ("once", ends.server.receive_phase, true);
    }
}

/** A change that nobody who has the keys began changes nothing. */
static void forged_changes(void **state)
{
    struct protect_ends ends;

    (void)state;
    begin(&ends);
    ed_keys before = ends.server;
    ends.client.send_phase = true; // with the old key
    CHECK("refused", !pass(&ends.client, true, 20, &ends.server, 0));
    before.forged_count = 1;
    CHECK("untouched", memcmp(&before, &ends.server, sizeof(before)) == 0);
    ends.client.send_phase = false;
    CHECK("and on", pass(&ends.client, true, 21, &ends.server, 0));
}

/** Keys, secrets and nonces are new after a change; the header's mask is the same. */
static void what_changes(void **state)
{
    struct protect_ends ends;
    uint8_t seen[20][ED_KEY_SIZE];
    size_t count = 0;

    (void)state;
    begin(&ends);
    ed_ratchet first = ends.client.send;
    for (uint64_t round = 0; round < ED_COUNT(seen) / 2; round++) {
        ed_keys *client = &ends.client;
        uint64_t number = (round + 1) * UPDATE_AFTER, now_ns = round * LATE_NS;
        memcpy(seen[count++], client->send.key.key, ED_KEY_SIZE);
        memcpy(seen[count++], client->send.secret, ED_KEY_SIZE);
        ed_keys_on_acked(client, number - 1);
        ed_keys_update(client, number, PTO_NS, now_ns);
        CHECK("changes", client->send_first == number);
        CHECK_BYTES("mask", client->send.mask, first.mask, ED_MAC_KEY_SIZE);
        CHECK("iv", memcmp(client->send.key.iv, first.key.iv, ED_AEAD_NONCE_SIZE) != 0);
        CHECK("there", pass(client, true, number, &ends.server, now_ns));
        CHECK("back", pass(&ends.server, false, number, client, now_ns));
        CHECK_BYTES("same", &ends.server.receive, &client->send, sizeof(first));
        CHECK_BYTES("same", &ends.server.send, &client->receive, sizeof(first));
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK("new", memcmp(seen[i], seen[j], ED_KEY_SIZE) != 0);
}

static void no_key_seals_too_much(void **state)
{
    static const struct {
        const char *name;
        uint64_t first;
        uint64_t number;
        bool want;
    } rows[] = {
        {"the first", 0, 0, true},
        {"the last", 0, (UINT64_C(1) << 23) - 1, true},
        {"one more", 0, UINT64_C(1) << 23, false},
        {"with a later key", 5, UINT64_C(1) << 23, true},
        {"one more with that", 5, (UINT64_C(1) << 23) + 5, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct protect_ends ends;
        begin(&ends);
        CHECK_EQ("in time", ED_KEY_PACKETS, UINT64_C(1) << 22);
        ends.client.send_first = rows[i].first;
        CHECK_EQ(rows[i].name, ed_keys_may_seal(&ends.client, rows[i].number), rows[i].want);
    }
}

/* ---------------------------------------------------------------------------- against a model --
 */

enum { FLYING_MAX = 64, STEPS = 4000 };

/** What a receiver of generations 0, 1, 2 ... takes; of what it sends, which generation it is. */
struct model {
    uint64_t sends;
    uint64_t changed_ns; /* the time of the last change of what it sends */
    uint64_t takes;
    uint64_t takes_from; /* the lowest number of that generation */
    uint64_t old_until_ns;
    uint64_t next_number;
    uint64_t largest; /* that it received; acknowledged in all it sends */
    bool has_received;
    bool is_confirmed;
    uint64_t first; /* of the generation that it sends */
};

struct flight {
    bool is_used;
    bool has_ack;
    uint64_t due_ns;
    uint64_t generation;
    uint64_t number;
    uint64_t ack;
    struct protect_packet packet;
};

struct play {
    const char *name;
    struct protect_ends ends;
    struct model models[2]; /* the client, the server */
    struct flight flying[FLYING_MAX];
    uint64_t random;
    uint64_t now_ns;
    uint64_t changes;
    uint64_t late_refused;
};

static ed_keys *keys_of(struct play *play, bool is_client)
{
    return is_client ? &play->ends.client : &play->ends.server;
}

/** What a change of the sender's may be: not two in flight, and not two within 3 PTO. */
static void check_change(struct play *play, bool is_client)
{
    struct model *m = &play->models[is_client ? 0 : 1];
    const struct model *peer = &play->models[is_client ? 1 : 0];

    if ((m->sends & 1) == keys_of(play, is_client)->send_phase)
        return;
    CHECK(play->name, m->is_confirmed);
    CHECK(play->name, m->takes == m->sends && peer->takes == m->sends);
    CHECK(play->name, play->now_ns >= m->changed_ns + LATE_NS || m->sends == 0);
    CHECK(play->name, m->next_number - m->first >= UPDATE_AFTER);
    m->sends++;
    m->is_confirmed = false;
    m->first = m->next_number;
    m->changed_ns = play->now_ns;
    play->changes++;
}

static void send(struct play *play, bool is_client)
{
    struct model *m = &play->models[is_client ? 0 : 1];
    struct flight *f = &play->flying[splitmix_below(&play->random, FLYING_MAX)];

    m->next_number += splitmix_below(&play->random, 3); // some are left out
    ed_keys_update(keys_of(play, is_client), m->next_number, PTO_NS, play->now_ns);
    check_change(play, is_client);
    // Most arrive within a PTO, some much later; one that was in this place is lost.
    uint32_t delay = splitmix_below(&play->random, 10) == 0 ? 6 * PTO_NS : PTO_NS;
    *f = (struct flight){.is_used = splitmix_below(&play->random, 5) != 0,
                         .has_ack = m->has_received,
                         .due_ns = play->now_ns + splitmix_below(&play->random, delay),
                         .generation = m->sends,
                         .number = m->next_number,
                         .ack = m->largest,
                         .packet =
                             protect_seal(keys_of(play, is_client), is_client, m->next_number, 4)};
    m->next_number++;
}

/** Whether the model takes it. */
static bool takes(const struct play *play, const struct model *m, const struct flight *f)
{
    if (f->generation + 1 == m->takes)
        return play->now_ns < m->old_until_ns;
    return f->generation == m->takes || f->generation == m->takes + 1;
}

static void on_taken(struct play *play, struct model *m, const struct flight *f)
{
    if (f->generation > m->takes) {
        m->takes = f->generation;
        m->old_until_ns = play->now_ns + LATE_NS;
        m->changed_ns = play->now_ns;
        if (m->sends < m->takes) {
            m->sends = m->takes;
            m->first = m->next_number;
            m->is_confirmed = false;
        }
    }
    m->largest = ed_max_u64(m->largest, f->number);
    m->has_received = true;
    m->is_confirmed |= f->has_ack && f->ack >= m->first;
}

static void arrive(struct play *play, struct flight *f)
{
    bool is_client = !f->packet.from_client;
    struct model *m = &play->models[is_client ? 0 : 1];
    struct protect_reader reader = {.keys = keys_of(play, is_client),
                                    .expected = m->largest + 1,
                                    .send_number = m->next_number,
                                    .pto_ns = PTO_NS,
                                    .now_ns = play->now_ns};
    bool want = takes(play, m, f);

    f->is_used = false;
    CHECK_EQ(play->name, protect_open(&reader, f->packet), want);
    play->late_refused += want ? 0 : 1;
    if (!want)
        return;
    on_taken(play, m, f);
    if (f->has_ack)
        ed_keys_on_acked(reader.keys, f->ack);
    CHECK_EQ(play->name, reader.keys->send_phase, m->sends & 1);
    CHECK_EQ(play->name, reader.keys->receive_phase, m->takes & 1);
    CHECK_EQ(play->name, reader.keys->send_first, m->first);
}

static void play_for(struct play *play, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        play->now_ns += splitmix_below(&play->random, PTO_NS / 4);
        send(play, splitmix_below(&play->random, 2) == 0);
        for (size_t n = 0; n < FLYING_MAX; n++)
            if (play->flying[n].is_used && play->flying[n].due_ns <= play->now_ns)
                arrive(play, &play->flying[n]);
    }
}

/** Two ends that lose a third of all packets, have others late and change keys all the time. */
static void both_ends_agree_with_the_model(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(40);
    static struct play play;
    uint64_t changes = 0, late_refused = 0;

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++) {
        play = (struct play){.random = seeds.first + i};
        play.name = ed_seeds_announce("key_update_test", seeds.first + i);
        if (!protect_init(&play.ends, protect_aeads[i % 2], 0))
            continue;
        play.ends.client.update_packets = play.ends.server.update_packets = UPDATE_AFTER;
        play_for(&play, STEPS);
        changes += play.changes;
        late_refused += play.late_refused;
        CHECK(play.name, play.changes > 50);
    }
    CHECK("something came too late", late_refused > changes / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_keys_change),       cmocka_unit_test(one_change_at_a_time),
        cmocka_unit_test(the_peer_has_to_follow), cmocka_unit_test(who_followed_waits_too),
        cmocka_unit_test(both_may_begin),         cmocka_unit_test(late_packets),
        cmocka_unit_test(forged_changes),         cmocka_unit_test(what_changes),
        cmocka_unit_test(no_key_seals_too_much),  cmocka_unit_test(both_ends_agree_with_the_model),
    };
    return cmocka_run_group_tests_name("key update", tests, set_up, NULL);
}
