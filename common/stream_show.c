#include "stream_show.h"

#include <string.h>

#include "log.h"

const char *vnp_stream_order(const struct vnp_reader *r)
{
    const struct vnp_head *h = vnp_reader_head(r);
    return h->kind != VNP_EMBEDDINGS ? "" : h->ordered ? ", ordered: yes" : ", ordered: no";
}

void vnp_stream_show_json(struct vnp_text *t, const struct vnp_reader *r, const struct vnp_lengths *len)
{
    const struct vnp_head *h = vnp_reader_head(r);
    const struct vnp_totals *n = vnp_reader_totals(r);
    vnp_text_str(t, "{\"file\":");
    vnp_text_json(t, vnp_reader_name(r), strlen(vnp_reader_name(r)));
    vnp_text_printf(t, ",\"kind\":\"%s\"", vnp_kind_name(h->kind));
    if (h->first > 0)
        vnp_text_field(t, "first", h->first);
    vnp_text_str(t, ",\"by\":[");
    for (int i = 0; i < h->n_by; i++) {
        const struct vnp_producer *p = &h->by[i];
        vnp_text_str(t, i > 0 ? ",{\"stage\":" : "{\"stage\":");
        vnp_text_json(t, p->stage, strlen(p->stage));
        vnp_text_str(t, ",\"version\":");
        vnp_text_json(t, p->version, strlen(p->version));
        vnp_text_str(t, ",\"params\":{");
        for (int k = 0; k < p->n_params; k++) {
            vnp_text_str(t, k > 0 ? "," : "");
            vnp_text_json(t, p->params[k].key, strlen(p->params[k].key));
            vnp_text_str(t, ":");
            vnp_text_json(t, p->params[k].value, strlen(p->params[k].value));
        }
        vnp_text_str(t, "}}");
    }
    vnp_text_str(t, "],\"vocab\":");
    vnp_text_json(t, h->vocab, strlen(h->vocab));
    if (vnp_kind_vectors(h->kind)) {
        vnp_text_str(t, ",\"model\":");
        vnp_text_json(t, h->model, strlen(h->model));
        vnp_text_str(t, ",\"fingerprint\":");
        vnp_text_json(t, h->fingerprint, strlen(h->fingerprint));
        vnp_text_printf(t, ",\"layer\":%d,\"width\":%d,\"dtype\":\"%s\"", h->layer, h->width, vnp_dtype_name(h->dtype));
    }
    if (h->kind == VNP_EMBEDDINGS)
        vnp_text_printf(t, ",\"pool\":\"%s\",\"ordered\":%s", h->pool, h->ordered ? "true" : "false");
    if (h->unique[0] != '\0') {
        vnp_text_str(t, ",\"unique\":");
        vnp_text_json(t, h->unique, strlen(h->unique));
    }
    vnp_text_field(t, "sequences", n->sequences);
    vnp_text_field(t, "rows", n->rows);
    vnp_text_field(t, "tokens", n->tokens);
    vnp_text_field(t, "residues", len->sum);
    vnp_text_field(t, "shortest", len->min);
    vnp_text_field(t, "longest", len->max);
    vnp_text_field(t, "truncated", n->truncated);
    vnp_text_field(t, "redone", n->redone);
    vnp_text_field(t, "nonfinite", n->nonfinite);
    vnp_text_field(t, "frames", vnp_reader_frames(r));
    vnp_text_field(t, "bytes", vnp_reader_bytes(r));
    vnp_text_printf(t, ",\"crc32\":\"%08x\"}\n", vnp_reader_crc(r));
}

void vnp_stream_show(struct vnp_text *t, const struct vnp_reader *r, const struct vnp_lengths *len)
{
    const struct vnp_head *h = vnp_reader_head(r);
    const struct vnp_totals *n = vnp_reader_totals(r);
    size_t begin = t->n;
    vnp_text_printf(t, "%s: %s, whole: %llu frames, %llu bytes uncompressed, crc32 %08x\n", vnp_reader_name(r),
                    vnp_kind_name(h->kind), (unsigned long long)vnp_reader_frames(r),
                    (unsigned long long)vnp_reader_bytes(r), vnp_reader_crc(r));
    for (int i = 0; i < h->n_by; i++) {
        vnp_text_printf(t, "  %-10s %s %s", i == 0 ? "by" : "", h->by[i].stage, h->by[i].version);
        for (int k = 0; k < h->by[i].n_params; k++)
            vnp_text_printf(t, " %s=%s", h->by[i].params[k].key, h->by[i].params[k].value);
        vnp_text_str(t, "\n");
    }
    vnp_text_printf(t, "  %-10s %s, %d ids\n", "vocabulary", h->vocab, h->vocab_size);
    if (vnp_kind_vectors(h->kind))
        vnp_text_printf(t, "  %-10s %s, layer %d, fingerprint %s\n  %-10s %d x %s%s%s%s\n", "model", h->model, h->layer,
                        h->fingerprint, "vectors", h->width, vnp_dtype_name(h->dtype),
                        h->kind == VNP_EMBEDDINGS ? ", pool " : " for each token",
                        h->kind == VNP_EMBEDDINGS ? h->pool : "", vnp_stream_order(r));
    if (h->unique[0] != '\0')
        vnp_text_printf(t, "  %-10s %s %s\n", "unique", h->kind == VNP_COPIES ? "copies of records" : "records of", h->unique);
    vnp_text_printf(t, "  %-10s %llu sequence%s in %llu row%s, %llu tokens\n", "holds",
                    (unsigned long long)n->sequences, vnp_plural(n->sequences), (unsigned long long)n->rows,
                    vnp_plural(n->rows), (unsigned long long)n->tokens);
    if (h->first > 0)
        vnp_text_printf(t, "  %-10s record %llu of the input\n", "begins at", (unsigned long long)h->first);
    vnp_text_printf(t, "  %-10s %u to %u residues a row, mean %.1f\n", "lengths", len->min, len->max,
                    n->rows > 0 ? (double)len->sum / (double)n->rows : 0);
    vnp_text_printf(t, "  %-10s %llu truncated, %llu redone in FP32, %llu not finite\n", "rows",
                    (unsigned long long)n->truncated, (unsigned long long)n->redone, (unsigned long long)n->nonfinite);
    for (char *c = t->p + begin; c < t->p + t->n; c++) /* the head's texts could steer the terminal */
        if (((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f)
            *c = '?';
}
