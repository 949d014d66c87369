/**
 * Where a connection's peer is: the path in use and, once authentic packets come from elsewhere,
 * one candidate. Both are asked (PATH_CHALLENGE, after RFC 9000 sections 8.2 and 9): the candidate
 * takes the place of the path when it answers; if the path in use answers first, somebody else
 * repeats the peer's packets, and the candidate is dropped. No more goes to a candidate than came
 * from it. State alone: what is said, and when, is conn_path.c's part.
 */
#ifndef ED_PATH_H
#define ED_PATH_H

#include "transport/limits.h"

/** The two addresses between which a datagram goes. */
typedef struct ed_path {
    eddy_address remote;
    eddy_address local; /* that the peer calls; family NONE: any */
} ed_path;

/** Whether they are the same; a local address of family NONE is any. */
bool ed_path_equal(const ed_path *a, const ed_path *b);

/** Whether they differ in the peer's port at most, as when a NAT has forgotten its mapping. */
bool ed_path_same_hosts(const ed_path *a, const ed_path *b);

/** The two that are asked. */
typedef enum ed_path_end {
    ED_PATH_CURRENT = 0,
    ED_PATH_CANDIDATE = 1,
    ED_PATH_END_COUNT
} ed_path_end;

/** What is asked of one end. */
typedef struct ed_path_question {
    uint64_t data;
    bool is_due;       /* it is to be sent */
    uint32_t sent;     /* copies */
    uint64_t asked_ns; /* when the last of them left */
} ed_path_question;

typedef struct ed_paths {
    ed_path at[ED_PATH_END_COUNT]; /* a candidate whose remote is of family NONE: there is none */
    ed_path_question question[ED_PATH_END_COUNT];
    uint32_t attempts;      /* times that both were asked */
    uint32_t failure_count; /* candidates that did not answer in time, one after another */
    uint64_t received;      /* bytes that came from the candidate */
    uint64_t sent;          /* bytes that went there */
    uint64_t began_ns;      /* when the last candidate became one */
    uint64_t next_ns;       /* when another may */
    uint64_t deadline_ns;   /* when to call ed_paths_expire; ED_NEVER_NS: never */
} ed_paths;

/** No candidate. */
void ed_paths_init(ed_paths *paths, const ed_path *current);

bool ed_paths_has_candidate(const ed_paths *paths);

/** What an authentic packet says about where the peer is. */
typedef enum ed_path_news {
    ED_PATH_KNOWN,    /* nothing new */
    ED_PATH_TOO_SOON, /* it came from elsewhere, right after another candidate began */
    ED_PATH_NEWS,     /* it came from elsewhere: ed_paths_begin may follow */
} ed_path_news;

/**
 * An authentic packet of `size` bytes came on `from`; it counts for the candidate, if it is its.
 * @param is_newest whether none of a higher number came before: an older one was held up on a path
 * that the peer has left, and says nothing.
 */
ed_path_news ed_paths_on_packet(ed_paths *paths, const ed_path *from, size_t size, bool is_newest,
                                uint64_t now_ns);

/**
 * Begins with a candidate, in place of the one before.
 * @param size of the packet that came from there.
 * @param data what to ask each end: unpredictable, and not the same.
 * @param pto_ns until both are asked again; later after two, four ... times that.
 */
void ed_paths_begin(ed_paths *paths, const ed_path *from, size_t size,
                    const uint64_t data[ED_PATH_END_COUNT], uint64_t pto_ns, uint64_t now_ns);

/** The same without a question: for what is only to be answered there, as far as bytes go. */
void ed_paths_follow(ed_paths *paths, const ed_path *from, size_t size);

/** Nobody is asked any more; the candidate stays, and its bytes. */
void ed_paths_stop(ed_paths *paths);

/** The deadline has come: asks both once more. @return whether the candidate is dropped instead. */
bool ed_paths_expire(ed_paths *paths, uint64_t pto_ns, uint64_t now_ns);

typedef enum ed_path_answer {
    ED_PATH_ANSWER_NONE,   /* to nothing that is asked now */
    ED_PATH_ANSWER_STAYED, /* the path in use works: the candidate is dropped */
    ED_PATH_ANSWER_MOVED,  /* the candidate is the path in use from now on */
} ed_path_answer;

/** A PATH_RESPONSE came, on whatever path. */
ed_path_answer ed_paths_on_answer(ed_paths *paths, uint64_t data);

/** How many bytes may go to the candidate now. */
uint64_t ed_paths_credit(const ed_paths *paths);

/** How large a datagram on this path may be, if it answers one of `cause_size` from there. */
size_t ed_paths_room(const ed_paths *paths, const ed_path *path, size_t cause_size);

/** A datagram left on this path; it counts if that is the candidate. */
void ed_paths_on_sent(ed_paths *paths, const ed_path *path, size_t size);

/** An end was asked, in a datagram that ed_paths_on_sent has counted. */
void ed_paths_on_asked(ed_paths *paths, ed_path_end end, uint64_t now_ns);

/** Whether the figures can have come about. */
bool ed_paths_valid(const ed_paths *paths);

/* ------------------------------------------------------------------------ what the peer asks -- */

/** A PATH_CHALLENGE that came, and the path that its answer takes. */
typedef struct ed_path_debt {
    ed_path path;
    uint64_t data;
    size_t cause_size; /* of the datagram that it came in */
} ed_path_debt;

/** Answers that are owed, oldest first; with memory while there are any. Zeroed: none. */
typedef struct ed_path_debts {
    ed_path_debt *debt; /* ED_PATH_DEBTS_MAX places, or NULL */
    uint32_t count;
} ed_path_debts;

/** @return false without memory, or if there are as many as are kept: the peer will ask again. */
bool ed_path_debts_push(ed_path_debts *debts, const eddy_allocator *allocator,
                        const ed_path_debt *debt);

/** Takes the oldest. @return false if there is none. */
bool ed_path_debts_pop(ed_path_debts *debts, const eddy_allocator *allocator, ed_path_debt *debt);

/** None is owed any more. */
void ed_path_debts_drop(ed_path_debts *debts, const eddy_allocator *allocator);

#endif
