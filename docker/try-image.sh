#!/usr/bin/env bash
# Builds docker/Dockerfile without Docker, and tries what compose.yaml says of it: its commands and
# health checks inside the image, on a read-only root, against a real Postgres and a real S3.
# As root, with buildah and debootstrap (Debian packages). `make image` runs it.
#
#   IMAGE_HOME    where it is built, 5 GB (default /var/tmp/kpi-image); what lies there is replaced
#   IMAGE_MIRROR  where debootstrap takes Debian from (default: its own)
set -euo pipefail
cd "$(dirname "$0")/.."
home=${IMAGE_HOME:-/var/tmp/kpi-image}

missing=()
[ "$(id -u)" = 0 ] || missing+=("root")
for program in buildah debootstrap unshare chroot; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "image: not built, this needs ${missing[*]} (apt-get install buildah debootstrap)" >&2
    exit 1
fi

say() { echo "image: $(date -u +%H:%M:%S) $*"; }
builder() { buildah --storage-driver vfs --root "$home/store" --runroot "$home/run" "$@"; }
emptied() {
    builder rm --all >/dev/null 2>&1 || true
    rm -rf -- "${home:?}/store" "$home/run" "$home/base" "$home/environment"
}

mkdir -p "$home"
emptied
trap emptied EXIT

# Stands for python:3.11-slim, which no Docker registry is asked for here: Debian with its Python 3.11
# and its pip, under the names that the image has.
say "a base from Debian's packages"
debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates \
    bookworm "$home/base" ${IMAGE_MIRROR:+"$IMAGE_MIRROR"} >"$home/base.log" 2>&1 ||
    { tail -n 20 "$home/base.log" >&2; exit 1; }
rm -f "$home"/base/usr/lib/python3.*/EXTERNALLY-MANAGED
ln -sf python3 "$home/base/usr/bin/python"
container=$(builder from scratch)
builder add -q "$container" "$home/base" / >/dev/null
builder commit -q --rm "$container" docker.io/library/python:3.11-slim >/dev/null
rm -rf -- "$home/base"

# What this machine's pip trusts and asks; none of it stays in the image.
mounted=()
for place in /etc/ssl/certs /etc/pip.conf /etc/xdg/pip; do
    [ -e "$place" ] && mounted+=(--volume "$place:$place:ro")
done
say "docker/Dockerfile"
builder bud --isolation chroot --network host --pull=never "${mounted[@]}" \
    --file docker/Dockerfile --ignorefile docker/Dockerfile.dockerignore --tag kpi-platform . \
    >"$home/build.log" 2>&1 || { tail -n 40 "$home/build.log" >&2; exit 1; }

container=$(builder from --pull=never localhost/kpi-platform)
builder inspect --type image --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' \
    localhost/kpi-platform >"$home/environment"
KPI_IMAGE_ROOT=$(builder mount "$container")
KPI_IMAGE_USER=$(builder inspect --type image --format '{{.OCIv1.Config.User}}' localhost/kpi-platform)
export KPI_IMAGE_ROOT KPI_IMAGE_USER KPI_IMAGE_ENVIRONMENT="$home/environment"
say "$(du -sh "$KPI_IMAGE_ROOT" | cut -f1) of files; the commands and health checks of compose.yaml in it"
.venv/bin/pytest -q -p no:cacheprovider kpi_platform_tests/deployment/test_compose.py
say "built and tried"
