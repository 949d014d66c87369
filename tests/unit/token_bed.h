/** A backend, two servers and a token for them, with numbers that are easy to tell apart. */
#ifndef ED_TEST_TOKEN_BED_H
#define ED_TEST_TOKEN_BED_H

#include "tests/support/check.h"

#include "core/addr.h"
#include "core/base.h"
#include "transport/token.h"

enum {
    BED_ISSUED_S = 1000,
    BED_EXPIRES_S = 1060,
    BED_SERVER_ID = 9,
    BED_OTHER_SERVER_ID = 10,
};

#define BED_PROTOCOL_ID UINT64_C(0x0102030405060708)
#define BED_CLIENT_ID UINT64_C(0x1122334455667788)

static const eddy_key bed_issuer = {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                     11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                     22, 23, 24, 25, 26, 27, 28, 29, 30, 31}};

/** Randomness whose n-th draw is n, n, n ... */
static inline void bed_fill(void *context, void *data, size_t size)
{
    unsigned *draws = context;

    memset(data, (int)++*draws, size);
}

/** Issues a token for the first `server_count` of the two servers and 14 more. */
static inline eddy_status bed_issue(char text[EDDY_TOKEN_TEXT_MAX], eddy_token_grant grant,
                                    size_t server_count)
{
    eddy_token_server servers[EDDY_TOKEN_SERVERS_MAX + 1] = {
        {.address = ed_addr_ipv4(192, 0, 2, 7, 4242), .server_id = BED_SERVER_ID},
        {.address = {.ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 65535, .family = 6},
         .server_id = BED_OTHER_SERVER_ID},
    };
    unsigned draws = 0;
    const eddy_entropy entropy = {.context = &draws, .fill = bed_fill};

    for (size_t i = 0; i < ED_COUNT(servers); i++) {
        if (i >= 2)
            servers[i] = (eddy_token_server){.address = ed_addr_ipv4(198, 51, 100, (uint8_t)i, 1),
                                             .server_id = 100 + i};
        memset(servers[i].public_key.bytes, (int)(0x70 + i), EDDY_KEY_SIZE);
    }
    grant.servers = servers;
    grant.server_count = server_count;
    return ed_token_issue(text, &grant, &bed_issuer, &entropy);
}

static inline eddy_token_grant bed_grant(void)
{
    return (eddy_token_grant){
        .protocol_id = BED_PROTOCOL_ID,
        .client_id = BED_CLIENT_ID,
        .issued_s = BED_ISSUED_S,
        .expires_s = BED_EXPIRES_S,
        .user_data = "red team",
        .user_data_size = 8,
    };
}

/** A token for both servers. */
static inline void bed_token(char text[EDDY_TOKEN_TEXT_MAX])
{
    CHECK_EQ("a token", bed_issue(text, bed_grant(), 2), EDDY_OK);
}

static inline int bed_set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

#endif
