/**
 * Keys and tokens of the command line: they stand in files, never among its words, where other
 * users and the shell's history would see them. Each function says to stderr what is wrong.
 */
#ifndef ED_TOOL_KEYFILE_H
#define ED_TOOL_KEYFILE_H

#include "core/eddy_keys.h"

/** "a secret key", "an issuer's key" and the like. */
const char *ed_keyfile_kind(eddy_key_kind kind);

/** @return false if the file does not hold such a key, and was said so. */
bool ed_keyfile_load(const char *command, eddy_key *key, eddy_key_kind kind, const char *path);

/** Reads the text of a public key. @return NULL, or what it is instead: "no public key, ...". */
const char *ed_keyfile_parse_public(eddy_key *key, const char *text);

/** Writes a new file. False if that is not possible, and was said so. */
bool ed_keyfile_save(const char *command, const eddy_key *key, eddy_key_kind kind,
                     const char *path);

/** Says why a new file was not written. @return an exit code. */
int ed_keyfile_not_written(const char *command, const char *path, eddy_status status);

/** Reads the text of a token, without the white space behind it. */
bool ed_keyfile_load_token(const char *command, char text[EDDY_TOKEN_TEXT_MAX], const char *path);

#endif
