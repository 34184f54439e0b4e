/* tool_cddl SCHEMA [FILE...]: checks each frame of each stream (default: stdin) against the schema's rule "frame".
 * Prints a line for each stream: its frames by "t"; exits 1 at the first that does not match. */
#include <stdint.h>
#include <string.h>

#include "frames.h"
#include "source.h"

static size_t read_all(struct vnp_source *s, uint8_t *buf, size_t n, struct vnp_err *err)
{
    size_t got = 0;
    for (ssize_t more; got < n && (more = vnp_source_read(s, buf + got, n - got, err)) > 0;)
        got += (size_t)more;
    return got;
}

static int check_stream(const struct cddl *c, const char *path)
{
    struct vnp_source *s;
    struct vnp_err err = {0};
    uint8_t length[4], *payload = NULL;
    char why[200];
    int frames = 0, bad = 0;
    if (vnp_source_open(&s, path, &err) != VNP_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    while (!bad && read_all(s, length, 4, &err) == 4) {
        size_t n = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
        payload = realloc(payload, n + 1);
        frames++;
        if (payload == NULL || read_all(s, payload, n, &err) != n)
            bad = fprintf(stderr, "%s: frame %d is cut short\n", path, frames);
        else if (!schema_allows(c, payload, n, why))
            bad = fprintf(stderr, "%s: frame %d: %s\n", path, frames, why);
    }
    free(payload);
    vnp_source_close(s);
    if (!bad && frames > 0)
        printf("%s: %d frames match\n", path, frames);
    return bad != 0 || frames == 0;
}

int main(int argc, char **argv)
{
    char why[200];
    struct cddl *c = argc > 1 ? schema_open(argv[1], why) : NULL;
    int bad = 0;
    if (c == NULL) {
        fprintf(stderr, "%s\n", argc > 1 ? why : "usage: tool_cddl SCHEMA [FILE...]");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        bad |= check_stream(c, argv[i]);
    if (argc == 2)
        bad = check_stream(c, "-");
    cddl_free(c);
    return bad;
}
