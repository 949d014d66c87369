/** Managers in a virtual world: a server, clients, and an oracle that checks all their events. */
#ifndef ED_TEST_CLUSTER_H
#define ED_TEST_CLUSTER_H

#include "core/alloc.h"
#include "core/base.h"
#include "sim/world.h"
#include "tests/support/oracle.h"

enum {
    ED_CLUSTER_NODES_MAX = 40,
    ED_NODE_ENDPOINTS_MAX = 256, /* connections of one node, ever */
};

struct ed_cluster;
struct ed_node;

/** What a program does about somebody who asks to connect. The event is released after it. */
typedef void (*ed_node_decide)(struct ed_node *node, ed_endpoint *endpoint,
                               const eddy_event_request *request);

/** One manager on one host. */
typedef struct ed_node {
    struct ed_cluster *cluster;
    eddy_config config;
    ed_counting_alloc memory; /* what the manager takes */
    ed_host *host;
    eddy_socket wire;   /* the world's, */
    eddy_socket socket; /* which the manager gets through this one */
    bool is_blocked;    /* the socket has no room for anything */
    size_t largest;     /* datagrams above it are too big for its machine; 0: none is */
    eddy_datagram big;  /* the last that was; size 0: it was told */
    eddy_entropy entropy;
    eddy_address address;
    eddy_manager *manager; /* NULL: it is not running */
    ed_endpoint *endpoints;
    size_t endpoint_count;
    size_t earlier_count;    /* of these belong to managers that have crashed */
    eddy_stats earlier;      /* what those had seen */
    uint64_t clock_ahead_ns; /* its clock is so far ahead of the world's, as that begins, */
    int32_t clock_fast_ppm;  /* and runs faster by so much */
    uint64_t memory_max;     /* checked whenever it has run; 0: not */
    uint32_t broadcasts;     /* begun; numbers them */
    bool is_reading;         /* whether it takes its events as they come */
    bool has_paused;         /* whether it ever did not */
    bool is_over;            /* the events have ended */
    ed_node_decide decide;   /* with config.ask */
} ed_node;

typedef struct ed_cluster {
    const char *name; /* in front of every complaint */
    ed_world *world;
    const eddy_allocator *allocator; /* where the nodes have their memory from; NULL: the default */
    ed_oracle oracle;
    ed_sizes sizes;
    uint8_t *data; /* of the message that is being sent */
    size_t data_capacity;
    ed_node nodes[ED_CLUSTER_NODES_MAX];
    size_t node_count;
} ed_cluster;

/** A server's configuration without a pump; accept is true. A client's is the same without. */
eddy_config ed_cluster_server_config(void);
eddy_config ed_cluster_client_config(void);

/** An empty world. Messages are of 0 to EDDY_PIECE_SIZE_MAX bytes until `sizes` is changed. */
void ed_cluster_open(ed_cluster *cluster, const char *name, uint64_t seed);

/** Ends all managers as a crash would, checks that their memory is back, and ends the world. */
void ed_cluster_close(ed_cluster *cluster);

/** Puts a manager on a host of its own. */
ed_node *ed_cluster_add(ed_cluster *cluster, const eddy_config *config);

/** A server and a client, connected. */
void ed_cluster_add_pair(ed_cluster *cluster, const eddy_config *server, const eddy_config *client);

/** Opens the manager. @return what eddy_open says; the node is as before on failure. */
eddy_status ed_node_start(ed_node *node);

/** Ends the manager without a word and checks that its memory is back; it may be started again. */
void ed_node_crash(ed_node *node);

/** Gives the node another address, as a NAT does that has forgotten its mapping. */
void ed_node_move(ed_node *node, const eddy_address *address);

/** Dials. @return the endpoint; NULL if it cannot even be begun. */
ed_endpoint *ed_node_try_connect(ed_node *node, const ed_node *to);
ed_endpoint *ed_node_try_connect_with(ed_node *node, const ed_node *to,
                                      const eddy_connect_options *options);

/** Dials a name. */
ed_endpoint *ed_node_try_connect_name(ed_node *node, const char *host_port,
                                      const eddy_connect_options *options);

/** Two ends of one node that are each other's peer. @return false if there are none. */
bool ed_node_try_connect_pair(ed_node *node, ed_endpoint *ends[2]);

/** The same, which must not fail. */
ed_endpoint *ed_node_connect(ed_node *node, const ed_node *to);

/** Sends the next message of the flow; the node acts on it in the next step. */
eddy_status ed_node_send(ed_node *node, ed_endpoint *endpoint, eddy_guarantee guarantee,
                         uint8_t stream);

/** Sends a message of that kind. Whatever but EDDY_EAGAIN goes wrong is the caller's to judge. */
eddy_status ed_node_send_parcel(ed_node *node, ed_endpoint *endpoint, const ed_parcel *parcel);

/** Sends one message to all its connections, on ED_BROADCAST_STREAM. @return how many took it. */
size_t ed_node_broadcast(ed_node *node, eddy_guarantee guarantee, size_t size);

void ed_node_set_stream(ed_node *node, const ed_endpoint *endpoint, uint8_t stream,
                        const eddy_stream_options *options);

/** Gives it another port, as a NAT does; it goes on as if nothing had happened. */
void ed_node_rebind(ed_node *node);

/** ed_node_send `count` times; each must be accepted. */
void ed_node_send_many(ed_node *node, ed_endpoint *endpoint, eddy_guarantee guarantee,
                       uint8_t stream, size_t count);

void ed_node_disconnect(ed_node *node, ed_endpoint *endpoint, uint32_t code, const char *reason,
                        uint32_t flush_ms);
void ed_node_shutdown(ed_node *node, uint32_t flush_ms);

/** Takes all events that wait. */
void ed_node_read(ed_node *node);

/** What its clock says. */
uint64_t ed_node_now_ns(const ed_node *node);

/** What the manager that runs has seen. */
eddy_stats ed_node_stats(const ed_node *node);

/** The connection that came to the node most recently; NULL: none. */
ed_endpoint *ed_node_newest(ed_node *node);

uint64_t ed_cluster_now_ns(const ed_cluster *cluster);
void ed_cluster_run_for(ed_cluster *cluster, uint64_t duration_ns);

/** Runs until `is_done(context)`, asked after every step. @return false after `limit_ns`. */
bool ed_cluster_run_until(ed_cluster *cluster, bool (*is_done)(const void *context),
                          const void *context, uint64_t limit_ns);

/** Runs until the endpoint is connected, or has ended; fails after `limit_ns`. */
void ed_cluster_await_connected(ed_cluster *cluster, const ed_endpoint *endpoint,
                                uint64_t limit_ns);
void ed_cluster_await_disconnected(ed_cluster *cluster, const ed_endpoint *endpoint,
                                   uint64_t limit_ns);

/** Whether an end is of a manager that runs, and has not ended. */
bool ed_node_is_live(const ed_node *node, const ed_endpoint *endpoint);

/** Whether every reliable message sent to an endpoint that is still connected has come. */
bool ed_cluster_all_delivered(const ed_cluster *cluster);

/** Prints every connection that is not over, and what it still owes. */
void ed_cluster_print(const ed_cluster *cluster);

/** Runs until that is so; fails after `limit_ns`. */
void ed_cluster_await_delivered(ed_cluster *cluster, uint64_t limit_ns);

/**
 * All is quiet: checks all that must hold then of every connection that has both of its ends, and
 * that what was acknowledged but not delivered is what the receivers say they have dropped.
 */
void ed_cluster_check_settled(ed_cluster *cluster);

/** Shuts everything down politely and checks that every connection has ended exactly once. */
void ed_cluster_shut_down(ed_cluster *cluster, uint32_t flush_ms, uint64_t limit_ns);

/** Adds one manager's counters to others. */
void ed_stats_add(eddy_stats *total, const eddy_stats *stats);

/** The sum over all nodes, managers that have crashed included. */
eddy_stats ed_cluster_stats(const ed_cluster *cluster);

#endif
