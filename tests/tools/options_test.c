/** tools/options.h: numbers, and tables of options. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base.h"
#include "tests/support/check.h"
#include "tools/commands.h"
#include "tools/options.h"

static void test_numbers_are_read_to_the_scale_or_refused(void **state)
{
    (void)state;
    enum { UNTOUCHED = 77 };
    static const struct {
        const char *name;
        const char *text;
        uint64_t scale;
        bool ok;
        uint64_t want;
    } rows[] = {
        {"whole", "12", 1, true, 12},
        {"zero", "0", 1000, true, 0},
        {"scaled", "5", 10000, true, 50000},
        {"with a point", "2.5", 1000, true, 2500},
        {"every digit behind the point", "0.0001", 10000, true, 1},
        {"leading zeros", "007.50", 100, true, 750},
        {"the largest", "18446744073709551615", 1, true, UINT64_MAX},
        {"one too large", "18446744073709551616", 1, false, 0},
        {"too large once scaled", "18446744073709552", 1000, false, 0},
        {"finer than the scale", "0.00001", 10000, false, 0},
        {"a point without a scale", "2.5", 1, false, 0},
        {"nothing", "", 1, false, 0},
        {"a sign", "-1", 1, false, 0},
        {"no digit before the point", ".5", 10, false, 0},
        {"no digit behind the point", "5.", 10, false, 0},
        {"two points", "1.2.3", 1000, false, 0},
        {"a unit", "5ms", 1, false, 0},
        {"a word", "five", 1, false, 0},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t value = UNTOUCHED;
        bool ok = ed_number_parse(&value, rows[i].text, rows[i].scale);
        CHECK_EQ(rows[i].name, ok, rows[i].ok);
        CHECK_EQ(rows[i].name, value, ok ? rows[i].want : UNTOUCHED);
    }
}

static void test_numbers_are_printed_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t value;
        uint64_t scale;
        const char *want;
    } rows[] = {
        {"whole", 12, 1, "12"},
        {"no fraction", 50000, 10000, "5"},
        {"short fraction", 2500, 1000, "2.5"},
        {"zeros behind the point", 10001, 10000, "1.0001"},
        {"below one", 10, 10000, "0.001"},
        {"zero", 0, 1000, "0"},
        {"the largest", UINT64_MAX, 1, "18446744073709551615"},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[ED_NUMBER_TEXT_SIZE];
        uint64_t back = 0;
        CHECK_STR(rows[i].name, ed_number_print(text, rows[i].value, rows[i].scale), rows[i].want);
        CHECK(rows[i].name, ed_number_parse(&back, text, rows[i].scale));
        CHECK_EQ(rows[i].name, back, rows[i].value);
    }
}

enum { WORDS_MAX = 5 };

static void test_a_command_line_is_taken_whole_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *words[WORDS_MAX];
        bool ok;
        uint64_t number;
        bool flag;
        const char *text;
    } rows[] = {
        {"the operand alone", {"host"}, true, 3000, false, "none"},
        {"a number behind its option", {"--number", "4", "host"}, true, 4000, false, "none"},
        {"a number with '='", {"--number=4.5", "host"}, true, 4500, false, "none"},
        {"the least", {"--number=1", "host"}, true, 1000, false, "none"},
        {"the most", {"--number=5", "host"}, true, 5000, false, "none"},
        {"a flag behind the operand", {"host", "--flag"}, true, 3000, true, "none"},
        {"a text", {"--text", "a b", "host"}, true, 3000, false, "a b"},
        {"a text with '='", {"--text=a=b", "host"}, true, 3000, false, "a=b"},
        {"the last of two counts", {"--number=2", "--number=4", "host"}, true, 4000, false, "none"},
        {"no operand", {"--flag"}, false, 0, false, NULL},
        {"two operands", {"host", "host"}, false, 0, false, NULL},
        {"below the least", {"host", "--number", "0.999"}, false, 0, false, NULL},
        {"above the most", {"host", "--number", "5.001"}, false, 0, false, NULL},
        {"no number", {"host", "--number", "x"}, false, 0, false, NULL},
        {"a value is missing", {"host", "--number"}, false, 0, false, NULL},
        {"an empty value", {"host", "--text="}, false, 0, false, NULL},
        {"a flag with a value", {"host", "--flag=1"}, false, 0, false, NULL},
        {"an unknown option", {"host", "--fla"}, false, 0, false, NULL},
        {"one that begins like a known one", {"host", "--flags"}, false, 0, false, NULL},
        {"one dash", {"host", "-flag"}, false, 0, false, NULL},
        {"a dash alone", {"host", "-"}, false, 0, false, NULL},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool flag = false;
        uint64_t number = 3000;
        const char *text = "none";
        const char *operand = NULL;
        const ed_option options[] = {
            ED_FLAG("flag", &flag, "a flag"),
            ED_NUMBER("number", "N", &number, 1000, 1000, 5000, "a number"),
            ED_TEXT("text", "TEXT", &text, "a text"),
        };
        const ed_usage usage = {.command = "test",
                                .options = options,
                                .option_count = ED_COUNT(options),
                                .operand_name = "HOST",
                                .operand = &operand};
        char words[WORDS_MAX + 2][32] = {"eddy", "test"};
        char *argv[WORDS_MAX + 3] = {words[0], words[1]};
        int argc = 2;
        for (; argc < WORDS_MAX + 2 && rows[i].words[argc - 2] != NULL; argc++) {
            (void)snprintf(words[argc], sizeof words[argc], "%s", rows[i].words[argc - 2]);
            argv[argc] = words[argc];
        }
        int exit_code = -1;
        bool ok = ed_options_parse(&usage, argc, argv, &exit_code);
        CHECK_EQ(rows[i].name, ok, rows[i].ok);
        if (!ok) {
            CHECK_EQ(rows[i].name, exit_code, ED_EXIT_USAGE);
            continue;
        }
        CHECK_EQ(rows[i].name, number, rows[i].number);
        CHECK_EQ(rows[i].name, flag, rows[i].flag);
        CHECK_STR(rows[i].name, text, rows[i].text);
        CHECK_STR(rows[i].name, operand, "host");
    }
}

static void test_an_operand_may_be_optional(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int argc;
        bool optional;
        bool ok;
    } rows[] = {
        {"needed and missing", 2, false, false},      {"needed and given", 3, false, true},
        {"optional and missing", 2, true, true},      {"optional and given", 3, true, true},
        {"optional and given twice", 4, true, false},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char words[4][8] = {"eddy", "test", "host", "host"};
        char *argv[] = {words[0], words[1], words[2], words[3]};
        const char *operand = NULL;
        const ed_usage usage = {.command = "test",
                                .operand_name = "HOST",
                                .operand = &operand,
                                .operand_optional = rows[i].optional};
        int exit_code = -1;
        CHECK_EQ(rows[i].name, ed_options_parse(&usage, rows[i].argc, argv, &exit_code),
                 rows[i].ok);
        CHECK_EQ(rows[i].name, operand != NULL, rows[i].argc > 2);
    }
}

static void test_an_option_that_is_given_often_keeps_all_in_order(void **state)
{
    (void)state;
    enum { MORE = ED_LIST_MAX + 1 };
    for (int count = 0; count <= MORE; count++) {
        char words[MORE + 2][16] = {"eddy", "test"};
        char *argv[MORE + 3] = {words[0], words[1]};
        ed_texts texts = {.count = 0};
        const ed_option option = ED_TEXTS("text", "TEXT", &texts, "a text");
        const ed_usage usage = {.command = "test", .options = &option, .option_count = 1};
        int exit_code = -1;
        for (int i = 0; i < count; i++) {
            (void)snprintf(words[i + 2], sizeof words[0], "--text=%d", i);
            argv[i + 2] = words[i + 2];
        }
        bool ok = ed_options_parse(&usage, count + 2, argv, &exit_code);
        CHECK_EQ("all that there is room for", ok, count < MORE);
        CHECK_EQ("how many", texts.count, count < MORE ? count : ED_LIST_MAX);
        for (size_t i = 0; i < texts.count; i++)
            CHECK_EQ("in order", atoi(texts.at[i]), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_read_to_the_scale_or_refused),
        cmocka_unit_test(test_numbers_are_printed_as_they_are_read),
        cmocka_unit_test(test_a_command_line_is_taken_whole_or_refused),
        cmocka_unit_test(test_an_operand_may_be_optional),
        cmocka_unit_test(test_an_option_that_is_given_often_keeps_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
