#include "tests/support/issuer.h"

#include <string.h>

#include "core/base.h"
#include "tests/support/keys.h"

static const eddy_key issuer = {{0x1b, 0x5e}};

uint64_t ed_test_now_s = ED_TEST_NOW_S;

ed_test_grant ed_test_grant_of(uint64_t client_id, const eddy_address *server)
{
    return (ed_test_grant){.protocol_id = ED_TEST_GAME,
                           .server_id = ED_TEST_SERVER_ID,
                           .client_id = client_id,
                           .issued_s = ED_TEST_NOW_S,
                           .address = *server,
                           .server_key = ed_test_public(),
                           .issuer = &issuer};
}

/** What follows from the grant: a token of the same grant is the same token. */
static void fill(void *context, void *data, size_t size)
{
    const ed_test_grant *grant = context;
    uint8_t made[64];

    ED_ASSERT(size <= sizeof(made));
    ed_blake2b(made, sizeof(made), grant, sizeof(*grant), NULL, 0);
    memcpy(data, made, size);
}

void ed_test_issue(char text[EDDY_TOKEN_TEXT_MAX], const ed_test_grant *grant)
{
    ed_test_grant all;
    eddy_token_server server = {
        .address = grant->address, .public_key = *grant->server_key, .server_id = grant->server_id};
    const eddy_token_grant said = {.protocol_id = grant->protocol_id,
                                   .client_id = grant->client_id,
                                   .issued_s = grant->issued_s,
                                   .expires_s = grant->issued_s + ED_TEST_TOKEN_LIFE_S,
                                   .servers = &server,
                                   .server_count = 1};

    memset(&all, 0, sizeof(all)); // and what lies between the fields
    all.protocol_id = grant->protocol_id;
    all.server_id = grant->server_id;
    all.client_id = grant->client_id;
    all.issued_s = grant->issued_s;
    const eddy_entropy entropy = {.context = &all, .fill = fill};
    eddy_status status = ed_token_issue(text, &said, grant->issuer, &entropy);
    ED_ASSERT(status == EDDY_OK);
}

static uint64_t unix_s(void *context)
{
    (void)context;
    return ed_test_now_s;
}

void ed_test_take_tokens(eddy_config *config)
{
    static const eddy_calendar calendar = {.unix_s = unix_s};
    static eddy_key token_key;

    token_key = eddy_key_token(&issuer, ED_TEST_SERVER_ID);
    config->modes = EDDY_MODE_TOKEN;
    config->protocol_id = ED_TEST_GAME;
    config->server_id = ED_TEST_SERVER_ID;
    config->token_key = &token_key;
    config->calendar = &calendar;
}
