/** What a client connects with, as its command line says, and why it was of no use. */
#include <inttypes.h>
#include <stdio.h>

#include "core/addr.h"
#include "core/crypto.h"
#include "tools/access.h"
#include "tools/commands.h"
#include "tools/keyfile.h"
#include "tools/report.h"

enum { HOST_SIZE = 256 }; /* a name of the DNS has at most 253 bytes */

/** Whether it is "HOST:PORT", of a port that can be connected to. */
static bool is_place(const char *host_port)
{
    char host[HOST_SIZE];
    uint16_t port = 0;

    return ed_addr_split(host_port, host, sizeof(host), &port) == EDDY_OK && host[0] != '\0' &&
           port != 0;
}

/** Whether the options fit together. Where to comes first: without it all else is idle. */
static bool check_options(const ed_connect_access *a, const char *command, const char *host_port)
{
    const struct {
        bool is_wrong;
        const char *say;
    } rows[] = {
        {host_port == NULL && a->token == NULL, "HOST:PORT is missing"},
        {a->server_key == NULL && a->token == NULL && !a->open,
         "how is the server known? --server-key KEY is what it prints as its key;\n"
         "--token FILE is of who knows it; --open trusts who answers"},
        {a->token != NULL && (a->server_key != NULL || a->key != NULL || a->room != NULL),
         "--token says it all: leave out --server-key, --key and --room"},
        {a->open && (a->server_key != NULL || a->key != NULL || a->token != NULL),
         "--open is without --server-key, --key and --token"},
    };

    if (host_port != NULL && !is_place(host_port)) {
        (void)ed_fail(command, "'%s' is no place to connect to: expected HOST:PORT", host_port);
        return false;
    }
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        if (rows[i].is_wrong) {
            (void)ed_fail(command, "%s\nTry: eddy %s --help", rows[i].say, command);
            return false;
        }
    return true;
}

/** The address in a token, so that it can be spoken of; and whether it is for this game. */
static bool look_into_token(const ed_connect_access *a, const char *command, ed_connect_keys *keys)
{
    eddy_token_info info;
    eddy_status status = eddy_token_inspect(&info, keys->token);

    if (status != EDDY_OK) {
        (void)ed_fail(command, "%s: %s", a->token, eddy_status_text(status));
        return false;
    }
    if (info.protocol_id != a->protocol_id) {
        (void)ed_fail(
            command, "%s: the token is for --protocol-id %" PRIu64 ", but that is %" PRIu64 " here",
            a->token, info.protocol_id, a->protocol_id);
        return false;
    }
    (void)eddy_address_print(&info.servers[0].address, keys->address);
    return true;
}

static bool load_files(const ed_connect_access *a, const char *command, ed_connect_keys *keys)
{
    return (a->key == NULL || ed_keyfile_load(command, &keys->own, EDDY_KEY_SECRET, a->key)) &&
           (a->room == NULL || ed_keyfile_load(command, &keys->room, EDDY_KEY_ROOM, a->room)) &&
           (a->token == NULL || (ed_keyfile_load_token(command, keys->token, a->token) &&
                                 look_into_token(a, command, keys)));
}

static eddy_mode mode_of(const ed_connect_access *a)
{
    if (a->open)
        return EDDY_MODE_OPEN;
    if (a->token != NULL)
        return EDDY_MODE_TOKEN;
    return a->key != NULL ? EDDY_MODE_MUTUAL : EDDY_MODE_PINNED;
}

int ed_connect_access_load(const ed_connect_access *a, const char *command, const char *host_port,
                           ed_connect_keys *keys, eddy_config *config)
{
    *keys = (ed_connect_keys){.options = {.mode = mode_of(a)}};
    if (!check_options(a, command, host_port))
        return ED_EXIT_USAGE;
    const char *wrong =
        a->server_key == NULL ? NULL : ed_keyfile_parse_public(&keys->server, a->server_key);
    if (wrong != NULL) {
        (void)ed_fail(command, "--server-key is %s", wrong);
        return ED_EXIT_USAGE;
    }
    if (!load_files(a, command, keys))
        return ED_EXIT_FAILED;
    keys->options.server_key = a->server_key == NULL ? NULL : &keys->server;
    keys->options.token = a->token == NULL ? NULL : keys->token;
    config->protocol_id = a->protocol_id;
    config->secret_key = a->key == NULL ? NULL : &keys->own;
    config->room_key = a->room == NULL ? NULL : &keys->room;
    return ED_EXIT_OK;
}

void ed_connect_keys_forget(ed_connect_keys *keys)
{
    ed_wipe(keys, sizeof(*keys));
}

/* ---------------------------------------------------------------------------------- endings -- */

/** What may be behind an end that does not say. */
static const char *guess(eddy_mode mode, const eddy_event_disconnected *ending)
{
    if (ending->end != EDDY_END_NO_ANSWER)
        return NULL;
    if (mode == EDDY_MODE_OPEN) // to strangers a server is silent
        return "a server has to --allow open";
    return NULL;
}

const char *ed_ending_describe(char text[ED_ENDING_TEXT_SIZE], eddy_mode mode,
                               const eddy_event_disconnected *ending)
{
    const char *end = eddy_end_text(ending->end);
    const char *hint = guess(mode, ending);

    if (ending->end == EDDY_END_REFUSED)
        (void)snprintf(text, ED_ENDING_TEXT_SIZE, "%s: %s", end,
                       eddy_refusal_text(ending->refusal));
    else if (ending->refusal != EDDY_NOT_REFUSED) // not signed: anybody on the way may have said it
        (void)snprintf(text, ED_ENDING_TEXT_SIZE, "%s\nA hint, which is not signed: %s", end,
                       eddy_refusal_text(ending->refusal));
    else
        (void)snprintf(text, ED_ENDING_TEXT_SIZE, "%s%s%s", end,
                       hint == NULL ? "" : "\nPerhaps: ", hint == NULL ? "" : hint);
    return text;
}
