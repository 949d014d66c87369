#include <eddy.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    eddy_manager *eddy = NULL;
    eddy_connection peer = 0;
    eddy_event event = {0};
    if (argc < 3 || eddy_open(&eddy, NULL) < 0 || eddy_connect(eddy, argv[1], argv[2], &peer) < 0 ||
        eddy_send(eddy, peer, EDDY_RELIABLE_ORDERED, 0, "hello", 5) < 0 ||
        eddy_await(eddy, EDDY_MESSAGE, &event, 5000) < 0)
        return 1;
    printf("%.*s\n", (int)event.message.size, (const char *)event.message.data);
    eddy_release(eddy, &event);
    return eddy_close(eddy, 1000) < 0 ? 1 : 0;
}
