#include "tests/support/udp_rig.h"

#include "core/base.h"
#include "tests/support/check.h"

#define PATIENCE_NS                                                                                \
    (5 * ED_NS_PER_S) /* loopback is done when send returns; this is for the worst */

size_t ed_udp_rig_size_1200(uint32_t number)
{
    (void)number;
    return 1200;
}

size_t ed_udp_rig_size_mixed(uint32_t number)
{
    static const size_t sizes[] = {
        1200, 1200, 1200, 1200, 1200, 1200, 1200, 700, // a run that a shorter one ends
        64,   64,   64,   64,   64,   64,   65,        // a run that a longer one ends
        1,    0,    0,    1,    1,    0,    2,    3000, 3000, 3000, 9, 1200, 1200, 1200,
    };
    return sizes[number % ED_COUNT(sizes)];
}

bool ed_udp_rig_ipv6(void)
{
    eddy_socket socket;

    if (ed_udp_open(&socket, ed_alloc_default(), "[::1]:0", NULL) != EDDY_OK)
        return false;
    socket.close(socket.context);
    return true;
}

eddy_address ed_udp_rig_at(const char *text, const eddy_socket *socket)
{
    eddy_address address = {0};

    CHECK_EQ(text, eddy_address_parse(&address, text), EDDY_OK);
    address.port = socket->local(socket->context).port;
    return address;
}

eddy_socket_stats ed_udp_rig_stats(const eddy_socket *socket)
{
    eddy_socket_stats stats;

    socket->stats(socket->context, &stats);
    return stats;
}

void ed_udp_rig_open(ed_udp_rig *rig, const ed_udp_rig_ends *ends, const ed_udp_options *options,
                     size_t (*size_of)(uint32_t number))
{
    const eddy_allocator *allocator = &rig->memory.allocator;

    memset(rig, 0, sizeof *rig);
    ed_counting_alloc_init(&rig->memory, NULL);
    rig->size_of = size_of;
    CHECK_EQ("sender", ed_udp_open(&rig->sender, allocator, ends->sender, options), EDDY_OK);
    CHECK_EQ("receiver", ed_udp_open(&rig->receiver, allocator, ends->receiver, options), EDDY_OK);
    rig->to = ed_udp_rig_at(ends->reached_at, &rig->receiver);
}

void ed_udp_rig_close(ed_udp_rig *rig)
{
    rig->sender.close(rig->sender.context);
    rig->receiver.close(rig->receiver.context);
    CHECK_EQ("memory left", rig->memory.live_count, 0);
}

void ed_udp_rig_fill(ed_udp_rig *rig, uint32_t number, eddy_datagram *datagram)
{
    uint8_t *data = rig->data[number % ED_UDP_RIG_BATCH];
    size_t size = rig->size_of(number);

    CHECK("fits", size <= ED_UDP_RIG_SIZE_MAX);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(number * 7 + i);
    *datagram = (eddy_datagram){.remote = rig->to, .data = data, .size = size};
}

size_t ed_udp_rig_send(ed_udp_rig *rig, size_t count)
{
    eddy_datagram datagrams[ED_UDP_RIG_BATCH];

    CHECK("fits", count <= ED_UDP_RIG_BATCH);
    for (uint32_t i = 0; i < count; i++)
        ed_udp_rig_fill(rig, rig->sent + i, &datagrams[i]);
    size_t taken = rig->sender.send(rig->sender.context, datagrams, count);
    rig->sent += (uint32_t)taken;
    return taken;
}

static void check_datagram(ed_udp_rig *rig, const char *name, const eddy_datagram *datagram)
{
    eddy_datagram want;
    eddy_address local = datagram->local;

    ed_udp_rig_fill(rig, rig->received++, &want);
    CHECK_EQ(name, datagram->size, want.size);
    CHECK_BYTES(name, datagram->data, want.data, want.size);
    CHECK(name, eddy_address_equal(&local, &rig->to));
    CHECK_EQ(name, datagram->remote.port, rig->sender.local(rig->sender.context).port);
    CHECK_EQ(name, datagram->remote.family, rig->to.family);
    rig->last = *datagram;
    rig->last.data = NULL;
}

void ed_udp_rig_receive(ed_udp_rig *rig, const char *name, size_t count, size_t at_once)
{
    eddy_datagram datagrams[ED_UDP_RIG_BATCH];
    size_t done = 0;

    while (done < count) {
        size_t wanted = ed_min_size(at_once, count - done);
        size_t got = rig->receiver.receive(rig->receiver.context, datagrams, wanted);
        CHECK(name, got <= wanted);
        if (got == 0) {
            uint64_t calls = ed_udp_rig_stats(&rig->receiver).received_datagrams;
            rig->receiver.wait(rig->receiver.context, -1, false, PATIENCE_NS);
            got = rig->receiver.receive(rig->receiver.context, datagrams, wanted);
            if (got == 0)
                fail_msg("%s: %llu datagrams came, then no more", name, (unsigned long long)calls);
        }
        for (size_t i = 0; i < got; i++)
            check_datagram(rig, name, &datagrams[i]);
        done += got;
    }
}

void ed_udp_rig_receive_none(ed_udp_rig *rig, const char *name)
{
    eddy_datagram datagram;

    CHECK_EQ(name, rig->receiver.receive(rig->receiver.context, &datagram, 1), 0);
}
