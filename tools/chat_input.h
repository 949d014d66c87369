/**
 * Lines that a person types, with editing and a history, or that a script writes. On a terminal
 * what is shown meanwhile stands above the line that is being typed.
 */
#ifndef ED_TOOL_CHAT_INPUT_H
#define ED_TOOL_CHAT_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/** Takes a line, without its end. @return false: no more for now. */
typedef bool (*ed_chat_input_take)(void *context, const char *line, size_t size);

/** One of a program. */
void ed_chat_input_open(ed_chat_input_take take, void *context);
void ed_chat_input_close(void);

/** The descriptor is readable: reads, and hands over each line that is complete. */
void ed_chat_input_read(void);

/** Hands over what was read and not taken, as far as it is. @return whether all of it was. */
bool ed_chat_input_go_on(void);

/** Whether the last line has been read. */
bool ed_chat_input_has_ended(void);

/** Shows a line. */
void ed_chat_input_show(const char *text, size_t size, bool is_notice);

#endif
