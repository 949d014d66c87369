/**
 * A program outside the tree, as C11 and as C++17: `consumer VERSION`. It uses eddy a little, and
 * fails unless its own memory still comes from the C (and C++) library: mimalloc is for eddy alone.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <eddy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, const char *got)
{
    (void)fprintf(stderr, "%s: %s\n", what, got);
    return 1;
}

/** Whether the program finds `symbol` in a library whose file name begins with `library`. */
static int check_home(const char *symbol, const char *library)
{
    Dl_info info;
    const char *file;

    if (dladdr(dlsym(RTLD_DEFAULT, symbol), &info) == 0)
        return fail(symbol, "not found");
    file = strrchr(info.dli_fname, '/');
    file = file ? file + 1 : info.dli_fname;
    return strncmp(file, library, strlen(library)) == 0 ? 0 : fail(symbol, info.dli_fname);
}

static int check_memory(void)
{
    static const char *const of_libc[] = {
        "malloc", "calloc",       "realloc", "free",     "posix_memalign", "aligned_alloc",
        "strdup", "reallocarray", "strndup", "realpath", "memalign",       "malloc_usable_size",
    };
    int failed = 0;
    size_t i;

    for (i = 0; i < sizeof(of_libc) / sizeof(of_libc[0]); i++)
        failed |= check_home(of_libc[i], "libc.");
#ifdef __cplusplus
    delete new int(3); // so that the linker sees who needs the C++ library
    failed |= check_home("_Znwm", "libstdc++.");
    failed |= check_home("_ZdlPv", "libstdc++.");
#endif
    return failed;
}

static int use_eddy(const char *version)
{
    eddy_config config = eddy_config_default();
    const char *field = NULL;
    eddy_address address;

    if (strcmp(eddy_version(), version) != 0)
        return fail("version", eddy_version());
    if (strcmp(eddy_status_text(EDDY_OK), "success") != 0)
        return fail("status text", eddy_status_text(EDDY_OK));
    if (eddy_config_check(&config, &field) != EDDY_OK)
        return fail("default configuration", field);
    if (eddy_address_parse(&address, "[::1]:4242") != EDDY_OK || address.port != 4242)
        return fail("address", "not parsed");
    return 0;
}

static int send_and_receive(eddy_manager *server, eddy_manager *client)
{
    char text[EDDY_ADDRESS_TEXT_SIZE];
    char key[EDDY_KEY_TEXT_SIZE];
    eddy_address address = eddy_local_address(server);
    eddy_key public_key = eddy_public_key(server);
    eddy_connection connection;
    eddy_event event;
    eddy_status status =
        eddy_connect(client, eddy_address_print(&address, text),
                     eddy_key_print(&public_key, EDDY_KEY_PUBLIC, key), &connection);

    if (status == EDDY_OK)
        status = eddy_send(client, connection, EDDY_RELIABLE_ORDERED, 0, "hello", 5);
    if (status == EDDY_OK)
        status = eddy_await(server, EDDY_MESSAGE, &event, 5000);
    if (status != EDDY_OK)
        return fail("message", eddy_status_text(status));
    if (event.message.size != 5 || memcmp(event.message.data, "hello", 5) != 0)
        return fail("message", "other bytes");
    eddy_release(server, &event);
    return 0;
}

/** A server and a client with threads of their own, over UDP on loopback. */
static int talk(void)
{
    eddy_config config = eddy_config_default();
    eddy_manager *server = NULL;
    eddy_manager *client = NULL;
    int failed = 1;

    config.bind = "127.0.0.1:0";
    config.accept = true;
    if (eddy_open(&server, &config) == EDDY_OK && eddy_open(&client, NULL) == EDDY_OK)
        failed = send_and_receive(server, client);
    if (eddy_close(client, 1000) != EDDY_OK || eddy_close(server, 1000) != EDDY_OK)
        failed |= fail("close", "not everything arrived");
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fail("usage", "consumer VERSION");
    return use_eddy(argv[1]) | talk() | check_memory();
}
