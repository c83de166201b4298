#!/bin/sh
# foreign.sh SOURCE DIRECTORY ARCHITECTURE PATTERN: builds the library and the tests whose program's name contains PATTERN
# for another kind of processor, and runs them: i386 as it is, s390x (big-endian) and arm64 by QEMU. All of it happens in
# a root of its own in DIRECTORY, so that the packages for the other processor do not get in the way of the machine's.
# Takes root, a mirror and Linux 6.7. QEMU does as it is told in order: it does not show how weakly arm64 orders memory.
set -eu
source=$1
directory=$2
architecture=$3
pattern=$4
root=$directory/root
build=$directory/$architecture
suite=bookworm

case $architecture in
# GCC has 128-bit integers for 32 bits from 14 on only, which this suite does not have.
i386) set -- i686-linux-gnu i386-linux-gnu x86 little "'clang-19', '--target=i686-linux-gnu'" clang-19 ;;
s390x) set -- s390x-linux-gnu s390x-linux-gnu s390x big "'s390x-linux-gnu-gcc'" gcc-s390x-linux-gnu ;;
arm64) set -- aarch64-linux-gnu aarch64-linux-gnu aarch64 little "'aarch64-linux-gnu-gcc'" gcc-aarch64-linux-gnu ;;
*)
    echo "no such architecture: $architecture; there are: i386 s390x arm64" >&2
    exit 2
    ;;
esac

# The mounts end with this process.
if [ -z "${TBUS_FOREIGN:-}" ]; then
    export TBUS_FOREIGN=mounted
    exec unshare -m --propagation private sh "$0" "$source" "$directory" "$architecture" "$pattern"
fi

mkdir -p "$directory"
if [ ! -e "$root/made" ]; then
    rm -rf --one-file-system "$root"
    # shellcheck disable=SC2016 # apt's variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Identifier: Packages' | head -n 1)
    debootstrap --arch=amd64 --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror"
    : >"$root/made"
fi
mkdir -p "$root$source"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind "$source" "$root$source"
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"

if [ ! -e "$root/made-$architecture" ]; then
    libraries=
    for library in libc6-dev libuv1-dev libjansson-dev libmicrohttpd-dev libsqlite3-dev libssl-dev zlib1g-dev; do
        libraries="$libraries $library $library:$architecture"
    done
    # shellcheck disable=SC2016,SC2086 # for the shell there; a list of words
    chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C sh -euc '
        dpkg --add-architecture "$0"
        apt-get update
        apt-get install -y --no-install-recommends "$@"' "$architecture" gcc "gcc-$(echo "$1" | tr _ -)" "$6" meson \
        ninja-build pkgconf ccache qemu-user-static curl procps python3 python3-jsonschema python3-prometheus-client \
        $libraries
    : >"$root/made-$architecture"
fi

cat >"$directory/$architecture.ini" <<END
[binaries]
c = ['ccache', $5]
ar = '$1-ar'
strip = '$1-strip'
pkgconfig = 'pkg-config'
[properties]
pkg_config_libdir = '/usr/lib/$2/pkgconfig:/usr/share/pkgconfig'
needs_exe_wrapper = false
[host_machine]
system = 'linux'
cpu_family = '$3'
cpu = '$3'
endian = '$4'
END

cat >"$directory/inside.sh" <<'END'
set -eu
source=$1 build=$2 pattern=$3
cd "$source"
[ -f "$build/build.ninja" ] || meson setup "$build" --cross-file "$build.ini" -Dplain_runner=true -Dtests=enabled \
    -Ddefault_library=static
sed "s,^$build/,," "$build/tests/tests.list" | grep "/test-[^/]*$pattern" >"$build/wanted" || {
    echo "no test program has '$pattern' in its name" >&2
    exit 1
}
xargs ninja -C "$build" tools/tallybus <"$build/wanted"
export TBUS_LOGS="$build/logs" TBUS_RUNNER=plain TBUS_PERSONALITY=
rm -rf "$TBUS_LOGS"
mkdir "$TBUS_LOGS"
sed "s,^,$build/," "$build/wanted" >"$TBUS_LOGS/list"
xargs -n 1 -P 2 "$source/run" --one-test <"$TBUS_LOGS/list"
END

cat >"$directory/formats" <<'END'
:s390x:M::\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:/usr/bin/qemu-s390x-static:
:arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:
END

# What the kernel shall run by QEMU is told to it in a namespace, in which all users are as outside.
# shellcheck disable=SC2016 # for the shell there
unshare -U -m sh -euc '
    until [ "$(id -u)" -eq 0 ]; do sleep 0.1; done
    mount -t binfmt_misc none "$0/proc/sys/fs/binfmt_misc"
    while read -r format; do
        printf "%s" "$format" >"$0/proc/sys/fs/binfmt_misc/register"
    done <"$1"
    shift
    exec chroot "$0" "$@"' "$root" "$directory/formats" sh "$directory/inside.sh" "$source" "$build" "$pattern" &
child=$!
until { echo '0 0 4294967295' >"/proc/$child/uid_map"; } 2>/dev/null; do
    kill -0 "$child"
    sleep 0.1
done
echo '0 0 4294967295' >"/proc/$child/gid_map"
wait "$child"
