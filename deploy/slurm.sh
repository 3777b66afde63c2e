#!/usr/bin/env bash
# A class graded by a Slurm array: one task a shard. Submit it from the root of a
# checkout of this course, with the grade command on PATH:
#
#   go build -o ~/bin/grade ./cmd/grade
#   sbatch deploy/slurm.sh SUBMISSIONS 04 RUNS [SECRET]
#   grade merge RUNS/* --out RUN
#
# A task that failed is submitted again with --array=N: it grades what is missing.
#SBATCH --job-name=grade
#SBATCH --array=0-19
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=02:00:00
#SBATCH --output=grade-%A-%a.log
set -euo pipefail

# As many as the array above has. Not SLURM_ARRAY_TASK_COUNT: of a task that is
# submitted again alone, that is 1.
shards=20

if [ $# -lt 3 ]; then
	echo "usage: sbatch deploy/slurm.sh SUBMISSIONS LABS RUNS [SECRET]" >&2
	exit 2
fi
submissions=$(realpath "$1")
labs=$2
mkdir -p "$3"
runs=$(realpath "$3")
secret=()
if [ $# -gt 3 ]; then
	secret=(--seed-secret "$(realpath "$4")")
fi

# Slurm runs a copy of this script: the checkout is where it was submitted.
cd "${SLURM_SUBMIT_DIR:-.}"

# Builds belong on the node's own disk, not on a shared one.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/grade-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch
export GOCACHE=${GRADE_GOCACHE:-$scratch/go-build}

grade batch "$submissions" --labs "$labs" --shards "$shards" --jobs "${SLURM_CPUS_PER_TASK:-1}" \
	--out "$runs/$SLURM_ARRAY_TASK_ID" --resume "${secret[@]}"
