package labtest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// chosenSeeds returns the seeds to run. The environment may choose them; enough reports whether there are at least as many as the
// test's own n, so that all that it must cover should occur in some of them. LABS_EXTRA_SEEDS adds to the list, and takes nothing away.
func chosenSeeds(n int) (seeds []uint64, enough bool, err error) {
	if os.Getenv("LABS_SEED") != "" {
		return listedSeeds(n)
	}
	seeds, enough, err = listedSeeds(n)
	if v := os.Getenv("LABS_EXTRA_SEEDS"); v != "" && err == nil {
		for one := range strings.SplitSeq(v, ",") {
			seed, err := strconv.ParseUint(one, 10, 64)
			if err != nil {
				return nil, false, fmt.Errorf("LABS_EXTRA_SEEDS=%q: %w; give a list of seeds (3,9)", v, err)
			}
			if !slices.Contains(seeds, seed) {
				seeds = append(seeds, seed)
			}
		}
	}
	return seeds, enough, err
}

// listedSeeds returns the seeds of LABS_SEED or LABS_SEEDS, or else the test's own, 1 to n.
func listedSeeds(n int) (seeds []uint64, enough bool, err error) {
	if v := os.Getenv("LABS_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return nil, false, fmt.Errorf("LABS_SEED=%q is not a seed: give one number, such as LABS_SEED=81", v)
		}
		return []uint64{seed}, false, nil
	}
	v := os.Getenv("LABS_SEEDS")
	if v == "" {
		return seedRange(1, uint64(n)), true, nil
	}
	for part := range strings.SplitSeq(v, ",") {
		more, err := parseSeeds(part)
		if err != nil {
			return nil, false, fmt.Errorf("LABS_SEEDS=%q: %w; give a number of seeds (20), a range (5-30) or a list (3,9)", v, err)
		}
		if len(more) == 1 && !strings.Contains(v, ",") {
			more = seedRange(1, more[0])
		}
		seeds = append(seeds, more...)
	}
	return seeds, len(seeds) >= n, nil
}

func parseSeeds(s string) ([]uint64, error) {
	from, to, ranged := strings.Cut(s, "-")
	a, err := strconv.ParseUint(from, 10, 64)
	if err != nil || !ranged {
		return []uint64{a}, err
	}
	b, err := strconv.ParseUint(to, 10, 64)
	if err == nil && (b < a || b-a > 10_000_000) {
		err = fmt.Errorf("the range %q is empty or too long", s)
	}
	if err != nil {
		return nil, err
	}
	return seedRange(a, b), nil
}

func seedRange(from, to uint64) []uint64 {
	seeds := make([]uint64, 0, to-from+1)
	for s := from; s <= to; s++ {
		seeds = append(seeds, s)
	}
	return seeds
}
