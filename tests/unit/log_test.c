/** Lines of the log: what passes, what is cut, what is held back. */
#include "tests/support/check.h"

#include <stdio.h>

#include "core/base.h"
#include "core/log.h"

typedef struct sink {
    size_t lines;
    eddy_log_level level;
    eddy_log_topic topic;
    char text[2 * ED_LOG_LINE_SIZE];
} sink;

static void take_line(void *context, eddy_log_level level, eddy_log_topic topic, const char *text)
{
    sink *to = context;

    to->lines++;
    to->level = level;
    to->topic = topic;
    (void)snprintf(to->text, sizeof to->text, "%s", text);
}

static ed_log log_to(sink *to, eddy_log_level level, uint32_t topics)
{
    return (ed_log){.function = take_line, .context = to, .level = level, .topics = topics};
}

static void passes_by_level_and_topic(void **state)
{
    static const struct {
        const char *name;
        eddy_log_level log_level;
        uint32_t log_topics;
        eddy_log_level level;
        eddy_log_topic topic;
        size_t want;
    } rows[] = {
        {"same level", EDDY_LOG_INFO, EDDY_LOG_ALL_TOPICS, EDDY_LOG_INFO, EDDY_LOG_SOCKET, 1},
        {"graver", EDDY_LOG_INFO, EDDY_LOG_ALL_TOPICS, EDDY_LOG_WARN, EDDY_LOG_SOCKET, 1},
        {"less grave", EDDY_LOG_INFO, EDDY_LOG_ALL_TOPICS, EDDY_LOG_DEBUG, EDDY_LOG_SOCKET, 0},
        {"its only topic", EDDY_LOG_INFO, EDDY_LOG_MANAGER, EDDY_LOG_INFO, EDDY_LOG_MANAGER, 1},
        {"another topic", EDDY_LOG_INFO, EDDY_LOG_MANAGER, EDDY_LOG_ERROR, EDDY_LOG_SOCKET, 0},
        {"no topic", EDDY_LOG_DEBUG, 0, EDDY_LOG_ERROR, EDDY_LOG_CONNECTION, 0},
        {"no level", (eddy_log_level)0, EDDY_LOG_ALL_TOPICS, EDDY_LOG_ERROR, EDDY_LOG_SOCKET, 0},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        sink to = {0};
        ed_log log = log_to(&to, rows[i].log_level, rows[i].log_topics);
        ed_log_line(&log, 0, rows[i].level, rows[i].topic, "%s %d", rows[i].name, 7);
        CHECK_EQ(rows[i].name, to.lines, rows[i].want);
        if (rows[i].want == 0)
            continue;
        char want[ED_LOG_LINE_SIZE];
        (void)snprintf(want, sizeof want, "%s 7", rows[i].name);
        CHECK_STR(rows[i].name, to.text, want);
        CHECK_EQ(rows[i].name, to.level, rows[i].level);
        CHECK_EQ(rows[i].name, to.topic, rows[i].topic);
    }
}

static void is_silent_without_a_function(void **state)
{
    ed_log log = {.level = EDDY_LOG_DEBUG, .topics = EDDY_LOG_ALL_TOPICS};

    (void)state;
    for (uint64_t second = 0; second < 3; second++)
        for (int n = 0; n < 2 * ED_LOG_PER_SECOND; n++)
            ed_log_line(&log, second * ED_NS_PER_S, EDDY_LOG_ERROR, EDDY_LOG_SOCKET, "unheard");
}

static void makes_lines_fit_and_printable(void **state)
{
    char longest[ED_LOG_LINE_SIZE + 10];

    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const struct {
        const char *name;
        const char *text;
        size_t want_size;
        const char *want;
    } rows[] = {
        {"empty", "", 0, ""},
        {"control bytes", "a\nb\x1b[2Jc\x7f\t", 10, "a?b?[2Jc??"},
        {"percent is no format", "100%s", 5, "100%s"},
        {"beyond ASCII stays", "\xc3\xa9", 2, "\xc3\xa9"},
        {"too long", longest, ED_LOG_LINE_SIZE - 1, NULL},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        sink to = {0};
        ed_log log = log_to(&to, EDDY_LOG_DEBUG, EDDY_LOG_ALL_TOPICS);
        ed_log_line(&log, 0, EDDY_LOG_DEBUG, EDDY_LOG_CONNECTION, "%s", rows[i].text);
        CHECK_EQ(rows[i].name, to.lines, 1);
        if (rows[i].want != NULL)
            CHECK_STR(rows[i].name, to.text, rows[i].want);
        else
            CHECK_EQ(rows[i].name, strlen(to.text), rows[i].want_size);
    }
}

static void send_lines(ed_log *log, uint64_t now_ns, eddy_log_topic topic, int count)
{
    for (int n = 0; n < count; n++)
        ed_log_line(log, now_ns, EDDY_LOG_ERROR, topic, "line %d", n);
}

static void counts_what_is_above_the_limit(void **state)
{
    sink to = {0};
    ed_log log = log_to(&to, EDDY_LOG_DEBUG, EDDY_LOG_ALL_TOPICS);
    uint64_t now_ns = 5 * ED_NS_PER_S;

    (void)state;
    send_lines(&log, now_ns, EDDY_LOG_MANAGER, ED_LOG_PER_SECOND);
    CHECK_EQ("at the limit", to.lines, ED_LOG_PER_SECOND);
    send_lines(&log, now_ns + ED_NS_PER_S - 1, EDDY_LOG_MANAGER, 3);
    CHECK_EQ("above the limit", to.lines, ED_LOG_PER_SECOND);
    send_lines(&log, now_ns, EDDY_LOG_SOCKET, 1);
    CHECK_EQ("another topic has its own", to.lines, ED_LOG_PER_SECOND + 1);

    // A line that is itself not wanted still lets the count be said.
    log.level = EDDY_LOG_WARN;
    ed_log_line(&log, now_ns + ED_NS_PER_S, EDDY_LOG_DEBUG, EDDY_LOG_SOCKET, "unwanted");
    CHECK_EQ("count", to.lines, ED_LOG_PER_SECOND + 2);
    CHECK_STR("count", to.text, "3 more lines left out");
    CHECK_EQ("count", to.topic, EDDY_LOG_MANAGER);
    CHECK_EQ("count", to.level, EDDY_LOG_WARN);

    send_lines(&log, now_ns + ED_NS_PER_S, EDDY_LOG_MANAGER, ED_LOG_PER_SECOND + 1);
    CHECK_EQ("a new second", to.lines, 2 * ED_LOG_PER_SECOND + 2);
    send_lines(&log, now_ns + 3 * ED_NS_PER_S, EDDY_LOG_HANDSHAKE, 1);
    CHECK_EQ("count once more", to.lines, 2 * ED_LOG_PER_SECOND + 4);
    CHECK_EQ("nothing is left to say", log.suppressed[3], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_by_level_and_topic),
        cmocka_unit_test(is_silent_without_a_function),
        cmocka_unit_test(makes_lines_fit_and_printable),
        cmocka_unit_test(counts_what_is_above_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
