/** `eddy token issue`: what a backend does when one of its players is to connect. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "core/file.h"
#include "tools/commands.h"
#include "tools/keyfile.h"
#include "tools/options.h"
#include "tools/report.h"

#define COMMAND "token issue"

enum {
    PLACE_TEXT_SIZE = 256, /* longer than any that is right */
    LIFE_DEFAULT_S = 60,
};

static_assert((int)ED_LIST_MAX >= (int)EDDY_TOKEN_SERVERS_MAX, "a token may have all its servers");

typedef struct issue_options {
    const char *issuer;
    ed_texts servers;
    uint64_t protocol_id;
    uint64_t client_id;
    uint64_t life_s;
    const char *data;
    const char *data_file;
    const char *out;
} issue_options;

typedef struct issue {
    eddy_token_grant grant;
    eddy_token_server servers[ED_LIST_MAX];
    uint8_t data[EDDY_TOKEN_DATA_MAX + 1]; /* one more, so that more is seen */
    size_t data_size;
} issue;

/* -------------------------------------------------------------------------------- servers -- */

/** Ends a text at its first comma. @return what stands behind, or NULL. */
static char *cut(char *text)
{
    char *comma = strchr(text, ',');

    if (comma == NULL)
        return NULL;
    *comma = '\0';
    return comma + 1;
}

/** @return NULL, or what is wrong with it. It is not repeated: there could be a secret in it. */
static const char *read_server(eddy_token_server *server, const char *text)
{
    char place[PLACE_TEXT_SIZE];

    if (strlen(text) >= sizeof(place))
        return "it is too long";
    memcpy(place, text, strlen(text) + 1);
    char *id = cut(place);
    char *key = id == NULL ? NULL : cut(id);
    if (key == NULL)
        return "it does not have three parts";
    if (eddy_address_parse(&server->address, place) != EDDY_OK)
        return "the first part is no address such as 192.0.2.7:4242 or [2001:db8::1]:4242";
    if (!ed_number_parse(&server->server_id, id, ED_PER_ONE))
        return "the second part is no number";
    return ed_keyfile_parse_public(&server->public_key, key);
}

static bool read_servers(issue *i, const issue_options *o)
{
    for (size_t n = 0; n < o->servers.count; n++) {
        const char *wrong = read_server(&i->servers[n], o->servers.at[n]);
        if (wrong == NULL)
            continue;
        (void)ed_fail(COMMAND, "--server number %zu is not ADDRESS:PORT,ID,PUBLICKEY: %s", n + 1,
                      wrong);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------ data -- */

/** @return an exit code. */
static int read_data(issue *i, const issue_options *o)
{
    if (o->data != NULL) {
        i->data_size = strlen(o->data);
        memcpy(i->data, o->data, ed_min_size(i->data_size, sizeof(i->data)));
    }
    if (o->data_file != NULL) {
        eddy_status status =
            ed_file_read(i->data, sizeof(i->data), &i->data_size, o->data_file, ED_FILE_SHARED);
        if (status != EDDY_OK)
            return ed_fail(COMMAND, "%s: %s", o->data_file, eddy_status_text(status));
    }
    if (i->data_size <= EDDY_TOKEN_DATA_MAX)
        return ED_EXIT_OK;
    (void)ed_fail(COMMAND, "a token carries at most %d bytes of data", (int)EDDY_TOKEN_DATA_MAX);
    return ED_EXIT_USAGE;
}

/* ----------------------------------------------------------------------------------- issuing -- */

static int write_token(const issue_options *o, const char *text)
{
    char line[EDDY_TOKEN_TEXT_MAX + 1];

    if (o->out == NULL || strcmp(o->out, "-") == 0) {
        if (puts(text) == EOF || fflush(stdout) != 0)
            return ed_fail(COMMAND, "stdout takes no more");
        return ED_EXIT_OK;
    }
    int size = snprintf(line, sizeof(line), "%s\n", text);
    eddy_status status = ed_file_write_new(o->out, line, (size_t)size, ED_FILE_PRIVATE);
    ed_wipe(line, sizeof(line));
    return status == EDDY_OK ? ED_EXIT_OK : ed_keyfile_not_written(COMMAND, o->out, status);
}

static int issue_token(issue *i, const issue_options *o)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    eddy_key issuer;

    if (!ed_keyfile_load(COMMAND, &issuer, EDDY_KEY_ISSUER, o->issuer))
        return ED_EXIT_FAILED;
    const eddy_calendar *calendar = ed_calendar_system();
    uint64_t now_s = calendar->unix_s(calendar->context);
    i->grant = (eddy_token_grant){
        .protocol_id = o->protocol_id,
        .client_id = o->client_id,
        .issued_s = now_s,
        .expires_s = now_s + o->life_s,
        .servers = i->servers,
        .server_count = o->servers.count,
        .user_data = i->data,
        .user_data_size = i->data_size,
    };
    eddy_status status = eddy_token_issue(text, &i->grant, &issuer);
    eddy_key_wipe(&issuer);
    if (status == EDDY_EINVAL) // all else was looked at before
        return ed_fail(COMMAND, "a server's port is 0, or its address is good on one link only");
    if (status != EDDY_OK)
        return ed_fail(COMMAND, "%s", eddy_status_text(status));
    int exit_code = write_token(o, text);
    ed_wipe(text, sizeof(text));
    return exit_code;
}

static int run(const issue_options *o)
{
    issue i = {.data_size = 0};

    if (o->issuer == NULL || o->servers.count == 0)
        (void)ed_fail(COMMAND, "needs --issuer FILE and --server ADDRESS:PORT,ID,PUBLICKEY");
    else if (o->data != NULL && o->data_file != NULL)
        (void)ed_fail(COMMAND, "--data and --data-file: give one of them");
    else if (o->out == NULL && isatty(STDOUT_FILENO) == 1)
        (void)ed_fail(COMMAND, "a token is a secret: --out FILE keeps it, --out - shows it here");
    else if (read_servers(&i, o)) {
        int exit_code = read_data(&i, o);
        return exit_code == ED_EXIT_OK ? issue_token(&i, o) : exit_code;
    }
    return ED_EXIT_USAGE;
}

int cmd_token_issue(int argc, char **argv)
{
    issue_options o = {.life_s = LIFE_DEFAULT_S};
    const ed_option options[] = {
        ED_TEXT("issuer", "FILE", &o.issuer, "the issuer's key"),
        ED_TEXTS("server", "SERVER", &o.servers, "ADDRESS:PORT,ID,PUBLICKEY; up to 16 times"),
        ED_NUMBER("protocol-id", "N", &o.protocol_id, ED_PER_ONE, 0, UINT64_MAX,
                  "of the game, as in its configuration"),
        ED_NUMBER("client-id", "N", &o.client_id, ED_PER_ONE, 0, UINT64_MAX,
                  "that the server is told"),
        ED_NUMBER("life", "S", &o.life_s, ED_PER_ONE, 1, EDDY_TOKEN_LIFE_S_MAX,
                  "seconds from now on to connect in"),
        ED_TEXT("data", "TEXT", &o.data, "that the server is told, up to 232 bytes"),
        ED_TEXT("data-file", "FILE", &o.data_file, "a file of such data"),
        ED_TEXT("out", "FILE", &o.out, "a new file for it; - for stdout"),
    };
    const ed_usage usage = {
        .command = COMMAND,
        .summary = "Issues a connect token: with it a client may connect once to each server that\n"
                   "it names. It is a secret of that client.\n",
        .example = "  eddy token issue --issuer issuer.key --client-id 1001 --out client.token \\\n"
                   "      --server \"192.0.2.7:4242,9,$(eddy keygen --public server.key)\"\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    int exit_code = ED_EXIT_OK;

    return ed_options_parse(&usage, argc, argv, &exit_code) ? run(&o) : exit_code;
}
