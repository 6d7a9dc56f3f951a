#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
#
# Install what is missing, build, and run all tests or the groups named:
#
#	tests/run.sh [unit|functional|nic|vm|fuzz ...]
#
# What fails is run a second time, alone; what passes then is named. The last line is
# "N passed, M failed"; the exit status is 0 only if something
# passed and nothing failed. With CI=true a test that is skipped counts as failed,
# warnings are errors, and the unit tests also run from a clang build and under
# the address and undefined behaviour sanitizers.
# VMQ_BUILD names another build folder than build/; VMQ_KEEP=1 keeps the tests' files.

set -u -o pipefail

cd "$(dirname "$0")/.." || exit 1
export PYTHONDONTWRITEBYTECODE=1
ci=${CI:-false}
build=${VMQ_BUILD:-build}
python=/usr/bin/python3
results=() # arguments of results.py
declare -A behind # folder: process of a build that goes on behind tests
scratch=$(mktemp -d) || exit 1
if [ "${VMQ_KEEP:-0}" = 1 ]; then
	echo "files of the tests: $scratch"
else
	trap 'rm -rf "$scratch"' EXIT
fi

groups=()
for group; do
	case $group in
	unit | functional | nic | vm | fuzz)
		groups+=("$group")
		;;
	-h | --help)
		sed -n '/^#\t/s/^#\t/usage: /p' "$0"
		exit 0
		;;
	*)
		echo "$0: no group \"$group\"; there are: unit functional nic vm fuzz" >&2
		exit 2
		;;
	esac
done
if [ ${#groups[@]} -eq 0 ]; then
	groups=(unit functional nic vm)
	[ "$ci" != true ] || groups+=(fuzz)
fi

finish() {
	"$python" tests/results.py "${results[@]}"
	exit
}

step() {
	printf '\n== %s\n' "$*"
}

# build_in FOLDER COMPILER [MESON OPTION...]
build_in() {
	local folder=$1 compiler=$2
	shift 2
	step "build in $folder with $compiler"
	if [ -e "$folder/build.ninja" ]; then
		meson configure "$folder" "$@"
	else
		CC=$compiler meson setup "$folder" "$@"
	fi && meson compile -C "$folder"
}

# compile as build_in; a failure is remembered and counted
compile() {
	build_in "$@" && return 0
	results+=(--failed "build in $1 with $2")
	return 1
}

# A build that goes on behind tests which leave the CPUs some time, and is waited for later.
# begin_compile as build_in; finish_compile as compile
begin_compile() {
	(
		renice -n 19 -p "$BASHPID" > /dev/null
		build_in "$@"
	) > "$scratch/$(basename "$1").log" 2>&1 &
	behind[$1]=$!
}

finish_compile() {
	local status=0
	wait "${behind[$1]}" || status=$?
	cat "$scratch/$(basename "$1").log"
	[ "$status" -eq 0 ] || results+=(--failed "build in $1 with $2")
	return "$status"
}

# What fails is run a second time, when the rest has ended: on two cores a test of threads
# or guests may wait longer for a CPU than for what it tests. What passes then is named
# in the results; what fails twice has failed.

# unit LABEL FOLDER
unit() {
	step "unit tests of $2"
	rm -f "$2"/meson-logs/testlog* "$2"/meson-logs/again*
	meson test -C "$2" --suite unit --no-rebuild --print-errorlogs
	results+=(--meson "$1" "$2")
	local failed
	failed=$("$python" tests/results.py --names-of-failed "$2")
	if [ -n "$failed" ]; then
		step "again: $failed"
		# shellcheck disable=SC2086 # names of tests, which are words
		meson test -C "$2" --no-rebuild --print-errorlogs --num-processes 1 \
			--logbase again $failed
	fi
}

# run_pytest GROUP
run_pytest() {
	step "tests/$1"
	rm -f "$build/$1.xml" "$build/$1-again.xml"
	local pytest=("$python" -m pytest -o cache_dir="$scratch/cache-$1" -q -ra --durations=10)
	VMQ_BUILD=$build "${pytest[@]}" --basetemp="$scratch/$1" --junitxml="$build/$1.xml" \
		"tests/$1"
	# 1: tests have failed; other statuses are no matter of single tests.
	if [ $? = 1 ]; then
		step "again: what failed of tests/$1"
		VMQ_BUILD=$build "${pytest[@]}" --basetemp="$scratch/$1-again" \
			--junitxml="$build/$1-again.xml" --last-failed \
			--last-failed-no-failures none "tests/$1"
	fi
	results+=(--pytest "$1" "$build/$1.xml")
}

purposes=(build test)
options=(-Dtests=enabled)
[[ " ${groups[*]} " != *" fuzz "* ]] || purposes+=(ci)
if [ "$ci" = true ]; then
	purposes+=(ci)
	options+=(--werror)
fi
if ! tests/install.sh "${purposes[@]}"; then
	results+=(--failed "installing the packages that are missing")
	finish
fi
compile "$build" gcc "${options[@]}" || finish

clang=("$build-clang" clang "${options[@]}")
# shellcheck disable=SC2054 # the comma is of the option
sanitize=("$build-sanitize" gcc "${options[@]}" --buildtype=debugoptimized
	-Db_sanitize=address,undefined)
# clang's fuzzer, in a build of its own
# shellcheck disable=SC2054
fuzz=("$build-fuzz" clang -Dfuzz=enabled -Dtests=disabled --buildtype=debugoptimized
	-Db_sanitize=address,undefined -Db_lundef=false)

for group in "${groups[@]}"; do
	case $group in
	unit)
		[ "$ci" != true ] || begin_compile "${clang[@]}"
		unit unit "$build"
		[ "$ci" = true ] || continue
		finish_compile "${clang[@]}" && clang_built=true || clang_built=false
		begin_compile "${sanitize[@]}"
		[ "$clang_built" = false ] || unit unit-clang "$build-clang"
		finish_compile "${sanitize[@]}" || continue
		export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
		export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
		unit unit-sanitize "$build-sanitize"
		unset ASAN_OPTIONS UBSAN_OPTIONS
		;;
	fuzz)
		# VMQ_FUZZ_SECONDS for each target.
		[ -n "${behind[${fuzz[0]}]:-}" ] || begin_compile "${fuzz[@]}"
		if finish_compile "${fuzz[@]}"; then
			export VMQ_FUZZ_BUILD=$build-fuzz
			run_pytest fuzz
		fi
		;;
	*)
		# Guests under emulation are slow, and patient.
		[[ "$ci $group ${groups[*]}" != "true nic "*fuzz* ]] || begin_compile "${fuzz[@]}"
		if compgen -G "tests/$group/test_*.py" > /dev/null; then
			run_pytest "$group"
		else
			echo "no tests yet in group $group"
		fi
		;;
	esac
done
finish
