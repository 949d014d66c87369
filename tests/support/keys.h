/** One server's keys for all tests that are not about keys. */
#ifndef ED_TEST_KEYS_H
#define ED_TEST_KEYS_H

#include "core/eddy.h"

/** For a server's config.secret_key. */
const eddy_key *ed_test_secret(void);

/** For a client: the public key, its text, and options with nothing else. */
const eddy_key *ed_test_public(void);
const char *ed_test_key_text(void);
const eddy_connect_options *ed_test_options(void);

#endif
