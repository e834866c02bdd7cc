#!/bin/sh
# Trains nets with Frugal and its peers, in turn on this machine, from the same weights over the same batch, and prints a
# table of each net. README.md says what is compared and what each needs. Usage:
#
#     benches/peers/run.sh [frugal|burn|meganeura|pytorch|pytorch-cuda|pytorch-amp]...     the first four without arguments
#
# NETS names the nets (lenet resnet20; besides resnet18 and resnet50, for GPUs), PYTHON the interpreter for PyTorch (python3),
# CARGO_TARGET_DIR the folder for builds (benches/peers/target for the peers'), BIN a folder with frugal, peer-burn and peer-meganeura,
# if they are not to be built, OUT the file for the figures (benches/peers/results.jsonl). With QUIET set no table is printed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
target=${CARGO_TARGET_DIR:-$here/target}
out=${OUT:-$here/results.jsonl}
[ $# -gt 0 ] || set -- frugal burn meganeura pytorch
starts=$(mktemp -d)
trap 'rm -rf "$starts"' EXIT

# Everything is built before anything is measured.
build() {
    CARGO_TARGET_DIR=$target cargo build --release --manifest-path "$1/Cargo.toml"
    cp "$target/release/$2" "$bin/"
}
bin=${BIN:-$target/measured}
mkdir -p "$bin"
bin=$(cd "$bin" && pwd)
for peer in frugal "$@"; do
    case $peer in
    frugal) [ -n "${BIN:-}" ] || build "$root" frugal ;;
    burn | meganeura) [ -n "${BIN:-}" ] || build "$here/$peer" "peer-$peer" ;;
    pytorch | pytorch-cuda | pytorch-amp) ;;
    *)
        echo "error: no peer '$peer'; there are frugal, burn, meganeura, pytorch, pytorch-cuda and pytorch-amp" >&2
        exit 2
        ;;
    esac
done

# measure PEER NET START STEPS: one line of figures. Burn may hang: two of its threads race on the device.
measure() {
    case $1 in
    burn) (cd "$here/burn" && timeout 900 "$bin/peer-burn" "$2" "$3" "$4") ;;
    meganeura) timeout 900 "$bin/peer-meganeura" "$2" "$3" "$4" ;;
    pytorch) "$python" "$here/pytorch.py" "$2" "$3" "$4" ;;
    pytorch-cuda) "$python" "$here/pytorch.py" "$2" "$3" "$4" cuda ;;
    pytorch-amp) "$python" "$here/pytorch.py" "$2" "$3" "$4" cuda-amp ;;
    esac
}

: >"$out"
for net in ${NETS:-lenet resnet20}; do
    case $net in
    lenet) shape=1x28x28 classes=10 batch=64 ;;
    resnet20) shape=3x32x32 classes=10 batch=32 ;;
    resnet18) shape=3x224x224 classes=1000 batch=128 ;;
    resnet50) shape=3x224x224 classes=1000 batch=32 ;;
    *)
        echo "error: no net '$net'; there are lenet, resnet20, resnet18 and resnet50" >&2
        exit 2
        ;;
    esac
    start=$starts/$net.safetensors
    step="bench step --net $net --shape $shape --classes $classes --batch $batch"
    # shellcheck disable=SC2086 # a list of options
    "$bin/frugal" $step --warm-up 1 --steps 1 --write-start "$start" >/dev/null
    for peer in "$@"; do
        # The slow ones get few steps.
        case $peer-$net in
        burn-resnet20 | meganeura-*) steps=3 ;;
        burn-lenet) steps=9 ;;
        *) steps=20 ;;
        esac
        echo "measuring $peer on $net" >&2
        if [ "$peer" = frugal ]; then
            # shellcheck disable=SC2086
            "$bin/frugal" $step --warm-up 3 --steps $steps --json | tr -d '\n' >>"$out"
            echo >>"$out"
        else
            measure "$peer" "$net" "$start" $steps >>"$out" || echo "$peer failed on $net" >&2
        fi
    done
done
[ -n "${QUIET:-}" ] || "$python" "$here/table.py" "$out"
