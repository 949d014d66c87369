#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base.h"

static_assert(EDDY_LOG_ALL_TOPICS == (1u << ED_COUNT(((ed_log *)0)->lines)) - 1,
              "every topic has its own limit");

#ifdef ED_SWITCHABLE
bool ed_log_is_unlimited;
#define IS_UNLIMITED ed_log_is_unlimited
#else
#define IS_UNLIMITED false
#endif

static size_t topic_index(eddy_log_topic topic)
{
    size_t index = 0;

    for (unsigned bits = topic; bits > 1; bits >>= 1)
        index++;
    ED_ASSERT(index < ED_COUNT(((ed_log *)0)->lines));
    ED_ASSERT((unsigned)topic == 1u << index); // one topic a line
    return index;
}

/** Control bytes would let a peer's text break the lines of the program's log, or its terminal. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/** Says what the second that is over has left out, and begins a new one. */
static void begin_second(ed_log *log, uint64_t second)
{
    // At a level that the program asked for, else it would not see it.
    eddy_log_level level = log->level < EDDY_LOG_WARN ? log->level : EDDY_LOG_WARN;

    log->second = second;
    for (size_t i = 0; i < ED_COUNT(log->lines); i++) {
        uint32_t suppressed = log->suppressed[i];
        log->lines[i] = 0;
        log->suppressed[i] = 0;
        if (suppressed == 0)
            continue;
        char text[ED_LOG_LINE_SIZE];
        (void)snprintf(text, sizeof text, "%u more lines left out", (unsigned)suppressed);
        log->function(log->context, level, (eddy_log_topic)(1u << i), text);
    }
}

void ed_log_line(ed_log *log, uint64_t now_ns, eddy_log_level level, eddy_log_topic topic,
                 const char *format, ...)
{
    size_t index = topic_index(topic);

    ED_ASSERT(level >= EDDY_LOG_ERROR && level <= EDDY_LOG_DEBUG);
    if (log->function == NULL)
        return;
    if (now_ns / ED_NS_PER_S != log->second)
        begin_second(log, now_ns / ED_NS_PER_S);
    if (level > log->level || (log->topics & topic) == 0)
        return;
    if (log->lines[index] >= ED_LOG_PER_SECOND && !IS_UNLIMITED) {
        log->suppressed[index]++;
        return;
    }
    log->lines[index]++;
    char text[ED_LOG_LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return; // an encoding error: there is no text to show
    make_printable(text);
    log->function(log->context, level, topic, text);
}
