/** The traffic of `eddy connect`: a paced mix of messages, what comes back, and when it is over. */
#ifndef ED_TOOL_CLIENT_H
#define ED_TOOL_CLIENT_H

#include "tools/access.h"
#include "tools/line.h"
#include "tools/mix.h"
#include "tools/network.h"
#include "tools/report.h"
#include "tools/runner.h"

typedef struct ed_client_options {
    const char *host_port; /* NULL: the one in the token */
    ed_connect_access access;
    ed_mix mix;
    uint64_t rate;
    uint64_t size;
    uint64_t large; /* bytes of a large message; 0: none */
    uint64_t duration_ms;
    uint64_t report_fd;  /* 0: none */
    uint64_t timeout_ms; /* for the server's answer */
    bool json;
    ed_network network;
} ed_client_options;

typedef struct ed_client {
    const ed_client_options *options;
    ed_connect_keys keys;
    const char *place; /* where to, for people */
    eddy_manager *eddy;
    ed_runner runner;
    eddy_timer *sender;          /* due when the next message is */
    ed_conditioner *conditioner; /* NULL: none */
    eddy_connection connection;
    bool is_connected;
    bool has_ended;
    eddy_event_disconnected ending; /* once it has ended */
    eddy_mode mode;                 /* once it has connected */
    uint8_t *data;                  /* room for the largest message */
    ed_mix mix;
    ed_tally tally;
    ed_large large;
    uint8_t checksum[ED_CHECKSUM_SIZE]; /* of the large message */
    ed_report report;
    ed_line line;
    uint64_t start_ns;       /* of the traffic */
    uint64_t stop_ns;        /* when the last message was sent */
    uint64_t send_ns;        /* when the next message is due */
    uint64_t progress_ns;    /* when something was done last: an answer, or much was sent */
    uint64_t progress_bytes; /* sent until then */
} ed_client;

/** The largest message that it sends. */
size_t ed_client_size_max(const ed_client_options *options);

/** Opens what runs it, once its manager is open. */
EDDY_MUST_CHECK eddy_status ed_client_open_runner(ed_client *client);

/** Before the manager is closed. */
void ed_client_close_runner(ed_client *client);

/** Waits until the connection stands, the attempt fails, or we are to end. */
bool ed_client_await_connected(ed_client *client);

/** Sends until it is time to end, and waits for what is owed. */
void ed_client_run(ed_client *client);

/** Ends the connection, and waits until that is done. */
void ed_client_finish(ed_client *client);

#endif
