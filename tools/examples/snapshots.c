/**
 * A server tells a world as what has changed since the newest snapshot that it knows to have
 * arrived (eddy_stream_stats.newest_receipt). Both ends are here in one program.
 */
#include <eddy.h>
#include <stdio.h>
#include <string.h>

enum { THINGS = 200, KEPT = 64, TICKS = 60, TICK_MS = 10 };

typedef uint8_t snapshot[THINGS];

static snapshot sent[KEPT], known[KEPT]; /* by number; number 0 is all zeros, at both ends */

/** Number, number of the baseline, and (place, value) of what is not as in that. */
static size_t write_changes(uint8_t *data, uint8_t number, uint8_t baseline)
{
    size_t size = 0;
    data[size++] = number;
    data[size++] = baseline;
    for (int i = 0; i < THINGS; i++)
        if (sent[number][i] != sent[baseline][i]) {
            data[size++] = (uint8_t)i;
            data[size++] = sent[number][i];
        }
    return size;
}

/** Anything may come from a peer. @return its number, 0: it is no snapshot. */
static uint8_t read_changes(const uint8_t *data, size_t size)
{
    if (size < 2 || size % 2 != 0 || data[0] >= KEPT || data[1] >= data[0])
        return 0;
    for (size_t i = 2; i < size; i += 2)
        if (data[i] >= THINGS)
            return 0;
    memcpy(known[data[0]], known[data[1]], sizeof(snapshot));
    for (size_t i = 2; i < size; i += 2)
        known[data[0]][data[i]] = data[i + 1];
    return data[0];
}

/** One tick of the server. @return the size of what it said. */
static size_t tell(eddy_manager *server, eddy_connection client, uint8_t tick)
{
    uint8_t data[2 + 2 * THINGS];
    eddy_stream_stats stats = {0};
    memcpy(sent[tick], sent[tick - 1], sizeof(snapshot));
    sent[tick][tick * 7 % THINGS]++;
    if (eddy_get_stream_stats(server, client, EDDY_UNRELIABLE_SEQUENCED, 0, &stats) < 0)
        return 0;
    size_t size = write_changes(data, tick, (uint8_t)stats.newest_receipt);
    eddy_send_options options = {.receipt = tick, .quiet_receipt = true};
    return eddy_send_with(server, client, EDDY_UNRELIABLE_SEQUENCED, 0, data, size, &options) < 0
               ? 0
               : size;
}

int main(void)
{
    eddy_manager *server = NULL, *client = NULL;
    eddy_config config = eddy_config_default();
    eddy_connection up = 0;
    eddy_event event;
    uint8_t newest = 0;
    size_t total = 0;

    config.bind = "127.0.0.1:0";
    config.accept = true;
    if (eddy_open(&server, &config) < 0 || eddy_open(&client, NULL) < 0)
        return 1;
    eddy_key key = eddy_public_key(server);
    eddy_address at = eddy_local_address(server);
    eddy_connect_options options = {.mode = EDDY_MODE_PINNED, .server_key = &key};
    if (eddy_connect_address(client, &at, &options, &up) < 0 ||
        eddy_await(server, EDDY_CONNECTED, &event, 5000) < 0)
        return 1;
    eddy_connection down = event.connection;
    eddy_release(server, &event);
    for (uint8_t tick = 1; tick < TICKS; tick++) {
        total += tell(server, down, tick);
        while (eddy_next(client, &event, TICK_MS) >= 0) {
            uint8_t number = event.type == EDDY_MESSAGE
                                 ? read_changes(event.message.data, event.message.size)
                                 : 0;
            newest = number != 0 ? number : newest;
            eddy_release(client, &event);
        }
    }
    int wrong = memcmp(known[newest], sent[newest], sizeof(snapshot));
    printf("%d snapshots of %d bytes, told in %zu bytes; the last that came: %d, %s\n", TICKS - 1,
           THINGS, total, newest, wrong == 0 ? "right" : "wrong");
    (void)eddy_close(client, 1000);
    return eddy_close(server, 1000) < 0 || wrong != 0;
}
