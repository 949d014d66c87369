/** Two UDP sockets on the loopback interface, and numbered datagrams between them. */
#ifndef ED_TEST_UDP_RIG_H
#define ED_TEST_UDP_RIG_H

#include "core/alloc.h"
#include "core/eddy.h"
#include "transport/udp.h"

enum {
    ED_UDP_RIG_BATCH = 64,
    ED_UDP_RIG_SIZE_MAX = 3000,
};

/** What the two sockets are bound to, and at which address the sender finds the receiver. */
typedef struct ed_udp_rig_ends {
    const char *sender;
    const char *receiver;
    const char *reached_at; /* with any port */
} ed_udp_rig_ends;

typedef struct ed_udp_rig {
    ed_counting_alloc memory;
    eddy_socket sender;
    eddy_socket receiver;
    eddy_address to;
    size_t (*size_of)(uint32_t number);
    uint32_t sent; /* the number of the next datagram */
    uint32_t received;
    eddy_datagram last; /* the one received last; its data are gone */
    uint8_t data[ED_UDP_RIG_BATCH][ED_UDP_RIG_SIZE_MAX];
} ed_udp_rig;

/** Every datagram the same size. */
size_t ed_udp_rig_size_1200(uint32_t number);

/** Runs of equal sizes, odd ones between them, some of no bytes at all. */
size_t ed_udp_rig_size_mixed(uint32_t number);

/** Whether the loopback interface has ::1. */
bool ed_udp_rig_ipv6(void);

/** Opens both, or fails the test. */
void ed_udp_rig_open(ed_udp_rig *rig, const ed_udp_rig_ends *ends, const ed_udp_options *options,
                     size_t (*size_of)(uint32_t number));

/** Closes both, and checks that no memory is left. */
void ed_udp_rig_close(ed_udp_rig *rig);

/** Writes the datagram of that number. */
void ed_udp_rig_fill(ed_udp_rig *rig, uint32_t number, eddy_datagram *datagram);

/** Sends the next `count` datagrams with one call. @return what it returns. */
size_t ed_udp_rig_send(ed_udp_rig *rig, size_t count);

/** Takes the next `count` datagrams, at most `at_once` a call, and checks each. */
void ed_udp_rig_receive(ed_udp_rig *rig, const char *name, size_t count, size_t at_once);

/** Checks that nothing more has come. */
void ed_udp_rig_receive_none(ed_udp_rig *rig, const char *name);

eddy_socket_stats ed_udp_rig_stats(const eddy_socket *socket);

/** The address `text` with the port of the socket. */
eddy_address ed_udp_rig_at(const char *text, const eddy_socket *socket);

#endif
