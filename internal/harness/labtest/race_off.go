//go:build !race

package labtest

func raceErrors() int { return 0 }
