#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "transport/ticket.h"

#define DAY_NS (24 * 60 * 60 * ED_NS_PER_S)

static const uint8_t secret[ED_MAC_KEY_SIZE] = "the server's own";
static const eddy_address home = {.family = EDDY_FAMILY_IPV4, .ip = {192, 0, 2, 7}, .port = 4242};
static const ed_ticket_claim claim = {.secret = secret, .remote = &home, .protocol_id = 9};

static void a_ticket_is_good_for_what_it_was_given_for(void **state)
{
    static const uint8_t other_secret[ED_MAC_KEY_SIZE] = "another server's";
    static const eddy_address other_port = {
        .family = EDDY_FAMILY_IPV4, .ip = {192, 0, 2, 7}, .port = 1};
    static const eddy_address other_ip = {
        .family = EDDY_FAMILY_IPV4, .ip = {192, 0, 2, 8}, .port = 4242};
    static const eddy_address other_family = {
        .family = EDDY_FAMILY_IPV6, .ip = {192, 0, 2, 7}, .port = 4242};
    static const struct {
        const char *name;
        ed_ticket_claim claim;
        uint64_t at_ns;
        bool want;
    } rows[] = {
        {"the same", {secret, &home, 9}, ED_NS_PER_S, true},
        {"another port", {secret, &other_port, 9}, ED_NS_PER_S, true},
        {"another address", {secret, &other_ip, 9}, ED_NS_PER_S, false},
        {"another family", {secret, &other_family, 9}, ED_NS_PER_S, false},
        {"another game", {secret, &home, 8}, ED_NS_PER_S, false},
        {"another server, or it restarted", {other_secret, &home, 9}, ED_NS_PER_S, false},
        {"its last second", {secret, &home, 9}, ED_NS_PER_S + DAY_NS - 1, true},
        {"expired", {secret, &home, 9}, ED_NS_PER_S + DAY_NS, false},
        {"long expired", {secret, &home, 9}, 9 * DAY_NS, false},
        {"before it was given", {secret, &home, 9}, 0, false},
    };
    uint8_t ticket[ED_COOKIE_SIZE];

    (void)state;
    ed_ticket_make(ticket, &claim, ed_entropy_system(), ED_NS_PER_S);
    CHECK("a ticket", ed_is_ticket(ticket));
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_ticket_check(ticket, &rows[i].claim, rows[i].at_ns),
                 rows[i].want);
}

static void no_bit_of_it_may_change(void **state)
{
    uint8_t ticket[ED_COOKIE_SIZE];

    (void)state;
    ed_ticket_make(ticket, &claim, ed_entropy_system(), 0);
    for (size_t bit = 0; bit < 8 * sizeof(ticket); bit++) {
        ticket[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK("changed", !ed_ticket_check(ticket, &claim, 0));
        ticket[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK("as it was", ed_ticket_check(ticket, &claim, 0));
}

static void each_is_used_once_as_long_as_it_lives(void **state)
{
    enum { COUNT = 10000 };
    static uint8_t tickets[COUNT][ED_COOKIE_SIZE];
    ed_tickets used;
    size_t mistaken = 0;

    (void)state;
    ed_tickets_init(&used, ed_alloc_default());
    for (size_t i = 0; i < COUNT; i++) {
        eddy_address remote = home; // of one address in one second some would be the same
        remote.ip[1] = (uint8_t)i;
        remote.ip[2] = (uint8_t)(i >> 8);
        ed_ticket_claim its = {.secret = secret, .remote = &remote, .protocol_id = 9};
        ed_ticket_make(tickets[i], &its, ed_entropy_system(), 0);
        mistaken += !ed_tickets_use(&used, tickets[i]);
    }
    CHECK("hardly one is mistaken for another", mistaken <= 3);
    for (uint64_t hour = 0; hour <= 24; hour++) {
        ed_tickets_rotate(&used, hour * (DAY_NS / 24));
        for (size_t i = 0; i < COUNT; i++)
            CHECK("remembered", !ed_tickets_may_use(&used, tickets[i]));
    }
    ed_tickets_rotate(&used, 2 * DAY_NS);
    CHECK("forgotten when it has expired", ed_tickets_may_use(&used, tickets[0]));
    CHECK("use", ed_tickets_use(&used, tickets[1]));
    ed_tickets_rotate(&used, 9 * DAY_NS);
    CHECK("and after a gap", ed_tickets_may_use(&used, tickets[1]));
    ed_tickets_free(&used);
}

/** Of two managers that share what was used, one may be behind. */
static void a_clock_that_is_behind_forgets_nothing(void **state)
{
    uint8_t early[ED_COOKIE_SIZE], late[ED_COOKIE_SIZE];
    ed_tickets used;

    (void)state;
    memset(early, 0x81, sizeof(early));
    memset(late, 0x82, sizeof(late));
    ed_tickets_init(&used, ed_alloc_default());
    CHECK("early", ed_tickets_use(&used, early));
    ed_tickets_rotate(&used, DAY_NS);
    CHECK("late", ed_tickets_use(&used, late));
    ed_tickets_rotate(&used, DAY_NS - 1);
    CHECK("early", !ed_tickets_may_use(&used, early));
    CHECK("late", !ed_tickets_may_use(&used, late));
    ed_tickets_rotate(&used, DAY_NS);
    CHECK("and when it has caught up", !ed_tickets_may_use(&used, early));
    CHECK("and when it has caught up", !ed_tickets_may_use(&used, late));
    ed_tickets_free(&used);
}

static void a_purse_keeps_the_last_of_each_server(void **state)
{
    ed_purse purse = {0};
    uint8_t ticket[ED_COOKIE_SIZE] = {0x80}, got[ED_COOKIE_SIZE];
    eddy_address server = home;

    (void)state;
    CHECK("empty", !ed_purse_take(&purse, &server, got));
    ed_purse_put(&purse, &server, (uint8_t[ED_COOKIE_SIZE]){0});
    CHECK("zeros are no ticket", !ed_purse_take(&purse, &server, got));
    for (uint16_t port = 1; port <= ED_PURSE_SIZE + 1; port++) {
        server.port = port;
        ticket[1] = (uint8_t)port;
        ed_purse_put(&purse, &server, ticket);
    }
    ticket[2] = 1;
    ed_purse_put(&purse, &server, ticket);
    CHECK("the newest", ed_purse_take(&purse, &server, got) && got[2] == 1);
    CHECK("once", !ed_purse_take(&purse, &server, got));
    server.port = 1;
    CHECK("the oldest gave way", !ed_purse_take(&purse, &server, got));
    for (uint16_t port = 2; port <= ED_PURSE_SIZE; port++) {
        server.port = port;
        CHECK("the others are there", ed_purse_take(&purse, &server, got) && got[1] == port);
    }
}

static void memory_is_taken_for_what_was_used(void **state)
{
    const uint8_t ticket[ED_COOKIE_SIZE] = {0x80}, another[ED_COOKIE_SIZE] = {0x80, [8] = 1};
    ed_counting_alloc memory;
    ed_tickets used;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    ed_tickets_init(&used, &memory.allocator);
    memory.fail_after = 0;
    CHECK("is not, where there is none", !ed_tickets_may_use(&used, ticket));
    CHECK("nor whoever asked before", !ed_tickets_use(&used, ticket));
    memory.fail_after = UINT64_MAX;
    CHECK_EQ("none", memory.live_count, 0);
    CHECK("used", ed_tickets_may_use(&used, ticket) && ed_tickets_use(&used, ticket));
    CHECK_EQ("of a day", memory.live_count, 1);
    ed_tickets_rotate(&used, DAY_NS);
    CHECK("of two days", ed_tickets_use(&used, another) && memory.live_count == 2);
    ed_tickets_rotate(&used, 2 * DAY_NS);
    CHECK_EQ("the first has expired", memory.live_count, 1);
    ed_tickets_free(&used);
    CHECK_EQ("live", memory.live_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_good_for_what_it_was_given_for),
        cmocka_unit_test(no_bit_of_it_may_change),
        cmocka_unit_test(each_is_used_once_as_long_as_it_lives),
        cmocka_unit_test(a_clock_that_is_behind_forgets_nothing),
        cmocka_unit_test(a_purse_keeps_the_last_of_each_server),
        cmocka_unit_test(memory_is_taken_for_what_was_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
