#include "transport/keylog.h"

#ifdef ED_KEYLOG

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base.h"
#include "transport/protect.h"

enum {
    MODE_PRIVATE = 0600,
    LINE_SIZE = 256, /* of 138 bytes with the largest epoch */
};

static_assert(sizeof("EDDY1  to-server 18446744073709551615 \n") + 2 * ED_NONCE_SIZE +
                      2 * ED_KEY_SIZE <=
                  LINE_SIZE,
              "a line has room");

static const char *hex_of(char *text, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)data[i]);
    return text;
}

/** Whether the open file is one that only its owner has to do with. */
static bool is_private(int file)
{
    struct stat info;

    return fstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
           (info.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/** Appends in one piece, so that the lines of several processes stay whole. */
static void append(const char *line, size_t size)
{
    // A program that runs with more rights than its caller does not write where that one likes.
    const char *path = secure_getenv("EDDY_KEYLOG");
    int file = path == NULL ? -1
                            : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK,
                                   MODE_PRIVATE);

    if (file < 0)
        return;
    ssize_t written = is_private(file) ? write(file, line, size) : 0;
    (void)written; // a log that is not whole keeps no connection from going on
    (void)close(file);
}

static void log_secret(const ed_keylog *log, bool to_server, uint64_t epoch,
                       const uint8_t secret[ED_KEY_SIZE])
{
    char nonce[2 * ED_NONCE_SIZE + 1], hex[2 * ED_KEY_SIZE + 1], line[LINE_SIZE];

    if (!log->is_on)
        return;
    int size =
        snprintf(line, sizeof(line), "EDDY1 %s %s %" PRIu64 " %s\n",
                 hex_of(nonce, log->nonce, ED_NONCE_SIZE), to_server ? "to-server" : "to-client",
                 epoch, hex_of(hex, secret, ED_KEY_SIZE));
    append(line, (size_t)size);
    ed_wipe(line, sizeof(line));
    ed_wipe(hex, sizeof(hex));
}

void ed_keylog_start(ed_keys *keys, bool is_client, const uint8_t nonce[ED_NONCE_SIZE],
                     const uint8_t to_server[ED_KEY_SIZE], const uint8_t to_client[ED_KEY_SIZE])
{
    keys->log = (ed_keylog){.is_on = true, .is_client = is_client};
    memcpy(keys->log.nonce, nonce, ED_NONCE_SIZE);
    log_secret(&keys->log, true, 0, to_server);
    log_secret(&keys->log, false, 0, to_client);
}

void ed_keylog_send(ed_keys *keys, const uint8_t secret[ED_KEY_SIZE])
{
    log_secret(&keys->log, keys->log.is_client, ++keys->log.send_epoch, secret);
}

void ed_keylog_receive(ed_keys *keys, const uint8_t secret[ED_KEY_SIZE])
{
    log_secret(&keys->log, !keys->log.is_client, ++keys->log.receive_epoch, secret);
}

#endif
