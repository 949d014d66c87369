/**
 * Who may connect, and how: options that `eddy serve` and `eddy connect` have in common with what
 * the library knows of keys, tokens and modes. What is secret stands in files, never among the
 * words of a command line. Each function says to stderr what is wrong.
 */
#ifndef ED_TOOL_ACCESS_H
#define ED_TOOL_ACCESS_H

#include "core/eddy.h"
#include "tools/options.h"

/* ---------------------------------------------------------------------------------- a server -- */

/** What the command line says. Zeroed: mode PINNED, with a key of its own for this run. */
typedef struct ed_serve_access {
    const char *allow; /* names of modes, with commas; NULL: pinned */
    const char *key;   /* paths */
    const char *token_key;
    const char *client_keys;
    const char *room;
    bool open_to_public;
    bool strict_tokens;
    uint64_t server_id;
    uint64_t protocol_id;
} ed_serve_access;

/** Rows of a table of options. */
#define ED_SERVE_ACCESS_OPTIONS(ACCESS)                                                            \
    ED_TEXT("key", "FILE", &(ACCESS)->key, "its secret key; none: one for this run alone"),        \
        ED_TEXT("allow", "LIST", &(ACCESS)->allow, "of open, pinned, mutual, token [pinned]"),     \
        ED_TEXT("client-keys", "FILE", &(ACCESS)->client_keys,                                     \
                "mutual: public keys, one a line; # begins a note"),                               \
        ED_TEXT("token-key", "FILE", &(ACCESS)->token_key,                                         \
                "token: its key, from eddy keygen --token-key,"),                                  \
        ED_NUMBER("server-id", "N", &(ACCESS)->server_id, ED_PER_ONE, 0, UINT64_MAX,               \
                  "and the number that it was made for"),                                          \
        ED_FLAG("strict-tokens", &(ACCESS)->strict_tokens,                                         \
                "token: only those issued 5 s after the start and later"),                         \
        ED_FLAG("open-to-public", &(ACCESS)->open_to_public,                                       \
                "open: not for private addresses alone"),                                          \
        ED_TEXT("room", "FILE", &(ACCESS)->room, "a room's key, that clients must have, too"),     \
        ED_NUMBER("protocol-id", "N", &(ACCESS)->protocol_id, ED_PER_ONE, 0, UINT64_MAX,           \
                  "of the game; clients have the same")

/** A part of a command's summary. */
#define ED_SERVE_ACCESS_HELP                                                                       \
    "Who may connect, by --allow; all of them are encrypted:\n"                                    \
    "  open    who finds it; the client does not know who answers: for a LAN\n"                    \
    "  pinned  who has its public key\n"                                                           \
    "  mutual  who has a secret key whose public one is in --client-keys\n"                        \
    "  token   who has a connect token (eddy token issue) for --server-id\n"

/** The keys of a server, which its configuration points to until eddy_open has copied them. */
typedef struct ed_serve_keys {
    eddy_key secret;
    eddy_key token;
    eddy_key room;
    eddy_key *clients; /* NULL: none */
} ed_serve_keys;

/**
 * Reads the files, and puts all into the configuration.
 * @return an exit code. `keys` is to be forgotten in any case.
 */
int ed_serve_access_load(const ed_serve_access *access, const char *command, ed_serve_keys *keys,
                         eddy_config *config);

void ed_serve_keys_forget(ed_serve_keys *keys);

/* ---------------------------------------------------------------------------------- a client -- */

typedef struct ed_connect_access {
    const char *server_key; /* its text, which is public */
    const char *key;        /* paths */
    const char *token;
    const char *room;
    bool open;
    uint64_t protocol_id;
} ed_connect_access;

/** Rows of a table of options. */
#define ED_CONNECT_ACCESS_OPTIONS(ACCESS)                                                          \
    ED_TEXT("server-key", "KEY", &(ACCESS)->server_key, "the server's public key, as it says"),    \
        ED_TEXT("key", "FILE", &(ACCESS)->key, "and our own, that the server wants to know"),      \
        ED_TEXT("token", "FILE", &(ACCESS)->token, "or a connect token, which says where to"),     \
        ED_FLAG("open", &(ACCESS)->open, "or no proof of who answers: on a LAN"),                  \
        ED_TEXT("room", "FILE", &(ACCESS)->room, "a room's key, that the server has, too"),        \
        ED_NUMBER("protocol-id", "N", &(ACCESS)->protocol_id, ED_PER_ONE, 0, UINT64_MAX,           \
                  "of the game; the server has the same")

/** What a client connects with. */
typedef struct ed_connect_keys {
    eddy_connect_options options; /* points into this */
    eddy_key server;
    eddy_key own;
    eddy_key room;
    char token[EDDY_TOKEN_TEXT_MAX];
    char address[EDDY_ADDRESS_TEXT_SIZE]; /* of the first server in the token */
} ed_connect_keys;

/**
 * Reads the files, and puts all into the configuration and `keys->options`.
 * @param host_port where to; NULL: it was not said, which is fine with a token.
 * @return an exit code. `keys` is to be forgotten in any case.
 */
int ed_connect_access_load(const ed_connect_access *access, const char *command,
                           const char *host_port, ed_connect_keys *keys, eddy_config *config);

void ed_connect_keys_forget(ed_connect_keys *keys);

/** The name of a mode: "pinned" and the like. */
const char *ed_mode_name(eddy_mode mode);

enum { ED_ENDING_TEXT_SIZE = 256 };

/** Says why a connection ended, with all that is known of it. @return `text`. */
const char *ed_ending_describe(char text[ED_ENDING_TEXT_SIZE], eddy_mode mode,
                               const eddy_event_disconnected *ending);

#endif
