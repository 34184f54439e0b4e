/* tool_jsonlines KEY...: the values of these members of each JSON line on stdin, with tabs between them and "-" for one
 * that is not there. Exit 1 at a line that is no JSON object (RFC 8259, no member twice). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void print_value(const json_t *v)
{
    if (v == NULL)
        putchar('-');
    else if (json_is_string(v))
        fputs(json_string_value(v), stdout);
    else
        json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    for (int number = 1; (n = getline(&line, &cap, stdin)) > 0; number++) {
        json_error_t error;
        json_t *object = line[n - 1] == '\n' ? json_loadb(line, (size_t)n, JSON_REJECT_DUPLICATES, &error) : NULL;
        if (!json_is_object(object)) {
            fprintf(stderr, "line %d is no JSON object: %s", number, line);
            return 1;
        }
        for (int i = 1; i < argc; i++) {
            print_value(json_object_get(object, argv[i]));
            putchar(i < argc - 1 ? '\t' : '\n');
        }
        json_decref(object);
    }
    free(line);
    return 0;
}
