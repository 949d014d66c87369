/** The people in a chat, and what is said among them: the server's side, without its loop. */
#ifndef ED_TOOL_CHAT_ROOM_H
#define ED_TOOL_CHAT_ROOM_H

#include "core/eddy.h"
#include "core/list.h"
#include "tools/chat_line.h"

enum {
    ED_CHAT_REFUSED = 1, /* the code of the end of a connection whose login was refused */
    ED_CHAT_LOGIN_WAIT_S = 10,
};

typedef struct ed_chat_room {
    eddy_manager *eddy;
    ed_list people; /* those without a login, too */
    uint64_t passed_on;
    uint64_t undelivered; /* of those that ended as we do */
    uint64_t too_late;    /* came when nothing could be sent any more */
} ed_chat_room;

void ed_chat_room_init(ed_chat_room *room, eddy_manager *eddy);

/** Takes an event, and releases it. */
void ed_chat_room_take(ed_chat_room *room, eddy_event *event, uint64_t now_ns);

/** Ends those that have not said their login in time. */
void ed_chat_room_tidy(ed_chat_room *room, uint64_t now_ns);

#endif
