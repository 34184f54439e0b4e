/* vnp-concat: streams that continue each other in, one stream out. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cutter.h"
#include "heads.h"
#include "stage.h"
#include "xmalloc.h"

struct options {
    int64_t sequences; /* that the result must have; -1: any number */
    const char *files_from;
    struct vnp_writer_options file; /* the output */
};
static const struct options defaults = {.file.zstd_level = VNP_ZSTD_LEVEL, .sequences = -1};

/* The names of the files, one at a time: arguments, or lines of a list. */
struct names {
    char **argument; /* up to NULL */
    FILE *list;      /* NULL: the arguments */
    const char *list_name;
    char *line;
    size_t cap;
    uint64_t n; /* lines so far */
};

struct work {
    struct options opt;
    struct names names;
    struct vnp_writer *out;
    struct vnp_cutter cutter;
    struct vnp_head head;      /* of the output, and of the first file */
    char *first_name, *before; /* the first file, and the one before; NULL: none yet */
    uint64_t next;             /* the ordinal that the next file must begin with */
    struct vnp_totals read;    /* of the files so far: sequences, rows, tokens */
    uint64_t files;
};

static void usage(FILE *f)
{
    fputs("usage: vnp-concat [options] [FILE ...]\n"
          "       vnp-concat [options] --files-from LIST\n"
          "Writes streams of embeddings, or of tokens, that continue each other as one: the blocks of vnp-split,\n"
          "or what the stages made of them. Each FILE must begin with the record after the last of the one before.\n"
          "-o may name one of them: the result, which holds it, takes its place.\n\n"
          "      --files-from LIST read the names of the files from LIST, one a line; - is stdin\n"
          "      --sequences N     fail unless the result has N sequences\n"
          "      --sync-later      do not wait for the disk; the file of -o is lost if the power fails now\n"
          VNP_HELP_ZSTD VNP_HELP_OUTPUT VNP_HELP_COMMON,
          f);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { FILES_FROM = VNP_OPT_OWN, SEQUENCES, SYNC_LATER };
    static const struct option table[] = {{"files-from", required_argument, NULL, FILES_FROM},
                                          {"sequences", required_argument, NULL, SEQUENCES},
                                          {"sync-later", no_argument, NULL, SYNC_LATER},
                                          VNP_ZSTD_OPTIONS,
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        switch (c) {
        case FILES_FROM:
            o->files_from = optarg;
            break;
        case SEQUENCES:
            o->sequences = vnp_option_int("--sequences", optarg, 0, INT64_MAX);
            break;
        case SYNC_LATER:
            o->file.sync_later = true;
            break;
        default:
            if (!vnp_writer_option(c, &o->file))
                vnp_common_option(c, usage);
        }
    if (o->files_from != NULL && optind < argc)
        vnp_die(VNP_USAGE, "--files-from, or files on the command line: one of them");
    if (o->files_from != NULL)
        vnp_refuse_input(o->file.path, o->files_from);
    vnp_refuse_log(o->file.path);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static enum vnp_status open_names(struct names *n, const struct options *o, char **arguments, struct vnp_err *err)
{
    static char *standard_input[] = {"-", NULL};
    n->argument = *arguments != NULL ? arguments : standard_input;
    if (o->files_from == NULL)
        return VNP_OK;
    const bool standard = strcmp(o->files_from, "-") == 0;
    n->list_name = standard ? "stdin" : o->files_from;
    n->list = standard ? stdin : fopen(o->files_from, "r");
    if (n->list == NULL)
        return vnp_error(err, VNP_NOINPUT, "%s: can't be opened: %s", o->files_from, strerror(errno));
    return VNP_OK;
}

/* A line of the list without its end and, of one that Windows wrote, without the byte order mark. Returns its bytes. */
static size_t trim(struct names *n, size_t got)
{
    static const char mark[] = "\xef\xbb\xbf";
    const size_t skip = n->n == 1 && got >= 3 && memcmp(n->line, mark, 3) == 0 ? 3 : 0;
    got -= skip;
    memmove(n->line, n->line + skip, got);
    got -= got > 0 && n->line[got - 1] == '\n';
    got -= got > 0 && n->line[got - 1] == '\r';
    n->line[got] = '\0';
    return got;
}

/* The next name, borrowed until the next call; VNP_END after the last. */
static enum vnp_status next_name(struct names *n, const char **name, struct vnp_err *err)
{
    if (n->list == NULL)
        return (*name = *n->argument++) != NULL ? VNP_OK : VNP_END;
    ssize_t got;
    *name = NULL;
    do {
        errno = 0;
        if ((got = getline(&n->line, &n->cap, n->list)) < 0)
            return errno == 0 ? VNP_END
                              : vnp_error(err, VNP_IO, "%s: can't be read: %s", n->list_name, strerror(errno));
        n->n++;
        got = (ssize_t)trim(n, (size_t)got);
    } while (got == 0);
    if (strlen(n->line) != (size_t)got)
        return vnp_error(err, VNP_DATA, "%s:%" PRIu64 ": holds a NUL: names are wanted, one a line", n->list_name,
                         n->n);
    if (n->list == stdin && strcmp(n->line, "-") == 0)
        return vnp_error(err, VNP_DATA, "stdin:%" PRIu64 ": is the list, and can't be a file of it too", n->n);
    *name = n->line;
    return VNP_OK;
}

static void close_names(struct names *n)
{
    if (n->list != NULL && n->list != stdin)
        fclose(n->list);
    free(n->line);
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static enum vnp_status begin(struct work *w, const struct vnp_reader *in, struct vnp_err *err)
{
    w->head = *vnp_reader_head(in);
    w->next = w->head.first;
    w->first_name = xstrdup(vnp_reader_name(in));
    vnp_cutter_to(&w->cutter, w->out, w->head.kind);
    return vnp_writer_head(w->out, &w->head, err);
}

/* That a file continues the one before it. */
static enum vnp_status check_place(const struct work *w, const struct vnp_reader *in, struct vnp_err *err)
{
    const uint64_t first = vnp_reader_head(in)->first;
    if (first == w->next)
        return VNP_OK;
    if (first > w->next)
        return vnp_error(
            err, VNP_DATA,
            "%s: begins with record %" PRIu64 ", but record %" PRIu64 " is due after %s: %" PRIu64 " record%s missing",
            vnp_reader_name(in), first, w->next, w->before, first - w->next, first - w->next == 1 ? " is" : "s are");
    return vnp_error(err, VNP_DATA,
                     "%s: begins with record %" PRIu64 ", but record %" PRIu64
                     " is due after %s: is it out of order, or given twice?",
                     vnp_reader_name(in), first, w->next, w->before);
}

/* The head of a file: what it holds, how it was made, where it begins. */
static enum vnp_status check_file(struct work *w, const struct vnp_reader *in, struct vnp_err *err)
{
    const struct vnp_head *h = vnp_reader_head(in);
    enum vnp_status st = h->kind == VNP_TOKENS ? VNP_OK : vnp_reader_expect(in, VNP_EMBEDDINGS, err);
    if (st == VNP_OK)
        st = vnp_reader_expect_order(in, err);
    if (st == VNP_OK && w->before == NULL)
        return begin(w, in, err);
    if (st == VNP_OK)
        st = vnp_heads_alike(&w->head, w->first_name, h, vnp_reader_name(in), err);
    return st == VNP_OK ? check_place(w, in, err) : st;
}

static enum vnp_status append(struct work *w, struct vnp_reader *in, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st = check_file(w, in, err);
    while (st == VNP_OK)
        if ((st = vnp_reader_next(in, &b, err)) == VNP_OK)
            st = vnp_cutter_put_block(&w->cutter, &w->head, &b, err);
    if (st != VNP_END)
        return st;
    const struct vnp_totals *n = vnp_reader_totals(in);
    w->next += n->sequences;
    w->read.sequences += n->sequences;
    w->read.rows += n->rows;
    w->read.tokens += n->tokens;
    w->files++;
    free(w->before);
    w->before = xstrdup(vnp_reader_name(in));
    vnp_progress("%" PRIu64 " file%s, %" PRIu64 " sequences", w->files, vnp_plural(w->files), w->next - w->head.first);
    return VNP_OK;
}

static enum vnp_status check_result(const struct work *w, struct vnp_err *err)
{
    const struct vnp_totals *n = vnp_writer_totals(w->out);
    if (!vnp_totals_match(&w->read, n))
        return vnp_totals_differ(w->before, &w->read, n, err);
    if (w->opt.sequences >= 0 && n->sequences != (uint64_t)w->opt.sequences)
        return vnp_error(err, VNP_DATA, "%s: ends at %" PRIu64 " sequence%s, not the %" PRId64 " of --sequences: %s",
                         w->before, n->sequences, vnp_plural(n->sequences), w->opt.sequences,
                         n->sequences < (uint64_t)w->opt.sequences ? "files are missing behind it"
                                                                   : "these are files of another run");
    return VNP_OK;
}

/* All of the files, one after the other. */
static enum vnp_status concat(struct work *w, struct vnp_err *err)
{
    const char *name;
    enum vnp_status st;
    while ((st = next_name(&w->names, &name, err)) == VNP_OK) {
        struct vnp_reader *in;
        st = vnp_reader_open(&in, name, err);
        if (st == VNP_OK)
            st = append(w, in, err);
        vnp_reader_close(in);
        if (st != VNP_OK)
            return st;
    }
    if (st == VNP_END && w->files == 0)
        return vnp_error(err, VNP_DATA, "%s: names no file", w->names.list_name);
    if (st == VNP_END)
        st = vnp_cutter_flush(&w->cutter, err);
    return st == VNP_OK ? check_result(w, err) : st;
}

int main(int argc, char **argv)
{
    struct work w = {.opt = defaults};
    struct vnp_err err = {0};
    vnp_stage_init_frames("vnp-concat");
    parse_options(&w.opt, argc, argv);

    enum vnp_status st = vnp_writer_open(&w.out, &w.opt.file, &err);
    if (st == VNP_OK)
        st = open_names(&w.names, &w.opt, argv + optind, &err);
    if (st == VNP_OK)
        st = concat(&w, &err);

    const struct vnp_totals totals = vnp_stage_finish(w.out, st, &err);
    vnp_info("%" PRIu64 " file%s, %" PRIu64 " sequence%s from record %" PRIu64 " on", w.files, vnp_plural(w.files),
             totals.sequences, vnp_plural(totals.sequences), w.head.first);
    close_names(&w.names);
    vnp_cutter_free(&w.cutter);
    free(w.first_name);
    free(w.before);
    return VNP_OK;
}
