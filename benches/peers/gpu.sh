#!/bin/sh
# Writes a page about the speed of this machine's GPU, in Markdown: LeNet, ResNet-20, ResNet-18 and ResNet-50 in several forms,
# beside what is here of PyTorch and Burn, and all operators beside the roofline. Usage:
#
#     benches/peers/gpu.sh PAGE.md
#
# BIN is a folder with a release build of frugal (target/release), and peer-burn if Burn is to be measured; PYTHON an interpreter, with
# PyTorch for CUDA if that is to be measured. Nothing is downloaded. Without anything but the program, `frugal bench page` makes
# the page without others.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
page=${1:?usage: benches/peers/gpu.sh PAGE.md}
BIN=$(cd "${BIN:-$here/../../target/release}" && pwd)
PYTHON=${PYTHON:-python3}
OUT=$(mktemp)
trap 'rm -f "$OUT"' EXIT
export BIN PYTHON OUT

set --
[ ! -x "$BIN/peer-burn" ] || set -- burn
if "$PYTHON" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    set -- "$@" pytorch-cuda pytorch-amp
fi
echo "beside Frugal: ${*:-nothing}" >&2
[ $# -eq 0 ] || NETS="${NETS:-lenet resnet20 resnet18 resnet50}" QUIET=1 "$here/run.sh" "$@"
"$BIN/frugal" bench page --peers "$OUT" ${NETS:+--nets "$(echo "$NETS" | tr ' ' ,)"} >"$page"
echo "$page is written" >&2
