/** `eddy chat connect`: somebody who takes part in a chat. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/access.h"
#include "tools/chat_input.h"
#include "tools/chat_room.h"
#include "tools/commands.h"
#include "tools/report.h"
#include "tools/stop.h"

enum {
    WAIT_FD_COUNT = 3,
    FLUSH_MS = 5000,
};

typedef struct chat_options {
    const char *host_port;
    const char *login;
    ed_connect_access access;
} chat_options;

typedef struct chatter {
    const chat_options *options;
    ed_connect_keys keys;
    eddy_manager *eddy;
    eddy_connection connection;
    bool is_welcome; /* the server has taken the login */
    bool has_no_room;
    bool is_leaving;
    bool has_ended;
    eddy_event_disconnected ending;
} chatter;

/* ------------------------------------------------------------------------------------ words -- */

static bool say(void *context, const char *line, size_t size)
{
    chatter *c = context;
    eddy_status status = EDDY_OK;

    if (ed_chat_trim((ed_chat_text){line, size}).size == 0)
        return true;
    status = eddy_send(c->eddy, c->connection, EDDY_RELIABLE_ORDERED, 0, line, size);
    c->has_no_room = status == EDDY_EAGAIN;
    if (status == EDDY_ETOOBIG)
        ed_chat_input_show("* that is too long", strlen("* that is too long"), true);
    return status != EDDY_EAGAIN;
}

static void take_message(chatter *c, const eddy_event_message *message)
{
    const char *text = (const char *)message->data;

    c->is_welcome = true; // who is refused hears nothing
    ed_chat_input_show(text, message->size, message->size > 0 && text[0] == '*');
}

static void take_events(chatter *c)
{
    eddy_event event;

    while (eddy_next(c->eddy, &event, 0) == EDDY_OK) {
        if (event.type == EDDY_MESSAGE)
            take_message(c, &event.message);
        else if (event.type == EDDY_WRITABLE)
            c->has_no_room = !ed_chat_input_go_on();
        else if (event.type == EDDY_DISCONNECTED) {
            c->has_ended = true;
            c->ending = event.disconnected;
        }
        eddy_release(c->eddy, &event);
    }
}

/** What was said is delivered first. */
static void leave(chatter *c)
{
    eddy_status status = eddy_disconnect(c->eddy, c->connection, 0, NULL, FLUSH_MS);

    (void)status; // it may have ended by itself
    c->is_leaving = true;
}

/** Not a loop of eddy_loop.h: the input may be a file, which only poll() can wait for. */
static void run(chatter *c, const eddy_stop *stop)
{
    struct pollfd fds[WAIT_FD_COUNT] = {{.fd = eddy_event_fd(c->eddy), .events = POLLIN},
                                        {.fd = eddy_stop_fd(stop), .events = POLLIN},
                                        {.fd = STDIN_FILENO, .events = POLLIN}};

    while (!c->has_ended) {
        // Until the login is taken nothing is read, so that nothing is said in vain.
        bool reads = c->is_welcome && !c->has_no_room && !c->is_leaving;
        fds[1].fd = c->is_leaving ? -1 : eddy_stop_fd(stop);
        fds[2].fd = reads ? STDIN_FILENO : -1;
        int ready = poll(fds, WAIT_FD_COUNT, -1);
        take_events(c);
        if (reads && ready > 0 && fds[2].revents != 0)
            ed_chat_input_read();
        if (!c->is_leaving && (eddy_stop_requested(stop) || ed_chat_input_has_ended()))
            leave(c);
    }
}

/* ------------------------------------------------------------------------------ begin and end --
 */

/** @return an exit code, after it has said how it ended. */
static int judge(const chatter *c)
{
    char why[ED_ENDING_TEXT_SIZE];
    bool is_theirs = c->ending.end == EDDY_END_CLOSED_REMOTE && c->ending.code == 0;

    if (c->ending.end == EDDY_END_CLOSED_REMOTE && c->ending.code == ED_CHAT_REFUSED)
        return ed_fail("chat connect", "the server refused: %s", c->ending.reason);
    if (!is_theirs && c->ending.end != EDDY_END_CLOSED_LOCAL)
        return ed_fail("chat connect", "%s",
                       ed_ending_describe(why, c->keys.options.mode, &c->ending));
    if (is_theirs)
        fputs("* the server has ended\n", stderr);
    if (c->ending.undelivered > 0)
        return ed_fail("chat connect", "%llu messages are not known to have arrived",
                       (unsigned long long)c->ending.undelivered);
    return ED_EXIT_OK;
}

static int open_connection(chatter *c)
{
    const chat_options *o = c->options;
    eddy_config config = eddy_config_default();

    int exit_code =
        ed_connect_access_load(&o->access, "chat connect", o->host_port, &c->keys, &config);
    if (exit_code != ED_EXIT_OK)
        return exit_code;
    eddy_status status = eddy_open(&c->eddy, &config);
    if (status == EDDY_OK)
        status = eddy_connect_with(c->eddy, o->host_port, &c->keys.options, &c->connection);
    if (status == EDDY_OK)
        status =
            eddy_send(c->eddy, c->connection, EDDY_RELIABLE_ORDERED, 0, o->login, strlen(o->login));
    return status == EDDY_OK
               ? ED_EXIT_OK
               : ed_fail("chat connect", "cannot connect: %s", eddy_status_text(status));
}

static int take_part(const chat_options *o)
{
    chatter c = {.options = o};
    const eddy_stop *stop = ed_stop_on_signals();
    int exit_code = stop != NULL ? open_connection(&c) : ED_EXIT_FAILED;

    if (exit_code == ED_EXIT_OK) {
        ed_chat_input_open(say, &c);
        run(&c, stop);
        ed_chat_input_close();
        exit_code = judge(&c);
    }
    (void)eddy_close(c.eddy, 0); // all has been sent, or its time was over
    ed_connect_keys_forget(&c.keys);
    return exit_code;
}

int cmd_chat_connect(int argc, char **argv)
{
    chat_options o = {.login = getenv("USER")};
    const ed_option options[] = {
        ED_TEXT("login", "NAME", &o.login, "who we are; else the user's name"),
        ED_CONNECT_ACCESS_OPTIONS(&o.access),
    };
    const ed_usage usage = {
        .command = "chat connect",
        .summary =
            "Takes part in a chat. Type \"NAME, NAME: TEXT\" to say something to these people\n"
            "(yourself, too, if you name yourself), and ^D or ^C to leave. What others say "
            "appears\n"
            "above the line that you type; lines that begin with * are the server's. Without\n"
            "a terminal each line of the input is sent, what is said to us goes to stdout,\n"
            "and what the server has to say, to stderr.",
        .example =
            "  eddy chat connect 127.0.0.1:4242 --server-key KEY --login alice\n"
            "  echo 'bob: dinner is ready' | eddy chat connect HOST:PORT --open --login cook\n",
        .options = options,
        .option_count = ED_COUNT(options),
        .operand_name = "HOST:PORT",
        .operand = &o.host_port,
        .operand_optional = true, // with a token
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    ed_chat_text login = {o.login, o.login == NULL ? 0 : strlen(o.login)};
    const char *wrong = ed_chat_check_login(login.size == 0 ? login : ed_chat_trim(login));
    if (wrong != NULL) {
        ed_fail("chat connect", "--login: %s", wrong);
        return ED_EXIT_USAGE;
    }
    return take_part(&o);
}
