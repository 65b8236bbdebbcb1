# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the shell tools: where things are, and how they talk to people.
set -euo pipefail

# A make above us leaves its job server and its variables here; the kernel's
# make must not see either.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CDPATH
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX
export LC_ALL=C.UTF-8

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build
# The kernel's make refuses a space or colon, and the shells that it starts break at the rest.
unfit=$'[][[:space:]:"\'`\\$#%&;|()<>*?{}!]'
while IFS= read -r path; do
	if [[ $path =~ $unfit ]]; then
		echo "path: Linux cannot be built in $path because of the '${BASH_REMATCH[0]}': move it to another path" >&2
		exit 1
	fi
done < <(echo "$TOP" && realpath -m "$TOP" "$BUILD")
unset unfit path
for path in "$BUILD" "$BUILD"/*/; do
	if [[ -d $path && ! -w $path ]]; then
		echo "build: ${path#"$TOP/"} is not yours to write to: go on as $(stat -c %U "$path"), or" \
			"'sudo chown -R $(id -un) build'" >&2
		exit 1
	fi
done
unset path
JOBS=${JOBS:-$(nproc)}
LINUX=${LINUX:-}
[[ -z $LINUX ]] || LINUX=$(realpath -m "$LINUX")
# The versions that the series was proven on, newest first.
SUPPORTED="7.3 7.2"
ASKED_KVER=${KVER:-}
# The rows of guest/kvm.c that `make run` has
# shellcheck disable=SC2034
KVM_ROWS="kvm:+1+range,kvm:+3+ranges,kvm:+with+iommufd,kvm:+RAM,kvm:+revoke+while,kvm:+reset"

use_kver() {
	KVER=$1
	OUT=$BUILD/$KVER
	TREE=$OUT/linux
	RESULTS=$OUT/results
}

# Without KVER and LINUX, the version is the one that tools/fetch wrote to
# build/kver, or the newest.  It is not exported then: the tools that we start
# read build/kver themselves.
choose_kver() {
	local found
	if [[ -n $LINUX ]]; then
		use_kver "local-$(basename "$LINUX" | tr -c 'A-Za-z0-9._\n-' _)"
	elif [[ -n $ASKED_KVER ]]; then
		use_kver "$ASKED_KVER"
	else
		found=$(cat "$BUILD/kver" 2>/dev/null) || true
		[[ -n $found && " $SUPPORTED " = *" $found "* ]] || found=${SUPPORTED%% *}
		use_kver "$found"
	fi
}
choose_kver
export LINUX JOBS TOP BUILD OUT TREE RESULTS

# say WHAT TEXT: one line of the report.
say() {
	clear_status
	printf '%-9s %s\n' "$1" "${*:2}"
}

# die WHAT TEXT: "what: what to do", and out.
die() {
	clear_status
	printf '%s: %s\n' "$1" "${*:2}" >&2
	exit 1
}

# For messages: a path the way the person at the keyboard would type it.
short() {
	printf '%s' "${1/#"$TOP/"/}"
}

clear_status() {
	[[ ! -t 1 ]] || printf '\r\033[K'
}

# A terminal has one line that is rewritten; a log gets a line now and then.
show_status() {
	if [[ -t 1 ]]; then
		printf '\r\033[K%-9s %s' "$1" "$(cut -c1-"$((${COLUMNS:-80} - 11))" <<<"$2")"
	elif (($3 > 0 && $3 % 30 == 0)); then
		printf '%-9s %s\n' "$1" "$2"
	fi
}

ticker() {
	local label=$1 probe=$2 parent=$$ seconds=0
	# Outlive nobody: a killed parent cannot stop us.
	while kill -0 "$parent" 2>/dev/null; do
		show_status "$label" "$($probe 2>/dev/null || true) $seconds s" "$seconds"
		sleep 1 >/dev/null 2>&1
		seconds=$((seconds + 1))
	done
}

stop_ticker() {
	[[ -n ${TICKER:-} ]] || return 0
	kill "$TICKER" 2>/dev/null || true
	wait "$TICKER" 2>/dev/null || true
	TICKER=
	clear_status
}

# progress LABEL PROBE COMMAND...: run COMMAND; meanwhile show what PROBE prints.
# The command stays in the foreground, where Ctrl-C reaches it.
progress() {
	local rc=0
	# Without the locks; and bash may complain when killed inside a probe.
	ticker "$1" "$2" 8>&- 9>&- 2>/dev/null &
	TICKER=$!
	trap stop_ticker EXIT
	"${@:3}" || rc=$?
	stop_ticker
	# A ticker that is killed as soon as it was forked would run the trap too.
	trap - EXIT
	return "$rc"
}

# One tool at a time works on this build/KVER; the next one waits for it.
lock() {
	mkdir -p "$OUT" "$RESULTS"
	exec 9>"$OUT/lock"
	flock -n 9 && return
	say "${1:-lock}" "another run works in $(short "$OUT"): waiting for it"
	flock 9
}

# All versions share build/apt and build/setup.log: one apt at a time.
lock_apt() {
	mkdir -p "$BUILD"
	exec 8>"$BUILD/apt.lock"
	flock -n 8 && return
	say "$1" "another run uses apt: waiting for it"
	flock 8
}

unlock_apt() {
	exec 8>&-
}

# need_space WHO GIGABYTES
need_space() {
	local free
	mkdir -p "$BUILD"
	free=$(($(df -k --output=avail "$BUILD" | tail -n1) / 1048576))
	((free >= ${NEED_GB:-$2})) ||
		die "$1" "$free GB free in $(short "$BUILD"), ${NEED_GB:-$2} GB are needed:" \
			"make room, or put build/ on another disk (a symbolic link is fine)"
}

# Commits need an author.  Whoever has no git identity is login@host.
git_identity() {
	git config user.email >/dev/null && git config user.name >/dev/null && return
	local name mail
	name=$(id -un) mail=$(id -un)@$(uname -n)
	export GIT_AUTHOR_NAME=${GIT_AUTHOR_NAME:-$name}
	export GIT_AUTHOR_EMAIL=${GIT_AUTHOR_EMAIL:-$mail}
	export GIT_COMMITTER_NAME=${GIT_COMMITTER_NAME:-$name}
	export GIT_COMMITTER_EMAIL=${GIT_COMMITTER_EMAIL:-$mail}
}

# ---------------------------------------------------- what the targets share

# Fetching may settle on another version than the newest.
base_tree() {
	"$TOP/tools/fetch"
	choose_kver
}

patched_tree() {
	"$TOP/tools/setup" fetch series
	base_tree
	python3 "$TOP/tools/series.py" apply "$TREE"
}

# Programs of a newer Debian, in build/suites; nothing of it is installed.
newer_debian() {
	"$TOP/tools/fetch" packages forky "$BUILD/suites" v4l-utils igt-gpu-tools-tests qemu-system-x86
}

# build_kernel FLAVOUR: with the tree that this flavour is built from.
build_kernel() {
	local needs=(fetch build)
	[[ $1 = *stock ]] || needs+=(series)
	"$TOP/tools/setup" "${needs[@]}"
	if [[ $1 = *stock ]]; then base_tree; else patched_tree; fi
	"$TOP/tools/kernel" "$1"
}

# build_guest [PROGRAM...]: the initramfs (called IMAGE); programs that were built
# elsewhere go in.
build_guest() {
	local log=$RESULTS/guest.log
	make -s -C "$TOP/guest" OUT="$OUT/guest" LINUX="$TREE" IMAGE="${IMAGE:-initramfs.cpio}" EXTRA="$*" >"$log" 2>&1 ||
		die guest "$(grep -m1 -E 'error|Error|guest: ' "$log" || echo 'make failed'): see $(short "$log")"
}

# boot_vm NAME PROGRAMS KERNEL-DIRECTORY [OPTION...]: of tools/vm.py, with the plain initramfs
boot_vm() {
	python3 "$TOP/tools/vm.py" --results "$RESULTS" --name "$1" --run "$2" --kernel "$3/arch/x86/boot/bzImage" \
		--initrd "$OUT/guest/initramfs.cpio" --timeout 300 "${@:4}"
}
