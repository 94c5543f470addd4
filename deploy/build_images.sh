#!/usr/bin/env bash
# Builds the image of every service, or of those named: deploy/build_images.sh [SERVICE…]
# With Docker, Podman or Buildah, whichever answers first; BUILDER=podman chooses. Variables:
#   REELROUTE_VERSION   tag of the images (default: local)
#   BUILD_ARGUMENTS     more for the builder, for example --build-arg PYTHON_IMAGE=registry.example/python:3.11-slim
set -euo pipefail
cd "$(dirname "$0")/.."

answering() {
  local name
  for name in docker podman buildah; do
    # `info` asks the engine, where there is one; a client alone does not count.
    if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  echo 'No Docker engine, Podman or Buildah answers. Start or install one of them.' >&2
  return 1
}

builder=${BUILDER:-$(answering)}
case $builder in
  docker) build=(docker build) ;;
  # The image format of Docker has health checks, OCI's own has none.
  podman) build=(podman build --format docker --layers) ;;
  buildah)
    build=(buildah bud --format docker --layers)
    # Without a container runtime the steps of the build run in a chroot.
    if ! command -v crun >/dev/null && ! command -v runc >/dev/null; then
      export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
    fi
    ;;
  *) echo "BUILDER is docker, podman or buildah, not $builder." >&2; exit 1 ;;
esac
read -ra more <<<"${BUILD_ARGUMENTS:-}"
services=("$@")
if [[ ${#services[@]} -eq 0 ]]; then
  services=(identity content scheduler publisher notification fulfillment gateway sandbox)
fi
for service in "${services[@]}"; do
  if [[ $service != sandbox && ! -f services/$service/__main__.py ]]; then
    echo "There is no service $service." >&2
    exit 1
  fi
  image=reelroute-$service:${REELROUTE_VERSION:-local}
  echo "· building $image with $builder"
  "${build[@]}" "${more[@]}" --build-arg "SERVICE=$service" --tag "$image" --file deploy/Dockerfile .
done
