#include "verdicts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame_id.h"
#include "output.h"
#include "sorter.h"
#include "tables.h"
#include "viral_gff.h"
#include "xmalloc.h"

#define SORT_BYTES ((size_t)64 << 20) /* of memory, for chunks and for contigs each */
#define JSON_FLUSH ((size_t)1 << 16)

/* What is sorted with a chunk's id, and with a contig's. */
struct chunk_data {
    float max[2]; /* largest scores of its frames */
};
struct contig_data {
    uint64_t chunks, viral;
    double sum; /* of the chunks' largest viral scores */
    float max;
    bool is_viral;
};

const char *const vnp_verdict_tables[VNP_VERDICT_TABLES] = {
    "prediction_results.txt", "prediction_results_highestscore.csv", "prediction_results_contigs.tsv",
    "prediction_results_viral.gff"};
enum { RESULTS, HIGHEST, CONTIGS, VIRAL }; /* among them, and among `tables` below */

struct vnp_verdicts {
    struct vnp_verdict_options opt;
    struct vnp_verdict_counts n;
    struct vnp_tables *tables;
    struct vnp_viral_gff *gff;
    struct vnp_text json;
    struct vnp_sorter *by_chunk, *by_contig;
    /* The chunk and the contig under way; nothing yet while id.n is 0. */
    struct vnp_text id; /* of the chunk */
    struct vnp_frame_id at;
    unsigned frames; /* seen of the chunk, a bit each */
    struct chunk_data chunk;
    struct contig_data contig;
};

void vnp_score_text(struct vnp_text *t, float x)
{
    /* NumPy compares with 1e-4 in double, which this float lies under though its shortest decimal does not. */
    if (x == 0.0001f)
        vnp_text_str(t, "1e-04");
    else
        vnp_text_float(t, x, NULL);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static enum vnp_status open_tables(struct vnp_verdicts *v, struct vnp_err *err)
{
    enum vnp_status st = vnp_tables_open(&v->tables, v->opt.dir, err);
    for (int i = 0; i <= (v->opt.chunks != NULL ? VIRAL : CONTIGS) && st == VNP_OK; i++)
        st = vnp_tables_add(v->tables, vnp_verdict_tables[i], err);
    if (st == VNP_OK && v->opt.chunks != NULL)
        st = vnp_viral_gff_new(&v->gff, err);
    if (st != VNP_OK)
        return st;
    vnp_text_str(vnp_tables_text(v->tables, RESULTS), "Sequence_ID\tPrediction\tscore1\tscore2\n");
    vnp_text_printf(vnp_tables_text(v->tables, HIGHEST), "Modified_ID\tIs_Virus%s\n",
                    v->opt.max_scores ? "\tmax_score_0\tmax_score_1" : "");
    vnp_text_str(vnp_tables_text(v->tables, CONTIGS), "contig\tchunks\tviral_chunks\tmean_score\tmax_score\tverdict\n");
    return VNP_OK;
}

enum vnp_status vnp_verdicts_open(struct vnp_verdicts **out, const struct vnp_verdict_options *opt, struct vnp_err *err)
{
    struct vnp_verdicts *v = xcalloc(1, sizeof *v);
    v->opt = *opt;
    v->by_chunk = vnp_sorter_new(SORT_BYTES);
    v->by_contig = vnp_sorter_new(SORT_BYTES);
    enum vnp_status st = opt->dir != NULL ? open_tables(v, err) : VNP_OK;
    if (st != VNP_OK) {
        vnp_verdicts_discard(v);
        v = NULL;
    }
    *out = v;
    return st;
}

void vnp_verdicts_discard(struct vnp_verdicts *v)
{
    if (v == NULL)
        return;
    vnp_tables_discard(v->tables);
    vnp_viral_gff_free(v->gff);
    vnp_sorter_free(v->by_chunk);
    vnp_sorter_free(v->by_contig);
    free(v->json.p);
    free(v->id.p);
    free(v);
}

/* --- frames ------------------------------------------------------------------------------------------------------- */

static enum vnp_status flush_json(struct vnp_verdicts *v, size_t at_least, struct vnp_err *err)
{
    if (v->json.n == 0 || v->json.n < at_least)
        return VNP_OK;
    const enum vnp_status st = vnp_stdout_write(v->json.p, v->json.n, err);
    v->json.n = 0;
    return st;
}

static void put_json_number(struct vnp_text *t, const char *key, float x)
{
    vnp_text_printf(t, ",\"%s\":", key);
    vnp_text_float(t, x, "null");
}

static enum vnp_status put_frame(struct vnp_verdicts *v, struct vnp_str id, const float scores[2], struct vnp_err *err)
{
    const char *prediction = scores[1] > scores[0] ? "virus" : "others";
    v->n.frames++;
    v->n.viral_frames += scores[1] > scores[0];
    if (v->opt.json) {
        vnp_text_str(&v->json, "{\"sequence\":");
        vnp_text_json(&v->json, id.s, id.n);
        vnp_text_printf(&v->json, ",\"prediction\":\"%s\"", prediction);
        put_json_number(&v->json, "score1", scores[0]);
        put_json_number(&v->json, "score2", scores[1]);
        vnp_text_str(&v->json, "}\n");
        enum vnp_status st = flush_json(v, JSON_FLUSH, err);
        if (st != VNP_OK)
            return st;
    }
    if (v->tables == NULL)
        return VNP_OK;
    struct vnp_text *t = vnp_tables_text(v->tables, RESULTS);
    vnp_text_add(t, id.s, id.n);
    vnp_text_printf(t, "\t%s\t", prediction);
    vnp_score_text(t, scores[0]);
    vnp_text_str(t, "\t");
    vnp_score_text(t, scores[1]);
    vnp_text_str(t, "\n");
    return vnp_tables_flush(v->tables, RESULTS, 0, err);
}

/* --- chunks and contigs ------------------------------------------------------------------------------------------- */

static bool is_viral(const struct chunk_data *c)
{
    return c->max[1] >= c->max[0];
}

static enum vnp_status end_chunk(struct vnp_verdicts *v, struct vnp_err *err)
{
    const bool viral = is_viral(&v->chunk);
    v->contig.chunks++;
    v->contig.viral += viral;
    v->contig.sum += v->chunk.max[1];
    v->contig.max = v->chunk.max[1] > v->contig.max ? v->chunk.max[1] : v->contig.max;
    const struct vnp_keyed r = {v->id.p, (uint32_t)v->id.n, &v->chunk, sizeof v->chunk};
    enum vnp_status st = v->gff != NULL ? vnp_viral_gff_add(v->gff, &v->at, viral, v->chunk.max[1], err) : VNP_OK;
    return st == VNP_OK ? vnp_sorter_add(v->by_chunk, &r, err) : st;
}

static enum vnp_status end_contig(struct vnp_verdicts *v, struct vnp_err *err)
{
    struct contig_data *c = &v->contig;
    /* A quotient is rounded as the text of the threshold was: 55 of 100 is 0.55. */
    c->is_viral = (double)c->viral / (double)c->chunks >= v->opt.min_viral;
    const struct vnp_keyed r = {v->at.contig.s, v->at.contig.n, c, sizeof *c};
    return vnp_sorter_add(v->by_contig, &r, err);
}

static enum vnp_status begin_chunk(struct vnp_verdicts *v, struct vnp_str id, const struct vnp_frame_id *f,
                                   struct vnp_err *err)
{
    const bool first = v->id.n == 0, contig_goes_on = !first && vnp_str_equal(f->contig, v->at.contig);
    if (contig_goes_on && f->number <= v->at.number)
        return vnp_error(err, VNP_DATA,
                         "%.*s comes after chunk %" PRIu64
                         " of its contig: rows out of order, or two contigs of one name",
                         VNP_SHOWN(id), v->at.number);
    enum vnp_status st = first ? VNP_OK : end_chunk(v, err);
    if (st == VNP_OK && !first && !contig_goes_on)
        st = end_contig(v, err);
    if (st != VNP_OK)
        return st;
    v->id.n = 0;
    vnp_text_add(&v->id, f->chunk.s, f->chunk.n);
    v->at = *f;
    v->at.chunk.s = v->at.contig.s = v->id.p;
    v->frames = 0;
    v->chunk = (struct chunk_data){{-1, -1}};
    if (!contig_goes_on)
        memset(&v->contig, 0, sizeof v->contig);
    return VNP_OK;
}

enum vnp_status vnp_verdicts_add(struct vnp_verdicts *v, struct vnp_str id, const float scores[2], struct vnp_err *err)
{
    struct vnp_frame_id f;
    if (!vnp_frame_id(&f, id))
        return vnp_error(err, VNP_DATA, "%.*s is no id of vnp-orf, which are CONTIG_chunk_1F1 to R3", VNP_SHOWN(id));
    for (int k = 0; k < 2; k++)
        if (!(scores[k] >= 0 && scores[k] <= 1))
            return vnp_error(err, VNP_DATA, "%.*s: its scores are %g and %g, no probabilities", VNP_SHOWN(id),
                             (double)scores[0], (double)scores[1]);
    if (v->id.n == 0 || !vnp_str_equal(f.chunk, (struct vnp_str){v->id.p, (uint32_t)v->id.n})) {
        enum vnp_status st = begin_chunk(v, id, &f, err);
        if (st != VNP_OK)
            return st;
    }
    if (v->frames >> f.frame & 1)
        return vnp_error(err, VNP_DATA, "%.*s comes twice", VNP_SHOWN(id));
    v->frames |= 1u << f.frame;
    for (int k = 0; k < 2; k++)
        v->chunk.max[k] = scores[k] > v->chunk.max[k] ? scores[k] : v->chunk.max[k];
    return put_frame(v, id, scores, err);
}

/* --- sorted tables ------------------------------------------------------------------------------------------------ */

/* As Python's csv module does: in quotes when it holds one. */
static void put_csv(struct vnp_text *t, const char *s, size_t n)
{
    if (memchr(s, '"', n) == NULL) {
        vnp_text_add(t, s, n);
        return;
    }
    vnp_text_str(t, "\"");
    for (size_t i = 0; i < n; i++)
        vnp_text_add(t, s[i] == '"' ? "\"\"" : s + i, s[i] == '"' ? 2 : 1);
    vnp_text_str(t, "\"");
}

static enum vnp_status put_chunk(struct vnp_verdicts *v, const struct vnp_keyed *r, struct vnp_err *err)
{
    struct chunk_data c;
    memcpy(&c, r->data, sizeof c);
    v->n.chunks++;
    v->n.viral_chunks += is_viral(&c);
    if (v->opt.json) {
        vnp_text_str(&v->json, "{\"chunk\":");
        vnp_text_json(&v->json, r->key, r->n_key);
        vnp_text_printf(&v->json, ",\"is_virus\":%s", is_viral(&c) ? "true" : "false");
        put_json_number(&v->json, "max_score_0", c.max[0]);
        put_json_number(&v->json, "max_score_1", c.max[1]);
        vnp_text_str(&v->json, "}\n");
    }
    if (v->tables == NULL)
        return VNP_OK;
    struct vnp_text *t = vnp_tables_text(v->tables, HIGHEST);
    put_csv(t, r->key, r->n_key);
    vnp_text_str(t, is_viral(&c) ? "\tTrue" : "\tFalse");
    for (int k = 0; k < 2 && v->opt.max_scores; k++) {
        vnp_text_str(t, "\t");
        vnp_score_text(t, c.max[k]);
    }
    vnp_text_str(t, "\n");
    return vnp_tables_flush(v->tables, HIGHEST, 0, err);
}

static enum vnp_status put_contig(struct vnp_verdicts *v, const struct vnp_keyed *r, struct vnp_err *err)
{
    struct contig_data c;
    memcpy(&c, r->data, sizeof c);
    const char *verdict = c.is_viral ? "virus" : "others";
    const float mean = (float)(c.sum / (double)c.chunks);
    v->n.contigs++;
    v->n.viral_contigs += c.is_viral;
    if (v->opt.json) {
        vnp_text_str(&v->json, "{\"contig\":");
        vnp_text_json(&v->json, r->key, r->n_key);
        vnp_text_printf(&v->json, ",\"chunks\":%" PRIu64 ",\"viral_chunks\":%" PRIu64, c.chunks, c.viral);
        put_json_number(&v->json, "mean_score", mean);
        put_json_number(&v->json, "max_score", c.max);
        vnp_text_printf(&v->json, ",\"verdict\":\"%s\"}\n", verdict);
    }
    if (v->tables == NULL)
        return VNP_OK;
    struct vnp_text *t = vnp_tables_text(v->tables, CONTIGS);
    vnp_text_add(t, r->key, r->n_key);
    vnp_text_printf(t, "\t%" PRIu64 "\t%" PRIu64 "\t", c.chunks, c.viral);
    vnp_score_text(t, mean);
    vnp_text_str(t, "\t");
    vnp_score_text(t, c.max);
    vnp_text_printf(t, "\t%s\n", verdict);
    return vnp_tables_flush(v->tables, CONTIGS, 0, err);
}

/* All records of a sorter, each through `put`; a key that comes twice is an error. */
static enum vnp_status put_sorted(struct vnp_verdicts *v, struct vnp_sorter *s,
                                  enum vnp_status (*put)(struct vnp_verdicts *, const struct vnp_keyed *,
                                                         struct vnp_err *),
                                  struct vnp_err *err)
{
    struct vnp_keyed r;
    struct vnp_text last = {0};
    enum vnp_status st;
    for (bool first = true; (st = vnp_sorter_next(s, &r, err)) == VNP_OK; first = false) {
        if (!first && r.n_key == last.n && memcmp(r.key, last.p, last.n) == 0)
            st = vnp_error(err, VNP_DATA, "%.*s comes twice, with others between: two contigs of one name",
                           VNP_SHOWN_BYTES(r.key, r.n_key));
        if (st == VNP_OK)
            st = put(v, &r, err);
        if (st == VNP_OK)
            st = flush_json(v, JSON_FLUSH, err);
        if (st != VNP_OK)
            break;
        last.n = 0;
        vnp_text_add(&last, r.key, r.n_key);
    }
    free(last.p);
    return st == VNP_END ? VNP_OK : st;
}

static enum vnp_status write_tables(struct vnp_verdicts *v, struct vnp_err *err)
{
    enum vnp_status st = v->id.n > 0 ? end_chunk(v, err) : VNP_OK;
    if (st == VNP_OK && v->id.n > 0)
        st = end_contig(v, err);
    if (st == VNP_OK)
        st = put_sorted(v, v->by_chunk, put_chunk, err);
    if (st == VNP_OK)
        st = put_sorted(v, v->by_contig, put_contig, err);
    if (st == VNP_OK && v->gff != NULL)
        st = vnp_viral_gff_write(v->gff, v->opt.chunks, v->tables, VIRAL, &v->n.runs, err);
    return st;
}

static enum vnp_status end_json(struct vnp_verdicts *v, struct vnp_err *err)
{
    vnp_text_printf(&v->json,
                    "{\"summary\":{\"frames\":%" PRIu64 ",\"viral_frames\":%" PRIu64 ",\"chunks\":%" PRIu64
                    ",\"viral_chunks\":%" PRIu64 ",\"contigs\":%" PRIu64 ",\"viral_contigs\":%" PRIu64 "}}\n",
                    v->n.frames, v->n.viral_frames, v->n.chunks, v->n.viral_chunks, v->n.contigs, v->n.viral_contigs);
    return flush_json(v, 0, err);
}

enum vnp_status vnp_verdicts_finish(struct vnp_verdicts *v, struct vnp_verdict_counts *counts, struct vnp_err *err)
{
    enum vnp_status st = write_tables(v, err);
    if (st == VNP_OK && v->opt.json)
        st = end_json(v, err);
    if (st == VNP_OK && v->tables != NULL) {
        st = vnp_tables_commit(v->tables, err);
        v->tables = NULL;
    }
    if (st == VNP_OK && v->opt.dir != NULL && v->opt.chunks == NULL) { /* an older run's is not of these results */
        char *older = xasprintf("%s/%s", v->opt.dir, vnp_verdict_tables[VIRAL]);
        unlink(older);
        free(older);
    }
    *counts = v->n;
    vnp_verdicts_discard(v);
    return st;
}
