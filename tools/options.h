/** What a command takes from its command line, as a table: parsed, checked and explained by it. */
#ifndef ED_TOOL_OPTIONS_H
#define ED_TOOL_OPTIONS_H

#include "core/base.h"

enum { ED_LIST_MAX = 16 };

/** What an option that may be given several times was given, in that order. */
typedef struct ed_texts {
    const char *at[ED_LIST_MAX];
    size_t count;
} ed_texts;

/**
 * One option. Where it points to holds the default; exactly one of the pointers is set. A default
 * above `most` stands for what cannot be said in a number.
 */
typedef struct ed_option {
    const char *name;       /* without its dashes */
    const char *value_name; /* such as "MS"; NULL for a flag */
    const char *help;       /* NULL: not listed */
    bool *flag;
    const char **text;
    ed_texts *texts;
    uint64_t *number;
    uint64_t scale; /* a power of ten: what is kept is the number typed times this */
    uint64_t least; /* of what is kept, both included */
    uint64_t most;
} ed_option;

typedef struct ed_usage {
    const char *command;
    const char *summary; /* what it does, in lines */
    const char *example; /* a command line, and what it is good for */
    const ed_option *options;
    size_t option_count;
    const char *operand_name; /* NULL: takes none */
    const char **operand;
    bool operand_optional;
} ed_usage;

/** Rows of a table of options. */
#define ED_FLAG(NAME, TARGET, HELP)                                                                \
    {                                                                                              \
        .name = (NAME), .help = (HELP), .flag = (TARGET)                                           \
    }
#define ED_TEXT(NAME, VALUE_NAME, TARGET, HELP)                                                    \
    {                                                                                              \
        .name = (NAME), .value_name = (VALUE_NAME), .help = (HELP), .text = (TARGET)               \
    }
#define ED_TEXTS(NAME, VALUE_NAME, TARGET, HELP)                                                   \
    {                                                                                              \
        .name = (NAME), .value_name = (VALUE_NAME), .help = (HELP), .texts = (TARGET)              \
    }
#define ED_NUMBER(NAME, VALUE_NAME, TARGET, SCALE, LEAST, MOST, HELP)                              \
    {                                                                                              \
        .name = (NAME), .value_name = (VALUE_NAME), .help = (HELP), .number = (TARGET),            \
        .scale = (SCALE), .least = (LEAST), .most = (MOST)                                         \
    }
#define ED_JSON_OPTION(TARGET) ED_FLAG("json", (TARGET), "print one JSON object instead")

/** Scales: what is kept of each unit that is typed. */
enum {
    ED_PER_ONE = 1,
    ED_PPM_PER_PERCENT = 10 * 1000,
    ED_MS_PER_S = 1000,
    ED_US_PER_MS = 1000,
};

enum { ED_NUMBER_TEXT_SIZE = 44 }; /* two numbers of 20 digits, a point and a NUL, rounded up */

/**
 * Reads argv[2] and on. Prints the help if that is asked for, and what is wrong to stderr.
 * @return whether to go on; otherwise `*exit_code` is set.
 */
bool ed_options_parse(const ed_usage *usage, int argc, char **argv, int *exit_code);

/**
 * Reads "2" or "2.5" as that many times `scale`, a power of ten. @return false, with `*value`
 * untouched, if it is no number, too large, or finer than the scale.
 */
bool ed_number_parse(uint64_t *value, const char *text, uint64_t scale);

/** Writes what ed_number_parse reads, as short as it can be. @return `text`. */
const char *ed_number_print(char text[ED_NUMBER_TEXT_SIZE], uint64_t value, uint64_t scale);

#endif
