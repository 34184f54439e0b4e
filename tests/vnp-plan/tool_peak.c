/* tool_peak FILE COMMAND...: runs the command and writes the most memory that it held, in bytes, to FILE. Exits as the
 * command does. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage used;
    int status;
    if (argc < 3)
        return 2;
    const pid_t child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child)
        return 71;
    FILE *f = fopen(argv[1], "w");
    if (f == NULL || fprintf(f, "%lld\n", (long long)used.ru_maxrss * 1024) < 0 || fclose(f) != 0)
        return 74;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
