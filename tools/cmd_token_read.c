/** `eddy token inspect` and `eddy token verify`: what a client and a server read in a token. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "tools/commands.h"
#include "tools/keyfile.h"
#include "tools/options.h"
#include "tools/report.h"

#define INSPECT "token inspect"
#define VERIFY "token verify"
#define LAST_DATE_S UINT64_C(253402300799) /* the end of the year 9999 */

enum {
    DATE_SIZE = 32,
    ID_SIZE = 21,                                 /* 20 digits and NUL */
    DATA_TEXT_SIZE = 2 * EDDY_TOKEN_DATA_MAX + 1, /* in hexadecimal */
};

static uint64_t now(void)
{
    const eddy_calendar *calendar = ed_calendar_system();

    return calendar->unix_s(calendar->context);
}

/** Prints a time as people write it; a number of seconds where there is no such date. */
static void print_time(const char *name, uint64_t unix_s)
{
    char date[DATE_SIZE];
    time_t seconds = (time_t)unix_s;
    struct tm parts;

    if (unix_s <= LAST_DATE_S && gmtime_r(&seconds, &parts) != NULL &&
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &parts) > 0)
        printf("%-10s %s\n", name, date);
    else
        printf("%-10s %" PRIu64 " s\n", name, unix_s);
}

/** Numbers of 64 bits go into JSON as text: many of its readers keep 53 bits. */
static json_t *id_json(uint64_t id)
{
    char text[ID_SIZE];

    (void)snprintf(text, sizeof(text), "%" PRIu64, id);
    return json_string(text);
}

/* -------------------------------------------------------------------------------- inspect -- */

static json_t *server_json(const eddy_token_server *server)
{
    char address[EDDY_ADDRESS_TEXT_SIZE], key[EDDY_KEY_TEXT_SIZE];

    return json_pack("{sssoss}", "address", eddy_address_print(&server->address, address),
                     "server_id", id_json(server->server_id), "public_key",
                     eddy_key_print(&server->public_key, EDDY_KEY_PUBLIC, key));
}

static json_t *info_json(const eddy_token_info *info)
{
    json_t *servers = json_array();

    for (size_t i = 0; i < info->server_count; i++)
        (void)json_array_append_new(servers, server_json(&info->servers[i]));
    return json_pack("{sosIsIsbso}", "protocol_id", id_json(info->protocol_id), "issued_s",
                     ed_json_int(info->issued_s), "expires_s", ed_json_int(info->expires_s),
                     "expired", (int)(now() >= info->expires_s), "servers", servers);
}

static void print_info(const eddy_token_info *info)
{
    uint64_t now_s = now();

    printf("%-10s %" PRIu64 "\n", "protocol", info->protocol_id);
    print_time("issued", info->issued_s);
    print_time("expires", info->expires_s);
    if (now_s >= info->expires_s)
        printf("%-10s %" PRIu64 " s ago\n", "expired", now_s - info->expires_s);
    else
        printf("%-10s %" PRIu64 " s\n", "left", info->expires_s - now_s);
    for (size_t i = 0; i < info->server_count; i++) {
        const eddy_token_server *server = &info->servers[i];
        char address[EDDY_ADDRESS_TEXT_SIZE], key[EDDY_KEY_TEXT_SIZE];
        printf("\n%-10s %" PRIu64 "\n%-10s %s\n%-10s %s\n", "server", server->server_id, "address",
               eddy_address_print(&server->address, address), "key",
               eddy_key_print(&server->public_key, EDDY_KEY_PUBLIC, key));
    }
}

static int inspect(const char *path, bool json)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    eddy_token_info info;

    if (!ed_keyfile_load_token(INSPECT, text, path))
        return ED_EXIT_FAILED;
    eddy_status status = eddy_token_inspect(&info, text);
    ed_wipe(text, sizeof(text));
    if (status != EDDY_OK)
        return ed_fail(INSPECT, "%s: %s", path, eddy_status_text(status));
    if (json)
        return ed_json_print(info_json(&info));
    print_info(&info);
    return ED_EXIT_OK;
}

int cmd_token_inspect(int argc, char **argv)
{
    bool json = false;
    const char *path = NULL;
    const ed_option options[] = {ED_JSON_OPTION(&json)};
    const ed_usage usage = {
        .command = INSPECT,
        .summary =
            "Prints what everybody who holds a token can read: where it leads to, and until\n"
            "when. Who its holder is can be read by those servers alone.\n",
        .example = "  eddy token inspect client.token\n",
        .options = options,
        .option_count = ED_COUNT(options),
        .operand_name = "FILE",
        .operand = &path,
    };
    int exit_code = ED_EXIT_OK;

    return ed_options_parse(&usage, argc, argv, &exit_code) ? inspect(path, json) : exit_code;
}

/* --------------------------------------------------------------------------------- verify -- */

typedef struct verify_options {
    const char *path;
    const char *token_key;
    uint64_t server_id;
    bool json;
} verify_options;

static const char *hex_of(const eddy_token_claim *claim, char text[DATA_TEXT_SIZE])
{
    text[0] = '\0';
    for (size_t i = 0; i < claim->user_data_size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)claim->user_data[i]);
    return text;
}

/** As a text, if it is one that no terminal takes for an order. */
static const char *data_of(const eddy_token_claim *claim, char text[DATA_TEXT_SIZE])
{
    for (size_t i = 0; i < claim->user_data_size; i++)
        if (claim->user_data[i] < ' ' || claim->user_data[i] > '~')
            return hex_of(claim, text);
    (void)snprintf(text, DATA_TEXT_SIZE, "%.*s", (int)claim->user_data_size,
                   (const char *)claim->user_data);
    return text;
}

static int print_claim(const eddy_token_claim *claim, bool json)
{
    char data[DATA_TEXT_SIZE];

    if (json)
        return ed_json_print(json_pack("{sosIsIss}", "client_id", id_json(claim->client_id),
                                       "issued_s", ed_json_int(claim->issued_s), "expires_s",
                                       ed_json_int(claim->expires_s), "data_hex",
                                       hex_of(claim, data)));
    printf("%-10s %" PRIu64 "\n", "client", claim->client_id);
    print_time("issued", claim->issued_s);
    print_time("expires", claim->expires_s);
    printf("%-10s %zu bytes%s%s\n", "data", claim->user_data_size,
           claim->user_data_size == 0 ? "" : ": ", data_of(claim, data));
    return ED_EXIT_OK;
}

static int verify(const verify_options *o)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    eddy_token_claim claim;
    eddy_key key;

    if (!ed_keyfile_load(VERIFY, &key, EDDY_KEY_TOKEN, o->token_key))
        return ED_EXIT_FAILED;
    eddy_status status = EDDY_EFILE;
    if (ed_keyfile_load_token(VERIFY, text, o->path)) {
        status = eddy_token_verify(&claim, text, o->server_id, &key, now());
        if (status == EDDY_ETOKEN)
            (void)ed_fail(VERIFY, "%s: no token for server %" PRIu64 " and this key, or altered",
                          o->path, o->server_id);
        else if (status != EDDY_OK)
            (void)ed_fail(VERIFY, "%s: %s", o->path, eddy_status_text(status));
        ed_wipe(text, sizeof(text));
    }
    eddy_key_wipe(&key);
    return status == EDDY_OK ? print_claim(&claim, o->json) : ED_EXIT_FAILED;
}

int cmd_token_verify(int argc, char **argv)
{
    verify_options o = {.path = NULL};
    const ed_option options[] = {
        ED_TEXT("token-key", "FILE", &o.token_key, "the server's, from eddy keygen --token-key"),
        ED_NUMBER("server-id", "N", &o.server_id, ED_PER_ONE, 0, UINT64_MAX, "of that server"),
        ED_JSON_OPTION(&o.json),
    };
    const ed_usage usage = {
        .command = VERIFY,
        .summary = "Opens the part of a token that is for one server, and prints what it says of\n"
                   "its holder. The exit code is 0 only if that server would take it now.\n",
        .example = "  eddy token verify client.token --server-id 9 --token-key server9.token-key\n",
        .options = options,
        .option_count = ED_COUNT(options),
        .operand_name = "FILE",
        .operand = &o.path,
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    if (o.token_key != NULL)
        return verify(&o);
    (void)ed_fail(VERIFY, "needs --token-key FILE");
    return ED_EXIT_USAGE;
}
