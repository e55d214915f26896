#!/bin/sh
# run.sh: let spin look at every state of sessions.pml, and see that it finds
# each mistake planted there.  Works in a folder of its own.
set -eu

model=$(cd "$(dirname "$0")" && pwd)/sessions.pml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# check NAME WANT DEFINES...: WANT is "holds", or what the checker's complaint
# has to contain.
check() {
	name=$1 want=$2
	shift 2
	# The formula needs cycles, all else only states.
	case " $* " in
	*" -DCALM "*) build='-DNFAIR=3' run='-a -f' ;;
	*) build='-DSAFETY -DNOCLAIM' run='' ;;
	esac
	spin -a "$@" "$model" >spin.log
	# shellcheck disable=SC2086 # words on purpose
	cc -O2 -w -DCOLLAPSE -DVECTORSZ=2048 $build -o pan pan.c
	# shellcheck disable=SC2086
	./pan $run -m1000000 -w25 >pan.log || true
	if [ "$want" = holds ]; then
		grep -q 'errors: 0$' pan.log &&
		    ! grep -Eq 'search depth too small|not completed' pan.log
	else
		grep -Fq "$want" pan.log
	fi || {
		echo "$name: want: $want"
		cat spin.log pan.log
		exit 1
	}
	echo "$name: $want: $(sed -n 's/ states, stored.*//p' pan.log |
	    tr -d ' ') states"
}

once='assertion violated ((first[about[0]]==255)'
logged='assertion violated (disk.s[about[0]].holder=='
limited='assertion violated (((first[0]!=255)+(first[1]!=255))<='
lost='assertion violated ((((kind=='

check "two guests, one may" holds
check "two guests, both may" holds -DLIMIT=2
check "two guests from one blob" holds -DATTACK
check "served in the end" holds -DCALM
check "answers before the commit" "$logged" -DBUG=1
check "seals again for another guest" "$once" -DBUG=2 -DATTACK
check "counts in a commit of its own" "$limited" -DBUG=3
check "keeps no answer" "$lost" -DBUG=4
check "is silent on a repeat" "acceptance cycle" -DCALM -DBUG=5
