/** `eddy keygen`: makes keys, in files, and shows what may be shown of them. */
#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "tools/commands.h"
#include "tools/keyfile.h"
#include "tools/options.h"
#include "tools/report.h"

#define COMMAND "keygen"

typedef struct keygen_options {
    const char *path;
    const char *kind;
    const char *server_id; /* NULL: no token key is wanted */
    const char *issuer;
    bool is_public;
} keygen_options;

static int print_public(const eddy_key *secret)
{
    char text[EDDY_KEY_TEXT_SIZE];
    eddy_key key = eddy_key_public(secret);

    if (puts(eddy_key_print(&key, EDDY_KEY_PUBLIC, text)) == EOF || fflush(stdout) != 0)
        return ed_fail(COMMAND, "stdout takes no more");
    return ED_EXIT_OK;
}

static int show(const keygen_options *o)
{
    eddy_key key;

    if (!ed_keyfile_load(COMMAND, &key, EDDY_KEY_SECRET, o->path))
        return ED_EXIT_FAILED;
    int exit_code = print_public(&key);
    eddy_key_wipe(&key);
    return exit_code;
}

static int make(const keygen_options *o, eddy_key_kind kind)
{
    eddy_key key;
    eddy_status status = eddy_key_make(&key);

    if (status != EDDY_OK)
        return ed_fail(COMMAND, "%s", eddy_status_text(status));
    int exit_code = ED_EXIT_FAILED;
    if (ed_keyfile_save(COMMAND, &key, kind, o->path))
        exit_code = kind == EDDY_KEY_SECRET ? print_public(&key) : ED_EXIT_OK;
    eddy_key_wipe(&key);
    return exit_code;
}

/** Makes the token key of a server from the issuer's. */
static int derive(const keygen_options *o)
{
    eddy_key issuer;
    uint64_t server_id = 0;

    if (!ed_number_parse(&server_id, o->server_id, ED_PER_ONE)) {
        (void)ed_fail(COMMAND, "--token-key is '%s', expected a server's number", o->server_id);
        return ED_EXIT_USAGE;
    }
    if (!ed_keyfile_load(COMMAND, &issuer, EDDY_KEY_ISSUER, o->issuer))
        return ED_EXIT_FAILED;
    eddy_key key = eddy_key_token(&issuer, server_id);
    bool saved = ed_keyfile_save(COMMAND, &key, EDDY_KEY_TOKEN, o->path);
    eddy_key_wipe(&issuer);
    eddy_key_wipe(&key);
    return saved ? ED_EXIT_OK : ED_EXIT_FAILED;
}

/** @return 0 if no key of that kind is made here. */
static eddy_key_kind kind_of(const char *name)
{
    static const struct {
        const char *name;
        eddy_key_kind kind;
    } kinds[] = {
        {"secret", EDDY_KEY_SECRET},
        {"room", EDDY_KEY_ROOM},
        {"issuer", EDDY_KEY_ISSUER},
    };

    for (size_t i = 0; i < ED_COUNT(kinds); i++)
        if (name == NULL || strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    return (eddy_key_kind)0;
}

/** Does what the options ask for, if they fit together. */
static int run(const keygen_options *o)
{
    eddy_key_kind kind = kind_of(o->kind);

    if (kind == 0)
        (void)ed_fail(COMMAND, "--kind is '%s', expected secret, room or issuer", o->kind);
    else if ((o->issuer != NULL) != (o->server_id != NULL))
        (void)ed_fail(COMMAND, "--token-key and --issuer need each other");
    else if (o->is_public + (o->kind != NULL) + (o->issuer != NULL) > 1)
        (void)ed_fail(COMMAND, "--kind, --public and --token-key: give one of them");
    else if (o->is_public)
        return show(o);
    else
        return o->issuer != NULL ? derive(o) : make(o, kind);
    return ED_EXIT_USAGE;
}

int cmd_keygen(int argc, char **argv)
{
    keygen_options o = {.kind = NULL};
    const ed_option options[] = {
        ED_TEXT("kind", "KIND", &o.kind, "of the new key: secret, room or issuer [secret]"),
        ED_FLAG("public", &o.is_public, "make nothing: print the public key of FILE"),
        ED_TEXT("token-key", "ID", &o.server_id,
                "make the token key of the server of that number,"),
        ED_TEXT("issuer", "FILE", &o.issuer, "from the issuer's key there"),
    };
    const ed_usage usage = {
        .command = COMMAND,
        .summary = "Makes a new key in a new FILE that you alone may read. Of a secret key, which\n"
                   "a server has, it prints the public one, which clients are told. A room's key\n"
                   "is for all who may meet there. An issuer's key makes connect tokens, and for\n"
                   "each server the token key that opens those for this server alone.\n",
        .example =
            "  eddy keygen server.key                  a server's key; prints the public one\n"
            "  eddy keygen --public server.key         prints it again\n"
            "  eddy keygen --kind issuer issuer.key    a backend's key\n"
            "  eddy keygen --token-key 9 --issuer issuer.key server9.token-key\n",
        .options = options,
        .option_count = ED_COUNT(options),
        .operand_name = "FILE",
        .operand = &o.path,
    };
    int exit_code = ED_EXIT_OK;

    return ed_options_parse(&usage, argc, argv, &exit_code) ? run(&o) : exit_code;
}
