#include "tests/support/switch.h"

#include "core/alloc.h"
#include "tests/support/check.h"
#include "transport/udp.h"

static size_t receive(void *context, eddy_datagram *datagrams, size_t count)
{
    const ed_switch *s = context;

    return s->now.receive(s->now.context, datagrams, count);
}

static size_t send_now(void *context, const eddy_datagram *datagrams, size_t count)
{
    const ed_switch *s = context;
    size_t sent = 0;

    // The address that a connection came by before is not one to send from.
    for (eddy_datagram one; sent < count; sent++) {
        one = datagrams[sent];
        one.local = (eddy_address){.family = EDDY_FAMILY_NONE};
        if (s->now.send(s->now.context, &one, 1) == 0)
            break;
    }
    return sent;
}

static eddy_address local(void *context)
{
    const ed_switch *s = context;

    return s->now.local(s->now.context);
}

static void close_now(void *context)
{
    const ed_switch *s = context;

    s->now.close(s->now.context);
}

void ed_switch_open(ed_switch *s, const char *bind)
{
    CHECK_EQ(bind, ed_udp_open(&s->now, ed_alloc_default(), bind, NULL), EDDY_OK);
    s->socket = (eddy_socket){
        .context = s, .receive = receive, .send = send_now, .local = local, .close = close_now};
}

void ed_switch_to(ed_switch *s, const char *bind)
{
    eddy_socket before = s->now; // still open, so that the port is another

    CHECK_EQ(bind, ed_udp_open(&s->now, ed_alloc_default(), bind, NULL), EDDY_OK);
    before.close(before.context);
}
