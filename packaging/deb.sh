#!/bin/sh
# deb.sh SOURCE DIRECTORY: builds the Debian packages of the tree SOURCE in DIRECTORY, which is made anew, and has
# lintian look at them. Needs neither root nor network.
set -eu
source=$1 directory=$2
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" "$source/meson.build" | head -n 1)
tree=$directory/tallybus-$version

rm -rf "$directory"
mkdir -p "$tree"
tar -C "$source" --exclude=./build --exclude=./.git -cf - . | tar -C "$tree" -xf -
cp -R "$source/packaging/debian" "$tree/debian"
cd "$tree"
# A symbol without the version that the list of symbols knows is an error.
DPKG_GENSYMBOLS_CHECK_LEVEL=4 dpkg-buildpackage --build=binary --no-sign -j"$(nproc)"
cd ..
run_as=
[ "$(id -u)" -ne 0 ] || run_as=--allow-root
lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs $run_as ./*.changes
