/* Where bytes go: a file is there when it is whole and not before, and what can't be written is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "npy.h"
#include "output.h"
#include "tempdir.h"

static char folder[64], path[96];
static struct vnp_err err;

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/vnp-output.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/out", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when anything else was left behind */
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static size_t contents(char *buf, size_t cap)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(buf, 1, cap, f);
    fclose(f);
    return n;
}

static void put(struct vnp_output *o, const char *a, const char *b)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)a, strlen(a)}, {(void *)(uintptr_t)b, strlen(b)}};
    assert_int_equal(vnp_output_write(o, parts, 2, &err), VNP_OK);
}

static void a_name_that_no_file_can_have_is_refused_at_once(void **state)
{
    (void)state;
    struct vnp_output *o;
    char loop[128], long_name[512];
    assert_int_equal(vnp_output_open(&o, "", 0, &err), VNP_CANTCREAT);
    snprintf(long_name, sizeof long_name, "%s/%0300d", folder, 0);
    assert_int_equal(vnp_output_open(&o, long_name, 0, &err), VNP_CANTCREAT);
    assert_non_null(strstr(err.msg, "too long"));
    snprintf(loop, sizeof loop, "%s/loop", folder);
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(vnp_output_open(&o, loop, 0, &err), VNP_CANTCREAT);
    unlink(loop);
    assert_int_equal(entries(), 0);
}

static void a_file_appears_when_it_is_whole(void **state)
{
    (void)state;
    struct vnp_output *o;
    char text[64];
    assert_int_equal(vnp_output_open(&o, path, 0, &err), VNP_OK);
    assert_false(vnp_output_is_stream(o));
    put(o, "one ", "two ");
    put(o, "three", "");
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    assert_int_equal(contents(text, sizeof text), 13);
    assert_memory_equal(text, "one two three", 13);
    assert_int_equal(entries(), 1);
}

static void an_older_file_stays_until_then(void **state)
{
    (void)state;
    struct vnp_output *o;
    char text[64];
    for (int round = 0; round < 3; round++) {
        assert_int_equal(vnp_output_open(&o, path, 0, &err), VNP_OK);
        put(o, round == 0 ? "old" : "new!", "");
        if (round > 0)
            assert_int_equal(contents(text, sizeof text), 3);
        if (round == 1)
            vnp_output_discard(o);
        else
            assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
        assert_int_equal(entries(), 1);
    }
    assert_int_equal(contents(text, sizeof text), 4);
}

static void a_link_to_what_is_yet_to_be_made_is_followed(void **state)
{
    (void)state;
    struct vnp_output *o;
    char links[2][96], text[64];
    for (int i = 0; i < 2; i++)
        snprintf(links[i], sizeof links[i], "%s/link%d", folder, i);
    assert_int_equal(symlink("link1", links[0]), 0); /* relative, and to another */
    assert_int_equal(symlink(path, links[1]), 0);
    assert_true(vnp_same_file(links[0], path)); /* before there is a file */
    assert_int_equal(vnp_output_open(&o, links[0], 0, &err), VNP_OK);
    put(o, "there", "");
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    assert_int_equal(contents(text, sizeof text), 5);
    for (int i = 0; i < 2; i++) {
        assert_true(readlink(links[i], text, sizeof text) > 0);
        unlink(links[i]);
    }
    assert_int_equal(symlink("no/out", links[0]), 0);
    assert_int_equal(vnp_output_open(&o, links[0], 0, &err), VNP_CANTCREAT);
    unlink(links[0]);
    assert_int_equal(entries(), 1);
}

static void the_longest_name_is_one(void **state)
{
    (void)state;
    struct vnp_output *o;
    char name[512];
    snprintf(name, sizeof name, "%s/%0255d", folder, 0);
    assert_int_equal(vnp_output_open(&o, name, 0, &err), VNP_OK);
    put(o, "long", "");
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    assert_int_equal(entries(), 1);
    assert_int_equal(unlink(name), 0);
}

static void so_it_is_for_a_directory(void **state)
{
    (void)state;
    struct vnp_tempdir *t;
    char name[512];
    for (int n = 240; n <= 256; n++) {
        snprintf(name, sizeof name, "%s/%0*d", folder, n, 0);
        assert_int_equal(vnp_tempdir_open(&t, name, &err), n <= 255 ? VNP_OK : VNP_CANTCREAT);
        if (n > 255)
            continue;
        assert_int_equal(vnp_tempdir_commit(t, &err), VNP_OK);
        assert_int_equal(rmdir(name), 0);
    }
    assert_non_null(strstr(err.msg, "too long"));
    assert_int_equal(entries(), 0);
}

static void a_temporary_name_that_is_taken_is_left_alone(void **state)
{
    (void)state;
    struct vnp_output *o;
    char taken[128];
    snprintf(taken, sizeof taken, "%s.%ld.tmp", path, (long)getpid());
    int other = open(taken, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(other >= 0);
    close(other);
    assert_int_equal(vnp_output_open(&o, path, 0, &err), VNP_OK);
    put(o, "x", "");
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    assert_int_equal(entries(), 2);
    assert_int_equal(unlink(taken), 0);
}

static bool interrupted;
int rename(const char *from, const char *to) /* in the place of the C library's */
{
    const int status = renameat(AT_FDCWD, from, AT_FDCWD, to);
    if (interrupted)
        raise(SIGTERM);
    return status;
}

static void a_signal_after_the_last_step_leaves_a_directory_whole(void **state)
{
    (void)state;
    struct vnp_tempdir *t;
    char file[128];
    const pid_t child = fork();
    if (child == 0) {
        if (vnp_tempdir_open(&t, path, &err) != VNP_OK)
            _exit(1);
        snprintf(file, sizeof file, "%s/file", vnp_tempdir_path(t));
        close(open(file, O_WRONLY | O_CREAT, 0600));
        interrupted = true;
        _exit(vnp_tempdir_commit(t, &err) == VNP_OK ? 2 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    snprintf(file, sizeof file, "%s/file", path);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(path), 0);
}

static void a_discarded_file_leaves_nothing(void **state)
{
    (void)state;
    struct vnp_output *o;
    assert_int_equal(vnp_output_open(&o, path, 3, &err), VNP_OK);
    put(o, "x", "y");
    vnp_output_discard(o);
    assert_int_equal(entries(), 0);
}

static void a_killed_writer_leaves_nothing(void **state)
{
    (void)state;
    struct vnp_output *o;
    int probe = open(folder, O_TMPFILE | O_WRONLY, 0600);
    if (probe < 0)
        skip(); /* a file system without nameless files */
    close(probe);
    pid_t child = fork();
    if (child == 0) {
        if (vnp_output_open(&o, path, 0, &err) != VNP_OK)
            _exit(1);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(entries(), 0);
}

static void each_write_is_a_zstd_frame(void **state)
{
    (void)state;
    struct vnp_output *o;
    char packed[256], text[64];
    assert_int_equal(vnp_output_open(&o, path, 5, &err), VNP_OK);
    put(o, "alpha ", "beta");
    put(o, "gamma", "");
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    size_t n = contents(packed, sizeof packed), first = ZSTD_findFrameCompressedSize(packed, n);
    assert_false(ZSTD_isError(first));
    assert_int_equal(ZSTD_decompress(text, sizeof text, packed, first), 10);
    assert_memory_equal(text, "alpha beta", 10);
    assert_int_equal(ZSTD_decompress(text, sizeof text, packed + first, n - first), 5);
    packed[first - 1] ^= 1; /* the frame has a checksum */
    assert_true(ZSTD_isError(ZSTD_decompress(text, sizeof text, packed, first)));
}

static void a_pipe_is_written_in_place(void **state)
{
    (void)state;
    struct vnp_output *o;
    char text[8];
    assert_int_equal(mkfifo(path, 0600), 0);
    int in = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(vnp_output_open(&o, path, 0, &err), VNP_OK);
    assert_true(vnp_output_is_stream(o));
    put(o, "pipe", "");
    assert_int_equal(read(in, text, sizeof text), 4);
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    close(in);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
}

/* By whatever name: what is there stays, as with the shell's >>, and the link is none to be replaced. */
static void an_open_descriptor_is_written_in_place(void **state)
{
    (void)state;
    struct vnp_output *o;
    char links[2][96], folder_link[96], names[7][192], text[64], own[96];
    struct stat st;
    int n = 0;
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++)
        snprintf(links[i], sizeof links[i], "%s/link%d", folder, i);
    snprintf(folder_link, sizeof folder_link, "%s/fds", folder);
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    assert_int_equal(symlink("link1", links[0]), 0);
    assert_int_equal(symlink(own, links[1]), 0);
    assert_int_equal(symlink("/dev/fd", folder_link), 0);
    snprintf(names[n++], sizeof *names, "/dev/fd/%d", fd);
    snprintf(names[n++], sizeof *names, "/dev/./fd//%d", fd);
    snprintf(names[n++], sizeof *names, "/proc/self/fd/%d", fd);
    snprintf(names[n++], sizeof *names, "/proc/%ld/fd/%d", (long)getpid(), fd);
    snprintf(names[n++], sizeof *names, "%s/%d", folder_link, fd);
    snprintf(names[n++], sizeof *names, "%s", links[0]);
    snprintf(names[n++], sizeof *names, "%s", links[1]);
    for (int i = 0; i < n; i++) {
        assert_int_equal(vnp_output_open(&o, names[i], 0, &err), VNP_OK);
        assert_true(vnp_output_is_stream(o));
        put(o, "one ", "");
        assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
        assert_int_equal(contents(text, sizeof text), 4 * (size_t)(i + 1));
    }
    close(fd);
    assert_int_equal(vnp_output_open(&o, links[0], 0, &err), VNP_CANTCREAT); /* closed: no file gets the name */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lstat(links[i], &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        unlink(links[i]);
    }
    unlink(folder_link);
    assert_int_equal(entries(), 1);
}

static void what_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct vnp_output *o;
    char missing[128];
    struct iovec part = {"x", 1};
    snprintf(missing, sizeof missing, "%s/no/out", folder);
    assert_int_equal(vnp_output_open(&o, missing, 0, &err), VNP_CANTCREAT);
    assert_null(o);
    assert_non_null(strstr(err.msg, missing));
    assert_int_equal(vnp_output_open(&o, folder, 0, &err), VNP_CANTCREAT);
    assert_int_equal(vnp_output_open(&o, "/dev/full", 0, &err), VNP_OK);
    assert_int_equal(vnp_output_write(o, &part, 1, &err), VNP_IO);
    assert_non_null(strstr(err.msg, "/dev/full"));
    vnp_output_discard(o);
}

static void a_header_patched_in_later(void **state)
{
    (void)state;
    struct vnp_output *o;
    char text[16];
    assert_int_equal(vnp_output_open(&o, path, 0, &err), VNP_OK);
    put(o, "????", " rest");
    assert_int_equal(vnp_output_patch(o, 0, "head", 4, &err), VNP_OK);
    put(o, ".", "");
    assert_int_equal(vnp_output_commit(o, &err), VNP_OK);
    assert_int_equal(contents(text, sizeof text), 10);
    assert_memory_equal(text, "head rest.", 10);
}

static void an_array(void **state)
{
    (void)state;
    struct vnp_npy *a;
    char bytes[512];
    const float rows[] = {1, 2, 3, 4, 5, 6};
    assert_int_equal(vnp_npy_open(&a, path, 3, &err), VNP_OK);
    assert_int_equal(vnp_npy_add(a, rows, 1, &err), VNP_OK);
    assert_int_equal(vnp_npy_add(a, rows + 3, 1, &err), VNP_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(vnp_npy_finish(a, &err), VNP_OK);
    assert_int_equal(contents(bytes, sizeof bytes), 128 + sizeof rows);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(bytes + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } ", 60);
    assert_int_equal(bytes[127], '\n');
    assert_memory_equal(bytes + 128, rows, sizeof rows);
    assert_int_equal(vnp_npy_open(&a, "/dev/null", 3, &err), VNP_CANTCREAT);
    assert_null(a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_no_file_can_have_is_refused_at_once),
        TEST(a_file_appears_when_it_is_whole),
        TEST(a_link_to_what_is_yet_to_be_made_is_followed),
        TEST(the_longest_name_is_one),
        TEST(so_it_is_for_a_directory),
        TEST(a_temporary_name_that_is_taken_is_left_alone),
        TEST(a_signal_after_the_last_step_leaves_a_directory_whole),
        TEST(an_older_file_stays_until_then),
        TEST(a_discarded_file_leaves_nothing),
        TEST(a_killed_writer_leaves_nothing),
        TEST(each_write_is_a_zstd_frame),
        TEST(a_pipe_is_written_in_place),
        TEST(an_open_descriptor_is_written_in_place),
        TEST(what_cannot_be_written_is_an_error),
        TEST(a_header_patched_in_later),
        TEST(an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
