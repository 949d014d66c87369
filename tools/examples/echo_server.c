#include <eddy.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    eddy_config config = eddy_config_default();
    eddy_manager *eddy = NULL;
    eddy_event event = {0};
    char key[EDDY_KEY_TEXT_SIZE];
    config.bind = argv[argc - 1];
    config.accept = true;
    if (eddy_open(&eddy, &config) != EDDY_OK)
        return 1;
    eddy_key public_key = eddy_public_key(eddy);
    puts(eddy_key_print(&public_key, EDDY_KEY_PUBLIC, key));
    while (eddy_next(eddy, &event, EDDY_FOREVER) == EDDY_OK) {
        if (event.type == EDDY_MESSAGE &&
            eddy_send(eddy, event.connection, event.message.guarantee, event.message.stream,
                      event.message.data, event.message.size) != EDDY_OK)
            break;
        eddy_release(eddy, &event);
    }
    return eddy_close(eddy, 1000) == EDDY_OK ? 0 : 1;
}
