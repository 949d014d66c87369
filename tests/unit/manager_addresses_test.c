/** The manager's map of addresses, when connections move about. */
#include "tests/unit/manager_bed.h"
#include "transport/manager_state.h"

/** Sends a datagram by id, from the peer's new address. */
static void arrive_moved(struct bed *bed, uint32_t from, eddy_connection handle)
{
    arrive(bed, from, WORD_ID | WORD_MOVED | ed_wire_id_of(handle) >> 8);
}

/** Who has the address of the n-th peer: says something from there. 0: a newcomer. */
static eddy_connection owner_of(struct bed *bed, uint32_t n, uint64_t now_ms)
{
    uint32_t count = ed_manager_connection_count(bed->manager);

    arrive(bed, n, 1);
    poll_at(bed, now_ms);
    eddy_connection owner = want_event(bed, "owner", FAKE_DATAGRAM).connection;
    return ed_manager_connection_count(bed->manager) == count ? owner : 0;
}

/** The map follows the connections, whoever had the address before; each ends by itself. */
static void addresses_follow_connections(void **state)
{
    struct bed *bed = bed_open((struct bed_limits){0, 8, 8});

    (void)state;
    eddy_connection first = meet(bed, 1, 1), second = meet(bed, 2, 1);
    arrive_moved(bed, 5, first);
    poll_at(bed, 2);
    CHECK_EQ("the new address is its", owner_of(bed, 5, 3), first);

    arrive_moved(bed, 2, first); // the address of the second
    poll_at(bed, 4);
    CHECK_EQ("who came last", owner_of(bed, 2, 5), first);
    arrive_moved(bed, 5, second); // and they have swapped
    poll_at(bed, 6);
    CHECK_EQ("the one", owner_of(bed, 2, 7), first);
    CHECK_EQ("the other", owner_of(bed, 5, 7), second);
    CHECK_EQ("nobody was lost", ed_manager_connection_count(bed->manager), 2);

    arrive_moved(bed, 5, first); // takes it from the second, which then ends
    poll_at(bed, 8);
    order(bed, second, FAKE_END, 0);
    poll_at(bed, 9);
    CHECK_EQ("not taken along", owner_of(bed, 5, 10), first);
    CHECK_EQ("the old ones are free", owner_of(bed, 2, 11), 0);
    CHECK_EQ("the old ones are free", owner_of(bed, 1, 11), 0);
    bed_close(bed);
}

/** Whether the n-th peer's address leads to the connection. */
static bool leads_to(const struct bed *bed, uint32_t n, eddy_connection handle)
{
    eddy_address address = peer(n);
    const ed_manager_slot *slot = ed_manager_find_address(bed->manager, &address, ED_SIDE_INCOMING);

    return slot != NULL && slot->handle == handle;
}

/** Without memory for the map a connection is found where it was, until the next datagram. */
static void no_memory_to_follow(void **state)
{
    enum { MANY = 128, AWAY = 1000 }; // a power of two: with all of them the map is full
    struct bed *bed = bed_open((struct bed_limits){0, MANY, MANY});
    unsigned failures = 0;

    (void)state;
    eddy_connection first = meet(bed, AWAY, 1);
    for (uint32_t n = 1; n < MANY; n++) { // and the last move meets its limit
        uint32_t to = AWAY + n;
        (void)meet(bed, n, n);
        bed->memory.fail_after = 0;
        arrive_moved(bed, to, first);
        poll_at(bed, n);
        bool failed = !leads_to(bed, to, first);
        CHECK_EQ("one or the other", leads_to(bed, to - 1, first), failed);
        failures += failed ? 1 : 0;
        bed->memory.fail_after = UINT64_MAX;
        arrive_moved(bed, to, first);
        poll_at(bed, n);
        CHECK("then there", leads_to(bed, to, first) && !leads_to(bed, to - 1, first));
    }
    CHECK("it was tried", failures > 0);
    bed_close(bed);
}

/** A newcomer at somebody's address that comes to nothing takes the address from nobody. */
static void a_failed_newcomer_takes_nothing(void **state)
{
    static const struct {
        const char *name;
        bool fails;
        bool keeps; /* who was there first has the address */
    } rows[] = {{"it comes to something", false, false}, {"it fails", true, true}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed *bed = bed_open((struct bed_limits){0, 4, 4});
        eddy_connection first = meet(bed, 1, 1);
        bed->fake.stays = true;
        bed->fake.fails_to_create = rows[i].fails;
        arrive(bed, 1, WORD_HANDSHAKE | 1);
        poll_at(bed, 2);
        CHECK_EQ(rows[i].name, leads_to(bed, 1, first), rows[i].keeps);
        CHECK_EQ(rows[i].name, ed_manager_connection_count(bed->manager), rows[i].fails ? 1 : 2);
        arrive(bed, 2, WORD_HANDSHAKE | 2); // and at an address of its own it leaves no trace
        poll_at(bed, 3);
        eddy_address own = peer(2);
        CHECK_EQ(rows[i].name,
                 ed_manager_find_address(bed->manager, &own, ED_SIDE_INCOMING) == NULL,
                 rows[i].fails);
        bed_close(bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_follow_connections),
        cmocka_unit_test(no_memory_to_follow),
        cmocka_unit_test(a_failed_newcomer_takes_nothing),
    };
    return cmocka_run_group_tests_name("manager_addresses", tests, NULL, NULL);
}
