#include <eddy.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    eddy_manager *eddy = NULL;
    eddy_connection peer = 0;
    eddy_event event = {0};
    if (argc != 3 || eddy_open(&eddy, NULL) != EDDY_OK ||
        eddy_connect(eddy, argv[1], argv[2], &peer) != EDDY_OK ||
        eddy_send(eddy, peer, EDDY_RELIABLE_ORDERED, 0, "hello", 5) != EDDY_OK ||
        eddy_await(eddy, EDDY_MESSAGE, &event, 5000) != EDDY_OK)
        return 1;
    printf("%.*s\n", (int)event.message.size, (const char *)event.message.data);
    eddy_release(eddy, &event);
    return eddy_close(eddy, 1000) == EDDY_OK ? 0 : 1;
}
