#include "tools/chat_room.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"

enum {
    REFUSE_FLUSH_MS = 2000, /* for the reason to arrive */
    SAID_MAX = ED_CHAT_LINE_MAX + ED_CHAT_LOGIN_MAX + 64,
};

/** Somebody: the connection's user data points here from its first event to its last. */
typedef struct person {
    ed_list_node node;
    eddy_connection connection;
    uint64_t since_ns;
    size_t login_size; /* 0: has not said it */
    char login[ED_CHAT_LOGIN_MAX];
    bool is_refused;
} person;

void ed_chat_room_init(ed_chat_room *room, eddy_manager *eddy)
{
    *room = (ed_chat_room){.eddy = eddy};
    ed_list_init(&room->people);
}

static ed_chat_text login_of(const person *p)
{
    return (ed_chat_text){p->login, p->login_size};
}

static person *find(const ed_chat_room *room, ed_chat_text login)
{
    for (ed_list_node *node = ed_list_first(&room->people); node != NULL;
         node = ed_list_next(&room->people, node)) {
        person *p = ED_CONTAINER(node, person, node);
        if (p->login_size > 0 && ed_chat_equal(login_of(p), login))
            return p;
    }
    return NULL;
}

static void refuse(ed_chat_room *room, person *p, const char *reason)
{
    eddy_status status =
        eddy_disconnect(room->eddy, p->connection, ED_CHAT_REFUSED, reason, REFUSE_FLUSH_MS);

    (void)status; // it may have ended by itself
    p->is_refused = true;
    printf("refused: %s\n", reason);
}

/** Says something to somebody. @return whether it was accepted. */
__attribute__((format(printf, 3, 4))) static eddy_status say(ed_chat_room *room, const person *to,
                                                             const char *format, ...)
{
    char text[SAID_MAX];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ED_ASSERT(size >= 0 && (size_t)size < sizeof(text));
    return eddy_send(room->eddy, to->connection, EDDY_RELIABLE_ORDERED, 0, text, (size_t)size);
}

/** A word of the server's own; who does not keep up misses it. */
#define NOTICE(ROOM, TO, ...) (void)(say(ROOM, TO, "* " __VA_ARGS__) == EDDY_OK)

/* ---------------------------------------------------------------------------- what is said -- */

static void log_in(ed_chat_room *room, person *p, ed_chat_text login)
{
    char reason[EDDY_REASON_SIZE];

    login = ed_chat_trim(login);
    const char *wrong = ed_chat_check_login(login);
    if (wrong != NULL) {
        refuse(room, p, wrong);
        return;
    }
    if (find(room, login) != NULL) {
        (void)snprintf(reason, sizeof(reason), "the login '%.*s' is taken", (int)login.size,
                       login.at);
        refuse(room, p, reason);
        return;
    }
    memcpy(p->login, login.at, login.size);
    p->login_size = login.size;
    printf("%.*s came\n", (int)login.size, login.at);
    NOTICE(room, p, "welcome, %.*s", (int)login.size, login.at);
}

static void pass_on(ed_chat_room *room, const person *from, ed_chat_text name, ed_chat_text text)
{
    const person *to = find(room, name);
    eddy_status status = EDDY_ECONNECTION;

    if (to != NULL)
        status = say(room, to, "from %.*s: %.*s", (int)from->login_size, from->login,
                     (int)text.size, text.at);
    if (status == EDDY_OK)
        room->passed_on++;
    else if (status == EDDY_ECLOSED)
        room->too_late++;
    else if (status == EDDY_EAGAIN)
        NOTICE(room, from, "%.*s does not keep up, and did not get that", (int)name.size, name.at);
    else
        NOTICE(room, from, "nobody here is called %.*s", (int)name.size, name.at);
}

static void hear(ed_chat_room *room, person *p, ed_chat_text said)
{
    ed_chat_line line;

    if (p->is_refused)
        return;
    if (p->login_size == 0) {
        log_in(room, p, said);
        return;
    }
    const char *wrong = ed_chat_parse(&line, said);
    if (wrong != NULL)
        NOTICE(room, p, "%s", wrong);
    for (size_t i = 0; wrong == NULL && i < line.name_count; i++)
        pass_on(room, p, line.names[i], line.text);
}

/* ---------------------------------------------------------------------------- come and go -- */

static void come(ed_chat_room *room, eddy_connection connection, uint64_t now_ns)
{
    person *p = ed_alloc_zeroed(ed_alloc_default(), sizeof(*p));

    if (p == NULL) {
        (void)!eddy_disconnect(room->eddy, connection, ED_CHAT_REFUSED, "no memory", 0);
        return;
    }
    p->connection = connection;
    p->since_ns = now_ns;
    ed_list_push_back(&room->people, &p->node);
    (void)!eddy_set_connection_data(room->eddy, connection, p);
}

/** Found by its connection, not by its login: that may be another's by now. */
static void go(ed_chat_room *room, person *p, const eddy_event_disconnected *end)
{
    room->undelivered += end->end == EDDY_END_CLOSED_LOCAL && !p->is_refused ? end->undelivered : 0;
    if (p->login_size > 0)
        printf("%.*s left: %s\n", (int)p->login_size, p->login, eddy_end_text(end->end));
    if (p->login_size > 0 && end->undelivered > 0)
        printf("%llu messages are not known to have reached %.*s\n",
               (unsigned long long)end->undelivered, (int)p->login_size, p->login);
    ed_list_remove(&p->node);
    ed_alloc_free(ed_alloc_default(), p, sizeof(*p));
}

void ed_chat_room_take(ed_chat_room *room, eddy_event *event, uint64_t now_ns)
{
    person *p = event->user_data;

    if (event->type == EDDY_CONNECTED)
        come(room, event->connection, now_ns);
    else if (event->type == EDDY_MESSAGE && p != NULL)
        hear(room, p, (ed_chat_text){(const char *)event->message.data, event->message.size});
    else if (event->type == EDDY_DISCONNECTED && p != NULL)
        go(room, p, &event->disconnected);
    eddy_release(room->eddy, event);
    fflush(stdout);
}

void ed_chat_room_tidy(ed_chat_room *room, uint64_t now_ns)
{
    for (ed_list_node *node = ed_list_first(&room->people); node != NULL;
         node = ed_list_next(&room->people, node)) {
        person *p = ED_CONTAINER(node, person, node);
        if (p->login_size == 0 && !p->is_refused &&
            now_ns >= p->since_ns + ED_CHAT_LOGIN_WAIT_S * ED_NS_PER_S)
            refuse(room, p, "no login was said");
    }
}
