/** The commands of `eddy`, one file each. */
#ifndef ED_TOOL_COMMANDS_H
#define ED_TOOL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** Exit codes. */
enum {
    ED_EXIT_OK = 0,
    ED_EXIT_FAILED = 1, /* what was asked for could not be done */
    ED_EXIT_USAGE = 2,  /* what was asked for makes no sense */
};

/** A word that says what to do. */
typedef struct ed_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} ed_command;

/** @return the one of that name, or NULL. */
const ed_command *ed_command_find(const ed_command *commands, size_t count, const char *name);

/** Prints a line about each. */
void ed_command_list(FILE *out, const ed_command *commands, size_t count);

/** Words that stand behind one of the program's own, such as those of `eddy token`. */
typedef struct ed_command_group {
    const char *name;
    const char *about; /* in lines */
    const ed_command *commands;
    size_t count;
    const char *example; /* in lines */
} ed_command_group;

/** Runs the one that argv[2] names, or explains them all. @return an exit code. */
int ed_command_run_of(const ed_command_group *group, int argc, char **argv);

/** Whether a word in place of a command's asks what commands there are. */
bool ed_command_asks_for_help(const char *word);

/** Each takes the program's own arguments: argv[1] is its name. @return an exit code. */
int cmd_bench(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_keygen(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_version(int argc, char **argv);

/** Those of `eddy chat` and `eddy token`: argv[0] and argv[1] are the two words, as if one. */
int cmd_chat_connect(int argc, char **argv);
int cmd_chat_serve(int argc, char **argv);
int cmd_token_inspect(int argc, char **argv);
int cmd_token_issue(int argc, char **argv);
int cmd_token_verify(int argc, char **argv);

#endif
