/**
 * What every public header of eddy stands on: versions, statuses, addresses, and where memory,
 * randomness and the time of day come from.
 */
#ifndef EDDY_BASE_H
#define EDDY_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define EDDY_API __attribute__((visibility("default")))
#define EDDY_MUST_CHECK __attribute__((warn_unused_result))
#else
#define EDDY_API
#define EDDY_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------- versions -- */

#define EDDY_VERSION_MAJOR 0
#define EDDY_VERSION_MINOR 1
#define EDDY_VERSION_PATCH 0

/** The version of the library that the program runs with, such as "0.1.0". */
EDDY_API const char *eddy_version(void);

#define EDDY_FOREVER UINT32_MAX /* as a timeout in milliseconds: wait without limit */

/* ------------------------------------------------------------------------------------ status -- */

/** Every status, once: name, value, text. The value is part of the ABI and never reused. */
#define EDDY_STATUS_MAP(X)                                                                         \
    X(EDDY_OK, 0, "success")                                                                       \
    X(EDDY_EINVAL, -1, "an argument is wrong")                                                     \
    X(EDDY_ECONFIG, -2, "a field of the configuration is wrong")                                   \
    X(EDDY_ENOMEM, -3, "out of memory")                                                            \
    X(EDDY_EAGAIN, -4, "nothing to do now, or no room now: try again later")                       \
    X(EDDY_ESTATE, -5, "not possible in this state")                                               \
    X(EDDY_ETRUNCATED, -6, "datagram ends before its contents do")                                 \
    X(EDDY_EPROTO, -7, "datagram breaks the protocol")                                             \
    X(EDDY_EAUTH, -8, "datagram is not authentic")                                                 \
    X(EDDY_ECONNECTION, -9, "no such connection: the handle is stale or was never valid")          \
    X(EDDY_ETOOBIG, -10, "message is larger than a message may be")                                \
    X(EDDY_ECLOSED, -11, "closed: nothing more will come")                                         \
    X(EDDY_EEXIST, -12, "there is a connection to that address already")                           \
    X(EDDY_ELIMIT, -13, "a limit of the configuration is reached")                                 \
    X(EDDY_EADDRESS, -14, "not an address: expected HOST:PORT, such as 127.0.0.1:4242")            \
    X(EDDY_ERESOLVE, -15, "the host name has no address")                                          \
    X(EDDY_EINUSE, -16, "the address is in use by another program")                                \
    X(EDDY_EPERM, -17, "no permission for that address or port")                                   \
    X(EDDY_ENOADDR, -18, "this machine does not have that address")                                \
    X(EDDY_ESYSTEM, -19, "the operating system refused")                                           \
    X(EDDY_ESUPPORT, -20, "not supported here")                                                    \
    X(EDDY_EKEY, -21, "not a key of that kind")                                                    \
    X(EDDY_ETOKEN, -22, "not a connect token")                                                     \
    X(EDDY_EEXPIRED, -23, "the connect token has expired, or is not valid yet")                    \
    X(EDDY_EFILE, -24, "the file cannot be read or written")                                       \
    X(EDDY_EEXPOSED, -25, "others may read the file: make it yours alone (chmod 600)")             \
    X(EDDY_EFORKED, -26, "the process has forked: a manager and its keys stay with the parent")

typedef enum eddy_status {
#define X(name, value, text) name = (value),
    EDDY_STATUS_MAP(X)
#undef X
} eddy_status;

/** The text of a status; "unknown status" for a value that is none. Never NULL; static. */
EDDY_API const char *eddy_status_text(eddy_status status);

/** The name of a status, such as "EDDY_EAGAIN". Never NULL; static. */
EDDY_API const char *eddy_status_name(eddy_status status);

/* ----------------------------------------------------------------------------------- address -- */

typedef enum eddy_family {
    EDDY_FAMILY_NONE = 0,
    EDDY_FAMILY_IPV4 = 4,
    EDDY_FAMILY_IPV6 = 6,
} eddy_family;

/**
 * An IP address and port. IPv4 uses the first four bytes of `ip`, the rest are zero; an IPv4
 * address mapped into IPv6 is always held as IPv4. Two addresses are equal when their bytes are.
 */
typedef struct eddy_address {
    uint8_t ip[16];   /* network order */
    uint32_t scope;   /* IPv6 interface index of a link-local address, otherwise 0 */
    uint16_t port;    /* host order */
    uint8_t family;   /* eddy_family */
    uint8_t reserved; /* 0 */
} eddy_address;

#define EDDY_ADDRESS_TEXT_SIZE 72 /* "[" 45 "%" 10 "]:" 5 and NUL, rounded up */

/**
 * Reads "127.0.0.1:4242", "[::1]:4242" or "[fe80::1%2]:4242": digits only, no names.
 * @return EDDY_OK, or EDDY_EADDRESS with `*address` untouched.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_address_parse(eddy_address *address, const char *text);

/** Writes the form that eddy_address_parse reads. @return `text`. */
EDDY_API const char *eddy_address_print(const eddy_address *address,
                                        char text[EDDY_ADDRESS_TEXT_SIZE]);

EDDY_API bool eddy_address_equal(const eddy_address *a, const eddy_address *b);

/** A network: an address and how many of its bits count; port and scope do not matter. */
typedef struct eddy_prefix {
    eddy_address address;
    uint8_t bits; /* 0-32 of IPv4, 0-128 of IPv6 */
} eddy_prefix;

/* ------------------------------------------------------------------------- what may be replaced */

/** Where eddy takes its memory. `free` gets back the size that was asked for; NULL never. */
typedef struct eddy_allocator {
    void *context;
    void *(*allocate)(void *context, size_t size); /* aligned to 16 bytes; NULL: out of memory */
    void (*free)(void *context, void *memory, size_t size);
} eddy_allocator;

/** Where eddy takes unpredictable bytes. Called only inside eddy_open and eddy_poll; with several
 * shards by their threads, several at once. So it is with the time of day. */
typedef struct eddy_entropy {
    void *context;
    void (*fill)(void *context, void *data, size_t size);
} eddy_entropy;

/** The time of day. Called only inside eddy_open and eddy_poll. */
typedef struct eddy_calendar {
    void *context;
    uint64_t (*unix_s)(void *context); /* seconds since 1970-01-01 00:00 UTC */
} eddy_calendar;

#ifdef __cplusplus
}
#endif

#endif
