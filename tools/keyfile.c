#include "tools/keyfile.h"

#include <string.h>

#include "core/base.h"
#include "core/file.h"
#include "tools/report.h"

const char *ed_keyfile_kind(eddy_key_kind kind)
{
    switch (kind) {
    case EDDY_KEY_SECRET:
        return "a secret key";
    case EDDY_KEY_PUBLIC:
        return "a public key";
    case EDDY_KEY_ROOM:
        return "a room's key";
    case EDDY_KEY_ISSUER:
        return "an issuer's key";
    case EDDY_KEY_TOKEN:
        return "a token key";
    }
    return "a key";
}

bool ed_keyfile_load(const char *command, eddy_key *key, eddy_key_kind kind, const char *path)
{
    eddy_status status = eddy_key_load(key, kind, path);

    if (status == EDDY_EKEY)
        (void)ed_fail(command, "%s: this is not %s", path, ed_keyfile_kind(kind));
    else if (status != EDDY_OK)
        (void)ed_fail(command, "%s: %s", path, eddy_status_text(status));
    return status == EDDY_OK;
}

const char *ed_keyfile_parse_public(eddy_key *key, const char *text)
{
    eddy_key secret;

    if (eddy_key_parse(key, EDDY_KEY_PUBLIC, text) == EDDY_OK)
        return NULL;
    if (eddy_key_parse(&secret, EDDY_KEY_SECRET, text) != EDDY_OK)
        return "no public key, as eddy keygen prints it";
    eddy_key_wipe(&secret);
    return "a SECRET key, which others can see now: make a new one";
}

int ed_keyfile_not_written(const char *command, const char *path, eddy_status status)
{
    return ed_fail(command, "%s: %s; one that exists is never overwritten", path,
                   eddy_status_text(status));
}

bool ed_keyfile_save(const char *command, const eddy_key *key, eddy_key_kind kind, const char *path)
{
    eddy_status status = eddy_key_save(key, kind, path);

    if (status != EDDY_OK)
        (void)ed_keyfile_not_written(command, path, status);
    return status == EDDY_OK;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool ed_keyfile_load_token(const char *command, char text[EDDY_TOKEN_TEXT_MAX], const char *path)
{
    size_t size = 0;

    eddy_status status = ed_file_read(text, EDDY_TOKEN_TEXT_MAX, &size, path, ED_FILE_SHARED);
    if (status != EDDY_OK) {
        (void)ed_fail(command, "%s: %s", path, eddy_status_text(status));
        return false;
    }
    while (size > 0 && is_white(text[size - 1]))
        size--;
    if (size == EDDY_TOKEN_TEXT_MAX || memchr(text, '\0', size) != NULL) {
        (void)ed_fail(command, "%s: %s", path, eddy_status_text(EDDY_ETOKEN));
        return false;
    }
    text[size] = '\0';
    return true;
}
