#include "tools/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"

enum { OPTION_COLUMN_SIZE = 22 };

/* --------------------------------------------------------------------------------- numbers -- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** Appends a digit. False if the number would not fit. */
static bool push_digit(uint64_t *value, char digit)
{
    uint64_t unit = (uint64_t)(digit - '0');

    if (*value > (UINT64_MAX - unit) / 10)
        return false;
    *value = *value * 10 + unit;
    return true;
}

bool ed_number_parse(uint64_t *value, const char *text, uint64_t scale)
{
    uint64_t read = 0;
    const char *at = text;

    for (; is_digit(*at); at++)
        if (!push_digit(&read, *at))
            return false;
    if (at == text)
        return false;
    if (*at == '.' && is_digit(at[1]))
        for (at++; is_digit(*at) && scale > 1; at++, scale /= 10)
            if (!push_digit(&read, *at))
                return false;
    if (*at != '\0')
        return false;
    for (; scale > 1; scale /= 10)
        if (!push_digit(&read, '0'))
            return false;
    *value = read;
    return true;
}

const char *ed_number_print(char text[ED_NUMBER_TEXT_SIZE], uint64_t value, uint64_t scale)
{
    uint64_t fraction = value % scale;
    int digits = 0;

    for (uint64_t rest = scale; rest > 1; rest /= 10)
        digits++;
    for (; fraction != 0 && fraction % 10 == 0; fraction /= 10)
        digits--;
    if (fraction == 0)
        (void)snprintf(text, ED_NUMBER_TEXT_SIZE, "%" PRIu64, value / scale);
    else
        (void)snprintf(text, ED_NUMBER_TEXT_SIZE, "%" PRIu64 ".%0*" PRIu64, value / scale, digits,
                       fraction);
    return text;
}

/* ------------------------------------------------------------------------------------ help -- */

static void print_default(const ed_option *option)
{
    char text[ED_NUMBER_TEXT_SIZE];

    if (option->number != NULL && *option->number <= option->most)
        printf(" [%s]", ed_number_print(text, *option->number, option->scale));
    if (option->text != NULL && *option->text != NULL)
        printf(" [%s]", *option->text);
    putchar('\n');
}

static void print_help(const ed_usage *usage)
{
    printf("eddy %s", usage->command);
    if (usage->operand_name != NULL)
        printf(usage->operand_optional ? " [%s]" : " %s", usage->operand_name);
    printf(" [OPTION]...\n\n%s\n", usage->summary);
    for (size_t i = 0; i < usage->option_count; i++) {
        const ed_option *option = &usage->options[i];
        char left[OPTION_COLUMN_SIZE];
        if (option->help == NULL)
            continue;
        (void)snprintf(left, sizeof left, "--%s %s", option->name,
                       option->value_name == NULL ? "" : option->value_name);
        printf("  %-*s %s", OPTION_COLUMN_SIZE - 3, left, option->help);
        print_default(option);
    }
    printf("  %-*s this text\n\nExample:\n\n%s", OPTION_COLUMN_SIZE - 3, "--help", usage->example);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* --------------------------------------------------------------------------------- parsing -- */

/** Ends every message about a wrong command line. @return false, for the caller to return. */
static bool point_to_help(const ed_usage *usage)
{
    fprintf(stderr, "Try: eddy %s --help\n", usage->command);
    return false;
}

/** Finds the option that a word names, up to its end or to '='. */
static const ed_option *find_option(const ed_usage *usage, const char *word)
{
    size_t size = strcspn(word, "=");

    for (size_t i = 0; i < usage->option_count; i++)
        if (strlen(usage->options[i].name) == size &&
            memcmp(usage->options[i].name, word, size) == 0)
            return &usage->options[i];
    return NULL;
}

static bool set_number(const ed_usage *usage, const ed_option *option, const char *value)
{
    char least[ED_NUMBER_TEXT_SIZE];
    char most[ED_NUMBER_TEXT_SIZE];
    uint64_t number = 0;

    if (ed_number_parse(&number, value, option->scale) && number >= option->least &&
        number <= option->most) {
        *option->number = number;
        return true;
    }
    fprintf(stderr, "eddy %s: --%s is '%s', expected a number from %s to %s\n", usage->command,
            option->name, value, ed_number_print(least, option->least, option->scale),
            ed_number_print(most, option->most, option->scale));
    return point_to_help(usage);
}

static bool add_text(const ed_usage *usage, const ed_option *option, const char *value)
{
    if (option->texts->count == ED_LIST_MAX) {
        fprintf(stderr, "eddy %s: more than %d times --%s\n", usage->command, (int)ED_LIST_MAX,
                option->name);
        return point_to_help(usage);
    }
    option->texts->at[option->texts->count++] = value;
    return true;
}

/** @param value what stands behind '=' or in the next word; NULL: nothing does. */
static bool set_option(const ed_usage *usage, const ed_option *option, const char *value)
{
    if (value == NULL || *value == '\0') {
        fprintf(stderr, "eddy %s: --%s needs a value: --%s %s\n", usage->command, option->name,
                option->name, option->value_name);
        return point_to_help(usage);
    }
    if (option->number != NULL)
        return set_number(usage, option, value);
    if (option->texts != NULL)
        return add_text(usage, option, value);
    ED_ASSERT(option->text != NULL);
    *option->text = value;
    return true;
}

/** Reads the option at argv[*i], and moves on to its last word. */
static bool read_option(const ed_usage *usage, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const ed_option *option = strncmp(word, "--", 2) == 0 ? find_option(usage, word + 2) : NULL;
    const char *equals = strchr(word, '=');

    if (option == NULL) {
        fprintf(stderr, "eddy %s: no option is called '%s'\n", usage->command, word);
        return point_to_help(usage);
    }
    if (option->flag != NULL && equals != NULL) {
        fprintf(stderr, "eddy %s: --%s takes no value\n", usage->command, option->name);
        return point_to_help(usage);
    }
    if (option->flag != NULL) {
        *option->flag = true;
        return true;
    }
    if (equals != NULL)
        return set_option(usage, option, equals + 1);
    ++*i;
    return set_option(usage, option, *i < argc ? argv[*i] : NULL);
}

static bool read_operand(const ed_usage *usage, const char *word)
{
    if (usage->operand != NULL && *usage->operand == NULL) {
        *usage->operand = word;
        return true;
    }
    fprintf(stderr, "eddy %s: '%s' is one word too many\n", usage->command, word);
    return point_to_help(usage);
}

static bool read_all(const ed_usage *usage, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (!(argv[i][0] == '-' ? read_option(usage, argc, argv, &i)
                                : read_operand(usage, argv[i])))
            return false;
    if (usage->operand == NULL || *usage->operand != NULL || usage->operand_optional)
        return true;
    fprintf(stderr, "eddy %s: %s is missing\n", usage->command, usage->operand_name);
    return point_to_help(usage);
}

bool ed_options_parse(const ed_usage *usage, int argc, char **argv, int *exit_code)
{
    if (asks_for_help(argc, argv)) {
        print_help(usage);
        *exit_code = ED_EXIT_OK;
        return false;
    }
    *exit_code = ED_EXIT_USAGE;
    return read_all(usage, argc, argv);
}
