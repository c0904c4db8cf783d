#!/usr/bin/env bash
# Builds the Debian package: .build/segmentd_VERSION_ARCHITECTURE.deb, whose path is printed at the end.
#
#     systemd/debian/build.sh             release build with the Swift runtime linked statically, then the package
#     systemd/debian/build.sh BINARY      the package around a binary that is there already
#
# Depends are what dpkg-shlibdeps reads from the binary, so the package fits the Debian that it was built on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packaging=systemd/debian
scratch=.build-deb
architecture=$(dpkg --print-architecture)
version=$(sed -n 's/.*static let version = "\(.*\)"/\1/p' Sources/segmentd/Commands/Segmentd.swift)
change() { dpkg-parsechangelog -l "$packaging/changelog" -S "$1"; }
if [[ $(change Version) != "$version" ]]; then
    echo "build.sh: $packaging/changelog is of $(change Version), the program of $version" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=$(change Timestamp)
export SOURCE_DATE_EPOCH OPENBLAS_NUM_THREADS=1

if (( $# == 0 )); then
    swift build -c release --static-swift-stdlib --scratch-path "$scratch" --product segmentd \
        -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now >&2
    binary=$scratch/release/segmentd
else
    binary=$1
fi
if readelf -d "$binary" | grep -q 'NEEDED.*libswift'; then
    echo "build.sh: $binary needs the Swift runtime; link it with --static-swift-stdlib" >&2
    exit 1
fi
if [[ $("$binary" --version) != "$version" ]]; then
    echo "build.sh: $binary says it is $("$binary" --version), not $version" >&2
    exit 1
fi
# Whoever is linked statically is named in the copyright file.
if [[ ! -e Package.resolved ]]; then
    echo "build.sh: no Package.resolved; build here first" >&2
    exit 1
fi
for package in $(sed -n 's/.*"identity" : "\(.*\)".*/\1/p' Package.resolved); do
    if ! grep -q "^Files: $package/\*" "$packaging/copyright"; then
        echo "build.sh: $package is missing in $packaging/copyright" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
root=$work/root
documents=$root/usr/share/doc/segmentd
units=$root/usr/lib/systemd/system
put() { install -D -m 644 "$1" "$2"; }

install -D -m 755 "$binary" "$root/usr/bin/segmentd"
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/segmentd"

put systemd/segmentd.service "$units/segmentd.service"
sed -f systemd/instance.sed systemd/segmentd.service > "$work/instance"
put "$work/instance" "$units/segmentd@.service"
put systemd/segmentd.sysusers "$root/usr/lib/sysusers.d/segmentd.conf"
put systemd/segmentd.tmpfiles "$root/usr/lib/tmpfiles.d/segmentd.conf"
systemd_version=$(dpkg-query -W -f '${Version}' systemd 2> /dev/null || echo 0)
if dpkg --compare-versions "$systemd_version" ge 254; then
    put systemd/examples/back-off.conf "$units/segmentd.service.d/back-off.conf"
    put systemd/examples/back-off.conf "$units/segmentd@.service.d/back-off.conf"
fi

# Editors find the schema from there, too.
sed 's|\(yaml-language-server: .schema=\)\./|\1/usr/share/segmentd/|' config/segmentd.yaml > "$work/yaml"
put "$work/yaml" "$root/etc/segmentd/segmentd.yaml"
(cd config && find . -type f ! -name '*test*' -exec install -D -m 644 {} "$root/usr/share/segmentd/{}" \;)

for example in systemd/examples/*; do
    put "$example" "$documents/examples/${example##*/}"
done
put "$packaging/copyright" "$documents/copyright"
put "$packaging/README.Debian" "$documents/README.Debian"
put README.md "$documents/README.md"
put "$packaging/changelog" "$documents/changelog"
{
    for folder in .build*/checkouts/*/; do
        name=$(basename "$folder")
        [[ -e $work/seen-$name ]] && continue
        touch "$work/seen-$name"
        find "$folder" -maxdepth 3 \( -name 'LICENSE*' -o -name 'NOTICE*' \) -type f | sort \
            | while read -r notice; do
                echo "=== $name: ${notice#"$folder"}"
                # The licence itself is on every Debian system.
                if grep -q 'Apache License' "$notice" && grep -q 'TERMS AND CONDITIONS' "$notice"; then
                    echo "Apache License, Version 2.0"
                else
                    cat "$notice"
                fi
            done
    done
} > "$work/notices"
put "$work/notices" "$documents/third-party-notices"

"$root/usr/bin/segmentd" --experimental-dump-help \
    | python3 "$packaging/manual.py" --readme README.md --version "$version" \
        --date "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)" > "$work/manual"
put "$work/manual" "$root/usr/share/man/man1/segmentd.1"
for shell in bash:bash-completion/completions/segmentd zsh:zsh/vendor-completions/_segmentd \
    fish:fish/vendor_completions.d/segmentd.fish; do
    "$root/usr/bin/segmentd" --generate-completion-script "${shell%%:*}" \
        | sed '1{/^#!/d}' > "$work/completion"
    put "$work/completion" "$root/usr/share/${shell#*:}"
done
gzip -9n "$documents"/{README.md,changelog,third-party-notices} "$root/usr/share/man/man1/segmentd.1"
put "$packaging/lintian-overrides" "$root/usr/share/lintian/overrides/segmentd"

mkdir -p "$work/shlibs/debian" "$root/DEBIAN"
printf 'Source: segmentd\n\nPackage: segmentd\nArchitecture: any\n' > "$work/shlibs/debian/control"
depends=$(cd "$work/shlibs" && dpkg-shlibdeps -O "$root/usr/bin/segmentd" | sed -n 's/^shlibs:Depends=//p')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@DEPENDS@/$depends/" \
    -e "s/@MAINTAINER@/$(change Maintainer)/" -e "s/@SIZE@/$(du -k -s --apparent-size "$root" | cut -f1)/" \
    "$packaging/control.in" > "$root/DEBIAN/control"
for script in postinst prerm postrm; do
    install -m 755 "$packaging/$script" "$root/DEBIAN/$script"
done
echo /etc/segmentd/segmentd.yaml > "$root/DEBIAN/conffiles"
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path ./etc/segmentd/segmentd.yaml -printf '%P\0' \
    | sort -z | xargs -0 md5sum > DEBIAN/md5sums)

find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
mkdir -p .build
package=.build/segmentd_${version}_$architecture.deb
dpkg-deb --root-owner-group -Z"${DEB_COMPRESSION:-xz}" --build "$root" "$package" >&2
echo "$package"
