#include <eddy.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    eddy_config config = eddy_config_default();
    eddy_manager *eddy = NULL;
    char key[EDDY_KEY_TEXT_SIZE];
    config.bind = argv[argc - 1];
    config.accept = true;
    if (eddy_open(&eddy, &config) < 0)
        return 1;
    eddy_key public_key = eddy_public_key(eddy); // of this run: no config.secret_key
    fprintf(stderr, "%s\n", eddy_key_print(&public_key, EDDY_KEY_PUBLIC, key));
    for (eddy_event event; eddy_next(eddy, &event, EDDY_FOREVER) >= 0; eddy_release(eddy, &event))
        if (event.type == EDDY_MESSAGE &&
            eddy_send(eddy, event.connection, event.message.guarantee, event.message.stream,
                      event.message.data, event.message.size) < 0)
            (void)eddy_disconnect(eddy, event.connection, 0, "it does not read", 0);
    return eddy_close(eddy, 1000) < 0 ? 1 : 0;
}
