/** An ACCEPT by who has not seen the nonce, to a client that has several INITIATEs under way. */
#include "tests/support/check.h"
#include "tests/support/conn_bed.h"
#include "tests/support/wire.h"

enum { NOW_NS = 1000 * 1000 };

static ed_conn_bed bed;
static ed_conn client;

static void arrive(uint8_t *data, size_t size)
{
    eddy_datagram datagram = {.remote = ed_wire_address(1), .data = data, .size = size};

    ed_conn_receive(&client, &datagram, NOW_NS);
}

static void send_all(void)
{
    uint8_t data[ED_DATAGRAM_SIZE];
    ed_path path;

    while (ed_conn_transmit(&client, &path, data, NOW_NS) > 0)
        continue;
}

/** @param shown the cookie that it refuses, or NULL. */
static void retry_with(uint8_t letter, const uint8_t *shown)
{
    uint8_t data[ED_RETRY_SIZE];
    ed_retry retry = {.version = ED_PROTOCOL_VERSION};

    memset(retry.cookie, letter, sizeof(retry.cookie));
    ed_retry_write(data, &retry, client.nonce, &bed.shared.identity->greeting, shown);
    arrive(data, sizeof(data));
    send_all();
}

/** It has sent an INITIATE of the cookie 'a', and the newest of 'b'. */
static void begin(void)
{
    uint8_t first[ED_COOKIE_SIZE];
    eddy_address server = ed_wire_address(1);

    ed_conn_bed_open(&bed, 1);
    CHECK_EQ("client",
             ed_conn_init_client(&client, &bed.shared, 1, &server, ed_conn_bed_dial(&bed),
                                 ed_conn_bed_last(&bed), NOW_NS),
             EDDY_OK);
    send_all();
    retry_with('a', NULL);
    memset(first, 'a', sizeof(first));
    retry_with('z', first);
    retry_with('b', NULL);
    CHECK_EQ("the newest", client.cookie[0], 'b');
}

static void a_stray_accept_costs_no_handshake(void **state)
{
    static const struct {
        const char *name;
        bool has_nonce;
        uint8_t reckoned; /* the cookie of the last INITIATE that was reckoned */
    } rows[] = {
        {"who has seen the nonce has all of them tried", true, 'a'},
        {"who has not, none", false, 'b'},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[ED_ACCEPT_SIZE] = {ED_FORM_ACCEPT};
        begin();
        uint64_t forged = bed.stats.dropped_forged;
        if (rows[i].has_nonce)
            memcpy(data + 4, client.nonce, ED_NONCE_SIZE);
        arrive(data, sizeof(data));
        CHECK_EQ(rows[i].name, client.cookie[0], rows[i].reckoned);
        CHECK_EQ(rows[i].name, bed.stats.dropped_forged, forged + 1);
        ed_conn_free(&client);
        ed_conn_bed_close(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_stray_accept_costs_no_handshake)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
