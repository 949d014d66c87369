/** Who may connect to a server, as its command line says. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "tools/access.h"
#include "tools/commands.h"
#include "tools/keyfile.h"
#include "tools/report.h"

static const struct mode_name {
    const char *name;
    eddy_mode mode;
} mode_names[] = {
    {"open", EDDY_MODE_OPEN},
    {"pinned", EDDY_MODE_PINNED},
    {"mutual", EDDY_MODE_MUTUAL},
    {"token", EDDY_MODE_TOKEN},
};

const char *ed_mode_name(eddy_mode mode)
{
    for (size_t i = 0; i < ED_COUNT(mode_names); i++)
        if (mode_names[i].mode == mode)
            return mode_names[i].name;
    return "unknown";
}

/* ------------------------------------------------------------------------------------ modes -- */

/** @return the mode of that name; 0: there is none. */
static uint32_t mode_of(const char *name, size_t size)
{
    for (size_t i = 0; i < ED_COUNT(mode_names); i++)
        if (strlen(mode_names[i].name) == size && memcmp(mode_names[i].name, name, size) == 0)
            return mode_names[i].mode;
    return 0;
}

/** @return the modes of a list; 0: it is no such list. */
static uint32_t modes_of(const char *list)
{
    uint32_t modes = 0;

    for (const char *at = list;; at++) {
        size_t size = strcspn(at, ",");
        uint32_t mode = mode_of(at, size);
        if (mode == 0)
            return 0;
        modes |= mode;
        at += size;
        if (*at == '\0')
            return modes;
    }
}

/** Whether each mode has what it needs, and nothing is given that no mode uses. */
static bool check_modes(const ed_serve_access *a, const char *command, uint32_t modes)
{
    const struct {
        bool is_wrong;
        const char *say;
    } rows[] = {
        {modes == 0,
         "--allow expects a list such as pinned,token, of: open, pinned, mutual, token"},
        {(modes & EDDY_MODE_TOKEN) != 0 && a->token_key == NULL,
         "--allow token needs --token-key FILE and its --server-id N:\n"
         "eddy keygen --token-key N --issuer FILE makes one"},
        {(modes & EDDY_MODE_MUTUAL) != 0 && a->client_keys == NULL,
         "--allow mutual needs --client-keys FILE: the public keys of who may come"},
        {(modes & EDDY_MODE_TOKEN) == 0 && a->token_key != NULL,
         "--token-key is of no use without --allow token"},
        {(modes & EDDY_MODE_TOKEN) == 0 && a->strict_tokens,
         "--strict-tokens is of no use without --allow token"},
        {(modes & EDDY_MODE_MUTUAL) == 0 && a->client_keys != NULL,
         "--client-keys is of no use without --allow mutual"},
        {(modes & EDDY_MODE_OPEN) == 0 && a->open_to_public,
         "--open-to-public is of no use without --allow open"},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        if (rows[i].is_wrong) {
            (void)ed_fail(command, "%s", rows[i].say);
            return false;
        }
    return true;
}

/* -------------------------------------------------------------------------- keys of clients -- */

enum {
    CLIENT_KEYS_MAX = 65536, /* as in eddy_config */
    LINE_SIZE = 512,
};

/** Cuts a line to what stands before white space or a note. */
static void cut_line(char *line)
{
    line[strcspn(line, " \t\r\n#")] = '\0';
}

/** Takes the key of a line, if there is one. @return NULL, or what the line is instead. */
static const char *read_line(char *line, bool is_whole, eddy_key *keys, size_t *count)
{
    if (!is_whole)
        return "too long";
    cut_line(line);
    if (line[0] == '\0')
        return NULL;
    if (*count == CLIENT_KEYS_MAX)
        return "one key more than there may be";
    return ed_keyfile_parse_public(&keys[(*count)++], line);
}

/** Reads one public key a line. @return whether all that stands there is one. */
static bool read_lines(const char *command, const char *path, FILE *file, eddy_key *keys,
                       size_t *count)
{
    char line[LINE_SIZE];

    for (size_t number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
        bool is_whole = strchr(line, '\n') != NULL || feof(file) != 0;
        const char *wrong = read_line(line, is_whole, keys, count);
        if (wrong != NULL) {
            (void)ed_fail(command, "%s: line %zu is %s", path, number, wrong);
            return false;
        }
    }
    return true;
}

static bool load_clients(const char *command, const char *path, ed_serve_keys *keys, size_t *count)
{
    keys->clients = ed_alloc_array(ed_alloc_default(), CLIENT_KEYS_MAX, sizeof *keys->clients);
    FILE *file = keys->clients == NULL ? NULL : fopen(path, "r");

    if (file == NULL) {
        (void)ed_fail(command, "%s: %s", path,
                      eddy_status_text(keys->clients == NULL ? EDDY_ENOMEM : EDDY_EFILE));
        return false;
    }
    bool is_read = read_lines(command, path, file, keys->clients, count);
    bool is_whole = ferror(file) == 0;
    (void)fclose(file); // it was only read
    if (is_read && !is_whole)
        (void)ed_fail(command, "%s: %s", path, eddy_status_text(EDDY_EFILE));
    else if (is_read && *count == 0)
        (void)ed_fail(command, "%s: there is no key in it, so nobody could connect", path);
    return is_read && is_whole && *count > 0;
}

/* ------------------------------------------------------------------------------------ files -- */

static bool load_key(const char *command, const char *path, eddy_key_kind kind, eddy_key *key,
                     const eddy_key **used)
{
    if (path == NULL)
        return true;
    *used = key;
    return ed_keyfile_load(command, key, kind, path);
}

int ed_serve_access_load(const ed_serve_access *a, const char *command, ed_serve_keys *keys,
                         eddy_config *config)
{
    *keys = (ed_serve_keys){.clients = NULL};
    config->modes = a->allow == NULL ? EDDY_MODE_PINNED : modes_of(a->allow);
    if (!check_modes(a, command, config->modes))
        return ED_EXIT_USAGE;
    config->open_to_public = a->open_to_public;
    config->strict_tokens = a->strict_tokens;
    config->server_id = a->server_id;
    config->protocol_id = a->protocol_id;
    if (!load_key(command, a->key, EDDY_KEY_SECRET, &keys->secret, &config->secret_key) ||
        !load_key(command, a->token_key, EDDY_KEY_TOKEN, &keys->token, &config->token_key) ||
        !load_key(command, a->room, EDDY_KEY_ROOM, &keys->room, &config->room_key))
        return ED_EXIT_FAILED;
    if (a->client_keys != NULL &&
        !load_clients(command, a->client_keys, keys, &config->client_key_count))
        return ED_EXIT_FAILED;
    config->client_keys = keys->clients;
    return ED_EXIT_OK;
}

void ed_serve_keys_forget(ed_serve_keys *keys)
{
    eddy_key_wipe(&keys->secret);
    eddy_key_wipe(&keys->token);
    eddy_key_wipe(&keys->room);
    ed_alloc_free(ed_alloc_default(), keys->clients, CLIENT_KEYS_MAX * sizeof *keys->clients);
    keys->clients = NULL;
}
