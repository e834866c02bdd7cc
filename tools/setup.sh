#!/bin/sh
# Installs what Frugal needs beside Rust on Debian and Ubuntu: a linker, the Vulkan loader, and, where there is no Vulkan
# driver yet, Mesa's, which also runs on the CPU. Does nothing where all of it is there. Needs root, or sudo.
set -eu

wanted=""
command -v cc >/dev/null 2>&1 || wanted="gcc libc6-dev"
ldconfig -p 2>/dev/null | grep -q libvulkan.so.1 || wanted="$wanted libvulkan1"
drivers=$(ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json 2>/dev/null || true)
[ -n "$drivers${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || wanted="$wanted mesa-vulkan-drivers"

if [ -z "$wanted" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: please install by hand what these Debian packages hold:$wanted" >&2
    exit 1
fi
root=""
[ "$(id -u)" = 0 ] || root="sudo"
echo "installing:$wanted"
$root apt-get update -q
# shellcheck disable=SC2086 # a list of packages
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $wanted
