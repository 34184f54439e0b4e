#!/usr/bin/env bash
# make install, make dist: what users get runs where it lands, with nothing else installed.
. "$(dirname "$0")/../lib.sh"
cd "$ROOT" || exit 2
unset MAKEFLAGS MAKELEVEL MFLAGS

once 'make install and make dist'

check 'make install' make install DESTDIR="$T/root" PREFIX=/opt/vnp
for b in "$BUILD"/bin/*; do
    check "installed: $(basename "$b")" test -x "$T/root/opt/vnp/bin/$(basename "$b")"
done
check 'installed: pages by section' test -f "$T/root/opt/vnp/share/man/man5/vnp-frames.5" -a \
    -f "$T/root/opt/vnp/share/man/man7/vnp.7" -a -f "$T/root/opt/vnp/share/man/man1/vnp-pack.1"

# Folders with a blank in their names: where to, and where from.
check 'make install into a folder with a blank in its name' make install DESTDIR="$T/root of it" PREFIX=/opt/vnp
check 'holds all that the other one does' diff -r "$T/root" "$T/root of it"
mkdir "$T/my work"
cp -r Makefile .ci common kernels stages pipelines schemas tests man "$T/my work"
ln -s "$BUILD" "$T/my work/build"
check 'make test in such a folder' make -C "$T/my work" -o all -o units test WORDS='vnp-fasta2tok/test_rows vnp-cat/'
make -C "$T/my work" -o all -n demo >"$T/steps" 2>&1
check 'make demo is given that folder whole' grep -q "VNP_BUILD='.*/my work/build' pipelines/demo" "$T/steps"

check 'make dist' env GZIP=-1 make dist # fast, not small
tarball=$(tail -n 1 "$T/out")
check 'the tarball is there' test -s "$tarball"
mkdir "$T/host"
tar -C "$T/host" -xzf "$tarball"
cd "$T/host"/vnp-* || exit 2
for f in README.md LICENSE proteins.faa man/vnp.7; do check "the tarball holds $f" test -s $f; done

# Needed libraries may be the C library's own parts, and the C++ and driver libraries that a CUDA host has.
foreign() {
    for b in bin/*; do LC_ALL=C objdump -p "$b" 2>/dev/null | awk '/NEEDED/ { print $2 }'; done | sort -u |
        grep -vE '^(libc|libm|libdl|librt|libpthread|ld-linux-x86-64|libgcc_s|libstdc\+\+)\.so\.'
}
foreign >"$T/foreign"
check "nothing but the C library is needed$(tr '\n' ' ' <"$T/foreign")" [ ! -s "$T/foreign" ]
bare() { env -i PATH=/usr/bin:/bin HOME="$T" "$@"; }
check 'on a bare host: a model' bare bin/vnp-model synth 1x2x32 -o "$T/model" --seed 3
check 'on a bare host: embeddings' bare bin/vnp-embed -q --device cpu -m "$T/model" -o "$T/emb.zst" proteins.faa
check 'on a bare host: they are whole' bare bin/vnp-cat --check "$T/emb.zst"

# Without the a Hopper's kernels would be empty.
cd "$ROOT" || exit 2
if [ -x "$(command -v nvcc)" ] || [ -x /usr/local/cuda/bin/nvcc ]; then
    status 'a build for sm_90 ends' 2 make BUILD="$T/sm_90" GENCODE='-gencode arch=compute_90,code=sm_90' "$T/sm_90/obj/kernels/lookup.cu.o"
    says 'and says what is wanted' 'arch=compute_90a,code=sm_90a'
else
    skip 'a build for sm_90' 'no nvcc'
fi
finish
