/* Codons, frames and slices against a reader that goes letter by letter; which letters are nucleotides. */
#include "../lib.h"
#include "codon.h"
#include "nucleotide.h"

/* Stops and amino acids by what textbooks list, not by the table under test. */
static char amino_of(const char *codon)
{
    static const char *const families[] = {
        "FTTT TTC", "LTTA TTG CTT CTC CTA CTG", "IATT ATC ATA", "MATG", "VGTT GTC GTA GTG", "STCT TCC TCA TCG AGT AGC",
        "PCCT CCC CCA CCG", "TACT ACC ACA ACG", "AGCT GCC GCA GCG", "YTAT TAC", "HCAT CAC", "QCAA CAG", "NAAT AAC",
        "KAAA AAG", "DGAT GAC", "EGAA GAG", "CTGT TGC", "WTGG", "RCGT CGC CGA CGG AGA AGG", "GGGT GGC GGA GGG",
        "*TAA TAG TGA"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const char *p = families[i] + 1; *p != '\0'; p += p[3] == ' ' ? 4 : 3)
            if (strncmp(p, codon, 3) == 0)
                return families[i][0];
    return 0;
}

static void all_codons(void **state)
{
    (void)state;
    static const char acgt[] = "ACGTacgt";
    for (int i = 0; i < 512; i++) {
        const char codon[4] = {acgt[i >> 6], acgt[i >> 3 & 7], acgt[i & 7], '\0'};
        const char upper[4] = {acgt[i >> 6 & 3], acgt[i >> 3 & 3], acgt[i & 3], '\0'};
        char got = 0;
        const int64_t n = vnp_translate(codon, 3, 0, &got);
        const char want = amino_of(upper);
        assert_int_not_equal(want, 0);
        assert_int_equal(n, want == '*' ? -1 : 1);
        if (n == 1)
            assert_int_equal(got, want);
    }
}

/* A codon with any other byte, at any of its places, is left out and ends nothing. */
static void other_letters(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        if (strchr("ACGTacgt", c) != NULL)
            continue;
        for (int place = 0; place < 3; place++) {
            char text[] = "ATGTAATGG", got[3];
            text[3 + place] = (char)c;
            assert_int_equal(vnp_translate(text, 9, 0, got), 2);
            assert_memory_equal(got, "MW", 2);
        }
    }
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static void strand_of(const char *seq, int n, int frame, char *strand)
{
    for (int i = 0; i < n; i++) {
        const char c = upper(frame < 3 ? seq[i] : seq[n - 1 - i]);
        strand[i] = frame < 3 ? c : c == 'A' ? 'T' : c == 'C' ? 'G' : c == 'G' ? 'C' : c == 'T' ? 'A' : c;
    }
}

static void frames_as_a_slow_reader_sees_them(void **state)
{
    (void)state;
    uint64_t seed = 7;
    char seq[128], strand[128], want[128], got[128];
    for (int round = 0; round < 40000; round++) {
        const int n = (int)t_between(&seed, 0, 100);
        const char *const letters = round % 3 == 0 ? "ACGT" : round % 3 == 1 ? "CGcgCGAT" : "ACGTacgtNnRU-\xe9";
        for (int i = 0; i < n; i++)
            seq[i] = letters[t_between(&seed, 0, (int64_t)strlen(letters) - 1)];
        for (int frame = 0; frame < VNP_FRAMES; frame++) {
            int64_t residues = 0;
            strand_of(seq, n, frame, strand);
            for (int i = frame % 3; i + 3 <= n && residues >= 0; i += 3) {
                const char aa = amino_of(strand + i);
                want[residues] = aa;
                residues = aa == '*' ? -1 : residues + (aa != 0);
            }
            assert_int_equal(vnp_translate(seq, (uint64_t)n, frame, got), residues);
            if (residues > 0)
                assert_memory_equal(got, want, (size_t)residues);
            const uint64_t ask = (uint64_t)t_between(&seed, 0, 110);
            const uint64_t left = n > frame % 3 ? (uint64_t)(n - frame % 3) : 0;
            assert_int_equal(vnp_frame_letters(seq, (uint64_t)n, frame, ask, got), ask < left ? ask : left);
            assert_memory_equal(got, strand + frame % 3, ask < left ? ask : left);
        }
    }
}

static void letters_of_nucleotides(void **state)
{
    (void)state;
    static const char known[] = "ACGTURYSWKMBDHVNXacgturyswkmbdhvnx-.";
    char text[200];
    for (int c = 1; c < 256; c++)
        for (int at = 0; at < 200; at += 37) {
            struct vnp_nucleotides sum = {0};
            memset(text, "ACGTNacgtn"[at % 10], sizeof text);
            text[at] = (char)c;
            const uint64_t strays = strchr(known, c) == NULL;
            assert_int_equal(vnp_nucleotides_count(text, sizeof text, &sum), strays);
            assert_int_equal(sum.strays.n, strays);
            assert_int_equal(sum.strays.by_letter[(uint8_t)upper((char)c)], strays);
            assert_int_equal(sum.uracils, c == 'U' || c == 'u');
        }
    struct vnp_nucleotides sum = {0};
    assert_int_equal(vnp_nucleotides_count("MKLVPE", 6, &sum), 3);
    assert_int_equal(vnp_nucleotides_count("ACGTL", 5, &sum), 1);
    assert_int_equal(sum.strays.n, 4);
    assert_int_equal(sum.strays.by_letter['L'], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_codons),
        cmocka_unit_test(other_letters),
        cmocka_unit_test(frames_as_a_slow_reader_sees_them),
        cmocka_unit_test(letters_of_nucleotides),
    };
    return cmocka_run_group_tests_name("vnp-orf codons", tests, NULL, NULL);
}
