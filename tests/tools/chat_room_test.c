/** Who joins a chat has so long to say a login. */
#include "tests/unit/api_bed.h"
#include "tools/chat_room.h"

static const uint64_t wait_ns = ED_CHAT_LOGIN_WAIT_S * ED_NS_PER_S;

static ed_chat_room room;

/** The server's events go to the room, as if `now_ns` had come. */
static void feed(uint64_t now_ns)
{
    eddy_event event;

    run_for_ms(50);
    while (eddy_next(pair.server.manager, &event, 0) == EDDY_OK)
        ed_chat_room_take(&room, &event, now_ns);
    run_for_ms(50); // and what it says to that
}

/** One that came at time 0, and perhaps says something then. */
static void open_room(const char *said)
{
    eddy_event came = {.type = EDDY_CONNECTED, .connection = pair.taken};

    ed_chat_room_init(&room, pair.server.manager);
    ed_chat_room_take(&room, &came, 0);
    if (said != NULL)
        CHECK_EQ("say",
                 eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 0, said,
                           strlen(said)),
                 EDDY_OK);
    feed(0);
}

/** The room has forgotten all that were in it: nothing of its memory is left. */
static void leave(void)
{
    (void)eddy_disconnect(pair.client.manager, pair.dialled, 0, NULL, 0);
    feed(wait_ns);
    CHECK("empty", ed_list_empty(&room.people));
}

static void who_says_no_login_is_sent_away(void **state)
{
    (void)state;
    open_room(NULL);
    ed_chat_room_tidy(&room, wait_ns - 1);
    feed(wait_ns - 1);
    check_no_event(&pair.client, EDDY_EAGAIN);
    ed_chat_room_tidy(&room, wait_ns);
    ed_chat_room_tidy(&room, wait_ns); // once
    feed(wait_ns);
    eddy_event event = take_event(&pair.client, EDDY_DISCONNECTED);
    CHECK_EQ("refused", event.disconnected.code, ED_CHAT_REFUSED);
    CHECK_STR("why", event.disconnected.reason, "no login was said");
    eddy_release(pair.client.manager, &event);
    leave();
}

static void who_has_said_it_stays(void **state)
{
    (void)state;
    open_room("alice");
    eddy_event event = take_event(&pair.client, EDDY_MESSAGE);
    eddy_release(pair.client.manager, &event);
    ed_chat_room_tidy(&room, 2 * wait_ns);
    feed(2 * wait_ns);
    check_no_event(&pair.client, EDDY_EAGAIN);
    leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_says_no_login_is_sent_away, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(who_has_said_it_stays, open_pair, close_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
