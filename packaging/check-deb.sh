#!/bin/sh
# check-deb.sh SOURCE DIRECTORY: installs the packages that deb.sh left in DIRECTORY into a clean root, and there compiles
# a program with nothing but what pkg-config says, and runs it and the command. Where no root can be made (that takes
# root and a mirror), only the packages' contents are looked at, and the last line says so.
set -eu
source=$1
directory=$(cd "$2" && pwd)
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
clean=$directory/root

# has PACKAGE PATTERN: a line of the package's list of files matches.
has() {
    dpkg-deb -c "$directory/$1"_*.deb | grep "$2" >/dev/null || {
        echo "$1 has no $2" >&2
        exit 1
    }
}

has libtallybus0 '/libtallybus\.so\.0 -> '
has libtallybus-dev '/usr/include/tallybus\.h$'
has libtallybus-dev '/usr/include/tallybus/catalogue\.def$'
has libtallybus-dev '/libtallybus\.a$'
has libtallybus-dev '/libtallybus\.so -> libtallybus\.so\.0$'
has libtallybus-dev '/pkgconfig/tallybus\.pc$'
has libtallybus-dev '/usr/share/tallybus/schemas/telemetry\.schema\.json$'
has libtallybus-dev '/usr/share/tallybus/prometheus/rules\.yml$'
has libtallybus-dev '/usr/share/tallybus/grafana/dashboard\.json$'
has tallybus '/usr/bin/tallybus$'
has tallybus '/man1/tallybus\.1\.gz$'
# shellcheck disable=SC2016 # apt's variable
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Identifier: Packages' 2>/dev/null | head -n 1)
if [ "$(id -u)" -ne 0 ] || [ -z "$mirror" ] || ! command -v debootstrap >/dev/null ||
    ! debootstrap --variant=minbase "$suite" "$clean" "$mirror" >"$directory/debootstrap.log" 2>&1; then
    rm -rf --one-file-system "$clean"
    echo "[SKIP] no clean root could be made: only the contents of the packages were checked"
    exit 0
fi
trap 'rm -rf --one-file-system "$clean"' EXIT

mkdir "$clean/packages"
cp "$directory"/*.deb "$clean/packages"
rm -f "$clean"/packages/*-dbgsym_*
cp "$source/tests/public/consumer.c" "$source"/examples/*.c "$clean/packages"
chroot "$clean" /bin/sh -eu <<'END'
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get update
apt-get install -y --no-install-recommends /packages/*.deb gcc libc6-dev pkgconf
cd /packages
gcc consumer.c -o consumer $(pkg-config --cflags --libs tallybus)
./consumer
ldd consumer | grep libtallybus.so.0
for example in *.c; do
    gcc "$example" -o "${example%.c}" $(pkg-config --cflags --libs tallybus)
done
./workers
./budgets
tallybus version
dpkg --verify libtallybus0
apt-get purge -y libtallybus0 libtallybus-dev tallybus
[ -z "$(find /usr -name '*tallybus*')" ]
END
echo "installed into a clean root, where a program and the examples were compiled and run"
