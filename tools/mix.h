/** Which guarantees the messages of a client have, and in which shares. */
#ifndef ED_TOOL_MIX_H
#define ED_TOOL_MIX_H

#include "tools/options.h"
#include "tools/promise.h"

enum { ED_MIX_SHARE_MAX = 1000 };

/** Zeroed, it has none. */
typedef struct ed_mix {
    uint32_t shares[ED_GUARANTEE_COUNT];
    int64_t owed[ED_GUARANTEE_COUNT]; /* sums to 0 */
} ed_mix;

/** A row of a table of options. */
#define ED_MIX_OPTION(TARGET)                                                                      \
    ED_TEXT("guarantee", "LIST", (TARGET), "of the messages: all, or NAME[:SHARE],...")

/** A part of a command's summary. */
#define ED_MIX_HELP                                                                                \
    "Guarantees:\n"                                                                                \
    "  unreliable            at most once, in any order\n"                                         \
    "  unreliable_sequenced  at most once, never an older one after a newer one\n"                 \
    "  reliable_unordered    exactly once, as soon as it comes\n"                                  \
    "  reliable_ordered      exactly once, in the order of its stream\n"                           \
    "  reliable_sequenced    the newest arrives; older ones before it or never\n"                  \
    "--guarantee unreliable:3,reliable_ordered sends three unreliable messages for\n"              \
    "each reliable ordered one.\n"

/**
 * Reads "all", or names with commas between them, each with ":" and its share if that is not 1.
 * @return whether it is such a list; `*mix` is untouched if not.
 */
bool ed_mix_parse(ed_mix *mix, const char *text);

/** As ed_mix_parse, and says to stderr what is wrong. */
bool ed_mix_read(ed_mix *mix, const char *text, const char *command);

/** The guarantee of the next message: the shares are kept at any time as well as can be. */
eddy_guarantee ed_mix_next(const ed_mix *mix);

/** The message that ed_mix_next spoke of is sent. */
void ed_mix_sent(ed_mix *mix, eddy_guarantee guarantee);

/** Whether there are messages of this guarantee. */
static inline bool ed_mix_has(const ed_mix *mix, eddy_guarantee guarantee)
{
    return mix->shares[guarantee] > 0;
}

#endif
