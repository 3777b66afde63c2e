# What setup.sh and run_autograder have in common; both source it.
# shellcheck shell=bash disable=SC2034
root=${AUTOGRADER_ROOT:-/autograder} # Gradescope's own; a test has another
course=$root/source/course
labs=({{.Labs}})
export PATH=/usr/local/go/bin:$PATH
export HOME=${HOME:-/root}
# Modules and builds of setup.sh are in the image, wherever HOME is later.
export GOMODCACHE=${GOMODCACHE:-$root/go/mod} GOCACHE=${GOCACHE:-$root/go/build}
