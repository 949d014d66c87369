/** A backend for tests: one issuer, one game, servers by number, and a calendar that stands still.
 */
#ifndef ED_TEST_ISSUER_H
#define ED_TEST_ISSUER_H

#include "transport/token.h"

#define ED_TEST_GAME UINT64_C(0x1122334455667788)

enum {
    ED_TEST_NOW_S = 1000 * 1000,
    ED_TEST_SERVER_ID = 9,
    ED_TEST_TOKEN_LIFE_S = 60,
};

/** What a token of the test says. ed_test_grant() is good for ED_TEST_SERVER_ID, now. */
typedef struct ed_test_grant {
    uint64_t protocol_id;
    uint64_t server_id;
    uint64_t client_id;
    uint64_t issued_s;
    eddy_address address;
    const eddy_key *server_key;
    const eddy_key *issuer;
} ed_test_grant;

ed_test_grant ed_test_grant_of(uint64_t client_id, const eddy_address *server);

/** Issues it; it expires ED_TEST_TOKEN_LIFE_S after it was issued. */
void ed_test_issue(char text[EDDY_TOKEN_TEXT_MAX], const ed_test_grant *grant);

/** Makes a server's configuration one that takes tokens of the game, and nothing else. */
void ed_test_take_tokens(eddy_config *config);

/** What the servers' calendar says; ED_TEST_NOW_S at first. */
extern uint64_t ed_test_now_s;

#endif
