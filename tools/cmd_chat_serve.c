/** `eddy chat serve`: the server of a chat. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/access.h"
#include "tools/chat_room.h"
#include "tools/commands.h"
#include "tools/report.h"
#include "tools/runner.h"
#include "tools/stop.h"

enum {
    IDLE_MS = 5000, /* after which a login of somebody who vanished is free */
    KEEPALIVE_MS = 1500,
    SEND_BUDGET = 4 << 20, /* of each */
    FLUSH_S_MAX = 600,
};

typedef struct chat_options {
    const char *bind;
    uint64_t flush_ms;
    ed_serve_access access;
} chat_options;

typedef struct chat_server {
    const chat_options *options;
    ed_chat_room room;
    ed_runner runner;
} chat_server;

static void take_event(void *context, eddy_event *event)
{
    chat_server *s = context;

    ed_chat_room_take(&s->room, event, eddy_now_ns());
}

static void tidy(void *context)
{
    chat_server *s = context;

    ed_chat_room_tidy(&s->room, eddy_now_ns());
}

static void run(chat_server *s)
{
    eddy_event event;

    while (!ed_runner_is_stopped(&s->runner))
        ed_runner_round(&s->runner, EDDY_FOREVER);
    // What has come by now is passed on; then nobody is let in, and all of it is delivered.
    while (eddy_next(s->room.eddy, &event, 0) == EDDY_OK)
        take_event(s, &event);
    eddy_shutdown(s->room.eddy, (uint32_t)s->options->flush_ms);
    while (!s->runner.is_over)
        ed_runner_round(&s->runner, EDDY_FOREVER);
}

static int print_result(const ed_chat_room *room, uint64_t flush_ms)
{
    printf("%" PRIu64 " messages passed on\n", room->passed_on);
    if (room->too_late > 0)
        printf("%" PRIu64 " came too late to be passed on\n", room->too_late);
    if (room->undelivered > 0)
        return ed_fail("chat serve",
                       "%" PRIu64 " messages did not arrive within the %" PRIu64 " ms of the end",
                       room->undelivered, flush_ms);
    return ED_EXIT_OK;
}

static void announce(eddy_manager *eddy, const chat_options *o)
{
    char address[EDDY_ADDRESS_TEXT_SIZE];
    char key[EDDY_KEY_TEXT_SIZE];
    eddy_address local = eddy_local_address(eddy);
    eddy_key public_key = eddy_public_key(eddy);

    printf("listening on %s\n", eddy_address_print(&local, address));
    printf("server key %s\n", eddy_key_print(&public_key, EDDY_KEY_PUBLIC, key));
    if (o->access.key == NULL)
        puts("this key is for this run alone: eddy keygen FILE makes one for --key FILE");
    fflush(stdout);
}

static eddy_status open_runner(chat_server *s)
{
    eddy_status status = ed_runner_open(&s->runner, ed_stop_on_signals(), tidy, s);

    return status == EDDY_OK ? ed_runner_take_events(&s->runner, s->room.eddy, take_event) : status;
}

/** @return an exit code, after it has said why. */
static int open_server(const chat_options *o, eddy_manager **eddy)
{
    eddy_config config = eddy_config_default();
    ed_serve_keys keys;

    int exit_code = ed_serve_access_load(&o->access, "chat serve", &keys, &config);
    config.bind = o->bind;
    config.accept = true;
    config.idle_timeout_ms = IDLE_MS;
    config.keepalive_ms = KEEPALIVE_MS;
    config.connection_send_budget = SEND_BUDGET;
    eddy_status status = exit_code == ED_EXIT_OK ? eddy_open(eddy, &config) : EDDY_OK;
    ed_serve_keys_forget(&keys);
    if (status != EDDY_OK)
        return ed_fail("chat serve", "cannot listen on %s: %s", o->bind, eddy_status_text(status));
    return exit_code;
}

static int serve(const chat_options *o)
{
    chat_server s = {.options = o};
    eddy_manager *eddy = NULL;

    int exit_code = open_server(o, &eddy);
    if (exit_code != ED_EXIT_OK)
        return exit_code;
    ed_chat_room_init(&s.room, eddy);
    eddy_status status = open_runner(&s);
    if (status == EDDY_OK) {
        announce(eddy, o);
        run(&s);
        exit_code = print_result(&s.room, o->flush_ms);
    } else {
        exit_code = ed_fail("chat serve", "%s", eddy_status_text(status));
    }
    ed_runner_close(&s.runner);
    (void)eddy_close(eddy, 0); // all has been sent, or its time was over
    return exit_code;
}

int cmd_chat_serve(int argc, char **argv)
{
    chat_options o = {.bind = ":4242", .flush_ms = 5 * ED_MS_PER_S};
    const ed_option options[] = {
        ED_TEXT("bind", "ADDR", &o.bind, "address to listen on: HOST:PORT, or :PORT [:4242]"),
        ED_NUMBER("flush", "S", &o.flush_ms, ED_MS_PER_S, 0, FLUSH_S_MAX * ED_MS_PER_S,
                  "seconds to deliver all, at the end"),
        ED_SERVE_ACCESS_OPTIONS(&o.access),
    };
    const ed_usage usage = {
        .command = "chat serve",
        .summary =
            "The server of a chat. A client says its login first; then each message is\n"
            "\"NAME, NAME: TEXT\", and each of these people gets \"from LOGIN: TEXT\".\n"
            "A login is taken as long as its owner is there. The first ^C (or SIGTERM) lets\n"
            "nobody in any more, delivers what was accepted, and ends; the second ends at\n"
            "once. The exit code is 1 if something did not arrive in the time of --flush.\n"
            "\n" ED_SERVE_ACCESS_HELP,
        .example = "  eddy chat serve --key server.key\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    return serve(&o);
}
