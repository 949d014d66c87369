/** The commands of `eddy`, one file each. */
#ifndef ED_TOOL_COMMANDS_H
#define ED_TOOL_COMMANDS_H

/** Exit codes. */
enum {
    ED_EXIT_OK = 0,
    ED_EXIT_FAILED = 1, /* what was asked for could not be done */
    ED_EXIT_USAGE = 2,  /* what was asked for makes no sense */
};

/** Each takes the program's own arguments: argv[1] is its name. @return an exit code. */
int cmd_connect(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
